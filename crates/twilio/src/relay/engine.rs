//! The engine's side of ConversationRelay: what Twilio sends, written as Twilio writes it, and what applications send, read as
//! Twilio reads it. For programs that play Twilio towards an application server.
//!
//! Source: twilio.com/docs/voice/conversationrelay/websocket-messages, and recorded live sessions for the order of keys and for
//! what Twilio tolerates: unknown fields are ignored, fields of a wrong type are error 64107.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// So many characters of a message that can't be used are quoted in Twilio's error.
const QUOTED: usize = 1_000;
/// `loop = 0` is up to so many times.
pub const MOST_LOOPS: u32 = 1_000;

/// The first message, once per connection. Every field is text, empty when unknown, never absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "type", rename = "setup")]
pub struct Setup {
    /// `VX` and 32 hexadecimal digits.
    pub session_id: String,
    /// The call.
    pub call_sid: String,
    /// The call that this one is a leg of.
    pub parent_call_sid: String,
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// Who diverted the call.
    pub forwarded_from: String,
    /// The caller's name, if the network gave one.
    pub caller_name: String,
    /// `inbound` or `outbound-api`.
    pub direction: String,
    /// `PSTN`, `SIP` or `CLIENT`.
    pub call_type: String,
    /// `RINGING` in an incoming call's first session, else `IN_PROGRESS`.
    pub call_status: String,
    /// The account.
    pub account_sid: String,
    /// `<Parameter>`s.
    pub custom_parameters: BTreeMap<String, String>,
}

impl Setup {
    /// As it goes over the socket.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(self)
    }
}

fn json(message: &impl Serialize) -> String {
    // Plain data with text for keys can't fail to be written.
    serde_json::to_string(message).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", tag = "type")]
enum Message<'a> {
    #[serde(rename_all = "camelCase")]
    Prompt {
        voice_prompt: &'a str,
        lang: &'a str,
        last: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        speculative: Option<u32>,
    },
    Dtmf {
        digit: char,
    },
    #[serde(rename_all = "camelCase")]
    Interrupt {
        utterance_until_interrupt: &'a str,
        duration_until_interrupt_ms: u64,
    },
    Info {
        name: &'a str,
        value: &'a str,
    },
    Error {
        description: &'a str,
    },
}

/// What the caller said; more follows if it is not the `last`.
#[must_use]
pub fn prompt(text: &str, lang: &str, last: bool) -> String {
    json(&Message::Prompt { voice_prompt: text, lang, last, speculative: None })
}

/// The same before the end of the turn is certain, for applications that asked for it: an extension of Offhook's. `number` names
/// it in what follows.
#[must_use]
pub fn speculative_prompt(text: &str, lang: &str, number: u32) -> String {
    json(&Message::Prompt { voice_prompt: text, lang, last: true, speculative: Some(number) })
}

/// A key.
#[must_use]
pub fn dtmf(key: char) -> String {
    json(&Message::Dtmf { digit: key })
}

/// The caller spoke over the agent: so much was heard of the piece that was being spoken, and for how long it had been.
#[must_use]
pub fn interrupt(heard: &str, after_ms: u64) -> String {
    json(&Message::Interrupt { utterance_until_interrupt: heard, duration_until_interrupt_ms: after_ms })
}

/// What happens on the line.
#[must_use]
pub fn info(name: &str, value: &str) -> String {
    json(&Message::Info { name, value })
}

/// Something is wrong, with an error code of Twilio's in the text.
#[must_use]
pub fn error(description: &str) -> String {
    json(&Message::Error { description })
}

/// Error 64107: a message can't be used.
#[must_use]
pub fn invalid_message(message: &str) -> String {
    let quoted: String = message.chars().take(QUOTED).collect();
    error(&format!("Invalid message received, code: 64107, {quoted}"))
}

/// What may interrupt a message's sound, where it says so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayInterrupt {
    /// Speech and keys: `true` or `any`.
    Any,
    /// Speech alone.
    Speech,
    /// Keys alone.
    Dtmf,
    /// Nothing: `false` or `none`.
    None,
}

impl MayInterrupt {
    /// By its name in TwiML, or a boolean.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "any" | "true" => Self::Any,
            "speech" => Self::Speech,
            "dtmf" => Self::Dtmf,
            "none" | "false" => Self::None,
            _ => return None,
        })
    }

    /// Whether speech may.
    #[must_use]
    pub const fn speech(self) -> bool {
        matches!(self, Self::Any | Self::Speech)
    }

    /// Whether keys may.
    #[must_use]
    pub const fn keys(self) -> bool {
        matches!(self, Self::Any | Self::Dtmf)
    }
}

