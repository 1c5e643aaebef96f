//! What the engine itself says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `[phrases]`: what the engine itself says. An empty list or text says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phrases {
    /// The agent's first words. Unset: the model or script greets.
    pub greeting: Option<String>,
    /// Said into the caller's silence, one after the other.
    pub check_ins: Vec<String>,
    /// Said before hanging up when no check-in helped.
    pub farewell: String,
    /// Said when a reply is late, in turns.
    pub fillers: Vec<String>,
    /// Said when a reply can't be had.
    pub apology: String,
    /// Said when a connection broke and the call goes on over another.
    pub reconnected: String,
    /// Said before hanging up when the call has reached its greatest length.
    pub too_long: String,
}

impl Default for Phrases {
    fn default() -> Self {
        Self {
            greeting: None,
            check_ins: vec![
                "Hello? Are you still there?".into(),
                "Sorry, I can't hear you. Are you there?".into(),
            ],
            farewell: "I can't hear anything, so I'll hang up now. Goodbye.".into(),
            fillers: vec!["One moment, please.".into(), "Just a second.".into()],
            apology: "I'm sorry, something went wrong on my side. Could you say that again?".into(),
            reconnected: "Sorry, we were cut off for a moment.".into(),
            too_long: "I'm afraid our time is up. Thank you for calling. Goodbye.".into(),
        }
    }
}

/// The engine's phrases in one language: take the place of those of `[phrases]` while it is spoken. What isn't set is as there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanguagePhrases {
    /// Said into the caller's silence, one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_ins: Option<Vec<String>>,
    /// Said before hanging up when no check-in helped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub farewell: Option<String>,
    /// Said when a reply is late, in turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fillers: Option<Vec<String>>,
    /// Said when a reply can't be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apology: Option<String>,
    /// Said when a connection broke and the call goes on over another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnected: Option<String>,
    /// Said before hanging up when the call has reached its greatest length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_long: Option<String>,
    /// Said while a tool runs, by the tool's name. A tool that isn't here has the usual fillers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, String>,
}

impl LanguagePhrases {
    /// These, and those of `usual` where there are none.
    pub(crate) fn over(&self, usual: &Phrases) -> Phrases {
        let mut phrases = usual.clone();
        let set = |to: &mut String, from: &Option<String>| {
            if let Some(from) = from {
                to.clone_from(from);
            }
        };
        set(&mut phrases.farewell, &self.farewell);
        set(&mut phrases.apology, &self.apology);
        set(&mut phrases.reconnected, &self.reconnected);
        set(&mut phrases.too_long, &self.too_long);
        if let Some(check_ins) = &self.check_ins {
            phrases.check_ins.clone_from(check_ins);
        }
        if let Some(fillers) = &self.fillers {
            phrases.fillers.clone_from(fillers);
        }
        phrases
    }
}
