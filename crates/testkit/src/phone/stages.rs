//! The stages of a line: they hear, think and speak what they were told to.

use offhook_stage_api::{
    AudioChunk, LlmCommand, LlmEvent, ReplyReason, SttCommand, SttEvent, TimedWord, ToolCall, Transcript,
    TtsCommand, TtsEvent,
};

use super::{Later, Phone, TOOL, WORD_MS};

impl Phone {
    pub(super) fn on_stt(&mut self, command: &SttCommand, at_ms: u64) {
        if let SttCommand::Expect(expected) = command
            && let Some(language) = &expected.language
        {
            self.tell(at_ms, &format!("the recogniser is to expect {language}"));
        }
        if let SttCommand::SpeechPaused { from, until } = command {
            if self.no_auto_stt {
                return;
            }
            let text = if self.words.is_empty() {
                self.transcripts.pop_front().unwrap_or_default()
            } else {
                self.heard_between(from.0, until.0)
            };
            let transcript = Transcript { from: from.0, until: until.0, text, ..Transcript::default() };
            self.schedule(at_ms + self.stt_ms, Later::Stt(SttEvent::Final(transcript)));
        }
    }

    /// The words said in a stretch, of which at least half lies in it.
    fn heard_between(&self, from: u64, until: u64) -> String {
        let inside = self.words.iter().filter(|(start, end, text)| {
            let common = until.min(*end).saturating_sub(from.max(*start));
            !text.is_empty() && common * 2 >= end - start
        });
        inside.map(|(_, _, text)| text.as_str()).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn on_llm(&mut self, command: LlmCommand, at_ms: u64) {
        if let LlmCommand::Interrupted { reply, heard } = command {
            self.tell(at_ms, &format!("model told: {reply} interrupted after {} ms", heard.as_millis()));
        }
        match &command {
            LlmCommand::Respond(r) => {
                self.requests.push((at_ms, r.as_ref().clone()));
                self.asked = crate::shown(&r.history);
            }
            LlmCommand::Commit { reply } => {
                // A speculative reply that is dropped is asked for again, so it stays first until it is certain.
                let said = self.answering.remove(reply);
                if said.is_some() && self.replies.front() == said.as_ref() {
                    self.replies.pop_front();
                }
            }
            LlmCommand::Cancel { .. }
            | LlmCommand::Interrupted { .. }
            | LlmCommand::ToolResult(_)
            | LlmCommand::News(_) => {}
        }
        let LlmCommand::Respond(request) = command else { return };
        if request.reason == ReplyReason::Greeting && self.replies.is_empty() {
            return;
        }
        let reply = request.reply;
        let Some(text) = self.replies.front().cloned() else { return };
        self.answering.insert(reply, text.clone());
        let (text, tool) = match text.split_once(TOOL) {
            Some((text, tool)) => (text.to_owned(), Some(tool.to_owned())),
            None => (text, None),
        };
        if request.reason == ReplyReason::Greeting {
            self.replies.pop_front();
        }
        let saved = self.reply_ms;
        if let Some(d) = self.reply_delays.pop_front() {
            self.reply_ms = d;
        }
        self.schedule(at_ms + self.reply_ms, Later::Llm(LlmEvent::Text { reply, delta: text }));
        if let Some(tool) = tool {
            let (name, arguments) = tool.split_once(' ').unwrap_or((&tool, "{}"));
            let arguments = serde_json::from_str(arguments).unwrap();
            let call = ToolCall { id: "call_0".into(), name: name.to_owned(), arguments };
            self.schedule(at_ms + self.reply_ms, Later::Llm(LlmEvent::Tool { reply, call }));
        }
        self.schedule(at_ms + self.reply_ms, Later::Llm(LlmEvent::Done { reply }));
        self.reply_ms = saved;
    }

    pub(super) fn on_tts(&mut self, command: TtsCommand, at_ms: u64) {
        let TtsCommand::Speak(request) = command else { return };
        if let Some(language) = &request.language {
            self.tell(at_ms, &format!("the voice of {language} is to say “{}”", request.text));
        }
        let (utterance, segment) = (request.utterance, request.segment);
        let words: Vec<TimedWord> = request
            .text
            .split_whitespace()
            .zip(0u32..)
            .map(|(word, index)| TimedWord {
                word: word.to_owned(),
                start_ms: index * WORD_MS as u32,
                end_ms: (index + 1) * WORD_MS as u32,
            })
            .collect();
        let mut octets = vec![0x30; words.len() * WORD_MS as usize * 8];
        if self.echo.is_some() {
            // An echo must be one of a voice.
            let voice = Self::new().caller_says(0, "pizza-1", "").caller;
            for (to, octet) in octets.iter_mut().zip(voice.iter().cycle()) {
                *to = *octet;
            }
        }
        let chunk = AudioChunk::Mulaw(octets.into());
        if self.tts_hang.contains(&request.text) {
            return;
        }
        if self.tts_fail.contains(&request.text) {
            let failure = offhook_stage_api::StageFailure {
                stage: "voice".into(),
                kind: offhook_stage_api::FailureKind::Broken,
                message: "voice broke".into(),
                retry_after_ms: None,
            };
            self.schedule(at_ms + 30, Later::Tts(TtsEvent::Failed { utterance, segment, failure }));
            return;
        }
        if self.mute.as_ref() == Some(&request.text) {
            self.schedule(at_ms + 30, Later::Tts(TtsEvent::Done { utterance, segment }));
            return;
        }
        self.schedule(at_ms + self.tts_ms, Later::Tts(TtsEvent::Words { utterance, segment, words }));
        self.schedule(at_ms + self.tts_ms, Later::Tts(TtsEvent::Audio { utterance, segment, chunk }));
        self.schedule(at_ms + self.tts_ms, Later::Tts(TtsEvent::Done { utterance, segment }));
    }
}
