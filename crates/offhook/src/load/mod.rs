//! `offhook load`: many calls at once against any Media Streams server, and what their callers noticed.

mod page;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use offhook_simulator::Say;
use offhook_simulator::load::{Limits, LoadPlan, LoadReport, load};
use offhook_twilio::signature::AuthToken;

use crate::call::parse_time;
use crate::console::say;
use crate::wav;

/// `offhook load`
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  offhook load http://127.0.0.1:5000/voice --calls 200\n  \
                  offhook load ws://127.0.0.1:8765/ --echo --steps 100,200,400,800 --server-pid 4242 --html load.html\n\n\
                  Steps go on until one breaks the objective: a call that fails, a turn that isn't answered, a hole in the agent's\n\
                  voice, 1 answer of 100 later than --answer-within, or, with an echo, 1 frame of 100 later than --latest. Pin server\n\
                  and load to cores of their own (taskset).\n\n\
                  Exit status: 0 the last step kept the objective, 1 it broke it, 2 no call could be placed")]
pub(crate) struct LoadArgs {
    /// The webhook's URL, or a stream's (ws://…), which is opened without a webhook
    url: String,
    /// Calls at once
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "steps")]
    calls: usize,
    /// One load after the other, until the objective breaks
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    steps: Vec<usize>,
    /// What each caller says, again and again (WAV or raw μ-law, 8 kHz); else a recorded line
    #[arg(long, value_name = "FILE")]
    say: Option<PathBuf>,
    /// From one time to the next
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "8s")]
    every: Duration,
    /// Time within which all calls begin
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "4s")]
    ramp: Duration,
    /// How long is measured
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "16s")]
    window: Duration,
    /// The server returns every frame: measure the way there and back
    #[arg(long)]
    echo: bool,
    /// With --echo: what 99 of 100 frames may take there and back
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "20ms")]
    latest: Duration,
    /// What 99 of 100 answers may take, from the end of the caller's speech
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "2s")]
    answer_within: Duration,
    /// The server's process, if it runs here: tells processor time and memory
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Environment variable with the account's auth token, to sign with
    #[arg(long, value_name = "NAME", default_value = "TWILIO_AUTH_TOKEN")]
    auth_token_env: String,
    /// Print JSON, a line each step
    #[arg(long)]
    json: bool,
    /// Page with tables and curves
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
}

/// Places the calls, step by step.
pub(crate) fn run(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let steps = if args.steps.is_empty() { vec![args.calls] } else { args.steps.clone() };
    let (sound, speech) = sound(args)?;
    let token = std::env::var(&args.auth_token_env).ok().filter(|token| !token.trim().is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limits = Limits { round_trip: args.latest, answer: args.answer_within };
    let idle = args.server_pid.and_then(offhook_simulator::load::resident);
    let mut reports: Vec<LoadReport> = Vec::new();
    if !args.json {
        say(&table::heading(args.echo));
    }
    for calls in steps {
        let plan = LoadPlan {
            url: args.url.clone(),
            auth_token: token.as_deref().map(AuthToken::new),
            calls,
            ramp: args.ramp,
            window: args.window,
            sound: sound.clone(),
            speech,
            echo: args.echo,
            server: args.server_pid,
            punctual: false,
            stamps: None,
        };
        let report = runtime.block_on(load(plan));
        let broken = report.broken(limits);
        if args.json {
            say(&serde_json::to_string(&report)?);
        } else {
            say(&table::row(&report, idle));
            table::remarks(&report, broken.as_deref()).iter().for_each(|line| say(line));
        }
        reports.push(report);
        if broken.is_some() {
            break;
        }
        // What the last step left behind is given time to go.
        runtime.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
    }
    if let Some(path) = &args.html {
        std::fs::write(path, page::html(&args.url, &reports, idle, args.echo))
            .with_context(|| format!("can't write {}", path.display()))?;
    }
    let Some(last) = reports.last() else { return Ok(ExitCode::from(2)) };
    Ok(match last.broken(limits) {
        _ if reports.len() == 1 && last.failed == last.calls => ExitCode::from(2),
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

/// The caller's sound as frames, and how many of them are speech.
fn sound(args: &LoadArgs) -> anyhow::Result<(Vec<[u8; 160]>, usize)> {
    let say = match &args.say {
        Some(path) => wav::read_line(path)?,
        None => wav::line_of(RECORDED)?,
    };
    let Say::Sound(octets) = say else { anyhow::bail!("keys are no sound") };
    // Silence behind the last word isn't speech.
    let quiet = |octet: &u8| offhook_mulaw::decode(*octet).unsigned_abs() < 256;
    let until = octets.iter().rposition(|octet| !quiet(octet)).map_or(0, |last| last + 1);
    let speech = until.div_ceil(160);
    let frames = usize::try_from(args.every.as_millis() / 20)?.max(speech + 1);
    let mut sound = vec![[0xFF; 160]; frames];
    for (frame, octets) in sound.iter_mut().zip(octets.chunks(160)) {
        frame[..octets.len()].copy_from_slice(octets);
    }
    Ok((sound, speech))
}

/// "Two large pepperoni pizzas."
const RECORDED: &[u8] = include_bytes!("../../../../fixtures/callers/pizza-1.wav");
