use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::support::{Came, Line, OPENAI, caller, open, texts};
use crate::hearing::Encoding;
use crate::{Doubles, DoublesConfig, Latencies, Quirk, Rule, Script, ToolCall};

const URL: &str = "/v1/realtime?model=gpt-realtime-2.1";
const FIRST: &str = "Hello, can I move my appointment?";

fn pcmu(detection: &Value) -> Value {
    let format = json!({"type": "audio/pcmu"});
    json!({"type": "session.update", "session": {"type": "realtime", "output_modalities": ["audio"],
        "tools": [{"type": "function", "name": "find_booking", "parameters": {"type": "object"}}],
        "audio": {"input": {"format": format, "transcription": {"model": "gpt-transcribe"}, "turn_detection": detection},
                  "output": {"format": format, "voice": "marin"}}}})
}

async fn start(config: DoublesConfig, detection: &Value) -> (Doubles, Line) {
    let doubles = Doubles::start(config).await.unwrap();
    let mut line = open(&doubles, URL, &[OPENAI]).await.unwrap();
    line.until(|event| event["type"] == "session.created").await;
    line.say(&pcmu(detection)).await;
    let updated = line.until(|event| event["type"] == "session.updated").await;
    assert_eq!(updated["session"]["audio"]["input"]["format"]["type"], "audio/pcmu");
    (doubles, line)
}

fn published() -> DoublesConfig {
    DoublesConfig { latency: Latencies::PUBLISHED, ..DoublesConfig::default() }
}

