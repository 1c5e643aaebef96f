//! What a tool answers: a result for the model, words for the caller, something to be done.

use offhook_stage_api::beginning;
use offhook_stages::StageError;
use serde::Deserialize;
use serde_json::Value;

/// Longer results are no use to a model on the telephone.
const LONGEST_RESULT: usize = 16 * 1024;

/// A tool's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToolAnswer {
    /// For the model.
    pub(crate) result: String,
    /// Said to the caller at once.
    pub(crate) say: Option<String>,
    /// Done once everything was said.
    pub(crate) action: Option<Action>,
}

/// Why a tool has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct ToolFailure {
    /// Names the kind, for metrics.
    pub(crate) reason: &'static str,
    /// In words for the model.
    pub(crate) why: String,
}

impl ToolFailure {
    pub(crate) fn new(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, why: why.into() }
    }

    /// What the model gave is not what the schema wants.
    pub(super) fn arguments(why: String) -> Self {
        Self::new("arguments", why)
    }
}

impl From<&StageError> for ToolFailure {
    fn from(error: &StageError) -> Self {
        Self::new(error.kind().name(), error.to_string())
    }
}

/// What a tool wants done with the call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Hang up.
    End,
    /// Hand the caller to one of `[agent.transfer]`.
    Transfer(String),
}

/// The fields that make an answer more than a result.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    result: Option<Value>,
    say: Option<String>,
    context: Option<String>,
    action: Option<Action>,
}

impl ToolAnswer {
    /// Reads an answer's body: an object of `result`, `say`, `context` and `action` alone, one of the last three among them; anything
    /// else is a result.
    pub(crate) fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body).trim().to_owned();
        let Some(fields) = serde_json::from_str::<Fields>(&text)
            .ok()
            .filter(|fields| fields.say.is_some() || fields.context.is_some() || fields.action.is_some())
        else {
            return Self::plain(&text);
        };
        let result = fields.result.map(|value| match value {
            Value::String(text) => text,
            value => value.to_string(),
        });
        let mut parts: Vec<String> = result.into_iter().chain(fields.context).collect();
        if let Some(say) = &fields.say {
            parts.push(format!("The caller was told: “{say}”"));
        }
        let say = fields.say.filter(|text| !text.trim().is_empty());
        Self { result: shortened(&parts.join("\n")), say, action: fields.action }
    }

    /// A result alone.
    pub(crate) fn plain(text: &str) -> Self {
        Self { result: shortened(text), ..Self::default() }
    }
}

fn shortened(text: &str) -> String {
    match text.trim() {
        "" => "done".to_owned(),
        text if text.len() <= LONGEST_RESULT => text.to_owned(),
        text => format!("{} … (cut: the answer was longer)", beginning(text, LONGEST_RESULT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_speak_and_act() {
        let read = |text: &str| ToolAnswer::read(text.as_bytes());
        assert_eq!(read("  "), ToolAnswer::plain("done"));
        assert_eq!(read(r#"{"tables":[1]}"#).result, r#"{"tables":[1]}"#);
        // An object that happens to have a result and more is a result.
        assert_eq!(read(r#"{"result":1,"other":2}"#), ToolAnswer::plain(r#"{"result":1,"other":2}"#));
        assert_eq!(read(r#"{"result":"x"}"#), ToolAnswer::plain(r#"{"result":"x"}"#));
        let spoken = read(r#"{"result":{"ok":true},"say":"One moment.","action":{"transfer":"manager"}}"#);
        assert_eq!(spoken.say.as_deref(), Some("One moment."));
        assert_eq!(spoken.action, Some(Action::Transfer("manager".into())));
        assert!(spoken.result.starts_with(r#"{"ok":true}"#) && spoken.result.contains("One moment."));
        assert_eq!(read(r#"{"action":"end","context":"They paid."}"#).action, Some(Action::End));
        assert!(read(&"ä".repeat(20_000)).result.ends_with("longer)"));
    }
}
