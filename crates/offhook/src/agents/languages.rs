//! What an agent's file says of languages: what would go wrong once a call is switched, and what the call must know.

use std::collections::BTreeMap;

use anyhow::bail;
use offhook_conversation::LanguagePhrases;

use super::file::AgentTable;

/// A tag's first part, in lower case: `es` of `es-ES`.
fn primary(tag: &str) -> String {
    tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

fn is_tag(tag: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
    tag.split('-').all(part)
}

/// Refuses what would leave a caller in the wrong language, or in silence.
pub(super) fn check(agent: &AgentTable) -> anyhow::Result<()> {
    let known = |tag: &String| agent.languages.contains(tag);
    if let Some(wrong) = agent.languages.iter().find(|tag| !is_tag(tag)) {
        bail!("`{wrong}` in `languages` is no language tag: write it like en-US");
    }
    if !agent.languages.is_empty() && !known(&agent.language) {
        bail!(
            "`languages` must have the agent's own, `{}`, too: callers may want to go back",
            agent.language
        );
    }
    let mut named = agent.texts.keys().chain(agent.last_words.languages.keys());
    if let Some(unknown) = named.find(|tag| !known(tag)) {
        bail!("there are texts in `{unknown}`, which is not in `languages`");
    }
    let none = LanguagePhrases::default();
    for tag in agent.languages.iter().filter(|tag| primary(tag) != primary(&agent.language)) {
        let texts = agent.texts.get(tag).unwrap_or(&none);
        let there = [
            ("check_ins", texts.check_ins.is_some()),
            ("fillers", texts.fillers.is_some()),
            ("farewell", texts.farewell.is_some()),
            ("apology", texts.apology.is_some()),
            ("too_long", texts.too_long.is_some()),
        ];
        let missing: Vec<&str> = there.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
        if !missing.is_empty() {
            bail!(
                "[agent.texts.{tag}] lacks {}: after a switch, callers would hear another language",
                missing.join(", ")
            );
        }
        if texts.apology.as_ref().is_some_and(|text| text.trim().is_empty()) {
            bail!("`apology` in [agent.texts.{tag}] is empty: the caller would hear silence");
        }
    }
    Ok(())
}

/// The languages that a call may be switched to, with what the engine says in them.
pub(super) fn of(agent: &AgentTable) -> BTreeMap<String, LanguagePhrases> {
    let texts = |tag: &String| agent.texts.get(tag).cloned().unwrap_or_default();
    agent.languages.iter().map(|tag| (tag.clone(), texts(tag))).collect()
}

#[cfg(test)]
mod tests {
    use crate::agents::file::AgentFile;

    fn error(more: &str) -> String {
        let agent = "[agent]\nname = \"x\"\ninstructions = \"y\"";
        let text = format!("{agent}\n{more}\n[[llm]]\nprovider = \"openai\"\nmodel = \"m\"\n");
        AgentFile::parse(&text).err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn what_would_leave_a_caller_in_the_wrong_language_is_named() {
        assert_eq!(error(r#"languages = ["en-US", "en-GB"]"#), "");
        assert!(error(r#"languages = ["es-ES"]"#).contains("en-US"));
        assert!(error(r#"languages = ["en-US", "Spanish please"]"#).contains("no language tag"));
        let both = r#"languages = ["en-US", "es-ES"]"#;
        let lacking = error(&format!("{both}\n[agent.texts.es-ES]\napology = \"Perdón.\""));
        assert!(lacking.contains("lacks check_ins, fillers, farewell, too_long"), "{lacking}");
        assert!(error("[agent.texts.fr-FR]\napology = \"Pardon.\"").contains("not in `languages`"));
    }
}
