//! What happens in a call besides requests, for models that follow it.

use std::time::Duration;

use crate::{Interruptible, Key};

/// Something that happened. Only models that are set to follow the call get it: an application that speaks ConversationRelay, for
/// instance, gets keys one by one, and words before they are whole.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The caller began to speak.
    CallerBegan,
    /// The caller fell silent; the turn may go on.
    CallerPaused,
    /// The words of the caller's turn so far. Later ones replace them.
    Hearing {
        /// The words.
        text: String,
    },
    /// The caller pressed a key. `Debug` and tapes don't show which.
    Keyed(Key),
    /// The caller hears the agent, from now on.
    AgentBegan {
        /// What may interrupt it.
        interruptible: Interruptible,
    },
    /// So much of what the agent is saying has been heard by now, from its beginning. Told now and then while it is said, to models
    /// that want it.
    AgentSays {
        /// What reached the caller's ear.
        heard: String,
    },
    /// Something that the agent said is over: it was heard to its end, or was cut off.
    AgentSaid {
        /// What reached the caller's ear.
        heard: String,
        /// For how long.
        lasted: Duration,
        /// All of it was heard.
        whole: bool,
    },
}
