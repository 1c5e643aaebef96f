//! How a link fares, over all calls: a circuit breaker and counters.
//!
//! Closed: requests go through. After some failures in a row, or one refusal, or when the provider asks to be left alone, it
//! opens, and requests go elsewhere. When it has rested, one request goes through (half open): its success closes it, its
//! failure lets it rest twice as long. The lock is held for a few comparisons, once a request, never in a frame's path.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use offhook_stage_api::{FailureKind, StageFailure};
use tokio::time::Instant;

use super::config::BreakerConfig;
use crate::latency::{Latencies, Latency};

/// The breaker's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// Requests go through.
    Closed,
    /// One request tries whether it is well again.
    HalfOpen,
    /// Requests go elsewhere, if there is another.
    Open,
}

/// A link's counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTotals {
    /// Requests that it was given: replies, utterances, transcripts of pauses.
    pub asked: u64,
    /// What it did to the end: replies, segments, final transcripts.
    pub answered: u64,
    /// Failures of any kind.
    pub failed: u64,
    /// Those of them where a deadline passed.
    pub too_slow: u64,
    /// Requests that it was given because another link had failed.
    pub took_over: u64,
    /// Requests that it was given because another link was slow.
    pub hedged: u64,
    /// Those of them where it was first.
    pub hedges_won: u64,
    /// How often the breaker opened.
    pub opened: u64,
}

/// How a link fares.
#[derive(Debug)]
pub struct Health {
    config: BreakerConfig,
    state: Mutex<State>,
    counters: Counters,
    latency: Latency,
}

#[derive(Debug, Default)]
struct Counters {
    asked: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    too_slow: AtomicU64,
    took_over: AtomicU64,
    hedged: AtomicU64,
    hedges_won: AtomicU64,
    opened: AtomicU64,
    /// In the order of [`Health::KINDS`].
    failures: [AtomicU64; 6],
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
        /// Of the first of them.
        since: Option<Instant>,
    },
    Open {
        until: Instant,
        rest: Duration,
    },
    HalfOpen {
        since: Instant,
        rest: Duration,
    },
}

