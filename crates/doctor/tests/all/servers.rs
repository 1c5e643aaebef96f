//! Broken servers, each with a fault that people report, and good ones of many shapes, over real sockets.

use crate::agents;
use crate::examined::{examined, expect, first, options};
use crate::server::{self, Server, connect_to, ok, xml};
use offhook_doctor::Options;

#[tokio::test]
async fn faults_of_the_webhook_are_named() {
    let answer = |head: &str, body: &str| {
        let text = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        move |_: &str, _: &str| text.clone()
    };
    let document = "<Response><Say>hello</Say></Response>";
    let loops =
        |_: &str, _: &str| "HTTP/1.1 302 Found\r\nlocation: /voice\r\ncontent-length: 0\r\n\r\n".to_owned();
    let to_get = |head: &str, _: &str| {
        let answer = if head.starts_with("POST /voice ") {
            "301 Moved Permanently\r\nlocation: /voice/"
        } else {
            "405 Method Not Allowed"
        };
        format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n")
    };
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    expect(vec![
        (Server::webhook(answer("404 Not Found", "")).await, "Fails webhook-not-found 11200"),
        (Server::webhook(answer("405 Method Not Allowed", "")).await, "Fails webhook-method 11200"),
        (
            Server::webhook(answer("401 Unauthorized\r\nwww-authenticate: Basic", "")).await,
            "Fails webhook-authentication 11200",
        ),
        (Server::webhook(answer("403 Forbidden", "")).await, "Fails webhook-forbidden 11200"),
        (Server::webhook(answer("500 Internal Server Error", "")).await, "Fails webhook-server-error 11200"),
        (Server::webhook(answer("502 Bad Gateway", "")).await, "Fails webhook-gateway 11200"),
        (
            Server::webhook(answer("404 Not Found\r\nngrok-error-code: ERR_NGROK_3200", "")).await,
            "Fails webhook-gateway 11200",
        ),
        (
            Server::webhook(answer("200 OK\r\ncontent-type: application/json", "\"<Response/>\"")).await,
            "Fails content-type 12300",
        ),
        (Server::webhook(answer("200 OK", document)).await, "Fails content-type-missing 12300"),
        (Server::webhook(answer("200 OK\r\ncontent-type: text/xml", "")).await, "Fails empty-body 12100"),
        (
            Server::webhook(answer(
                "200 OK\r\ncontent-type: text/html",
                "<!doctype html><title>Sign in</title>",
            ))
            .await,
            "Fails html-page 12100",
        ),
        (Server::webhook(move |_, _| chunked.to_owned()).await, "Fails empty-chunked 11770"),
        (
            Server::webhook(answer("403 Forbidden", "CSRF verification failed. Request aborted.")).await,
            "Fails webhook-csrf 11200",
        ),
        (Server::webhook(answer("419 unknown status", "Page Expired")).await, "Fails webhook-csrf 11200"),
        (
            Server::webhook(answer(
                "403 Forbidden\r\ncf-mitigated: challenge",
                "<title>Just a moment...</title>",
            ))
            .await,
            "Fails webhook-bot-check 11200",
        ),
        (
            Server::webhook(answer("403 Forbidden", "{\"message\":\"Missing Authentication Token\"}")).await,
            "Fails webhook-not-found 11200",
        ),
        (Server::webhook(to_get).await, "Fails redirect-loses-post 11200"),
        (
            Server::webhook(answer("200 OK\r\ncontent-type: text/xml", "&lt;Response&gt;&lt;/Response&gt;"))
                .await,
            "Fails document-escaped 12100",
        ),
        (Server::webhook(loops).await, "Fails redirect-loop 11215"),
        (Server::webhook(|_, _| "SSH-2.0-OpenSSH_9.6\r\n".to_owned()).await, "Fails broken-http 11206"),
        (Server::webhook(|_, _| String::new()).await, "Fails broken-http 11206"),
    ])
    .await;
}

