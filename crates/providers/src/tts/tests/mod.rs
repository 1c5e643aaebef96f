//! The wire formats by their vendors' samples; the run loops over real sockets in the files beside this one.

mod http;
mod line;
mod sockets;

use tokio::time::Instant;

use super::live::Dialect;
use super::*;
use crate::net::ws::Message;

fn config(text: &str) -> TtsConfig {
    serde_json::from_str(text).unwrap()
}

fn key() -> Option<Secret> {
    Some(Secret::new("key-0123456789"))
}

fn eleven() -> elevenlabs_ws::ElevenlabsWs {
    let text = r#"{"provider":"elevenlabs","model":"some_model","voice":"some-voice","send_language":true,
        "settings":{"stability":0.5,"speed":1.0}}"#;
    let TtsConfig::Elevenlabs(config) = config(text) else { unreachable!("that is what was asked for") };
    elevenlabs_ws::ElevenlabsWs::new("elevenlabs", config, "some-voice", "en-US", key())
}

fn aura() -> aura::Aura {
    let TtsConfig::Deepgram(config) = config(r#"{"provider":"deepgram","voice":"some-voice"}"#) else {
        unreachable!("that is what was asked for")
    };
    aura::Aura::new("deepgram_tts", config, "some-voice", key())
}

fn sonic() -> cartesia::Cartesia {
    let text = r#"{"provider":"cartesia","model":"some-model","voice":"some-voice","speed":1.1}"#;
    let TtsConfig::Cartesia(config) = config(text) else { unreachable!("that is what was asked for") };
    cartesia::Cartesia::new("cartesia", config, "some-voice", "en-US", key())
}

fn wire(dialect: &mut dyn Dialect) -> String {
    let mut lines = vec![dialect.url()];
    lines.extend(dialect.headers().into_iter().map(|(name, value)| format!("{name}: {value}")));
    lines.extend(dialect.speak(7, "Your appointment is on Friday.", Instant::now()));
    lines.extend(dialect.cancel(&[7]));
    lines.extend(dialect.farewell());
    lines.join("\n")
}

fn read(dialect: &mut dyn Dialect, text: &str) -> String {
    format!("{:?}", dialect.read(&Message::Text(text.into())))
}

#[tokio::test]
async fn messages_are_as_documented() {
    insta::assert_snapshot!("elevenlabs", wire(&mut eleven()));
    insta::assert_snapshot!("aura", wire(&mut aura()));
    insta::assert_snapshot!("cartesia", wire(&mut sonic()));
}

#[test]
fn samples_are_understood() {
    let mut eleven = eleven();
    let samples = [
        r#"{"audio":"//8=","isFinal":false,"contextId":"7","alignment":{"chars":["Y","o"],"charStartTimesMs":[0,70],"charDurationsMs":[70,50.5]},"normalizedAlignment":{"chars":["Y"],"charStartTimesMs":[0],"charDurationsMs":[70]}}"#,
        r#"{"audio":"//8=","context_id":"7","is_final":null,"alignment":null,"normalizedAlignment":{"chars":["Y"],"charStartTimesMs":[0],"charsDurationsMs":[70]}}"#,
        r#"{"audio":null,"isFinal":true,"contextId":"7"}"#,
        r#"{"message":"Have not received a new text input within the timeout of 20 seconds.","error":"input_timeout_exceeded","code":1008}"#,
        r#"{"message":"This request exceeds your quota.","error":"quota_exceeded","code":1008}"#,
        r#"{"audio":"!","contextId":"7"}"#,
        r#"{"something":"new"}"#,
        "no JSON",
    ];
    insta::assert_snapshot!("elevenlabs_read", samples.map(|sample| read(&mut eleven, sample)).join("\n"));
    let mut sonic = sonic();
    let samples = [
        r#"{"type":"chunk","data":"//8=","done":false,"status_code":206,"step_time":14.2,"context_id":"7","flush_id":1}"#,
        r#"{"type":"timestamps","done":false,"status_code":206,"context_id":"7","word_timestamps":{"words":["Your","appointment"],"start":[0.02,0.21],"end":[0.2,0.71]}}"#,
        r#"{"type":"flush_done","context_id":"7","flush_id":1,"flush_done":true,"done":false,"status_code":206}"#,
        r#"{"type":"done","done":true,"status_code":200,"context_id":"7"}"#,
        r#"{"type":"error","done":true,"status_code":429,"error_code":"concurrency_limited","title":"Too many","message":"Wait.","request_id":"x","context_id":"7","doc_url":"https://x.example"}"#,
        r#"{"type":"phoneme_timestamps","context_id":"7"}"#,
    ];
    insta::assert_snapshot!("cartesia_read", samples.map(|sample| read(&mut sonic, sample)).join("\n"));
    let mut aura = aura();
    let samples = [
        r#"{"type":"Metadata","request_id":"x","model_name":"aura-2-thalia-en","model_version":"1","model_uuid":"x"}"#,
        r#"{"type":"Flushed","sequence_id":0}"#,
        r#"{"type":"Cleared","sequence_id":1}"#,
        r#"{"type":"Warning","warn_msg":"Odd text","warn_code":"TEXT"}"#,
        r#"{"type":"Warning","description":"Too many flush messages","code":"EXCESSIVE_FLUSH"}"#,
        r#"{"type":"New"}"#,
    ];
    insta::assert_snapshot!("aura_read", samples.map(|sample| read(&mut aura, sample)).join("\n"));
}

#[test]
fn bodies_are_as_documented() {
    let text = r#"{"provider":"openai","model":"some-model","voice":"usual","voices":{"de":"deutsch"},"speed":1.1,
        "body":{"stream":true},"without":["speed"]}"#;
    let TtsConfig::Openai(config) = config(text) else { unreachable!("that is what was asked for") };
    let speech = openai_speech::OpenaiSpeech { name: "openai".to_owned(), config, key: key() };
    insta::assert_snapshot!(speech.body("Hallo.", "de-AT"), @r#"{"input":"Hallo.","model":"some-model","response_format":"pcm","stream":true,"voice":"deutsch"}"#);
    let text = r#"{"provider":"elevenlabs_http","model":"some_model","voice":"v","settings":{"style":0}}"#;
    let TtsConfig::ElevenlabsHttp(config) = self::config(text) else {
        unreachable!("that is what was asked for")
    };
    let eleven = elevenlabs_http::ElevenlabsHttp { name: "e".to_owned(), config, key: key() };
    insta::assert_snapshot!(eleven.url("en"), @"https://api.elevenlabs.io/v1/text-to-speech/v/stream/with-timestamps?output_format=ulaw_8000");
    insta::assert_snapshot!(eleven.body("Two.", Some("One."), "en"), @r#"{"model_id":"some_model","previous_text":"One.","text":"Two.","voice_settings":{"style":0.0}}"#);
}

#[test]
fn typos_and_missing_models_are_refused() {
    let wrong = [r#"{"provider":"cartesia","voice":"v"}"#, r#"{"provider":"deepgram","voice":"v","sped":1}"#];
    let told = wrong.map(|text| serde_json::from_str::<TtsConfig>(text).unwrap_err().to_string());
    assert!(
        told[0].contains("missing field `model`") && told[1].contains("unknown field `sped`"),
        "{told:?}"
    );
}

#[test]
fn long_texts_are_cut_at_spaces() {
    assert_eq!(pieces("one two three", 8), ["one two ", "three"]);
    assert_eq!(pieces("äöüäöü", 4), ["äöüä", "öü"]);
    assert_eq!(pieces("one", 8), ["one"]);
}
