//! `[outbound]`: who may be called, and how.

use std::time::Duration;

use offhook_twilio::calls::PhoneNumber;
use serde::{Deserialize, Serialize};

/// `[outbound]`: calls that this server places, and whom it hands callers to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OutboundConfig {
    /// The account's number that calls, if the request names none.
    pub(crate) from: Option<PhoneNumber>,
    /// Beginnings of numbers that may be called and transferred to, such as `+1415` or a whole number. Default: none may.
    pub(crate) allow: Vec<String>,
    /// Agents that may be asked for, besides the one that answers.
    pub(crate) agents: Vec<String>,
    /// Calls placed a second at most. Default 1, which is what Twilio places of an account.
    pub(crate) calls_per_second: f64,
    /// How long it rings. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub(crate) ring_for: Duration,
    /// The longest call. Default 15 min.
    #[serde(with = "humantime_serde")]
    pub(crate) longest: Duration,
    /// Whether machines are told from humans. Default `off`.
    pub(crate) machine_detection: Detection,
    /// What becomes of a call that a machine answers. Default `hang_up`.
    pub(crate) on_machine: OnMachine,
    /// Said by Twilio's voice when nobody takes a transfer.
    pub(crate) transfer_failed: String,
    /// Said by Twilio's voice when a call's stream was lost and can't be connected again.
    pub(crate) lost: String,
    /// The number, or SIP address, that such a caller is handed to then. Default: none, the call ends.
    pub(crate) lost_transfer: Option<String>,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            from: None,
            allow: Vec::new(),
            agents: Vec::new(),
            calls_per_second: 1.0,
            ring_for: Duration::from_secs(30),
            longest: Duration::from_secs(15 * 60),
            machine_detection: Detection::Off,
            on_machine: OnMachine::HangUp,
            transfer_failed: "I'm sorry, nobody could take your call. Please try again later. Goodbye."
                .to_owned(),
            lost: "We are sorry, the connection was lost. Please call again.".to_owned(),
            lost_transfer: None,
        }
    }
}

impl OutboundConfig {
    /// Whether this number may be called.
    pub(crate) fn allows(&self, number: &PhoneNumber) -> bool {
        self.allow.iter().any(|beginning| {
            let plain: String = beginning.chars().filter(|c| *c == '+' || c.is_ascii_digit()).collect();
            // A bare `+`, or nothing, would be everybody.
            plain.len() > 1 && plain.starts_with('+') && number.as_str().starts_with(&plain)
        })
    }
}

/// Whether machines are told from humans, by Twilio, beside the conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Detection {
    /// No.
    #[default]
    Off,
    /// As soon as it is known, some 4 s after the answer.
    On,
    /// When the machine's greeting is over.
    WaitForEnd,
}

/// What becomes of a call that a machine answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnMachine {
    /// It is ended.
    #[default]
    HangUp,
    /// This is said after the beep; then it is ended.
    LeaveMessage(String),
    /// The agent talks to it.
    GoOn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_may_be_called_unless_allowed() {
        let number = |text: &str| PhoneNumber::parse(text).unwrap();
        let with = |allow: &[&str]| OutboundConfig {
            allow: allow.iter().map(|&beginning| beginning.to_owned()).collect(),
            ..OutboundConfig::default()
        };
        assert!(!with(&[]).allows(&number("+14155550100")));
        assert!(!with(&["", "+", "1415"]).allows(&number("+14155550100")));
        assert!(with(&["+44", "+1 415"]).allows(&number("+14155550100")));
        assert!(!with(&["+1 415"]).allows(&number("+14165550100")));
    }
}
