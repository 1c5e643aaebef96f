//! How much the API is asked, and what it was asked before.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::StatusCode;

/// Lets so many through a second, and as many again at once; at least one.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: f64,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    pub(super) fn new(rate: f64) -> Self {
        let rate = if rate.is_finite() { rate.max(0.001) } else { 1.0 };
        Self { rate, state: Mutex::new((rate.max(1.0), Instant::now())) }
    }

    /// Lets one through, or tells how long to wait.
    pub(super) fn take(&self) -> Result<(), Duration> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *state;
        let gained = now.saturating_duration_since(since).as_secs_f64() * self.rate;
        let left = (left + gained).min(self.rate.max(1.0));
        let through = left >= 1.0;
        *state = (if through { left - 1.0 } else { left }, now.max(since));
        if through { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - left) / self.rate)) }
    }
}

/// Keys are remembered so long, and so many.
const REMEMBER: Duration = Duration::from_secs(24 * 3_600);
const MOST: usize = 2_000;
/// Longest key.
pub(super) const LONGEST_KEY: usize = 255;

/// What was answered to orders with an `Idempotency-Key`: a second order with the key gets the first one's answer.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    entries: HashMap<String, Entry>,
    order: VecDeque<(Instant, String)>,
}

#[derive(Debug)]
struct Entry {
    body: u64,
    answer: Option<(StatusCode, Bytes)>,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing: go on, and [`Remembered::keep`] the answer.
    Never,
    /// The same order is being carried out.
    Running,
    /// It was another order.
    Other,
    /// This was answered.
    Answered(StatusCode, Bytes),
}

fn hash(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

impl Remembered {
    /// Looks a key up; one that is new is taken.
    pub(super) fn ask(&self, key: &str, body: &[u8]) -> Before {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while let Some((at, _)) = memory.order.front()
            && (memory.order.len() >= MOST || now.saturating_duration_since(*at) > REMEMBER)
            && let Some((_, old)) = memory.order.pop_front()
        {
            memory.entries.remove(&old);
        }
        let body = hash(body);
        match memory.entries.get(key) {
            Some(entry) if entry.body != body => Before::Other,
            Some(Entry { answer: None, .. }) => Before::Running,
            Some(Entry { answer: Some((status, body)), .. }) => Before::Answered(*status, body.clone()),
            None => {
                memory.entries.insert(key.to_owned(), Entry { body, answer: None });
                memory.order.push_back((now, key.to_owned()));
                Before::Never
            }
        }
    }

    /// Keeps the answer. One that says that nothing was done, and that it may be tried again, frees the key.
    pub(super) fn keep(&self, key: &str, status: StatusCode, body: &Bytes, again: bool) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if again {
            memory.entries.remove(key);
            memory.order.retain(|(_, old)| old != key);
        } else if let Some(entry) = memory.entries.get_mut(key) {
            entry.answer = Some((status, body.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_so_many_through() {
        let bucket = Bucket::new(2.0);
        let start = Instant::now();
        assert!(bucket.take_at(start).is_ok() && bucket.take_at(start).is_ok());
        let wait = bucket.take_at(start).unwrap_err();
        assert!(wait > Duration::from_millis(400) && wait <= Duration::from_millis(500), "{wait:?}");
        assert!(bucket.take_at(start + Duration::from_millis(510)).is_ok());
        let slow = Bucket::new(0.1);
        assert!(slow.take_at(start).is_ok() && slow.take_at(start).is_err());
    }

    #[test]
    fn a_key_stands_for_one_order() {
        let remembered = Remembered::default();
        let answer = Bytes::from_static(b"{}");
        assert_eq!(remembered.ask("a", b"1"), Before::Never);
        assert_eq!(remembered.ask("a", b"1"), Before::Running);
        remembered.keep("a", StatusCode::CREATED, &answer, false);
        assert_eq!(remembered.ask("a", b"1"), Before::Answered(StatusCode::CREATED, answer.clone()));
        assert_eq!(remembered.ask("a", b"2"), Before::Other);
        assert_eq!(remembered.ask("b", b"1"), Before::Never);
        remembered.keep("b", StatusCode::TOO_MANY_REQUESTS, &answer, true);
        assert_eq!(remembered.ask("b", b"1"), Before::Never);
        for number in 0..2 * MOST {
            remembered.ask(&format!("k{number}"), b"");
        }
        assert!(remembered.0.lock().unwrap().entries.len() <= MOST);
        assert_eq!(remembered.ask("a", b"1"), Before::Never);
    }
}
