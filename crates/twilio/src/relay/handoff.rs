//! What Twilio tells of a session that has ended, when it asks `<Connect action>` what is next
//! ("TwiML Voice: `<ConversationRelay>`").

use std::time::Duration;

use crate::webhook::WebhookForm;

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// The server sent `end`.
    Ended,
    /// The caller hung up.
    Completed,
    /// Something broke: the socket, a provider. The call may live on.
    Failed,
}

impl SessionStatus {
    /// As Twilio writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// The form's fields of a session that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// How; `None` if Twilio says something else.
    pub status: Option<SessionStatus>,
    /// The call is still there: `CallStatus` says so.
    pub live: bool,
    /// How long the session was, if Twilio tells.
    pub duration: Option<Duration>,
    /// What `end` handed over.
    pub data: Option<String>,
    /// Twilio's error, if it failed.
    pub error: Option<u32>,
    /// The same in Twilio's words.
    pub message: Option<String>,
}

impl Handoff {
    /// Reads the fields of an action's form.
    #[must_use]
    pub fn read(form: &WebhookForm) -> Self {
        let status = match form.get("SessionStatus") {
            Some("ended") => Some(SessionStatus::Ended),
            Some("completed") => Some(SessionStatus::Completed),
            Some("failed") => Some(SessionStatus::Failed),
            _ => None,
        };
        let seconds = form.get("SessionDuration").and_then(|seconds| seconds.parse().ok());
        Self {
            status,
            live: matches!(form.get("CallStatus"), Some("in-progress" | "ringing")),
            duration: seconds.map(Duration::from_secs),
            data: form.get("HandoffData").map(str::to_owned),
            error: form.get("ErrorCode").and_then(|code| code.parse().ok()),
            message: form.get("ErrorMessage").map(str::to_owned),
        }
    }

    /// The call lives, and another session may well do better: the socket was lost, not refused for what the TwiML says or
    /// for what the account lacks.
    #[must_use]
    pub const fn may_go_on(&self) -> bool {
        let lost = !matches!(self.error, Some(64101 | 64104 | 64106 | 64109 | 64110));
        self.live && lost && matches!(self.status, Some(SessionStatus::Failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> WebhookForm {
        pairs.iter().fold(WebhookForm::default(), |form, (name, value)| form.with(name, value))
    }

    #[test]
    fn a_lost_socket_may_go_on_and_a_wrong_voice_may_not() {
        let lost = form(&[
            ("CallStatus", "in-progress"),
            ("SessionId", "VX1"),
            ("SessionStatus", "failed"),
            ("SessionDuration", "12"),
            ("ErrorCode", "64105"),
            ("ErrorMessage", "Websocket ended"),
        ]);
        let handoff = Handoff::read(&lost);
        assert!(handoff.may_go_on(), "{handoff:?}");
        assert_eq!(handoff.duration, Some(Duration::from_secs(12)));
        let voice =
            form(&[("CallStatus", "in-progress"), ("SessionStatus", "failed"), ("ErrorCode", "64101")]);
        assert!(!Handoff::read(&voice).may_go_on());
        let gone = form(&[("CallStatus", "completed"), ("SessionStatus", "failed"), ("ErrorCode", "64105")]);
        assert!(!Handoff::read(&gone).may_go_on());
        let ended =
            form(&[("CallStatus", "in-progress"), ("SessionStatus", "ended"), ("HandoffData", "{\"a\":1}")]);
        let ended = Handoff::read(&ended);
        assert!(!ended.may_go_on());
        assert_eq!(ended.data.as_deref(), Some("{\"a\":1}"));
    }
}
