//! What a server sends, with the documented fields and nothing else (error 64107).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A message to Twilio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Outbound {
    /// Speak this.
    Text(Text),
    /// Play a file.
    Play(Play),
    /// Press keys.
    SendDigits {
        /// Which.
        digits: RelayDigits,
    },
    /// Speak and understand another language from now on.
    Language {
        /// Of the agent's voice, BCP 47.
        #[serde(rename = "ttsLanguage", default, skip_serializing_if = "Option::is_none")]
        tts: Option<String>,
        /// Of the caller's words, BCP 47 or `multi`.
        #[serde(rename = "transcriptionLanguage", default, skip_serializing_if = "Option::is_none")]
        transcription: Option<String>,
    },
    /// End the session; Twilio asks `<Connect action>` what is next. What wasn't spoken is not.
    End {
        /// Goes to the action's `HandoffData`, as it is.
        #[serde(rename = "handoffData", default, skip_serializing_if = "Option::is_none")]
        handoff: Option<String>,
    },
    /// Other settings from now on (October 2026).
    Config {
        /// As they are: Twilio's layout isn't public.
        #[serde(flatten)]
        fields: Map<String, Value>,
    },
    /// Other words to listen for (October 2026).
    Hints {
        /// As they are: Twilio's layout isn't public.
        #[serde(flatten)]
        fields: Map<String, Value>,
    },
}

/// Text to speak: a piece of what the agent says, with its spaces. The pieces up to the one that is `last` belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// The piece; may be empty, to say that nothing more comes.
    pub token: String,
    /// Nothing more belongs to it.
    #[serde(default)]
    pub last: bool,
    /// Its language, if it isn't the session's; BCP 47.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// The caller may interrupt it; else as the TwiML says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interruptible: Option<bool>,
    /// The next text may cut it off; else as the TwiML says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemptible: Option<bool>,
}

/// A file to play.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Play {
    /// Where it is.
    pub source: String,
    /// How often; 0 is up to 1 000 times. Default 1.
    #[serde(default, rename = "loop", skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The next text may cut it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemptible: Option<bool>,
    /// The caller may interrupt it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interruptible: Option<bool>,
}

/// Keys that ConversationRelay can press: `0` to `9`, `w` (half a second's wait), `#`, `*`. `Debug` shows only how many.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct RelayDigits(String);

impl RelayDigits {
    /// Keys to press; `None` without any, or with one that can't be pressed.
    #[must_use]
    pub fn new(keys: &str) -> Option<Self> {
        let good = !keys.is_empty() && keys.chars().all(|key| matches!(key, '0'..='9' | 'w' | '#' | '*'));
        good.then(|| Self(keys.to_owned()))
    }

    /// The keys themselves. Keep them out of logs.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for RelayDigits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RelayDigits({})", "•".repeat(self.0.len()))
    }
}

impl<'de> Deserialize<'de> for RelayDigits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = String::deserialize(deserializer)?;
        Self::new(&keys).ok_or_else(|| serde::de::Error::custom("`digits` must be keys: 0 to 9, w, #, *"))
    }
}

impl Outbound {
    /// As it goes over the socket.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Plain data with string keys can't fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What Twilio would object to in a message, with its error 64107.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct OutboundError {
    /// In words.
    pub why: String,
}

/// Kinds whose fields aren't public: any may be there.
const OPEN: [&str; 2] = ["config", "hints"];
/// Fields of each other kind of message.
const FIELDS: &[(&str, &[&str])] = &[
    ("text", &["type", "token", "last", "lang", "interruptible", "preemptible"]),
    ("play", &["type", "source", "loop", "interruptible", "preemptible"]),
    ("sendDigits", &["type", "digits"]),
    ("language", &["type", "ttsLanguage", "transcriptionLanguage"]),
    ("end", &["type", "handoffData"]),
];

