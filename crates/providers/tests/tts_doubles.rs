//! Every network voice against its provider's double, well and ill: each sentence ends with `Done` or `Failed`, in time.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::future::join_all;
use offhook_doubles::{Doubles, DoublesConfig, Fault, FaultRule, Key, Moment, Quirk, Stage};
use offhook_providers::net::Secret;
use offhook_providers::tts::TtsConfig;
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{SpeakRequest, TtsCommand, TtsEvent};
use offhook_stages::{CallInfo, Rx, Tx, WhenFull, bounded};
use serde_json::{Value, json};
use tokio::time::timeout;

const KEY: &str = "key-0123456789";

fn voices(doubles: &Doubles) -> Vec<(&'static str, Value)> {
    let http = doubles.http();
    vec![
        ("elevenlabs", json!({"provider": "elevenlabs", "model": "m", "voice": "v", "base_url": http})),
        (
            "elevenlabs_http",
            json!({"provider": "elevenlabs_http", "model": "m", "voice": "v", "base_url": http, "timestamps": false}),
        ),
        (
            "openai",
            json!({"provider": "openai", "model": "m", "voice": "v", "base_url": format!("{http}/v1")}),
        ),
        ("deepgram", json!({"provider": "deepgram", "voice": "aura-2-thalia-en", "base_url": http})),
        ("cartesia", json!({"provider": "cartesia", "model": "m", "voice": "v", "base_url": http})),
    ]
}

struct Voice {
    to: Tx<TtsCommand>,
    from: Rx<TtsEvent>,
    run: tokio::task::JoinHandle<Result<(), offhook_stages::StageError>>,
}

fn start(mut config: Value) -> Voice {
    config["deadlines"] = json!({"connect": "2s", "first": "2s", "gap": "2s"});
    config["trim_silence"] = json!(false);
    let config: TtsConfig = serde_json::from_value(config).unwrap();
    let (to, commands) = bounded(64, WhenFull::PushBack);
    let (events, from) = bounded(4_096, WhenFull::PushBack);
    let call = CallInfo { language: "en-US".into(), ..CallInfo::default() };
    let run = tokio::spawn(config.build(Some(Secret::new(KEY))).run(call, commands, events));
    Voice { to, from, run }
}

impl Voice {
    fn speak(&self, utterance: u32, segment: u32, text: &str) {
        let (utterance, segment) = (UtteranceId(utterance), SegmentId(segment));
        let request = SpeakRequest {
            utterance,
            segment,
            text: text.to_owned(),
            last: segment.0 == 1,
            language: None,
            recording: None,
        };
        self.to.offer(TtsCommand::Speak(request)).unwrap();
    }

    /// How each of so many segments ended: length of its sound, how many of its words are timed, `Done` or why not.
    async fn ends(&self, segments: usize) -> Vec<String> {
        let (mut ends, mut sound, mut timed) = (Vec::new(), Duration::ZERO, 0);
        while ends.len() < segments {
            let event = timeout(Duration::from_secs(30), self.from.recv()).await;
            let end = match event {
                Ok(Some(TtsEvent::Audio { chunk, .. })) => {
                    sound += chunk.duration();
                    continue;
                }
                Ok(Some(TtsEvent::Words { words, .. })) => {
                    timed += words.len();
                    continue;
                }
                Ok(Some(TtsEvent::Done { segment, .. })) => {
                    format!("{segment} {} ms, {timed} words", sound.as_millis())
                }
                Ok(Some(TtsEvent::Failed { segment, ref failure, .. })) => {
                    assert!(!failure.message.contains(KEY), "{failure}");
                    let heard = if sound.is_zero() { "" } else { " after some sound" };
                    format!("{segment} {:?}{heard}", failure.kind)
                }
                Ok(None) => "the stage has ended".to_owned(),
                Err(_) => "NOTHING".to_owned(),
            };
            let over = event.is_err() || matches!(event, Ok(None));
            (sound, timed) = (Duration::ZERO, 0);
            ends.push(end);
            if over {
                break;
            }
        }
        ends
    }
}

fn config() -> DoublesConfig {
    DoublesConfig { key: Some(Key::new(KEY)), ..DoublesConfig::default() }
}

#[tokio::test]
async fn well() {
    let mut table = String::new();
    for quirks in [vec![], vec![Quirk::OtherSpelling, Quirk::LateAudio], vec![Quirk::NullAlignment]] {
        let doubles = Doubles::start(DoublesConfig { quirks: quirks.clone(), ..config() }).await.unwrap();
        for (name, config) in voices(&doubles) {
            let voice = start(config);
            voice.speak(1, 0, "Your appointment is on Friday.");
            voice.speak(1, 1, "It costs $5.");
            let ends = voice.ends(2).await;
            // What was cancelled isn't heard, and what comes after it is.
            voice.speak(2, 0, "This is a long story that nobody will ever hear to its end.");
            voice.to.offer(TtsCommand::Cancel { utterance: UtteranceId(2) }).unwrap();
            voice.speak(3, 0, "Yes?");
            let last = loop {
                match timeout(Duration::from_secs(30), voice.from.recv()).await.unwrap().unwrap() {
                    TtsEvent::Done { utterance: UtteranceId(3), .. } => break "then done",
                    TtsEvent::Failed { utterance: UtteranceId(3), .. } => break "THEN FAILED",
                    TtsEvent::Done { utterance, .. } => assert_ne!(utterance, UtteranceId(2)),
                    _ => {}
                }
            };
            writeln!(table, "{name} {quirks:?}: {}, {last}", ends.join("; ")).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn ill() {
    let late = |fault| FaultRule::always(Stage::Tts, fault).at(Moment::After(3));
    let always = |fault| FaultRule::always(Stage::Tts, fault);
    let faults = [
        ("refuse", always(Fault::Refuse)),
        ("unauthorized", always(Fault::Unauthorized)),
        ("quota", always(Fault::Quota)),
        ("rate limited", always(Fault::RateLimited { retry_after: Some(1), retry_after_ms: None })),
        ("503 in HTML", always(Fault::Unavailable)),
        ("hang", always(Fault::Hang)),
        ("stall later", late(Fault::Stall)),
        ("cut later", late(Fault::Cut)),
        ("close 1011", late(Fault::Close { code: 1_011, reason: "NET-0000".to_owned() })),
        ("MP3", always(Fault::Mp3)),
        ("WAV header", always(Fault::WavHeader)),
        ("empty", always(Fault::EmptyAudio)),
        ("odd bytes", always(Fault::OddBytes)),
        ("broken JSON", late(Fault::BrokenJson)),
        ("error event", late(Fault::ErrorEvent)),
        ("no terminator", always(Fault::NoTerminator)),
    ];
    // All at once: most of it is waiting.
    let rows = faults.map(|(fault, rule)| async move {
        let doubles = Doubles::start(DoublesConfig { faults: vec![rule], ..config() }).await.unwrap();
        let rows = voices(&doubles).into_iter().map(|(name, config)| async move {
            let voice = start(config);
            voice.speak(1, 0, "Your appointment is on Friday.");
            voice.speak(1, 1, "It costs $5.");
            let ends = voice.ends(2).await;
            voice.run.abort();
            format!("{fault}, {name}: {}\n", ends.join("; "))
        });
        join_all(rows).await.concat()
    });
    let table = join_all(rows).await.concat();
    assert!(!table.contains("NOTHING"), "{table}");
    insta::assert_snapshot!(table);
}
