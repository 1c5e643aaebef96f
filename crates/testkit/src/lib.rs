//! Virtual lines for tests of conversations: time is a number, latencies are drawn, and what happened is a timeline that a person can read.
#![allow(
    clippy::collapsible_match,
    clippy::needless_pass_by_value,
    clippy::new_without_default,
    reason = "a check with its effect stays in the arm; steps are handed over whole"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]
#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::must_use_candidate,
    reason = "helpers of tests: names say it"
)]

pub mod phone;
pub mod relay_phone;
pub mod world;

use std::fmt::Write;

use offhook_stage_api::{Content, Delivery, Entry};

pub use phone::Phone;
pub use relay_phone::RelayPhone;

/// A history, a line per entry.
pub fn shown(history: &[Entry]) -> String {
    history.iter().fold(String::new(), |mut all, entry| {
        match &entry.content {
            Content::Caller { text } => writeln!(all, "Caller: {text}"),
            Content::Agent { text, delivery } => {
                let mark = match delivery {
                    Delivery::Heard => "",
                    Delivery::Interrupted => " —",
                    Delivery::Saying => " …",
                };
                writeln!(all, "Agent: {text}{mark}")
            }
            Content::ToolCall(call) => writeln!(all, "Call {}: {}({})", call.id, call.name, call.arguments),
            Content::ToolResult(result) => match &result.outcome {
                Ok(text) => writeln!(all, "Result {}: {text}", result.id),
                Err(why) => writeln!(all, "Result {} failed: {why}", result.id),
            },
            Content::Digits { digits } => writeln!(all, "Keyed: {}", digits.reveal()),
            Content::TransferFailed { .. } | Content::Note { .. } => {
                writeln!(all, "Note: {}", entry.content.note().unwrap_or_default())
            }
            Content::Summary { text } => writeln!(all, "Summary: {text}"),
        }
        .unwrap();
        all
    })
}
