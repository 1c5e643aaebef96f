//! Chains of network providers against doubles that fail in every way: the caller hears one answer, once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use offhook_chain::{Deadlines, Link, LinkConfig, LlmChain, TtsChain};
use offhook_doubles::{Doubles, DoublesConfig, Fault, FaultRule, Moment, Rule, Script, Stage};
use offhook_providers::llm::{LlmConfig, LlmProvider, NetworkLlm, Prompt};
use offhook_providers::net::Secret;
use offhook_providers::tts::TtsConfig;
use offhook_stage_api::id::{ReplyId, SegmentId, UtteranceId};
use offhook_stage_api::{
    Content, Entry, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, SpeakRequest, ToolUse, TtsCommand,
    TtsEvent,
};
use offhook_stages::{CallInfo, Llm, Tts, WhenFull, bounded};
use serde_json::json;
use tokio::time::timeout;

const ANSWER: &str =
    "Your table is booked for Friday at three. It stands by the window. Is there anything else?";

async fn doubles(faults: Vec<FaultRule>) -> Doubles {
    let answer = Rule { say: ANSWER.into(), ..Rule::default() };
    let script = Script { answers: vec![answer], ..Script::default() };
    Doubles::start(DoublesConfig { script, faults, ..DoublesConfig::default() }).await.unwrap()
}

fn faults() -> Vec<(Fault, Option<Moment>)> {
    let close = Fault::Close { code: 1011, reason: "internal".into() };
    let limited = Fault::RateLimited { retry_after: Some(1), retry_after_ms: None };
    let mut all: Vec<_> = [
        Fault::Refuse,
        Fault::Hang,
        Fault::Unauthorized,
        Fault::Quota,
        limited,
        Fault::ServerError,
        Fault::Unavailable,
        Fault::Overloaded,
        Fault::EmptyAudio,
    ]
    .map(|fault| (fault, None))
    .to_vec();
    for fault in [Fault::Cut, Fault::Stall, Fault::ErrorEvent, Fault::NoTerminator, close] {
        let moments = [1, 2, 5, 12].map(Moment::Before).into_iter().chain([2, 7].map(Moment::During));
        all.extend(moments.map(|at| (fault.clone(), Some(at))));
    }
    all
}

fn rule(stage: Stage, fault: &Fault, at: Option<Moment>) -> FaultRule {
    FaultRule { at, ..FaultRule::always(stage, fault.clone()) }
}

fn soon() -> LinkConfig {
    let ms = |ms| Some(Duration::from_millis(ms));
    LinkConfig { first: ms(1_500), gap: ms(1_500), ..LinkConfig::default() }
}

fn call_info() -> CallInfo {
    CallInfo { call: "CA1".into(), language: "en-US".into(), ..CallInfo::default() }
}

fn model(at: &Doubles, provider: LlmProvider) -> Link<dyn Llm> {
    let base_url = Some(format!("{}/v1", at.http()));
    let config = LlmConfig { provider, model: "any".into(), base_url, ..LlmConfig::default() };
    let model = NetworkLlm::new(config, Some(&Secret::new("key")), Prompt::default()).unwrap();
    Link::new(Arc::new(model), Deadlines::LLM, &soon())
}

/// The answer of a sick model and a well one, and whether it was complete.
async fn answer(fault: &Fault, at: Option<Moment>, order: [LlmProvider; 2]) -> (String, bool) {
    let sick = doubles(vec![rule(Stage::Llm, fault, at)]).await;
    let well = doubles(Vec::new()).await;
    let chain = LlmChain::new(vec![model(&sick, order[0]), model(&well, order[1])]).unwrap();
    let (to, commands) = bounded(64, WhenFull::PushBack);
    let (events, from) = bounded(64, WhenFull::PushBack);
    let run = tokio::spawn(chain.run(call_info(), commands, events));
    let text = "Book a table, please.".to_owned();
    let history = vec![Entry::at(Content::Caller { text: text.clone() }, 9)];
    let reason = ReplyReason::Caller { text, confidence: None };
    let request = ReplyRequest {
        reply: ReplyId(1),
        reason,
        history,
        language: None,
        tools: ToolUse::Auto,
        speculative: false,
    };
    to.offer(LlmCommand::Respond(Arc::new(request))).unwrap();
    let mut said = String::new();
    let complete = loop {
        match timeout(Duration::from_secs(20), from.recv()).await.unwrap().unwrap() {
            LlmEvent::Text { delta, .. } => said += &delta,
            LlmEvent::Done { .. } => break true,
            LlmEvent::Failed { .. } => break false,
            _ => {}
        }
    };
    run.abort();
    (said.trim().to_owned(), complete)
}

