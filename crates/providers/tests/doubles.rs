//! The adapters against doubles of their providers, over real sockets: what they send is what the providers take, and whatever
//! goes wrong, they say so in time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use offhook_audio::{MulawFrame, SamplePos};
use offhook_doubles::{
    Doubles, DoublesConfig, Fault, FaultRule, Hum, Moment, Rule, Script, Speaker, Stage, ToolCall,
};
use offhook_providers::llm::{LlmConfig, NetworkLlm, Prompt};
use offhook_providers::net::Secret;
use offhook_providers::stt::SttConfig;
use offhook_providers::tts::TtsConfig;
use offhook_stage_api::id::{ReplyId, SegmentId, UtteranceId};
use offhook_stage_api::{
    Content, Entry, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, SpeakRequest, SttCommand, ToolUse,
    TtsCommand, TtsEvent,
};
use offhook_stages::{CallInfo, Llm, StageError, ToolSpec, WhenFull, bounded};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

const SAID: &str = "Hello, can I move my appointment?";
const ANSWER: &str = "Your appointment is on Friday.";

fn key() -> Option<Secret> {
    Some(Secret::new("key"))
}

fn info() -> CallInfo {
    CallInfo { language: "en-US".into(), ..CallInfo::default() }
}

fn script() -> DoublesConfig {
    let call = ToolCall { name: "find_booking".to_owned(), arguments: json!({"day": "Friday"}) };
    let rule = Rule {
        heard: "move".to_owned(),
        say: "One moment.".to_owned(),
        calls: vec![call],
        ..Rule::default()
    };
    DoublesConfig { script: Script { answers: vec![rule], ..Script::default() }, ..DoublesConfig::default() }
}

/// Deadlines that tests can wait for.
fn hasty(mut config: Value) -> Value {
    config["deadlines"] = json!({"connect": "1s", "first": "700ms", "gap": "700ms"});
    config
}

/// Says the caller's words, as a call would tell of them, and returns how the stage ended.
async fn hear(config: Value) -> Result<(), StageError> {
    let config: SttConfig = serde_json::from_value(hasty(config)).unwrap();
    let (commands, for_stage) = bounded(1_000, WhenFull::DropOldest);
    let (from_stage, events) = bounded(256, WhenFull::PushBack);
    let run = tokio::spawn(config.build(key()).run(info(), for_stage, from_stage));
    let mut sound = vec![0; 2_400];
    sound.extend(Hum.speak(SAID, 8_000).samples);
    let until = sound.len() as u64;
    sound.extend([0; 8_000]);
    let tell = |command| {
        let _over = commands.offer(command); // the stage may have failed already, as some tests want
    };
    for (nth, frame) in sound.as_chunks::<160>().0.iter().enumerate() {
        let at = nth as u64 * 160;
        tell(SttCommand::Audio { at: SamplePos(at), frame: MulawFrame(frame.map(offhook_mulaw::encode)) });
        if at == 2_880 {
            tell(SttCommand::SpeechStarted { at: SamplePos(2_400) });
        }
        if (until + 960..until + 1_120).contains(&at) {
            tell(SttCommand::SpeechPaused { from: SamplePos(2_400), until: SamplePos(until) });
        }
        if (until + 4_800..until + 4_960).contains(&at) {
            tell(SttCommand::TurnEnded { until: SamplePos(until) });
        }
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(500)).await;
    drop(commands);
    let end = timeout(Duration::from_secs(5), run).await.expect("the stage hangs").unwrap();
    drop(events);
    end
}

fn recognisers(doubles: &Doubles) -> Vec<Value> {
    let (http, ws) = (doubles.http(), doubles.ws());
    vec![
        json!({"provider": "deepgram", "model": "nova-3", "url": format!("{ws}/v1/listen")}),
        json!({"provider": "deepgram_flux", "model": "flux-general-en", "url": format!("{ws}/v2/listen")}),
        json!({"provider": "assemblyai", "url": format!("{ws}/v3/ws")}),
        json!({"provider": "vosk", "url": ws}),
        json!({"provider": "whisper", "model": "whisper-1", "base_url": format!("{http}/v1")}),
    ]
}

