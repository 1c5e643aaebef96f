//! The calls that are known: those that run, and as many of those that are over as there is room for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::live::Live;

/// Calls kept; of more, the oldest that are over go.
const MOST: usize = 2_000;
/// So many of the newest have everything that is needed for their documents; of older ones that are over those are written.
const WHOLE: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Known {
    by_sid: HashMap<String, Arc<Live>>,
    by_reference: HashMap<String, Arc<Live>>,
    order: VecDeque<Arc<Live>>,
}

impl Known {
    pub(super) fn add(&mut self, live: &Arc<Live>) {
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
            old.facts().story.forget();
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

    pub(super) fn by_sid(&self, sid: &str) -> Option<Arc<Live>> {
        self.by_sid.get(sid).cloned()
    }

    /// Gives the call of a reference its `CallSid`. `None` for a reference that isn't ours, or a call that has another one.
    pub(super) fn bind(&mut self, reference: &str, sid: &str) -> Option<Arc<Live>> {
        let live = self.by_reference.get(reference)?;
        {
            let mut facts = live.facts();
            match &facts.sid {
                Some(known) if known != sid => return None,
                Some(_) => return Some(Arc::clone(live)),
                None if sid.is_empty() => return None,
                None => facts.sid = Some(sid.to_owned()),
            }
        }
        self.by_sid.insert(sid.to_owned(), Arc::clone(live));
        Some(Arc::clone(live))
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        self.order.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use offhook_twilio::calls::CallStatus;

    use super::super::live::tests::about;
    use super::*;

    #[test]
    fn a_reference_is_bound_to_one_call() {
        let mut known = Known::default();
        known.add(&Arc::new(Live::new(about(None), None, CallStatus::Queued)));
        assert!(known.bind("guess", "CA1").is_none());
        assert!(known.bind("r", "").is_none());
        assert!(known.bind("r", "CA1").is_some() && known.bind("r", "CA1").is_some());
        assert!(known.bind("r", "CA2").is_none());
        assert!(known.by_sid("CA1").is_some());
    }

    #[test]
    fn calls_that_are_over_are_forgotten_first() {
        let mut known = Known::default();
        for number in 0..MOST + 10 {
            let live = Arc::new(Live::new(about(None), Some(format!("CA{number}")), CallStatus::InProgress));
            if number % 2 == 1 {
                live.conclude();
            }
            known.add(&live);
        }
        assert_eq!(known.order.len(), MOST);
        assert!(known.by_sid("CA0").is_some() && known.by_sid("CA1").is_none());
    }
}
