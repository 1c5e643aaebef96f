//! Calls over a real socket, with a double of the provider.

use offhook_doubles::{Doubles, DoublesConfig, Fault, FaultRule, Hum, Moment, Rule, Script, Speaker, Stage};
use offhook_stages::{BoxFuture, CallInfo, Rx, Tts, Tx, WhenFull, bounded};
use tokio::time::{sleep, timeout};

use super::*;
use crate::llm::Prompt;
use crate::net::Secret;
use crate::realtime::Realtime;

pub(super) const SAID: &str = "Hello, can I move my appointment?";
pub(super) const ANSWER: &str = "Of course you can do that. To which day would you like to move it?";

pub(super) fn script(answers: Vec<Rule>) -> Script {
    Script { caller: vec![SAID.into()], answers }
}

/// A voice that gives 100 ms for everything.
struct Voice;

impl Tts for Voice {
    fn name(&self) -> &str {
        "voice"
    }

    fn voice(&self) -> &str {
        "a"
    }

    fn run(
        &self,
        _: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let TtsCommand::Speak(request) = command else { continue };
                let (utterance, segment) = (request.utterance, request.segment);
                let chunk = AudioChunk::Mulaw([0x2A; 800].into());
                events.send(TtsEvent::Audio { utterance, segment, chunk }).await.unwrap();
                events.send(TtsEvent::Done { utterance, segment }).await.unwrap();
            }
            Ok(())
        })
    }
}

/// A call's end of the three stages.
pub(super) struct Call {
    pub(super) doubles: Doubles,
    info: CallInfo,
    pub(super) stt: Tx<SttCommand>,
    pub(super) llm: Tx<LlmCommand>,
    tts: Tx<TtsCommand>,
    heard: Rx<SttEvent>,
    pub(super) written: Rx<LlmEvent>,
    spoken: Rx<TtsEvent>,
    pub(super) run: tokio::task::JoinHandle<Result<(), StageError>>,
    at: u64,
}

impl Call {
    async fn begin(faults: Vec<FaultRule>) -> Self {
        let answer = Rule { heard: "move".to_owned(), say: ANSWER.to_owned(), ..Rule::default() };
        let doubles = DoublesConfig { script: script(vec![answer]), faults, ..DoublesConfig::default() };
        let config = RealtimeConfig { voice: "marin".to_owned(), ..config() };
        Self::with(doubles, "/v1/realtime", config).await
    }

    /// The same, at another service's address.
    pub(super) async fn with(doubles: DoublesConfig, path: &str, config: RealtimeConfig) -> Self {
        let doubles = Doubles::start(doubles).await.unwrap();
        let config = RealtimeConfig { url: format!("{}{path}", doubles.ws()), ..config };
        let parameters = json!({"type": "object", "properties": {"day": {"type": "string"}}});
        let tool =
            ToolSpec { name: "find_booking".to_owned(), description: "Finds it.".to_owned(), parameters };
        let prompt = Prompt { tools: Arc::new([tool]), ..Prompt::default() };
        let realtime = Realtime::new(config, Some(Secret::new("a-key")), prompt, Arc::new(Voice));
        let (stt, llm, tts) = realtime.stages();
        let info = CallInfo { call: "CA1".into(), ..CallInfo::default() };
        let (to_stt, stt_commands) = bounded(1_000, WhenFull::DropOldest);
        let (to_llm, llm_commands) = bounded(256, WhenFull::PushBack);
        let (to_tts, tts_commands) = bounded(256, WhenFull::PushBack);
        let (stt_events, heard) = bounded(256, WhenFull::PushBack);
        let (llm_events, written) = bounded(256, WhenFull::PushBack);
        let (tts_events, spoken) = bounded(256, WhenFull::PushBack);
        tokio::spawn(llm.run(info.clone(), llm_commands, llm_events));
        tokio::spawn(tts.run(info.clone(), tts_commands, tts_events));
        let run = tokio::spawn(stt.run(info.clone(), stt_commands, stt_events));
        Self { doubles, info, stt: to_stt, llm: to_llm, tts: to_tts, heard, written, spoken, run, at: 0 }
    }

