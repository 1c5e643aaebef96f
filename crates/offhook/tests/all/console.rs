//! The console, and the calls that a browser places: who may, and who may not.

use std::time::Duration;

use crate::server::{Server, line};
use offhook_simulator::{CallPlan, Script, When, place};
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use serde_json::{Value, json};

const UPGRADE: &str =
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Status of an upgrade without any token. The body of one that succeeds would not end.
pub(crate) async fn upgrade(server: &Server, path: &str, headers: &str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut wire = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n{UPGRADE}{headers}\r\n",
        server.address
    );
    wire.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    wire.read_exact(&mut head).await.unwrap();
    std::str::from_utf8(&head).unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_browser_places_a_call_where_only_twilio_may() {
    let server = Server::without_rest("echo");
    let (status, body) =
        server.ask("POST", "/calls/test", "", &json!({"parameters": {"table": "4"}}).to_string()).await;
    assert_eq!(status, 201, "{body}");
    let call: Value = serde_json::from_str(&body).unwrap();
    let (sid, ticket) = (call["sid"].as_str().unwrap(), call["ticket"].as_str().unwrap());
    let form = format!("CallSid={sid}&From=%2B14155550100&To=%2B14155550101&CallStatus=ringing");
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let (status, document) = server.ask("POST", call["webhook"].as_str().unwrap(), headers, &form).await;
    assert!(
        status == 200 && document.contains("<Stream") && document.contains("name=\"token\""),
        "{document}"
    );
    // The ticket is this call's, and good once.
    let path = |call: &str, ticket: &str| format!("/media-stream?call={call}&ticket={ticket}");
    assert_eq!(upgrade(&server, "/media-stream", "").await, 403);
    assert_eq!(upgrade(&server, &path("CA1", ticket), "").await, 403);
    assert_eq!(upgrade(&server, &path(sid, ticket), "Origin: https://evil.example\r\n").await, 403);
    let own = format!("Origin: http://{}\r\n", server.address);
    assert_eq!(upgrade(&server, &path(sid, ticket), &own).await, 101);
    assert_eq!(upgrade(&server, &path(sid, ticket), &own).await, 403);
    let shown = server.show(sid).await;
    assert_eq!((&shown["status"], &shown["parameters"]["table"]), (&json!("queued"), &json!("4")));
}

#[tokio::test]
async fn wishes_that_cannot_be_met_are_refused() {
    let server = Server::without_rest("echo");
    for wish in [r#"{"agent":"nobody"}"#, r#"{"agnt":"echo"}"#, "7"] {
        let (status, body) = server.ask("POST", "/calls/test", "", wish).await;
        assert_eq!(status, 422, "{body}");
    }
    let long = json!({ "text": "a".repeat(501) }).to_string();
    for words in [r#"{"text":" "}"#, long.as_str()] {
        let (status, body) = server.ask("POST", "/speech", "", words).await;
        assert_eq!(status, 422, "{body}");
    }
    assert_eq!(server.tell("CA404", "take-over", &json!({ "on": true })).await, 404);
    let (_, body) = server.ask("POST", "/calls/test", "", "").await;
    let ringing: Value = serde_json::from_str(&body).unwrap();
    let sid = ringing["sid"].as_str().unwrap();
    assert_eq!(server.tell(sid, "take-over", &json!({ "on": true })).await, 409);
    let (status, body) = server.ask("GET", "/server", "", "").await;
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &shown["agents"][0]["name"], &shown["signed"]), (200, &json!("echo"), &json!(true)));
}

#[tokio::test]
async fn the_page_loads_from_here_alone() {
    let server = Server::without_rest("echo");
    let (status, page) = server.ask("GET", "/console/", "", "").await;
    assert!(status == 200 && page.contains("<script type=\"module\" src=\"main.js\">"), "{page}");
    let (status, _) = server.ask("GET", "/console/main.js", "", "").await;
    assert_eq!(status, 200);
    for path in ["/console/Cargo.toml", "/console/..%2fCargo.toml", "/console/%2e%2e/metrics"] {
        let (status, body) = server.ask("GET", path, "", "").await;
        assert_eq!(status, 404, "{path} {body}");
    }
    let (status, _) = server.ask("GET", "/console/main.js", "Origin: https://evil.example\r\n", "").await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn whoever_has_the_token_listens_in() {
    let server = Server::open("echo");
    let (_, body) = server.ask("POST", "/calls/test", "", "").await;
    let call: Value = serde_json::from_str(&body).unwrap();
    let sid = call["sid"].as_str().unwrap();
    assert_eq!(server.ask("GET", "/calls/CA404/listen", "", "").await.0, 404);
    let url = format!("http://{}{}", server.address, call["webhook"].as_str().unwrap());
    let plan = CallPlan {
        url,
        auth_token: None,
        call_sid: CallSid::parse(sid).unwrap(),
        stream_sid: StreamSid::parse("MZ1").unwrap(),
        account_sid: AccountSid::parse("AC1").unwrap(),
        from: "+14155550100".into(),
        to: "+14155550101".into(),
        script: Script::new(vec![line("pizza-1", When::At(500))]),
        hang_up_after: Duration::from_millis(500),
        longest: Duration::from_secs(20),
        drop_after: None,
    };
    let path = format!("/calls/{sid}/listen");
    let (listened, placed) = tokio::join!(server.ask("GET", &path, "", ""), place(plan, |_| {}));
    placed.unwrap();
    let (status, heard) = listened;
    let events = |name: &str| heard.matches(&format!("event: {name}\n")).count();
    assert_eq!(status, 200);
    assert!(
        events("caller") > 50 && events("agent") > 50 && events("over") == 1,
        "{}",
        &heard[..heard.len().min(400)]
    );
    // It is over: there is nothing more to hear.
    assert_eq!(server.ask("GET", &path, "", "").await, (200, "0\r\n\r\n".to_owned()));
}
