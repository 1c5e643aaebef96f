//! What a script reports of a call that has a goal: achieved if the other side agreed to what was read back, refused if they
//! took their leave before.

use offhook_stage_api::{ReplyReason, ToolCall};

use super::dialog::{Answer, Dialog};
use offhook_stage_api::tools::{END_CALL, REPORT};

/// The report to make with the agent's last words; nothing with others, or if the script has nothing to settle.
pub(super) fn report(answer: &Answer, next: &Dialog, reason: &ReplyReason) -> Option<ToolCall> {
    if !next.has_aim() || !answer.tools.iter().any(|tool| tool.name == END_CALL) {
        return None;
    }
    let verdict = if next.agreed() { "achieved" } else { "refused" };
    let evidence = match reason {
        ReplyReason::Caller { text, .. } => format!("they said: “{text}”"),
        ReplyReason::Digits(_) => "they pressed a key".to_owned(),
        ReplyReason::Greeting | ReplyReason::Tool | ReplyReason::Initiative => {
            "the script came to its end".to_owned()
        }
    };
    let fields: serde_json::Map<String, serde_json::Value> =
        next.known().into_iter().map(|(name, value)| (name, value.into())).collect();
    let arguments = serde_json::json!({ "verdict": verdict, "fields": fields, "evidence": evidence });
    Some(ToolCall { id: String::new(), name: REPORT.to_owned(), arguments })
}
