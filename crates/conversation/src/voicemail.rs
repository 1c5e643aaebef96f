//! A mailbox instead of a human: wait for its beep, say the message, hang up.
//!
//! That it is one is known outside (Twilio's answering-machine detection). From then on nothing that is heard is a turn, and nothing
//! but the message is said. Greetings without a beep are over when nothing is said for a while. The verdict takes seconds, and the beep
//! of a short greeting comes before it: so a beep that was heard before counts.
//!
//! A phone that screens its calls ("state your name and why you're calling") is taken for a mailbox outside, and is none: it is answered
//! like anybody, and the message waits for a beep that may yet come.

use std::time::Duration;

use offhook_stage_api::CallTime;

use crate::config::VoicemailConfig;
use crate::deadline::{Deadline, Why};

/// After a beep so long ago the mailbox still records, and little of its time is lost.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Who has answered, as far as that matters.
#[derive(Debug, Default)]
pub(crate) enum Voicemail {
    /// A human, for all that is known. When a beep was heard after which nobody spoke.
    #[default]
    No,
    /// The same, and a beep was heard after which nobody spoke.
    Beeped(CallTime),
    /// A mailbox: its greeting is listened to.
    Greeting {
        /// To be said.
        message: String,
        /// Said then at the latest.
        until: CallTime,
        /// Since when it has been silent; `None` while it speaks.
        silent: Option<CallTime>,
    },
    /// No mailbox, but a phone that asks who calls: the message is for a beep that may yet come.
    Screened {
        /// To be said then.
        message: String,
    },
    /// The message is being said, or was.
    Recording,
}

/// What phones that screen their calls ask for (lower case).
const ASKS: [&str; 24] = [
    "state your name",
    "say your name",
    "record your name",
    "tell me your name",
    "name and why",
    "name and reason",
    "why you're calling",
    "why you are calling",
    "reason for your call",
    "reason for calling",
    "who is calling",
    "who's calling",
    "screening service",
    "call screening",
    "is screening calls",
    "diga su nombre",
    "motivo de su llamada",
    "quién llama",
    "nennen sie ihren namen",
    "grund ihres anrufs",
    "wer anruft",
    "votre nom et la raison",
    "raison de votre appel",
    "motif de votre appel",
];
/// What only mailboxes say (lower case).
const RECORDS: [&str; 12] = [
    "after the tone",
    "after the beep",
    "at the tone",
    "leave a message",
    "leave your",
    "leave me a message",
    "después de la señal",
    "deje su mensaje",
    "nach dem signalton",
    "nach dem ton",
    "après le bip",
    "laissez un message",
];

/// Whether these words ask who calls, as a phone does that screens its calls.
pub(crate) fn asks_who_calls(text: &str) -> bool {
    let text = text.to_lowercase().replace('’', "'");
    ASKS.iter().any(|ask| text.contains(ask)) && !RECORDS.iter().any(|record| text.contains(record))
}

impl Voicemail {
    /// A mailbox has answered.
    pub(crate) const fn is_there(&self) -> bool {
        matches!(self, Self::Greeting { .. } | Self::Recording)
    }

    /// A beep was heard. Gives the message to be said now.
    pub(crate) fn on_beep(&mut self, now: CallTime) -> Option<String> {
        match self {
            Self::No | Self::Beeped(_) => *self = Self::Beeped(now),
            Self::Greeting { .. } => return self.record(),
            Self::Screened { .. } | Self::Recording => {}
        }
        None
    }

    /// It is no mailbox, but a phone that asks who calls: the message is for a beep that may yet come.
    pub(crate) fn screen(&mut self, message: String) {
        *self = Self::Screened { message };
    }

    /// The mailbox's words. True if it is none, but asks who calls.
    pub(crate) fn on_words(&mut self, text: &str) -> bool {
        match self {
            Self::Greeting { message, .. } if asks_who_calls(text) => {
                *self = Self::Screened { message: std::mem::take(message) };
                true
            }
            _ => false,
        }
    }

    /// A mailbox after all: the message, if a phone that screens its calls had been answered.
    pub(crate) fn take_screened(&mut self) -> Option<String> {
        match std::mem::take(self) {
            Self::Screened { message } => Some(message),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Somebody speaks, or has stopped. True if it is a mailbox.
    pub(crate) fn on_speech(&mut self, silent: Option<CallTime>) -> bool {
        match self {
            // A mailbox that records doesn't speak.
            Self::Beeped(_) => {
                *self = Self::No;
                false
            }
            Self::Greeting { silent: since, .. } => {
                *since = silent;
                true
            }
            Self::Recording => true,
            Self::No | Self::Screened { .. } => false,
        }
    }

    /// It is a mailbox. Gives the message if it is to be said at once.
    pub(crate) fn answered(
        &mut self,
        message: String,
        beeped: bool,
        speaks: bool,
        now: CallTime,
        config: &VoicemailConfig,
    ) -> Option<String> {
        let remembered = matches!(self, Self::Beeped(at) if now.since(*at) <= REMEMBERED);
        let silent = (!speaks).then_some(now);
        *self = Self::Greeting { message, until: now + config.beep_within, silent };
        if beeped || remembered { self.record() } else { None }
    }

    /// When the message is said without a beep.
    pub(crate) fn deadline(&self, config: &VoicemailConfig) -> Option<Deadline> {
        let Self::Greeting { until, silent, .. } = self else { return None };
        let at = silent.map_or(*until, |since| (since + config.silence).min(*until));
        Some(Deadline::new(at, Why::Voicemail))
    }

    /// The message is said from now on.
    pub(crate) fn record(&mut self) -> Option<String> {
        match std::mem::replace(self, Self::Recording) {
            Self::Greeting { message, .. } => Some(message),
            _ => None,
        }
    }
}
