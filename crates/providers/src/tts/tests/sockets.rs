//! Voices over WebSockets.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::SinkExt;
use offhook_stage_api::{FailureKind, TtsEvent};
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Raw;

use super::line::*;

#[tokio::test]
async fn elevenlabs_speaks_in_order_and_times_words() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let (one, text_one) = context(&mut peer).await.unwrap();
        let (two, _) = context(&mut peer).await.unwrap();
        assert_eq!(text_one, "five dollars. ");
        // The second sentence is quicker than the first.
        say(&mut peer, json!({"audio": sound(200), "contextId": two})).await;
        say(&mut peer, json!({"contextId": two, "isFinal": true})).await;
        let alignment = json!({"chars": ["f", "i", "v", "e", " ", "d"], "charStartTimesMs": [0, 10, 20, 30, 40, 50],
            "charDurationsMs": [10, 10, 10, 10, 10, 10]});
        say(&mut peer, json!({"audio": sound(150), "contextId": one, "alignment": alignment})).await;
        let alignment = json!({"chars": ["o", "llars", "."], "charStartTimesMs": [0, 10, 40],
            "charDurationsMs": [10, 30, 50]});
        say(&mut peer, json!({"audio": sound(100), "contextId": one, "alignment": alignment})).await;
        say(&mut peer, json!({"contextId": one, "isFinal": true})).await;
        assert_eq!(text(&mut peer).await.unwrap()["close_socket"], true);
    });
    let line = Line::new(
        &json!({"provider": "elevenlabs", "model": "m", "voice": "v", "base_url": format!("http://{address}")}),
    );
    line.speak(1, 0, "$5.");
    line.speak(1, 1, "Two.");
    let heard = line.hear(2).await;
    // Both spoken words stand for one written one.
    let expected = ["u1/s0 250 ms", "u1/s0 $5. 0-240", "u1/s0 done", "u1/s1 200 ms", "u1/s1 done"];
    let mut sorted = heard.clone();
    sorted.sort();
    let mut wanted = expected.map(str::to_owned).to_vec();
    wanted.sort();
    assert_eq!(sorted, wanted, "{heard:?}");
    let usage = line.call.meter.read()["elevenlabs"];
    assert_eq!((usage.requests, usage.characters, usage.audio_ms), (1, 17, 450));
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn elevenlabs_drops_what_was_cancelled() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let (one, _) = context(&mut peer).await.unwrap();
        say(&mut peer, json!({"audio": sound(150), "contextId": one})).await;
        let (two, _) = context(&mut peer).await.unwrap();
        let late = STANDARD.encode([0_u8; 1_600]);
        say(&mut peer, json!({"audio": late, "contextId": one})).await;
        say(&mut peer, json!({"audio": sound(200), "contextId": two})).await;
        say(&mut peer, json!({"audio": late, "contextId": one, "isFinal": true})).await;
        say(&mut peer, json!({"contextId": two, "isFinal": true})).await;
        text(&mut peer).await;
    });
    let line = Line::new(
        &json!({"provider": "elevenlabs", "model": "m", "voice": "v", "base_url": format!("ws://{address}")}),
    );
    line.speak(1, 0, "A long story.");
    let first = timeout(Duration::from_secs(5), line.from.recv()).await.unwrap();
    assert!(matches!(first, Some(TtsEvent::Audio { .. })), "{first:?}");
    line.cancel(1);
    line.speak(2, 0, "Yes?");
    assert_eq!(line.hear(1).await, ["u2/s0 200 ms", "u2/s0 done"]);
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn aura_is_fenced_by_cleared() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Speak", "text": "One."}));
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Flush"}));
        peer.send(Raw::binary(vec![0x10; 1_600])).await.unwrap();
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Clear"}));
        peer.send(Raw::binary(vec![0; 1_600])).await.unwrap();
        say(&mut peer, json!({"type": "Flushed", "sequence_id": 0})).await;
        peer.send(Raw::binary(vec![0; 1_600])).await.unwrap();
        say(&mut peer, json!({"type": "Cleared", "sequence_id": 1})).await;
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Speak", "text": "Two."}));
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Flush"}));
        peer.send(Raw::binary(vec![0x10; 1_600])).await.unwrap();
        say(&mut peer, json!({"type": "Flushed", "sequence_id": 2})).await;
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Close"}));
    });
    let line =
        Line::new(&json!({"provider": "deepgram", "voice": "v", "base_url": format!("ws://{address}")}));
    line.speak(1, 0, "One.");
    let first = timeout(Duration::from_secs(5), line.from.recv()).await.unwrap();
    assert!(matches!(first, Some(TtsEvent::Audio { .. })), "{first:?}");
    line.cancel(1);
    line.speak(2, 0, "Two.");
    assert_eq!(line.hear(1).await, ["u2/s0 200 ms", "u2/s0 done"]);
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_clear_without_an_answer_costs_the_connection() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut old = accept(&listener).await;
        text(&mut old).await;
        text(&mut old).await;
        old.send(Raw::binary(vec![0x10; 1_600])).await.unwrap();
        let mut peer = accept(&listener).await;
        assert_eq!(text(&mut peer).await.unwrap()["text"], "Two.");
        peer.send(Raw::binary(vec![0x10; 1_600])).await.unwrap();
        say(&mut peer, json!({"type": "Flushed"})).await;
        text(&mut peer).await;
    });
    let line =
        Line::new(&json!({"provider": "deepgram", "voice": "v", "base_url": format!("ws://{address}")}));
    line.speak(1, 0, "One.");
    line.from.recv().await;
    line.cancel(1);
    line.speak(2, 0, "Two.");
    assert_eq!(line.hear(1).await, ["u2/s0 200 ms", "u2/s0 done"]);
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_connection_lost_before_any_sound_is_replaced_once() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let mut peer = accept(&listener).await;
            text(&mut peer).await;
        }
        let mut peer = accept(&listener).await;
        let spoken = text(&mut peer).await.unwrap();
        let id = spoken["context_id"].clone();
        say(&mut peer, json!({"type": "chunk", "data": sound(200), "context_id": id})).await;
        say(
            &mut peer,
            json!({"type": "timestamps", "context_id": id,
            "word_timestamps": {"words": ["Three."], "start": [0.02], "end": [0.19]}}),
        )
        .await;
        say(&mut peer, json!({"type": "done", "context_id": id})).await;
        text(&mut peer).await;
    });
    let line = Line::new(
        &json!({"provider": "cartesia", "model": "m", "voice": "v", "base_url": format!("ws://{address}")}),
    );
    line.speak(1, 0, "One.");
    line.speak(1, 1, "Two.");
    assert_eq!(line.hear(2).await, ["u1/s0 failed: Broken", "u1/s1 failed: Broken"]);
    line.speak(2, 0, "Three.");
    assert_eq!(line.hear(1).await, ["u2/s0 Three. 20-190", "u2/s0 200 ms", "u2/s0 done"]);
    assert_eq!(line.call.meter.read()["cartesia"].failures, 1);
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn haste_that_is_refused_is_given_up() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let one = text(&mut peer).await.unwrap()["context_id"].clone();
        let two = text(&mut peer).await.unwrap()["context_id"].clone();
        say(
            &mut peer,
            json!({"type": "error", "status_code": 429, "message": "too many", "context_id": two}),
        )
        .await;
        say(&mut peer, json!({"type": "chunk", "data": sound(200), "context_id": one})).await;
        say(&mut peer, json!({"type": "done", "context_id": one})).await;
        let two = text(&mut peer).await.unwrap()["context_id"].clone();
        say(&mut peer, json!({"type": "chunk", "data": sound(300), "context_id": two})).await;
        say(&mut peer, json!({"type": "done", "context_id": two})).await;
        text(&mut peer).await;
    });
    let line = Line::new(
        &json!({"provider": "cartesia", "model": "m", "voice": "v", "base_url": format!("ws://{address}")}),
    );
    line.speak(1, 0, "One.");
    line.speak(1, 1, "Two.");
    assert_eq!(line.hear(2).await, ["u1/s0 200 ms", "u1/s0 done", "u1/s1 300 ms", "u1/s1 done"]);
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_provider_that_refuses_ends_the_stage() {
    let (listener, address) = listen().await;
    let server =
        tokio::spawn(async move { answer(&listener, "401 Unauthorized", b"{\"message\":\"no\"}").await });
    let line =
        Line::new(&json!({"provider": "deepgram", "voice": "v", "base_url": format!("ws://{address}")}));
    line.speak(1, 0, "One.");
    line.speak(2, 0, "Two.");
    assert_eq!(line.hear(2).await, ["u1/s0 failed: Refused", "u2/s0 failed: Refused"]);
    assert_eq!(line.end().await.unwrap_err().kind(), FailureKind::Refused);
    server.await.unwrap();
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up() {
    let (listener, address) = listen().await;
    let deadlines = json!({"connect": "1s", "first": "100ms", "gap": "100ms"});
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        text(&mut peer).await;
        let _again = listener.accept().await.unwrap();
    });
    let line = Line::new(&json!({"provider": "cartesia", "model": "m", "voice": "v", "deadlines": deadlines,
        "base_url": format!("ws://{address}")}));
    line.speak(1, 0, "One.");
    assert_eq!(line.hear(1).await, ["u1/s0 failed: TooSlow"]);
    // The connection is replaced.
    server.await.unwrap();
    line.end().await.unwrap();
}

