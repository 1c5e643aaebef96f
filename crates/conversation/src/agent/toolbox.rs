//! Tools that run for the conversation, by id: what was asked, what has returned, and how long the model may go on asking.

use std::collections::BTreeMap;
use std::time::Duration;

use offhook_stage_api::{AnswerKind, CallTime, Digits, ToolCall, ToolResult};

use crate::config::{DtmfConfig, OnInterruption, ToolBehaviour, ToolLimits};
use crate::deadline::duration_ms;
use crate::event::{CallEvent, ToolStage};

/// A tool that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) since: CallTime,
}

impl Running {
    pub(crate) fn event(&self, stage: ToolStage, now: CallTime) -> CallEvent {
        let after_ms = duration_ms(now.since(self.since));
        CallEvent::Tool { name: self.name.clone(), stage, after_ms }
    }

    /// Its result, if it is cancelled.
    pub(crate) fn cancelled(&self) -> ToolResult {
        let outcome = Err("cancelled, because the caller interrupted".to_owned());
        ToolResult { id: self.id.clone(), name: self.name.clone(), outcome }
    }
}

/// What may be done about a tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may run.
    Run,
    /// It may not; why, in words for the model.
    Refuse(String),
}

/// The tools of a conversation.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    running: Vec<Running>,
    /// Results have come that no request has had yet.
    results_due: bool,
    /// The caller waits for what the model makes of them; keys that were pressed need no words.
    results_matter: bool,
    /// Ids of all calls so far, and how often each was met.
    ids: BTreeMap<String, u32>,
    /// Requests that went on after tools since the caller's turn.
    steps: u32,
    /// Calls since the caller's turn, by name and arguments.
    calls: BTreeMap<String, u32>,
    /// The model has to speak now.
    exhausted: bool,
    /// When the latest tool ended.
    ended_at: CallTime,
}

impl Tools {
    /// Gives a call an id that no other has: the provider's, if it is.
    pub(crate) fn name(&mut self, call: &mut ToolCall) {
        if call.id.is_empty() {
            call.id = format!("call_{}", self.ids.len() + 1);
        }
        let met = self.ids.entry(call.id.clone()).or_default();
        *met += 1;
        if *met > 1 {
            call.id = format!("{}~{met}", call.id);
        }
    }

    /// The caller has said something: the model may call tools again.
    pub(crate) fn new_turn(&mut self) {
        self.steps = 0;
        self.calls.clear();
        self.exhausted = false;
    }

    /// Another request goes on after tools. False if its answer has to be in words.
    pub(crate) fn step(&mut self, limits: &ToolLimits) -> bool {
        self.steps += 1;
        self.exhausted |= self.steps >= limits.max_steps;
        !self.exhausted
    }

    /// The model was asked to speak.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether a call may run.
    pub(crate) fn judge(&mut self, call: &ToolCall, limits: &ToolLimits) -> Verdict {
        if self.exhausted {
            return Verdict::Refuse("no more tools may be used before something is said".to_owned());
        }
        let count = self.calls.entry(format!("{}{}", call.name, call.arguments)).or_default();
        *count += 1;
        if *count > limits.max_equal_calls.max(1) {
            self.exhausted = true;
            return Verdict::Refuse(
                "it was called with the same arguments before: use the result that it gave".to_owned(),
            );
        }
        Verdict::Run
    }

    /// A tool runs from now on.
    pub(crate) fn begin(&mut self, call: &ToolCall, now: CallTime) -> CallEvent {
        let tool = Running { id: call.id.clone(), name: call.name.clone(), since: now };
        let event = tool.event(ToolStage::Asked, now);
        self.running.push(tool);
        event
    }

    /// A tool has returned. `None` for one that is not waited for.
    pub(crate) fn end(&mut self, result: &ToolResult, now: CallTime) -> Option<CallEvent> {
        let place = self.running.iter().position(|tool| tool.id == result.id)?;
        let stage = if result.outcome.is_ok() { ToolStage::Returned } else { ToolStage::Failed };
        self.ended_at = now;
        Some(self.running.remove(place).event(stage, now))
    }

    /// The caller spoke up: takes out the tools that are declared to be cancelled then.
    pub(crate) fn interrupt(&mut self, behaviours: &BTreeMap<String, ToolBehaviour>) -> Vec<Running> {
        let cancelled = |tool: &Running| {
            let behaviour = behaviours.get(&tool.name);
            behaviour.is_some_and(|behaviour| behaviour.on_interruption == OnInterruption::Cancel)
        };
        let (cancelled, kept) = std::mem::take(&mut self.running).into_iter().partition(cancelled);
        self.running = kept;
        cancelled
    }

