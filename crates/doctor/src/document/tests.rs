//! Documents, and where they lead.

use super::*;

fn causes_of(body: &str) -> Vec<&'static str> {
    let mut report = Report::default();
    judge(body.as_bytes(), &mut report);
    report.findings.iter().map(|finding| finding.cause).collect()
}

#[test]
fn each_fault_has_its_cause() {
    let stream = "<Connect><Stream url=\"wss://h/m\"/></Connect>";
    let start = "<Start><Stream url=\"wss://h/m\"/></Start>";
    let url = |url: &str| format!("<Response><Connect><Stream url=\"{url}\"/></Connect></Response>");
    let relay = |values: &str| {
        format!("<Response><Connect><ConversationRelay url=\"wss://h/r\" {values}/></Connect></Response>")
    };
    let cases = [
        (String::from(" \n"), "empty-body"),
        ("\u{feff}<Response/>".into(), "before-prolog"),
        ("\n<?xml version=\"1.0\"?><Response/>".into(), "before-prolog"),
        ("<!DOCTYPE html><title>Log in</title>".into(), "html-page"),
        ("\"<Response/>\"".into(), "json-instead"),
        ("&lt;?xml version=&#34;1.0&#34;?&gt;&lt;Response/&gt;".into(), "document-escaped"),
        ("<Response><Say>Tom & Jerry</Say></Response>".into(), "bare-ampersand"),
        (url("wss://h/m?a=1&b=2"), "bare-ampersand"),
        ("<Response><Say>x</Response>".into(), "not-well-formed"),
        ("<Response><Say>\u{1}</Say></Response>".into(), "control-character"),
        ("<Resp/>".into(), "root-not-response"),
        ("<Response/>".into(), "empty-response"),
        ("<Response><connect><stream url=\"wss://h\"/></connect></Response>".into(), "stream-lost"),
        ("<Response><Stream url=\"wss://h\"/></Response>".into(), "stream-lost"),
        (url("ws://h/m"), "stream-url-scheme"),
        (url("https://h/m"), "stream-url-scheme"),
        (url("/m"), "stream-url-relative"),
        (url("wss://h m/x"), "stream-url-broken"),
        (url("wss://h/m?id=1"), "stream-url-query"),
        (url(""), "stream-url-missing"),
        (format!("<Response>{start}</Response>"), "start-then-nothing"),
        (format!("<Response>{start}<Pause length=\"40\"/></Response>"), "start-is-one-way"),
        (format!("<Response><Hangup/>{stream}</Response>"), "stream-unreachable"),
        (format!("<Response>{stream}<Pause/></Response>"), "pause-after-stream"),
        (
            "<Response><Connect><ConversationRelay url=\"https://h/r\"/></Connect></Response>".into(),
            "relay-url",
        ),
        (
            "<Response><Connect><ConversationRelay url=\"wss://h/r\" ttsProvider=\"Azure\"/></Connect></Response>".into(),
            "relay-value",
        ),
        (
            format!("<Response>{}</Response>", stream.replace("/>", " audioFormat=\"audio/l16\"/>")),
            "other-format",
        ),
        (
            format!("<Response>{}</Response>", stream.replace("/>", " track=\"both_tracks\"/>")),
            "track-wrong",
        ),
        (format!("<Response>{}</Response>", stream.replace("/>", " trak=\"x\"/>")), "unknown-attribute"),
        ("<Response><Connect/></Response>".into(), "connect-empty"),
        ("<Response><Connect action=\"/x\">\n</Connect><Hangup/></Response>".into(), "connect-empty"),
        (relay("ttsProvider=\"Google\" voice=\"Joanna-Neural\""), "relay-values-mismatch"),
        (relay("voice=\"en-US-Journey-O\""), "relay-values-mismatch"),
        (relay("ttsProvider=\"Amazon\" voice=\"UgBBYS2sOqTuMpoF3BR0\""), "relay-values-mismatch"),
        (relay("transcriptionProvider=\"Google\" speechModel=\"nova-3-general\""), "relay-values-mismatch"),
        (relay("transcriptionProvider=\"Deepgram\" speechModel=\"telephony\""), "relay-values-mismatch"),
        (relay("language=\"multi\" transcriptionProvider=\"Google\""), "relay-values-mismatch"),
        ("<Response><Say>hello</Say></Response>".into(), "no-stream"),
        (
            format!("<?xml version=\"1.0\"?><Response>{}</Response>", "<!-- x -->".repeat(7_000)),
            "document-too-long",
        ),
    ];
    for (body, cause) in cases {
        assert_eq!(causes_of(&body).first(), Some(&cause), "{:.80}", body);
    }
}

#[test]
fn a_compressed_document_is_told_as_such() {
    let mut report = Report::default();
    judge(&[0x1F, 0x8B, 8, 0, 0, 0, 0, 0], &mut report);
    assert_eq!(report.findings.first().map(|finding| finding.cause), Some("compressed"));
}

#[test]
fn good_documents_have_no_fault() {
    for body in [
        "<Response><Connect><Stream url=\"wss://h/m\"/></Connect></Response>",
        "\n<Response>\n<Say voice=\"alice\">Hi</Say><Connect action=\"/x\"><Stream url=\"wss://h:8443/m\" track=\"inbound_track\"><Parameter name=\"a\" value=\"1 &amp; 2\"/></Stream></Connect><Hangup/></Response>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- agent --><Response><Start><Stream url=\"wss://h/tap\" track=\"both_tracks\"/></Start><Connect><Stream url=\"wss://h/m\"/></Connect></Response>",
        "<Response><Connect><ConversationRelay url=\"wss://h/r\" ttsProvider=\"Amazon\" voice=\"Joanna-Neural\" transcriptionProvider=\"Deepgram\" speechModel=\"nova-3-general\"><Language code=\"sv-SE\" voice=\"Elin-Neural\" transcriptionProvider=\"Google\" speechModel=\"long\"/></ConversationRelay></Connect></Response>",
        "<Response><Connect><ConversationRelay url=\"wss://h/r\" voice=\"UgBBYS2sOqTuMpoF3BR0-flash_v2_5-1.2_0.6_0.8\" speechModel=\"flux\"/></Connect></Response>",
        "<Response><Start><Stream url=\"wss://h/tap\"/></Start><Dial>+14155550100</Dial></Response>",
    ] {
        assert_eq!(causes_of(body), Vec::<&str>::new(), "{body}");
    }
}

#[test]
fn the_ampersand_is_shown_with_its_place() {
    let mut report = Report::default();
    judge(b"<Response>\n  <Redirect>https://h/?a=1&b=2</Redirect>\n</Response>", &mut report);
    let what = &report.findings.first().unwrap().what;
    assert_eq!(what, "line 2, column 27: `&b=2` has an `&` that begins no entity");
}
