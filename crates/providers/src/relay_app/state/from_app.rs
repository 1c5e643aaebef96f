//! What the application says: parsed, queued for its reply, taken into it.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::tools::{END_CALL, HANDOFF, SEND_DTMF, SWITCH_LANGUAGE};
use offhook_stage_api::{LlmEvent, Recording, ToolCall};
use offhook_twilio::relay::MOST_BAD_IN_A_ROW;
use offhook_twilio::relay::engine::{self, AppMessage, MayInterrupt, parse_app};
use serde_json::{Value, json};

use super::{AppSession, Do, Plays, Written, is_heard};

/// Messages of an application's that wait for their reply at most; more than this is a fault of its.
const MOST_QUEUED: usize = 2_000;
/// So many recordings are fetched ahead of their time at most.
const MOST_PREFETCHED: usize = 4;

impl AppSession {
    pub(in super::super) fn on_frame(&mut self, frame: &str, now: Duration) {
        let Some(message) = parse_app(frame) else { return self.on_bad_frame(frame) };
        self.bad_in_a_row = 0;
        if self.ended {
            return;
        }
        if self.dropping {
            match &message {
                AppMessage::Text { last, .. } => {
                    self.dropping = !last;
                    return;
                }
                AppMessage::Play { .. } => return,
                // What it wants done, it wants done now.
                _ => {}
            }
        }
        if let AppMessage::Play { source, times, .. } = &message {
            // It is a reply of its own, behind the words before it.
            if self.open.as_ref().is_some_and(|open| !open.text.is_empty()) {
                self.finish();
            }
            let waits = self.queued.iter().filter(|message| matches!(message, AppMessage::Play { .. }));
            if self.fetches && waits.count() < MOST_PREFETCHED {
                self.out.push_back(Do::Prefetch(Recording::at(source, *times)));
            }
        }
        if is_heard(&message)
            && let Some(open) =
                self.open.as_mut().filter(|open| open.plays == Plays::Waits && open.preemptible)
        {
            // It takes the place of a recording that isn't there yet.
            (open.plays, open.preemptible) = (Plays::No, self.config.preemptible);
            if open.interruptible.take().is_some() {
                let (reply, by) = (open.id, super::super::interruptible(self.config.interrupts()));
                self.say(LlmEvent::Interruptible { reply, by });
            }
        }
        if self.takes() {
            return self.serve(message, now);
        }
        let is_sound = match &message {
            // A stream that ends with an empty token has nothing to say.
            AppMessage::Text { token, .. } if token.is_empty() && self.queued.is_empty() => return,
            AppMessage::Text { .. } | AppMessage::Play { .. } => true,
            AppMessage::Undocumented { .. } => return self.serve(message, now),
            _ => false,
        };
        if self.queued.len() < MOST_QUEUED {
            self.queued.push_back(message);
        }
        if !std::mem::replace(&mut self.asked, true) {
            let speaking = self.speaking.is_some();
            let replaces = |written: &Written| written.preemptible && (speaking || !written.committed);
            let preempt = is_sound && self.written.as_ref().is_some_and(replaces);
            self.preempting |= preempt;
            self.say(LlmEvent::Initiative { preempt });
        }
    }

    pub(in super::super) fn on_bad_frame(&mut self, frame: &str) {
        self.bad_in_a_row += 1;
        self.send(engine::invalid_message(frame));
        if self.bad_in_a_row >= MOST_BAD_IN_A_ROW {
            self.out.push_back(Do::GiveUp);
        }
    }

    pub(super) fn serve_queued(&mut self, now: Duration) {
        while self.takes() {
            let Some(message) = self.queued.pop_front() else { return };
            self.serve(message, now);
        }
        if self.open.is_none() {
            self.ask_for_queued();
        }
    }

