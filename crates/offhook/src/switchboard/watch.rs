//! Watches a call for its record, and for those who listen from outside.

use std::sync::Arc;

use offhook_conversation::{CallEvent, Deadline, Input, Output};
use offhook_session::Observer;
use offhook_stage_api::CallTime;
use offhook_tape::TapedLine;

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

    fn event(&self, now: CallTime, event: &CallEvent) {
        if let Some(live) = &self.live {
            live.on_event(offhook_conversation::ms(now), event);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(live) = &self.live {
            self.recorder.sum_up(live.summary_for_record());
        }
    }
}

impl<L: TapedLine> Observer<L> for Watched {
    fn input(&mut self, now: CallTime, input: &Input<L::Input<'_>>, deadline: Option<Deadline>) {
        Observer::<L>::input(&mut self.recorder, now, input, deadline);
    }

    fn output(&mut self, now: CallTime, output: &Output<L::Wire>) {
        Observer::<L>::output(&mut self.recorder, now, output);
        // Events are few; no lock is taken for sound.
        if let Output::Event(event) = output {
            self.event(now, event);
        }
    }

    fn notice(&mut self, now: CallTime, event: &CallEvent) {
        Observer::<L>::notice(&mut self.recorder, now, event);
        self.event(now, event);
    }
}
