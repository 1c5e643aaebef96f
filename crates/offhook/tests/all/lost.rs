//! A call outlives its stream: a lost socket is connected again, and the conversation goes on.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::webhook::{WebhookForm, incoming_call};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::fake_twilio::{ACCOUNT, FakeTwilio, TOKEN};
use crate::server::Server;

const CALL: &str = "CA00000000000000000000000000000077";

fn form(status: &str) -> WebhookForm {
    let form = incoming_call(CALL, ACCOUNT, "+14155550100", "+14155550101");
    form.params().iter().fold(WebhookForm::default(), |form, (name, value)| {
        form.with(name, if name == "CallStatus" { status } else { value })
    })
}

/// Posts a signed form, and gives the document.
async fn post(server: &Server, path: &str, form: &WebhookForm) -> String {
    let url = format!("http://{}{path}", server.address);
    let signature = sign(&AuthToken::new(TOKEN), &url, form.params());
    let headers =
        format!("X-Twilio-Signature: {signature}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    let (status, body) = server.ask("POST", path, &headers, &form.encode()).await;
    assert_eq!(status, 200, "{body}");
    body
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split(before)
        .nth(1)
        .unwrap_or_else(|| panic!("{before} is not in {text}"))
        .split(after)
        .next()
        .unwrap()
}

/// The path and query of the document's action.
fn action(document: &str) -> &str {
    let url = between(document, "action=\"", "\"");
    &url[url.find("/after-stream").unwrap()..]
}

/// Opens the document's stream.
async fn open(server: &Server, document: &str, number: u32) -> WebSocketStream<TcpStream> {
    let token = between(document, "name=\"token\" value=\"", "\"");
    let socket = TcpStream::connect(&server.address).await.unwrap();
    let url = format!("wss://{}/media-stream", server.address);
    let signature = sign(&AuthToken::new(TOKEN), &url, &[]);
    let request = tokio_tungstenite::tungstenite::handshake::client::Request::builder()
        .uri(format!("ws://{}/media-stream", server.address))
        .header("Host", &server.address)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("X-Twilio-Signature", signature)
        .body(())
        .unwrap();
    let (mut socket, _) = client_async(request, socket).await.unwrap();
    let stream = format!("MZ{number:032x}");
    let start = format!(
        r#"{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"{ACCOUNT}","streamSid":"{stream}","callSid":"{CALL}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{"token":"{token}","from":"+14155550100"}}}},"streamSid":"{stream}"}}"#
    );
    socket
        .send(Message::Text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#.into()))
        .await
        .unwrap();
    socket.send(Message::Text(start.into())).await.unwrap();
    // The agent speaks.
    let first = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("the agent speaks");
    assert!(first.unwrap().unwrap().is_text());
    socket
}

async fn until_left(server: &Server) {
    for _ in 0..200 {
        if server.show(CALL).await["talking"] == false {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server never noticed");
}

#[tokio::test]
async fn a_lost_socket_is_connected_again_and_the_conversation_goes_on() {
    let fake = FakeTwilio::start().await;
    let server = Server::start(&fake, "pizza");
    let document = post(&server, "/voice", &form("ringing")).await;
    let socket = open(&server, &document, 1).await;
    // The connection breaks: no close frame, no `stop`.
    drop(socket);
    assert_eq!(server.show(CALL).await["outcome"], serde_json::Value::Null, "the call isn't over");
    let again = post(&server, action(&document), &form("in-progress")).await;
    assert!(again.contains("<Connect") && again.contains("<Stream"), "{again}");
    let mut socket = open(&server, &again, 2).await;
    let call = server.show(CALL).await;
    assert_eq!((&call["talking"], &call["agent"]), (&true.into(), &"pizza".into()), "{call}");
    // What ends in order is over.
    let stop = r#"{"event":"stop","sequenceNumber":"9","stop":{"accountSid":"AC1","callSid":"CA1"}}"#;
    socket.send(Message::Text(stop.into())).await.unwrap();
    until_left(&server).await;
    let last = post(&server, action(&again), &form("completed")).await;
    assert!(last.contains("<Hangup/>") && !last.contains("<Connect"), "{last}");
}

#[tokio::test]
async fn who_can_not_be_connected_again_is_told_so() {
    let fake = FakeTwilio::start().await;
    let server = Server::start(&fake, "pizza");
    // A server that was restarted knows nothing of the call.
    let document = post(&server, "/after-stream?again=1", &form("in-progress")).await;
    assert!(document.contains("the connection was lost") && document.contains("<Hangup/>"), "{document}");
    let document = post(&server, "/after-stream?again=1", &form("completed")).await;
    assert!(!document.contains("<Stream") && !document.contains("<Say"), "{document}");
}
