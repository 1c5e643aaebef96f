//! WebSockets: upgrades that mustn't be granted, and frames that no client may send.

use std::rc::Rc;
use std::time::Duration;

use offhook_twilio::signature::{AuthToken, sign};

use crate::target::{Socket, TOKEN, Target, frame, refused};
use crate::{Attack, attack};

const LAYER: &str = "websocket";

/// So long a server may take to end what is against the protocol.
const ENDED_WITHIN: Duration = Duration::from_millis(2_500);

pub(crate) fn all() -> Vec<Attack> {
    [upgrades(), frames(), lengths(), floods()].into_iter().flatten().collect()
}

fn upgrades() -> Vec<Attack> {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let usual = format!("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{key}");
    let mut all = Vec::new();
    for path in ["/media-stream", "/conversation-relay"] {
        for (name, signed, headers) in [
            ("without a signature", false, usual.clone()),
            ("without a key", true, usual.replace(key, "")),
            ("with version 12", true, usual.replace("13", "12")),
            ("without Connection", true, usual.replace("Connection: Upgrade\r\n", "")),
            ("to h2c", true, usual.replace("websocket", "h2c")),
            ("with a foreign origin", true, format!("Origin: https://evil.example\r\n{usual}")),
            ("with a ticket of nobody", false, usual.clone()),
        ] {
            all.push(attack(LAYER, format!("an upgrade of {path} {name}"), move |target: Rc<Target>| {
                let headers = headers.clone();
                async move {
                    let query = if name.contains("ticket") { "?call=CA1&ticket=AAAA.BBBB.CCCC" } else { "" };
                    let url = format!("wss://{}{path}", target.address);
                    let signature = if signed { sign(&AuthToken::new(TOKEN), &url, &[]) } else { "A".repeat(27) + "=" };
                    let request = format!(
                        "GET {path}{query} HTTP/1.1\r\nHost: {}\r\nX-Twilio-Signature: {signature}\r\n{headers}\r\n",
                        target.address
                    );
                    refused(&target.told(request.as_bytes()).await?)
                }
            }));
        }
        all.push(attack(
            LAYER,
            format!("{path} with other words than a WebSocket's"),
            move |target: Rc<Target>| async move {
                let mut socket = target.upgrade(path).await?;
                let _sent = socket.raw(&b"GET /calls HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50)).await;
                ended(&mut socket).await
            },
        ));
        all.push(attack(
            LAYER,
            format!("60 sockets of {path} that say nothing"),
            move |target: Rc<Target>| async move {
                let mut open = Vec::new();
                for _ in 0..60 {
                    open.push(target.upgrade(path).await?);
                }
                Ok(())
            },
        ));
    }
    all
}

async fn ended(socket: &mut Socket) -> Result<(), String> {
    if socket.closed_within(ENDED_WITHIN).await { Ok(()) } else { Err("the server goes on".to_owned()) }
}

/// Sends octets to both kinds of sockets; the server must end it.
fn must_end(all: &mut Vec<Attack>, name: &str, octets: &[u8]) {
    for path in ["/media-stream", "/conversation-relay"] {
        let octets = octets.to_vec();
        all.push(attack(LAYER, format!("{name} to {path}"), move |target: Rc<Target>| {
            let octets = octets.clone();
            async move {
                let mut socket = target.upgrade(path).await?;
                let _sent = socket.raw(&octets).await;
                ended(&mut socket).await
            }
        }));
    }
}

fn frames() -> Vec<Attack> {
    let mut all = Vec::new();
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        must_end(&mut all, &format!("opcode {opcode}"), &frame(0x80 | opcode, b"{}"));
    }
    for (name, bit) in [("rsv1", 0x40), ("rsv2", 0x20), ("rsv3", 0x10)] {
        must_end(&mut all, &format!("a text with {name}"), &frame(0x81 | bit, b"{}"));
    }
    must_end(&mut all, "a text without a mask", &[0x81, 2, b'{', b'}']);
    must_end(&mut all, "a ping in fragments", &frame(0x09, b"a"));
    must_end(&mut all, "a close in fragments", &frame(0x08, b"\x03\xe8"));
    must_end(&mut all, "a ping of 126", &frame(0x89, &[0; 126]));
    must_end(&mut all, "a continuation of nothing", &frame(0x80, b"{}"));
    must_end(&mut all, "a text within a text", &[frame(0x01, b"{"), frame(0x81, b"{}")].concat());
    must_end(&mut all, "a text that is no UTF-8", &frame(0x81, b"{\"\xff\xfe\":1}"));
    must_end(&mut all, "half a letter", &frame(0x81, b"\xe2\x82"));
    must_end(&mut all, "binary", &frame(0x82, &[7; 100]));
    for (name, payload) in [
        ("no code", &b""[..]),
        ("half a code", b"\x03"),
        ("code 0", b"\0\0"),
        ("code 999", b"\x03\xe7"),
        ("code 1005", b"\x03\xed"),
        ("code 1015", b"\x03\xf7"),
        ("code 65535", b"\xff\xff"),
        ("words that are no UTF-8", b"\x03\xe8\xff"),
    ] {
        must_end(&mut all, &format!("a close with {name}"), &frame(0x88, payload));
    }
    must_end(
        &mut all,
        "much behind a close",
        &[frame(0x88, b"\x03\xe8"), frame(0x81, b"{}").repeat(5_000)].concat(),
    );
    all
}

fn lengths() -> Vec<Attack> {
    let mut all = Vec::new();
    let head = |length: u64| [&[0x81, 0xFF][..], &length.to_be_bytes(), &[0; 4]].concat();
    for (name, octets) in [
        ("a length of 2^63", head(1 << 63)),
        ("a length of 2^64 - 1", head(u64::MAX)),
        ("a length of 2^32", head(1 << 32)),
        ("a length of 1 GB", head(1 << 30)),
        ("a text of 1 MB", frame(0x81, &vec![b' '; 1 << 20])),
        ("a text of 5 MB", frame(0x81, &vec![b' '; 5 << 20])),
        ("1 MB in fragments", [frame(0x01, b"{"), frame(0x00, &[b' '; 1_000]).repeat(1_000)].concat()),
    ] {
        must_end(&mut all, name, &octets);
    }
    all
}

fn floods() -> Vec<Attack> {
    let mut all = Vec::new();
    for (name, octets) in [
        ("5 000 pings", frame(0x89, b"").repeat(5_000)),
        ("5 000 pings of 125", frame(0x89, &[b'a'; 125]).repeat(5_000)),
        ("5 000 pongs", frame(0x8A, b"").repeat(5_000)),
        ("5 000 empty texts", frame(0x81, b"").repeat(5_000)),
        ("50 000 empty fragments", [frame(0x01, b""), frame(0x00, b"").repeat(50_000)].concat()),
        ("5 000 fragments of an octet", [frame(0x01, b"{"), frame(0x00, b" ").repeat(5_000)].concat()),
        ("pings between fragments", [frame(0x01, b"{"), frame(0x89, b"a").repeat(4_000)].concat()),
    ] {
        for path in ["/media-stream", "/conversation-relay"] {
            let octets = octets.clone();
            all.push(attack(LAYER, format!("{name} to {path}"), move |target: Rc<Target>| {
                let octets = octets.clone();
                async move {
                    let mut socket = target.upgrade(path).await?;
                    let _sent = socket.raw(&octets).await;
                    socket.closed_within(Duration::from_millis(300)).await;
                    Ok(())
                }
            }));
        }
    }
    all
}
