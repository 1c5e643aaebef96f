//! What an examination found: each finding has a cause from the list of [`causes`](crate::causes).

use serde::Serialize;

use crate::causes::Cause;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing to do; said so that it is known.
    Fine,
    /// Some calls will suffer.
    Risky,
    /// Calls fail, or stay silent.
    Fails,
}

/// Where it was found, in the order in which Twilio gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The URL, its host name and its addresses.
    Address,
    /// TCP and TLS.
    Connection,
    /// The webhook's answer.
    Webhook,
    /// The TwiML in it.
    Document,
    /// Who may ask.
    Signature,
    /// The stream's WebSocket.
    Upgrade,
    /// A short call.
    Call,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where.
    pub check: Check,
    /// Which, for programs: lower case with hyphens.
    pub cause: &'static str,
    /// How bad.
    pub severity: Severity,
    /// Twilio's code, if it would tell one.
    pub code: Option<u32>,
    /// What exactly was seen.
    pub what: String,
    /// What Twilio does with it, and what the caller notices.
    pub effect: &'static str,
    /// What to do, with an example.
    pub fix: &'static str,
}

impl Finding {
    /// A finding of this cause.
    #[must_use]
    pub fn new(check: Check, cause: &'static Cause, what: impl Into<String>) -> Self {
        Self {
            check,
            cause: cause.id,
            severity: cause.severity,
            code: cause.code,
            what: what.into(),
            effect: cause.effect,
            fix: cause.fix,
        }
    }
}

/// All that an examination found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The webhook that was examined.
    pub url: String,
    /// The stream that its document connects to.
    pub stream_url: Option<String>,
    /// How long the webhook took to answer, in milliseconds.
    pub webhook_ms: Option<u64>,
    /// From the stream's start to the first sound of the agent, in milliseconds.
    pub first_sound_ms: Option<u64>,
    /// From the end of the caller's words to the agent's answer, in milliseconds.
    pub answer_ms: Option<u64>,
    /// From the caller's first sound over the agent's voice to its silence, in milliseconds.
    pub stopped_ms: Option<u64>,
    /// From the end of the words that interrupted the agent to what it said then, in milliseconds.
    pub after_interruption_ms: Option<u64>,
    /// What was not examined, and why.
    pub not_examined: Vec<String>,
    /// What was found, in the order of Twilio's way through it.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The worst severity.
    #[must_use]
    pub fn worst(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Fine)
    }

    /// The first finding with which calls fail: begin there.
    #[must_use]
    pub fn first_failing(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.severity == Severity::Fails)
    }

    pub(crate) fn skip(&mut self, what: impl Into<String>) {
        self.not_examined.push(what.into());
    }

    pub(crate) fn add(&mut self, check: Check, cause: &'static Cause, what: impl Into<String>) {
        self.findings.push(Finding::new(check, cause, what));
    }
}
