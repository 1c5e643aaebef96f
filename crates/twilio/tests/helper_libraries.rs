//! Held to what Twilio's own helper libraries sign, write and know; `helper_libraries/make.py` asked them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use offhook_twilio::calls::{CallUpdate, MachineDetection, NewCall, PhoneNumber};
use offhook_twilio::signature::{AuthToken, is_valid, is_valid_upgrade, sign};
use offhook_twilio::twiml::{
    Connect, ConversationRelay, Dial, Interrupts, Noun, Parameter, RelayLanguage, RelayOptions, Response,
    Sensitivity, Stream, TranscriptionProvider, TtsProvider, Verb, check,
};
use offhook_twilio::webhook::WebhookForm;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde::Deserialize;

fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/helper_libraries/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let mut file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    serde_json::from_value(file[name].take()).unwrap()
}

// ----------------------------------------------------------------------------------------------------- signatures

#[derive(Deserialize)]
struct Signed {
    name: String,
    signed: String,
    seen: String,
    params: Vec<(String, String)>,
    body: Option<String>,
    signature: String,
    python: bool,
    node: bool,
}

/// What we accept and the libraries don't, or the other way round; each with its reason.
const OTHERWISE: &[(&str, &str)] = &[
    ("user and password dropped by Twilio", "it does so, says \"Security\""),
    ("wss, port lost", "the libraries take wss for http, and add :80"),
    ("wss, port 80", "the same mistake: nobody signs that"),
    ("wss, slash lost", "\"Security\" advises to try the slash"),
    ("JSON, empty body as {}", "twilio-node's middleware does so"),
    ("JSON, upper-case hash", "the same number"),
    ("dots resolved", "clients resolve them before they ask: no server sees such a path"),
    ("fragment not signed", "it never reaches a server, but may stand in a configured URL"),
    ("no path, slash came", "`https://host` and `https://host/` are one address"),
];

#[test]
fn signatures_are_the_same_and_accepted_alike() {
    let token = AuthToken::new("12345");
    for case in fixture::<Vec<Signed>>("signatures") {
        let name = &case.name;
        assert_eq!(sign(&token, &case.signed, &case.params), case.signature, "{name}");
        let ours = if case.seen.starts_with("wss://") {
            is_valid_upgrade(&token, &case.signature, &case.seen)
        } else {
            let body = case.body.as_deref().map(str::as_bytes);
            is_valid(&token, &case.signature, &case.seen, &case.params, body)
        };
        let theirs = case.python || case.node;
        let reason = OTHERWISE.iter().find(|(known, _)| known == name).map(|(_, reason)| *reason);
        assert_eq!(ours != theirs, reason.is_some(), "{name}: ours {ours}, theirs {theirs}; {reason:?}");
    }
}

// ------------------------------------------------------------------------------------------------------ documents

#[derive(Deserialize)]
struct Document {
    name: String,
    python: String,
    node: String,
}

/// Elements with their sorted attributes, and texts: what is left of a document when its spelling doesn't count.
fn meaning(document: &str) -> Vec<String> {
    let mut reader = Reader::from_str(document);
    let mut told = Vec::new();
    let element = |element: &BytesStart<'_>| {
        let attributes: BTreeMap<String, String> = element
            .attributes()
            .map(|attribute| {
                let attribute = attribute.unwrap();
                // As XML readers do: raw line ends and tabs are blanks, written ones are themselves (XML 1.0, 3.3.3).
                let raw = attribute.value.clone().into_owned().replace(['\t', '\n', '\r'], " ");
                let value = quick_xml::escape::unescape(&raw).unwrap().into_owned();
                (attribute.key.as_ref().to_owned(), value)
            })
            .collect();
        format!("<{} {attributes:?}", element.name().as_ref())
    };
    let mut text = String::new();
    loop {
        let event = reader.read_event().unwrap();
        match &event {
            Event::Text(piece) => text.push_str(piece),
            Event::GeneralRef(name) => {
                text.push_str(&quick_xml::escape::unescape(&format!("&{};", &**name)).unwrap());
            }
            _ if !text.is_empty() => told.push(std::mem::take(&mut text)),
            _ => {}
        }
        match event {
            Event::Start(start) => told.push(element(&start)),
            Event::Empty(start) => told.extend([element(&start), "/".to_owned()]),
            Event::End(_) => told.push("/".to_owned()),
            Event::Eof => return told,
            _ => {}
        }
    }
}

