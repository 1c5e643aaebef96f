//! Wakes one waiting task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// Notified by many, from tasks and from threads; one task waits. A notification while nobody waits is kept for the next wait;
/// several are one. Nothing is locked: a call checks it with every frame.
#[derive(Debug, Default)]
pub struct Notifier {
    notified: AtomicBool,
    waiter: AtomicWaker,
}

impl Notifier {
    /// Wakes the waiting task.
    pub fn notify(&self) {
        self.notified.store(true, Ordering::Release);
        self.waiter.wake();
    }

    /// Whether it was notified since this was asked last.
    #[must_use]
    pub fn was_notified(&self) -> bool {
        self.notified.load(Ordering::Acquire) && self.notified.swap(false, Ordering::AcqRel)
    }

    /// The same; if it was not, the task is woken when it is. A task that asked before is forgotten.
    pub fn poll(&self, context: &Context<'_>) -> Poll<()> {
        if !self.was_notified() {
            self.waiter.register(context.waker());
            if !self.was_notified() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// Waits until it is notified, unless it was. Safe to drop while it waits.
    pub async fn notified(&self) {
        std::future::poll_fn(|context| self.poll(context)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_notification_is_received_once_whether_it_was_waited_for_or_not() {
        let notifier = Notifier::default();
        assert!(!notifier.was_notified());
        notifier.notify();
        notifier.notify();
        notifier.notified().await;
        assert!(!notifier.was_notified());
        tokio::join!(notifier.notified(), async { notifier.notify() });
        assert!(!notifier.was_notified());
    }

    #[test]
    fn a_notification_from_a_thread_wakes_the_waiter() {
        let notifier = std::sync::Arc::new(Notifier::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let sender = std::sync::Arc::clone(&notifier);
        let (trigger, triggered) = std::sync::mpsc::sync_channel(0);
        let thread = std::thread::spawn(move || {
            for () in triggered {
                sender.notify();
            }
        });
        if let Ok(runtime) = runtime {
            runtime.block_on(async {
                for _ in 0..1_000 {
                    assert!(trigger.send(()).is_ok());
                    notifier.notified().await;
                }
            });
        }
        drop(trigger);
        assert!(thread.join().is_ok());
    }
}
