use super::{Call, Do, Got, Server};
use crate::stt::SttConfig;

#[tokio::test]
async fn a_turn_is_heard() {
    let mut messages = 0;
    let server = Server::start(move |got| match got {
        Got::Sound(_) => {
            messages += 1;
            vec![Do::Say(if messages < 3 { r#"{"partial":""}"# } else { r#"{"partial":"i'd like"}"# })]
        }
        Got::Text(text) if text == r#"{"reset" : 1}"# => vec![Do::Say(
            r#"{"result":[{"conf":0.98,"start":0.1,"end":0.3,"word":"i'd"},{"conf":0.9,"start":0.3,"end":0.5,
                "word":"like"},{"conf":0.8,"start":0.5,"end":0.7,"word":"two"}],"text":"i'd like two"}"#,
        )],
        Got::Text(text) if text == r#"{"eof" : 1}"# => vec![Do::Say(r#"{"text":""}"#), Do::Leave],
        _ => vec![],
    })
    .await;
    let config = format!(r#"{{"provider":"vosk","url":"{}","phrases":["i'd like two"]}}"#, server.url);
    let config: SttConfig = serde_json::from_str(&config).unwrap();
    let mut call = Call::start(&config.build(None));
    call.speech_started(80);
    call.sound(750);
    assert_eq!(call.event().await, "partial 80..300 i'd like");
    call.speech_paused(80, 720);
    assert_eq!(call.event().await, "final 80..720 i'd like two");
    call.end().await.unwrap();
    let texts = server.texts();
    assert_eq!(
        texts[1..],
        [
            r#"{"config":{"max_alternatives":0,"phrase_list":["i'd like two"],"sample_rate":8000,"words":true}}"#,
            r#"{"reset" : 1}"#,
            r#"{"eof" : 1}"#,
        ]
    );
    // 100 ms of 16-bit samples.
    assert_eq!(server.sounds()[0], 1_600);
}
