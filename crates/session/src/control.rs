//! What the application may want of a running call, from any thread.

use std::sync::Arc;

use offhook_conversation::Control;
use offhook_stages::{Notifier, Rx, Tx, WhenFull, bounded};

/// Commands that wait for a call at most; it takes them within a frame's time.
const WAITING: usize = 16;

/// Reaches into a running call. Clones reach the same call.
#[derive(Clone, Debug)]
pub struct ControlSender(Tx<Control>);

/// The call's end of it.
#[derive(Debug)]
pub struct ControlReceiver(Rx<Control>);

/// Why a command did not reach the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The call is over.
    #[error("the call is over")]
    Over,
    /// Too many commands at once.
    #[error("{WAITING} commands wait for this call already: send them more slowly")]
    Full,
}

/// Both ends, for one call.
#[must_use]
pub fn control() -> (ControlSender, ControlReceiver) {
    let (sender, receiver) = bounded(WAITING, WhenFull::PushBack);
    (ControlSender(sender), ControlReceiver(receiver))
}

impl ControlSender {
    /// Hands a command to the call; never waits.
    ///
    /// # Errors
    /// If the call is over, or too many commands wait for it.
    pub fn send(&self, control: Control) -> Result<(), ControlError> {
        self.0
            .offer(control)
            .map_err(|_| if self.is_over() { ControlError::Over } else { ControlError::Full })
    }

    /// Whether the call is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}

impl ControlReceiver {
    /// What is notified when a command comes.
    pub(crate) fn notifier(&self) -> &Arc<Notifier> {
        self.0.notifier()
    }

    /// The next command, if there is one.
    pub(crate) fn try_recv(&self) -> Option<Control> {
        self.0.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_bounded_and_end_with_the_call() {
        let (sender, receiver) = control();
        for _ in 0..WAITING {
            assert_eq!(sender.send(Control::HangUp), Ok(()));
        }
        assert_eq!(sender.send(Control::HangUp), Err(ControlError::Full));
        assert!(!sender.is_over());
        drop(receiver);
        assert_eq!(sender.send(Control::HangUp), Err(ControlError::Over));
        assert!(sender.is_over());
    }
}