    pub(super) fn respond(&self, reply: u32, reason: ReplyReason, history: Vec<Entry>) {
        let tools = ToolUse::Auto;
        let request = ReplyRequest {
            reply: ReplyId(reply),
            reason,
            history,
            language: None,
            tools,
            speculative: false,
        };
        self.llm.offer(LlmCommand::Respond(Arc::new(request))).unwrap();
    }

    /// The reply's text, spoken as one sentence, and the octets of its sound.
    pub(super) async fn said(&self, reply: u32) -> Result<(String, usize), String> {
        let text = timeout(Duration::from_secs(5), async {
            let mut text = String::new();
            loop {
                match self.written.recv().await.unwrap() {
                    LlmEvent::Text { reply: of, delta } if of == ReplyId(reply) => text.push_str(&delta),
                    LlmEvent::Done { reply: of } if of == ReplyId(reply) => return Ok(text),
                    LlmEvent::Failed { failure, .. } => return Err(failure.message),
                    _ => {}
                }
            }
        });
        let text = text.await.unwrap()?;
        let text = text.trim().to_owned();
        let octets = self.speak(reply, &text, false).await;
        Ok((text, octets))
    }

    async fn speak(&self, utterance: u32, text: &str, last: bool) -> usize {
        let (utterance, segment) = (UtteranceId(utterance), SegmentId(0));
        let request =
            SpeakRequest { utterance, segment, text: text.to_owned(), last, language: None, recording: None };
        self.tts.offer(TtsCommand::Speak(request)).unwrap();
        let mut octets = 0;
        let spoken = timeout(Duration::from_secs(5), async {
            loop {
                match self.spoken.recv().await.unwrap() {
                    TtsEvent::Audio { chunk: AudioChunk::Mulaw(chunk), .. } => octets += chunk.len(),
                    TtsEvent::Done { .. } => return,
                    other => panic!("{other:?}"),
                }
            }
        });
        spoken.await.unwrap();
        octets
    }

    /// The caller speaks; what was understood.
    pub(super) async fn hears(&mut self) -> String {
        let from = SamplePos(self.at);
        let mut sound = Hum.speak(SAID, 8_000).samples;
        sound.resize(sound.len().next_multiple_of(FRAME_SAMPLES), 0);
        self.stt.offer(SttCommand::SpeechStarted { at: from }).unwrap();
        for frame in sound.as_chunks::<FRAME_SAMPLES>().0 {
            let frame = MulawFrame(frame.map(offhook_mulaw::encode));
            self.stt.offer(SttCommand::Audio { at: SamplePos(self.at), frame }).unwrap();
            self.at += FRAME_SAMPLES as u64;
        }
        let until = SamplePos(self.at);
        self.stt.offer(SttCommand::SpeechPaused { from, until }).unwrap();
        let last = timeout(Duration::from_secs(5), async {
            loop {
                if let SttEvent::Final(said) = self.heard.recv().await.unwrap() {
                    assert_eq!((said.from, said.until), (from.0, until.0));
                    return said.text;
                }
            }
        });
        last.await.unwrap()
    }

    /// What the double was sent, by connection: the kinds of messages, sound left out.
    fn sent(&self) -> Vec<Vec<String>> {
        let seen = self.doubles.seen();
        seen.iter()
            .map(|seen| {
                let messages =
                    seen.messages.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
                let kinds = messages.map(|message| message["type"].as_str().unwrap().to_owned());
                kinds.filter(|kind| kind != "input_audio_buffer.append").collect()
            })
            .collect()
    }
}

