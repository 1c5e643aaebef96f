//! Servers with mistakes of everyday: a template that was not filled, a field spelled otherwise, a library's default that isn't Twilio's.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::agents;
use crate::examined::expect;
use crate::server::{self, Server, Socket, connect_to, ok, xml};

/// A webhook that answers everything with these octets.
async fn answers(raw: &str) -> Server {
    let raw = raw.to_owned();
    Server::webhook(move |_, _| raw.clone()).await
}

/// A webhook with this document, in which `OWN` is the server's address; behind its stream the agent greets.
async fn document(body: &'static str) -> Server {
    Server::start(move |_, own| xml(&body.replace("OWN", own)), ok, agents::greets).await
}

#[tokio::test]
async fn webhooks_with_everyday_mistakes_are_named() {
    let kind = "content-type: text/xml\r\n";
    let good = "<Response><Say>Hello</Say></Response>";
    expect(vec![
        (
            answers(&format!("HTTP/1.1 200 OK\r\n{kind}content-length: 900\r\n\r\n{good}")).await,
            "Fails broken-http 11206",
        ),
        (
            answers(&format!("HTTP/1.1 200 OK\r\n{kind}transfer-encoding: chunked\r\n\r\nzz\r\n{good}\r\n0\r\n\r\n")).await,
            "Fails broken-http 11206",
        ),
        (
            answers(&format!("HTTP/1.1 200 OK\r\n{kind}content-encoding: gzip\r\ncontent-length: 37\r\n\r\n{good}")).await,
            "Fails compressed 12100",
        ),
        (answers("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n").await, "Fails webhook-status 11200"),
        (answers("HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n").await, "Fails webhook-gateway 11200"),
        (
            answers("HTTP/1.1 400 Bad Request\r\ncontent-length: 32\r\n\r\nNo signature header error for th").await,
            "Fails webhook-forbidden 11200",
        ),
        (
            answers("HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/xml\r\ncontent-length: 11\r\n\r\n<Response/>").await,
            "Fails webhook-server-error 11200",
        ),
        (
            document("Warning: Undefined variable $to in /var/www/voice.php on line 3\n<?xml version=\"1.0\"?><Response/>").await,
            "Fails before-prolog 12100",
        ),
        (document("<Response><Say>one&nbsp;moment</Say></Response>").await, "Fails bare-ampersand 12100"),
        (document("<Response/><Response/>").await, "Fails not-well-formed 12100"),
        (document("<Response><Connect><Stream url=wss://OWN/media/></Connect></Response>").await, "Fails not-well-formed 12100"),
        (document("<Response><Connect><Stream url=“wss://OWN/media”/></Connect></Response>").await, "Fails not-well-formed 12100"),
        (document("<response><Connect><Stream url=\"wss://OWN/media\"/></Connect></response>").await, "Fails root-not-response 12102"),
        (document("<Response><Connect><Stream url=\"wss://{{host}}/media\"/></Connect></Response>").await, "Fails stream-url-broken 31923"),
        (document("<Response><Connect><Stream url=\"wss://${HOST}/media\"/></Connect></Response>").await, "Fails stream-url-broken 31923"),
        (document("<Response><Connect><Stream url=\"https://OWN/media\"/></Connect></Response>").await, "Fails stream-url-scheme 31922"),
        (document("<Response><Connect><Stream url=\"wss://wss://OWN/media\"/></Connect></Response>").await, "Fails stream-url-broken 31923"),
        (document("<Response><Connect><Stream url=\"\"/></Connect></Response>").await, "Fails stream-url-missing 31923"),
        (document("<Response><Connect><Stream>wss://OWN/media</Stream></Connect></Response>").await, "Fails stream-url-missing 31923"),
        (document("<Response><connect><stream url=\"wss://OWN/media\"/></connect></Response>").await, "Fails stream-lost 12200"),
        (document("<Response><Stream url=\"wss://OWN/media\"/></Response>").await, "Fails stream-lost 12200"),
        (document("<Response><Gather><Connect><Stream url=\"wss://OWN/media\"/></Connect></Gather></Response>").await, "Fails stream-lost 12200"),
        (document("<Response><Hangup/><Connect><Stream url=\"wss://OWN/media\"/></Connect></Response>").await, "Fails stream-unreachable"),
        (document("<Response><Dial>+14155550100</Dial><Hangup/><Connect><Stream url=\"wss://OWN/media\"/></Connect></Response>").await, "Fails stream-unreachable"),
    ])
    .await;
}

