//! The language of a call of text, and its change: the carrier is told which voice is to speak and what to listen for.

use super::RelayOutput;
use super::call::RelayCall;
use crate::config::PatienceConfig;
use crate::io::CallEvent;
use crate::language::{Spoken, told, wanted};
use offhook_stage_api::{ToolCall, ToolResult};

/// The language, and whether the carrier knows.
#[derive(Debug, Default)]
pub(super) struct Language {
    pub(super) spoken: Spoken,
    /// The carrier is yet to be told: what is being said ends in its own voice.
    due: bool,
}

impl RelayCall {
    /// The tool [`SWITCH_LANGUAGE`](offhook_stage_api::tools::SWITCH_LANGUAGE).
    pub(super) fn switch_language(&mut self, call: ToolCall) {
        let outcome = wanted(&self.config, &call).map(|(tag, patience)| {
            if self.language.spoken.switch(&tag, patience) {
                self.language.due = true;
                if !self.is_mid_utterance() {
                    self.tell_language();
                }
                self.event(CallEvent::Language { language: tag.clone() });
            }
            told(&tag)
        });
        self.tool_returned(ToolResult { id: call.id, name: call.name, outcome });
    }

    /// Tells the carrier of a change that it doesn't know of. To be called between utterances.
    pub(super) fn tell_language(&mut self) {
        if std::mem::take(&mut self.language.due)
            && let Some(tag) = self.language.spoken.tag()
        {
            self.out.push_back(RelayOutput::Language { tag: tag.to_string() });
        }
    }

    /// A session of its own begins in the language that the call began in.
    pub(super) fn tell_language_again(&mut self) {
        self.language.due = true;
        self.tell_language();
    }

    /// What the engine itself says, in the language that is spoken.
    pub(super) fn texts(&self) -> &PatienceConfig {
        self.language.spoken.patience(&self.config.patience)
    }
}
