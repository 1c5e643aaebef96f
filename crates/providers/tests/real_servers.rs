//! The adapters with real servers on this machine: llama.cpp; faster-whisper and Piper behind an OpenAI-compatible address.
//! `make servers` installs and starts them, and says where they are; without them the tests say that they were skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use offhook_audio::{FRAME_SAMPLES, MulawFrame, SamplePos};
use offhook_providers::llm::{LlmConfig, NetworkLlm, Prompt};
use offhook_providers::stt::SttConfig;
use offhook_providers::tts::TtsConfig;
use offhook_stage_api::id::{ReplyId, SegmentId, UtteranceId};
use offhook_stage_api::{
    AudioChunk, Content, Entry, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, SpeakRequest, SttCommand,
    SttEvent, ToolUse, TtsCommand, TtsEvent,
};
use offhook_stages::{CallInfo, Llm, ToolSpec, WhenFull, bounded};
use serde_json::json;
use tokio::time::timeout;

/// A model of a few hundred million parameters on a core that others use, too.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a server is, if it is there.
fn server(name: &str) -> Option<String> {
    let at = std::env::var(name).ok().filter(|at| !at.is_empty());
    if at.is_none() {
        eprintln!("skipped: {name} tells of no server (see `make servers`)");
    }
    at
}

#[tokio::test]
async fn llama_cpp_answers_and_goes_on() {
    let Some(base) = server("OFFHOOK_LLAMACPP") else { return };
    let deadlines = json!({"connect": "5s", "first": "120s", "gap": "60s"});
    let config = json!({"provider": "llamacpp", "model": "any", "base_url": base, "max_tokens": 24, "deadlines": deadlines});
    let config: LlmConfig = serde_json::from_value(config).unwrap();
    let parameters = json!({"type": "object", "properties": {"day": {"type": "string"}}});
    let tool = ToolSpec { name: "find_booking".to_owned(), description: "Finds it.".to_owned(), parameters };
    let prompt =
        Prompt { instructions: "You take bookings.".into(), tools: [tool].into(), ..Prompt::default() };
    let stage = NetworkLlm::new(config, None, prompt).unwrap();
    let (commands, for_stage) = bounded(8, WhenFull::PushBack);
    let (from_stage, events) = bounded(256, WhenFull::PushBack);
    drop(tokio::spawn(stage.run(CallInfo::default(), for_stage, from_stage)));
    let mut history = Vec::new();
    for (nth, said) in [(1, "Hello, do you have a table for two?"), (2, "At eight, please.")] {
        history.push(Entry::at(Content::Caller { text: said.to_owned() }, u64::from(nth)));
        let request = ReplyRequest {
            reply: ReplyId(nth),
            reason: ReplyReason::Caller { text: said.to_owned(), confidence: None },
            history: history.clone(),
            language: None,
            tools: ToolUse::None,
            speculative: false,
        };
        commands.send(LlmCommand::Respond(Arc::new(request))).await.unwrap();
        let answer = async {
            let mut text = String::new();
            loop {
                match events.recv().await.unwrap() {
                    LlmEvent::Text { delta, .. } => text.push_str(&delta),
                    LlmEvent::Done { .. } => return text,
                    LlmEvent::Failed { failure, .. } => panic!("{}", failure.message),
                    _ => {}
                }
            }
        };
        let text = timeout(PATIENCE, answer).await.expect("it hangs");
        assert!(text.chars().any(char::is_alphabetic), "{text:?}");
        history.push(Entry::at(
            Content::Agent { text, delivery: offhook_stage_api::Delivery::Heard },
            u64::from(nth),
        ));
    }
}

#[tokio::test]
async fn faster_whisper_understands() {
    let Some(base) = server("OFFHOOK_WHISPER") else { return };
    let deadlines = json!({"connect": "5s", "first": "60s", "gap": "60s"});
    let config = json!({"provider": "whisper", "model": "base", "language": "en", "base_url": base, "deadlines": deadlines});
    let config: SttConfig = serde_json::from_value(config).unwrap();
    let (commands, for_stage) = bounded(2_000, WhenFull::DropOldest);
    let (from_stage, events) = bounded(256, WhenFull::PushBack);
    drop(tokio::spawn(config.build(None).run(CallInfo::default(), for_stage, from_stage)));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/callers/pizza-1.wav");
    let wav = std::fs::read(path).unwrap();
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    let (mut at, mut frames) = (0_u64, Vec::new());
    for frame in wav[data..].as_chunks::<FRAME_SAMPLES>().0 {
        frames.push(SttCommand::Audio { at: SamplePos(at), frame: MulawFrame(*frame) });
        at += FRAME_SAMPLES as u64;
    }
    commands.offer(SttCommand::SpeechStarted { at: SamplePos(0) }).unwrap();
    frames.into_iter().for_each(|frame| commands.offer(frame).unwrap());
    commands.offer(SttCommand::SpeechPaused { from: SamplePos(0), until: SamplePos(at) }).unwrap();
    let heard = async {
        loop {
            if let SttEvent::Final(said) = events.recv().await.unwrap() {
                return said.text;
            }
        }
    };
    let text = timeout(PATIENCE, heard).await.expect("it hangs").to_lowercase();
    assert!(text.contains("pepperoni") && text.contains("two"), "{text}");
}

#[tokio::test]
async fn piper_speaks() {
    let Some(base) = server("OFFHOOK_PIPER") else { return };
    let deadlines = json!({"connect": "5s", "first": "60s", "gap": "60s"});
    let config = json!({"provider": "openai", "model": "piper", "voice": "joe", "format": "wav", "base_url": base, "deadlines": deadlines});
    let config: TtsConfig = serde_json::from_value(config).unwrap();
    let voice = config.build(None);
    let (commands, for_stage) = bounded(8, WhenFull::PushBack);
    let (from_stage, events) = bounded(4_096, WhenFull::PushBack);
    drop(tokio::spawn(voice.run(CallInfo::default(), for_stage, from_stage)));
    let (utterance, segment) = (UtteranceId(1), SegmentId(0));
    let text = "Good evening, this is the Blue Door restaurant.".to_owned();
    let request = SpeakRequest { utterance, segment, text, last: true, language: None, recording: None };
    commands.send(TtsCommand::Speak(request)).await.unwrap();
    let spoken = async {
        let (mut samples, mut loud) = (0_usize, 0_usize);
        loop {
            match events.recv().await.unwrap() {
                TtsEvent::Audio { chunk: AudioChunk::Mulaw(octets), .. } => {
                    samples += octets.len();
                    loud += octets
                        .iter()
                        .filter(|octet| offhook_mulaw::decode(**octet).unsigned_abs() > 1_000)
                        .count();
                }
                TtsEvent::Audio { chunk: AudioChunk::Pcm { samples: sound, rate }, .. } => {
                    samples += sound.len() * 8_000 / rate.hz() as usize;
                    loud += sound.iter().filter(|sample| sample.unsigned_abs() > 1_000).count();
                }
                TtsEvent::Done { .. } => return (samples, loud),
                TtsEvent::Failed { failure, .. } => panic!("{}", failure.message),
                _ => {}
            }
        }
    };
    let (samples, loud) = timeout(PATIENCE, spoken).await.expect("it hangs");
    // Some three seconds of speech at 8 kHz.
    assert!((12_000..48_000).contains(&samples) && loud > samples / 10, "{samples} {loud}");
}
