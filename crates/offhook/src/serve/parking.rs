//! Calls of text whose socket was lost, until Twilio connects them anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use offhook_session::relay::Parked;

use crate::record::Recorder;

/// Twilio asks what is next after about a second; a call that isn't back by then has ended otherwise.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(30);
/// Calls kept at most; beyond, the call ends.
const MOST: usize = 1_000;

/// The calls, by their `CallSid`.
#[derive(Debug, Default)]
pub(crate) struct Parking(Mutex<BTreeMap<String, (Parked<Recorder>, Instant)>>);

impl Parking {
    /// Keeps a call.
    pub(crate) fn park(&self, call: &str, parked: Parked<Recorder>) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= MOST {
            drop(calls);
            tracing::warn!(call, "a call that lost its connection was given up: {MOST} wait already");
            return parked.give_up();
        }
        let before = calls.insert(call.to_owned(), (parked, Instant::now()));
        drop(calls);
        if let Some((before, _)) = before {
            before.give_up();
        }
    }

    /// The call, if it is here.
    pub(crate) fn take(&self, call: &str) -> Option<Parked<Recorder>> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.remove(call).map(|(parked, _)| parked)
    }

    /// The call is over.
    pub(crate) fn give_up(&self, call: &str) {
        if let Some(parked) = self.take(call) {
            parked.give_up();
        }
    }

    /// Gives up a call that has been here too long; one that has come and gone since stays.
    pub(crate) fn give_up_late(&self, call: &str) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let late = calls.get(call).is_some_and(|(_, since)| since.elapsed() >= BACK_WITHIN);
        let parked = if late { calls.remove(call) } else { None };
        drop(calls);
        if let Some((parked, _)) = parked {
            parked.give_up();
        }
    }
}