#[tokio::test]
async fn handshakes_with_everyday_mistakes_are_named() {
    let reply = |head: &'static str| {
        move |_: &str, _: &str| Some(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n"))
    };
    let no_accept = |_: &str, _: &str| {
        Some(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
                .to_owned(),
        )
    };
    let of_the_key = |head: &str, _: &str| {
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
        Some(format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {key}\r\n\r\n"
        ))
    };
    let no_upgrade = |head: &str, _: &str| {
        let whole = server::switching(head, "");
        Some(whole.replace("Upgrade: WebSocket\r\n", ""))
    };
    let then_text = |head: &str, _: &str| {
        Some(format!("{}{}", server::switching(head, ""), "Internal Server Error. ".repeat(20)))
    };
    let closing = |code: u16, reason: &'static str| {
        move |mut socket: Socket| async move {
            let frame = CloseFrame { code: code.into(), reason: reason.into() };
            let _closed = socket.close(Some(frame)).await;
        }
    };
    expect(vec![
        (
            Server::upgrade(reply("401 Unauthorized\r\nwww-authenticate: Basic")).await,
            "Fails upgrade-forbidden 31920",
        ),
        (Server::upgrade(reply("405 Method Not Allowed")).await, "Fails upgrade-header-lost 31920"),
        (Server::upgrade(reply("504 Gateway Timeout")).await, "Fails upgrade-gateway 31920"),
        (
            Server::upgrade(reply("301 Moved Permanently\r\nlocation: https://www.example.com/media")).await,
            "Fails upgrade-redirected 31920",
        ),
        (Server::upgrade(no_accept).await, "Fails accept-wrong 31920"),
        (Server::upgrade(of_the_key).await, "Fails accept-wrong 31920"),
        (Server::upgrade(no_upgrade).await, "Fails upgrade-headers-missing 31920"),
        (Server::upgrade(then_text).await, "Fails websocket-broken 31924"),
        (Server::good(closing(1_008, "invalid token")).await, "Fails server-closed 31921"),
        (Server::good(closing(1_003, "")).await, "Fails server-closed 31921"),
        (Server::good(closing(4_401, "Unauthorized")).await, "Fails server-closed 31921"),
    ])
    .await;
}

/// Sends what is made of the stream's id, then listens.
async fn sends(mut socket: Socket, make: impl Fn(&str) -> Vec<Message>) {
    let mut sid = None;
    while let Some(Ok(message)) = socket.next().await {
        let value: Value = serde_json::from_str(message.to_text().unwrap_or("")).unwrap_or_default();
        if value["event"] == "start" {
            sid = value["streamSid"].as_str().map(str::to_owned);
            break;
        }
    }
    // In one piece: what lies between two messages must not depend on how busy the machine is.
    for message in make(&sid.unwrap()) {
        let _gone = socket.feed(message).await;
    }
    let _gone = socket.flush().await;
    while let Some(Ok(message)) = socket.next().await {
        if message.to_text().is_ok_and(|text| text.contains(r#""event":"stop""#)) {
            break;
        }
    }
    let _closed = socket.close(None).await;
}

async fn speaks(make: impl Fn(&str) -> Vec<Value> + Clone + Send + Sync + 'static) -> Server {
    writes(move |sid| make(sid).into_iter().map(|value| value.to_string()).collect()).await
}

async fn writes(make: impl Fn(&str) -> Vec<String> + Clone + Send + Sync + 'static) -> Server {
    Server::good(move |socket| {
        let make = make.clone();
        sends(socket, move |sid| make(sid).into_iter().map(|text| Message::Text(text.into())).collect())
    })
    .await
}

fn spoken(sid: &str, payload: &Value) -> Value {
    json!({"event": "media", "streamSid": sid, "media": {"payload": payload}})
}

fn sound() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/callers/booking-1.wav");
    std::fs::read(path).unwrap().split_off(58)
}

/// The sound as one payload, spelled so.
async fn payload(spelled: impl Fn(&[u8]) -> Value + Clone + Send + Sync + 'static) -> Server {
    speaks(move |sid| sound().chunks(1_600).map(|piece| spoken(sid, &spelled(piece))).collect()).await
}

