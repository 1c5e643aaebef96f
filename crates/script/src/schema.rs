//! What an agent's file may say. Described for its users in `docs/agents.md`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::words::tokens;

/// An agent, as its file declares it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Who it is.
    pub agent: AgentSection,
    /// What it says.
    #[serde(default)]
    pub texts: Texts,
    /// Words that callers put around what they mean; the recogniser lets them pass.
    #[serde(default)]
    pub fillers: Vec<String>,
    /// What it wants to know, in the order in which it asks.
    #[serde(default, rename = "slot")]
    pub slots: Vec<Slot>,
    /// What else callers may want.
    #[serde(default, rename = "intent")]
    pub intents: Vec<Intent>,
    /// Words that the recogniser's dictionary lacks, with their ARPAbet phones.
    #[serde(default)]
    pub pronunciations: BTreeMap<String, String>,
}

/// `[agent]`: who it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSection {
    /// Its name in config and logs.
    pub name: String,
    /// What it does with what it hears.
    #[serde(default)]
    pub mode: AgentMode,
    /// What carries its calls.
    #[serde(default)]
    pub transport: Transport,
    /// BCP 47 tag of the language that it speaks. Default `en-US`.
    #[serde(default = "english")]
    pub language: String,
    /// The voice of its text-to-speech. Default: the stage's own.
    #[serde(default)]
    pub voice: Option<String>,
    /// What turns the caller's speech into words.
    #[serde(default)]
    pub recogniser: Recogniser,
    /// What speech doesn't interrupt, only keys do. Default: nothing.
    #[serde(default)]
    pub must_be_heard: Vec<Part>,
}

/// What carries an agent's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Sound: Offhook hears and speaks.
    #[default]
    MediaStreams,
    /// Text: Twilio hears and speaks, at its price.
    ConversationRelay,
}

/// What turns the caller's speech into words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recogniser {
    /// PocketSphinx on this machine, by the script's grammar.
    #[default]
    Pocketsphinx,
    /// Nothing: the agent knows that the caller spoke, not what was said. For keys-only agents and tests of load.
    None,
}

/// Parts of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The first words.
    Greeting,
    /// What is said back before the caller confirms it.
    Confirm,
    /// The last words.
    Goodbye,
}

fn english() -> String {
    "en-US".to_owned()
}

/// What an agent does with what it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentMode {
    /// It converses by this script.
    #[default]
    Script,
    /// It sends the caller's own voice back.
    Echo,
}

/// `[texts]`: what the agent says. `{slot}` stands for a slot's value, `{summary}` for all of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Texts {
    /// First words.
    pub greeting: String,
    /// When everything is known: says it, and asks whether it is right.
    pub confirm: String,
    /// When the caller says that it isn't.
    pub correct: String,
    /// When the caller says that it is; then the agent hangs up.
    pub done: String,
    /// When nothing was understood: one after the other, the last one again and again.
    pub fallback: Vec<String>,
    /// When speech was heard, but no words in it.
    pub unheard: Vec<String>,
    /// Before going on with a slot's question after an answer: one after the other.
    pub acknowledge: Vec<String>,
    /// When the caller wants to start over.
    pub restart: String,
    /// When nobody takes a caller who was to be handed over; the open question follows.
    pub transfer_failed: String,
    /// When the caller says goodbye or cancels; then the agent hangs up.
    pub goodbye: String,
}

impl Default for Texts {
    fn default() -> Self {
        let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            greeting: "Hello. How can I help you?".into(),
            confirm: "So that is {summary}. Is that right?".into(),
            correct: "What should I change?".into(),
            done: "Thank you. Goodbye.".into(),
            fallback: list(&[
                "Sorry, I didn't understand that.",
                "I'm sorry, I still didn't get it. Please use a few plain words.",
            ]),
            unheard: list(&[
                "Sorry, could you say that again?",
                "I'm having trouble hearing you. Once more, please.",
            ]),
            acknowledge: list(&["Okay.", "Alright.", "Got it."]),
            restart: "No problem, let's start over.".into(),
            transfer_failed: "I'm sorry, nobody can take your call right now, so you are back with me."
                .into(),
            goodbye: "Goodbye.".into(),
        }
    }
}

/// `[[slot]]`: something that the agent wants to know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Its name, for texts and results.
    pub name: String,
    /// What kind of thing it is.
    pub kind: SlotKind,
    /// Asks for it.
    pub ask: String,
    /// Asks whether there is more, for a list of items. Without it one answer is enough.
    #[serde(default)]
    pub more: Option<String>,
    /// For `choice`: what may be chosen, each with all ways to say it; the first is how the agent says it.
    #[serde(default)]
    pub values: Vec<Vec<String>>,
    /// For `number`: the phrases that it stands in; `{n}` is the number.
    #[serde(default)]
    pub patterns: Vec<String>,
    /// For `items`: what may be ordered.
    #[serde(default, rename = "item")]
    pub items: Vec<Item>,
    /// Said before and after the value in a summary; `{}` is the value.
    #[serde(default = "plain")]
    pub summary: String,
}

fn plain() -> String {
    "{}".to_owned()
}

/// What kind of thing a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotKind {
    /// A list of things with counts, sizes and extras.
    Items,
    /// One of a few values.
    Choice,
    /// A count, 1 to 99.
    Number,
    /// A time of day.
    Time,
    /// A day.
    Day,
}

/// `[[slot.item]]`: something that may be ordered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// One of it.
    pub name: String,
    /// More of it.
    pub plural: String,
    /// Other names.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// Sizes; if there are any, one must be given.
    #[serde(default)]
    pub sizes: Vec<String>,
    /// What it may be made with: said before it ("mushroom pizza") or after "with".
    #[serde(default)]
    pub extras: Vec<String>,
}

