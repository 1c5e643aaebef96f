//! `offhook call`: plays Twilio against any Media Streams or ConversationRelay server.

mod caller;
mod known;
mod outcome;
mod picture;
mod rows;
pub(crate) mod speak;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use offhook_simulator::{CallPlan, CallReport, Line, PlaceError, Progress, Say, Script, When, place_typed};
use offhook_twilio::signature::AuthToken;
use offhook_twilio::{AccountSid, CallSid, StreamSid};

use crate::console::{complain, paint, say};
use crate::record::{Record, record_path};
use crate::wav;
pub(crate) use caller::Caller;
use outcome::Outcome;
use rows::Evidence;

/// `offhook call`
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "Examples:\n  offhook call http://127.0.0.1:5000/voice --say hello.wav\n  \
    offhook call https://voice.example.com/voice --caller order.toml --out call\n  \
    offhook call http://127.0.0.1:5000/voice --say a.wav --say b.wav --barge-in 1s --json\n  \
    offhook call http://127.0.0.1:5000/voice --say \"a large pizza, please\"   (in the embedded voice)\n  \
    offhook call http://127.0.0.1:5000/voice --type\n\n\
    Exit status: 0 every line was answered in time, by an answer that is no check-in, apology or last words, and all that \
    the caller's file expects was said; 1 it was not; 2 the call could not be placed")]
pub(crate) struct CallArgs {
    /// The webhook's URL
    url: String,
    /// A caller's script: lines, when they are said, and what the agent must have understood
    #[arg(long, value_name = "FILE")]
    caller: Option<PathBuf>,
    /// A line to say: WAV (any rate, mono), raw μ-law (.ulaw), or words, which the embedded voice speaks to a server that takes
    /// sound. Said when the agent has finished; may be given again
    #[arg(long, value_name = "FILE|WORDS")]
    say: Vec<String>,
    /// Say what is typed, line by line, to a server that takes text
    #[arg(long = "type", conflicts_with = "json")]
    typed: bool,
    /// Break the socket of a call of text once after so long, as a network might
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    drop_after: Option<Duration>,
    /// Say the lines of --say so long after the agent begins, over its voice
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "every")]
    barge_in: Option<Duration>,
    /// Say the lines of --say at fixed times, so far apart
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    every: Option<Duration>,
    /// Say the lines of --say again and again
    #[arg(long = "loop", value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Keys to press when the agent has finished, after all lines
    #[arg(long, value_name = "KEYS", value_parser = parse_keys)]
    dtmf: Option<String>,
    /// Hang up when the agent has been silent for so long after the last line
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "4s")]
    hang_up_after: Duration,
    /// The longest call
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "3m")]
    longest: Duration,
    /// Folder for the recording (WAV, caller left, agent right) and the picture
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// File for all messages of the stream, as JSON Lines with their times
    #[arg(long, value_name = "FILE")]
    messages: Option<PathBuf>,
    /// Folder where the server keeps its records (its --record), to show what it understood
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// Environment variable with the account's auth token, to sign requests as Twilio does
    #[arg(long, value_name = "NAME", default_value = "TWILIO_AUTH_TOKEN")]
    auth_token_env: String,
    /// Who calls
    #[arg(long, value_name = "NUMBER", default_value = "+14155550100")]
    from: String,
    /// Who is called
    #[arg(long, value_name = "NUMBER", default_value = "+14155550101")]
    to: String,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
    /// Don't print the caller's lines: the server shows both sides
    #[arg(long, hide = true)]
    quiet_lines: bool,
}

impl CallArgs {
    /// The demo's call.
    pub(crate) fn for_demo(url: String, caller: PathBuf, folder: PathBuf) -> Self {
        Self {
            url,
            caller: Some(caller),
            repeat: 1,
            hang_up_after: Duration::from_secs(4),
            longest: Duration::from_secs(180),
            out: Some(folder.clone()),
            record: Some(folder),
            auth_token_env: "TWILIO_AUTH_TOKEN".into(),
            from: "+14155550100".into(),
            to: "+14155550101".into(),
            quiet_lines: true,
            ..Self::default()
        }
    }

    fn caller(&self) -> anyhow::Result<Caller> {
        let mut caller = match &self.caller {
            Some(path) => Caller::read(path)?,
            None => Caller::default(),
        };
        for turn in 0..self.repeat {
            for (index, said) in self.say.iter().enumerate() {
                let when = match (self.barge_in, self.every) {
                    (Some(after), _) => When::BargeIn(millis(after)),
                    (None, Some(every)) => {
                        let nth = u64::from(turn) * self.say.len() as u64 + index as u64 + 1;
                        When::At(millis(every) * nth)
                    }
                    (None, None) => When::AfterAgent(300),
                };
                caller.lines.push(line(said, when)?);
            }
        }
        if let Some(keys) = &self.dtmf {
            let keys = Say::Keys(keys.clone());
            caller.lines.push(Line { when: When::AfterAgent(300), say: keys, text: "(keys)".into() });
        }
        Ok(caller)
    }
}

/// A file's sound, or words.
fn line(said: &str, when: When) -> anyhow::Result<Line> {
    let path = Path::new(said);
    if wav::is_sound_name(path) || path.exists() {
        return Ok(Line { when, say: wav::read_line(path)?, text: file_name(path) });
    }
    Ok(Line { when, say: Say::Words, text: said.to_owned() })
}

/// Lines of the terminal, one after the other; ends with the input.
fn typed_lines() -> tokio::sync::mpsc::Receiver<String> {
    let (sender, lines) = tokio::sync::mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty()) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Places the call and shows what came of it.