/// Reads a message to Twilio, as strictly as Twilio does.
///
/// # Errors
/// What Twilio would tell as error 64107. It drops the message; the session goes on.
pub fn parse_outbound(text: &str) -> Result<Outbound, OutboundError> {
    let wrong = |why: String| OutboundError { why };
    let value: Value =
        serde_json::from_str(text).map_err(|error| wrong(format!("it is not JSON: {error}")))?;
    let object = value.as_object().ok_or_else(|| wrong("it is not a JSON object".into()))?;
    let kind = object.get("type").and_then(Value::as_str).ok_or_else(|| wrong("it has no `type`".into()))?;
    if !OPEN.contains(&kind) {
        let (_, fields) = FIELDS.iter().find(|(known, _)| *known == kind).ok_or_else(|| {
            wrong(format!(
                "there is no type `{kind}`: text, play, sendDigits, language, config, hints or end"
            ))
        })?;
        if let Some(extra) = object.keys().find(|key| !fields.contains(&key.as_str())) {
            return Err(wrong(format!("`{kind}` has no field `{extra}`")));
        }
    }
    let message: Outbound =
        serde_json::from_str(text).map_err(|error| wrong(format!("`{kind}`: {error}")))?;
    match &message {
        Outbound::Language { tts: None, transcription: None } => {
            Err(wrong("`language` names neither `ttsLanguage` nor `transcriptionLanguage`".into()))
        }
        Outbound::Play(play) if !play.source.contains("://") => {
            Err(wrong("`play` has a `source` that is no URL".into()))
        }
        _ => Ok(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_have_their_documented_fields() {
        let text = |token: &str, last| Text { token: token.into(), last, ..Text::default() };
        let messages = [
            Outbound::Text(text("Our opening hours", false)),
            Outbound::Text(Text {
                lang: Some("sv-SE".into()),
                interruptible: Some(false),
                preemptible: Some(true),
                ..text(" är \"nio\" till fem.", true)
            }),
            Outbound::Play(Play {
                source: "https://cdn.example.com/hold.mp3".into(),
                times: Some(1),
                preemptible: Some(false),
                interruptible: Some(true),
            }),
            Outbound::SendDigits { digits: RelayDigits::new("9www4085551212").unwrap() },
            Outbound::Language { tts: Some("sv-SE".into()), transcription: None },
            Outbound::End { handoff: Some(r#"{"reason":"billing"}"#.into()) },
            Outbound::End { handoff: None },
            Outbound::Config {
                fields: [("interruptible".to_owned(), Value::from("none"))].into_iter().collect(),
            },
            Outbound::Hints { fields: [("hints".to_owned(), Value::from("Offhook"))].into_iter().collect() },
        ];
        let told: String = messages.iter().map(|message| message.to_json() + "\n").collect();
        insta::assert_snapshot!(told);
        for message in messages {
            assert_eq!(parse_outbound(&message.to_json()), Ok(message));
        }
    }

    #[test]
    fn what_twilio_would_drop_is_told() {
        let texts = [
            "oops",
            "[1]",
            r#"{"event":"media"}"#,
            r#"{"type":"speak","token":"x"}"#,
            r#"{"type":"text"}"#,
            r#"{"type":"text","token":null}"#,
            r#"{"type":"text","token":"x","isFinal":true}"#,
            r#"{"type":"play","source":"hold.mp3"}"#,
            r#"{"type":"sendDigits","digits":""}"#,
            r#"{"type":"sendDigits","digits":"12A"}"#,
            r#"{"type":"language"}"#,
            r#"{"type":"end","handoffData":{"a":1}}"#,
        ];
        let told: String =
            texts.iter().map(|text| format!("{}\n", parse_outbound(text).unwrap_err())).collect();
        insta::assert_snapshot!(told);
    }

    #[test]
    fn keys_are_not_shown() {
        let digits = RelayDigits::new("4711").unwrap();
        assert_eq!(format!("{digits:?}"), "RelayDigits(••••)");
        assert_eq!(RelayDigits::new("12A"), None);
        assert_eq!(RelayDigits::new(""), None);
    }

    proptest! {
        #[test]
        fn whatever_is_said_arrives(token: String, last: bool, lang: Option<String>, interruptible: Option<bool>) {
            let message = Outbound::Text(Text { token, last, lang, interruptible, preemptible: None });
            prop_assert_eq!(parse_outbound(&message.to_json()), Ok(message));
        }

        #[test]
        fn nothing_makes_it_panic(text: String) {
            prop_assert!(parse_outbound(&text).is_err());
        }
    }
}