#[tokio::test]
async fn faults_of_the_address_are_named() {
    let server = Server::good(agents::echo).await;
    let public = Options { local: false, stream: false, ..options(&server) };
    assert_eq!(first(&examined(public).await), "Fails address-private 11205");
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let options = |url: &str| Options { local: true, ..Options::new(url) };
    assert_eq!(
        first(&examined(options(&format!("http://{closed}/voice"))).await),
        "Fails connection-refused 11202"
    );
    assert_eq!(
        first(&examined(options("http://no-such-host.invalid/voice")).await),
        "Fails name-unknown 11210"
    );
    assert_eq!(first(&examined(options("voice.example.com/voice")).await), "Fails url-invalid 11100");
    let plain = server.url().replace("http://", "https://");
    assert_eq!(first(&examined(options(&plain)).await), "Fails no-tls 11206");
}

#[tokio::test]
async fn faults_of_the_handshake_are_named() {
    let reply = |head: &'static str| {
        move |_: &str, _: &str| Some(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n"))
    };
    let eaten = |head: &'static str, body: &'static str| {
        move |_: &str, _: &str| {
            Some(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
        }
    };
    let accept = |extra: &'static str| move |head: &str, _: &str| Some(server::switching(head, extra));
    let only_if = |needle: &'static str| {
        move |head: &str, _: &str| {
            (!head.contains(needle)).then(|| "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_owned())
        }
    };
    let demands = |_: &str, _: &str| {
        let body = "missing subprotocol";
        Some(format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    };
    let socket_io = |_: &str, _: &str| {
        let body = "{\"code\":0,\"message\":\"Transport unknown\"}";
        Some(format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    };
    let wrong_accept = |_: &str, _: &str| {
        Some("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: nonsense\r\n\r\n".to_owned())
    };
    let http2 = |_: &str, _: &str| Some("\0\0\u{6}\u{4}\0\0\0\0\0\0\u{3}\0\0\0\u{64}".to_owned());
    let query = Server::start(
        |_, address| connect_to(&format!("wss://{address}/media?token=1")),
        only_if("GET /media?token=1 "),
        agents::echo,
    );
    expect(vec![
        (Server::upgrade(reply("404 Not Found")).await, "Fails upgrade-not-found 31920"),
        (Server::upgrade(reply("403 Forbidden")).await, "Fails upgrade-forbidden 31920"),
        (Server::upgrade(reply("426 Upgrade Required")).await, "Fails upgrade-header-lost 31920"),
        (
            Server::upgrade(eaten("400 Bad Request", "Can \"Upgrade\" only to \"WebSocket\".")).await,
            "Fails upgrade-header-lost 31920",
        ),
        (
            Server::upgrade(eaten("404 Not Found\r\nserver: nginx/1.26", "Cannot GET /media")).await,
            "Fails upgrade-header-lost 31920",
        ),
        (Server::upgrade(reply("200 OK")).await, "Fails upgrade-header-lost 31920"),
        (
            Server::upgrade(reply("308 Permanent Redirect\r\nlocation: /media/")).await,
            "Fails upgrade-redirected 31920",
        ),
        (Server::upgrade(reply("502 Bad Gateway")).await, "Fails upgrade-gateway 31920"),
        (Server::upgrade(reply("500 Internal Server Error")).await, "Fails upgrade-status 31920"),
        (Server::upgrade(|_, _| Some(String::new())).await, "Fails upgrade-closed 31920"),
        (Server::upgrade(socket_io).await, "Fails socket-io 31920"),
        (Server::upgrade(demands).await, "Fails subprotocol-demanded 31920"),
        (Server::upgrade(only_if("origin:")).await, "Fails upgrade-origin-demanded 31920"),
        (Server::upgrade(wrong_accept).await, "Fails accept-wrong 31920"),
        (
            Server::upgrade(accept("sec-websocket-protocol: audio\r\n")).await,
            "Fails subprotocol-answered 31920",
        ),
        (
            Server::upgrade(accept("Sec-WebSocket-Extensions: permessage-deflate\r\n")).await,
            "Fails extension-answered 31924",
        ),
        (Server::upgrade(http2).await, "Fails http2-only 31920"),
        // The document is told of first; the handshake then shows that the query is needed.
        (query.await, "Risky stream-url-query 31920"),
    ])
    .await;
}

#[tokio::test]
async fn a_query_that_is_needed_is_the_first_that_fails() {
    let refuse = |head: &str, _: &str| {
        (!head.contains("?token=1")).then(|| "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_owned())
    };
    let document = |_: &str, address: &str| connect_to(&format!("wss://{address}/media?token=1"));
    let server = Server::start(document, refuse, agents::echo).await;
    let report = examined(options(&server)).await;
    assert_eq!(report.first_failing().map(|finding| finding.cause), Some("stream-query-needed"));
}

#[tokio::test]
async fn faults_in_the_call_are_named() {
    expect(vec![
        (Server::good(agents::mute).await, "Fails never-speaks"),
        (Server::good(agents::greets_only).await, "Fails never-answers"),
        (Server::good(agents::sends_silence).await, "Fails only-silence"),
        (Server::good(agents::never_reads).await, "Fails never-reads 31930"),
        (Server::good(agents::binary).await, "Fails binary-frames 31950"),
        (Server::good(agents::not_json).await, "Fails not-json 31951"),
        (Server::good(agents::without_stream_sid).await, "Fails stream-sid-missing 31951"),
        (Server::good(agents::with_call_sid).await, "Fails stream-sid-wrong 31951"),
        (Server::good(agents::other_event).await, "Fails unknown-event 31951"),
        (Server::good(agents::extra_fields).await, "Risky extra-field 31951"),
        (Server::good(agents::url_safe_base64).await, "Fails bad-base64 31951"),
        (Server::good(agents::mark_without_name).await, "Fails bad-shape 31951"),
        (Server::good(agents::wav).await, "Fails wav-header"),
        (Server::good(agents::mp3).await, "Fails container"),
        (Server::good(agents::linear).await, "Fails linear-pcm"),
        (Server::good(agents::a_law).await, "Fails a-law"),
        (Server::good(agents::overflows).await, "Fails buffer-overflow 31931"),
        (Server::good(agents::closes).await, "Fails server-closed 31921"),
        (Server::good(agents::fails_after_greeting).await, "Fails server-closed 31921"),
        (Server::good(agents::drops).await, "Fails connection-broke 31903"),
        (Server::good(agents::never_clears).await, "Risky no-clear"),
        (Server::good(agents::lingers).await, "Risky lingers-after-stop"),
        (Server::good(agents::payload_beside).await, "Fails bad-shape 31951"),
        (Server::good(agents::clears_and_is_silent).await, "Risky silent-after-interruption"),
        (Server::good(agents::talks_on).await, "Risky not-interruptible"),
        (Server::good(agents::closes_when_spoken_to).await, "Risky closed-unanswered 31921"),
        (Server::good(agents::stutters).await, "Risky gaps-in-voice"),
        (
            Server::good(|socket| agents::says_in_frames(socket, agents::exchanged())).await,
            "Fails voice-broken-up",
        ),
    ])
    .await;
}

#[tokio::test]
async fn sound_in_other_spellings_is_named() {
    let mut cases = Vec::new();
    for (octets, expected) in agents::other_spellings() {
        cases.push((Server::good(move |socket| agents::says(socket, octets.clone())).await, expected));
    }
    expect(cases).await;
}

#[tokio::test]
async fn answers_and_interruptions_are_measured_behind_a_long_greeting() {
    let report = examined(options(&Server::good(agents::greets_at_length).await)).await;
    assert!(report.stopped_ms.is_some_and(|ms| ms < 1_000), "{report:?}");
    assert!(report.after_interruption_ms.is_some_and(|ms| ms < 2_500), "{report:?}");
    let report = examined(options(&Server::good(agents::greets).await)).await;
    assert!(report.answer_ms.is_some_and(|ms| ms < 1_500), "{report:?}");
    let skipped = report.not_examined.join("\n");
    for what in ["signatures", "status callbacks", "keys"] {
        assert!(skipped.contains(what), "{skipped}");
    }
}

#[tokio::test]
async fn documents_that_lead_back_are_asked_again_before_they_are_judged() {
    let again = "<Response><Redirect>/voice</Redirect></Response>";
    let count = std::sync::atomic::AtomicUsize::new(0);
    let then = move |_: &str, own: &str| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => xml(again),
        _ => connect_to(&format!("wss://{own}/media")),
    };
    expect(vec![
        (Server::webhook(move |_, _| xml(again)).await, "Fails redirect-round"),
        (Server::start(then, ok, agents::greets).await, "none"),
        (Server::webhook(|_, _| xml("<Response><Connect/></Response>")).await, "Fails connect-empty 12200"),
    ])
    .await;
}

#[tokio::test]
async fn the_action_is_asked_for_when_the_stream_is_over() {
    // A relative URL; what stands there, and what is to be found.
    let server = |answer: &'static str| {
        let voice = |own: &str| {
            xml(&format!(
                "<Response><Connect action=\"/over\"><Stream url=\"wss://{own}/media\"/></Connect></Response>"
            ))
        };
        let webhook = move |head: &str, own: &str| {
            if head.starts_with("POST /over ") && head.contains("CallStatus=completed") {
                answer.to_owned()
            } else {
                voice(own)
            }
        };
        Server::start(webhook, ok, agents::says_goodbye)
    };
    expect(vec![
        (
            server("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await,
            "Fails webhook-not-found 11200",
        ),
        (
            server("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 4\r\n\r\noops").await,
            "Fails not-well-formed 12100",
        ),
        (server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await, "none"),
        (
            server("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 11\r\n\r\n<Response/>")
                .await,
            "none",
        ),
    ])
    .await;
}

#[tokio::test]
async fn good_servers_of_many_shapes_have_no_fault() {
    let shouting = |_: &str, address: &str| {
        let body = format!("<Response><Connect><Stream url=\"wss://{address}/media\"/></Connect></Response>");
        format!(
            "HTTP/1.1 200 OK\r\nCONTENT-TYPE: Text/XML; Charset=UTF-8\r\nCONNECTION: keep-alive\r\nCONTENT-LENGTH: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let chunked = |_: &str, address: &str| {
        let body = format!("<Response><Connect><Stream url=\"wss://{address}/media\"/></Connect></Response>");
        let (one, two) = body.split_at(20);
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
            one.len(),
            two.len()
        )
    };
    let says_first = |_: &str, address: &str| {
        xml(&format!(
            "\n<!-- x --><Response>\n<Say voice=\"Polly.Joanna\">One moment</Say><Connect action=\"/next\"><Stream url=\"wss://{address}/media\" name=\"a\"><Parameter name=\"t\" value=\"1\"/></Stream></Connect><Hangup/></Response>"
        ))
    };
    let taps = |_: &str, address: &str| {
        xml(&format!(
            "<Response><Start><Stream url=\"wss://{address}/media\" track=\"both_tracks\"/></Start><Dial>+14155550100</Dial></Response>"
        ))
    };
    let moved = |head: &str, address: &str| {
        if head.starts_with("POST /voice ") {
            "HTTP/1.1 308 Permanent Redirect\r\nlocation: /voice/\r\ncontent-length: 0\r\n\r\n".to_owned()
        } else {
            connect_to(&format!("wss://{address}/media"))
        }
    };
    expect(vec![
        (Server::good(agents::echo).await, "none"),
        (Server::good(agents::listens_first).await, "none"),
        (Server::good(agents::greets).await, "none"),
        (Server::good(agents::greets_at_length).await, "none"),
        (Server::good(agents::says_goodbye).await, "none"),
        (Server::start(shouting, ok, agents::greets).await, "none"),
        (Server::start(chunked, ok, agents::greets).await, "none"),
        (Server::start(says_first, ok, agents::greets).await, "none"),
        (Server::start(taps, ok, agents::mute).await, "none"),
        (Server::start(moved, ok, agents::greets).await, "none"),
        (Server::webhook(|_, _| xml("<Response><Say>hello</Say></Response>")).await, "none"),
    ])
    .await;
}
