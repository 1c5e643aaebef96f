//! Fuzz targets, as ordinary functions: one for each parser that meets the outside. None may panic, hang or take memory without
//! end, whatever it is given.
//!
//! Two things run them. `make fuzz` runs each under libFuzzer for a minute; what it finds is kept in `target/fuzz/corpus`, and
//! belongs into `corpus/`. The test of this crate runs the whole corpus, and many thousand changed copies of it.
#![forbid(unsafe_code)]

use std::sync::Arc;

use offhook_providers::llm::LlmProtocol;
use offhook_providers::llm::replay::replay;
use offhook_recording::{Mixer, Piece, Wav, pieces};
use offhook_script::{Dialog, Script, shipped};
use offhook_speakable::{Cleaner, LONGEST_SENTENCE, SentenceCutter, is_speakable, speakable as spoken};
use offhook_stage_api::ReplyReason;
use offhook_store::{Document, Filter, Redaction};
use offhook_twilio::signature::Signed;
use offhook_twilio::stream::{Inbound, parse, parse_outbound};
use offhook_twilio::webhook::WebhookForm;
use offhook_twilio::{StreamSid, relay as relay_messages};

/// A target.
pub type Target = fn(&[u8]);

/// All targets, by name: a folder in `corpus/` each.
pub const TARGETS: [(&str, Target); 10] = [
    ("messages", messages),
    ("relay", relay),
    ("twiml", twiml),
    ("webhook", webhook),
    ("agent", agent),
    ("tape", tape),
    ("speakable", speakable),
    ("answers", answers),
    ("document", document),
    ("recording", recording),
];

/// Media Streams messages of both sides: sound must fit where it goes.
pub fn messages(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(Inbound::Media(media)) = parse(&text) {
        let mut buffer = [0; 16_000];
        let _octets = media.decode(&mut buffer);
    }
    if let Ok(stream) = StreamSid::parse(&format!("MZ{:032x}", 1)) {
        let _message = parse_outbound(&text, &stream);
    }
}

/// ConversationRelay's messages of both sides: what is read as ours is written the same.
pub fn relay(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _message = relay_messages::parse(&text);
    if let Ok(message) = relay_messages::parse_outbound(&text) {
        assert_eq!(relay_messages::parse_outbound(&message.to_json()), Ok(message));
    }
}

/// What a server under test answers to its webhook.
pub fn twiml(data: &[u8]) {
    let _report = offhook_twilio::twiml::check(200, Some("text/xml"), data);
}

/// Webhook forms, signatures, and the addresses that they are made of. A form that is written is read the same.
pub fn webhook(data: &[u8]) {
    let form = WebhookForm::parse(data);
    let again = WebhookForm::parse(form.encode().as_bytes());
    assert_eq!(again.params(), form.params());
    let text = String::from_utf8_lossy(data);
    let _url = offhook_twilio::signature::signed_url(&text);
    let (signature, settings) = text.split_once('\0').unwrap_or((&text, ""));
    let _signed = Signed::read(Some(signature), Some(settings));
}

/// What a language model's server streams, in each protocol: however it is cut into pieces, it comes to the same.
pub fn answers(data: &[u8]) {
    const PROTOCOLS: [LlmProtocol; 6] = [
        LlmProtocol::ChatCompletions,
        LlmProtocol::Responses,
        LlmProtocol::Messages,
        LlmProtocol::GenerateContent,
        LlmProtocol::Interactions,
        LlmProtocol::CohereChat,
    ];
    let protocol = PROTOCOLS[data.len() % PROTOCOLS.len()];
    let in_pieces = |size: usize| futures_executor::block_on(replay(protocol, data.chunks(size)));
    assert_eq!(in_pieces(7), in_pieces(4_096));
}

/// An agent's file, and what a caller may say to it: the lines behind the first octet that is zero.
pub fn agent(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.split('\0');
    let file = parts.next().unwrap_or("");
    let script = Script::from_toml(file).ok().or_else(|| Script::from_toml(shipped("pizza")?).ok());
    let Some(script) = script else { return };
    let mut dialog = Dialog::new(Arc::new(script));
    for text in parts {
        dialog = dialog.respond(&ReplyReason::Caller { text: text.to_owned(), confidence: None }).1;
    }
}

/// A tape from elsewhere.
pub fn tape(data: &[u8]) {
    let Ok(text) = offhook_tape::unpacked(data.to_vec()) else { return };
    let _outcome = offhook_tape::replay(&text, offhook_media_line::CallConfig::default());
}

/// What is looked for among the calls that are kept, a `name=value` a line, and behind an octet that is zero a call's document: what
/// is left of it when it was redacted is written and read the same, and redacting it again finds nothing.
pub fn document(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (query, document) = text.split_once('\0').unwrap_or(("", &text));
    let mut filter = Filter::default();
    for line in query.lines() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let _understood = filter.set(name, value);
    }
    let Ok(mut document) = serde_json::from_str::<Document>(document) else { return };
    let redaction = Redaction { digits: 4, fields: vec!["pin".into()], ..Redaction::default() };
    redaction.apply(&mut document);
    let json = |document: &Document| serde_json::to_string(document).unwrap_or_default();
    let written = json(&document);
    let mut again = serde_json::from_str::<Document>(&written).unwrap_or_default();
    assert_eq!(json(&again), written);
    redaction.apply(&mut again);
    assert_eq!(json(&again), written);
}

/// What was noted of a call's sound when its server was killed, and a recording whose end is missing.
pub fn recording(data: &[u8]) {
    let (mut mixer, mut out) = (Mixer::default(), Vec::new());
    for (us, piece) in pieces::read(data).take(1_000) {
        let us = us % 60_000_000; // a minute: more is more of the same
        match piece {
            Piece::Caller(timestamp, octets) => mixer.caller(us, timestamp, octets),
            Piece::Agent(octets) => mixer.agent(us, octets),
            Piece::Clear => mixer.clear(us),
            Piece::End => mixer.finish(us, &mut out),
        }
        mixer.take(us, &mut out);
    }
    let _whole = Wav::whole(data.to_vec());
}

/// What a model writes, as tokens between octets that are zero, in the language of the first octet: it is cleaned in a bounded
/// number of steps, and a stream of it as the whole.
pub fn speakable(data: &[u8]) {
    let Some((language, data)) = data.split_first() else { return };
    let languages = ["en-US", "en-GB", "de-DE", "es-MX", "fr-FR", "it"];
    let Some(language) = languages.get(usize::from(*language) % languages.len()) else { return };
    let text = String::from_utf8_lossy(data);
    let (mut cleaner, mut cutter) = (Cleaner::new(language), SentenceCutter::new(language));
    let (mut said, mut written) = (String::new(), String::new());
    for token in text.split('\0') {
        let piece = cleaner.push(token);
        said.push_str(&piece.text.spoken);
        written.push_str(&piece.written);
        cutter.push(token);
        while let Some(piece) = cutter.next_piece() {
            assert!(piece.chars().count() <= LONGEST_SENTENCE, "a sentence is too long for a voice");
        }
    }
    let piece = cleaner.finish();
    said.push_str(&piece.text.spoken);
    written.push_str(&piece.written);
    let whole = text.replace('\0', "");
    assert_eq!(written, whole);
    let thought = ["</", "[/", "◁/"].iter().any(|end| whole.contains(end));
    if !thought && is_speakable(&whole, language) {
        assert_eq!(said, spoken(&whole, language));
    }
    while cutter.rest().is_some() {}
}