    /// There is a reply that takes what is to be said.
    fn takes(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.plays == Plays::No)
    }

    /// Takes a message into the open reply.
    fn serve(&mut self, message: AppMessage, now: Duration) {
        match message {
            AppMessage::Text { token, last, lang, interruptible, preemptible } => {
                self.write(token, lang, (interruptible, preemptible), now);
                if last {
                    self.finish();
                }
            }
            AppMessage::Play { source, times, interruptible, preemptible } => {
                if self.open.as_ref().is_some_and(|open| !open.text.is_empty()) {
                    // The words before it were queued with it.
                    self.finish();
                    let play = AppMessage::Play { source, times, interruptible, preemptible };
                    return self.queued.push_front(play);
                }
                if preemptible && self.queued.iter().any(is_heard) {
                    return; // what takes its place is there already
                }
                self.play(Recording::at(&source, times), interruptible, preemptible, now);
            }
            AppMessage::SendDigits { digits } => self.tool(SEND_DTMF, json!({ "digits": digits })),
            AppMessage::Language { tts, transcription } => {
                self.switch(tts.as_deref(), transcription.as_deref())
            }
            AppMessage::End { handoff } => {
                self.ended = true;
                self.tool(END_CALL, handoff.map_or(Value::Null, |data| json!({ HANDOFF: data })));
                self.finish();
            }
            AppMessage::Undocumented { kind } => {
                tracing::warn!(
                    call = %self.setup.call_sid,
                    kind,
                    "the application sent a message whose layout is not documented; it was ignored"
                );
            }
        }
    }

    /// The open reply is a recording.
    fn play(
        &mut self,
        recording: Recording,
        interruptible: Option<MayInterrupt>,
        preemptible: bool,
        now: Duration,
    ) {
        let Some(open) = &mut self.open else { return };
        let reply = open.id;
        (open.latest, open.served, open.plays) = (now, true, Plays::Waits);
        (open.interruptible, open.preemptible) = (interruptible, preemptible);
        if let Some(by) = interruptible {
            self.say(LlmEvent::Interruptible { reply, by: super::super::interruptible(by) });
        }
        if self.fetches {
            self.out.push_back(Do::Fetch(reply, recording));
        } else {
            self.on_recording(reply, Ok(recording));
        }
    }

    /// The recording of a reply is there, or can't be had.
    pub(in super::super) fn on_recording(&mut self, reply: ReplyId, fetched: Result<Recording, String>) {
        let Some(open) = self.open.as_mut().filter(|open| open.id == reply && open.plays == Plays::Waits)
        else {
            return; // it was cut off meanwhile
        };
        match fetched {
            Ok(recording) => {
                open.plays = Plays::Yes;
                self.say(LlmEvent::Play { reply, recording: Arc::new(recording) });
            }
            Err(why) => {
                open.plays = Plays::No;
                self.send(engine::error(&why));
            }
        }
        self.finish();
        self.ask_for_queued();
    }

    /// What came meanwhile is another reply's.
    fn ask_for_queued(&mut self) {
        if !self.queued.is_empty() && !std::mem::replace(&mut self.asked, true) {
            self.say(LlmEvent::Initiative { preempt: false });
        }
    }

    fn write(
        &mut self,
        token: String,
        lang: Option<String>,
        (interruptible, preemptible): (Option<MayInterrupt>, Option<bool>),
        now: Duration,
    ) {
        let Some(open) = &mut self.open else { return };
        let reply = open.id;
        open.latest = now;
        open.preemptible = preemptible.unwrap_or(open.preemptible);
        if token.is_empty() {
            return;
        }
        let mut events = Vec::new();
        if let Some(by) = interruptible.filter(|by| open.interruptible != Some(*by)) {
            open.interruptible = Some(by);
            events.push(LlmEvent::Interruptible { reply, by: super::super::interruptible(by) });
        }
        let language = lang.map(Into::into).or_else(|| self.spoken_in.clone());
        if let Some(language) = language.filter(|_| open.text.is_empty()) {
            events.push(LlmEvent::Language { reply, language });
        }
        open.served = true;
        open.text.push_str(&token);
        events.push(LlmEvent::Text { reply, delta: token });
        self.out.extend(events.into_iter().map(Do::Say));
    }

    fn tool(&mut self, name: &str, arguments: Value) {
        let Some(open) = &mut self.open else { return };
        open.served = true;
        self.tools += 1;
        // Two messages of the same content are two wishes.
        let call = ToolCall { id: format!("app{}", self.tools), name: name.to_owned(), arguments };
        let event = LlmEvent::Tool { reply: open.id, call };
        self.say(event);
    }

    fn switch(&mut self, tts: Option<&str>, transcription: Option<&str>) {
        if let Some(tag) = tts {
            self.spoken_in = Some(tag.into());
        }
        if let Some(tag) = transcription {
            tag.clone_into(&mut self.heard_in);
        }
        let arguments = json!({ "language": tts, "transcription": transcription });
        self.tool(SWITCH_LANGUAGE, arguments);
    }

    /// Nothing more comes of the open reply.
    pub(super) fn finish(&mut self) {
        let Some(open) = self.open.take() else { return };
        let reply = open.id;
        if open.text.trim().is_empty() && open.plays == Plays::No {
            self.say(LlmEvent::Silent { reply });
        } else {
            let (preemptible, speculative) = (open.preemptible, open.speculative);
            self.written = Some(Written { id: reply, committed: false, preemptible, speculative });
        }
        self.say(LlmEvent::Done { reply });
    }
}
