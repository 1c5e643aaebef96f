//! What Twilio sends.

mod json;

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use json::parse_any;

use crate::{AccountSid, BadSid, CallSid, StreamSid};

/// Longest message taken, in bytes; Twilio's have about 400.
pub const LONGEST_MESSAGE: usize = 64 * 1024;

/// A message from Twilio.
#[derive(Debug, PartialEq)]
pub enum Inbound<'a> {
    /// The first: says which protocol it is.
    Connected {
        /// `Call`.
        protocol: Cow<'a, str>,
    },
    /// The second: what stream it is.
    Start(Box<StartMessage>),
    /// Sound.
    Media(MediaIn<'a>),
    /// The far party pressed a key.
    Dtmf {
        /// Which; never logged.
        digit: char,
    },
    /// A mark came back.
    Mark {
        /// As we named it.
        name: Cow<'a, str>,
    },
    /// The stream ended.
    Stop,
    /// An event that this crate doesn't know. New ones appear over time.
    Unknown {
        /// Its name.
        event: Cow<'a, str>,
    },
}

/// What stream it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartMessage {
    /// The stream.
    pub stream_sid: StreamSid,
    /// The call.
    pub call_sid: CallSid,
    /// The account.
    pub account_sid: AccountSid,
    /// `<Parameter>`s, by name.
    pub parameters: BTreeMap<String, String>,
}

/// Sound from Twilio, still in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaIn<'a> {
    /// Presentation time in milliseconds since the stream's start, if given.
    pub timestamp_ms: Option<u64>,
    /// Base64 of μ-law octets. Owned where the message had it with escapes (`\/`), which JSON allows.
    pub payload: Cow<'a, str>,
}

impl MediaIn<'_> {
    /// Decodes the payload into `buffer`; gives the octets.
    ///
    /// # Errors
    /// If it isn't base64, or doesn't fit.
    pub fn decode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], MessageError> {
        let count = STANDARD
            .decode_slice(self.payload.as_ref(), buffer)
            .map_err(|error| MessageError::Payload { why: error.to_string() })?;
        Ok(buffer.get(..count).unwrap_or(&[]))
    }
}

/// Why a message from Twilio can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It is too long.
    #[error("a message of {len} bytes is over the limit of {LONGEST_MESSAGE}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It isn't JSON, or not of the shape that its event has.
    #[error("a message is not what Media Streams sends: {why}")]
    Shape {
        /// Where and what.
        why: String,
    },
    /// Its sound isn't base64.
    #[error("a media payload can't be used: {why}")]
    Payload {
        /// What is wrong with it.
        why: String,
    },
    /// The stream carries another kind of sound.
    #[error("the stream carries {found}; Media Streams has audio/x-mulaw at 8000 Hz, one channel")]
    Format {
        /// What it says that it carries.
        found: String,
    },
    /// An identifier is none.
    #[error("{0}")]
    Sid(#[from] BadSid),
}

/// Reads a message.
///
/// # Errors
/// If it is too long, or not what Media Streams sends. The stream can go on after it.
pub fn parse(text: &str) -> Result<Inbound<'_>, MessageError> {
    if text.len() > LONGEST_MESSAGE {
        return Err(MessageError::TooLong { len: text.len() });
    }
    match media_as_twilio_writes_it(text) {
        Some(media) => Ok(Inbound::Media(media)),
        None => parse_any(text),
    }
}

