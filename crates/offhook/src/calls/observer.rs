//! Watches a call for its record, and for those who listen from outside.

use std::sync::Arc;

use offhook_conversation::{CallEvent, Control, Deadline, Input, Output};
use offhook_providers::net::trace;
use offhook_session::Observer;
use offhook_stage_api::{CallTime, Interruptible};
use offhook_tape::{TapedLine, WireInput, WireOutput};
use serde_json::json;

use super::live_call::LiveCall;
use crate::checkpoints::Checkpoints;
use crate::metrics::CallMetrics;
use crate::record::Recorder;

/// The observer of every call of a server.
pub(crate) struct CallObserver {
    recorder: Recorder,
    live: Option<Arc<LiveCall>>,
    /// Where what the call needs to go on is written, if it is.
    checkpoints: Option<Arc<Checkpoints>>,
    metrics: Arc<CallMetrics>,
    /// What the caller is to be told of the recording, until it is on its way.
    notice: Option<String>,
}

impl CallObserver {
    pub(crate) fn new(
        recorder: Recorder,
        live: Option<Arc<LiveCall>>,
        checkpoints: Option<Arc<Checkpoints>>,
        metrics: Arc<CallMetrics>,
    ) -> Self {
        let notice = recorder.notice().map(str::to_owned);
        Self { recorder, live, checkpoints, metrics, notice }
    }

    fn listened_to(&self) -> Option<&LiveCall> {
        self.live.as_deref().filter(|live| live.is_listened_to())
    }

    fn event(&self, now: CallTime, event: &CallEvent) {
        let sid = || self.live.as_ref().and_then(|live| live.sid());
        self.metrics.on_event(event, || trace::trace_id(&sid()?));
        if let Some(live) = &self.live {
            live.on_event(offhook_conversation::ms(now), event);
            let more_was_said = matches!(event, CallEvent::TurnEnded(_) | CallEvent::Said { .. });
            if let Some(checkpoints) = self.checkpoints.as_ref().filter(|_| more_was_said) {
                live.checkpoint(checkpoints);
            }
        }
    }
}

/// What the caller's side sent, for those who listen. Keys are not told.
fn heard(live: &LiveCall, now: CallTime, input: &WireInput) {
    let t_ms = offhook_conversation::ms(now);
    match input {
        WireInput::Media { mulaw, .. } => live.sounds("caller", &json!({ "t_ms": t_ms, "mulaw": mulaw })),
        WireInput::Mark(name) => live.sounds("played", &json!({ "t_ms": t_ms, "mark": name })),
        _ => {}
    }
}

/// What was sent to the caller's side, for those who listen: ahead of its time, as it is to Twilio.
fn said(live: &LiveCall, now: CallTime, output: &WireOutput) {
    let t_ms = offhook_conversation::ms(now);
    match output {
        WireOutput::Media(mulaw) => live.sounds("agent", &json!({ "t_ms": t_ms, "mulaw": mulaw })),
        WireOutput::Mark(name) => live.sounds("mark", &json!({ "t_ms": t_ms, "mark": name })),
        WireOutput::Clear => live.sounds("clear", &json!({ "t_ms": t_ms })),
        _ => {}
    }
}

impl Drop for CallObserver {
    fn drop(&mut self) {
        if let Some(live) = &self.live {
            self.recorder.sum_up(live.summary_for_record());
        }
    }
}

impl<L: TapedLine> Observer<L> for CallObserver {
    fn input(&mut self, now: CallTime, input: &Input<L::Input<'_>>, deadline: Option<Deadline>) {
        if let (Input::Line(input), Some(live)) = (input, self.listened_to()) {
            heard(live, now, &L::taped_input(input));
        }
        if let (Some(text), Some(live)) = (&self.notice, &self.live) {
            let say = Control::Say { text: text.clone(), interruptible: Interruptible::No };
            // Until the call takes commands.
            if live.wish(say).is_ok() {
                self.notice = None;
            }
        }
        Observer::<L>::input(&mut self.recorder, now, input, deadline);
    }

    fn output(&mut self, now: CallTime, output: &Output<L::Wire>) {
        Observer::<L>::output(&mut self.recorder, now, output);
        // Events are few; no lock is taken for sound.
        if let (Output::Wire(wire), Some(live)) = (output, self.listened_to()) {
            said(live, now, &L::taped_output(wire));
        }
        match output {
            Output::Event(event) => self.event(now, event),
            Output::HangUp { handoff: Some(call) } => {
                if let Some(live) = &self.live {
                    live.record().handoff = Some(call.arguments.clone());
                }
            }
            _ => {}
        }
    }

    fn notice(&mut self, now: CallTime, event: &CallEvent) {
        Observer::<L>::notice(&mut self.recorder, now, event);
        self.event(now, event);
    }
}
