//! From the voice's sound to the caller's ear.

use offhook_audio::{MulawFrame, SampleCount};
use offhook_endpoint::dtmf::tones;

use crate::call::Call;
use crate::io::{CallEvent, Output, UtteranceKind};
use crate::playout::{Raw, Utterance};
use crate::reply::Reply;
use offhook_stage_api::Interruptible;
use offhook_stage_api::id::UtteranceId;
use offhook_stage_api::{Digits, LlmCommand, Party, SpeakRequest, TtsCommand, TtsEvent};

/// So many samples are converted before they can be sent: 100 ms.
const AHEAD: u64 = 800;

impl Call {
    /// Says something of the engine's own. Nothing for an empty text.
    pub(crate) fn say(&mut self, kind: UtteranceKind, text: &str) -> Option<UtteranceId> {
        if text.trim().is_empty() {
            return None;
        }
        let interruptible = match kind {
            UtteranceKind::Greeting => self.config.barge_in.greeting,
            _ => Interruptible::Yes,
        };
        let id = self.playout.name_utterance();
        let mut utterance = Utterance::new(id, kind, interruptible);
        let segment = utterance.add_segment(text.to_owned());
        utterance.closed = true;
        self.playout.queue(utterance);
        let language = self.spoken.tag();
        let request = SpeakRequest { utterance: id, segment, text: text.to_owned(), last: true, language };
        self.out.push_back(Output::Tts(TtsCommand::Speak(request)));
        Some(id)
    }

    pub(crate) fn on_tts(&mut self, event: TtsEvent) {
        match event {
            TtsEvent::Audio { utterance: id, segment, chunk } => {
                let Some(utterance) = self.playout.get_mut(id) else { return };
                if let Some(reply) = self.reply.as_mut().filter(|reply| reply.utterance == Some(id)) {
                    reply.first_audio.get_or_insert(self.now);
                }
                utterance.queue_audio(segment, chunk);
            }
            TtsEvent::Words { utterance, segment, words } => {
                if let Some(utterance) = self.playout.get_mut(utterance) {
                    utterance.on_words(segment, words);
                }
            }
            TtsEvent::Done { utterance: id, segment } => {
                if let Some(utterance) = self.playout.get_mut(id) {
                    utterance.queue_end(segment);
                }
            }
            TtsEvent::Failed { utterance: id, segment, failure } => {
                if let Some(utterance) = self.playout.get_mut(id) {
                    utterance.queue_end(segment);
                    self.trouble(&format!("a sentence could not be spoken: {failure}"));
                }
            }
        }
    }

    /// Converts what is about to be sent. True if there was anything.
    fn fill(&mut self) -> bool {
        let mut any = false;
        while let Some(utterance) = self.playout.next_to_send() {
            let Some(mut raw) = utterance.next_raw(AHEAD) else { break };
            any = true;
            let id = utterance.id;
            match &mut raw {
                Raw::Sound { segment, chunk, taken } => match self.outbound.convert(chunk, taken) {
                    Ok(octets) => {
                        utterance.push_audio(*segment, octets);
                        utterance.put_back(raw);
                    }
                    Err(error) => {
                        utterance.segment_done(*segment);
                        self.trouble(&format!("the synthesiser's sound can't be used: {error}"));
                    }
                },
                Raw::End { segment } => {
                    utterance.push_audio(*segment, self.outbound.finish_segment());
                    utterance.segment_done(*segment);
                    self.playout.finish(id, &mut self.out);
                }
            }
        }
        any
    }

    /// Sends what there is room for.
    pub(crate) fn pump(&mut self) {
        let room = self.playout.has_room(self.now);
        // What is sent makes room for more to be converted, perhaps of the next utterance.
        while self.fill() | (room && self.playout.send(self.now, &mut self.out)) {}
        while let Some(id) = self.playout.pop_begun() {
            let Some(utterance) = self.playout.get(id) else { continue };
            let (what, text, reply) = (utterance.kind, utterance.text(), utterance.reply);
            if let Some(utterance) = self.playout.get_mut(id) {
                utterance.began_at.get_or_insert(self.now);
            }
            self.event(CallEvent::Speaking { utterance: id, what, text });
            if reply.is_some() && self.reply.as_ref().is_some_and(|current| Some(current.id) == reply) {
                self.commit_reply(true);
            }
        }
        self.playout.forget_heard(self.now);
    }