#[tokio::test]
async fn a_model_that_fails_is_replaced_within_the_answer() {
    for order in
        [[LlmProvider::Openai, LlmProvider::Anthropic], [LlmProvider::Anthropic, LlmProvider::Openai]]
    {
        let faults = faults();
        let answers = join_all(faults.iter().map(|(fault, at)| answer(fault, *at, order))).await;
        for (answer, fault) in answers.iter().zip(&faults) {
            assert_eq!(*answer, (ANSWER.to_owned(), true), "{order:?}, {fault:?}");
        }
    }
}

fn voice(config: serde_json::Value) -> Link<dyn Tts> {
    let config: TtsConfig = serde_json::from_value(config).unwrap();
    Link::new(config.build(Some(Secret::new("key"))), Deadlines::TTS, &soon())
}

/// A voice at a double.
type Kind = fn(&Doubles) -> Link<dyn Tts>;

fn uploads(at: &Doubles) -> Link<dyn Tts> {
    let url = format!("{}/v1", at.http());
    voice(json!({"provider": "openai", "model": "m", "voice": "v", "base_url": url}))
}

fn streams(at: &Doubles) -> Link<dyn Tts> {
    voice(json!({"provider": "cartesia", "model": "m", "voice": "v", "base_url": at.ws()}))
}

/// How long a text sounds, and whether it was spoken to its end.
async fn speak(links: Vec<Link<dyn Tts>>) -> (Duration, bool) {
    let chain = TtsChain::new(links).unwrap();
    let (to, commands) = bounded(64, WhenFull::PushBack);
    let (events, from) = bounded(256, WhenFull::PushBack);
    let run = tokio::spawn(chain.run(call_info(), commands, events));
    let (utterance, segment) = (UtteranceId(1), SegmentId(0));
    let request = SpeakRequest {
        utterance,
        segment,
        text: ANSWER.to_owned(),
        last: true,
        language: None,
        recording: None,
    };
    to.offer(TtsCommand::Speak(request)).unwrap();
    let (mut sound, mut last_word) = (Duration::ZERO, 0);
    let complete = loop {
        match timeout(Duration::from_secs(20), from.recv()).await.unwrap().unwrap() {
            TtsEvent::Audio { chunk, .. } => sound += chunk.duration(),
            TtsEvent::Words { words, .. } => {
                for word in words {
                    assert!(word.start_ms >= last_word, "words come in order");
                    last_word = word.start_ms;
                }
            }
            TtsEvent::Done { .. } => break true,
            TtsEvent::Failed { .. } => break false,
        }
    };
    run.abort();
    (sound, complete)
}

#[tokio::test]
async fn a_voice_that_fails_is_replaced_within_the_sentence() {
    let orders: [[Kind; 2]; 2] = [[uploads, streams], [streams, uploads]];
    for (n, order) in orders.into_iter().enumerate() {
        let well = doubles(Vec::new()).await;
        let (whole, complete) = speak(vec![order[0](&well)]).await;
        assert!(complete);
        let faults = faults();
        let cases = faults.iter().map(|(fault, at)| async move {
            let sick = doubles(vec![rule(Stage::Tts, fault, *at)]).await;
            let well = doubles(Vec::new()).await;
            speak(vec![order[0](&sick), order[1](&well)]).await
        });
        for ((sound, complete), fault) in join_all(cases).await.into_iter().zip(&faults) {
            assert!(complete, "{n}, {fault:?}");
            // Where nothing tells which words were spoken, the estimate may be some words off.
            let parts = sound.as_secs_f64() / whole.as_secs_f64();
            assert!((0.75..1.3).contains(&parts), "{n}, {fault:?}: {sound:?} of {whole:?}");
        }
    }
}
