//! Where Twilio goes on, and where it stops, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_simulator::{CallPlan, CallReport, PlaceError, Script, place};
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// What a server was asked: first line and body of each request, in order.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Answers each path with what `answers` has for it (`{own}` is the server's address), and serves a stream that says
/// something and closes.
async fn serve(answers: &'static [(&'static str, &'static str)]) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().to_string();
    let asked = Asked::default();
    let (address, noted) = (own.clone(), Arc::clone(&asked));
    tokio::spawn(async move {
        while let Ok((wire, _)) = listener.accept().await {
            tokio::spawn(one(wire, answers, address.clone(), Arc::clone(&noted)));
        }
    });
    (own, asked)
}

async fn one(mut wire: TcpStream, answers: &[(&str, &str)], own: String, asked: Asked) {
    let mut head = vec![0; 4_096];
    loop {
        let count = wire.peek(&mut head).await.unwrap();
        if count == 0 || head[..count].windows(4).any(|four| four == b"\r\n\r\n") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let text = String::from_utf8_lossy(&head).to_string();
    let first = text.lines().next().unwrap_or("").trim_end_matches(" HTTP/1.1").to_owned();
    if text.to_ascii_lowercase().contains("upgrade: websocket") {
        asked.lock().unwrap().push((first, String::new()));
        return stream(wire).await;
    }
    let mut read = Vec::new();
    let length = |read: &[u8]| {
        let text = String::from_utf8_lossy(read).to_ascii_lowercase();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let wanted = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        (body.len() >= wanted.unwrap_or(0)).then_some(())
    };
    while length(&read).is_none() {
        let mut buffer = [0; 4_096];
        let count = wire.read(&mut buffer).await.unwrap();
        read.extend_from_slice(&buffer[..count]);
    }
    let body = String::from_utf8_lossy(&read).split_once("\r\n\r\n").unwrap().1.to_owned();
    let path = first.split([' ', '?']).nth(1).unwrap_or("").to_owned();
    asked.lock().unwrap().push((first, body));
    let answer =
        answers.iter().find(|(at, _)| *at == path).map_or("404 Not Found\r\n\r\n", |(_, answer)| answer);
    let answer = answer.replace("{own}", &own);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let answer =
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    wire.write_all(answer.as_bytes()).await.unwrap();
}

/// Says half a second of something, and closes.
async fn stream(wire: TcpStream) {
    let mut socket = tokio_tungstenite::accept_async(wire).await.unwrap();
    let mut sid = String::new();
    while let Some(Ok(message)) = socket.next().await {
        let text = message.into_text().unwrap_or_default();
        if text.contains("\"type\":\"setup\"") {
            return;
        }
        if text.contains("\"event\":\"start\"") {
            let start: serde_json::Value = serde_json::from_str(&text).unwrap();
            start["streamSid"].as_str().unwrap().clone_into(&mut sid);
            break;
        }
    }
    // 4 000 octets of 0x0F, a loud tone of nothing: base64 of three of them is `Dw8P`.
    let media = format!(
        r#"{{"event":"media","streamSid":"{sid}","media":{{"payload":"{}"}}}}"#,
        "Dw8P".repeat(1_333)
    );
    socket.send(Message::text(media)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _closed = socket.close(None).await;
    while let Some(Ok(_)) = socket.next().await {}
}

const SID: &str = "MZ00000000000000000000000000000001";

async fn call(own: &str) -> Result<CallReport, PlaceError> {
    let plan = CallPlan {
        url: format!("http://{own}/voice"),
        auth_token: None,
        call_sid: CallSid::parse("CA00000000000000000000000000000001").unwrap(),
        stream_sid: StreamSid::parse(SID).unwrap(),
        account_sid: AccountSid::parse("AC00000000000000000000000000000000").unwrap(),
        from: "+14155550100".into(),
        to: "+14155550101".into(),
        script: Script::new(Vec::new()),
        hang_up_after: Duration::from_millis(500),
        longest: Duration::from_secs(5),
        drop_after: None,
    };
    place(plan, |_| {}).await
}

fn lines(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().iter().map(|(first, _)| first.split('?').next().unwrap().to_owned()).collect()
}

const STREAM: &str = "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response><Connect action=\"after?x=1\"><Stream \
                      url=\"wss://{own}/media\"/></Connect></Response>";
const AFTER: (&str, &str) =
    ("/after", "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response><Hangup/></Response>");

#[tokio::test]
async fn the_simulator_goes_on_where_twilio_goes_on() {
    let ways: [&'static [(&str, &str)]; 5] = [
        &[("/voice", "302 Found\r\nlocation: /other\r\n\r\n"), ("/other", STREAM), AFTER],
        &[("/voice", "307 Temporary Redirect\r\nlocation: /other\r\n\r\n"), ("/other", STREAM), AFTER],
        &[
            (
                "/voice",
                "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response><Say>Hi</Say><Redirect>other?a=1&amp;b=2</Redirect></Response>",
            ),
            ("/other", STREAM),
            AFTER,
        ],
        &[
            (
                "/voice",
                "200 OK\r\ncontent-type: text/plain\r\n\r\n<Response><Connect action=\"/after\"><Stream url=\"wss://{own}/media\"/></Connect></Response>",
            ),
            AFTER,
        ],
        &[
            (
                "/voice",
                "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response><Connect action=\"/after\"><Stream url=\"/media?id=1\"/></Connect></Response>",
            ),
            AFTER,
        ],
    ];
    for (nth, answers) in ways.into_iter().enumerate() {
        let (own, asked) = serve(answers).await;
        let report = call(&own).await.unwrap_or_else(|error| panic!("{nth}: {error}"));
        assert_eq!(
            (report.ended_by.as_str(), report.after.join(" ").as_str()),
            ("server", "Hangup"),
            "{nth}"
        );
        let asked_for = lines(&asked);
        assert!(asked_for.contains(&"GET /media".to_owned()), "{nth}: {asked_for:?}");
        // The caller is still on the phone.
        let body = asked.lock().unwrap().last().unwrap().1.clone();
        assert!(body.contains("CallStatus=in-progress"), "{nth}: {body}");
        let by_get = asked_for.contains(&"GET /other".to_owned());
        assert_eq!(by_get, nth == 0, "{nth}: {asked_for:?}");
    }
}

#[tokio::test]
async fn the_simulator_stops_where_twilio_stops() {
    let stream = "<Connect><Stream url=\"wss://{own}/media\"/></Connect>";
    for verb in ["<Hangup/>", "<Reject reason=\"busy\"/>"] {
        let document = format!("200 OK\r\ncontent-type: text/xml\r\n\r\n<Response>{verb}{stream}</Response>");
        let answers: &'static [_] = vec![("/voice", &*document.leak())].leak();
        let (own, asked) = serve(answers).await;
        let Err(PlaceError::Refused(finding, _)) = call(&own).await else { panic!("{verb} was passed over") };
        assert!(finding.detail.contains("comes before the stream"), "{finding}");
        assert_eq!(lines(&asked), ["POST /voice"]);
    }
    let round = &[("/voice", "302 Found\r\nlocation: /voice\r\n\r\n")];
    let Err(PlaceError::Refused(finding, _)) = call(&serve(round).await.0).await else { panic!("no end") };
    assert_eq!(finding.code, 11215);
}

#[tokio::test]
async fn the_streams_callbacks_are_told() {
    let answers = &[
        (
            "/voice",
            "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response><Connect><Stream url=\"wss://{own}/media\" name=\"n\" \
             statusCallback=\"/status\"/></Connect><Say>Bye</Say></Response>",
        ),
        ("/status", "500 Oh\r\n\r\n"),
    ];
    let (own, asked) = serve(answers).await;
    let report = call(&own).await.unwrap();
    let told: Vec<String> = asked
        .lock()
        .unwrap()
        .iter()
        .filter(|(first, _)| first.contains("/status"))
        .map(|(_, body)| body.clone())
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("StreamEvent=stream-started") && told[1].contains("StreamEvent=stream-stopped"));
    assert!(told.iter().all(|body| body.contains("StreamName=n") && body.contains(SID)), "{told:?}");
    assert_eq!(report.after, ["Say"]);
    assert_eq!(report.findings.len(), 2, "{:?}", report.findings);
    assert!(
        report.findings[0].contains("status callback stream-started: error 11200"),
        "{:?}",
        report.findings
    );
}

#[tokio::test]
async fn a_stream_that_the_action_asks_for_is_opened() {
    let again = "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response><Say>One moment.</Say><Connect><Stream \
                 url=\"wss://{own}/second\"/></Connect><Hangup/></Response>";
    let answers: &'static [_] = vec![("/voice", STREAM), ("/after", again)].leak();
    let (own, asked) = serve(answers).await;
    let report = call(&own).await.unwrap();
    assert_eq!(lines(&asked), ["POST /voice", "GET /media", "POST /after", "GET /second"]);
    assert_eq!(
        (report.findings.len(), report.after.join(" ").as_str()),
        (0, "Hangup"),
        "{:?}",
        report.findings
    );
    // Both streams' sound stands one behind the other: 200 ms of each, until the server closes.
    assert_eq!((report.media_messages, report.agent.len()), (2, 1), "{:?}", report.agent);
    assert!(report.agent[0].until_ms >= 380, "{:?}", report.agent);
    assert_eq!(report.length_ms, report.caller_sound.len() as u64 / 8);
}

#[tokio::test]
async fn a_server_that_asks_for_stream_after_stream_is_left() {
    let answers: &'static [_] = vec![("/voice", STREAM), ("/after", STREAM)].leak();
    let (own, asked) = serve(answers).await;
    let report = call(&own).await.unwrap();
    assert_eq!(
        lines(&asked).iter().filter(|line| *line == "GET /media").count(),
        10,
        "{:?}",
        report.ended_by
    );
}

#[tokio::test]
async fn behind_a_connection_without_an_action_the_document_goes_on() {
    let stream = |at: u32| format!("<Connect><Stream url=\"wss://{{own}}/{at}\"/></Connect>");
    let voice = format!(
        "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response>{}{}<Redirect method=\"GET\">/other</Redirect></Response>",
        stream(1),
        stream(2)
    );
    let other = "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response><Connect action=\"/after\" method=\"GET\"><Stream \
                 url=\"wss://{own}/3\"/></Connect><Connect><Stream url=\"wss://{own}/never\"/></Connect></Response>";
    let answers: &'static [_] = vec![("/voice", &*voice.leak()), ("/other", other), AFTER].leak();
    let (own, asked) = serve(answers).await;
    let report = call(&own).await.unwrap();
    assert_eq!(
        lines(&asked),
        ["POST /voice", "GET /1", "GET /2", "GET /other", "GET /3", "GET /after"],
        "{:?}",
        report.findings
    );
}

#[tokio::test]
async fn a_hang_up_behind_a_connection_ends_the_call() {
    let voice = "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response><Connect><Stream url=\"wss://{own}/1\"/></Connect>\
                 <Hangup/><Connect><Stream url=\"wss://{own}/2\"/></Connect></Response>";
    let answers: &'static [_] = vec![("/voice", voice)].leak();
    let (own, asked) = serve(answers).await;
    call(&own).await.unwrap();
    assert_eq!(lines(&asked), ["POST /voice", "GET /1"]);
}

#[tokio::test]
async fn a_session_may_be_followed_by_a_stream() {
    // The test's server closes whatever it has accepted: the session fails, and the action is asked.
    let voice = "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response><Connect action=\"/next\"><ConversationRelay \
                 url=\"wss://{own}/relay\"/></Connect></Response>";
    let next = "200 OK\r\ncontent-type: text/xml\r\n\r\n<Response><Redirect>/again</Redirect></Response>";
    let answers: &'static [_] = vec![("/voice", voice), ("/next", next), ("/again", STREAM), AFTER].leak();
    let (own, asked) = serve(answers).await;
    call(&own).await.unwrap();
    assert_eq!(
        lines(&asked),
        ["POST /voice", "GET /relay", "POST /next", "POST /again", "GET /media", "POST /after"]
    );
    let told = asked.lock().unwrap().iter().find(|(first, _)| first.contains("/next")).unwrap().1.clone();
    assert!(told.contains("SessionId=VX00000000000000000000000000000001"), "{told}");
    assert!(told.contains("SessionStatus=failed") && told.contains("SessionDuration=0"), "{told}");
}
