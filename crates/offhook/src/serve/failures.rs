//! Requests whose credentials were wrong: how many each peer has to its name.
//!
//! Credentials are always looked at, whoever shows them: Twilio's addresses are shared by all its customers, and strangers must
//! not lock out whom they share one with. Beyond its budget a peer's failures are only counted, no longer logged, and its
//! connection is closed after each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::http::network;

/// Failures of a peer that are dealt with one by one; one more every [`EVERY`].
const BURST: u32 = 10;
const EVERY: Duration = Duration::from_secs(10);
/// Peers remembered at most; beyond, all are judged as one.
const MOST_PEERS: usize = 4_096;

/// Counts failures by peer.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<Option<IpAddr>, Budget>>);

#[derive(Clone, Copy, Debug)]
struct Budget {
    left: u32,
    since: Instant,
}

impl Budget {
    fn refill(&mut self, now: Instant) {
        let periods = now.saturating_duration_since(self.since).as_millis() / EVERY.as_millis();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX).min(BURST);
        if periods > 0 {
            self.left = (self.left + periods).min(BURST);
            self.since = now;
        }
    }
}

impl Failures {
    /// One more. False if this peer is beyond its budget.
    pub(crate) fn count(&self, peer: IpAddr) -> bool {
        self.count_at(peer, Instant::now())
    }

    fn count_at(&self, peer: IpAddr, now: Instant) -> bool {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut peer = Some(network(peer));
        if peers.len() >= MOST_PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, budget| {
                budget.refill(now);
                budget.left < BURST
            });
            if peers.len() >= MOST_PEERS {
                peer = None;
            }
        }
        let budget = peers.entry(peer).or_insert(Budget { left: BURST, since: now });
        budget.refill(now);
        let within = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_a_budget_of_its_own_that_fills_again() {
        let failures = Failures::default();
        let now = Instant::now();
        let count = |peer: &str, now| failures.count_at(peer.parse().unwrap(), now);
        assert_eq!((0..100).filter(|_| count("192.0.2.1", now)).count(), 10);
        assert!(count("192.0.2.2", now));
        assert_eq!((0..100).filter(|_| count("192.0.2.1", now + 3 * EVERY)).count(), 3);
        // A whole IPv6 network is one peer.
        let many = (0..100).map(|host| format!("2001:db8::{host:x}"));
        assert_eq!(many.filter(|peer| count(peer, now)).count(), 10);
    }

    #[test]
    fn memory_is_bounded() {
        let failures = Failures::default();
        let now = Instant::now();
        for number in 0..20_000_u32 {
            failures.count_at(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(failures.0.lock().unwrap().len() <= MOST_PEERS + 1);
        failures.count_at("192.0.2.1".parse().unwrap(), now + 100 * EVERY);
        assert!(failures.0.lock().unwrap().len() < 3);
    }
}