pub(crate) fn run(args: &CallArgs) -> anyhow::Result<ExitCode> {
    match place_call(args) {
        Err(error) if args.json => {
            let outcome = Outcome::impossible(&error);
            say(&outcome::to_json(&CallReport::default(), &Evidence::default(), &outcome)?);
            Ok(ExitCode::from(2))
        }
        Err(error) => {
            complain(&error);
            Ok(ExitCode::from(2))
        }
        done => done,
    }
}

fn place_call(args: &CallArgs) -> anyhow::Result<ExitCode> {
    let caller = args.caller()?;
    let auth_token = std::env::var(&args.auth_token_env).ok().filter(|token| !token.trim().is_empty());
    let plan = CallPlan {
        url: args.url.clone(),
        auth_token: auth_token.map(|token| AuthToken::new(&token)),
        call_sid: CallSid::parse(&random_sid("CA")?)?,
        stream_sid: StreamSid::parse(&random_sid("MZ")?)?,
        account_sid: AccountSid::parse(&random_sid("AC")?)?,
        from: args.from.clone(),
        to: args.to.clone(),
        script: speak::in_words(Script::new(caller.lines.clone())),
        hang_up_after: args.hang_up_after,
        longest: args.longest,
        drop_after: args.drop_after,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let placed = runtime.block_on(place_typed(plan, args.typed.then(typed_lines), |progress| {
        if !args.json {
            show(&progress, args.quiet_lines);
        }
    }));
    let report = match placed {
        Ok(report) => report,
        Err(PlaceError::Refused(finding, report)) => {
            if args.json {
                say(&outcome::to_json(&report, &Evidence::default(), &Outcome::refused(&finding))?);
            } else {
                say(&paint(&format!("no call: {finding}"), "31"));
            }
            return Ok(ExitCode::from(2));
        }
    };
    let record =
        args.record.as_deref().and_then(|folder| read_record(&record_path(folder, &report.call_sid)));
    let phrases = if record.is_none() { known::instead_of_answers(&report) } else { Vec::new() };
    let evidence = Evidence { record, phrases };
    let outcome = outcome::judge(&report, &evidence, &caller.expect);
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("can't make the folder {}", folder.display()))?;
        wav::write_stereo(&folder.join("call.wav"), &report.caller_sound, &report.agent_sound)?;
        picture::draw(&folder.join("call.png"), &report, &evidence)?;
    }
    if let Some(path) = &args.messages {
        write_messages(path, &report.messages)?;
    }
    if args.json {
        say(&outcome::to_json(&report, &evidence, &outcome)?);
    } else {
        table::print(&report, &evidence, &outcome);
        if let Some(folder) = &args.out {
            say(&format!("sound    {}", folder.join("call.wav").display()));
            say(&format!("picture  {}", folder.join("call.png").display()));
            let tapes =
                [false, true].map(|packed| crate::record::tape_path(folder, &report.call_sid, packed));
            for tape in tapes.iter().filter(|tape| tape.exists()) {
                say(&format!("tape     {}", tape.display()));
            }
        }
    }
    Ok(if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(progress: &Progress, quiet_lines: bool) {
    match progress {
        Progress::Webhook { status } => say(&format!("webhook answered {status}")),
        Progress::Streaming { url } => say(&format!("stream  {url}")),
        Progress::CallerSays { at_ms, text } if !quiet_lines => {
            say(&format!("{:>8.2}  {}  {text}", *at_ms as f64 / 1_000.0, paint("says  ", "36")));
        }
        Progress::CallerSays { .. } => {}
        Progress::AgentSaid { at_ms, text, interrupted } => {
            let cut = if *interrupted { " —" } else { "" };
            say(&format!("{:>8.2}  {}  {text}{cut}", *at_ms as f64 / 1_000.0, paint("agent ", "33")));
        }
        Progress::Found(finding) => say(&paint(&format!("twilio  {finding}"), "31")),
    }
}

/// One line a message: `{"t_ms":…,"from":"twilio"|"server","message":{…}}`.
fn write_messages(path: &std::path::Path, messages: &[(u64, &str, String)]) -> anyhow::Result<()> {
    let mut lines = String::new();
    for (t_ms, from, text) in messages {
        // What isn't JSON is kept as a string.
        let message = serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(text.as_str()));
        lines.push_str(&serde_json::json!({ "t_ms": t_ms, "from": from, "message": message }).to_string());
        lines.push('\n');
    }
    std::fs::write(path, lines).with_context(|| format!("can't write {}", path.display()))
}

/// The server writes its record when the call is over, which may be a moment from now.
fn read_record(path: &std::path::Path) -> Option<Record> {
    for _ in 0..30 {
        if let Some(record) = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Some(record);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    None
}

fn random_sid(prefix: &str) -> anyhow::Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes.iter().fold(prefix.to_owned(), |sid, byte| format!("{sid}{byte:02x}")))
}

fn file_name(path: &std::path::Path) -> String {
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a telephone has keys for.
fn parse_keys(text: &str) -> Result<String, String> {
    let wrong = text.chars().find(|key| !key.is_ascii_digit() && !matches!(key, '*' | '#' | 'A'..='D'));
    match wrong {
        Some(key) => Err(format!("`{key}` is no key: a telephone has 0 to 9, *, #, and A to D")),
        None if text.is_empty() => Err("there are no keys in it".to_owned()),
        None => Ok(text.to_owned()),
    }
}

/// `250ms`, `2s`, `3m`.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write it like 250ms, 2s or 3m");
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "ms" => number / 1_000.0,
        "s" => number,
        "m" => number * 60.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}
