//! What is found in a document: what Twilio would say to it, and what it would connect to.

/// Something that Twilio would say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Twilio's code.
    pub code: u32,
    /// What exactly, and where.
    pub detail: String,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(code: u32, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// It only warns; the call goes on.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        crate::errors::lookup(self.code).is_some_and(|error| error.warning)
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let level = if self.is_warning() { "warning" } else { "error" };
        write!(f, "{level} {}: {}", self.code, self.detail)?;
        match crate::errors::lookup(self.code) {
            Some(error) => write!(f, " ({}; {})", error.meaning, error.fix),
            None => Ok(()),
        }
    }
}

/// The stream that a document connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFound {
    /// Where to.
    pub url: String,
    /// Call context.
    pub parameters: Vec<(String, String)>,
    /// `<Connect action>`.
    pub action: Option<String>,
    /// That is asked by GET: `<Connect method>`.
    pub action_get: bool,
    /// `statusCallback`.
    pub status_callback: Option<String>,
    /// `statusCallbackMethod` is `GET`.
    pub status_callback_get: bool,
    /// `name`.
    pub name: Option<String>,
}

/// A verb that takes the call away from what comes after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `<Hangup>`, `<Reject>` or `<Leave>`: by this name.
    Over(&'static str),
    /// `<Redirect>`: the call goes on with another document.
    Redirect {
        /// Where it is, as the document has it; empty: the same again.
        url: String,
        /// It is asked for by GET.
        get: bool,
    },
}

/// What a call comes to, one after the other, if nothing takes it away before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A stream.
    Stream(StreamFound),
    /// A ConversationRelay.
    Relay(RelayFound),
    /// The end of the document.
    End(Ending),
}

/// The ConversationRelay that a document connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayFound {
    /// Where to.
    pub url: String,
    /// Call context.
    pub parameters: Vec<(String, String)>,
    /// `<Connect action>`.
    pub action: Option<String>,
    /// That is asked by GET: `<Connect method>`.
    pub action_get: bool,
    /// All attributes, the URL too.
    pub attributes: Vec<(String, String)>,
}

impl RelayFound {
    /// An attribute's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What Twilio makes of an answer to a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TwimlReport {
    /// What it would say.
    pub findings: Vec<Finding>,
    /// The verbs at the top, in order.
    pub verbs: Vec<String>,
    /// The first `<Connect><Stream>`.
    pub stream: Option<StreamFound>,
    /// The first `<Connect><ConversationRelay>`.
    pub relay: Option<RelayFound>,
    /// What ends this document before anything is connected: what comes after it is never reached.
    pub ends_before: Option<Ending>,
    /// What the call comes to behind what was connected first, if `<Connect>` has no `action`.
    pub then: Vec<Step>,
}

impl TwimlReport {
    /// Twilio would go on with the call.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.findings.iter().all(Finding::is_warning)
    }
}
