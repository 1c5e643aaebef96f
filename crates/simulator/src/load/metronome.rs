//! Wakes calls when their next frame is due, to some microseconds. The runtime's own timers have a grid of a millisecond, on
//! which frames that are spread evenly would leave in heaps: of fifty, with a thousand calls.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use tokio::time::Instant;

/// Who waits for when.
#[derive(Debug, Default)]
pub(crate) struct Metronome(RefCell<BTreeMap<(Instant, usize), Waker>>);

impl Metronome {
    /// Looks at the clock for ever. Others run in between; the core is never idle.
    pub(crate) async fn run(&self) {
        loop {
            self.wake(Instant::now());
            tokio::task::yield_now().await;
        }
    }

    fn wake(&self, now: Instant) {
        let mut waiting = self.0.borrow_mut();
        while let Some(first) = waiting.first_entry().filter(|first| first.key().0 <= now) {
            first.remove().wake();
        }
    }

    /// Waits until `due`; each `call` for one time only.
    pub(crate) async fn at(&self, due: Instant, call: usize) {
        poll_fn(|context| {
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            self.0.borrow_mut().insert((due, call), context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_woken_when_it_is_time_and_not_before() {
        let metronome = Metronome::default();
        let due = Instant::now() + Duration::from_micros(2_500);
        let waits = async {
            tokio::join!(metronome.at(due, 1), metronome.at(due, 2));
            Instant::now()
        };
        tokio::select! {
            now = waits => assert!(now >= due),
            () = metronome.run() => {}
        }
        // Whoever saw by himself that it is time is woken once more, and forgotten.
        metronome.wake(due);
        assert!(metronome.0.borrow().is_empty());
    }
}