#[tokio::test]
async fn messages_with_everyday_mistakes_are_named() {
    let data = || STANDARD.encode(sound());
    let lines = |piece: &[u8]| {
        let text = STANDARD.encode(piece);
        let lines: Vec<&str> =
            text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        json!(lines.join("\n") + "\n")
    };
    expect(vec![
        (
            speaks(move |sid| {
                vec![json!({"event": "Media", "streamSid": sid, "media": {"payload": data()}})]
            })
            .await,
            "Fails unknown-event 31951",
        ),
        (
            speaks(move |sid| vec![json!({"type": "media", "streamSid": sid, "media": {"payload": data()}})])
                .await,
            "Fails unknown-event 31951",
        ),
        (
            speaks(move |_| vec![json!({"event": "media", "streamSid": null, "media": {"payload": data()}})])
                .await,
            "Fails stream-sid-missing 31951",
        ),
        (
            speaks(move |_| vec![json!({"event": "media", "streamSid": "", "media": {"payload": data()}})])
                .await,
            "Fails stream-sid-missing 31951",
        ),
        (
            speaks(move |sid| {
                vec![json!({"event": "media", "stream_sid": sid, "media": {"payload": data()}})]
            })
            .await,
            "Fails stream-sid-missing 31951",
        ),
        (
            speaks(move |sid| vec![json!({"event": "media", "streamSid": sid, "media": data()})]).await,
            "Fails bad-shape 31951",
        ),
        (
            speaks(move |sid| vec![json!({"event": "media", "streamSid": sid, "media": {"data": data()}})])
                .await,
            "Fails bad-shape 31951",
        ),
        (payload(|piece| json!({"type": "Buffer", "data": piece})).await, "Fails bad-shape 31951"),
        (payload(|piece| json!(piece)).await, "Fails bad-shape 31951"),
        (
            payload(|piece| json!(format!("data:audio/basic;base64,{}", STANDARD.encode(piece)))).await,
            "Fails bad-base64 31951",
        ),
        (payload(|piece| json!(format!("b'{}'", STANDARD.encode(piece)))).await, "Fails bad-base64 31951"),
        (payload(|piece| json!(STANDARD_NO_PAD.encode(piece))).await, "Fails bad-base64 31951"),
        (payload(lines).await, "Fails bad-base64 31951"),
        (
            writes(move |sid| vec![Value::String(spoken(sid, &json!(data())).to_string()).to_string()]).await,
            "Fails not-json 31951",
        ),
        (
            writes(move |sid| vec![json!([spoken(sid, &json!(data()))]).to_string()]).await,
            "Fails not-json 31951",
        ),
        (
            writes(move |sid| vec![spoken(sid, &json!(data())).to_string().replace('"', "'")]).await,
            "Fails not-json 31951",
        ),
        (
            writes(move |sid| vec![format!("data: {}\n\n", spoken(sid, &json!(data())))]).await,
            "Fails not-json 31951",
        ),
        (payload(|_| json!("")).await, "Fails never-speaks"),
        (
            Server::good(|socket| {
                sends(socket, |sid| {
                    vec![Message::Binary(
                        spoken(sid, &json!(STANDARD.encode(sound()))).to_string().into_bytes().into(),
                    )]
                })
            })
            .await,
            "Fails binary-frames 31950",
        ),
    ])
    .await;
}

/// A file's beginning, and then what is compressed.
fn file(magic: &[u8]) -> Vec<u8> {
    let mut state = 7_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    magic.iter().copied().chain(noise).take(24_000).collect()
}

