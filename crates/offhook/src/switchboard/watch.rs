//! Watches a call for its record, and for those who listen from outside.

use std::sync::Arc;

use offhook_call::relay::{RelayInput, RelayOutput};
use offhook_call::{CallEvent, CallTime, Input, Output};
use offhook_session::Observer;
use offhook_session::relay::RelayObserver;

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
            let t_ms = u64::try_from(now.since_start().as_millis()).unwrap_or(u64::MAX);
            live.on_event(t_ms, event);
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

impl Observer for Watched {
    fn input(&mut self, now: CallTime, input: &Input<'_>) {
        Observer::input(&mut self.recorder, now, input);
    }

    fn output(&mut self, now: CallTime, output: &Output) {
        Observer::output(&mut self.recorder, now, output);
        // Events are few; no lock is taken for sound.
        if let Output::Event(event) = output {
            self.event(now, event);
        }
    }
}

impl RelayObserver for Watched {
    fn input(&mut self, now: CallTime, input: &RelayInput<'_>) {
        RelayObserver::input(&mut self.recorder, now, input);
    }

    fn output(&mut self, now: CallTime, output: &RelayOutput) {
        RelayObserver::output(&mut self.recorder, now, output);
        if let RelayOutput::Event(event) = output {
            self.event(now, event);
        }
    }
}