/// A message of an application's.
#[derive(Clone, PartialEq, Eq)]
pub enum AppMessage {
    /// Speak this.
    Text {
        /// A piece; may be empty.
        token: String,
        /// The end of the reply.
        last: bool,
        /// BCP 47 tag of this reply's language.
        lang: Option<String>,
        /// What may interrupt it.
        interruptible: Option<MayInterrupt>,
        /// The next message may replace it.
        preemptible: Option<bool>,
    },
    /// Play this file.
    Play {
        /// Its URL.
        source: String,
        /// How often, at least once.
        times: u32,
        /// What may interrupt it.
        interruptible: Option<MayInterrupt>,
        /// The next message may replace it.
        preemptible: bool,
    },
    /// Press these keys: `0`–`9`, `w`, `#`, `*`.
    SendDigits {
        /// Which.
        digits: String,
    },
    /// Other languages from now on; at least one is there.
    Language {
        /// Of the agent's voice.
        tts: Option<String>,
        /// Of the caller's words.
        transcription: Option<String>,
    },
    /// End the session when everything was spoken.
    End {
        /// For the action, as it is.
        handoff: Option<String>,
    },
    /// A kind that is known by name and has no documented layout: `config`, `hints`.
    Undocumented {
        /// Its name.
        kind: String,
    },
}

/// Keys that are to be pressed are not shown.
impl fmt::Debug for AppMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { token, last, .. } => write!(f, "Text({token:?}, last: {last})"),
            Self::Play { source, times, .. } => write!(f, "Play({source:?}, {times})"),
            Self::SendDigits { digits } => write!(f, "SendDigits({})", "•".repeat(digits.len())),
            Self::Language { tts, transcription } => write!(f, "Language({tts:?}, {transcription:?})"),
            Self::End { handoff } => write!(f, "End(with data: {})", handoff.is_some()),
            Self::Undocumented { kind } => write!(f, "Undocumented({kind})"),
        }
    }
}

/// Reads a message of an application's as Twilio does. `None`: error 64107.
#[must_use]
pub fn parse_app(text: &str) -> Option<AppMessage> {
    let message: Value = serde_json::from_str(text).ok()?;
    let fields = message.as_object()?;
    let string = |name: &str| optional(fields.get(name), |value| value.as_str().map(str::to_owned));
    let boolean = |name: &str| optional(fields.get(name), Value::as_bool);
    let interruptible = || {
        optional(fields.get("interruptible"), |value| match value {
            Value::Bool(may) => Some(if *may { MayInterrupt::Any } else { MayInterrupt::None }),
            Value::String(text) => MayInterrupt::parse(text),
            _ => None,
        })
    };
    Some(match fields.get("type")?.as_str()? {
        "text" => AppMessage::Text {
            token: string("token")??,
            last: boolean("last")?.unwrap_or(false),
            lang: string("lang")?.filter(|tag| !tag.is_empty()),
            interruptible: interruptible()?,
            preemptible: boolean("preemptible")?,
        },
        "play" => {
            let times = optional(fields.get("loop"), Value::as_u64)?.unwrap_or(1);
            let times = u32::try_from(times).unwrap_or(MOST_LOOPS).min(MOST_LOOPS);
            AppMessage::Play {
                source: string("source")?.filter(|source| source.contains("://"))?,
                times: if times == 0 { MOST_LOOPS } else { times },
                interruptible: interruptible()?,
                preemptible: boolean("preemptible")?.unwrap_or(false),
            }
        }
        "sendDigits" => {
            let digits = string("digits")??;
            let good = |key: char| matches!(key, '0'..='9' | 'w' | '#' | '*');
            if digits.is_empty() || !digits.chars().all(good) {
                return None;
            }
            AppMessage::SendDigits { digits }
        }
        "language" => {
            let (tts, transcription) = (string("ttsLanguage")?, string("transcriptionLanguage")?);
            if tts.is_none() && transcription.is_none() {
                return None;
            }
            AppMessage::Language { tts, transcription }
        }
        "end" => AppMessage::End { handoff: string("handoffData")? },
        kind @ ("config" | "hints") => AppMessage::Undocumented { kind: kind.to_owned() },
        _ => return None,
    })
}