#[tokio::test]
async fn recognisers_fail_and_say_so() {
    let faults = [
        Fault::Unauthorized,
        Fault::Quota,
        // Longer than a turn may wait; a second is waited for, and outlasts this call.
        Fault::RateLimited { retry_after: Some(30), retry_after_ms: None },
        Fault::Unavailable,
        Fault::Refuse,
        Fault::Hang,
        Fault::Close { code: 1011, reason: "internal".to_owned() },
    ];
    for fault in faults {
        let doubles = Doubles::start(DoublesConfig::default()).await.unwrap();
        doubles.set_fault(Stage::Stt, Some(fault.clone()));
        let all = recognisers(&doubles).into_iter().map(|config| async {
            let name = config["provider"].as_str().unwrap().to_owned();
            (name, hear(config).await)
        });
        for (name, end) in futures_util::future::join_all(all).await {
            assert!(end.is_err(), "{name} takes {fault:?} for success");
        }
    }
}

/// Asks a model, and returns its words, its calls, and how it ended.
async fn ask(config: Value, text: &str) -> (String, Vec<Value>, Result<(), String>) {
    let config: LlmConfig = serde_json::from_value(hasty(config)).unwrap();
    let parameters = json!({"type": "object", "properties": {"day": {"type": "string"}}});
    let tool = ToolSpec { name: "find_booking".to_owned(), description: "Finds it.".to_owned(), parameters };
    let prompt =
        Prompt { instructions: "You take bookings.".into(), tools: [tool].into(), ..Prompt::default() };
    let stage = NetworkLlm::new(config, key().as_ref(), prompt).unwrap();
    let (commands, for_stage) = bounded(8, WhenFull::PushBack);
    let (from_stage, events) = bounded(256, WhenFull::PushBack);
    let run = tokio::spawn(stage.run(info(), for_stage, from_stage));
    let history = vec![Entry::at(Content::Caller { text: text.to_owned() }, 0)];
    let reason = ReplyReason::Caller { text: text.to_owned(), confidence: None };
    commands
        .offer(LlmCommand::Respond(Arc::new(ReplyRequest {
            reply: ReplyId(1),
            reason,
            history,
            language: None,
            tools: ToolUse::Auto,
            speculative: false,
        })))
        .unwrap();
    let (mut words, mut calls) = (String::new(), Vec::new());
    let end = loop {
        match timeout(Duration::from_secs(5), events.recv()).await.expect("the stage hangs") {
            Some(LlmEvent::Text { delta, .. }) => words.push_str(&delta),
            Some(LlmEvent::Tool { call, .. }) => {
                calls.push(json!({"name": call.name, "arguments": call.arguments}))
            }
            Some(LlmEvent::Done { .. }) => break Ok(()),
            Some(LlmEvent::Failed { failure, .. }) => break Err(failure.message),
            Some(_) => {}
            None => break Err(format!("{:?}", run.await)),
        }
    };
    (words, calls, end)
}

fn models(doubles: &Doubles) -> Vec<Value> {
    let base = format!("{}/v1", doubles.http());
    let model = |provider: &str| json!({"provider": provider, "model": "m", "base_url": base});
    let responses = json!({"provider": "openai", "protocol": "responses", "model": "m", "base_url": base});
    vec![model("openai"), model("groq"), model("anthropic"), model("mistral"), model("gemini"), responses]
}

#[tokio::test]
async fn models_answer_and_call_tools() {
    let doubles = Doubles::start(script()).await.unwrap();
    for config in models(&doubles) {
        let (words, _, end) = ask(config.clone(), "Good morning.").await;
        assert_eq!((words.as_str(), end), ("I heard: Good morning.", Ok(())), "{config}");
        let (words, calls, end) = ask(config.clone(), "Can I move it?").await;
        assert_eq!((words.trim(), end), ("One moment.", Ok(())), "{config}");
        assert_eq!(calls.len(), 1, "{config}");
        assert!(calls[0].to_string().contains("Friday"), "{calls:?}");
    }
}

#[tokio::test]
async fn models_fail_and_say_so() {
    let cut = |fault| (fault, Some(Moment::During(5))); // a token in both protocols
    let faults = [
        (Fault::Unauthorized, None),
        (Fault::Quota, None),
        (Fault::RateLimited { retry_after: None, retry_after_ms: Some(50) }, None),
        (Fault::Unavailable, None),
        (Fault::Overloaded, None),
        (Fault::Refuse, None),
        (Fault::Hang, None),
        (Fault::ErrorEvent, None),
        cut(Fault::ErrorEvent),
        cut(Fault::Cut),
        cut(Fault::Stall),
        cut(Fault::BrokenJson),
    ];
    for (fault, at) in faults {
        let doubles = Doubles::start(script()).await.unwrap();
        doubles.add_fault(FaultRule { at, ..FaultRule::always(Stage::Llm, fault.clone()) });
        for config in models(&doubles) {
            let (.., end) = ask(config.clone(), "Good morning.").await;
            let message = end.expect_err(&format!("{} takes {fault:?} for success", config["provider"]));
            assert!(!message.is_empty() && !message.contains("key\""), "{message}");
        }
    }
}

