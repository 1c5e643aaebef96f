//! Connections: slow, silent, many, half-open, of another protocol, of people who don't listen.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::target::Target;
use crate::{Attack, attack};

const LAYER: &str = "tcp";

/// Opens many connections and sends the same on each; the server may refuse any of them.
async fn many(target: &Target, count: usize, first: &[u8]) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        let Ok(Ok(mut wire)) = timeout(Duration::from_millis(200), TcpStream::connect(&target.address)).await
        else {
            continue;
        };
        let _sent = timeout(Duration::from_millis(200), wire.write_all(first)).await;
        open.push(wire);
    }
    open
}

/// The owner is answered, whatever is open.
async fn answers(target: &Target) -> Result<(), String> {
    let answer = target.told(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    if answer.has(200) { Ok(()) } else { Err(format!("nobody is answered: {answer:?}")) }
}

pub(crate) fn all() -> Vec<Attack> {
    let mut all = Vec::new();
    let held: [(&str, usize, Vec<u8>); 16] = [
        ("200 that say nothing", 200, Vec::new()),
        ("200 half a request line", 200, b"POST /vo".to_vec()),
        ("200 half a head", 200, b"POST /voice HTTP/1.1\r\nHost: x\r\nA: ".to_vec()),
        ("200 without a body", 200, b"POST /voice HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".to_vec()),
        ("200 with half a signed body", 200, signed("Content-Length: 9000", "a=b")),
        ("200 with half a chunk", 200, signed("Transfer-Encoding: chunked", "ff\r\na")),
        ("100 with 15 kB of a head", 100, [b"GET / HTTP/1.1\r\nA: ".to_vec(), vec![b'a'; 15_000]].concat()),
        ("100 with 16 kB of a form", 100, signed("Transfer-Encoding: chunked", &"1\r\na\r\n".repeat(16_000))),
        ("50 that speak TLS", 50, [vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], vec![7; 500]].concat()),
        ("50 that speak HTTP/2", 50, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("50 that speak SSH", 50, b"SSH-2.0-OpenSSH_9.7\r\n".to_vec()),
        ("50 that speak SMTP", 50, b"EHLO x\r\nMAIL FROM:<a@b>\r\n".to_vec()),
        ("50 with zeros", 50, vec![0; 60_000]),
        ("50 with ones", 50, vec![255; 60_000]),
        ("50 with empty lines", 50, b"\r\n".repeat(30_000)),
        ("50 with blanks", 50, vec![b' '; 60_000]),
    ];
    for (name, count, first) in held {
        all.push(attack(LAYER, name, move |target: Rc<Target>| {
            let first = first.clone();
            async move {
                let _open = many(&target, count, &first).await;
                answers(&target).await
            }
        }));
    }
    for (name, count) in [("400 come and go", 400), ("1500 come and go", 1_500)] {
        all.push(attack(LAYER, name, move |target: Rc<Target>| async move {
            for _ in 0..count {
                drop(target.connect().await?);
            }
            answers(&target).await
        }));
    }
    all.push(attack(LAYER, "300 are reset", |target: Rc<Target>| async move {
        for _ in 0..300 {
            let wire = target.connect().await?;
            wire.set_zero_linger().map_err(|error| error.to_string())?;
        }
        answers(&target).await
    }));
    for (name, request, count) in [
        ("pipelined, never read", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 20_000),
        ("documents pipelined, never read", "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 5_000),
        ("forged forms pipelined", "POST /voice HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b", 5_000),
        ("heads only, pipelined", "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 10_000),
    ] {
        all.push(attack(LAYER, name, move |target: Rc<Target>| async move {
            let mut wire = target.connect().await?;
            let flood = request.repeat(count);
            let _taken = timeout(Duration::from_secs(1), wire.write_all(flood.as_bytes())).await;
            answers(&target).await
        }));
    }
    for (name, pause) in [("an octet a millisecond", 1), ("an octet every 20 ms", 20)] {
        for (part, request) in [
            (
                "head",
                "POST /voice HTTP/1.1\r\nHost: example.com\r\nUser-Agent: TwilioProxy/1.1\r\n".repeat(4),
            ),
            ("body", String::from_utf8(signed("Content-Length: 9000", &"a=b&".repeat(100))).unwrap()),
        ] {
            all.push(attack(LAYER, format!("30 send {name}: {part}"), move |target: Rc<Target>| {
                let request = request.clone();
                async move {
                    let mut open = many(&target, 30, b"").await;
                    for octet in request.bytes().take(600 / pause as usize) {
                        for wire in &mut open {
                            let _sent = wire.write_all(&[octet]).await;
                        }
                        sleep(Duration::from_millis(pause)).await;
                    }
                    answers(&target).await
                }
            }));
        }
    }
    all.push(attack(LAYER, "writes are over before the request is", |target: Rc<Target>| async move {
        for mut wire in many(&target, 100, b"POST /voice HTTP/1.1\r\nHost: x\r\n").await {
            let _over = wire.shutdown().await;
        }
        answers(&target).await
    }));
    all
}

/// A form whose signature looks like one, as far as it comes.
fn signed(length: &str, body: &str) -> Vec<u8> {
    let signature = format!("{}=", "A".repeat(27));
    format!("POST /voice HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: {signature}\r\n{length}\r\n\r\n{body}")
        .into_bytes()
}
