//! Keys stay off the tape; as many ones take their place.

use offhook_stage_api::tools::SEND_DTMF;
use offhook_stage_api::{Content, Digits, Entry, LlmEvent, ReplyReason, ReplyRequest, ToolCall};

/// An event of the model's, without the keys that it wants pressed.
pub(crate) fn event(event: &LlmEvent) -> LlmEvent {
    match event {
        LlmEvent::Tool { reply, call } => LlmEvent::Tool { reply: *reply, call: tool_call(call) },
        other => other.clone(),
    }
}

/// A tool's call, without the keys that it is to press.
pub(crate) fn tool_call(call: &ToolCall) -> ToolCall {
    if call.name != SEND_DTMF {
        return call.clone();
    }
    let keys = call.arguments.get("digits").and_then(|keys| keys.as_str()).unwrap_or("");
    // In a history they are masked already.
    let keys = Digits::new(&keys.replace('•', "1"));
    let arguments = serde_json::json!({ "digits": digits(&keys).reveal() });
    ToolCall { arguments, ..call.clone() }
}

/// A request, without the keys of its reason and its history.
pub(crate) fn request(request: &ReplyRequest) -> ReplyRequest {
    let mut request = request.clone();
    request.history.iter_mut().for_each(entry);
    if let ReplyReason::Digits(keys) = &mut request.reason {
        *keys = digits(keys);
    }
    request
}

fn entry(entry: &mut Entry) {
    match &mut entry.content {
        Content::Digits { digits: keys } => *keys = digits(keys),
        Content::ToolCall(call) => *call = tool_call(call),
        Content::Caller { .. }
        | Content::Agent { .. }
        | Content::ToolResult(_)
        | Content::TransferFailed { .. }
        | Content::Note { .. }
        | Content::Summary { .. } => {}
    }
}

/// What comes back from a tape in these keys' place: so a tape's outputs can be compared with those of its replay.
pub(crate) fn digits(keys: &Digits) -> Digits {
    Digits::new(&"1".repeat(keys.reveal().len()))
}
