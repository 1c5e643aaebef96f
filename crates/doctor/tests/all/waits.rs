//! What is late, or never comes, over real sockets. The waits are short, so that the tests are.

use std::time::Duration;

use crate::agents;
use crate::examined::{examined, expect, expect_with, first, options, quick};
use crate::server::{NEVER, Server, connect_to, ok};
use offhook_doctor::{Limits, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test]
async fn late_words_are_told() {
    let with = |server: &Server, limits| Options { limits, ..options(server) };
    let greets_late = Server::good(agents::greets_late).await;
    let answers_late = Server::good(agents::answers_late).await;
    let greeting = Limits { greeting: ms(4_000), late_greeting: ms(1_000), ..quick() };
    let answer = Limits { answer: ms(6_000), late_answer: ms(1_500), ..quick() };
    expect_with(vec![
        (with(&greets_late, greeting), "Risky late-first-sound"),
        (with(&answers_late, answer), "Risky late-answer"),
        // The same, where so much is no fault.
        (with(&greets_late, Limits { late_greeting: ms(3_900), ..greeting }), "none"),
        (with(&answers_late, Limits { late_answer: ms(5_900), ..answer }), "none"),
    ])
    .await;
}

#[tokio::test]
async fn slow_webhooks_are_told() {
    let slow = || async {
        let document = |_: &str, own: &str| connect_to(&format!("wss://{own}/media"));
        Server::slow(ms(1_500), document, ok, agents::greets).await
    };
    let with = |server: &Server, limits| Options { limits, stream: false, ..options(server) };
    expect_with(vec![
        (with(&slow().await, Limits { slow_webhook: ms(300), ..quick() }), "Risky webhook-slow 11200"),
        (with(&slow().await, Limits { webhook: ms(500), ..quick() }), "Fails webhook-too-slow 11200"),
        (with(&slow().await, quick()), "none"),
    ])
    .await;
}

#[tokio::test]
async fn handshakes_without_an_answer_are_told() {
    let server = Server::upgrade(|_, _| Some(NEVER.to_owned())).await;
    let limits = Limits { handshake: ms(500), ..quick() };
    let report = examined(Options { limits, ..options(&server) }).await;
    assert_eq!(first(&report), "Fails upgrade-unanswered 31901");
}

#[tokio::test]
async fn a_port_that_leaves_tls_unanswered_is_told_from_one_without_tls() {
    let hangs = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = hangs.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((wire, _)) = hangs.accept().await {
            held.push(wire);
        }
    });
    // As many servers do: they wait for the end of a request that never comes.
    let patient = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = patient.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut wire, _)) = patient.accept().await {
            tokio::spawn(async move {
                let mut read: Vec<u8> = Vec::new();
                while !read.windows(4).any(|four| four == b"\r\n\r\n") {
                    let mut buffer = [0; 4_096];
                    match wire.read(&mut buffer).await {
                        Ok(count) if count > 0 => read.extend(&buffer[..count]),
                        _ => return,
                    }
                }
                let _gone = wire.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
            });
        }
    });
    let to = |address| {
        let limits = Limits { tls: ms(500), ..quick() };
        Options { local: true, limits, ..Options::new(&format!("https://{address}/voice")) }
    };
    expect_with(vec![(to(silent), "Fails tls-unanswered 11220"), (to(plain), "Fails no-tls 11206")]).await;
}

#[tokio::test]
async fn broken_and_unread_sockets_are_told() {
    expect(vec![
        (Server::good(agents::compresses).await, "Fails websocket-broken 31924"),
        (Server::good(agents::masks).await, "Fails websocket-broken 31924"),
        (Server::good(agents::greets_and_never_reads).await, "Risky no-pong 31930"),
    ])
    .await;
}