    /// Results have come that no request has had yet.
    pub(crate) const fn are_results_due(&self) -> bool {
        self.results_due
    }

    /// The caller waits for what the model makes of the results.
    pub(crate) const fn do_results_matter(&self) -> bool {
        self.results_matter
    }

    /// A result has come.
    pub(crate) const fn results_come(&mut self) {
        self.results_due = true;
    }

    /// A request has had them, or none needs to.
    pub(crate) const fn results_are_taken(&mut self) {
        self.results_due = false;
    }

    /// The caller waits for what the model makes of the latest.
    pub(crate) const fn results_matter(&mut self) {
        self.results_matter = true;
    }

    /// The caller hears what the model made of them.
    pub(crate) const fn results_are_told(&mut self) {
        self.results_matter = false;
    }

    /// When the latest tool ended.
    pub(crate) const fn ended_at(&self) -> CallTime {
        self.ended_at
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Running> {
        self.running.iter()
    }

    pub(crate) const fn any(&self) -> bool {
        !self.running.is_empty()
    }
}

/// A tool with a filler of its own says it after this; a quick one has returned by then.
pub(crate) const OWN_FILLER_AFTER: Duration = Duration::from_millis(400);

/// How many digits a call of the tool `collect_digits` wants: arguments `min` and `max`.
pub(crate) fn digits_asked_for(call: &ToolCall, config: &DtmfConfig) -> AnswerKind {
    let count = |name: &str| call.arguments.get(name).and_then(serde_json::Value::as_u64);
    let most = config.most as u64;
    let max = count("max").unwrap_or(most).clamp(1, most.max(1));
    let min = count("min").unwrap_or(1).clamp(1, max);
    let narrow = |count: u64| u8::try_from(count).unwrap_or(u8::MAX);
    AnswerKind::Digits { min: narrow(min), max: narrow(max) }
}

/// Keys that may be pressed at a time, as by the API: more than any number has.
const MOST_KEYS: usize = 64;

/// The keys that a call of the tool `send_dtmf` wants pressed: argument `digits`.
pub(crate) fn digits_to_press(call: &ToolCall) -> Result<Digits, String> {
    let digits = Digits::new(call.arguments.get("digits").and_then(|digits| digits.as_str()).unwrap_or(""));
    if digits.reveal().is_empty() {
        return Err("`digits` must hold keys: 0 to 9, *, #, A to D".to_owned());
    }
    if digits.reveal().len() > MOST_KEYS {
        return Err(format!("`digits` may hold {MOST_KEYS} keys at a time"));
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, x: u32) -> ToolCall {
        ToolCall { id: id.into(), name: "find".into(), arguments: serde_json::json!({ "x": x }) }
    }

    #[test]
    fn keys_without_end_are_refused() {
        let press = |digits: String| {
            let arguments = serde_json::json!({ "digits": digits });
            digits_to_press(&ToolCall { id: "1".into(), name: "send_dtmf".into(), arguments })
        };
        assert!(press("1".repeat(MOST_KEYS)).is_ok());
        assert!(press("1".repeat(10_000)).is_err_and(|why| why.contains("64")));
    }

    #[test]
    fn ids_are_the_providers_unless_another_has_them() {
        let mut tools = Tools::default();
        let mut ids = Vec::new();
        for id in ["a", "a", "", "", "b"] {
            let mut call = call(id, 0);
            tools.name(&mut call);
            ids.push(call.id);
        }
        assert_eq!(ids, ["a", "a~2", "call_2", "call_3", "b"]);
    }

    #[test]
    fn equal_calls_and_steps_have_an_end() {
        let limits = ToolLimits::default();
        let mut tools = Tools::default();
        assert_eq!(tools.judge(&call("1", 1), &limits), Verdict::Run);
        assert_eq!(tools.judge(&call("2", 2), &limits), Verdict::Run);
        assert_eq!(tools.judge(&call("3", 1), &limits), Verdict::Run);
        assert!(matches!(tools.judge(&call("4", 1), &limits), Verdict::Refuse(_)));
        assert!(tools.is_exhausted());
        tools.new_turn();
        let allowed = (0..20).filter(|_| tools.step(&limits)).count();
        assert_eq!(allowed, 7, "the eighth request has to be answered in words");
        assert!(matches!(tools.judge(&call("5", 9), &limits), Verdict::Refuse(_)));
    }
}