fn ours(name: &str) -> Option<Response> {
    let text = |text: &str| Some(text.to_owned());
    let parameter = |name: &str, value: &str| Parameter::new(name, value).unwrap();
    let verbs = match name {
        "stream" => {
            let stream = Stream::new("wss://h.example/media")
                .unwrap()
                .status_callback("https://h.example/s")
                .parameter(parameter("caller", "Tom & \"Jerry\" <x@y> 'z' ü\t\n"))
                .parameter(parameter("empty", ""));
            let action = text("https://h.example/next?a=1&b=2");
            vec![Verb::Connect(Connect { action, noun: Noun::Stream(stream) }), Verb::Hangup]
        }
        "relay" => {
            let relay = ConversationRelay::new("wss://h.example/relay", relay()).unwrap();
            let relay = relay.parameter(parameter("token", "\"x\""));
            let noun = Noun::ConversationRelay(Box::new(relay));
            vec![Verb::Connect(Connect { action: text("https://h.example/next"), noun })]
        }
        "apology" => {
            vec![Verb::Say("We are sorry & <so> “on”".to_owned()), Verb::Pause(2), Verb::Hangup]
        }
        "elsewhere" => vec![Verb::Redirect("https://h.example/next?a=1&b=2".to_owned())],
        "busy" => vec![Verb::RejectBusy],
        "transfer" => vec![Verb::Dial(Dial {
            number: "+14155550199".to_owned(),
            caller_id: text("+14155550101"),
            timeout: 30,
            action: text("https://h.example/after?a=1&b=2"),
        })],
        _ => return None,
    };
    Some(verbs.into_iter().fold(Response::default(), Response::then))
}

fn relay() -> RelayOptions {
    let text = |text: &str| Some(text.to_owned());
    RelayOptions {
        welcome_greeting: text("Hello & welcome"),
        welcome_greeting_interruptible: Some(Interrupts::Speech),
        language: text("en-US"),
        tts_language: text("en-GB"),
        transcription_language: text("multi"),
        tts_provider: Some(TtsProvider::ElevenLabs),
        voice: text("UgBBYS2sOqTuMpoF3BR0"),
        transcription_provider: Some(TranscriptionProvider::Deepgram),
        speech_model: text("nova-3-general"),
        deepgram_smart_format: Some(true),
        interruptible: Some(Interrupts::Any),
        interrupt_sensitivity: Some(Sensitivity::High),
        dtmf_detection: Some(true),
        report_input_during_agent_speech: Some(Interrupts::None),
        preemptible: Some(false),
        hints: vec!["Offhook".into(), "μ-law".into()],
        debug: vec!["debugging".into()],
        events: vec!["speaker-events".into(), "tokens-played".into()],
        elevenlabs_text_normalization: text("off"),
        intelligence_service: text("GA1"),
        partial_prompts: Some(true),
        speech_timeout: Some(Duration::from_millis(900)),
        ignore_backchannel: Some(true),
        background_noise_reduction: text("on"),
        profanity_filter: Some(false),
        languages: vec![RelayLanguage {
            code: "sv-SE".into(),
            tts_provider: Some(TtsProvider::Amazon),
            voice: text("Elin-Neural"),
            transcription_provider: Some(TranscriptionProvider::Google),
            speech_model: text("long"),
            ..RelayLanguage::default()
        }],
        ..RelayOptions::default()
    }
}

