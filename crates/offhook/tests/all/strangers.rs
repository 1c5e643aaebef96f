//! What peers get who have no business with the server: refusals, at their own expense.

use crate::fake_twilio::{FakeTwilio, TOKEN};
use crate::server::Server;
use offhook_twilio::signature::{AuthToken, sign};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends this, and reads what is answered until the server closes or `enough` was read.
async fn told(server: &Server, request: &[u8], enough: &str) -> String {
    let mut wire = TcpStream::connect(&server.address).await.unwrap();
    wire.write_all(request).await.unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        let count = wire.read(&mut piece).await.unwrap();
        answer.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&answer);
        if count == 0 || text.contains(enough) {
            return text.into_owned();
        }
    }
}

/// Memory that a process has in use, in kB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn who_has_no_signature_is_refused_before_the_body_is_read() {
    let server = Server::start(&FakeTwilio::start().await, "echo");
    for signature in ["", "X-Twilio-Signature: guess\r\n"] {
        // The body never comes.
        let head =
            format!("POST /voice HTTP/1.1\r\nHost: x\r\n{signature}Content-Length: 10000000\r\n\r\na=b");
        let answer = told(&server, head.as_bytes(), "not valid").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
    }
    let settings = "X-Twilio-Webhooks-Signature-Settings: key=k,algorithm=HMAC_SHA256\r\n";
    let shape = format!("X-Twilio-Signature: {}=\r\n{settings}", "A".repeat(43));
    let head = format!("POST /voice HTTP/1.1\r\nHost: x\r\n{shape}Content-Length: 3\r\n\r\na=b");
    assert!(told(&server, head.as_bytes(), "\r\n\r\n").await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn single_octets_cost_no_memory_and_no_more_than_16_kb_are_taken() {
    let server = Server::start(&FakeTwilio::start().await, "echo");
    let forged = format!("X-Twilio-Signature: {}=\r\n", "A".repeat(27));
    let head =
        format!("POST /voice HTTP/1.1\r\nHost: x\r\n{forged}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    let mut whole = head.clone();
    whole.extend_from_slice(&b"1\r\na\r\n".repeat(16 * 1_024 + 1));
    assert!(told(&server, &whole, "\r\n\r\n").await.starts_with("HTTP/1.1 413"));
    let many = format!("{}0\r\n\r\n", "4\r\na=b&\r\n".repeat(201));
    let many = [head.as_slice(), many.as_bytes()].concat();
    assert!(told(&server, &many, "parameters").await.contains("more than 200"));

    let before = resident(server.process());
    let mut open = Vec::new();
    for _ in 0..20 {
        let mut wire = TcpStream::connect(&server.address).await.unwrap();
        wire.write_all(&head).await.unwrap();
        wire.write_all(&b"1\r\na\r\n".repeat(7_000)).await.unwrap();
        open.push(wire);
    }
    // Each was read up to here once it answers to the next.
    let (status, _) = server.ask("GET", "/readyz", "", "").await;
    assert_eq!(status, 200);
    let grown = resident(server.process()).saturating_sub(before);
    assert!(grown < 20_000, "{grown} kB for 140 kB of forms");
}

#[tokio::test]
async fn strangers_do_not_lock_the_owner_out() {
    let server = Server::start(&FakeTwilio::start().await, "echo");
    let request =
        "GET /calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nConnection: close\r\n\r\n";
    let mut last = String::new();
    for _ in 0..100 {
        last = told(&server, request.as_bytes(), "}}").await;
    }
    // However many there were: who has no token is told so.
    assert!(last.starts_with("HTTP/1.1 401"), "{last}");
    for _ in 0..10 {
        assert_eq!(server.ask("GET", "/calls", "", "").await.0, 200);
    }
    let counted = server.ask("GET", "/metrics", "", "").await.1;
    assert!(counted.contains("offhook_tokens_refused_total 100"), "{counted}");
    // Neither are Twilio's requests refused that come from the same address.
    let signature = sign(&AuthToken::new(TOKEN), &format!("http://{}/voice", server.address), &[]);
    let head = format!("X-Twilio-Signature: {signature}\r\n");
    assert_eq!(server.ask("POST", "/voice", &head, "").await.0, 200);
}

#[tokio::test]
async fn pages_of_other_origins_and_paths_in_sids_are_refused() {
    let server = Server::start(&FakeTwilio::start().await, "echo");
    let foreign = "Origin: https://evil.example\r\n";
    assert_eq!(server.ask("GET", "/calls", foreign, "").await.0, 403);
    assert_eq!(server.ask("GET", "/healthz", foreign, "").await.0, 403);
    let long = format!("/voice?{}", "a".repeat(5_000));
    assert_eq!(server.ask("GET", &long, "", "").await.0, 414);
    let form = "CallSid=..%2F..%2FMessages";
    let params = [("CallSid".to_owned(), "../../Messages".to_owned())];
    let signature = sign(&AuthToken::new(TOKEN), &format!("http://{}/voice", server.address), &params);
    let (status, answer) =
        server.ask("POST", "/voice", &format!("X-Twilio-Signature: {signature}\r\n"), form).await;
    assert_eq!(status, 400, "{answer}");
}

#[tokio::test]
async fn an_open_server_is_reached_by_its_own_names_only() {
    let server = Server::open("echo");
    let get = |host: &str, more: &str| {
        format!("GET /voice?CallSid=CA1 HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n")
            .into_bytes()
    };
    let own = server.address.clone();
    assert!(told(&server, &get(&own, ""), "</Response>").await.contains("<Stream"));
    let rebound = told(&server, &get("evil.example:5000", ""), "\n\n").await;
    assert!(rebound.starts_with("HTTP/1.1 421") && rebound.contains("public_url"), "{rebound}");
    let page = format!("Origin: http://{own}\r\n");
    assert!(told(&server, &get(&own, &page), "</Response>").await.contains("<Stream"));
    let tunnel = get("abc.ngrok.app", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n");
    assert!(told(&server, &tunnel, "</Response>").await.contains("wss://abc.ngrok.app/media-stream"));
}
