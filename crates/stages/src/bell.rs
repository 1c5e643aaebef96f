//! Tells one waiter that something has come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// Rung by many, from tasks and from threads; one task waits for it. Rung while nobody waits, it is heard by who waits next; rung
/// twice, it is heard once. Nothing is locked: a call looks at its bell with every frame.
#[derive(Debug, Default)]
pub struct Bell {
    rung: AtomicBool,
    waiter: AtomicWaker,
}

impl Bell {
    /// Wakes who waits.
    pub fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waiter.wake();
    }

    /// Whether it was rung since this was asked last.
    #[must_use]
    pub fn was_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire) && self.rung.swap(false, Ordering::AcqRel)
    }

    /// The same; if it was not rung, the task is woken when it is. A task that asked before is forgotten.
    pub fn poll(&self, context: &Context<'_>) -> Poll<()> {
        if !self.was_rung() {
            self.waiter.register(context.waker());
            if !self.was_rung() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// Waits until it is rung, unless it was. Safe to drop while it waits.
    pub async fn rung(&self) {
        std::future::poll_fn(|context| self.poll(context)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ring_is_heard_once_whether_it_was_waited_for_or_not() {
        let bell = Bell::default();
        assert!(!bell.was_rung());
        bell.ring();
        bell.ring();
        bell.rung().await;
        assert!(!bell.was_rung());
        tokio::join!(bell.rung(), async { bell.ring() });
        assert!(!bell.was_rung());
    }

    #[test]
    fn a_ring_from_a_thread_wakes_the_waiter() {
        let bell = std::sync::Arc::new(Bell::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let ringer = std::sync::Arc::clone(&bell);
        let (rung, heard) = std::sync::mpsc::sync_channel(0);
        let thread = std::thread::spawn(move || {
            for () in heard {
                ringer.ring();
            }
        });
        if let Ok(runtime) = runtime {
            runtime.block_on(async {
                for _ in 0..1_000 {
                    assert!(rung.send(()).is_ok());
                    bell.rung().await;
                }
            });
        }
        drop(rung);
        assert!(thread.join().is_ok());
    }
}
