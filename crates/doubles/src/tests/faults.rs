use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::support::{Came, DEEPGRAM, ELEVEN, OPENAI, faulty, open, post, start, texts};
use crate::{End, Fault, FaultRule, Moment, Stage};

const CHAT: &str = "/v1/chat/completions";
const AURA: &str = "/v1/speak?model=aura-2-thalia-en&encoding=mulaw&sample_rate=8000";

fn ask() -> String {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]}).to_string()
}

#[tokio::test]
async fn statuses_come_with_their_bodies_and_headers() {
    let cases = [
        (Fault::Unauthorized, 401, "invalid_api_key"),
        (Fault::Quota, 429, "insufficient_quota"),
        (Fault::RateLimited { retry_after: Some(1), retry_after_ms: None }, 429, "rate_limit_exceeded"),
        (Fault::ServerError, 500, "server_error"),
        (Fault::Unavailable, 503, "<html>"),
        (Fault::Overloaded, 529, "server_error"),
    ];
    for (fault, status, hint) in cases {
        let doubles = faulty(Stage::Llm, fault.clone(), None).await;
        let got = post(&doubles, CHAT, &[OPENAI], ask()).await.unwrap();
        assert_eq!(got.status, status);
        assert!(got.text().contains(hint));
        assert_eq!(got.headers.contains_key("retry-after"), matches!(fault, Fault::RateLimited { .. }));
        assert_eq!(doubles.seen()[0].end, End::Refused);
        doubles.clear_faults();
        assert_eq!(post(&doubles, CHAT, &[OPENAI], ask()).await.unwrap().status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn connections_are_refused_hang_or_drip() {
    let doubles = faulty(Stage::Llm, Fault::Refuse, None).await;
    assert!(post(&doubles, CHAT, &[OPENAI], ask()).await.is_none());
    let doubles = faulty(Stage::Llm, Fault::Hang, None).await;
    let hung = tokio::time::timeout(Duration::from_secs(100), post(&doubles, CHAT, &[OPENAI], ask())).await;
    assert!(hung.is_err());
    let seen = doubles.until(|seen| seen.end != End::Open).await;
    assert_eq!(seen.end, End::ClientLeft, "the client's leaving is seen");
    let doubles = faulty(Stage::Llm, Fault::Drip { every: Duration::from_secs(1) }, None).await;
    let begin = tokio::time::Instant::now();
    let got = post(&doubles, CHAT, &[OPENAI], ask()).await.unwrap();
    assert!(begin.elapsed().as_secs() as usize >= got.body().len() - 1);
}

#[tokio::test(start_paused = true)]
async fn streams_break_where_they_should() {
    let whole = post(&start().await, CHAT, &[OPENAI], ask()).await.unwrap();
    let doubles = faulty(Stage::Llm, Fault::Cut, Some(Moment::During(3))).await;
    let got = post(&doubles, CHAT, &[OPENAI], ask()).await.unwrap();
    assert!(got.broken && got.events().len() == 2, "{}", got.text());
    assert!(whole.text().starts_with(&got.text()));
    let doubles = faulty(Stage::Llm, Fault::NoTerminator, None).await;
    let got = post(&doubles, CHAT, &[OPENAI], ask()).await.unwrap();
    assert!(!got.broken && !got.text().contains("[DONE]"));
    let doubles = faulty(Stage::Llm, Fault::ErrorEvent, None).await;
    let got = post(&doubles, CHAT, &[OPENAI], ask()).await.unwrap();
    assert_eq!((got.status, got.events().len()), (200, 1));
    let doubles = faulty(Stage::Llm, Fault::Split, None).await;
    let got = post(&doubles, CHAT, &[OPENAI], ask()).await.unwrap();
    assert!(got.frames.iter().all(|frame| frame.len() == 1));
    assert_eq!(got.text(), whole.text());
    let doubles = faulty(Stage::Llm, Fault::WrongContentType, None).await;
    let got = post(&doubles, CHAT, &[OPENAI], ask()).await.unwrap();
    assert!(got.headers["content-type"].to_str().unwrap().starts_with("text/html"));
}

#[tokio::test]
async fn sound_is_spoiled() {
    let body =
        json!({"model": "tts", "voice": "v", "input": "Good morning.", "response_format": "pcm"}).to_string();
    let spoil = async |fault| {
        let doubles = faulty(Stage::Tts, fault, None).await;
        post(&doubles, "/v1/audio/speech", &[OPENAI], body.clone()).await.unwrap().body()
    };
    assert!(spoil(Fault::Mp3).await.starts_with(&[0xFF, 0xFB]));
    assert!(spoil(Fault::WavHeader).await.starts_with(b"RIFF"));
    assert!(spoil(Fault::EmptyAudio).await.is_empty());
    assert_eq!(spoil(Fault::OddBytes).await.len() % 2, 1);
}

async fn speak(fault: Fault, at: Option<Moment>) -> Vec<Came> {
    let doubles = faulty(Stage::Tts, fault, at).await;
    let mut line = open(&doubles, AURA, &[DEEPGRAM]).await.unwrap();
    line.say(&json!({"type": "Speak", "text": "Good morning."})).await;
    line.say(&json!({"type": "Flush"})).await;
    line.rest().await
}

#[tokio::test(start_paused = true)]
async fn sockets_are_closed_cut_and_spoiled() {
    let came = speak(Fault::Close { code: 4_001, reason: "so".to_owned() }, Some(Moment::After(2))).await;
    assert_eq!((came.len(), came.last()), (3, Some(&Came::Closed(4_001, "so".to_owned()))));
    let came = speak(Fault::Close { code: 1_006, reason: String::new() }, Some(Moment::Before(3))).await;
    assert_eq!((came.len(), came.last()), (3, Some(&Came::Broken)));
    let came = speak(Fault::Cut, Some(Moment::During(2))).await;
    assert_eq!((came.len(), came.last()), (2, Some(&Came::Broken)));
    let came = speak(Fault::NoTerminator, None).await;
    assert!(!texts(&came).iter().any(|text| text["type"] == "Flushed"));
    let came = speak(Fault::EmptyAudio, None).await;
    assert!(came.iter().all(|came| matches!(came, Came::Text(_))) && came.len() == 2);
    let came = speak(Fault::ErrorEvent, Some(Moment::After(1))).await;
    assert!(matches!(came.last(), Some(Came::Closed(1011, _))));
    assert_eq!(texts(&came)[1]["code"], "NET-0000");
    let came = speak(Fault::BrokenJson, None).await;
    assert!(matches!(&came[0], Came::Garbled(_)));
    let (whole, split) = (speak(Fault::WrongContentType, None).await, speak(Fault::Split, None).await);
    assert_eq!(whole, split, "fragments are put together by any client");
    let twice = speak(Fault::Duplicate, None).await;
    assert_eq!(twice.len(), 2 * whole.len());
    let came = speak(Fault::Stall, Some(Moment::Before(2))).await;
    assert_eq!(came.len(), 1);
}

#[tokio::test]
async fn upgrades_are_refused_in_the_providers_words() {
    let doubles = faulty(Stage::Tts, Fault::Quota, None).await;
    let refusal = open(&doubles, AURA, &[DEEPGRAM]).await.err().unwrap();
    assert_eq!(refusal.status(), 402);
    let path = "/v1/text-to-speech/v/multi-stream-input?output_format=ulaw_8000";
    let refusal = open(&doubles, path, &[ELEVEN]).await.err().unwrap();
    assert_eq!(refusal.status(), 401);
}

#[tokio::test]
async fn faults_are_set_over_http_too() {
    let doubles = start().await;
    let rule = FaultRule::always(Stage::Llm, Fault::ServerError).nth(2);
    let got = post(&doubles, "/_doubles/fault", &[], serde_json::to_string(&rule).unwrap()).await.unwrap();
    assert_eq!(got.status, 200);
    let first = post(&doubles, CHAT, &[OPENAI], ask()).await.unwrap().status;
    let second = post(&doubles, CHAT, &[OPENAI], ask()).await.unwrap().status;
    assert_eq!((first, second), (200, 500));
    let got = post(&doubles, "/_doubles/fault", &[], r#"{"fault":"explode"}"#).await.unwrap();
    assert_eq!(got.status, 400);
}

#[tokio::test]
async fn a_client_that_cancels_over_a_real_socket_is_noticed() {
    let doubles = faulty(Stage::Llm, Fault::Stall, Some(Moment::After(2))).await;
    let stream = tokio::net::TcpStream::connect(doubles.addr).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = hyper::Request::post(CHAT).header("host", "double").header(OPENAI.0, OPENAI.1);
    let request = request.body(http_body_util::Full::new(bytes::Bytes::from(ask()))).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(doubles.connections(), 1);
    driver.abort();
    drop((sender, body));
    let patience = Duration::from_secs(5);
    let seen = tokio::time::timeout(patience, doubles.until(|seen| seen.end != End::Open)).await.unwrap();
    assert_eq!(seen.end, End::ClientLeft);
    assert!(seen.body.contains("\"Hi\""));
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body["model"], "m");
}
