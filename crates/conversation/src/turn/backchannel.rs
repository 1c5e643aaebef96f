//! Whether words said over the agent ask for the floor.

use crate::config::BargeInConfig;

/// What words said over the agent are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverAgent {
    /// All that a listener says who doesn't ask for the floor.
    Backchannel,
    /// They may become that: "I" of "I see".
    Beginning,
    /// They ask for the floor.
    Interruption,
}

impl BargeInConfig {
    /// What these words are: phrases of the list, one after the other, are backchannels.
    pub(crate) fn judge(&self, text: &str) -> OverAgent {
        let said = plain_words(text);
        let phrases: Vec<Vec<String>> = self.backchannels.iter().map(|phrase| plain_words(phrase)).collect();
        let mut rest = said.as_slice();
        while !rest.is_empty() {
            let longest = phrases.iter().filter(|phrase| !phrase.is_empty() && rest.starts_with(phrase));
            match longest.map(Vec::len).max() {
                Some(length) => rest = rest.get(length..).unwrap_or(&[]),
                None if phrases.iter().any(|phrase| begins_with(phrase, rest)) => {
                    return OverAgent::Beginning;
                }
                None => return OverAgent::Interruption,
            }
        }
        OverAgent::Backchannel
    }
}

/// Whether the phrase begins with these words, the last of which may not be whole.
fn begins_with(phrase: &[String], words: &[String]) -> bool {
    let Some((last, whole)) = words.split_last() else { return true };
    phrase.starts_with(whole) && phrase.get(whole.len()).is_some_and(|next| next.starts_with(last.as_str()))
}

fn plain_words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .replace('’', "'")
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_words_ask_for_nothing_alone_and_together() {
        let config = BargeInConfig::default();
        for text in [
            "Mm-hm.",
            "mmhmm",
            "I see.",
            "Oh, okay.",
            "Ah, right.",
            "yes",
            "Yeah, yeah. Sure!",
            "That's right.",
        ] {
            assert_eq!(config.judge(text), OverAgent::Backchannel, "{text}");
        }
        for text in ["I", "that", "oh, go", "all", "thank"] {
            assert_eq!(config.judge(text), OverAgent::Beginning, "{text}");
        }
        for text in ["wait", "I want", "no", "yes but", "okay stop", "I see a problem"] {
            assert_eq!(config.judge(text), OverAgent::Interruption, "{text}");
        }
    }
}
