//! `offhook replay`: tapes back through the engine, faster than real time.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use offhook_call::CallMode;
use offhook_tape::{Divergence, replay};

use crate::config::Config;
use crate::console::{paint, say};

/// `offhook replay`
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  offhook replay demo-out/*.tape.jsonl\n\n\
                        Exit status: 0 every tape gave the same outcome, 1 one did not")]
pub(crate) struct ReplayArgs {
    /// Tapes, as `offhook serve --record` writes them
    #[arg(required = true, value_name = "TAPE")]
    tapes: Vec<PathBuf>,
    /// The configuration that the calls were served with
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Replays tapes and shows where the first difference is.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
    let (mut taped, mut differing) = (Duration::ZERO, 0);
    let began = Instant::now();
    // Hidden where there is no terminal, and for the few tapes that need none.
    let bar = indicatif::ProgressBar::new(args.tapes.len() as u64);
    if args.tapes.len() < 20 {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    for path in bar.wrap_iter(args.tapes.iter()) {
        let tape = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        let mut call = config.call.clone();
        if tape.lines().next().is_some_and(|header| header.contains(r#""agent":"echo""#)) {
            call.mode = CallMode::Echo;
        }
        let replayed = replay(&tape, call).with_context(|| format!("can't replay {}", path.display()))?;
        taped += replayed.length;
        let length = replayed.length.as_secs_f64();
        let outputs = replayed.outputs;
        match &replayed.divergence {
            None => {
                say(&format!("{}  {}  {length:.1} s, {outputs} outputs", paint("same", "32"), path.display()))
            }
            Some(divergence) => {
                differing += 1;
                say(&format!("{}  {}", paint("differs", "31"), path.display()));
                show(divergence);
            }
        }
    }
    let took = began.elapsed();
    let ratio = taped.as_secs_f64() / took.as_secs_f64().max(1e-9);
    say(&format!(
        "{} tapes, {:.1} s of calls in {:.3} s: {ratio:.0} times as fast as they were",
        args.tapes.len(),
        taped.as_secs_f64(),
        took.as_secs_f64()
    ));
    Ok(if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(divergence: &Divergence) {
    let line = |output: &Option<offhook_tape::WireOutput>| {
        let text = output.as_ref().map_or_else(|| "nothing".to_owned(), |output| format!("{output:?}"));
        text.chars().take(160).collect::<String>()
    };
    say(&format!("  at {:.3} s", divergence.at.as_secs_f64()));
    say(&format!("  the tape has  {}", line(&divergence.taped)));
    say(&format!("  now came      {}", line(&divergence.now)));
}
