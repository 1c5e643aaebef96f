//! Writes down what goes into a call and what comes out of it, in order.

use std::sync::{Arc, Mutex};

use offhook_conversation::{CallEvent, Deadline, Input, Output, Transport};
use offhook_session::Observer;
use offhook_stage_api::CallTime;

/// Everything that was seen, a line each: `in` or `out`, and the first word of it.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Vec<Seen>>>);

/// Something seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) at_ms: u64,
    pub(crate) went_in: bool,
    pub(crate) what: String,
}

impl Watch {
    fn add(&self, now: CallTime, went_in: bool, what: String) {
        self.0.lock().unwrap().push(Seen { at_ms: offhook_conversation::ms(now), went_in, what });
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    /// The inputs that have this in them.
    pub(crate) fn inputs(&self, text: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.went_in && seen.what.contains(text)).collect()
    }

    /// The outputs that have this in them.
    pub(crate) fn outputs(&self, text: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| !seen.went_in && seen.what.contains(text)).collect()
    }
}

impl<L: Transport> Observer<L> for Watch
where
    for<'a> L::Input<'a>: std::fmt::Debug,
{
    fn input(&mut self, now: CallTime, input: &Input<L::Input<'_>>, deadline: Option<Deadline>) {
        if matches!(input, Input::Timeout) {
            let due = deadline.unwrap();
            assert!(due.at <= now, "woken too early: {due:?} at {now}");
        }
        self.add(now, true, format!("{input:?}"));
    }

    fn output(&mut self, now: CallTime, output: &Output<L::Wire>) {
        let seen = self.seen();
        let input = seen.iter().rev().find(|seen| seen.went_in).unwrap();
        assert_eq!(input.at_ms, offhook_conversation::ms(now), "an output has its input's time");
        self.add(now, false, format!("{output:?}"));
    }

    fn notice(&mut self, now: CallTime, event: &CallEvent) {
        self.add(now, false, format!("notice {event:?}"));
    }
}
