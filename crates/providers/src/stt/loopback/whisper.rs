use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Call;
use crate::net::Secret;
use crate::stt::{Stt, SttConfig};

/// Answers uploads in turn; `None`: never. Notes what came, and whose client went away.
async fn server(answers: Vec<Option<(u16, &'static str)>>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let log = Arc::new(Mutex::new(Vec::new()));
    let (noted, answers) = (Arc::clone(&log), Arc::new(Mutex::new(answers.into_iter())));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&noted), Arc::clone(&answers)));
        }
    });
    (url, log)
}

type Answers = Arc<Mutex<std::vec::IntoIter<Option<(u16, &'static str)>>>>;

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<String>>>, answers: Answers) {
    let mut octets = Vec::new();
    loop {
        let head_end = loop {
            if let Some(end) = octets.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut octets).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&octets[..head_end]).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let length: usize = length.unwrap_or(0);
        while octets.len() < head_end + length {
            if stream.read_buf(&mut octets).await.unwrap_or(0) == 0 {
                return;
            }
        }
        octets.drain(..head_end + length);
        let first = head.lines().next().unwrap_or_default().to_owned();
        log.lock().unwrap().push(format!("{first} {length}"));
        let answer = answers.lock().unwrap().next().flatten();
        let Some((status, body)) = answer else {
            let _gone = stream.read_buf(&mut octets).await;
            log.lock().unwrap().push("gone".to_owned());
            return;
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn stage(url: &str) -> Arc<dyn Stt> {
    let config = format!(r#"{{"provider":"whisper","base_url":"{url}","model":"m","wide":false}}"#);
    let config: SttConfig = serde_json::from_str(&config).unwrap();
    config.build(Some(Secret::new("sk-key-12345")))
}

#[tokio::test]
async fn each_pause_uploads_the_whole_turn() {
    let (url, log) = server(vec![
        Some((200, r#"{"text":" I'd like"}"#)),
        Some((503, r#"{"error":{"message":"Loading model"}}"#)),
        Some((200, r#"{"text":" I'd like two.\n"}"#)),
    ])
    .await;
    let mut call = Call::start(&stage(&url));
    call.sound(500);
    call.speech_started(500);
    call.sound(1_500);
    call.speech_paused(500, 1_900);
    assert_eq!(call.event().await, "final 500..1900 I'd like");
    call.speech_started(2_000);
    call.sound(1_000);
    call.speech_paused(500, 2_900);
    assert_eq!(call.event().await, "final 500..2900 I'd like two.");
    call.turn_ended(2_900);
    let used = call.meter.read()["whisper"];
    call.end().await.unwrap();
    // From 200 ms, the pre-roll, to as much of the silence as there is.
    assert_eq!((used.requests, used.audio_ms), (2, 1_800 + 2_800));
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 3, "{log:?}");
    assert!(log.iter().all(|line| line.starts_with("POST /v1/audio/transcriptions ")));
}

#[tokio::test]
async fn an_upload_that_the_caller_made_worthless_is_given_up() {
    let (url, log) = server(vec![None, Some((200, r#"{"text":"Thanks for watching!"}"#))]).await;
    let mut call = Call::start(&stage(&url));
    call.speech_started(0);
    call.sound(1_000);
    call.speech_paused(0, 900);
    while log.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    call.speech_started(1_000);
    while log.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(log.lock().unwrap()[1], "gone");
    call.sound(1_000);
    call.speech_paused(0, 1_900);
    // What nobody said is no words.
    assert_eq!(call.event().await, "final 0..1900 ");
    call.end().await.unwrap();
}

#[tokio::test]
async fn words_that_come_after_the_turn_correct_it_and_a_wrong_key_ends_it() {
    let (url, _) = server(vec![
        Some((200, r#"{"text":"Two pizzas"}"#)),
        Some((401, r#"{"error":{"message":"Incorrect API key provided: sk-key-12345"}}"#)),
    ])
    .await;
    let mut call = Call::start(&stage(&url));
    call.speech_started(0);
    call.sound(1_000);
    call.speech_paused(0, 900);
    call.turn_ended(900);
    call.speech_started(1_000);
    assert_eq!(call.event().await, "final 0..900 Two pizzas");
    call.sound(1_000);
    call.speech_paused(1_000, 1_900);
    let error = call.failure().await.to_string();
    assert!(error.contains("refused") && !error.contains("12345"), "{error}");
}
