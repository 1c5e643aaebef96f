//! A mailbox instead of a human: wait for its beep, say the message, hang up.
//!
//! That it is one is known outside (Twilio's answering-machine detection). From then on nothing that is heard is a turn, and nothing
//! but the message is said. Greetings without a beep are over when nothing is said for a while. The verdict takes seconds, and the beep
//! of a short greeting comes before it: so a beep that was heard before counts.

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
    /// The message is being said, or was.
    Recording,
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
            Self::Recording => {}
        }
        None
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
            Self::No => false,
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
