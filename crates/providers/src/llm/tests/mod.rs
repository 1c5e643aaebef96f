//! All protocols, by the samples in their vendors' documentation, by what servers have been seen to send, and by recordings.

mod bodies;
mod recordings;
mod sockets;
mod streams;
mod unseen;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{
    Content, Delivery, Digits, Entry, ReplyReason, ReplyRequest, ToolCall, ToolResult, ToolUse,
};
use offhook_stages::ToolSpec;
use serde_json::json;

use super::config::LlmConfig;
use super::prompt::Prompt;
use super::provider::LlmProvider;

fn config(provider: LlmProvider) -> LlmConfig {
    LlmConfig { provider, model: "some-model".to_owned(), ..LlmConfig::default() }
}

fn prompt() -> Prompt {
    let tool = ToolSpec {
        name: "find_booking".to_owned(),
        description: "Finds a booking.".to_owned(),
        parameters: json!({"type": "object", "properties": {"phone": {"type": "string"}}}),
    };
    Prompt { instructions: "You take bookings.".into(), tools: [tool].into(), ..Prompt::default() }
}

fn request() -> ReplyRequest {
    let caller = Content::Caller { text: "Can I move my appointment?".into() };
    let history = vec![Entry::at(caller, 0)];
    let reason = ReplyReason::Caller { text: "Can I move my appointment?".into(), confidence: None };
    ReplyRequest {
        reply: ReplyId(7),
        reason,
        history,
        language: None,
        tools: ToolUse::Auto,
        speculative: false,
    }
}

/// One of everything that a history can hold.
fn rich() -> ReplyRequest {
    let agent = |text: &str, delivery| Content::Agent { text: text.into(), delivery };
    let call = |id: &str, phone: &str| {
        Content::ToolCall(ToolCall {
            id: id.into(),
            name: "find_booking".into(),
            arguments: json!({ "phone": phone }),
        })
    };
    let result = |id: &str, outcome: Result<&str, &str>| {
        let outcome = outcome.map(str::to_owned).map_err(str::to_owned);
        Content::ToolResult(ToolResult { id: id.into(), name: "find_booking".into(), outcome })
    };
    let history = [
        Content::Summary { text: "Caller: It's about Friday.".into() },
        agent("Of course. I'll look, and then", Delivery::Interrupted),
        Content::Caller { text: "The number is this.".into() },
        Content::Digits { digits: Digits::new("0100") },
        agent("Let me look.", Delivery::Heard),
        call("call_1", "0100"),
        call("call_1~2", "0101"),
        agent("One moment, please.", Delivery::Heard),
        result("call_1~2", Err("no such number")),
        result("call_1", Ok("Friday, 10:00 (Dr Lee)")),
        Content::Note { text: "The caller was to be transferred to +15550123, but that failed: busy".into() },
        agent("I found it.", Delivery::Saying),
        call("call_2", "0102"),
    ];
    let history = history.into_iter().zip(0..).map(|(content, at)| Entry::at(content, at)).collect();
    ReplyRequest {
        reply: ReplyId(7),
        reason: ReplyReason::Tool,
        history,
        language: None,
        tools: ToolUse::None,
        speculative: false,
    }
}
