//! What a server sends: `media`, `mark` and `clear`, with the documented fields and nothing else (error 31951).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::StreamSid;

/// Appends a `media` message with these μ-law octets.
pub fn write_media(buffer: &mut String, stream: &StreamSid, octets: &[u8]) {
    // At once what it takes: 100 characters around the payload.
    buffer.reserve(100 + octets.len().div_ceil(3) * 4);
    open(buffer, "media", stream);
    buffer.push_str(r#","media":{"payload":""#);
    STANDARD.encode_string(octets, buffer);
    buffer.push_str(r#""}}"#);
}

/// Appends a `mark` message. The name goes through a JSON writer, whatever it is.
pub fn write_mark(buffer: &mut String, stream: &StreamSid, name: &str) {
    open(buffer, "mark", stream);
    buffer.push_str(r#","mark":{"name":"#);
    buffer.push_str(&Value::from(name).to_string());
    buffer.push_str("}}");
}

/// Appends a `clear` message.
pub fn write_clear(buffer: &mut String, stream: &StreamSid) {
    open(buffer, "clear", stream);
    buffer.push('}');
}

fn open(buffer: &mut String, event: &str, stream: &StreamSid) {
    // A `StreamSid` has no character that JSON would escape.
    buffer.push_str(r#"{"event":""#);
    buffer.push_str(event);
    buffer.push_str(r#"","streamSid":""#);
    buffer.push_str(stream.as_str());
    buffer.push('"');
}

/// A message to Twilio, as Twilio reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// Play these μ-law octets.
    Media(Vec<u8>),
    /// Tell when everything before was played.
    Mark(String),
    /// Forget what wasn't played.
    Clear,
}

/// What Twilio would object to in a message, with its warning 31951.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct OutboundError {
    /// In words.
    pub why: String,
}

/// Reads a message to Twilio, as strictly as Twilio does.
///
/// # Errors
/// If it isn't JSON, or an event is unknown, a field is missing or in excess, or the stream is another.
pub fn parse_outbound(text: &str, stream: &StreamSid) -> Result<Outbound, OutboundError> {
    let wrong = |why: String| OutboundError { why };
    let value: Value = serde_json::from_str(text).map_err(|error| wrong(format!("not JSON: {error}")))?;
    let fields = value.as_object().ok_or_else(|| wrong("not a JSON object".into()))?;
    let event = fields.get("event").and_then(Value::as_str).ok_or_else(|| wrong("no `event`".into()))?;
    let sid = fields.get("streamSid").and_then(Value::as_str);
    if sid != Some(stream.as_str()) {
        return Err(wrong(match sid {
            Some(_) => format!("`streamSid` of `{event}` is not this stream's"),
            None => format!("`{event}` has no `streamSid`"),
        }));
    }
    let inner = match event {
        "media" => Some(("media", "payload")),
        "mark" => Some(("mark", "name")),
        "clear" => None,
        other => return Err(wrong(format!("unknown event `{other}`"))),
    };
    let known =
        |key: &str| key == "event" || key == "streamSid" || inner.is_some_and(|(object, _)| key == object);
    if let Some(extra) = fields.keys().find(|key| !known(key)) {
        return Err(wrong(format!("`{event}` has a field `{extra}` that it must not have")));
    }
    let Some((object, key)) = inner else { return Ok(Outbound::Clear) };
    let object_fields = fields
        .get(object)
        .and_then(Value::as_object)
        .ok_or_else(|| wrong(format!("`{event}` has no `{object}` object")))?;
    if let Some(extra) = object_fields.keys().find(|found| *found != key) {
        return Err(wrong(format!("`{object}` has a field `{extra}` that it must not have")));
    }
    let text = object_fields
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| wrong(format!("`{object}.{key}` is missing or not a string")))?;
    if event == "mark" {
        return Ok(Outbound::Mark(text.to_owned()));
    }
    let octets =
        STANDARD.decode(text).map_err(|error| wrong(format!("`media.payload` is not base64: {error}")))?;
    Ok(Outbound::Media(octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream() -> StreamSid {
        StreamSid::parse("MZ18ad3ab5a668481ce02b83e7395059f0").unwrap()
    }

    #[test]
    fn messages_have_the_documented_fields_and_no_other() {
        let mut buffer = String::new();
        write_media(&mut buffer, &stream(), &[0xFF, 0x7F, 0x00]);
        insta::assert_snapshot!(buffer, @r#"{"event":"media","streamSid":"MZ18ad3ab5a668481ce02b83e7395059f0","media":{"payload":"/38A"}}"#);
        buffer.clear();
        write_mark(&mut buffer, &stream(), "g0-1");
        insta::assert_snapshot!(buffer, @r#"{"event":"mark","streamSid":"MZ18ad3ab5a668481ce02b83e7395059f0","mark":{"name":"g0-1"}}"#);
        buffer.clear();
        write_clear(&mut buffer, &stream());
        insta::assert_snapshot!(buffer, @r#"{"event":"clear","streamSid":"MZ18ad3ab5a668481ce02b83e7395059f0"}"#);
    }

    #[test]
    fn what_twilio_would_object_to_is_named() {
        let why = |text: &str| parse_outbound(text, &stream()).unwrap_err().why;
        assert_eq!(why(r#"{"event":"media"}"#), "`media` has no `streamSid`");
        let sid = r#""streamSid":"MZ18ad3ab5a668481ce02b83e7395059f0""#;
        assert_eq!(
            why(&format!(r#"{{"event":"clear",{sid},"x":1}}"#)),
            "`clear` has a field `x` that it must not have"
        );
        assert_eq!(why(&format!(r#"{{"event":"mark",{sid}}}"#)), "`mark` has no `mark` object");
        assert_eq!(why(&format!(r#"{{"event":"play",{sid}}}"#)), "unknown event `play`");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(octets: Vec<u8>, name: String) {
            let mut buffer = String::new();
            write_media(&mut buffer, &stream(), &octets);
            prop_assert_eq!(parse_outbound(&buffer, &stream()), Ok(Outbound::Media(octets)));
            buffer.clear();
            write_mark(&mut buffer, &stream(), &name);
            prop_assert_eq!(parse_outbound(&buffer, &stream()), Ok(Outbound::Mark(name)));
        }
    }
}
