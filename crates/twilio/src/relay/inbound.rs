//! What Twilio sends.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::{AccountSid, BadSid, CallSid, SessionSid};

/// Longest message taken, in bytes: minutes of speech.
pub const LONGEST_MESSAGE: usize = 64 * 1024;

/// A message from Twilio.
#[derive(Debug, PartialEq)]
pub enum Inbound<'a> {
    /// The first, once: which call it is.
    Setup(Box<SetupMessage>),
    /// The caller said something.
    Prompt {
        /// All words of the turn so far: a later message replaces an earlier one.
        text: Cow<'a, str>,
        /// BCP 47 tag of the language that was recognised; empty if Twilio doesn't tell.
        lang: Cow<'a, str>,
        /// The caller is done; else the words may change. False comes only where partial prompts were asked for.
        last: bool,
    },
    /// The caller pressed a key.
    Dtmf {
        /// Which; never logged.
        digit: char,
    },
    /// The caller spoke (or pressed a key) over the agent. All that was sent and not spoken is gone.
    Interrupt {
        /// What was heard of what the agent was saying.
        heard: Cow<'a, str>,
        /// How long the agent had been speaking, if Twilio tells.
        after: Option<Duration>,
    },
    /// Twilio can't use something: a message of ours (64107), a voice, a language.
    Error {
        /// In Twilio's words. Quotes the message, so it may hold what was said.
        description: Cow<'a, str>,
    },
    /// What happens on the line. Comes only if it was asked for.
    Info(Info<'a>),
    /// A kind that this crate doesn't know. New ones appear over time.
    Unknown {
        /// Its name.
        kind: Cow<'a, str>,
    },
}

/// What happens on the line: `info` messages, for those who asked by `events` or `debug`.
#[derive(Debug, PartialEq, Eq)]
pub enum Info<'a> {
    /// `agentSpeaking`: the agent's voice begins, or stops.
    AgentSpeaking(bool),
    /// `clientSpeaking`: the caller's voice begins, or stops.
    CallerSpeaking(bool),
    /// `tokensPlayed`: these words of ours were spoken.
    TokensPlayed(Cow<'a, str>),
    /// Another, or one with a value that it doesn't have.
    Other(Cow<'a, str>),
}

/// Which call it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupMessage {
    /// The session; a call that was connected anew has another.
    pub session_sid: SessionSid,
    /// The call.
    pub call_sid: CallSid,
    /// The account.
    pub account_sid: AccountSid,
    /// Who calls; may be no number. Empty if unknown.
    pub from: String,
    /// Who is called. Empty if unknown.
    pub to: String,
    /// `inbound`, `outbound-api`, …; empty if unknown.
    pub direction: String,
    /// `<Parameter>`s, by name.
    pub parameters: BTreeMap<String, String>,
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
    /// It isn't JSON, or not of the shape that its type has.
    #[error("a message is not what ConversationRelay sends: {why}")]
    Shape {
        /// Where and what.
        why: String,
    },
    /// An identifier is none.
    #[error("{0}")]
    Sid(#[from] BadSid),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    session_id: Option<String>,
    call_sid: Option<String>,
    account_sid: Option<String>,
    from: Option<String>,
    to: Option<String>,
    direction: Option<String>,
    custom_parameters: Option<BTreeMap<String, String>>,
    #[serde(borrow)]
    voice_prompt: Option<Cow<'a, str>>,
    #[serde(borrow)]
    lang: Option<Cow<'a, str>>,
    last: Option<bool>,
    digit: Option<String>,
    #[serde(borrow)]
    utterance_until_interrupt: Option<Cow<'a, str>>,
    duration_until_interrupt_ms: Option<Millis>,
    #[serde(borrow)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
}

/// Twilio writes a number; others write strings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Millis {
    Count(f64),
    Text(String),
}

impl Millis {
    fn get(&self) -> Option<Duration> {
        let ms = match self {
            Self::Count(count) => *count,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        Duration::try_from_secs_f64(ms / 1_000.0).ok()
    }
}

/// Reads a message.
///
/// # Errors
/// If it is too long, or not what ConversationRelay sends. The session can go on after it.
pub fn parse(text: &str) -> Result<Inbound<'_>, MessageError> {
    if text.len() > LONGEST_MESSAGE {
        return Err(MessageError::TooLong { len: text.len() });
    }
    let shape = |why: String| MessageError::Shape { why };
    let missing = |what: &str| MessageError::Shape { why: what.to_owned() };
    // The category and the place, not the text: it may hold keys.
    let raw: Raw<'_> = serde_json::from_str(text).map_err(|error| {
        shape(format!("{:?} error at line {}, column {}", error.classify(), error.line(), error.column()))
    })?;
    Ok(match raw.kind.as_ref() {
        "setup" => {
            let field = |value: Option<String>, name: &str| {
                value.ok_or_else(|| missing(&format!("`setup` has no `{name}`")))
            };
            Inbound::Setup(Box::new(SetupMessage {
                session_sid: SessionSid::parse(&field(raw.session_id, "sessionId")?)?,
                call_sid: CallSid::parse(&field(raw.call_sid, "callSid")?)?,
                account_sid: AccountSid::parse(&field(raw.account_sid, "accountSid")?)?,
                from: raw.from.unwrap_or_default(),
                to: raw.to.unwrap_or_default(),
                direction: raw.direction.unwrap_or_default(),
                parameters: raw.custom_parameters.unwrap_or_default(),
            }))
        }
        "prompt" => Inbound::Prompt {
            text: raw.voice_prompt.ok_or_else(|| missing("`prompt` has no `voicePrompt`"))?,
            lang: raw.lang.unwrap_or_default(),
            // Before there were partial prompts, every prompt was the last.
            last: raw.last.unwrap_or(true),
        },
        "dtmf" => {
            let digit = raw.digit.ok_or_else(|| missing("`dtmf` has no `digit`"))?;
            let mut keys = digit.chars();
            match (keys.next(), keys.next()) {
                (Some(digit), None) => Inbound::Dtmf { digit },
                _ => return Err(missing("`dtmf.digit` must be one character")),
            }
        }
        "interrupt" => Inbound::Interrupt {
            heard: raw.utterance_until_interrupt.unwrap_or_default(),
            after: raw.duration_until_interrupt_ms.as_ref().and_then(Millis::get),
        },
        "error" => Inbound::Error { description: raw.description.unwrap_or_default() },
        "info" => Inbound::Info(read_info(raw.name.unwrap_or_default(), raw.value.unwrap_or_default())),
        _ => Inbound::Unknown { kind: raw.kind },
    })
}

