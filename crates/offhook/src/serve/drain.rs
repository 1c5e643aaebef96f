//! The end of a server: calls in progress come first.
//!
//! The first signal drains: no new calls, but those in progress go on to their own end, with everything that Twilio asks about
//! them answered. When the time for that is over, those that are left say goodbye. A second signal skips to the goodbye, without
//! the words, and closes their sockets; a third ends the process there and then.

use std::future::Future;
use std::time::Duration;

use super::life::{Life, Phase};
use super::progress::InProgress;
use super::signals::{Signals, Wish};
use super::systemd;
use crate::calls::CallRegistry;
use crate::console::say;

/// A goodbye takes so long at most.
const GOODBYE: Duration = Duration::from_secs(15);
/// Sockets that are closed have so long to be so, and Twilio to ask what is next.
const HASTE: Duration = Duration::from_secs(6);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every call came to its own end.
    Whole,
    /// So many calls were ended by the server.
    Cut(usize),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    NoCalls,
    Time,
    Signal,
}

/// Drains, from the first signal to the end of the last call.
pub(super) async fn drain(
    time: Duration,
    (life, calls, registry): (&Life, &InProgress, &CallRegistry),
    signals: &mut Signals,
) -> Ended {
    life.advance(Phase::Draining);
    systemd::stopping(&format!("draining: {} calls in progress", calls.now()));
    say(&format!(
        "draining: no new calls; the {} in progress have {} to end. Another signal ends them now",
        calls.now(),
        in_words(time)
    ));
    let first = wait(time, calls, signals.stop()).await;
    let left = calls.now();
    if first == Until::NoCalls {
        return Ended::Whole;
    }
    life.advance(Phase::Closing);
    say(&format!("closing: {left} calls are ended"));
    if first == Until::Time {
        registry.say_goodbye();
        wait(GOODBYE, calls, signals.stop()).await;
    }
    registry.cut_calls();
    wait(HASTE, calls, signals.stop()).await;
    Ended::Cut(left)
}

async fn wait(time: Duration, calls: &InProgress, signal: impl Future<Output = ()>) -> Until {
    tokio::select! {
        biased;
        () = calls.none() => Until::NoCalls,
        () = signal => Until::Signal,
        () = tokio::time::sleep(time) => Until::Time,
    }
}

fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 120 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// Waits for the first signal that wants the end; reloads for each that wants that, and when files have `changed`.
pub(super) async fn until_stop(
    signals: &mut Signals,
    mut changed: impl AsyncFnMut(),
    mut reload: impl AsyncFnMut(),
) {
    loop {
        let wish = tokio::select! {
            wish = signals.next() => wish,
            () = changed() => Wish::Reload,
        };
        match wish {
            Wish::Stop => return,
            Wish::Reload => reload().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_first_ends_the_waiting() {
        let calls = InProgress::default();
        let never = std::future::pending::<()>;
        let minute = Duration::from_secs(60);
        assert_eq!(wait(minute, &calls, never()).await, Until::NoCalls);
        let one = calls.count();
        let begun = tokio::time::Instant::now();
        assert_eq!((wait(minute, &calls, never()).await, begun.elapsed()), (Until::Time, minute));
        assert_eq!(wait(minute, &calls, async {}).await, Until::Signal);
        let ends = async {
            tokio::time::sleep(minute / 2).await;
            drop(one);
        };
        assert_eq!(tokio::join!(wait(minute, &calls, never()), ends).0, Until::NoCalls);
        assert!(begun.elapsed() < 2 * minute);
        assert_eq!((in_words(30 * minute), in_words(minute)), ("30 min".into(), "60 s".into()));
    }
}
