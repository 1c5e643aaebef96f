//! `offhook replay`: tapes back through the engine, faster than real time.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use offhook_media_line::{CallConfig, CallMode};
use offhook_tape::{Divergence, Replayed, WireOutput, accept, header, packed, replay, unpacked};

use crate::config::Config;
use crate::console::{paint, say};

/// `offhook replay`
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  offhook replay demo-out/\n  offhook replay --changed-only tapes/\n  \
                        offhook replay --accept fixtures/tapes\n\n\
                        Exit status: 0 every tape gave the same outcome, 1 one did not, 2 one can't be read")]
pub(crate) struct ReplayArgs {
    /// Tapes, as `offhook serve --record` writes them, and folders of them
    #[arg(required = true, value_name = "TAPE")]
    tapes: Vec<PathBuf>,
    /// Another configuration than the one that the tapes have
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Rewrite the tapes that differ: what this build does is right
    #[arg(long)]
    accept: bool,
    /// Say nothing of tapes that gave the same outcome
    #[arg(long)]
    changed_only: bool,
    /// Print the tapes as text, and replay nothing
    #[arg(long, conflicts_with_all = ["accept", "config"])]
    text: bool,
    /// Tapes replayed at the same time; else as many as there are cores
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// From this many tapes on a bar shows how far it is.
const MANY: usize = 20;

/// Replays tapes and shows where the first difference is.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.as_deref().map(Config::read).transpose()?;
    let tapes = find(&args.tapes)?;
    anyhow::ensure!(!tapes.is_empty(), "there is no tape (*.tape.jsonl, *.tape.jsonl.zst) in what you named");
    if args.text {
        return print(&tapes);
    }
    let began = Instant::now();
    let outcomes = replay_all(&tapes, config.as_ref(), args);
    let took = began.elapsed();
    let (mut taped, mut differing, mut unreadable) = (Duration::ZERO, 0, 0);
    for (path, outcome) in tapes.iter().zip(outcomes) {
        match outcome {
            Ok(replayed) => {
                taped += replayed.length;
                differing += usize::from(replayed.divergence.is_some());
                tell(path, &replayed, args);
            }
            Err(error) => {
                unreadable += 1;
                say(&format!("{}  {}: {error:#}", paint("unreadable", "31"), path.display()));
            }
        }
    }
    let ratio = taped.as_secs_f64() / took.as_secs_f64().max(1e-9);
    say(&format!(
        "{} tapes, {differing} differ; {:.1} s of calls in {:.3} s: {ratio:.0} times as fast as they were",
        tapes.len(),
        taped.as_secs_f64(),
        took.as_secs_f64()
    ));
    Ok(match (unreadable, differing) {
        (1.., _) => ExitCode::from(2),
        (0, 1..) if !args.accept => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// Packed tapes as text.
fn print(tapes: &[PathBuf]) -> anyhow::Result<ExitCode> {
    for path in tapes {
        let octets = crate::input::octets(path).with_context(|| format!("can't read {}", path.display()))?;
        let text = unpacked(octets).with_context(|| format!("{}", path.display()))?;
        say(text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// The tapes in what was named, in order; folders are searched through.
pub(crate) fn find(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut tapes = Vec::new();
    for path in named {
        if !path.is_dir() {
            tapes.push(path.clone());
            continue;
        }
        let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
            .with_context(|| format!("can't look into {}", path.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        entries.sort();
        let is_tape = |path: &PathBuf| {
            let name = path.to_string_lossy();
            path.is_dir() || name.ends_with(".tape.jsonl") || name.ends_with(".tape.jsonl.zst")
        };
        entries.retain(is_tape);
        tapes.extend(find(&entries)?);
    }
    Ok(tapes)
}

/// Replays all, several at a time; the outcomes are in the tapes' order.
fn replay_all(
    tapes: &[PathBuf],
    config: Option<&Config>,
    args: &ReplayArgs,
) -> Vec<anyhow::Result<Replayed>> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = args.jobs.unwrap_or(cores).clamp(1, tapes.len().max(1));
    let bar = indicatif::ProgressBar::new(tapes.len() as u64);
    // It hides itself where there is no terminal.
    if tapes.len() < MANY {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Mutex<Option<anyhow::Result<Replayed>>>> =
        tapes.iter().map(|_| Mutex::default()).collect();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(path), Some(slot)) = (tapes.get(index), outcomes.get(index)) else { break };
                    let outcome = replay_one(path, config, args.accept);
                    *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(outcome);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let taken = |slot: Mutex<Option<_>>| slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    outcomes
        .into_iter()
        .map(|slot| taken(slot).unwrap_or_else(|| Err(anyhow::anyhow!("it was not replayed"))))
        .collect()
}

fn replay_one(path: &Path, config: Option<&Config>, rewrite: bool) -> anyhow::Result<Replayed> {
    let octets = crate::input::octets(path).context("can't read it")?;
    let is_packed = path.extension().is_some_and(|extension| extension == "zst");
    let tape = unpacked(octets)?;
    let header = header(&tape)?;
    // What was asked for counts, then what the tape says.
    let call = match (config, header.call_config()) {
        (Some(config), _) => {
            let mode = if header.agent == "echo" { CallMode::Echo } else { CallMode::Dialog };
            CallConfig { mode, ..config.call.clone() }
        }
        (None, Some(taped)) => taped,
        (None, None) => CallConfig::default(),
    };
    let replayed = replay(&tape, call.clone())?;
    if rewrite && replayed.divergence.is_some() {
        // Beside it first: a tape half written would be worse than an old one.
        let beside = path.with_extension("new");
        let anew = accept(&tape, call)?;
        let anew = if is_packed { packed(&anew) } else { anew };
        std::fs::write(&beside, anew).context("can't write it anew")?;
        std::fs::rename(&beside, path).context("can't put the new tape in the old one's place")?;
    }
    Ok(replayed)
}

fn tell(path: &Path, replayed: &Replayed, args: &ReplayArgs) {
    let cut = if replayed.cut_short { "; its end is missing" } else { "" };
    match &replayed.divergence {
        None if args.changed_only => {}
        None => say(&format!(
            "{}  {}  {:.1} s, {} outputs{cut}",
            paint("same", "32"),
            path.display(),
            replayed.length.as_secs_f64(),
            replayed.outputs
        )),
        Some(divergence) => {
            let word = if args.accept { paint("accepted", "33") } else { paint("differs", "31") };
            say(&format!("{word}  {}{cut}", path.display()));
            show(divergence);
        }
    }
}

/// The difference, with what went in before it.
fn show(divergence: &Divergence) {
    let short = |text: &str| text.chars().take(140).collect::<String>();
    for (at, input) in &divergence.before {
        say(&format!("  {:>8.3} s  in             {}", at.as_secs_f64(), short(input)));
    }
    let at = divergence.at.as_secs_f64();
    if let Some((taped, now)) = &divergence.deadlines {
        let json = |input| serde_json::to_string(input).unwrap_or_default();
        say(&format!("  {at:>8.3} s  the tape has   {}", short(&json(taped))));
        say(&format!("  {at:>8.3} s  it would be    {}", short(&json(now))));
        return;
    }
    let (taped, now) = (&divergence.taped, &divergence.now);
    let taped_at = taped.as_ref().map_or(at, |(at, _)| at.as_secs_f64());
    let taped = taped.as_ref().map(|(_, output)| output);
    say(&format!("  {taped_at:>8.3} s  the tape has   {}", short(&in_words(taped))));
    say(&format!("  {at:>8.3} s  now came       {}", short(&in_words(now.as_ref()))));
    if let (Some(WireOutput::Media(taped)), Some(WireOutput::Media(now))) = (taped, now) {
        let same = taped.bytes().zip(now.bytes()).take_while(|(a, b)| a == b).count();
        // Four characters of base64 are three octets.
        say(&format!("              the sound differs from its sample {} on", same / 4 * 3));
    }
}

fn in_words(output: Option<&WireOutput>) -> String {
    match output {
        None => "nothing more".to_owned(),
        Some(WireOutput::Media(_)) => "20 ms of sound".to_owned(),
        Some(other) => serde_json::to_string(other).unwrap_or_else(|_| format!("{other:?}")),
    }
}
