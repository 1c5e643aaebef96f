//! How a call behaves: its conversation, and the line under it.

use std::sync::Arc;
use std::time::Duration;

use offhook_conversation::ConversationConfig;
use offhook_endpoint::TalkspurtConfig;
use serde::{Deserialize, Serialize};

/// How a call behaves.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(from = "Fields", into = "Fields")]
pub struct CallConfig {
    /// What the agent does with what it hears. The server sets it.
    pub mode: CallMode,
    /// `[inbound]`: the caller's voice.
    pub inbound: InboundConfig,
    /// `[playout]`: how the agent's voice goes out.
    pub playout: PlayoutConfig,
    /// Everything that holds on any line; its fields stand beside these.
    pub conversation: Arc<ConversationConfig>,
}

impl CallConfig {
    /// The conversation's part, to be changed.
    pub fn conversation_mut(&mut self) -> &mut ConversationConfig {
        Arc::make_mut(&mut self.conversation)
    }

    /// Whether the caller's side is searched for what is played. In an echo test all of it is the caller's own voice.
    pub(crate) fn guards_against_echo(&self) -> bool {
        self.inbound.echo_guard && self.mode != CallMode::Echo
    }
}

macro_rules! beside_the_conversations {
    ($($(#[$attribute:meta])* $field:ident: $type:ty,)*) => {
        /// The fields as they stand in a file.
        #[derive(Clone, Debug, Default, Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        struct Fields {
            mode: CallMode,
            inbound: InboundConfig,
            playout: PlayoutConfig,
            $($(#[$attribute])* $field: $type,)*
        }

        impl From<Fields> for CallConfig {
            fn from(fields: Fields) -> Self {
                let conversation = Arc::new(ConversationConfig { $($field: fields.$field,)* });
                Self { mode: fields.mode, inbound: fields.inbound, playout: fields.playout, conversation }
            }
        }

        impl From<CallConfig> for Fields {
            fn from(config: CallConfig) -> Self {
                let conversation = Arc::unwrap_or_clone(config.conversation);
                Self {
                    mode: config.mode,
                    inbound: config.inbound,
                    playout: config.playout,
                    $($field: conversation.$field,)*
                }
            }
        }
    };
}

beside_the_conversations! {
    turn: offhook_conversation::config::TurnConfig,
    barge_in: offhook_conversation::config::BargeInConfig,
    timeouts: offhook_conversation::config::Timeouts,
    phrases: offhook_conversation::config::Phrases,
    dtmf: offhook_conversation::config::DtmfConfig,
    history: offhook_conversation::config::HistoryConfig,
    voicemail: offhook_conversation::config::VoicemailConfig,
    tool_limits: offhook_conversation::config::ToolLimits,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    follows: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    follows_words: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hints_message: Option<String>,
    tools: std::collections::BTreeMap<String, offhook_conversation::config::ToolBehaviour>,
    #[serde(skip_serializing_if = "String::is_empty")]
    language: String,
    languages: std::collections::BTreeMap<String, offhook_conversation::LanguagePhrases>,
}

/// What the agent does with what it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallMode {
    /// It converses.
    #[default]
    Dialog,
    /// It sends the caller's own frames back through the whole path: a test of the line.
    Echo,
}

/// `[inbound]`: the caller's voice.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct InboundConfig {
    /// Gaps in Twilio's timestamps up to this length are filled, by concealment and then silence, so that the
    /// recogniser's time line stays the caller's. Longer ones restart the time line. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub max_gap: Duration,
    /// Tell the caller's voice from the agent's own, where the line returns it. Default true.
    pub echo_guard: bool,
    /// Whoever speaks so many dB below the caller's usual voice is somebody else in the room: that is no turn, and interrupts nobody. 0: all
    /// speech is the caller's. Default 15 dB.
    pub near: f32,
    /// Voice activity.
    pub speech: TalkspurtConfig,
    /// Give the sound out for a recogniser or a turn model, frame by frame. The session sets it: false saves each frame's way to
    /// where no stage listens. Default true; on no tape, for tapes have no such outputs.
    #[serde(skip)]
    pub heard: bool,
}

impl Default for InboundConfig {
    fn default() -> Self {
        Self {
            max_gap: Duration::from_secs(5),
            echo_guard: true,
            near: 15.0,
            speech: TalkspurtConfig::turn_taking(),
            heard: true,
        }
    }
}

/// `[playout]`: how the agent's voice goes out.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlayoutConfig {
    /// How much sound may be sent ahead of its playing. Default 400 ms; at most 60 s.
    #[serde(with = "humantime_serde")]
    pub lead: Duration,
    /// Sound is sent in batches of this length, so that a call wakes less often. Default 60 ms; at least 20 ms.
    #[serde(with = "humantime_serde")]
    pub batch: Duration,
    /// How long to wait for the mark after the last words before hanging up all the same. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub mark_timeout: Duration,
    /// The level of the agent's voice in dBov, while it speaks. Default −18.
    pub level: f32,
    /// The gain in dB that the agent's voice is known to need, from earlier calls. The server sets it; without it the voice is
    /// listened to first. Default: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_gain: Option<f32>,
    /// How far the agent's voice is lowered while it isn't clear whether the caller interrupts, in dB. Default −18.
    pub duck: f32,
}

impl Default for PlayoutConfig {
    fn default() -> Self {
        Self {
            lead: Duration::from_millis(400),
            batch: Duration::from_millis(60),
            mark_timeout: Duration::from_secs(2),
            level: -18.0,
            known_gain: None,
            duck: -18.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_lines_and_the_conversations_fields_side_by_side() {
        let text = r#"{"playout": {"level": -20.0}, "turn": {"speculate": false}}"#;
        let config: CallConfig = serde_json::from_str(text).unwrap();
        assert!(!config.conversation.turn.speculate && config.playout.level < -19.0);
        let back: CallConfig = serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
        assert_eq!(back.conversation, config.conversation);
        assert!(serde_json::from_str::<CallConfig>(r#"{"turns": {}}"#).is_err());
    }
}
