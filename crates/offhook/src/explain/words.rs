//! Decisions in plain words.

use offhook_conversation::config::BargeInConfig;
use offhook_conversation::{
    BargeInStage, DropCause, DropReason, EndReason, Evidence, ReplyTiming, ToolStage, UtteranceKind, Why,
};
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
        Evidence::Longest => "the turn has lasted as long as one may (`[turn] longest`)",
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
        BargeInStage::Suspected => "hears somebody speak over the agent, who goes on".to_owned(),
        BargeInStage::Ducked => {
            let confirm = config.confirm.as_millis();
            format!(
                "lowers the agent's voice after {after_ms} ms: over {confirm} ms of speech, which words is not yet known"
            )
        }
        BargeInStage::Interrupted => format!("gives the caller the floor, {after_ms} ms after the onset"),
        BargeInStage::Resumed => {
            format!("raises the agent's voice again, after {after_ms} ms: it was no interruption")
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
        EndReason::VoiceFailed => "ends: the agent has no voice any more",
    }
}

/// Something that the agent says.
pub(super) const fn kind(what: UtteranceKind) -> &'static str {
    match what {
        UtteranceKind::Greeting => "the greeting",
        UtteranceKind::Reply => "the answer",
        UtteranceKind::Filler => "a filler",
        UtteranceKind::Apology => "an apology",
        UtteranceKind::CheckIn => "a check-in",
        UtteranceKind::Farewell => "the farewell",
        UtteranceKind::Announcement => "an announcement",
        UtteranceKind::Keys => "keys",
        UtteranceKind::Echo => "the caller's own voice",
    }
}

/// Why something is not said, or not to its end.
pub(super) const fn drop_cause(why: DropCause) -> &'static str {
    match why {
        DropCause::ReplyBegan => "the answer that it was to bridge the wait for has begun",
        DropCause::CallerBegan => "the caller speaks",
        DropCause::Interrupted => "the caller interrupted",
        DropCause::ReasonGone => "what it was for is over",
        DropCause::NoSound => "the voice gave no sound for it",
        DropCause::ConnectionLost => {
            "the connection was lost; what is worth it is said when the call is back"
        }
        DropCause::Leaving => "the call is about to end, or a mailbox has answered",
    }
}

/// A deadline that was reached.
pub(super) const fn deadline(why: Why) -> &'static str {
    match why {
        Why::Pace => "has room for more sound on its way",
        Why::Played => "takes what was sent for played",
        Why::Eager => "has waited long enough to ask for an answer",
        Why::EndOfTurn => "has waited long enough for the turn to be over",
        Why::Answer => "has waited long enough for the answer to be heard",
        Why::Noise => "has heard sound without a word for too long: it is noise",
        Why::Duck => "has heard speech over the agent for long enough to lower its voice",
        Why::ResolveBargeIn => "should know by now what the speech over the agent was",
        Why::WordsLate => "misses the words of the pause: a filler is due",
        Why::ReplyLate => "misses the answer's sound: a filler is due, or an apology after one",
        Why::ToolLate => "misses a tool's result: a filler is due",
        Why::RestLate => "misses the rest of what is being said: a filler is due, or an apology after one",
        Why::VoiceLate => "gives up one of its own phrases: the voice is late",
        Why::CallerSilent => "has heard nothing from the caller for too long",
        Why::DigitGap => "takes the number for whole: no further key came",
        Why::NoMedia => "has had no sound from Twilio for too long",
        Why::TooLong => "has reached the call's greatest length",
        Why::TransferLate => "has waited long enough for the transfer",
        Why::Voicemail => "has waited long enough for the mailbox",
        Why::Reconnect => "has waited long enough for the connection to come back",
    }
}
