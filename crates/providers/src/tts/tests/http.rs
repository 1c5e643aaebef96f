//! Voices over HTTP.

use std::time::Duration;

use offhook_stage_api::TtsEvent;
use offhook_stage_api::id::UtteranceId;
use serde_json::json;
use tokio::time::timeout;

use super::line::*;

#[tokio::test]
async fn speech_over_http_is_heard_and_errors_are_not() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let first = answer(&listener, "200 OK", &pcm(400)).await;
        answer(&listener, "200 OK", b"{\"error\":{\"message\":\"no voice\"}}").await;
        answer(&listener, "429 Too Many", b"{\"error\":{\"message\":\"slow down\"}}").await;
        answer(&listener, "200 OK", &pcm(100)).await;
        first
    });
    let line = Line::new(&json!({"provider": "openai", "model": "m", "voice": "v", "ahead": 0,
        "base_url": format!("http://{address}/v1")}));
    line.speak(1, 0, "**Hello** there.");
    line.speak(1, 1, "😀");
    line.speak(2, 0, "Two.");
    line.speak(2, 1, "Three.");
    let heard = line.hear(4).await;
    assert!(
        heard.first().is_some_and(|first| first.starts_with("u1/s0 3") || first.starts_with("u1/s0 4")),
        "{heard:?}"
    );
    assert_eq!(
        heard[1..],
        ["u1/s0 done", "u1/s1 20 ms", "u1/s1 done", "u2/s0 failed: Garbage", "u2/s1 failed: Garbage"]
    );
    line.speak(3, 0, "Four.");
    assert_eq!(line.hear(1).await, ["u3/s0 failed: Busy"]);
    line.speak(4, 0, "Five.");
    assert_eq!(line.hear(1).await.last().map(String::as_str), Some("u4/s0 done"));
    let usage = line.call.meter.read()["openai"];
    assert_eq!((usage.requests, usage.failures, usage.characters), (4, 2, 12 + 4 + 5 + 5));
    line.end().await.unwrap();
    let request = server.await.unwrap();
    assert!(
        request.contains("\"input\":\"Hello there.\"") && request.contains("Bearer key-0123456789"),
        "{request}"
    );
}

#[tokio::test]
async fn sentences_are_asked_for_ahead_and_heard_in_order() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let piece = |ms: usize, c: &str, start: f64| {
            json!({"audio_base64": sound(ms), "alignment": {"characters": [c, " "],
                "character_start_times_seconds": [start, start], "character_end_times_seconds": [start + 0.1, start]}})
            .to_string()
        };
        let body = format!("{}\n{}\n", piece(200, "One", 0.0), piece(150, "two", 0.21));
        answer(&listener, "200 OK", body.as_bytes()).await;
        answer(&listener, "200 OK", piece(300, "Three", 0.0).as_bytes()).await
    });
    let line = Line::new(&json!({"provider": "elevenlabs_http", "model": "m", "voice": "v",
        "base_url": format!("http://{address}")}));
    line.speak(1, 0, "One two");
    line.speak(1, 1, "Three");
    assert_eq!(
        line.hear(2).await,
        [
            "u1/s0 One 0-100",
            "u1/s0 two 210-310",
            "u1/s0 350 ms",
            "u1/s0 done",
            "u1/s1 Three 0-100",
            "u1/s1 300 ms",
            "u1/s1 done"
        ]
    );
    line.end().await.unwrap();
    assert!(server.await.unwrap().contains("\"previous_text\":\"One two\""));
}

#[tokio::test]
async fn a_cancelled_request_is_dropped_at_the_server() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        // Much more than a caller hears before he interrupts, and more than sockets hold.
        let request = answer(&listener, "200 OK", &pcm(400_000)).await;
        let next = answer(&listener, "200 OK", &pcm(100)).await;
        (request, next)
    });
    let line = Line::new(&json!({"provider": "openai", "model": "m", "voice": "v", "trim_silence": false,
        "base_url": format!("http://{address}/v1")}));
    line.speak(1, 0, "A very long story.");
    line.from.recv().await;
    line.cancel(1);
    line.speak(2, 0, "Yes?");
    loop {
        match timeout(Duration::from_secs(5), line.from.recv()).await.unwrap() {
            Some(TtsEvent::Done { utterance, .. }) => break assert_eq!(utterance, UtteranceId(2)),
            Some(TtsEvent::Audio { .. }) => {} // of the first, until the cancellation is read
            other => unreachable!("{other:?}"),
        }
    }
    line.end().await.unwrap();
    server.await.unwrap();
}