#[tokio::test]
async fn models_are_read_whatever_the_pieces() {
    for fault in [Fault::Split, Fault::WrongContentType] {
        let doubles = Doubles::start(script()).await.unwrap();
        doubles.set_fault(Stage::Llm, Some(fault.clone()));
        for config in models(&doubles) {
            let (words, _, end) = ask(config.clone(), "Good morning.").await;
            assert!(end.is_err() || words == "I heard: Good morning.", "{config} {fault:?}: {words}");
        }
    }
}

/// Speaks a text: milliseconds of sound, words, how it ended.
async fn speak(config: Value) -> (u128, usize, Result<(), String>) {
    let config: TtsConfig = serde_json::from_value(hasty(config)).unwrap();
    let (commands, for_stage) = bounded(8, WhenFull::PushBack);
    let (from_stage, events) = bounded(1_024, WhenFull::PushBack);
    let run = tokio::spawn(config.build(key()).run(info(), for_stage, from_stage));
    let request = SpeakRequest {
        utterance: UtteranceId(1),
        segment: SegmentId(0),
        text: ANSWER.to_owned(),
        last: true,
        language: None,
        recording: None,
    };
    commands.offer(TtsCommand::Speak(request)).unwrap();
    let (mut sound, mut words) = (Duration::ZERO, 0);
    let end = loop {
        match timeout(Duration::from_secs(5), events.recv()).await.expect("the stage hangs") {
            Some(TtsEvent::Audio { chunk, .. }) => sound += chunk.duration(),
            Some(TtsEvent::Words { words: more, .. }) => words += more.len(),
            Some(TtsEvent::Done { .. }) => break Ok(()),
            Some(TtsEvent::Failed { failure, .. }) => break Err(failure.message),
            None => break Err(format!("{:?}", run.await)),
        }
    };
    (sound.as_millis(), words, end)
}

fn voices(doubles: &Doubles) -> Vec<Value> {
    let (http, ws) = (doubles.http(), doubles.ws());
    let flash = "eleven_flash_v2_5";
    vec![
        json!({"provider": "elevenlabs", "model": flash, "voice": "v", "base_url": ws}),
        json!({"provider": "elevenlabs_http", "model": flash, "voice": "v", "base_url": http}),
        json!({"provider": "elevenlabs_http", "model": flash, "voice": "v", "base_url": http, "timestamps": true}),
        json!({"provider": "deepgram", "voice": "aura-2-thalia-en", "base_url": ws}),
        json!({"provider": "cartesia", "model": "sonic-3.5", "voice": "v", "base_url": ws}),
        json!({"provider": "openai", "model": "m", "voice": "marin", "base_url": format!("{http}/v1")}),
    ]
}

#[tokio::test]
async fn voices_speak() {
    let doubles = Doubles::start(DoublesConfig::default()).await.unwrap();
    for config in voices(&doubles) {
        let (sound, _, end) = speak(config.clone()).await;
        assert_eq!(end, Ok(()), "{config}");
        assert!((1_700..2_500).contains(&sound), "{config}: {sound} ms");
    }
}

#[tokio::test]
async fn voices_fail_and_say_so() {
    let faults = [
        (Fault::Unauthorized, None),
        (Fault::Quota, None),
        (Fault::RateLimited { retry_after: Some(1), retry_after_ms: None }, None),
        (Fault::Unavailable, None),
        (Fault::Refuse, None),
        (Fault::Hang, None),
        (Fault::EmptyAudio, None),
        (Fault::Mp3, None),
        (Fault::Stall, Some(Moment::After(2))),
        (Fault::Cut, Some(Moment::During(3))),
    ];
    for (fault, at) in faults {
        let doubles = Doubles::start(DoublesConfig::default()).await.unwrap();
        doubles.add_fault(FaultRule { at, ..FaultRule::always(Stage::Tts, fault.clone()) });
        for config in voices(&doubles) {
            let (sound, _, end) = speak(config.clone()).await;
            assert!(end.is_err(), "{config} takes {fault:?} for success, with {sound} ms of sound");
        }
    }
}
