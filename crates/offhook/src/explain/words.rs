//! Decisions in plain words.

use offhook_call::config::BargeInConfig;
use offhook_call::{BargeInStage, DropReason, EndReason, Evidence, ReplyTiming, ToolStage, UtteranceKind};
use offhook_stage_api::AnswerKind;
use offhook_stage_api::Interruptible;

/// A time on the call's clock.
pub(super) fn seconds(ms: u64) -> String {
    format!("{:.2} s", ms as f64 / 1_000.0)
}

/// What became of a tool; its beginning is told elsewhere.
pub(super) fn tool(name: &str, stage: ToolStage, after_ms: u64) -> Option<String> {
    match stage {
        ToolStage::Asked => None,
        ToolStage::Returned => Some(format!("has the tool {name}'s result, after {after_ms} ms")),
        ToolStage::Failed => Some(format!("has no result of the tool {name}, after {after_ms} ms")),
        ToolStage::Cancelled => Some(format!("gives up the tool {name}: the caller interrupted")),
    }
}

/// What a wait or an end of a turn rests on.
pub(super) const fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::RecogniserEnd => "the recogniser says that the caller is done",
        Evidence::GrammarComplete => "the words are a whole answer",
        Evidence::YesNo => "a yes or no was asked for, and came",
        Evidence::DigitsComplete => "the number has all its digits",
        Evidence::Punctuation => "the words end as a sentence does",
        Evidence::Plain => "the words look neither complete nor incomplete",
        Evidence::Unpunctuated => "the recogniser sets full stops, and set none",
        Evidence::Unsettled => "the words may yet change",
        Evidence::DigitsEnough => "the number may be whole, or have more digits",
        Evidence::DigitsMissing => "digits of the number are missing",
        Evidence::Trailing => "the words stop where nobody stops",
        Evidence::Hanging => "the words seldom end so",
        Evidence::GrammarIncomplete => "the answer lacks words",
        Evidence::Wordless => "no words have come",
        Evidence::TurnModel => "so sure is the turn model",
    }
}

/// What the agent expects to hear.
pub(super) fn expected(answer: &AnswerKind) -> String {
    match answer {
        AnswerKind::Open => "anything".to_owned(),
        AnswerKind::YesNo => "yes or no".to_owned(),
        AnswerKind::Choice => "one of a few answers".to_owned(),
        AnswerKind::Digits { min, max } if min == max => format!("{min} digits"),
        AnswerKind::Digits { min, max } => format!("{min} to {max} digits"),
    }
}

pub(super) const fn interruptible(by: Interruptible) -> &'static str {
    match by {
        Interruptible::Yes => "by speech and keys",
        Interruptible::DtmfOnly => "by keys only",
        Interruptible::No => "not at all",
    }
}

pub(super) fn dropped(why: DropReason, text: &str) -> String {
    match why {
        DropReason::Noise => "it was short, and no word".to_owned(),
        DropReason::Backchannel => format!("“{text}” is what listeners say"),
    }
}

/// The milestones of a reply.
pub(super) fn timing(timing: &ReplyTiming) -> String {
    let requested = if timing.requested_ms < timing.decided_ms { ", before that was certain" } else { "" };
    let step = |name: &str, ms: Option<u64>| ms.map_or(String::new(), |ms| format!(", {name} {ms} ms"));
    format!(
        "answers {} ms after the caller's last sound: the end decided {} ms, the reply asked for {} ms{requested}{}{}",
        timing.first_frame_ms,
        timing.decided_ms,
        timing.requested_ms,
        step("its first words", timing.first_text_ms),
        step("its first sound", timing.first_audio_ms),
    )
}

pub(super) const fn begins(what: UtteranceKind) -> &'static str {
    match what {
        UtteranceKind::Greeting => "greets",
        UtteranceKind::Reply => "answers",
        UtteranceKind::Filler => "bridges the wait",
        UtteranceKind::Apology => "apologises",
        UtteranceKind::CheckIn => "asks whether the caller is there",
        UtteranceKind::Farewell => "says goodbye",
        UtteranceKind::Announcement => "announces",
        UtteranceKind::Keys => "presses keys",
        UtteranceKind::Echo => "returns the caller's voice",
    }
}

/// What the caller heard of it.
pub(super) fn said(heard: &str, text: &str, interrupted: bool, timed: bool) -> String {
    let ground = if timed { "" } else { " (by the text's length: the voice gave no times)" };
    if interrupted {
        let rest = text.strip_prefix(heard).unwrap_or("").trim();
        if heard.is_empty() {
            return format!("is cut short{ground}: none of “{rest}” was heard");
        }
        return format!("is cut short{ground}: heard “{heard}”, not heard “{rest}”");
    }
    if heard == text {
        "was heard to the end".to_owned()
    } else {
        format!("was heard{ground}: “{heard}”")
    }
}

pub(super) fn barge_in(stage: BargeInStage, after_ms: u64, config: &BargeInConfig) -> String {
    match stage {
        BargeInStage::Suspected => "holds the agent's voice: somebody speaks over it".to_owned(),
        BargeInStage::Cleared => {
            let confirm = config.confirm.as_millis();
            format!(
                "stops the agent after {after_ms} ms: over {confirm} ms of speech, which words is not yet known"
            )
        }
        BargeInStage::Interrupted => format!("gives the caller the floor, {after_ms} ms after the onset"),
        BargeInStage::Resumed => {
            format!("lets the agent go on where it stopped, after {after_ms} ms: it was no interruption")
        }
    }
}

pub(super) const fn ended(why: EndReason) -> &'static str {
    match why {
        EndReason::StreamStopped => "ends: the stream is over",
        EndReason::AgentDone => "ends: the agent is done",
        EndReason::HungUp => "ends: the application wanted it",
        EndReason::CallerSilent => "ends: the caller was silent for too long",
        EndReason::TooLong => "ends: the call had reached its greatest length",
        EndReason::NoMedia => "ends: no sound came any more",
        EndReason::Transferred => "ends: the caller was handed to somebody else",
        EndReason::MessageLeft => "ends: a message was left on a mailbox",
    }
}
