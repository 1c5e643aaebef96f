//! Any message, by its JSON: the long way.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Inbound, MediaIn, MessageError, StartMessage};
use crate::{AccountSid, CallSid, StreamSid};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    protocol: Option<Cow<'a, str>>,
    #[serde(default)]
    start: Option<Start>,
    #[serde(borrow, default)]
    media: Option<Media<'a>>,
    #[serde(default)]
    dtmf: Option<Dtmf>,
    #[serde(borrow, default)]
    mark: Option<Mark<'a>>,
    #[serde(rename = "streamSid", default)]
    stream_sid: Option<String>,
}

#[derive(Deserialize)]
struct Start {
    #[serde(rename = "streamSid", default)]
    stream_sid: Option<String>,
    #[serde(rename = "callSid")]
    call_sid: String,
    #[serde(rename = "accountSid")]
    account_sid: String,
    #[serde(rename = "customParameters", default)]
    parameters: Option<BTreeMap<String, String>>,
    #[serde(rename = "mediaFormat", default)]
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(default)]
    encoding: Option<String>,
    #[serde(rename = "sampleRate", default)]
    sample_rate: Option<Number>,
    #[serde(default)]
    channels: Option<Number>,
}

#[derive(Deserialize)]
struct Media<'a> {
    #[serde(default)]
    timestamp: Option<Number>,
    #[serde(default, borrow)]
    track: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Dtmf {
    digit: String,
}

#[derive(Deserialize)]
struct Mark<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// Twilio writes its counters as strings; others write numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Count(u64),
    Text(String),
}

impl Number {
    fn get(&self) -> Option<u64> {
        match self {
            Self::Count(count) => Some(*count),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

pub(super) fn parse_any(text: &str) -> Result<Inbound<'_>, MessageError> {
    let shape = |why: &str| MessageError::Shape { why: why.to_owned() };
    let event: Event<'_> = match serde_json::from_str(text) {
        Ok(event) => event,
        Err(error) => return read_unknown(text, &error),
    };
    match event.event.as_ref() {
        "connected" => Ok(Inbound::Connected { protocol: event.protocol.unwrap_or_default() }),
        "start" => {
            let start = event.start.ok_or_else(|| shape("`start` has no `start` object"))?;
            read_start(start, event.stream_sid).map(|start| Inbound::Start(Box::new(start)))
        }
        "media" => {
            let media = event.media.ok_or_else(|| shape("`media` has no `media` object"))?;
            if media.track.is_some_and(|track| track != "inbound") {
                // Only <Start><Stream> has other tracks; what they carry isn't the caller.
                return Ok(Inbound::Unknown { event: Cow::Borrowed("media of another track") });
            }
            Ok(Inbound::Media(MediaIn {
                timestamp_ms: media.timestamp.and_then(|timestamp| timestamp.get()),
                payload: media.payload,
            }))
        }
        "dtmf" => {
            let dtmf = event.dtmf.ok_or_else(|| shape("`dtmf` has no `dtmf` object"))?;
            let mut keys = dtmf.digit.chars();
            match (keys.next(), keys.next()) {
                (Some(digit), None) => Ok(Inbound::Dtmf { digit }),
                _ => Err(shape("`dtmf.digit` must be one character")),
            }
        }
        "mark" => {
            let mark = event.mark.ok_or_else(|| shape("`mark` has no `mark` object"))?;
            Ok(Inbound::Mark { name: mark.name })
        }
        "stop" => Ok(Inbound::Stop),
        _ => Ok(Inbound::Unknown { event: event.event }),
    }
}

/// An event that isn't known may have fields that look like those of others, and aren't.
fn read_unknown<'a>(text: &'a str, error: &serde_json::Error) -> Result<Inbound<'a>, MessageError> {
    #[derive(Deserialize)]
    struct Name<'a> {
        #[serde(borrow)]
        event: Cow<'a, str>,
    }
    const KNOWN: [&str; 6] = ["connected", "start", "media", "dtmf", "mark", "stop"];
    match serde_json::from_str::<Name<'_>>(text) {
        Ok(name) if !KNOWN.contains(&name.event.as_ref()) => Ok(Inbound::Unknown { event: name.event }),
        // The category and the place, not the text: it may hold keys.
        _ => Err(MessageError::Shape {
            why: format!("{:?} error at line {}, column {}", error.classify(), error.line(), error.column()),
        }),
    }
}

fn read_start(start: Start, outer_sid: Option<String>) -> Result<StartMessage, MessageError> {
    if let Some(format) = start.format {
        let encoding = format.encoding.as_deref().unwrap_or("audio/x-mulaw");
        let rate = format.sample_rate.as_ref().map_or(Some(8_000), Number::get);
        let channels = format.channels.as_ref().map_or(Some(1), Number::get);
        if encoding != "audio/x-mulaw" || rate != Some(8_000) || channels != Some(1) {
            let number =
                |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
            let encoding: String = encoding.chars().take(40).collect();
            let found = format!("{encoding} at {} Hz, {} channel(s)", number(rate), number(channels));
            return Err(MessageError::Format { found });
        }
    }
    let stream_sid = start
        .stream_sid
        .or(outer_sid)
        .ok_or_else(|| MessageError::Shape { why: "`start` has no `streamSid`".to_owned() })?;
    Ok(StartMessage {
        stream_sid: StreamSid::parse(&stream_sid)?,
        call_sid: CallSid::parse(&start.call_sid)?,
        account_sid: AccountSid::parse(&start.account_sid)?,
        parameters: start.parameters.unwrap_or_default(),
    })
}