/// Members that are written otherwise than documented cost what they tell, not the sound.
#[tokio::test]
async fn messages_in_shapes_that_nobody_documented_are_read_as_far_as_can_be() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let (one, _) = context(&mut peer).await.unwrap();
        say(&mut peer, json!({"kind": "session_notice", "contextId": one, "notice": {"x": null}})).await;
        let odd = json!({"chars": null, "charStartTimesMs": "none"});
        say(&mut peer, json!({"audio": sound(100), "contextId": one, "isFinal": null, "alignment": odd}))
            .await;
        say(&mut peer, json!({"audio": null, "contextId": one, "normalizedAlignment": []})).await;
        peer.send(Raw::binary(vec![1, 2, 3])).await.unwrap();
        peer.send(Raw::text("{\"audio\": \"cut")).await.unwrap();
        say(&mut peer, json!({"audio": sound(50), "contextId": one, "isFinal": true})).await;
        text(&mut peer).await;
    });
    let line = Line::new(
        &json!({"provider": "elevenlabs", "model": "m", "voice": "v", "base_url": format!("ws://{address}")}),
    );
    line.speak(1, 0, "One.");
    assert_eq!(line.hear(1).await, ["u1/s0 150 ms", "u1/s0 done"]);
    line.end().await.unwrap();
    server.await.unwrap();

    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let id = text(&mut peer).await.unwrap()["context_id"].clone();
        say(&mut peer, json!({"type": "hologram", "context_id": id, "data": {"x": 1}})).await;
        say(&mut peer, json!({"type": "timestamps", "context_id": id, "word_timestamps": {"words": null}}))
            .await;
        say(&mut peer, json!({"type": "error", "context_id": id, "status_code": "503", "message": null, "error": "busy"}))
            .await;
        text(&mut peer).await;
    });
    let line = Line::new(
        &json!({"provider": "cartesia", "model": "m", "voice": "v", "base_url": format!("ws://{address}")}),
    );
    line.speak(1, 0, "One.");
    assert_eq!(line.hear(1).await, ["u1/s0 failed: Busy"]);
    line.end().await.unwrap();
    server.await.unwrap();

    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        text(&mut peer).await;
        say(&mut peer, json!({"type": "Metadata", "model": null})).await;
        say(&mut peer, json!({"type": "Warning", "warn_code": 7, "warn_msg": null})).await;
        peer.send(Raw::binary(Vec::new())).await.unwrap();
        peer.send(Raw::binary(vec![0x10; 1_600])).await.unwrap();
        say(&mut peer, json!({"type": "Error", "err_code": 429, "err_msg": "slow down"})).await;
        text(&mut peer).await;
    });
    let line =
        Line::new(&json!({"provider": "deepgram", "voice": "v", "base_url": format!("ws://{address}")}));
    line.speak(1, 0, "One.");
    assert_eq!(line.hear(1).await, ["u1/s0 200 ms", "u1/s0 failed: Busy"]);
    line.end().await.unwrap();
    server.await.unwrap();
}
