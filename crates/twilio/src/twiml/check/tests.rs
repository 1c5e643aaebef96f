use super::*;
use proptest::prelude::*;

fn xml(body: &str) -> TwimlReport {
    check(200, Some("text/xml"), body.as_bytes())
}

fn said(report: &TwimlReport) -> String {
    report.findings.iter().map(|finding| format!("{} {}\n", finding.code, finding.detail)).collect()
}

#[test]
fn a_good_document_is_understood() {
    let report = xml(
        r#"<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="/next"><Stream url="wss://h/x"><Parameter name="a" value="b &amp; c"/></Stream></Connect><Hangup/></Response>"#,
    );
    assert_eq!(said(&report), "");
    let stream = report.stream.unwrap();
    assert_eq!((stream.url.as_str(), stream.action.as_deref()), ("wss://h/x", Some("/next")));
    assert_eq!(stream.parameters, [("a".to_owned(), "b & c".to_owned())]);
    assert_eq!(report.verbs, ["Connect", "Hangup"]);
}

#[test]
fn what_comes_behind_the_first_connection_is_for_later() {
    let report = xml(
        r#"<Response><Connect><Stream url="wss://h/1"/></Connect><Connect action="/a" method="get"><Stream url="wss://h/2"><Parameter name="a" value="b"/></Stream></Connect><Redirect method="GET">/next?a=1&amp;b=2</Redirect><Redirect>/never</Redirect></Response>"#,
    );
    assert_eq!(said(&report), "");
    let (first, action) = report.stream.map(|stream| (stream.url, stream.action)).unwrap();
    assert_eq!((first.as_str(), action), ("wss://h/1", None));
    let [Step::Stream(second), Step::End(next), ..] = &report.then[..] else { panic!("{:?}", report.then) };
    assert_eq!((second.url.as_str(), second.action.as_deref()), ("wss://h/2", Some("/a")));
    assert!(second.action_get);
    assert_eq!(second.parameters, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(next, &Ending::Redirect { url: "/next?a=1&b=2".into(), get: true });
}

#[test]
fn a_conversation_relay_is_understood() {
    let report = xml(
        r#"<Response><Connect action="https://h/done"><ConversationRelay url="wss://h/relay?a=1" interruptible="any" dtmfDetection="true"><Language code="sv-SE" ttsProvider="Amazon"/><Parameter name="token" value="x"/></ConversationRelay></Connect></Response>"#,
    );
    assert_eq!(said(&report), "");
    assert_eq!(report.stream, None);
    let relay = report.relay.unwrap();
    assert_eq!((relay.url.as_str(), relay.action.as_deref()), ("wss://h/relay?a=1", Some("https://h/done")));
    assert_eq!(relay.get("dtmfDetection"), Some("true"));
    assert_eq!(relay.parameters, [("token".to_owned(), "x".to_owned())]);
}

#[test]
fn each_fault_has_its_number() {
    let ok = r#"<Response><Connect><Stream url="wss://h/x""#;
    let cases = [
        check(503, None, b""),
        check(200, Some("application/json"), b"{}"),
        xml("  <?xml version=\"1.0\"?><Response/>"),
        xml("<Response><Say>Tom & Jerry</Say></Response>"),
        xml("<Response>\n  <Redirect>https://h/?a=1&b=2</Redirect></Response>"),
        xml("<Response><Say>x</Response>"),
        xml("<Resp/>"),
        xml(""),
        xml("<Response><connect/></Response>"),
        xml(&format!("{ok} tracks=\"both\"/></Connect></Response>")),
        xml(&format!("{ok} track=\"both_tracks\"/></Connect></Response>")),
        xml("<Response><Connect><Stream url=\"ws://h/x\"/></Connect></Response>"),
        xml("<Response><Connect><Stream url=\"wss://h/x?a=1\"/></Connect></Response>"),
        xml("<Response><Connect><Stream url=\"/x\"/></Connect></Response>"),
        xml(
            "<Response><Connect><ConversationRelay url=\"https://h/x\" deepgramsmartformat=\"true\"/></Connect></Response>",
        ),
        xml(
            "<Response><Connect><ConversationRelay url=\"wss://h/x\" ttsProvider=\"google\" interruptible=\"all\"><Lang/></ConversationRelay></Connect></Response>",
        ),
    ];
    let all: String = cases.iter().map(said).collect();
    insta::assert_snapshot!(all);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(body: Vec<u8>, text in "[<>/&;a-zA-Z\"= ]{0,80}") {
        prop_assert!(check(200, Some("text/xml"), &body).stream.is_none());
        prop_assert!(check(200, Some("text/xml"), text.as_bytes()).stream.is_none());
    }
}
