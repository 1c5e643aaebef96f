//! What comes and goes over the wire of a ConversationRelay session.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::{Digits, Key, Recording};

/// Something that comes from Twilio.
#[derive(Clone, Debug)]
pub enum RelayInput<'a> {
    /// What the caller says: all words of the turn so far.
    Prompt {
        /// The words; they replace those of an earlier prompt of the turn.
        text: &'a str,
        /// BCP 47 tag of the language that they were recognised in, if that is given.
        lang: Option<&'a str>,
        /// The turn is over.
        last: bool,
    },
    /// The caller pressed a key.
    Dtmf(Key),
    /// The caller interrupted the agent; what was sent and not spoken is gone.
    Interrupt {
        /// What was heard of the piece that was being spoken.
        heard: &'a str,
        /// How long the agent had been speaking, if that is given.
        after: Option<Duration>,
    },
    /// The agent's voice began, or stopped. Not every session reports it.
    AgentSpeaking(bool),
    /// The caller's voice began, or stopped. Not every session reports it.
    CallerSpeaking(bool),
    /// These words of the agent's were spoken. Not every session reports it.
    Played(&'a str),
    /// Twilio could not use something that was sent; in its words, without what was said.
    Refused(&'a str),
    /// The connection broke; the call may come back.
    Lost,
    /// The call came back: another session began.
    Back,
}

/// Something for Twilio.
#[derive(Clone, Debug, PartialEq)]
pub enum RelayWire {
    /// Speak this: a piece of an utterance, with its spaces.
    Text {
        /// The piece; may be empty.
        token: String,
        /// It is the utterance's last.
        last: bool,
        /// The caller may interrupt it.
        interruptible: bool,
    },
    /// Play a sound until something else is said.
    Play {
        /// Its URL.
        source: String,
    },
    /// Play a recording, behind what is being said.
    PlayRecording {
        /// Which.
        recording: Arc<Recording>,
        /// The caller may interrupt it.
        interruptible: bool,
    },
    /// From here on speak, and listen for, another language.
    Language {
        /// BCP 47 tag.
        tag: String,
    },
    /// Listen for other words from here on.
    Hints {
        /// The message as it goes over the wire.
        message: String,
    },
    /// Press these keys, behind what is being said. Only such as Twilio can press.
    Press(Digits),
}