#[tokio::test]
async fn voices_with_everyday_mistakes_are_named() {
    let all_at_once =
        |make: fn() -> Vec<u8>| speaks(move |sid| vec![spoken(sid, &json!(STANDARD.encode(make())))]);
    let clears_itself = speaks(|sid| {
        let clear = json!({"event": "clear", "streamSid": sid});
        let pieces = sound()
            .chunks(1_600)
            .flat_map(|piece| [clear.clone(), spoken(sid, &json!(STANDARD.encode(piece)))])
            .collect::<Vec<_>>();
        [pieces, vec![clear]].concat()
    });
    let drips = |mut socket: Socket| async move {
        let sid = loop {
            let Some(Ok(message)) = socket.next().await else { return };
            let value: Value = serde_json::from_str(message.to_text().unwrap_or("")).unwrap_or_default();
            if value["event"] == "start" {
                break value["streamSid"].as_str().unwrap().to_owned();
            }
        };
        for piece in sound().chunks(160).cycle().take(200) {
            let _gone = socket
                .send(Message::Text(spoken(&sid, &json!(STANDARD.encode(piece))).to_string().into()))
                .await;
            tokio::time::sleep(Duration::from_millis(27)).await;
        }
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
    };
    let says_and_goes = |mut socket: Socket| async move {
        let _connected = socket.next().await;
        let Some(Ok(message)) = socket.next().await else { return };
        let value: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        let message = spoken(value["streamSid"].as_str().unwrap(), &json!(STANDARD.encode(sound())));
        let _gone = socket.send(Message::Text(message.to_string().into())).await;
        let _closed = socket.close(None).await;
    };
    let cut = |mut socket: Socket| async move {
        let _connected = socket.next().await;
        // A frame that says it has 100 octets, of which 3 come.
        let _gone = socket.get_mut().write_all(&[0x81, 100, b'{', b'"', b'e']).await;
    };
    expect(vec![
        (all_at_once(|| file(b"OggS\0\x02")).await, "Fails container"),
        (all_at_once(|| file(b"fLaC\0\0\0\x22")).await, "Fails container"),
        (all_at_once(|| file(&[0x1A, 0x45, 0xDF, 0xA3, 0x9F])).await, "Fails container"),
        (all_at_once(|| file(b"\0\0\0\x20ftypM4A ")).await, "Fails container"),
        (all_at_once(|| file(b"ID3\x04\0\0")).await, "Fails container"),
        (all_at_once(|| file(b"FORM\0\0\x10\0AIFF")).await, "Fails container"),
        (all_at_once(|| file(b"{\"error\":{\"message\":\"Invalid API key\"}}")).await, "Fails container"),
        (
            all_at_once(|| b"{\"detail\":{\"status\":\"quota_exceeded\",\"message\":\"This request exceeds your quota.\"}}".repeat(40)).await,
            "Fails container",
        ),
        (
            all_at_once(|| {
                let mut samples = vec![0; sound().len()];
                offhook_mulaw::decode_slice(&sound(), &mut samples);
                samples.iter().flat_map(|sample| sample.to_be_bytes()).collect()
            }).await,
            "Fails linear-pcm",
        ),
        (
            all_at_once(|| {
                let mut samples = vec![0; sound().len()];
                offhook_mulaw::decode_slice(&sound(), &mut samples);
                samples.iter().map(|sample| offhook_mulaw::encode(sample / 400)).collect()
            }).await,
            "Fails only-silence",
        ),
        (clears_itself.await, "Fails clears-its-own-voice"),
        (Server::good(drips).await, "Risky gaps-in-voice"),
        (Server::good(says_and_goes).await, "Fails server-closed 31921"),
        (Server::good(cut).await, "Fails connection-broke 31903"),
    ])
    .await;
}

#[tokio::test]
async fn servers_that_are_only_unusual_have_no_fault() {
    let body =
        |own: &str| format!("<Response><Connect><Stream url=\"wss://{own}/media\"/></Connect></Response>");
    let first_100 = move |_: &str, own: &str| format!("HTTP/1.1 100 Continue\r\n\r\n{}", xml(&body(own)));
    let old =
        move |_: &str, own: &str| format!("HTTP/1.0 200 OK\r\ncontent-type: text/xml\r\n\r\n{}", body(own));
    let cdata = |_: &str, own: &str| {
        let say = "<Response><Say><![CDATA[Tom & Jerry <3]]></Say><Connect>";
        let parameter = "<Parameter name=\"a\" value=\"&#x41;\"/></Stream></Connect></Response>";
        xml(&format!("{say}<Stream url='wss://{own}/media'>{parameter}"))
    };
    expect(vec![
        (Server::start(first_100, ok, agents::greets).await, "none"),
        (Server::start(old, ok, agents::greets).await, "none"),
        (Server::start(cdata, ok, agents::greets).await, "none"),
        (
            Server::start(|_, own| connect_to(&format!("wss://{own}/a/b%20c/media")), ok, agents::greets)
                .await,
            "none",
        ),
    ])
    .await;
}
