//! What the engine itself says.

use serde::{Deserialize, Serialize};

use crate::config::ConversationConfig;

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

impl ConversationConfig {
    /// Everything that may be said while the caller waits: fillers, in all languages, and those of tools. Said late it is of no use,
    /// so voices should have it ready.
    #[must_use]
    pub fn bridges(&self) -> Vec<String> {
        let usual = self.phrases.fillers.iter();
        let tools = self.tools.values().filter_map(|tool| tool.filler.as_ref());
        let others = self.languages.values();
        let others = others.flat_map(|texts| texts.fillers.iter().flatten().chain(texts.tools.values()));
        usual.chain(tools).chain(others).cloned().collect()
    }
}