fn read_info<'a>(name: Cow<'a, str>, value: Cow<'a, str>) -> Info<'a> {
    match (name.as_ref(), value.as_ref()) {
        ("agentSpeaking", "on") => Info::AgentSpeaking(true),
        ("agentSpeaking", "off") => Info::AgentSpeaking(false),
        ("clientSpeaking", "on") => Info::CallerSpeaking(true),
        ("clientSpeaking", "off") => Info::CallerSpeaking(false),
        ("tokensPlayed", _) => Info::TokensPlayed(value),
        _ => Info::Other(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETUP: &str = r#"{"type":"setup","sessionId":"VX11","accountSid":"AC11","parentCallSid":"","callSid":"CA11","from":"+14155550100","to":"+14155550101","forwardedFrom":"","callType":"PSTN","callerName":"","direction":"inbound","callStatus":"RINGING","customParameters":{"token":"x"}}"#;

    #[test]
    fn telnyx_dialect_is_understood() {
        // As its documentation has it: ids of its own, no `callType`, and more fields.
        let setup = r#"{"type":"setup","sessionId":"7a7e6a4f-0000-4000-8000-000000000001","accountSid":"1f1a8b6f-0000-4000-8000-000000000002","callSid":"v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ","callControlId":"v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ","callSessionId":"ff55","callLegId":"428c","from":"+13125550100","to":"+13125550101","direction":"inbound","callerName":"","callStatus":"active","customParameters":{"customer_id":"c1"}}"#;
        let Inbound::Setup(setup) = parse(setup).unwrap() else { panic!("no setup") };
        assert!(setup.call_sid.as_str().starts_with("v2:T02") && !setup.call_sid.is_twilios());
        assert_eq!(setup.parameters["customer_id"], "c1");
        for bad in ["v2:", "v2:../x", "v2:a:b", "x:y", "v2:a/b"] {
            assert!(CallSid::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn twilios_own_messages_are_understood() {
        let messages = [
            SETUP,
            r#"{"type":"prompt","voicePrompt":"Hi, what are your hours?","lang":"en-US","last":true}"#,
            r#"{"type":"prompt","voicePrompt":"Hi, what","lang":"en-US","last":false}"#,
            r#"{"type":"dtmf","digit":"1"}"#,
            r#"{"type":"interrupt","utteranceUntilInterrupt":"Our opening hours are","durationUntilInterruptMs":460}"#,
            r#"{"type":"interrupt","utteranceUntilInterrupt":"Our","durationUntilInterruptMs":"460"}"#,
            r#"{"type":"error","description":"Invalid message received, code: 64107, {}"}"#,
            r#"{"type":"info","name":"agentSpeaking","value":"on"}"#,
            r#"{"type":"info","name":"clientSpeaking","value":"off"}"#,
            r#"{"type":"info","name":"tokensPlayed","value":"I heard:"}"#,
            r#"{"type":"info","name":"roundTripDelayMs","value":"148"}"#,
            r#"{"type":"whisper","loudness":{"is":3}}"#,
        ];
        let told: String = messages.iter().map(|text| format!("{:?}\n", parse(text).unwrap())).collect();
        insta::assert_snapshot!(told);
    }

    #[test]
    fn broken_messages_are_errors_that_quote_nothing() {
        for text in ["", "{", "[]", "null", r#"{"type":1}"#, r#"{"type":"setup"}"#, r#"{"type":"prompt"}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in [
            r#"{"type":"dtmf","digit":"4711"}"#,
            r#"{"type":"dtmf","digit":4711}"#,
            r#"{"type":"dtmf","digit":"4711"#,
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("4711"), "{error}");
        }
        assert_eq!(parse(&" ".repeat(70_000)), Err(MessageError::TooLong { len: 70_000 }));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text: String) {
            prop_assert!(parse(&text).is_err());
        }

        #[test]
        fn any_number_for_a_duration_is_taken(ms: f64) {
            let text = serde_json::json!({"type": "interrupt", "utteranceUntilInterrupt": "x", "durationUntilInterruptMs": ms});
            let text = text.to_string();
            let taken = matches!(parse(&text), Ok(Inbound::Interrupt { .. }));
            prop_assert!(taken);
        }
    }
}
