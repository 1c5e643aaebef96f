use std::sync::Arc;

use super::{Call, Do, Got, Server};
use crate::net::Secret;
use crate::stt::{Stt, SttConfig};

const BEGIN: &str = r#"{"type":"Begin","id":"8f1c","expires_at":"2026-11-20T10:11:12Z"}"#;
const PARTIAL: &str = r#"{"type":"Turn","turn_order":0,"turn_is_formatted":false,"end_of_turn":false,
    "transcript":"i'd like","end_of_turn_confidence":0.03,"words":[
    {"text":"i'd","start":120,"end":360,"confidence":0.98,"word_is_final":true},
    {"text":"like","start":360,"end":500,"confidence":0.98,"word_is_final":true},
    {"text":"to","start":500,"end":600,"confidence":0.5,"word_is_final":false}]}"#;
const END: &str = r#"{"type":"Turn","turn_order":0,"turn_is_formatted":false,"end_of_turn":true,
    "transcript":"i'd like two","end_of_turn_confidence":0.71,"words":[
    {"text":"i'd","start":120,"end":360,"confidence":0.98,"word_is_final":true},
    {"text":"like","start":360,"end":500,"confidence":0.98,"word_is_final":true},
    {"text":"two","start":500.0,"end":700,"confidence":0.9,"word_is_final":true}]}"#;
const FORMATTED: &str = r#"{"type":"Turn","turn_order":0,"turn_is_formatted":true,"end_of_turn":true,
    "transcript":"I'd like two.","end_of_turn_confidence":0.71,"words":[
    {"text":"I'd","start":120,"end":360,"confidence":0.98,"word_is_final":true},
    {"text":"like","start":360,"end":500,"confidence":0.98,"word_is_final":true},
    {"text":"two.","start":500,"end":700,"confidence":0.9,"word_is_final":true}]}"#;

fn stage(url: &str) -> Arc<dyn Stt> {
    let config =
        format!(r#"{{"provider":"assemblyai","url":"{url}","model":"u3-rt-pro","format_turns":true}}"#);
    let config: SttConfig = serde_json::from_str(&config).unwrap();
    config.build(Some(Secret::new("aa-key-12345")))
}

#[tokio::test]
async fn a_turn_is_heard_in_messages_of_the_length_allowed() {
    let mut told = false;
    let server = Server::start(move |got| match got {
        Got::Open => vec![Do::Say(BEGIN)],
        Got::Sound(_) if !std::mem::replace(&mut told, true) => vec![Do::Say(PARTIAL)],
        Got::Text(text) if text.contains("ForceEndpoint") => vec![Do::Say(END), Do::Say(FORMATTED)],
        Got::Text(text) if text.contains("Terminate") => {
            vec![Do::Say(r#"{"type":"Termination","audio_duration_seconds":1}"#), Do::Close(1000, "")]
        }
        _ => vec![],
    })
    .await;
    let mut call = Call::start(&stage(&server.url));
    call.speech_started(80);
    call.sound(740);
    assert_eq!(call.event().await, "partial 80..600 i'd like to");
    call.speech_paused(80, 720);
    assert_eq!(call.event().await, "final 80..720 i'd like two");
    assert_eq!(call.event().await, "final 80..720 I'd like two.");
    call.turn_ended(720);
    call.end().await.unwrap();
    assert_eq!(
        server.texts(),
        [
            "open /listen?sample_rate=8000&encoding=pcm_mulaw&speech_model=u3-rt-pro&format_turns=true\
             &inactivity_timeout=60 aa-key-12345",
            r#"{"type":"ForceEndpoint"}"#,
            r#"{"type":"Terminate"}"#,
        ]
    );
    assert!(server.sounds().iter().all(|octets| (400..=8_000).contains(octets)), "{:?}", server.sounds());
}

#[tokio::test]
async fn a_session_that_has_expired_is_opened_again() {
    let mut sessions = 0;
    let server = Server::start(move |got| match got {
        Got::Open => {
            sessions += 1;
            vec![Do::Say(BEGIN)]
        }
        Got::Sound(_) if sessions == 1 => vec![Do::Close(3008, "Session expired")],
        Got::Text(text) if text.contains("ForceEndpoint") => vec![Do::Say(END)],
        Got::Text(text) if text.contains("Terminate") => vec![Do::Leave],
        _ => vec![],
    })
    .await;
    let mut call = Call::start(&stage(&server.url));
    call.speech_started(0);
    call.sound(100);
    while server.texts().len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    call.sound(900);
    call.speech_paused(0, 1_000);
    assert_eq!(call.event().await, "final 0..1000 i'd like two");
    call.end().await.unwrap();
}

#[tokio::test]
async fn an_error_without_a_code_is_told_in_its_words() {
    let server = Server::start(|got| match got {
        Got::Open => vec![Do::Say(BEGIN)],
        Got::Sound(_) => {
            vec![
                Do::Say(r#"{"type":"Heartbeat","total_audio_received_ms":60}"#),
                Do::Say(r#"{"type":"Error","error_code":null,"error":"so it is"}"#),
            ]
        }
        Got::Text(_) => vec![],
    })
    .await;
    let mut call = Call::start(&stage(&server.url));
    call.sound(100);
    let error = call.failure().await.to_string();
    assert!(error.contains("so it is"), "{error}");
}

#[tokio::test]
async fn its_errors_are_told_by_what_can_be_done() {
    for (code, kind) in [(3009, "is busy"), (1008, "refused"), (3007, "refused"), (3005, "broke off")] {
        let server = Server::start(move |got| match got {
            Got::Open => vec![Do::Say(BEGIN)],
            Got::Sound(_) => vec![Do::Close(code, "so it is")],
            Got::Text(_) => vec![],
        })
        .await;
        let mut call = Call::start(&stage(&server.url));
        call.sound(100);
        let error = call.failure().await.to_string();
        assert!(error.contains(kind) && error.contains("so it is"), "{error}");
    }
}