async fn say(line: &mut Line) {
    for chunk in Encoding::Mulaw.encode(&caller(FIRST)).chunks(160) {
        line.say(&json!({"type": "input_audio_buffer.append", "audio": STANDARD.encode(chunk)})).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn kinds(line: &mut Line) -> Vec<String> {
    let mut kinds: Vec<String> =
        texts(&line.rest().await).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    kinds.dedup();
    kinds
}

#[tokio::test(start_paused = true)]
async fn a_turn_has_its_events_in_order() {
    let detection = json!({"type": "server_vad", "silence_duration_ms": 500});
    let quirks = vec![Quirk::LateTranscript];
    let (_doubles, mut line) = start(DoublesConfig { quirks, ..published() }, &detection).await;
    say(&mut line).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    insta::assert_snapshot!(kinds(&mut line).await.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn without_detection_the_client_commits_and_asks() {
    let (_doubles, mut line) = start(published(), &Value::Null).await;
    line.say(&json!({"type": "input_audio_buffer.commit", "event_id": "mine"})).await;
    let error = line.until(|event| event["type"] == "error").await;
    assert_eq!(error["error"]["code"], "input_audio_buffer_commit_empty");
    assert_eq!(error["error"]["event_id"], "mine");
    say(&mut line).await;
    line.say(&json!({"type": "input_audio_buffer.commit"})).await;
    let done =
        line.until(|event| event["type"] == "conversation.item.input_audio_transcription.completed").await;
    assert_eq!(done["transcript"], FIRST);
    line.say(&json!({"type": "response.create"})).await;
    line.say(&json!({"type": "response.create"})).await;
    let error = line.until(|event| event["type"] == "error").await;
    assert_eq!(error["error"]["code"], "conversation_already_has_active_response");
    let done = line.until(|event| event["type"] == "response.done").await;
    let said = &done["response"]["output"][0]["content"][0];
    assert_eq!(said["transcript"], format!("I heard: {FIRST}"));
}

#[tokio::test(start_paused = true)]
async fn truncation_is_bound_to_what_was_sent() {
    let (_doubles, mut line) = start(published(), &Value::Null).await;
    let text = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Tell me a long story, please."}]});
    line.say(&json!({"type": "conversation.item.create", "item": text})).await;
    line.say(&json!({"type": "response.create"})).await;
    let delta = line.until(|event| event["type"] == "response.output_audio.delta").await;
    let received = STANDARD.decode(delta["delta"].as_str().unwrap()).unwrap().len() / 8;
    let truncate = |ms: usize| json!({"type": "conversation.item.truncate", "item_id": delta["item_id"], "content_index": 0, "audio_end_ms": ms});
    line.say(&json!({"type": "response.cancel"})).await;
    let done = line.until(|event| event["type"] == "response.done").await;
    assert_eq!(done["response"]["status_details"]["reason"], "client_cancelled");
    line.say(&truncate(received + 60)).await;
    let error = line.until(|event| event["type"] == "error").await;
    assert_eq!(
        error["error"]["message"],
        format!("Audio content of {received}ms is already shorter than {}ms", received + 60)
    );
    line.say(&truncate(received - 60)).await;
    line.until(|event| event["type"] == "conversation.item.truncated").await;
    line.say(&json!({"type": "response.cancel"})).await;
    assert_eq!(line.until(|_| true).await["error"]["code"], "response_cancel_not_active");
}

#[tokio::test(start_paused = true)]
async fn tools_are_called_and_their_results_told() {
    let call = ToolCall { name: "find_booking".to_owned(), arguments: json!({"day": "Friday"}) };
    let rule = Rule { say: "One moment.".to_owned(), calls: vec![call], ..Rule::default() };
    let script = Script { answers: vec![rule], ..Script::default() };
    let (_doubles, mut line) = start(DoublesConfig { script, ..published() }, &Value::Null).await;
    line.say(&json!({"type": "response.create"})).await;
    let call = line.until(|event| event["type"] == "response.function_call_arguments.done").await;
    assert_eq!(
        (call["name"].as_str(), call["arguments"].as_str()),
        (Some("find_booking"), Some(r#"{"day":"Friday"}"#))
    );
    line.until(|event| event["type"] == "response.done").await;
    let result = |id: &Value| json!({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": id, "output": "at three"}});
    line.say(&result(&json!("call_none"))).await;
    assert_eq!(line.until(|event| event["type"] == "error").await["error"]["code"], "invalid_tool_call_id");
    line.say(&result(&call["call_id"])).await;
    line.say(&json!({"type": "response.create"})).await;
    let done = line.until(|event| event["type"] == "response.output_audio_transcript.done").await;
    assert_eq!(done["transcript"], "The result is: at three");
}

#[tokio::test(start_paused = true)]
async fn sessions_are_checked_and_end_after_an_hour() {
    let (_doubles, mut line) = start(published(), &Value::Null).await;
    let beta =
        json!({"type": "session.update", "session": {"type": "realtime", "input_audio_format": "g711_ulaw"}});
    line.say(&beta).await;
    assert_eq!(line.until(|_| true).await["error"]["code"], "unknown_parameter");
    // Formats that aren't repeated fall back.
    line.say(&json!({"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": null}}}})).await;
    let updated = line.until(|event| event["type"] == "session.updated").await;
    assert_eq!(updated["session"]["audio"]["input"]["format"]["type"], "audio/pcm");
    assert_eq!(updated["session"]["audio"]["output"]["format"]["type"], "audio/pcmu");
    line.say(&json!({"type": "hello"})).await;
    assert_eq!(line.until(|_| true).await["error"]["code"], "invalid_value");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let came = line.rest().await;
    assert_eq!(texts(&came)[0]["error"]["code"], "session_expired");
    assert!(matches!(came.last(), Some(Came::Closed(1001, _))));
}

#[tokio::test(start_paused = true)]
async fn barge_in_ends_the_response_by_itself() {
    let (_doubles, mut line) = start(published(), &json!({"type": "server_vad"})).await;
    let story = "Please tell me a very long story about a fox and a goose. ".repeat(20);
    let text = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": story}]});
    line.say(&json!({"type": "conversation.item.create", "item": text})).await;
    line.say(&json!({"type": "response.create"})).await;
    line.until(|event| event["type"] == "response.output_audio.delta").await;
    say(&mut line).await;
    let done = line.until(|event| event["type"] == "response.done").await;
    assert_eq!(done["response"]["status_details"]["reason"], "turn_detected");
}
