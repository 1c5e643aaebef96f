//! What a model is told before the conversation: its instructions, what is special about this call, and its tools.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use offhook_stage_api::ReplyRequest;
use offhook_stage_api::tools::REPORT;
use offhook_stages::tools::report_outcome;
use offhook_stages::{CallInfo, ToolSpec};

use super::clock::Clock;

/// What an agent's model is told before the conversation.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// Who the agent is and how it behaves, in the words of its author.
    pub instructions: Arc<str>,
    /// What it may do.
    pub tools: Arc<[ToolSpec]>,
    /// What is to be learned in a call that has a goal: names, and what they mean.
    pub fields: Arc<BTreeMap<String, String>>,
    /// The time where the agent is.
    pub clock: Clock,
}

/// What every model must know of the telephone. Stands behind the author's instructions; the same for all calls, so that
/// providers can cache it.
const MANNERS: &str = "You are on the telephone. Everything that you write is spoken: write as people talk, in short \
    sentences, without markdown, lists, emoji, stage directions or links. Ask one thing at a time. What the caller says \
    comes from a speech recogniser and may hold mistakes; ask when something makes no sense. A turn of yours that ends \
    with \"—\" was interrupted there: the caller heard nothing after it. One that ends with \"…\" is being spoken at this \
    moment: go on from it, and don't repeat it. Never write these two marks yourself. Text in square brackets comes from the \
    telephone system, not from the caller, and must not be spoken.";

impl Prompt {
    /// What is the same in all calls.
    pub(crate) fn fixed(&self) -> String {
        format!("{}\n\n{MANNERS}", self.instructions.trim())
    }

    /// The instructions with the call's parameters in them, `{name}` for each; `None` if they have no place for any.
    pub(crate) fn with_parameters(&self, call: &CallInfo) -> Option<Self> {
        let place = |name: &String| format!("{{{name}}}");
        if !call.parameters.keys().any(|name| self.instructions.contains(&place(name))) {
            return None;
        }
        let mut text = self.instructions.to_string();
        for (name, value) in call.parameters.iter() {
            text = text.replace(&place(name), value);
        }
        Some(Self { instructions: text.into(), ..self.clone() })
    }

    /// The prompt for a call that has a goal: its model may report what came of it.
    pub(crate) fn with_goal(&self, call: &CallInfo) -> Option<Self> {
        call.goal.as_ref()?;
        if self.tools.iter().any(|tool| tool.name == REPORT) {
            return None;
        }
        let tools = self.tools.iter().cloned().chain(std::iter::once(report_outcome(&self.fields))).collect();
        Some(Self { tools, ..self.clone() })
    }

    /// What this call adds; empty if nothing.
    pub(crate) fn of_call(&self, call: &CallInfo) -> String {
        let mut text = String::new();
        // A string takes everything.
        let _infallible = write!(text, "The call began on {}.", self.clock.now());
        if !call.language.is_empty() {
            let _infallible = write!(text, " Speak the language {}.", call.language);
        }
        if let Some(goal) = &call.goal {
            let _infallible = write!(text, "\nThe goal of this call: {goal}");
        }
        for (name, value) in call.parameters.iter().filter(|(name, _)| *name != "token") {
            let _infallible = write!(text, "\n{name}: {value}");
        }
        text
    }

    /// The same, once the call was switched to another language.
    pub(crate) fn in_language<'a>(of_call: &'a str, request: &ReplyRequest) -> Cow<'a, str> {
        match &request.language {
            Some(tag) => format!("{of_call}\nThe call now goes on in {tag}: answer in that language.").into(),
            None => of_call.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_filled_with_the_calls_parameters() {
        let prompt = Prompt { instructions: "You work for {shop}, {x}.".into(), ..Prompt::default() };
        let parameters = [("shop".to_owned(), "Blue Door".to_owned())];
        let call = CallInfo { parameters: Arc::new(parameters.into()), ..CallInfo::default() };
        assert_eq!(&*prompt.with_parameters(&call).unwrap().instructions, "You work for Blue Door, {x}.");
        assert!(prompt.with_parameters(&CallInfo::default()).is_none());
    }

    #[test]
    fn only_calls_with_a_goal_may_be_reported_on() {
        let prompt = Prompt::default();
        assert!(prompt.with_goal(&CallInfo::default()).is_none());
        let call = CallInfo { goal: Some("Book a table.".into()), ..CallInfo::default() };
        let with = prompt.with_goal(&call).unwrap();
        assert_eq!(with.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), [REPORT]);
        assert!(with.with_goal(&call).is_none(), "it is there already");
    }

    #[test]
    fn the_token_of_the_stream_is_nobodys_business() {
        let parameters = [("token".to_owned(), "secret".to_owned()), ("from".to_owned(), "+1555".to_owned())];
        let call = CallInfo { parameters: Arc::new(parameters.into()), ..CallInfo::default() };
        let text = Prompt::default().of_call(&call);
        assert!(text.contains("+1555") && !text.contains("secret"), "{text}");
    }
}
