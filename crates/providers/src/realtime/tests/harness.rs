//! A session without a socket: what the engine and the server say goes in, what comes out is written down.

use super::*;

pub(super) fn config() -> RealtimeConfig {
    RealtimeConfig {
        model: "a-model".to_owned(),
        voice: "a-voice".to_owned(),
        transcription_model: "a-scribe".to_owned(),
        ..RealtimeConfig::default()
    }
    .completed()
}

/// A session, a clock, and everything that came out of it, a line each.
pub(super) struct Harness {
    pub(super) session: Session,
    pub(super) now: Instant,
    pub(super) lines: Vec<String>,
    pub(super) at: u64,
}

impl Harness {
    pub(super) fn new() -> Self {
        let tool = ToolSpec {
            name: "look_up".to_owned(),
            description: "Looks up an order.".to_owned(),
            parameters: json!({"type": "object", "properties": {}}),
        };
        let config = Arc::new(config());
        let session = Session::new(config, "en-US".to_owned(), "Be brief.".to_owned(), Arc::new([tool]));
        let mut harness = Self { session, now: Instant::now(), lines: Vec::new(), at: 0 };
        harness.session.opened(harness.now);
        harness.settle();
        harness.lines.clear();
        harness.server(json!({"type": "session.updated", "session": {}}));
        harness
    }

    pub(super) fn settle(&mut self) {
        self.session.settle(self.now).unwrap();
        for event in std::mem::take(&mut self.session.say) {
            self.lines.push(format!("> {}", short(&event)));
        }
        for event in self.session.hears() {
            self.lines.push(match event {
                SttEvent::Partial(said) => format!("partial {}", said.text),
                SttEvent::Final(said) => format!("final {}..{} {}", said.from, said.until, said.text),
                other => format!("{other:?}"),
            });
        }
        for event in std::mem::take(&mut self.session.llm) {
            self.lines.push(match event {
                LlmEvent::Text { reply, delta } => format!("text {reply} {delta:?}"),
                LlmEvent::Tool { reply, call } => {
                    format!("tool {reply} {} {}({})", call.id, call.name, call.arguments)
                }
                LlmEvent::Done { reply } => format!("done {reply}"),
                LlmEvent::Failed { reply, failure } => format!("failed {reply} {:?}", failure.kind),
                other => format!("{other:?}"),
            });
        }
        for event in std::mem::take(&mut self.session.tts) {
            self.lines.push(match event {
                TtsEvent::Audio { utterance, segment, chunk: AudioChunk::Mulaw(octets) } => {
                    format!("sound {utterance}/{segment} {} octets", octets.len())
                }
                TtsEvent::Done { utterance, segment } => format!("spoken {utterance}/{segment}"),
                other => format!("{other:?}"),
            });
        }
        for command in std::mem::take(&mut self.session.voice) {
            self.lines.push(match command {
                TtsCommand::Speak(request) => format!("voice: {}", request.text),
                TtsCommand::Cancel { utterance } => format!("voice: stop {utterance}"),
            });
        }
    }

    #[allow(clippy::needless_pass_by_value, reason = "a message is written where it is sent")]
    pub(super) fn server(&mut self, event: Value) -> &mut Self {
        self.session.on_text(&event.to_string(), self.now).unwrap();
        self.settle();
        self
    }

    pub(super) fn frames(&mut self, count: usize) -> &mut Self {
        for _ in 0..count {
            let frame = MulawFrame([0x55; FRAME_SAMPLES]);
            self.session.on_stt(&SttCommand::Audio { at: SamplePos(self.at), frame }, self.now);
            self.at += FRAME_SAMPLES as u64;
        }
        self.settle();
        self
    }

    /// The caller speaks for so many frames, and pauses.
    pub(super) fn spoken(&mut self, frames: usize) -> &mut Self {
        let from = SamplePos(self.at);
        self.session.on_stt(&SttCommand::SpeechStarted { at: from }, self.now);
        self.frames(frames);
        let until = SamplePos(self.at);
        self.session.on_stt(&SttCommand::SpeechPaused { from, until }, self.now);
        self.settle();
        self
    }

    pub(super) fn heard(&mut self, item: &str, text: &str) -> &mut Self {
        self.server(json!({"type": "input_audio_buffer.committed", "item_id": item}));
        self.server(json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": item,
            "transcript": text}))
    }

    pub(super) fn llm(&mut self, command: LlmCommand) -> &mut Self {
        self.session.on_llm(command, self.now);
        self.settle();
        self
    }

    pub(super) fn ask(&mut self, reply: u32, reason: ReplyReason, history: Vec<Entry>) -> &mut Self {
        let tools = ToolUse::Auto;
        let request = ReplyRequest {
            reply: ReplyId(reply),
            reason,
            history,
            language: None,
            tools,
            speculative: false,
        };
        self.llm(LlmCommand::Respond(Arc::new(request)))
    }

    pub(super) fn speak(&mut self, utterance: u32, segment: u32, text: &str, last: bool) -> &mut Self {
        let request = SpeakRequest {
            utterance: UtteranceId(utterance),
            segment: SegmentId(segment),
            text: text.to_owned(),
            last,
            language: None,
            recording: None,
        };
        self.session.on_tts(TtsCommand::Speak(request), self.now);
        self.settle();
        self
    }

    pub(super) fn begun(&mut self, response: &str, item: &str, text: &str) -> &mut Self {
        self.server(json!({"type": "response.created", "response": {"id": response}}));
        self.server(json!({"type": "response.output_item.added", "response_id": response,
            "item": {"id": item, "type": "message"}}));
        self.server(json!({"type": "response.output_audio_transcript.delta", "response_id": response,
            "item_id": item, "delta": text}))
    }

    pub(super) fn sounds(&mut self, response: &str, item: &str, octets: usize) -> &mut Self {
        let sound = STANDARD.encode(vec![0x55; octets]);
        self.server(json!({"type": "response.output_audio.delta", "response_id": response, "item_id": item,
            "content_index": 0, "delta": sound}))
    }

    pub(super) fn ended(&mut self, response: &str, status: &str) -> &mut Self {
        self.server(json!({"type": "response.done", "response": {"id": response, "status": status,
            "usage": {"input_tokens": 100, "output_tokens": 20, "input_token_details": {"cached_tokens": 60}}}}))
    }

    pub(super) fn after(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.settle();
        self
    }

    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.lines).join("\n")
    }
}

/// A message to the server, in short.
fn short(event: &Value) -> String {
    let mut event = event.clone();
    if let Some(audio) = event.get("audio").and_then(Value::as_str) {
        event["audio"] = format!("{} octets", STANDARD.decode(audio).unwrap().len()).into();
    }
    let kind = event["type"].as_str().unwrap().to_owned();
    event.as_object_mut().unwrap().remove("type");
    format!("{kind} {event}")
}
