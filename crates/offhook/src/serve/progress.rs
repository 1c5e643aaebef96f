//! How many calls are in progress.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// After Twilio was last told something of a call, or asked, so long it may ask what is next.
const LINGER: Duration = Duration::from_secs(4);

/// Counts calls.
#[derive(Debug, Default)]
pub(crate) struct InProgress(Arc<Count>);

#[derive(Debug)]
struct Count {
    now: watch::Sender<usize>,
    touched: Mutex<Option<Instant>>,
}

impl Default for Count {
    fn default() -> Self {
        Self { now: watch::Sender::new(0), touched: Mutex::default() }
    }
}

/// Counts one call for as long as it lasts, however it ends.
#[derive(Debug)]
pub(crate) struct Counted(Arc<Count>);

impl InProgress {
    /// One more.
    pub(crate) fn count(&self) -> Counted {
        self.0.now.send_modify(|count| *count += 1);
        Counted(Arc::clone(&self.0))
    }

    /// So many now.
    pub(crate) fn now(&self) -> usize {
        *self.0.now.borrow()
    }

    /// Twilio was answered: its next step for that call comes in a moment.
    pub(crate) fn touch(&self) {
        self.0.touch();
    }

    /// Waits until there is none, and none that is about to begin or to ask what is next.
    pub(crate) async fn none(&self) {
        loop {
            // The sender lives as long as `self`.
            let _none = self.0.now.subscribe().wait_for(|count| *count == 0).await.is_ok();
            let touched = *self.0.touched.lock().unwrap_or_else(PoisonError::into_inner);
            match touched.map(|at| at + LINGER) {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }
}

impl Count {
    fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.touch();
        self.0.now.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_the_last_call_twilio_may_still_ask() {
        let calls = InProgress::default();
        let begun = Instant::now();
        calls.none().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nothing ever happened");
        let call = calls.count();
        assert!(tokio::time::timeout(LINGER * 10, calls.none()).await.is_err());
        drop(call);
        let begun = Instant::now();
        calls.none().await;
        assert_eq!(begun.elapsed(), LINGER);
        // A webhook was answered, and its stream comes.
        calls.touch();
        let stream = async {
            tokio::time::sleep(LINGER / 2).await;
            let call = calls.count();
            tokio::time::sleep(LINGER * 3).await;
            drop(call);
        };
        let begun = Instant::now();
        tokio::join!(calls.none(), stream);
        assert_eq!(begun.elapsed(), LINGER / 2 + LINGER * 4);
    }
}