/// A field that may be absent or null, but not of another type: `None` then.
fn optional<'a, T>(value: Option<&'a Value>, read: impl Fn(&'a Value) -> Option<T>) -> Option<Option<T>> {
    match value {
        None | Some(Value::Null) => Some(None),
        Some(value) => read(value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::relay::{Inbound, parse, parse_outbound};

    #[test]
    fn messages_are_written_as_recorded() {
        let setup = Setup {
            session_id: "VX1".into(),
            call_sid: "CA1".into(),
            account_sid: "AC1".into(),
            custom_parameters: [("a".to_owned(), "b".to_owned())].into(),
            ..Setup::default()
        };
        assert_eq!(
            setup.to_json(),
            r#"{"type":"setup","sessionId":"VX1","callSid":"CA1","parentCallSid":"","from":"","to":"","forwardedFrom":"","callerName":"","direction":"","callType":"","callStatus":"","accountSid":"AC1","customParameters":{"a":"b"}}"#
        );
        assert!(matches!(parse(&setup.to_json()), Ok(Inbound::Setup(_))));
        assert_eq!(
            prompt("Stop.", "en", true),
            r#"{"type":"prompt","voicePrompt":"Stop.","lang":"en","last":true}"#
        );
        assert_eq!(
            interrupt("Sentence 2 of", 684),
            r#"{"type":"interrupt","utteranceUntilInterrupt":"Sentence 2 of","durationUntilInterruptMs":684}"#
        );
        assert_eq!(dtmf('5'), r#"{"type":"dtmf","digit":"5"}"#);
        assert_eq!(info("agentSpeaking", "on"), r#"{"type":"info","name":"agentSpeaking","value":"on"}"#);
        assert_eq!(
            invalid_message("this is not json #1"),
            r#"{"type":"error","description":"Invalid message received, code: 64107, this is not json #1"}"#
        );
    }

    #[test]
    fn what_applications_send_is_understood() {
        let text = |token: &str, last| AppMessage::Text {
            token: token.into(),
            last,
            lang: None,
            interruptible: None,
            preemptible: None,
        };
        assert_eq!(parse_app(r#"{"type":"text","token":"Hi","isFinal":1}"#), Some(text("Hi", false)));
        assert_eq!(parse_app(r#"{"type":"text","token":"","last":true,"lang":null}"#), Some(text("", true)));
        let play = parse_app(r#"{"type":"play","source":"https://a.example/x.wav","loop":0}"#);
        assert!(matches!(play, Some(AppMessage::Play { times: MOST_LOOPS, .. })));
        assert!(matches!(
            parse_app(r#"{"type":"text","token":"x","interruptible":"dtmf"}"#),
            Some(AppMessage::Text { interruptible: Some(MayInterrupt::Dtmf), .. })
        ));
        assert!(parse_app(r#"{"type":"config","interruptible":false}"#).is_some());
        assert_eq!(
            format!("{:?}", parse_app(r#"{"type":"sendDigits","digits":"47w11"}"#).unwrap()),
            "SendDigits(•••••)"
        );
    }

    #[test]
    fn what_twilio_refuses_is_refused() {
        for text in [
            "oops",
            "[1]",
            r#"{"token":"x"}"#,
            r#"{"type":"speak","token":"x"}"#,
            r#"{"type":"text"}"#,
            r#"{"type":"text","token":null}"#,
            r#"{"type":"text","token":1}"#,
            r#"{"type":"text","token":"x","last":"yes"}"#,
            r#"{"type":"play","source":"hold.mp3"}"#,
            r#"{"type":"sendDigits","digits":"12A"}"#,
            r#"{"type":"sendDigits","digits":""}"#,
            r#"{"type":"language"}"#,
            r#"{"type":"end","handoffData":{"a":1}}"#,
            r#"{"type":"error","message":"boom"}"#,
        ] {
            assert_eq!(parse_app(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text: String) {
            prop_assert_eq!(parse_app(&text), None);
        }

        /// The strict reader of this crate takes nothing that this one refuses.
        #[test]
        fn what_is_valid_is_taken(token: String, last: bool, kind in "text|end|play|language|sendDigits") {
            let text = serde_json::json!({"type": kind, "token": token, "last": last}).to_string();
            prop_assert!(parse_outbound(&text).is_err() || parse_app(&text).is_some());
        }
    }
}
