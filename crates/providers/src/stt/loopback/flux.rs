use offhook_stage_api::{Expectation, SttCommand};

use super::{Call, Do, Got, Server};
use crate::stt::SttConfig;

const CONNECTED: &str = r#"{"type":"Connected","request_id":"550e","sequence_id":0}"#;

macro_rules! turn {
    ($event:literal, $index:literal, $end:literal, $text:literal $(, $more:literal)?) => {
        concat!(
            r#"{"type":"TurnInfo","request_id":"550e","sequence_id":7,"event":""#, $event, r#"","turn_index":"#, $index,
            r#","audio_window_start":0.0,"audio_window_end":"#, $end, r#","transcript":""#, $text,
            r#"","words":[{"word":"Hi","confidence":0.9}],"end_of_turn_confidence":0.02"#, $($more,)? "}"
        )
    };
}

#[tokio::test]
async fn its_turns_are_told() {
    let mut opened = false;
    let server = Server::start(move |got| match got {
        Got::Open => vec![Do::Say(turn!("Update", 0, 0.0, "")), Do::Say(CONNECTED)],
        Got::Sound(_) if !opened => {
            opened = true;
            vec![
                Do::Say(turn!("StartOfTurn", 0, 0.9, "Hi")),
                Do::Say(turn!("EagerEndOfTurn", 0, 1.5, "Hi, can I")),
                Do::Say(turn!("TurnResumed", 0, 1.7, "Hi, can I")),
                Do::Say(turn!("Update", 0, 2.0, "Hi, can I move it")),
                Do::Say(turn!("Mystery", 0, 2.0, "Hi, can I move it")),
                Do::Say(turn!("EndOfTurn", 0, 2.4, "Hi, can I move it?", r#","trigger":"model""#)),
            ]
        }
        Got::Text(text) if text.contains("Configure") => {
            vec![Do::Say(r#"{"type":"ConfigureSuccess","thresholds":{},"keyterms":[]}"#)]
        }
        Got::Text(text) if text.contains("CloseStream") => vec![Do::Leave],
        _ => vec![],
    })
    .await;
    let config = format!(
        r#"{{"provider":"deepgram_flux","url":"{}","model":"flux-general-multi","language_hints":["en"]}}"#,
        server.url
    );
    let config: SttConfig = serde_json::from_str(&config).unwrap();
    let mut call = Call::start(&config.build(None));
    for language in ["de-DE", "fr-FR"] {
        let expectation = Expectation { language: Some(language.into()), ..Expectation::default() };
        call.tell(SttCommand::Expect(expectation.into()));
    }
    call.speech_started(100);
    call.sound(2_400);
    let mut told = Vec::new();
    for _ in 0..7 {
        told.push(call.event().await);
    }
    assert_eq!(
        told,
        [
            "partial 100..900 Hi",
            "partial 100..1500 Hi, can I",
            "Some(EagerEndOfTurn)",
            "Some(TurnResumed)",
            "partial 100..2000 Hi, can I move it",
            "final 100..2400 Hi, can I move it?",
            "Some(EndOfTurn)",
        ]
    );
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    call.end().await.unwrap();
    let texts = server.texts();
    assert_eq!(
        texts[0].trim(),
        "open /listen?model=flux-general-multi&encoding=mulaw&sample_rate=8000&eot_threshold=0.7\
         &eager_eot_threshold=0.5&eot_timeout_ms=5000&language_hint=en"
    );
    assert_eq!(texts.last().unwrap(), r#"{"type":"CloseStream"}"#);
    // One change at a time, and the last one counts.
    let changes: Vec<_> = texts.iter().filter(|text| text.contains("Configure")).collect();
    assert!(changes.last().unwrap().contains(r#""language_hints":["fr"]"#), "{changes:?}");
    assert_eq!(server.sounds()[0], 640);
}

#[tokio::test]
async fn a_pause_is_settled_by_what_it_heard_of_the_silence_and_its_turn_closed_with_ours() {
    let mut heard = 0;
    let server = Server::start(move |got| match got {
        Got::Open => vec![Do::Say(CONNECTED)],
        Got::Sound(octets) => {
            let before = heard;
            heard += octets;
            let passes = |place: usize| before < place && heard >= place;
            match () {
                () if passes(640) => vec![Do::Say(turn!("StartOfTurn", 0, 0.4, "Yes"))],
                () if passes(9_600) => vec![Do::Say(turn!("Update", 0, 1.1, "Yes please"))],
                () if passes(10_400) => vec![Do::Say(turn!("Update", 0, 1.3, "Yes please"))],
                () => vec![],
            }
        }
        Got::Text(text) if text.contains("ForceEndTurn") => {
            vec![Do::Say(turn!("EndOfTurn", 0, 1.4, "Yes, please.", r#","trigger":"manual""#))]
        }
        Got::Text(_) => vec![Do::Leave],
    })
    .await;
    let config =
        format!(r#"{{"provider":"deepgram_flux","url":"{}","model":"flux-general-en"}}"#, server.url);
    let config: SttConfig = serde_json::from_str(&config).unwrap();
    let mut call = Call::start(&config.build(None));
    call.speech_started(0);
    call.sound(1_000);
    call.speech_paused(0, 1_000);
    assert_eq!(call.event().await, "partial 0..1000 Yes");
    call.sound(400);
    assert_eq!(call.event().await, "partial 0..1000 Yes please");
    assert_eq!(call.event().await, "final 0..1000 Yes please");
    call.turn_ended(1_000);
    assert_eq!(call.event().await, "final 0..1000 Yes, please.");
    call.end().await.unwrap();
}
