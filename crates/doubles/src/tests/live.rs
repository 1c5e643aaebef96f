use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

use super::support::{Came, Line, caller, open, texts};
use crate::hearing::Encoding;
use crate::{Doubles, DoublesConfig, Latencies, Rule, Script, ToolCall};

const LIVE: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=key";
const FIRST: &str = "Hello, can I move my appointment?";

fn setup(model: &str) -> Value {
    json!({"setup": {"model": format!("models/{model}"), "generationConfig": {"responseModalities": ["AUDIO"]},
        "realtimeInputConfig": {"automaticActivityDetection": {"disabled": true}},
        "tools": [{"functionDeclarations": [{"name": "find_booking"}]}],
        "inputAudioTranscription": {}, "outputAudioTranscription": {}}})
}

fn config() -> DoublesConfig {
    let call = ToolCall { name: "find_booking".to_owned(), arguments: json!({"day": "Friday"}) };
    let rule = Rule { heard: "booking".to_owned(), calls: vec![call], ..Rule::default() };
    let script = Script { answers: vec![rule], ..Script::default() };
    DoublesConfig { script, latency: Latencies::PUBLISHED, ..DoublesConfig::default() }
}

async fn start(setup: &Value) -> (Doubles, Line) {
    let doubles = Doubles::start(config()).await.unwrap();
    let mut line = open(&doubles, LIVE, &[]).await.unwrap();
    line.say(setup).await;
    line.until(|message| !message["setupComplete"].is_null()).await;
    (doubles, line)
}

