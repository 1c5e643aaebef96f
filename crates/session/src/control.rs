//! What the application may want of a running call, from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use offhook_conversation::Control;
use offhook_stages::{Notifier, Rx, Tx, WhenFull, bounded};

/// Commands that wait for a call at most; it takes them within a frame's time.
const WAITING: usize = 16;

/// Reaches into a running call. Clones reach the same call.
#[derive(Clone, Debug)]
pub struct ControlSender {
    commands: Tx<Control>,
    cut: Arc<AtomicBool>,
    notifier: Arc<Notifier>,
}

/// The call's end of it.
#[derive(Debug)]
pub struct ControlReceiver {
    commands: Rx<Control>,
    cut: Arc<AtomicBool>,
}

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
    let (cut, notifier) = (Arc::new(AtomicBool::new(false)), Arc::clone(receiver.notifier()));
    let sender = ControlSender { commands: sender, cut: Arc::clone(&cut), notifier };
    (sender, ControlReceiver { commands: receiver, cut })
}

impl ControlSender {
    /// Hands a command to the call; never waits.
    ///
    /// # Errors
    /// If the call is over, or too many commands wait for it.
    pub fn send(&self, control: Control) -> Result<(), ControlError> {
        self.commands
            .offer(control)
            .map_err(|_| if self.is_over() { ControlError::Over } else { ControlError::Full })
    }

    /// Whether the call is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.commands.is_closed()
    }

    /// Ends the call's stream now, whatever is being said, by closing its socket in order.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.notifier.notify();
    }
}

impl ControlReceiver {
    /// What is notified when a command comes.
    pub(crate) fn notifier(&self) -> &Arc<Notifier> {
        self.commands.notifier()
    }

    /// The next command, if there is one.
    pub(crate) fn try_recv(&self) -> Option<Control> {
        self.commands.try_recv().ok()
    }

    /// Whether the stream is to end now.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
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
