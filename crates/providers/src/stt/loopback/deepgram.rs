use std::sync::Arc;

use offhook_stage_api::{Expectation, SttCommand};

use super::{Call, Do, Got, Server, refusing};
use crate::net::Secret;
use crate::stt::SttConfig;

const INTERIM: &str = r#"{"type":"Results","channel_index":[0,1],"duration":0.6,"start":0.0,"is_final":false,
    "speech_final":false,"channel":{"alternatives":[{"transcript":"i'd like","confidence":0.9,"words":
    [{"word":"i'd","start":0.1,"end":0.3,"confidence":0.9},{"word":"like","start":0.3,"end":0.5,"confidence":0.9}]}]}}"#;
const FINAL: &str = r#"{"type":"Results","channel_index":[0,1],"duration":0.98,"start":0.0,"is_final":true,
    "speech_final":true,"from_finalize":true,"channel":{"alternatives":[{"transcript":"I'd like two.",
    "confidence":0.987,"words":[{"word":"i'd","start":0.1,"end":0.3,"confidence":0.97,"punctuated_word":"I'd"},
    {"word":"like","start":0.3,"end":0.5,"confidence":0.97,"punctuated_word":"like"},
    {"word":"two","start":0.5,"end":0.8,"confidence":0.97,"punctuated_word":"two."}]}]},
    "metadata":{"request_id":"7a0f"}}"#;

