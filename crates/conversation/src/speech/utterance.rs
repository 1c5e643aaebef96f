//! Something that is said: what for, and how far it has got.

use offhook_stage_api::{CallTime, Interruptible, ReplyId, UtteranceId};

use crate::event::UtteranceKind;

/// What something is said for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The agent's first words: the engine's own, or the model's.
    Greeting(Option<ReplyId>),
    /// An answer, or what the caller did not hear of one.
    Reply(Option<ReplyId>),
    /// To bridge a wait.
    Filler(Bridge),
    /// Sorry that it went wrong: takes the place of an answer.
    Apology,
    /// "Are you still there?"
    CheckIn,
    /// What the application wants to be said.
    Announcement,
    /// Keys to be pressed; by a tool call of this id, if by the model.
    Keys(Option<String>),
    /// The message for a mailbox.
    Message,
    /// The last words.
    Farewell,
    /// The caller's own voice, sent back.
    Echo,
}

/// What a filler bridges the wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bridge {
    /// The words of a pause.
    Words,
    /// The sound of a reply.
    Reply(ReplyId),
    /// The rest of what is being said.
    Rest(UtteranceId),
    /// Running tools.
    Tools,
}

impl Purpose {
    pub(crate) const fn kind(&self) -> UtteranceKind {
        match self {
            Self::Greeting(_) => UtteranceKind::Greeting,
            Self::Reply(_) => UtteranceKind::Reply,
            Self::Filler(_) => UtteranceKind::Filler,
            Self::Apology => UtteranceKind::Apology,
            Self::CheckIn => UtteranceKind::CheckIn,
            Self::Announcement | Self::Message => UtteranceKind::Announcement,
            Self::Keys(_) => UtteranceKind::Keys,
            Self::Farewell => UtteranceKind::Farewell,
            Self::Echo => UtteranceKind::Echo,
        }
    }

    /// The reply whose words it is.
    pub(crate) const fn reply(&self) -> Option<ReplyId> {
        match self {
            Self::Greeting(reply) | Self::Reply(reply) => *reply,
            _ => None,
        }
    }

    /// The same, for what was not heard of it: no part of the model's reply any more.
    pub(crate) fn again(self) -> Self {
        match self {
            Self::Reply(_) | Self::Greeting(_) => Self::Reply(None),
            other => other,
        }
    }

    /// If the caller did not hear it after all, it is said again.
    pub(crate) const fn is_worth_repeating(&self) -> bool {
        !matches!(self, Self::Filler(_) | Self::CheckIn | Self::Keys(_) | Self::Echo)
    }

    /// The engine says it by itself, when it judges that somebody has waited too long.
    pub(crate) const fn is_own(&self) -> bool {
        matches!(self, Self::Filler(_) | Self::Apology | Self::CheckIn)
    }
}

/// How far something that is said has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its reply is speculative: its sound is made, but may not go out.
    Held,
    /// It may go out; none of its sound is there yet.
    Waiting {
        /// Since when it could have begun, as far as the voice is concerned.
        since: CallTime,
    },
    /// Sound of it is there, and goes out as soon as it is its turn.
    Ready,
    /// The caller hears it, or has heard some of it.
    Begun {
        /// Since when.
        at: CallTime,
    },
}

/// Something that is said.
#[derive(Clone, Debug)]
pub(crate) struct Utterance {
    pub(crate) id: UtteranceId,
    pub(crate) purpose: Purpose,
    pub(crate) interruptible: Interruptible,
    pub(crate) progress: Progress,
    /// What was written of it so far.
    pub(crate) text: String,
    /// It is a recording, and has no words.
    pub(crate) is_recording: bool,
    /// Nothing more will be written.
    pub(crate) closed: bool,
    /// The voice has given sound for it.
    pub(crate) has_sound: bool,
}

/// What stands in a call's record in the place of a recording's words.
pub(crate) const RECORDING: &str = "(a recording)";

impl Utterance {
    /// Its text, for people.
    pub(crate) fn shown(&self) -> &str {
        if self.is_recording { RECORDING } else { self.text.trim() }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.began_at().is_some()
    }

    pub(crate) fn began_at(&self) -> Option<CallTime> {
        match self.progress {
            Progress::Begun { at } => Some(at),
            _ => None,
        }
    }
}