#[test]
fn documents_mean_the_same() {
    let documents: Vec<Document> = fixture("documents");
    let mut compared = 0;
    for Document { name, python, node } in &documents {
        assert_eq!(meaning(python), meaning(node), "{name}: the libraries among themselves");
        if let Some(ours) = ours(name) {
            assert_eq!(meaning(&ours.to_xml()), meaning(python), "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}

#[test]
fn documents_of_the_libraries_have_no_fault() {
    for Document { name, python, node } in fixture::<Vec<Document>>("documents") {
        for document in [python, node] {
            assert_eq!(check(200, Some("text/xml"), document.as_bytes()).findings, [], "{name}");
        }
    }
}

#[test]
fn what_xml_forbids_is_left_out() {
    let document =
        Response::default().then(Verb::Say("a\u{0}\u{b}\u{1f}\u{fffe}b\u{1f600}".to_owned())).to_xml();
    assert!(document.contains("<Say>ab\u{1f600}</Say>"), "{document:?}");
    assert_eq!(check(200, Some("text/xml"), document.as_bytes()).findings, []);
}

// ----------------------------------------------------------------------------------------------------------- REST

#[derive(Deserialize)]
struct Asked {
    python: RestRequest,
    node: RestRequest,
}

#[derive(Deserialize)]
struct RestRequest {
    method: String,
    target: String,
    body: String,
}

/// Names and values by name; those of one name in their order.
fn fields(encoded: &str) -> Vec<(String, String)> {
    let mut fields = WebhookForm::parse(encoded.as_bytes()).params().to_vec();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}

#[test]
fn forms_for_the_api_have_the_same_fields() {
    let number = |text| PhoneNumber::parse(text).unwrap();
    let order = NewCall {
        to: number("+14155550100"),
        from: number("+14155550101"),
        url: "https://voice.example.com/voice?ref=1".to_owned(),
        status_callback: "https://voice.example.com/status?ref=1".to_owned(),
        ring_for: Duration::from_secs(25),
        time_limit: Some(Duration::from_secs(600)),
        machine: Some(MachineDetection {
            wait_for_end: false,
            callback: "https://voice.example.com/amd?ref=1".to_owned(),
        }),
    };
    let document = "<Response><Say>Tom &amp; ü</Say></Response>".to_owned();
    let ours = [order.form(), CallUpdate::End.form(), CallUpdate::Twiml(document).form()];
    let asked: Vec<Asked> = fixture("rest_requests");
    for (ours, Asked { python, node }) in ours.iter().zip(&asked) {
        assert_eq!((&python.method, &python.target), (&node.method, &node.target));
        assert_eq!(fields(&ours.encode()), fields(&python.body));
        assert_eq!(fields(&ours.encode()), fields(&node.body));
    }
}

// --------------------------------------------------------------------------------------------------------- schema

#[derive(Deserialize)]
struct Element {
    attributes: Vec<String>,
    children: Vec<String>,
}

#[test]
fn all_that_the_libraries_can_write_is_known() {
    let schema: BTreeMap<String, Element> = fixture("schema");
    let mut reached = BTreeMap::from([("Response".to_owned(), Vec::<String>::new())]);
    let mut todo = vec!["Response".to_owned()];
    while let Some(parent) = todo.pop() {
        let path = reached[&parent].clone();
        for child in &schema[&parent].children {
            let path = [&path[..], std::slice::from_ref(child)].concat();
            let open: String = path[..path.len() - 1].iter().map(|name| format!("<{name}>")).collect();
            let close: String =
                path[..path.len() - 1].iter().rev().map(|name| format!("</{name}>")).collect();
            let attributes: String =
                schema[child].attributes.iter().map(|name| format!(" {name}=\"x\"")).collect();
            let document = format!("<Response>{open}<{child}{attributes}/>{close}</Response>");
            let findings = check(200, Some("text/xml"), document.as_bytes()).findings;
            let unknown: Vec<_> = findings.iter().filter(|finding| finding.code == 12200).collect();
            assert!(unknown.is_empty(), "{document}: {unknown:?}");
            if !reached.contains_key(child) {
                reached.insert(child.clone(), path);
                todo.push(child.clone());
            }
        }
    }
    assert_eq!(reached.len(), schema.len());
}
