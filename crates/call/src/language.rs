//! The language that is spoken, and its change in the midst of a call.
//!
//! The change takes place when the reply that wants it is certain to be heard. What is being said ends in its own voice; replies
//! asked for from then on, and the engine's own sentences, are spoken by the voice of the new language, and the recogniser is
//! told what to listen for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::config::{CallConfig, PatienceConfig};
use crate::io::{CallEvent, Output};
use offhook_stage_api::{Expectation, SttCommand, ToolCall, ToolResult};

/// What the engine itself says in a language: takes the place of the same settings of `[patience]` while it is spoken. What
/// isn't set is as there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanguageTexts {
    /// What is said into the caller's silence, one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_ins: Option<Vec<String>>,
    /// What is said before hanging up when no check-in helped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub farewell: Option<String>,
    /// What is said when a reply is late, in turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fillers: Option<Vec<String>>,
    /// What is said when a reply can't be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apology: Option<String>,
    /// What is said when a connection of text broke and the call goes on over another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnected: Option<String>,
    /// What is said before hanging up when the call has reached its greatest length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_long: Option<String>,
    /// What is said while a tool works, by the tool's name. A tool that isn't here has the usual fillers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, String>,
}

impl LanguageTexts {
    fn over(&self, usual: &PatienceConfig) -> PatienceConfig {
        let mut patience = usual.clone();
        let set = |to: &mut String, from: &Option<String>| {
            if let Some(from) = from {
                to.clone_from(from);
            }
        };
        set(&mut patience.farewell, &self.farewell);
        set(&mut patience.apology, &self.apology);
        set(&mut patience.reconnected, &self.reconnected);
        set(&mut patience.too_long, &self.too_long);
        if let Some(check_ins) = &self.check_ins {
            patience.check_ins.clone_from(check_ins);
        }
        if let Some(fillers) = &self.fillers {
            patience.fillers.clone_from(fillers);
        }
        patience
    }
}

/// The language that the call has been switched to, if it was.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    tag: Option<Arc<str>>,
    patience: Option<Box<PatienceConfig>>,
}

impl Spoken {
    /// Of this tag from now on; false if it was so before.
    pub(crate) fn switch(&mut self, tag: &str, patience: PatienceConfig) -> bool {
        let new = self.tag.as_deref() != Some(tag);
        if new {
            *self = Self { tag: Some(tag.into()), patience: Some(Box::new(patience)) };
        }
        new
    }

    /// Its tag; `None` while the call is in the language in which it began.
    pub(crate) fn tag(&self) -> Option<Arc<str>> {
        self.tag.clone()
    }

    /// The engine's own sentences.
    pub(crate) fn patience<'a>(&'a self, usual: &'a PatienceConfig) -> &'a PatienceConfig {
        self.patience.as_deref().unwrap_or(usual)
    }

    /// What is said while this tool works; `usual` is in the language in which the call began.
    pub(crate) fn tool_filler<'a>(
        &self,
        languages: &'a BTreeMap<String, LanguageTexts>,
        tool: &str,
        usual: Option<&'a String>,
    ) -> Option<&'a String> {
        let Some(tag) = &self.tag else { return usual };
        let texts = languages.get(&**tag)?;
        let as_it_began = texts == &LanguageTexts::default();
        texts.tools.get(tool).or_else(|| usual.filter(|_| as_it_began))
    }

    /// What is expected, in the language that is spoken.
    pub(crate) fn expectation(&self, expectation: &Arc<Expectation>) -> Arc<Expectation> {
        match &self.tag {
            Some(tag) if expectation.language.is_none() => {
                Arc::new(Expectation { language: Some(tag.to_string()), ..Expectation::clone(expectation) })
            }
            _ => Arc::clone(expectation),
        }
    }
}

/// The language of this tag, or the first whose primary part is the same: `es` finds `es-ES`.
fn find<'a>(
    languages: &'a BTreeMap<String, LanguageTexts>,
    wanted: &str,
) -> Option<(&'a String, &'a LanguageTexts)> {
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let exact = languages.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(wanted));
    exact.or_else(|| languages.iter().find(|(tag, _)| primary(tag) == primary(wanted)))
}

/// What a call of the tool asks for: the language's tag, and what the engine itself says in it. Or what is wrong, for the model.
pub(crate) fn wanted(config: &CallConfig, call: &ToolCall) -> Result<(String, PatienceConfig), String> {
    let wanted = call.arguments.get("language").and_then(serde_json::Value::as_str).unwrap_or("").trim();
    let found =
        find(&config.languages, wanted).map(|(tag, texts)| (tag.clone(), texts.over(&config.patience)));
    found.ok_or_else(|| {
        let known: Vec<&str> = config.languages.keys().map(String::as_str).collect();
        format!("`language` must be one of these: {}", known.join(", "))
    })
}

/// What the model is told of a change.
pub(crate) fn told(tag: &str) -> String {
    format!("from now on the call is in {tag}: go on in that language")
}

impl Call {
    /// The tool [`SWITCH_LANGUAGE`](offhook_stage_api::tools::SWITCH_LANGUAGE).
    pub(crate) fn switch_language(&mut self, call: ToolCall) {
        let outcome = wanted(&self.config, &call).map(|(tag, patience)| {
            self.speak_language(&tag, patience);
            told(&tag)
        });
        self.tool_returned(ToolResult { id: call.id, name: call.name, outcome });
    }

    fn speak_language(&mut self, tag: &str, patience: PatienceConfig) {
        if !self.spoken.switch(tag, patience) {
            return;
        }
        // Grammars and the like were for the other language.
        let expectation =
            Expectation { language: Some(tag.to_owned()), answer: self.answer, ..Expectation::default() };
        self.out.push_back(Output::Stt(SttCommand::Expect(Arc::new(expectation))));
        self.event(CallEvent::Language { language: tag.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_found_by_tag_or_by_their_first_part() {
        let languages: BTreeMap<String, LanguageTexts> =
            ["en-US", "es-ES", "es-MX"].map(|tag| (tag.to_owned(), LanguageTexts::default())).into();
        let found = |wanted| find(&languages, wanted).map(|(tag, _)| tag.as_str());
        assert_eq!(found("es-mx"), Some("es-MX"));
        assert_eq!(found("ES"), Some("es-ES"));
        assert_eq!(found("en_GB"), Some("en-US"));
        assert_eq!((found("fr"), found("")), (None, None));
    }
}