    /// Takes note of utterances that were played to their end.
    pub(crate) fn finish_utterances(&mut self) {
        while let Some(utterance) = self.playout.pop_over(self.now) {
            let text = utterance.text();
            if utterance.produced() == 0 {
                self.nothing_spoken(utterance.id);
                continue;
            }
            self.note_said(&utterance, text.clone(), text, false);
        }
        self.leave_when_said();
    }

    /// A voice gave no sound at all for an utterance. If it is the answer, the caller still waits for one.
    fn nothing_spoken(&mut self, id: UtteranceId) {
        let waited_for = |reply: &Reply| reply.utterance == Some(id) && reply.done && !reply.committed;
        if !self.reply.as_ref().is_some_and(waited_for) {
            return; // the trouble was told
        }
        self.trouble("the voice gave no sound for the reply");
        self.reply_unspoken();
    }

    fn note_said(&mut self, utterance: &Utterance, heard: String, text: String, interrupted: bool) {
        if utterance.kind == UtteranceKind::Echo {
            return;
        }
        let when = (utterance.began_at.unwrap_or(self.now), self.now);
        self.context.push(Party::Agent, heard.clone(), interrupted, when);
        self.event(CallEvent::Said {
            utterance: utterance.id,
            what: utterance.kind,
            heard,
            text,
            interrupted,
            timed: utterance.is_timed(),
        });
    }

    /// Ends everything that is being said or about to be. What was heard of it goes into the context.
    pub(crate) fn cut_everything(&mut self, clear: bool) {
        let begun: Vec<(UtteranceId, bool, u64)> = self
            .playout
            .utterances()
            .map(|utterance| (utterance.id, utterance.begun, self.playout.heard_of(utterance.id, self.now)))
            .collect();
        if clear
            && begun.iter().any(|(_, begun, _)| *begun)
            && self.playout.lead(self.now) > std::time::Duration::ZERO
        {
            self.playout.clear(self.now, &mut self.out);
        }
        for (id, begun, heard) in begun {
            let Some((utterance, _)) = self.playout.cut(id, self.now) else { continue };
            if !utterance.given() {
                self.out.push_back(Output::Tts(TtsCommand::Cancel { utterance: id }));
            }
            if begun {
                if let Some(reply) = utterance.reply {
                    let heard = SampleCount(heard).duration();
                    self.out.push_back(Output::Llm(LlmCommand::Interrupted { reply, heard }));
                }
                let (text, heard) = (utterance.text(), utterance.heard_text(heard));
                self.note_said(&utterance, heard, text, true);
            }
        }
        if let Some(reply) = self.reply.take() {
            self.out.push_back(Output::Llm(LlmCommand::Cancel { reply: reply.id }));
        }
        self.outbound.reset();
        self.playout.unhold();
    }

    /// Presses keys: their tones go out like speech, behind what is being said, and can't be interrupted.
    pub(crate) fn press(&mut self, digits: &Digits) {
        if digits.reveal().is_empty() {
            return;
        }
        let sound = tones(digits.reveal());
        let mut octets = vec![0; sound.len()];
        offhook_mulaw::encode_slice(&sound, &mut octets);
        let id = self.playout.name_utterance();
        let mut utterance = Utterance::new(id, UtteranceKind::Keys, Interruptible::No);
        // The tones would tell the keys: they stay off tapes.
        utterance.hidden = true;
        let segment = utterance.add_segment(format!("(pressed {} keys)", digits.reveal().len()));
        utterance.push_audio(segment, &octets);
        utterance.segment_done(segment);
        utterance.closed = true;
        self.playout.queue(utterance);
    }

    pub(crate) fn start_echo(&mut self) {
        let id = self.playout.name_utterance();
        let mut utterance = Utterance::new(id, UtteranceKind::Echo, Interruptible::No);
        let segment = utterance.add_segment(String::new());
        // 60 ms of silence first: what the caller's frames may come late by without a hole in the echo.
        utterance.push_audio(segment, &[offhook_audio::MULAW_SILENCE; 3 * offhook_audio::FRAME_SAMPLES]);
        self.playout.queue(utterance);
        self.echo = Some(id);
    }

    pub(crate) fn echo_frame(&mut self, id: UtteranceId, frame: &MulawFrame) {
        if let Some(utterance) = self.playout.get_mut(id) {
            utterance.push_audio(offhook_stage_api::id::SegmentId(0), &frame.0);
        }
    }
}