/// Recognises a `media` message in the very shape in which Twilio writes it; anything else goes the long way.
fn media_as_twilio_writes_it(text: &str) -> Option<MediaIn<'_>> {
    let rest = text.strip_prefix(r#"{"event":"media","sequenceNumber":""#)?;
    let (_, rest) = digits(rest)?;
    let rest = rest.strip_prefix(r#"","media":{"track":"inbound","chunk":""#)?;
    let (_, rest) = digits(rest)?;
    let (timestamp, rest) = digits(rest.strip_prefix(r#"","timestamp":""#)?)?;
    let rest = rest.strip_prefix(r#"","payload":""#)?;
    let (payload, rest) = rest.split_once('"')?;
    let rest = rest.strip_prefix(r#"},"streamSid":""#)?;
    let (sid, end) = rest.split_once('"')?;
    let plain = |text: &str| text.bytes().all(|b| b != b'\\' && b >= 0x20);
    (end == "}" && plain(payload) && plain(sid) && !sid.is_empty())
        .then_some(MediaIn { timestamp_ms: Some(timestamp), payload: Cow::Borrowed(payload) })
}

fn digits(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit())?;
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn twilios_own_messages_are_understood() {
        let start = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"ACaa","streamSid":"MZbb","callSid":"CAcc","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"token":"x"}},"streamSid":"MZbb"}"#;
        let Ok(Inbound::Start(start)) = parse(start) else { panic!("start") };
        assert_eq!(start.call_sid.as_str(), "CAcc");
        assert_eq!(start.parameters["token"], "x");
        let dtmf = r#"{"event":"dtmf","streamSid":"MZbb","sequenceNumber":"310","dtmf":{"track":"inbound_track","digit":"1"}}"#;
        assert_eq!(parse(dtmf), Ok(Inbound::Dtmf { digit: '1' }));
        let mark = r#"{"event":"mark","sequenceNumber":"4","streamSid":"MZbb","mark":{"name":"g0-1"}}"#;
        assert_eq!(parse(mark), Ok(Inbound::Mark { name: "g0-1".into() }));
        let stop = r#"{"event":"stop","sequenceNumber":"9","stop":{"accountSid":"AC","callSid":"CA"},"streamSid":"MZ"}"#;
        assert_eq!(parse(stop), Ok(Inbound::Stop));
        let other = r#"{"event":"whisper","loudness":3}"#;
        assert_eq!(parse(other), Ok(Inbound::Unknown { event: "whisper".into() }));
        let like_media = r#"{"event":"video","media":{"payload":7},"start":[]}"#;
        assert_eq!(parse(like_media), Ok(Inbound::Unknown { event: "video".into() }));
    }

    #[test]
    fn a_payload_may_have_escapes() {
        let message = |payload: &str| {
            format!(
                r#"{{"event":"media","sequenceNumber":"1","media":{{"track":"inbound","chunk":"1","timestamp":"5","payload":"{payload}"}},"streamSid":"MZ1"}}"#
            )
        };
        let octets = |text: &str| {
            let Ok(Inbound::Media(media)) = parse(text) else { panic!("{text}") };
            media.decode(&mut [0; 9]).map(<[u8]>::to_vec)
        };
        let plain = octets(&message("+/+/"));
        assert_eq!(plain, Ok(vec![0xFB, 0xFF, 0xBF]));
        for escaped in [r"+\/+\/", r"\u002B\/\u002b/", r"\u002B/+\u002F"] {
            assert_eq!(octets(&message(escaped)), plain, "{escaped}");
        }
        let named = r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"g0\u002d1"}}"#;
        assert_eq!(parse(named), Ok(Inbound::Mark { name: "g0-1".into() }));
    }

    #[test]
    fn an_error_quotes_no_key() {
        for text in [
            r#"{"event":"dtmf","streamSid":"MZbb","dtmf":{"track":"inbound_track","digit":4711}}"#,
            r#"{"event":"dtmf","streamSid":"MZbb","dtmf":{"digit":"4711"}}"#,
            r#"{"event":"dtmf","dtmf":4711}"#,
            r#"{"event":"dtmf","dtmf":{"digit":"4711"#,
            r#"{"event":4711}"#,
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("4711"), "{error}");
        }
    }

    #[test]
    fn another_format_is_named() {
        let start = r#"{"event":"start","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","mediaFormat":{"encoding":"audio/l16","sampleRate":16000,"channels":1}},"streamSid":"MZ1"}"#;
        let error = parse(start).unwrap_err().to_string();
        assert!(error.starts_with("the stream carries audio/l16 at 16000 Hz, 1 channel(s)"), "{error}");
    }

    #[test]
    fn broken_messages_are_errors() {
        for text in [
            "",
            "{",
            "[]",
            "null",
            r#"{"event":1}"#,
            r#"{"event":"media"}"#,
            r#"{"event":"start","start":{}}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(&" ".repeat(70_000)), Err(MessageError::TooLong { len: 70_000 }));
        let media = MediaIn { timestamp_ms: None, payload: "####".into() };
        assert!(media.decode(&mut [0; 100]).is_err());
        let media = MediaIn { timestamp_ms: None, payload: "AAAAAAAA".into() };
        assert!(media.decode(&mut [0; 2]).is_err());
    }

    proptest! {
        #[test]
        fn the_fast_path_says_what_the_long_way_says(
            sequence in any::<u32>(), chunk in any::<u32>(), timestamp in any::<u32>(),
            payload in "[A-Za-z0-9+/]{0,40}", sid in "MZ[0-9a-f]{0,8}", spoil in 0usize..200, with in any::<char>(), spoiled: bool,
        ) {
            let mut text = format!(
                r#"{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound","chunk":"{chunk}","timestamp":"{timestamp}","payload":"{payload}"}},"streamSid":"{sid}"}}"#
            );
            if spoiled && spoil < text.len() {
                text.replace_range(spoil..=spoil, &with.to_string());
            }
            if let Some(fast) = media_as_twilio_writes_it(&text) {
                prop_assert_eq!(parse_any(&text), Ok(Inbound::Media(fast)));
            } else {
                prop_assert!(spoiled);
            }
        }

        #[test]
        fn nothing_makes_it_panic(text: String) {
            prop_assert!(!matches!(parse(&text), Ok(Inbound::Media(_))));
        }
    }
}