/// `[[intent]]`: something else that the caller may want.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Phrases that tell of it.
    pub phrases: Vec<String>,
    /// What to do.
    #[serde(default)]
    pub action: Action,
    /// What to say. The open question follows.
    #[serde(default)]
    pub say: String,
    /// For `transfer`: the number.
    #[serde(default)]
    pub number: Option<String>,
}

/// What an intent does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Says something and goes back to the open question.
    #[default]
    Answer,
    /// Says the last answer again.
    Repeat,
    /// Forgets everything.
    Restart,
    /// Says goodbye and hangs up.
    Goodbye,
    /// Hands the call to a person.
    Transfer,
}

/// Why a file is no script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It isn't TOML of the right shape.
    #[error("{0}")]
    Shape(String),
    /// It speaks of something that isn't there.
    #[error("{0}")]
    Meaning(String),
}

impl Script {
    /// Reads a file.
    ///
    /// # Errors
    /// With line and column, and the nearest right key where one is unknown.
    pub fn from_toml(text: &str) -> Result<Self, ScriptError> {
        let script: Self =
            toml::from_str(text).map_err(|error| ScriptError::Shape(crate::toml_error(&error)))?;
        script.check()?;
        Ok(script)
    }

    fn check(&self) -> Result<(), ScriptError> {
        let wrong = |what: String| Err(ScriptError::Meaning(what));
        for slot in &self.slots {
            let missing = match slot.kind {
                SlotKind::Items if slot.items.is_empty() => Some("`item`s"),
                SlotKind::Choice if slot.values.iter().all(Vec::is_empty) => Some("`values`"),
                SlotKind::Number if slot.patterns.is_empty() => Some("`patterns`"),
                _ => None,
            };
            if let Some(missing) = missing {
                return wrong(format!("slot `{}` has no {missing}", slot.name));
            }
            if slot.name == "summary" {
                return wrong(
                    "a slot can't be named `summary`: in texts, `{summary}` stands for all slots".to_owned(),
                );
            }
            if self.slots.iter().filter(|other| other.name == slot.name).count() > 1 {
                return wrong(format!("there are two slots named `{}`", slot.name));
            }
            if let Some(pattern) = slot.patterns.iter().find(|pattern| !pattern.contains("{n}")) {
                return wrong(format!(
                    "the pattern “{pattern}” of slot `{}` has no `{{n}}` for its number",
                    slot.name
                ));
            }
            if !slot.summary.contains("{}") {
                return wrong(format!("the summary of slot `{}` has no `{{}}` for its value", slot.name));
            }
        }
        for phrase in self.phrases() {
            // The recogniser's grammar would be broken by it, in the middle of a call.
            if tokens(phrase).is_empty() {
                return wrong(format!("“{phrase}” has no word that a caller could say"));
            }
        }
        for intent in &self.intents {
            let about = intent.phrases.first().map_or("", String::as_str);
            if intent.phrases.is_empty() {
                return wrong(format!("the intent that says “{}” has no `phrases`", intent.say));
            }
            if matches!(intent.action, Action::Answer | Action::Transfer) && intent.say.trim().is_empty() {
                return wrong(format!("the intent “{about}” has nothing to `say`"));
            }
            if intent.action == Action::Transfer && intent.number.as_deref().unwrap_or("").trim().is_empty() {
                return wrong(format!("the intent “{about}” has no `number` to transfer the call to"));
            }
        }
        let texts = &self.texts;
        let all = [
            &texts.greeting,
            &texts.confirm,
            &texts.correct,
            &texts.done,
            &texts.goodbye,
            &texts.restart,
            &texts.transfer_failed,
        ];
        let lists = texts.fallback.iter().chain(&texts.unheard).chain(&texts.acknowledge);
        let says = self.intents.iter().map(|intent| &intent.say);
        let asks = self.slots.iter().flat_map(|slot| std::iter::once(&slot.ask).chain(&slot.more));
        if asks.clone().chain(all.into_iter().skip(1)).any(|text| text.trim().is_empty()) {
            return wrong("a question or text is empty: the caller would hear silence".to_owned());
        }
        for text in all.into_iter().chain(lists).chain(says).chain(asks) {
            for name in placeholders(text) {
                if name != "summary" && !self.slots.iter().any(|slot| slot.name == name) {
                    return wrong(format!(
                        "the text “{text}” speaks of `{{{name}}}`, and there is no such slot"
                    ));
                }
            }
        }
        let silent = |texts: &[String]| texts.is_empty() || texts.iter().any(|text| text.trim().is_empty());
        if self.agent.mode == AgentMode::Script && (silent(&texts.fallback) || silent(&texts.unheard)) {
            return wrong("`texts.fallback` and `texts.unheard` need at least one text each".to_owned());
        }
        Ok(())
    }

    /// All that a caller may say, as declared, without patterns.
    fn phrases(&self) -> impl Iterator<Item = &String> {
        let items = self.slots.iter().flat_map(|slot| &slot.items);
        let items = items.flat_map(|item| {
            let names = [&item.name, &item.plural].into_iter().chain(&item.synonyms);
            names.chain(&item.sizes).chain(&item.extras)
        });
        let values = self.slots.iter().flat_map(|slot| slot.values.iter().flatten());
        let intents = self.intents.iter().flat_map(|intent| &intent.phrases);
        self.fillers.iter().chain(items).chain(values).chain(intents)
    }
}

/// The names in `{}`.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}
