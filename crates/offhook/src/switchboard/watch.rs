//! Watches a call for its record, and for those who listen from outside.

use std::sync::Arc;

use offhook_call::{CallTime, Input, Output};
use offhook_session::Observer;

use super::live::Live;
use crate::record::Recorder;

/// The observer of every call of a server.
pub(crate) struct Watched {
    recorder: Recorder,
    live: Option<Arc<Live>>,
}

impl Watched {
    pub(crate) const fn new(recorder: Recorder, live: Option<Arc<Live>>) -> Self {
        Self { recorder, live }
    }
}

impl Observer for Watched {
    fn input(&mut self, now: CallTime, input: &Input<'_>) {
        self.recorder.input(now, input);
    }

    fn output(&mut self, now: CallTime, output: &Output) {
        self.recorder.output(now, output);
        // Events are few; no lock is taken for sound.
        if let (Some(live), Output::Event(event)) = (&self.live, output) {
            let t_ms = u64::try_from(now.since_start().as_millis()).unwrap_or(u64::MAX);
            live.on_event(t_ms, event);
        }
    }
}
