//! The language that is spoken, and its change during a call.
//!
//! The change takes place when the reply that wants it is certain to be heard. What is being said ends in its own voice; replies
//! requested from then on, and the engine's own phrases, are spoken by the voice of the new language, and the recogniser is
//! told what to listen for.

use std::collections::BTreeMap;
use std::sync::Arc;

use offhook_stage_api::{Expectation, ToolCall};

use crate::config::ConversationConfig;
use crate::phrases::{LanguagePhrases, Phrases};

/// The language that the call has been switched to, if it was.
#[derive(Debug, Default)]
pub(crate) struct ActiveLanguage {
    tag: Option<Arc<str>>,
    phrases: Option<Box<Phrases>>,
}

impl ActiveLanguage {
    /// Changes to what a call of the tool `switch_language` asks for. `Ok(None)`: it is spoken already. Or what is wrong, for the model.
    pub(crate) fn switch(
        &mut self,
        call: &ToolCall,
        config: &ConversationConfig,
    ) -> Result<(String, bool), String> {
        let wanted = call.arguments.get("language").and_then(serde_json::Value::as_str).unwrap_or("").trim();
        let Some((tag, texts)) = find(&config.languages, wanted) else {
            let known: Vec<&str> = config.languages.keys().map(String::as_str).collect();
            return Err(format!("`language` must be one of these: {}", known.join(", ")));
        };
        let changed = self.tag.as_deref() != Some(tag);
        if changed {
            let phrases = texts.over(&config.phrases);
            *self = Self { tag: Some(tag.as_str().into()), phrases: Some(Box::new(phrases)) };
        }
        Ok((tag.clone(), changed))
    }

    /// Changes to this language, declared or not. The engine's phrases follow where there are some.
    pub(crate) fn speak(&mut self, tag: &str, config: &ConversationConfig) {
        let phrases = find(&config.languages, tag).map(|(_, texts)| Box::new(texts.over(&config.phrases)));
        *self = Self { tag: Some(tag.into()), phrases };
    }

    /// Its tag; `None` while the call is in the language in which it began.
    pub(crate) fn tag(&self) -> Option<Arc<str>> {
        self.tag.clone()
    }

    /// The engine's own phrases.
    pub(crate) fn phrases<'a>(&'a self, config: &'a ConversationConfig) -> &'a Phrases {
        self.phrases.as_deref().unwrap_or(&config.phrases)
    }

    /// What is said while this tool runs, if it has a filler of its own in the language that is spoken.
    pub(crate) fn tool_filler<'a>(&self, config: &'a ConversationConfig, tool: &str) -> Option<&'a String> {
        let usual = config.tools.get(tool).and_then(|behaviour| behaviour.filler.as_ref());
        let Some(tag) = &self.tag else { return usual };
        let texts = config.languages.get(&**tag)?;
        let as_it_began = texts == &LanguagePhrases::default();
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

/// The language of this tag, or the first whose primary part is the same: `es` finds `es-ES`.
fn find<'a>(
    languages: &'a BTreeMap<String, LanguagePhrases>,
    wanted: &str,
) -> Option<(&'a String, &'a LanguagePhrases)> {
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let exact = languages.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(wanted));
    exact.or_else(|| languages.iter().find(|(tag, _)| primary(tag) == primary(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_found_by_tag_or_by_their_first_part() {
        let languages: BTreeMap<String, LanguagePhrases> =
            ["en-US", "es-ES", "es-MX"].map(|tag| (tag.to_owned(), LanguagePhrases::default())).into();
        let found = |wanted| find(&languages, wanted).map(|(tag, _)| tag.as_str());
        assert_eq!(found("es-mx"), Some("es-MX"));
        assert_eq!(found("ES"), Some("es-ES"));
        assert_eq!(found("en_GB"), Some("en-US"));
        assert_eq!((found("fr"), found("")), (None, None));
    }
}