fn config(url: &str, more: &str) -> Arc<dyn crate::stt::Stt> {
    let config =
        format!(r#"{{"provider":"deepgram","url":"{url}","model":"nova-3","keyterms":["Offhook"]{more}}}"#);
    let config: SttConfig = serde_json::from_str(&config).unwrap();
    config.build(Some(Secret::new("dg-key-12345")))
}

#[tokio::test]
async fn a_turn_is_heard() {
    let mut heard = 0;
    let server = Server::start(move |got| match got {
        Got::Sound(octets) => {
            let before = heard;
            heard += octets;
            if before < 4_800 && heard >= 4_800 {
                vec![Do::Say(INTERIM), Do::Say(r#"{"type":"News"}"#)]
            } else {
                vec![]
            }
        }
        Got::Text(text) if text.contains("Finalize") => vec![Do::Say(FINAL)],
        Got::Text(text) if text.contains("CloseStream") => {
            vec![Do::Say(r#"{"type":"Metadata","duration":62.4}"#), Do::Close(1000, "")]
        }
        _ => vec![],
    })
    .await;
    let mut call = Call::start(&config(&server.url, ""));
    call.speech_started(80);
    call.sound(1_000);
    assert_eq!(call.event().await, "partial 80..500 i'd like");
    let expectation = Expectation { keyterms: vec!["Margherita".into()], ..Expectation::default() };
    call.tell(SttCommand::Expect(Arc::new(expectation)));
    call.speech_paused(80, 860);
    assert_eq!(call.event().await, "final 80..860 I'd like two.");
    call.turn_ended(860);
    let meter = call.meter.clone();
    call.end().await.unwrap();
    let used = meter.read()["deepgram"];
    assert_eq!((used.requests, used.failures, used.audio_ms), (1, 0, 1_000));
    assert_eq!(
        server.texts(),
        [
            "open /listen?encoding=mulaw&sample_rate=8000&channels=1&interim_results=true&model=nova-3\
             &language=en-US&endpointing=300&utterance_end_ms=1000&vad_events=true&punctuate=true&numerals=true\
             &smart_format=false&keyterm=Offhook Token dg-key-12345",
            r#"{"keyterms":["Offhook","Margherita"],"type":"Configure"}"#,
            r#"{"type":"Finalize"}"#,
            r#"{"type":"CloseStream"}"#,
        ]
    );
    assert!(server.sounds().iter().all(|&octets| octets > 0 && octets <= 320));
    assert_eq!(server.sounds().iter().sum::<usize>(), 8_000);
}

#[tokio::test]
async fn what_is_not_answered_is_taken_from_what_there_is() {
    let server = Server::start(|got| match got {
        Got::Open => vec![Do::Say(INTERIM)],
        _ => vec![],
    })
    .await;
    let mut call = Call::start(&config(&server.url, r#","patience":"100ms""#));
    call.speech_started(0);
    call.sound(600);
    assert_eq!(call.event().await, "partial 0..500 i'd like");
    call.speech_paused(0, 600);
    assert_eq!(call.event().await, "final 0..600 i'd like");
}

#[tokio::test]
async fn a_refusal_is_told_in_words_and_without_the_key() {
    let url = refusing(
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 71\r\n\r\n\
         {\"err_code\":\"INVALID_AUTH\",\"err_msg\":\"Invalid key dg-key-12345 was sent\"}",
    )
    .await;
    let error = Call::start(&config(&url, "")).failure().await;
    let told = error.to_string();
    assert!(matches!(error, offhook_stages::StageError::Refused { .. }), "{told}");
    assert!(told.contains("401") && !told.contains("12345"), "{told}");
}

#[tokio::test]
async fn both_shapes_of_an_error_are_told() {
    for told in [
        r#"{"type":"Error","variant":"SchemaError","description":"so it is","code":null,"message":null}"#,
        r#"{"type":"Error","err_code":"X","err_msg":"so it is"}"#,
    ] {
        let server = Server::start(move |got| match got {
            Got::Sound(_) => vec![Do::Say(told)],
            _ => vec![],
        })
        .await;
        let mut call = Call::start(&config(&server.url, ""));
        call.sound(100);
        let error = call.failure().await.to_string();
        assert!(error.contains("so it is"), "{error}");
    }
}

#[tokio::test]
async fn words_survive_a_lost_connection() {
    let server = Server::start(|got| match got {
        Got::Open => vec![Do::Say(INTERIM)],
        Got::Text(text) if text.contains("Finalize") => vec![Do::Close(1011, "NET-0000")],
        _ => vec![],
    })
    .await;
    let mut call = Call::start(&config(&server.url, ""));
    call.speech_started(0);
    call.sound(600);
    assert_eq!(call.event().await, "partial 0..500 i'd like");
    call.speech_paused(0, 600);
    assert_eq!(call.event().await, "final 0..600 i'd like");
    let error = call.failure().await.to_string();
    assert!(error.contains("1011") && error.contains("NET-0000"), "{error}");
}

#[tokio::test]
async fn a_server_that_knows_no_configure_keeps_the_call() {
    let server = Server::start(|got| match got {
        Got::Text(text) if text.contains("Configure") => {
            vec![Do::Say(r#"{"type":"Error","variant":"SchemaError","description":"unknown","message":"x"}"#)]
        }
        Got::Text(text) if text.contains("Finalize") => vec![Do::Say(FINAL)],
        _ => vec![],
    })
    .await;
    let mut call = Call::start(&config(&server.url, ""));
    let expect = |term: &str| {
        SttCommand::Expect(Arc::new(Expectation { keyterms: vec![term.into()], ..Expectation::default() }))
    };
    call.tell(expect("a"));
    call.speech_started(80);
    call.sound(1_000);
    call.speech_paused(80, 860);
    assert_eq!(call.event().await, "final 80..860 I'd like two.");
    call.tell(expect("b"));
    call.end().await.unwrap();
    assert_eq!(server.texts().iter().filter(|text| text.contains("Configure")).count(), 1);
}

#[tokio::test]
async fn another_language_is_another_session_and_what_is_said_meanwhile_is_heard() {
    let server = Server::start(|got| match got {
        Got::Text(text) if text.contains("Finalize") => vec![Do::Say(FINAL)],
        Got::Text(text) if text.contains("CloseStream") => vec![Do::Close(1000, "")],
        _ => vec![],
    })
    .await;
    let mut call = Call::start(&config(&server.url, r#","languages":{"es-ES":"es"}"#));
    call.sound(400);
    call.speech_started(80);
    // In the midst of speech nothing is changed.
    let expectation = Expectation { language: Some("es-ES".into()), ..Expectation::default() };
    call.tell(SttCommand::Expect(Arc::new(expectation)));
    call.sound(600);
    call.speech_paused(80, 860);
    assert_eq!(call.event().await, "final 80..860 I'd like two.");
    call.turn_ended(860);
    // This is said before the other session is there.
    call.speech_started(1_000);
    call.sound(1_000);
    call.speech_paused(1_000, 1_900);
    assert!(call.event().await.ends_with("I'd like two."));
    call.turn_ended(1_900);
    call.end().await.unwrap();
    let texts = server.texts();
    let languages: Vec<&str> = texts
        .iter()
        .filter_map(|text| text.strip_prefix("open ")?.split_once("&language=")?.1.split('&').next())
        .collect();
    assert_eq!(languages, ["en-US", "es"], "{texts:#?}");
}