/// Why a link is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It is its turn.
    First,
    /// Another failed.
    TakesOver,
    /// Another is slow.
    Hedge,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Health {
    /// Of a link that nothing is known of: taken for well.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        let state = Mutex::new(State::Closed { failures: 0, since: None });
        Self { config, state, counters: Counters::default(), latency: Latency::default() }
    }

    /// The breaker's position now.
    #[must_use]
    pub fn circuit(&self) -> Circuit {
        match *self.state() {
            State::Closed { .. } => Circuit::Closed,
            State::HalfOpen { .. } => Circuit::HalfOpen,
            State::Open { .. } => Circuit::Open,
        }
    }

    /// The counters.
    #[must_use]
    pub fn totals(&self) -> LinkTotals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LinkTotals {
            asked: read(&self.counters.asked),
            answered: read(&self.counters.answered),
            failed: read(&self.counters.failed),
            too_slow: read(&self.counters.too_slow),
            took_over: read(&self.counters.took_over),
            hedged: read(&self.counters.hedged),
            hedges_won: read(&self.counters.hedges_won),
            opened: read(&self.counters.opened),
        }
    }

    /// How soon its answers began.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        self.latency.read()
    }

    pub(super) fn began_after(&self, took: Duration) {
        self.latency.add(took);
    }

    /// All kinds of failures, in the order of [`failures`](Self::failures).
    pub const KINDS: [FailureKind; 6] = [
        FailureKind::Unavailable,
        FailureKind::Refused,
        FailureKind::Busy,
        FailureKind::Garbage,
        FailureKind::Broken,
        FailureKind::TooSlow,
    ];

    /// Failures so far, by kind.
    #[must_use]
    pub fn failures(&self) -> [(FailureKind, u64); 6] {
        let read =
            |at: usize| self.counters.failures.get(at).map_or(0, |count| count.load(Ordering::Relaxed));
        let mut at = 0;
        Self::KINDS.map(|kind| {
            let count = read(at);
            at += 1;
            (kind, count)
        })
    }

    /// Whether a request may go through; if it is the one that tries a link which has rested, others may not until its
    /// outcome is known, or as long a rest again has passed without one.
    #[must_use]
    pub fn admits(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        match *state {
            State::Closed { .. } => true,
            State::Open { until, rest } if now >= until => {
                *state = State::HalfOpen { since: now, rest };
                true
            }
            State::HalfOpen { since, rest } if now >= since + rest => {
                *state = State::HalfOpen { since: now, rest };
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => false,
        }
    }

    /// A request was answered to the end.
    pub fn succeeded(&self) {
        count(&self.counters.answered);
        *self.state() = State::Closed { failures: 0, since: None };
    }

    /// A request, or the link as a whole, failed.
    pub fn failed(&self, failure: &StageFailure) {
        count(&self.counters.failed);
        for (kind, counter) in Self::KINDS.into_iter().zip(&self.counters.failures) {
            if kind == failure.kind {
                count(counter);
            }
        }
        if failure.kind == FailureKind::TooSlow {
            count(&self.counters.too_slow);
        }
        if failure.kind == FailureKind::Declined {
            // The request's own fault. The provider answers.
            let mut state = self.state();
            if matches!(*state, State::HalfOpen { .. }) {
                *state = State::Closed { failures: 0, since: None };
            }
            return;
        }
        let now = Instant::now();
        let asked_for = failure.retry_after_ms.map(Duration::from_millis);
        let at_once = matches!(failure.kind, FailureKind::Refused | FailureKind::Unavailable);
        let mut state = self.state();
        let (failures, since, usual) = match *state {
            State::Closed { failures, since } => {
                let recent = since.filter(|since| now.duration_since(*since) <= self.config.window);
                let failures = if recent.is_some() { failures + 1 } else { 1 };
                (failures, recent.unwrap_or(now), self.config.rest)
            }
            State::HalfOpen { rest, .. } => (self.config.failures, now, rest * 2),
            State::Open { until, rest } => {
                // A request from before it opened. Only a longer pause that the provider asks for changes anything.
                let asked_until = asked_for.map_or(until, |pause| now + pause.min(self.config.longest_rest));
                *state = State::Open { until: until.max(asked_until), rest };
                return;
            }
        };
        if at_once || asked_for.is_some() || failures >= self.config.failures {
            count(&self.counters.opened);
            let rest = usual.min(self.config.longest_rest);
            let pause = asked_for.map_or(rest, |pause| pause.min(self.config.longest_rest));
            *state = State::Open { until: now + pause, rest };
        } else {
            *state = State::Closed { failures, since: Some(since) };
        }
    }

    pub(super) fn asked(&self, why: Asked) {
        count(&self.counters.asked);
        match why {
            Asked::First => {}
            Asked::TakesOver => count(&self.counters.took_over),
            Asked::Hedge => count(&self.counters.hedged),
        }
    }

    pub(super) fn won_hedge(&self) {
        count(&self.counters.hedges_won);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn failure(kind: FailureKind, retry_after_ms: Option<u64>) -> StageFailure {
        StageFailure { stage: "test".into(), message: "no".into(), kind, retry_after_ms }
    }

    #[tokio::test(start_paused = true)]
    async fn three_in_a_row_open_it_and_one_probe_closes_it() {
        let health = Health::new(BreakerConfig::default());
        health.failed(&failure(FailureKind::Broken, None));
        health.succeeded();
        for _ in 0..2 {
            health.failed(&failure(FailureKind::Broken, None));
        }
        assert!(health.admits());
        health.failed(&failure(FailureKind::TooSlow, None));
        assert!(!health.admits());
        advance(Duration::from_secs(15)).await;
        assert!(health.admits(), "one may try");
        assert!(!health.admits(), "but only one");
        assert_eq!(health.circuit(), Circuit::HalfOpen);
        health.failed(&failure(FailureKind::Broken, None));
        advance(Duration::from_secs(29)).await;
        assert!(!health.admits(), "it rests twice as long");
        advance(Duration::from_secs(1)).await;
        assert!(health.admits());
        health.succeeded();
        assert_eq!(health.circuit(), Circuit::Closed);
        let totals = health.totals();
        assert_eq!((totals.failed, totals.too_slow, totals.answered, totals.opened), (5, 1, 2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_long_ago_are_forgotten() {
        let health = Health::new(BreakerConfig::default());
        for _ in 0..10 {
            health.failed(&failure(FailureKind::Broken, None));
            advance(Duration::from_secs(40)).await;
        }
        assert!(health.admits());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_opens_it_at_once_and_a_wish_is_obeyed_within_reason() {
        let health = Health::new(BreakerConfig::default());
        health.failed(&failure(FailureKind::Refused, None));
        assert!(!health.admits());
        health.succeeded();
        health.failed(&failure(FailureKind::Busy, Some(5_000)));
        advance(Duration::from_millis(4_999)).await;
        assert!(!health.admits());
        advance(Duration::from_millis(1)).await;
        assert!(health.admits());
        health.failed(&failure(FailureKind::Busy, Some(3_600_000)));
        advance(Duration::from_secs(120)).await;
        assert!(health.admits(), "an hour is more than is obeyed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_declined_request_is_not_the_providers_fault() {
        let health = Health::new(BreakerConfig::default());
        for _ in 0..20 {
            health.failed(&failure(FailureKind::Declined, None));
        }
        assert!(health.admits());
        assert_eq!((health.totals().failed, health.totals().opened), (20, 0));
        health.failed(&failure(FailureKind::Refused, None));
        advance(Duration::from_secs(15)).await;
        assert!(health.admits());
        health.failed(&failure(FailureKind::Declined, None));
        assert_eq!(health.circuit(), Circuit::Closed, "the provider answers again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_never_ends_does_not_close_the_door_for_ever() {
        let health = Health::new(BreakerConfig::default());
        health.failed(&failure(FailureKind::Refused, None));
        advance(Duration::from_secs(15)).await;
        assert!(health.admits());
        advance(Duration::from_secs(15)).await;
        assert!(health.admits(), "the call with the probe may have been hung up");
    }
}
