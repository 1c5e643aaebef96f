//! The server's own life: it runs, drains, ends.

use tokio::sync::watch;

/// Where the server stands. It only goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It takes calls.
    #[default]
    Running,
    /// Calls in progress go on, and all that concerns them is answered; new ones are not taken.
    Draining,
    /// Calls that are left say goodbye.
    Closing,
    /// Connections are closed.
    Ending,
}

/// Tells everybody where the server stands.
#[derive(Debug, Default)]
pub(crate) struct Life(watch::Sender<Phase>);

impl Life {
    pub(crate) fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Whether new calls are taken.
    pub(crate) fn takes_calls(&self) -> bool {
        self.phase() == Phase::Running
    }

    /// Goes on to a phase; never back.
    pub(crate) fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let on = phase > *now;
            *now = phase.max(*now);
            on
        });
    }

    /// Waits for a phase, or a later one.
    pub(crate) async fn until(&self, phase: Phase) {
        // The sender lives as long as `self`.
        let _reached = self.0.subscribe().wait_for(|now| *now >= phase).await.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_only_goes_on() {
        let life = Life::default();
        assert!(life.takes_calls());
        life.advance(Phase::Closing);
        life.advance(Phase::Draining);
        assert_eq!(life.phase(), Phase::Closing);
        life.until(Phase::Draining).await;
        let ending = tokio::time::timeout(std::time::Duration::from_secs(1), life.until(Phase::Ending));
        assert!(ending.await.is_err());
    }
}