fn write(text: &str) -> Value {
    json!({"clientContent": {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": true}})
}

/// What the messages are, one after the other.
fn kinds(came: &[Came]) -> Vec<String> {
    let name = |message: Value| {
        let content = message["serverContent"].as_object().and_then(|content| content.keys().next().cloned());
        content.or_else(|| message.as_object().and_then(|members| members.keys().next().cloned())).unwrap()
    };
    let mut kinds: Vec<String> = texts(came).into_iter().map(name).collect();
    kinds.dedup();
    kinds
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_answered_when_their_activity_ends() {
    let (_doubles, mut line) = start(&setup("gemini-3.8-live")).await;
    line.say(&json!({"realtimeInput": {"activityStart": {}}})).await;
    let mut sound = caller(FIRST);
    sound.iter_mut().for_each(|sample| *sample = sample.saturating_mul(2));
    for (nth, chunk) in Encoding::Linear16.encode(&sound).chunks(320).enumerate() {
        // Google's own client writes it in the alphabet for addresses, and names in the protocol's language.
        let (name, data) = match nth % 2 {
            0 => ("mimeType", STANDARD.encode(chunk)),
            _ => ("mime_type", URL_SAFE.encode(chunk)),
        };
        let audio = json!({name: "audio/pcm;rate=8000", "data": data});
        line.say(&json!({"realtimeInput": {"audio": audio}})).await;
    }
    line.say(&json!({"realtimeInput": {"activityEnd": {}}})).await;
    let words = line.until(|message| !message["serverContent"]["inputTranscription"].is_null()).await;
    assert_eq!(words["serverContent"]["inputTranscription"]["text"], "Hello,");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let came = line.rest().await;
    assert_eq!(
        kinds(&came)[..4],
        ["inputTranscription", "outputTranscription", "modelTurn", "outputTranscription"]
    );
    // The turn is over when it will have been heard, long after it was made.
    assert!(!kinds(&came).contains(&"turnComplete".to_owned()));
    line.say(&json!({"realtimeInput": {"activityStart": {}}})).await;
    assert_eq!(kinds(&line.rest().await), ["interrupted", "turnComplete"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_service_refuses_closes_the_connection() {
    let changed = |model: &str, pointer: &str, value: Value| {
        let mut setup = setup(model);
        *setup.pointer_mut(pointer).unwrap() = value;
        setup
    };
    let tool =
        |behavior: &str| json!([{"functionDeclarations": [{"name": "find_booking", "behavior": behavior}]}]);
    let (text, newest) = (json!(["TEXT"]), "gemini-3.8-live");
    for first in [
        write("Hello?"),
        changed(newest, "/setup/model", "gemini-3.8-live".into()),
        changed(newest, "/setup/generationConfig/responseModalities", text),
        changed(
            newest,
            "/setup/generationConfig",
            json!({"responseModalities": ["AUDIO"], "thinkingConfig": {"thinkingLevel": "low"}}),
        ),
        setup("gemini-3.8-live-extended-thinking"),
        changed("gemini-3.1-flash-live-preview", "/setup/tools", tool("NON_BLOCKING")),
        changed(newest, "/setup/tools", tool("SOMETIMES")),
        changed(newest, "/setup/inputAudioTranscription", json!({}))
            .as_object()
            .map(|setup| {
                let mut setup = setup.clone();
                setup["setup"]["voice"] = "Kore".into();
                setup.into()
            })
            .unwrap(),
    ] {
        let doubles = Doubles::start(config()).await.unwrap();
        let mut line = open(&doubles, LIVE, &[]).await.unwrap();
        line.say(&first).await;
        let came = line.rest().await;
        assert!(matches!(came.last(), Some(Came::Closed(1007, _))), "{first}: {came:?}");
    }
    // Later on.
    let role = json!({"clientContent": {"turns": [{"parts": [{"text": "Hello?"}]}], "turnComplete": true}});
    let result = json!({"toolResponse": {"functionResponses": [{"id": "none", "name": "find_booking", "response": {}}]}});
    let sound = json!({"realtimeInput": {"audio": {"mimeType": "audio/pcmu", "data": "AAAA"}}});
    for later in [role, result, sound, json!({"hello": {}})] {
        let (_doubles, mut line) = start(&setup(newest)).await;
        line.say(&later).await;
        assert!(matches!(line.rest().await.last(), Some(Came::Closed(1007, _))), "{later}");
    }
    // Written turns: before the model's first one, and later.
    let (_doubles, mut line) = start(&setup("gemini-3.1-flash-live-preview")).await;
    line.say(&write("Hello?")).await;
    line.until(|message| message["serverContent"]["turnComplete"] == true).await;
    line.say(&json!({"realtimeInput": {"text": "Hello?"}})).await;
    line.until(|message| message["serverContent"]["turnComplete"] == true).await;
    line.say(&write("Hello?")).await;
    assert!(matches!(line.rest().await.last(), Some(Came::Closed(1007, _))));
}

#[tokio::test(start_paused = true)]
async fn tools_block_the_turn_or_run_beside_it() {
    let mut blocking = setup("gemini-3.8-live");
    blocking["setup"]["tools"][0]["functionDeclarations"][0]["behavior"] = "BLOCKING".into();
    for (setup, beside) in [(setup("gemini-3.8-live"), true), (blocking, false)] {
        let (_doubles, mut line) = start(&setup).await;
        line.say(&write("Where is my booking?")).await;
        let call = line.until(|message| !message["toolCall"].is_null()).await;
        let call = &call["toolCall"]["functionCalls"][0];
        assert_eq!((call["name"].as_str(), &call["args"]), (Some("find_booking"), &json!({"day": "Friday"})));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(kinds(&line.rest().await).contains(&"turnComplete".to_owned()), beside);
        let result = json!({"id": call["id"], "name": "find_booking", "response": {"output": "at three"}});
        line.say(&json!({"toolResponse": {"functionResponses": [result]}})).await;
        line.until(|message| message["serverContent"]["turnComplete"] == true).await;
    }
    // Who speaks up while a tool works takes the call back.
    let (_doubles, mut line) = start(&setup("gemini-2.5-flash-native-audio-latest")).await;
    line.say(&write("Where is my booking?")).await;
    let call = line.until(|message| !message["toolCall"].is_null()).await;
    line.say(&json!({"realtimeInput": {"activityStart": {}}})).await;
    let cancelled = line.until(|message| !message["toolCallCancellation"].is_null()).await;
    assert_eq!(cancelled["toolCallCancellation"]["ids"][0], call["toolCall"]["functionCalls"][0]["id"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_announced_to_end_and_ends() {
    let (_doubles, mut line) = start(&setup("gemini-3.8-live")).await;
    tokio::time::sleep(Duration::from_secs(541)).await;
    assert_eq!(line.until(|_| true).await["goAway"]["timeLeft"], "60s");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(matches!(line.next().await, Came::Closed(1011, _)));
}