#[tokio::test]
async fn a_call() {
    let mut call = Call::begin(Vec::new()).await;
    call.respond(1, ReplyReason::Greeting, Vec::new());
    let (text, octets) = call.said(1).await.unwrap();
    assert!(text.starts_with("I heard: [The caller is on the line."), "{text}");
    assert!(octets > 8_000, "{octets}");
    assert_eq!(call.hears().await, SAID);
    call.respond(2, caller(SAID), vec![caller_said(SAID)]);
    let (text, octets) = call.said(2).await.unwrap();
    assert_eq!(text, ANSWER);
    assert!(octets > 8_000, "{octets}");
    call.llm.offer(LlmCommand::Commit { reply: ReplyId(2) }).unwrap();
    // A word of the engine's own.
    assert_eq!(call.speak(9, "Are you still there?", true).await, 800);
    let heard = Duration::from_millis(700);
    call.llm.offer(LlmCommand::Interrupted { reply: ReplyId(2), heard }).unwrap();
    call.llm.offer(LlmCommand::Cancel { reply: ReplyId(2) }).unwrap();
    sleep(Duration::from_millis(200)).await;
    drop(call.stt);
    timeout(Duration::from_secs(5), call.run).await.unwrap().unwrap().unwrap();
    let seen = call.doubles.seen();
    let kinds =
        |text: &String| serde_json::from_str::<Value>(text).unwrap()["type"].as_str().unwrap().to_owned();
    let mut kinds: Vec<String> = seen[0].messages.iter().map(kinds).collect();
    kinds.retain(|kind| kind != "input_audio_buffer.append");
    assert_eq!(
        kinds,
        [
            "session.update",
            "conversation.item.create",
            "response.create",
            "input_audio_buffer.commit",
            "response.create",
            "conversation.item.create",
            "conversation.item.truncate",
        ]
    );
    let used = call.info.meter.read();
    let used = used.get("openai-realtime").unwrap();
    assert_eq!((used.requests, used.failures, used.input_tokens), (1, 0, 80));
    assert!(used.audio_ms > 4_000);
}

#[tokio::test]
async fn a_session_that_is_lost_is_opened_again_once() {
    let close = Fault::Close { code: 1001, reason: "Your session hit the maximum duration.".to_owned() };
    // Settings, and two messages of a reply; then the end.
    let mut rule = FaultRule::always(Stage::Realtime, close);
    rule.nth = Some(1);
    rule.at = Some(Moment::After(3));
    let call = Call::begin(vec![rule]).await;
    call.respond(1, ReplyReason::Greeting, Vec::new());
    let (text, _) = call.said(1).await.unwrap();
    assert!(text.contains("Greet them"), "{text}");
    assert_eq!(call.sent().len(), 2);
    assert!(call.sent()[1].ends_with(&["response.create".to_owned()]), "{:?}", call.sent());
}

#[tokio::test]
async fn without_a_session_replies_fail_and_the_other_voice_speaks() {
    for fault in [Fault::Unauthorized, Fault::Quota] {
        let call = Call::begin(vec![FaultRule::always(Stage::Realtime, fault)]).await;
        call.respond(1, ReplyReason::Greeting, Vec::new());
        assert!(call.said(1).await.is_err());
        let error = timeout(Duration::from_secs(5), call.run).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), FailureKind::Refused);
        let (utterance, segment) = (UtteranceId(1), SegmentId(0));
        for (nth, last) in [(1, true), (2, false)] {
            let request = SpeakRequest {
                utterance,
                segment,
                text: format!("Sorry {nth}."),
                last,
                language: None,
                recording: None,
            };
            call.tts.offer(TtsCommand::Speak(request)).unwrap();
            let event = timeout(Duration::from_secs(5), call.spoken.recv()).await.unwrap();
            assert!(matches!(event, Some(TtsEvent::Audio { .. })), "{event:?}");
            let event = timeout(Duration::from_secs(5), call.spoken.recv()).await.unwrap();
            assert!(matches!(event, Some(TtsEvent::Done { .. })), "{event:?}");
        }
    }
}
