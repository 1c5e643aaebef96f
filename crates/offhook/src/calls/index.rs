//! The calls that are known: those that run, and as many of those that are over as there is room for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::live_call::LiveCall;

/// Calls kept; of more, the oldest that are over go.
const MOST: usize = 2_000;
/// So many of the newest have everything that is needed for their documents; of older ones that are over those are written.
const WHOLE: usize = 256;

#[derive(Debug, Default)]
pub(super) struct CallIndex {
    by_sid: HashMap<String, Arc<LiveCall>>,
    by_reference: HashMap<String, Arc<LiveCall>>,
    order: VecDeque<Arc<LiveCall>>,
}

impl CallIndex {
    pub(super) fn add(&mut self, live: &Arc<LiveCall>) {
        if self.order.len() >= MOST {
            self.forget_one();
        }
        if !live.about.reference.is_empty() {
            self.by_reference.insert(live.about.reference.clone(), Arc::clone(live));
        }
        if let Some(sid) = live.sid() {
            self.by_sid.insert(sid, Arc::clone(live));
        }
        self.order.push_back(Arc::clone(live));
        let old = self.order.len().checked_sub(WHOLE + 1).and_then(|place| self.order.get(place));
        if let Some(old) = old.filter(|old| old.is_over()) {
            old.record().story.forget();
        }
    }

    /// A call that was deleted.
    pub(super) fn forget(&mut self, sid: &str) {
        if let Some(old) = self.by_sid.remove(sid) {
            self.by_reference.remove(&old.about.reference);
            self.order.retain(|live| !Arc::ptr_eq(live, &old));
        }
    }

    fn forget_one(&mut self) {
        let Some(place) = self.order.iter().position(|live| live.is_over()) else { return };
        let Some(old) = self.order.remove(place) else { return };
        self.by_reference.remove(&old.about.reference);
        if let Some(sid) = old.sid() {
            self.by_sid.remove(&sid);
        }
    }

    pub(super) fn by_sid(&self, sid: &str) -> Option<Arc<LiveCall>> {
        self.by_sid.get(sid).cloned()
    }

    pub(super) fn by_reference(&self, reference: &str) -> Option<Arc<LiveCall>> {
        self.by_reference.get(reference).cloned()
    }

    /// Gives the call of a reference its `CallSid`. `None` for a reference that isn't ours, or a call that has another one.
    pub(super) fn bind(&mut self, reference: &str, sid: &str) -> Option<Arc<LiveCall>> {
        let live = self.by_reference.get(reference)?;
        {
            let mut record = live.record();
            match &record.sid {
                Some(known) if known != sid => return None,
                Some(_) => return Some(Arc::clone(live)),
                None if sid.is_empty() => return None,
                None => record.sid = Some(sid.to_owned()),
            }
        }
        self.by_sid.insert(sid.to_owned(), Arc::clone(live));
        Some(Arc::clone(live))
    }

    pub(super) fn all(&self) -> Vec<Arc<LiveCall>> {
        self.order.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use offhook_twilio::calls::CallStatus;

    use super::super::live_call::tests::about;
    use super::*;

    #[test]
    fn a_reference_is_bound_to_one_call() {
        let mut index = CallIndex::default();
        index.add(&Arc::new(LiveCall::new(about(None), None, CallStatus::Queued)));
        assert!(index.bind("guess", "CA1").is_none());
        assert!(index.bind("r", "").is_none());
        assert!(index.bind("r", "CA1").is_some() && index.bind("r", "CA1").is_some());
        assert!(index.bind("r", "CA2").is_none());
        assert!(index.by_sid("CA1").is_some());
    }

    #[test]
    fn calls_that_are_over_are_forgotten_first() {
        let mut index = CallIndex::default();
        for number in 0..MOST + 10 {
            let live =
                Arc::new(LiveCall::new(about(None), Some(format!("CA{number}")), CallStatus::InProgress));
            if number % 2 == 1 {
                live.conclude();
            }
            index.add(&live);
        }
        assert_eq!(index.order.len(), MOST);
        assert!(index.by_sid("CA0").is_some() && index.by_sid("CA1").is_none());
    }
}
