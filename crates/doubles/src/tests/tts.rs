use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

use super::support::{Came, DEEPGRAM, ELEVEN, Line, OPENAI, open, post, start, texts};
use crate::{Doubles, DoublesConfig, Latencies};

const TEXT: &str = "Your appointment is on Friday.";
const MULTI: &str =
    "/v1/text-to-speech/v/multi-stream-input?model_id=eleven_flash_v2_5&output_format=ulaw_8000";
const SINGLE: &str = "/v1/text-to-speech/v/stream-input?model_id=eleven_flash_v2_5&output_format=ulaw_8000";
const AURA: &str = "/v1/speak?model=aura-2-thalia-en&encoding=mulaw&sample_rate=8000";

fn sound_of(values: &[Value], member: &str) -> usize {
    let engine = base64::engine::general_purpose::STANDARD;
    values
        .iter()
        .filter_map(|value| engine.decode(value[member].as_str()?).ok())
        .map(|bytes| bytes.len())
        .sum()
}

/// As long as it takes to say it.
fn is_natural(bytes: usize) -> bool {
    (14_000..20_000).contains(&bytes)
}

#[tokio::test]
async fn speech_is_headerless_and_cut_at_odd_places() {
    let doubles = start().await;
    let request = json!({"model": "tts", "voice": "marin", "input": TEXT, "response_format": "pcm"});
    let got = post(&doubles, "/v1/audio/speech", &[OPENAI], request.to_string()).await.unwrap();
    assert!(got.frames.iter().any(|frame| frame.len() % 2 == 1));
    assert_eq!(got.body().len() % 2, 0);
    assert!(is_natural(got.body().len() / 6), "{}", got.body().len());
    let request = json!({"model": "tts", "voice": "marin", "input": TEXT, "response_format": "wav"});
    assert!(
        post(&doubles, "/v1/audio/speech", &[OPENAI], request.to_string())
            .await
            .unwrap()
            .body()
            .starts_with(b"RIFF")
    );
    let request = json!({"model": "tts", "input": TEXT});
    assert_eq!(post(&doubles, "/v1/audio/speech", &[OPENAI], request.to_string()).await.unwrap().status, 400);
}

#[tokio::test]
async fn elevenlabs_and_deepgram_over_http() {
    let doubles = start().await;
    let body = json!({"text": TEXT, "model_id": "eleven_flash_v2_5"}).to_string();
    let path = "/v1/text-to-speech/v/stream?output_format=ulaw_8000";
    assert!(is_natural(post(&doubles, path, &[ELEVEN], body.clone()).await.unwrap().body().len()));
    assert_eq!(post(&doubles, path, &[OPENAI], body).await.unwrap().status, 401);
    let body = json!({"text": TEXT}).to_string();
    let with_header = post(&doubles, AURA, &[DEEPGRAM], body.clone()).await.unwrap();
    assert!(with_header.body().starts_with(b"RIFF"), "without container=none there is a header");
    let got = post(&doubles, &format!("{AURA}&container=none"), &[DEEPGRAM], body).await.unwrap();
    assert!(is_natural(got.body().len()));
}

#[tokio::test(start_paused = true)]
async fn elevenlabs_single_speaks_and_closes() {
    let doubles = start().await;
    let mut line = open(&doubles, SINGLE, &[ELEVEN]).await.unwrap();
    for text in [" ", "Your appointment is ", "on Friday. ", ""] {
        line.say(&json!({"text": text})).await;
    }
    let came = line.rest().await;
    let texts = texts(&came);
    assert!(is_natural(sound_of(&texts, "audio")));
    let chars: String = texts
        .iter()
        .flat_map(|text| text["alignment"]["chars"].as_array().cloned().unwrap_or_default())
        .filter_map(|char| char.as_str().map(str::to_owned))
        .collect();
    assert_eq!(chars, TEXT);
    assert_eq!(texts.last().unwrap()["isFinal"], true);
    assert_eq!(came.last(), Some(&Came::Closed(1000, String::new())));
    let mut line = open(&doubles, SINGLE, &[ELEVEN]).await.unwrap();
    line.say(&json!({"text": "Hello "})).await;
    assert!(matches!(line.rest().await.last(), Some(Came::Closed(1008, _))));
    let mut line = open(&doubles, SINGLE, &[ELEVEN]).await.unwrap();
    let begin = tokio::time::Instant::now();
    let error = line.until(|text| text["error"] == "input_timeout_exceeded").await;
    assert_eq!((begin.elapsed().as_secs(), error["code"].as_u64()), (20, Some(1008)));
}

async fn multi(line: &mut Line, context: &str) {
    line.say(&json!({"text": " ", "context_id": context, "voice_settings": {"speed": 1.0}})).await;
    line.say(&json!({"text": format!("{TEXT} "), "context_id": context})).await;
}

