//! What is written for people. The only place that prints.

use std::io::{IsTerminal, Write};

use offhook_conversation::{BargeInStage, CallEvent, DropReason, ToolStage};
use offhook_stage_api::CallTime;

/// Prints a line. A reader who has gone away, like `head`, is no reason to stop.
pub(crate) fn say(line: &str) {
    let _gone = writeln!(std::io::stdout().lock(), "{line}");
}

/// A colour, if the output is a terminal.
pub(crate) fn paint(text: &str, code: &str) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// Shows both sides of a conversation as it happens.
pub(crate) fn show_event(now: CallTime, event: &CallEvent) {
    let line = match event {
        CallEvent::TurnEnded(turn) if turn.text.is_empty() => paint("caller  (no words understood)", "2"),
        CallEvent::TurnEnded(turn) => format!("{}  {}", paint("caller", "36"), turn.text),
        CallEvent::Speaking { text, .. } if !text.is_empty() => format!("{}   {text}", paint("agent", "33")),
        CallEvent::Said { heard, interrupted: true, .. } => {
            paint(&format!("        (interrupted; heard: “{heard}”)"), "2")
        }
        CallEvent::BargeIn { stage: BargeInStage::Interrupted, after_ms } => {
            paint(&format!("        (barge-in, {after_ms} ms after its onset)"), "2")
        }
        CallEvent::TurnDropped { text, why: DropReason::Backchannel } => {
            paint(&format!("caller  ({text})"), "2")
        }
        CallEvent::Digits { count, .. } => format!("{}  (keyed {count})", paint("caller", "36")),
        CallEvent::Tool { name, stage: ToolStage::Asked, .. } => {
            paint(&format!("        (uses {name})"), "2")
        }
        CallEvent::Tool { name, stage, after_ms } => {
            paint(&format!("        ({name} {stage:?} after {after_ms} ms)"), "2")
        }
        CallEvent::Language { language } => paint(&format!("        (goes on in {language})"), "2"),
        CallEvent::Trouble { message } => paint(&format!("        {message}"), "31"),
        CallEvent::Ended { why } => paint(&format!("        (over: {why:?})"), "2"),
        _ => return,
    };
    say(&format!("{:>8.2}  {line}", now.since_start().as_secs_f64()));
}

/// Prints what went wrong, cause by cause.
#[allow(clippy::print_stderr, reason = "this is where the command line speaks")]
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}
