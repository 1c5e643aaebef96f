//! What is recognised, and what is answered: written down ahead, for a double understands nothing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a caller says and what a model answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// What recognisers hear: the n-th utterance of a connection is the n-th text (of uploads: the n-th upload). After the
    /// last comes the first again. A pause in the middle of a text leaves its other words to the speech that follows.
    pub caller: Vec<Utterance>,
    /// What language models answer: the first rule that fits.
    pub answers: Vec<Rule>,
}

/// What a caller says in one turn, and when. In a file: its text alone, or a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Utterance {
    /// The words.
    pub text: String,
    /// Where each word ends, in milliseconds from the first sound of the utterance, pauses included. Empty: words are placed
    /// by the syllables of the sound that has arrived, rather too late than too early.
    pub ends_ms: Vec<u64>,
}

/// An utterance as it stands in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Timed(Timed),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timed {
    text: String,
    #[serde(default)]
    ends_ms: Vec<u64>,
}

impl From<Written> for Utterance {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => text.into(),
            Written::Timed(Timed { text, ends_ms }) => Self { text, ends_ms },
        }
    }
}

impl From<&str> for Utterance {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Utterance {
    fn from(text: String) -> Self {
        Self { text, ends_ms: Vec::new() }
    }
}

/// An answer, and what it answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Text that the user's last words contain; upper and lower case are the same. Empty: anything.
    pub heard: String,
    /// Whether this answers a tool's result; `heard` is then looked for in the result.
    pub tool_result: bool,
    /// What is said. `{heard}` stands for what was heard.
    pub say: String,
    /// Tools that are called after the text.
    pub calls: Vec<ToolCall>,
}

/// A tool that the model wants to have called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// Its name. Only called if the request offers a tool of this name.
    pub name: String,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Value,
}

impl Default for Script {
    fn default() -> Self {
        let caller = [
            "Hello, can I move my appointment?",
            "It's on Friday at three.",
            "Tuesday morning would be better.",
            "Yes, that works.",
            "Thank you, goodbye.",
        ];
        Self { caller: caller.map(Utterance::from).to_vec(), answers: Vec::new() }
    }
}

/// What a request to a language model comes down to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The last words of the user, or a tool's result.
    pub(crate) text: String,
    /// Whether it is a tool's result.
    pub(crate) tool_result: bool,
    /// Names of the tools on offer.
    pub(crate) tools: Vec<String>,
}

/// What the model answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    pub(crate) text: String,
    pub(crate) calls: Vec<ToolCall>,
}

impl Script {
    /// What the caller says in the `nth` utterance, counted from 0, and where its words end, if that is known.
    pub(crate) fn utterance(&self, nth: usize) -> (&str, &[u64]) {
        let index = nth.checked_rem(self.caller.len()).unwrap_or(0);
        self.caller.get(index).map_or(("Hello.", &[]), |said| (said.text.as_str(), said.ends_ms.as_slice()))
    }

    /// What the model answers. Without a fitting rule it tells what it heard.
    pub(crate) fn reply(&self, heard: &Heard) -> Reply {
        let lower = heard.text.to_lowercase();
        let fits = |rule: &&Rule| {
            rule.tool_result == heard.tool_result && lower.contains(&rule.heard.to_lowercase())
        };
        let Some(rule) = self.answers.iter().find(fits) else {
            let text = match (heard.tool_result, heard.text.is_empty()) {
                (true, _) => format!("The result is: {}", heard.text),
                (false, true) => "Hello, how can I help you?".to_owned(),
                (false, false) => format!("I heard: {}", heard.text),
            };
            return Reply { text, calls: Vec::new() };
        };
        let offered = |call: &&ToolCall| heard.tools.contains(&call.name);
        Reply {
            text: rule.say.replace("{heard}", &heard.text),
            calls: rule.calls.iter().filter(offered).cloned().collect(),
        }
    }
}

/// Cuts a text into pieces as models' tokens cut it: words with the space before them, long ones in two.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut length = 0;
    for letter in text.chars() {
        let before_word = letter == ' ' && length > 0;
        if tokens.is_empty() || before_word || length >= 8 {
            tokens.push(String::new());
            length = 0;
        }
        if let Some(last) = tokens.last_mut() {
            last.push(letter);
            length += 1;
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_go_before_the_echo() {
        let call = ToolCall { name: "find".to_owned(), arguments: serde_json::json!({"day": "Friday"}) };
        let rule = Rule {
            heard: "move".to_owned(),
            say: "One moment.".to_owned(),
            calls: vec![call],
            ..Rule::default()
        };
        let script = Script { answers: vec![rule], ..Script::default() };
        let mut heard = Heard { text: "Can I MOVE it?".to_owned(), ..Heard::default() };
        assert!(script.reply(&heard).calls.is_empty(), "a tool that was not offered");
        heard.tools.push("find".to_owned());
        assert_eq!(script.reply(&heard).calls.len(), 1);
        heard.text = "Hm.".to_owned();
        assert_eq!(script.reply(&heard).text, "I heard: Hm.");
        heard.tool_result = true;
        assert_eq!(script.reply(&heard).text, "The result is: Hm.");
    }

    proptest::proptest! {
        #[test]
        fn tokens_are_the_text(text in "\\PC*") {
            proptest::prop_assert_eq!(tokens(&text).concat(), text);
        }
    }
}