#[tokio::test(start_paused = true)]
async fn elevenlabs_contexts_end_by_close_alone() {
    let doubles = start().await;
    let mut line = open(&doubles, MULTI, &[ELEVEN]).await.unwrap();
    multi(&mut line, "t1").await;
    line.say(&json!({"context_id": "t1", "flush": true})).await;
    let values = texts(&line.rest().await);
    assert!(is_natural(sound_of(&values, "audio")));
    assert!(values.iter().all(|value| value["contextId"] == "t1" && value["isFinal"] == false));
    line.say(&json!({"context_id": "t1", "close_context": true})).await;
    assert_eq!(texts(&line.rest().await), [json!({"contextId": "t1", "isFinal": true})]);
}

#[tokio::test(start_paused = true)]
async fn elevenlabs_closes_on_the_sixth_context_and_on_new_settings() {
    let latency = Latencies::PUBLISHED;
    let doubles = Doubles::start(DoublesConfig { latency, ..DoublesConfig::default() }).await.unwrap();
    let mut line = open(&doubles, MULTI, &[ELEVEN]).await.unwrap();
    for context in ["1", "2", "3", "4", "5"] {
        multi(&mut line, context).await;
        line.say(&json!({"context_id": context, "flush": true, "close_context": true})).await;
    }
    // Closed contexts count until their isFinal.
    line.say(&json!({"text": " ", "context_id": "6"})).await;
    let came = line.rest().await;
    assert!(
        matches!(came.last(), Some(Came::Closed(1008, why)) if why.contains("Maximum simultaneous contexts")),
        "{came:?}"
    );
    let mut line = open(&doubles, MULTI, &[ELEVEN]).await.unwrap();
    multi(&mut line, "1").await;
    line.say(&json!({"text": "More ", "context_id": "1", "voice_settings": {"speed": 1.1}})).await;
    assert!(matches!(line.rest().await.last(), Some(Came::Closed(1008, _))));
}

#[tokio::test(start_paused = true)]
async fn aura_flushes_clears_and_limits() {
    let latency = Latencies::PUBLISHED;
    let doubles = Doubles::start(DoublesConfig { latency, ..DoublesConfig::default() }).await.unwrap();
    let mut line = open(&doubles, AURA, &[DEEPGRAM]).await.unwrap();
    line.say(&json!({"type": "Speak", "text": TEXT})).await;
    line.say(&json!({"type": "Flush"})).await;
    let came = line.rest().await;
    let bytes: usize = came.iter().map(|came| if let Came::Sound(bytes) = came { *bytes } else { 0 }).sum();
    assert!(is_natural(bytes));
    assert_eq!(came.last(), Some(&Came::Text(json!({"type": "Flushed", "sequence_id": 0}))));
    line.say(&json!({"type": "Speak", "text": TEXT})).await;
    line.say(&json!({"type": "Clear"})).await;
    assert_eq!(line.rest().await, [Came::Text(json!({"type": "Cleared", "sequence_id": 1}))]);
    for _ in 0..20 {
        line.say(&json!({"type": "Flush"})).await;
    }
    assert_eq!(texts(&line.rest().await).last().unwrap()["type"], "Warning");
    line.say(&json!({"type": "Speak", "text": "a".repeat(2_001)})).await;
    assert!(matches!(line.rest().await.last(), Some(Came::Closed(1008, _))));
}

fn cartesia(text: &str, more: bool) -> Value {
    json!({"context_id": "t7", "model_id": "sonic-3.5", "transcript": text, "continue": more, "language": "en",
           "voice": {"mode": "id", "id": "v"}, "add_timestamps": true, "max_buffer_delay_ms": 0,
           "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000}})
}

#[tokio::test(start_paused = true)]
async fn cartesia_speaks_with_timestamps_and_cancels() {
    let latency = Latencies::PUBLISHED;
    let doubles = Doubles::start(DoublesConfig { latency, ..DoublesConfig::default() }).await.unwrap();
    let key = [("x-api-key", "key"), ("cartesia-version", "2026-03-01")];
    let mut line = open(&doubles, "/tts/websocket", &key).await.unwrap();
    line.say(&cartesia(&format!("{TEXT} "), true)).await;
    line.say(&cartesia("", false)).await;
    let values = texts(&line.rest().await);
    assert!(is_natural(sound_of(&values, "data")));
    let words = values.iter().find(|value| value["type"] == "timestamps").unwrap();
    assert_eq!(words["word_timestamps"]["words"].as_array().unwrap().len(), 5);
    assert_eq!(values.last().unwrap()["type"], "done");
    line.say(&cartesia("More.", true)).await;
    assert_eq!(line.until(|_| true).await["error_code"], "context_expired");
    let mut other = cartesia(&TEXT.repeat(5), true);
    other["context_id"] = "t8".into();
    line.say(&other).await;
    line.until(|value| value["type"] == "chunk").await;
    line.say(&json!({"context_id": "t8", "cancel": true})).await;
    let late = texts(&line.rest().await);
    assert!(late.len() < 5, "{}", late.len());
    let idle = tokio::time::timeout(Duration::from_secs(301), line.next()).await.unwrap();
    assert_eq!(idle, Came::Closed(1000, "connection idle timeout".to_owned()));
}
