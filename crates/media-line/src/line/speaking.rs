//! The agent's speech: what the voice gives, converted when its time comes, and sent.

use std::sync::Arc;

use offhook_audio::Dbov;
use offhook_conversation::Output;
use offhook_conversation::line::{Heard, LineEvent, Opening};
use offhook_stage_api::{CallTime, Recording, SpeakRequest, StageFailure, TtsCommand, TtsEvent, UtteranceId};

use super::MediaLine;
use crate::outbound::Outbound;
use crate::playout::{Raw, Utterance};
use crate::voice::Piece;

/// So many samples are converted before they can be sent: 100 ms.
const CONVERSION_LEAD: u64 = 800;

impl MediaLine {
    pub(super) fn on_tts(&mut self, event: TtsEvent) {
        let (id, segment) = event.of();
        let Some(utterance) = self.playout.get_mut(id) else { return };
        match event {
            TtsEvent::Audio { chunk, .. } => {
                let was_dry = utterance.unsaid() < 160;
                utterance.queue_audio(segment, chunk);
                if was_dry && utterance.unsaid() > 0 {
                    self.events.push_back(LineEvent::Ready(id));
                }
            }
            TtsEvent::Words { words, .. } => utterance.on_words(segment, words),
            TtsEvent::Done { .. } => utterance.queue_end(segment),
            TtsEvent::Failed { failure, .. } => {
                utterance.fail(segment);
                self.trouble(format!("a sentence could not be spoken: {failure}"));
            }
        }
    }

    pub(super) fn on_tts_ended(&mut self, failure: StageFailure) {
        self.trouble(format!("text-to-speech has ended: {failure}"));
        let ids: Vec<UtteranceId> = self.playout.utterances().map(|utterance| utterance.id).collect();
        for utterance in ids {
            let Some(said) = self.playout.get_mut(utterance) else { continue };
            for segment in said.unspoken() {
                said.fail(segment);
            }
        }
        self.tts_ended = Some(failure);
    }

    fn speak(&mut self, id: UtteranceId, piece: Piece) {
        let Some(utterance) = self.playout.get_mut(id) else { return };
        let segment = utterance.add_segment(piece.text.clone());
        if self.tts_ended.is_some() {
            return utterance.fail(segment);
        }
        self.out.push_back(Output::Tts(TtsCommand::Speak(piece.request(id, segment))));
    }

    pub(super) fn play(&mut self, id: UtteranceId, recording: Arc<Recording>) {
        let Some(utterance) = self.playout.get_mut(id) else { return };
        let segment = utterance.add_recording();
        if self.tts_ended.is_some() {
            return utterance.fail(segment);
        }
        self.out.push_back(Output::Tts(TtsCommand::Speak(SpeakRequest {
            utterance: id,
            segment,
            text: String::new(),
            last: true,
            language: None,
            recording: Some(recording),
        })));
    }

    pub(super) fn append(&mut self, id: UtteranceId, text: &str) {
        let mut text = text;
        while let Some(piece) = self.voice.append(id, text) {
            self.speak(id, piece);
            text = "";
        }
    }

    pub(super) fn close(&mut self, id: UtteranceId) {
        while let Some(piece) = self.voice.close(id) {
            self.speak(id, piece);
        }
        if let Some(utterance) = self.playout.get_mut(id) {
            utterance.closed = true;
        }
        self.playout.finish(id, &mut self.out);
    }

    pub(super) fn open(&mut self, opening: Opening) {
        let mut utterance = Utterance::new(opening.id);
        utterance.held = opening.held;
        self.playout.queue(utterance, opening.before);
        self.voice.open(opening.id, opening.phrase, opening.language);
    }

    /// Takes an utterance out; its voice need not go on.
    pub(super) fn remove(&mut self, id: UtteranceId, now: CallTime) -> Heard {
        self.voice.forget(id);
        let Some((utterance, heard)) = self.playout.cut(id, now) else { return Heard::default() };
        if !utterance.given() {
            self.out.push_back(Output::Tts(TtsCommand::Cancel { utterance: id }));
        }
        if utterance.has_recording() {
            self.recording = None;
        }
        self.outbound.reset();
        heard
    }

    /// Converts what is about to be sent. True if there was anything.
    fn fill(&mut self) -> bool {
        let mut any = false;
        while let Some(utterance) = self.playout.next_to_send() {
            let Some(mut raw) = utterance.next_raw(CONVERSION_LEAD) else { break };
            any = true;
            let id = utterance.id;
            let (Raw::Sound { segment, .. } | Raw::End { segment }) = &raw;
            let outbound = if utterance.is_recording(*segment) {
                let level = Dbov(self.config.playout.level);
                self.recording.get_or_insert_with(|| Box::new(Outbound::new(level, None)))
            } else {
                &mut self.outbound
            };
            match &mut raw {
                Raw::Sound { segment, chunk, taken } => match outbound.convert(chunk, taken) {
                    Ok(octets) => {
                        utterance.push_audio(*segment, octets);
                        utterance.put_back(raw);
                    }
                    Err(error) => {
                        utterance.fail(*segment);
                        self.trouble(format!("the voice's sound can't be used: {error}"));
                    }
                },
                Raw::End { segment } => {
                    utterance.push_audio(*segment, outbound.finish_segment());
                    utterance.segment_done(*segment);
                    if utterance.is_recording(*segment) {
                        self.recording = None;
                    }
                    self.playout.finish(id, &mut self.out);
                }
            }
        }
        any
    }

    /// Sends what there is room for.
    pub(super) fn pump(&mut self, now: CallTime) {
        let room = self.playout.has_room(now);
        // What is sent makes room for more to be converted, perhaps of the next utterance.
        while self.fill() | (room && self.playout.send(now, &mut self.out)) {}
        while let Some(id) = self.playout.pop_begun() {
            self.events.push_back(LineEvent::Began(id));
        }
        if let Some(id) = self.playout.pop_dry() {
            self.events.push_back(LineEvent::Dry(id));
        }
        self.playout.forget_heard(now);
    }
}
