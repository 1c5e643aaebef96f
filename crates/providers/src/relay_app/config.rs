//! An agent's `[[llm]]` table with `provider = "conversation-relay"`.

use std::collections::BTreeMap;
use std::time::Duration;

use offhook_stages::StageError;
use offhook_twilio::relay::engine::MayInterrupt;
use serde::{Deserialize, Serialize};

use crate::net::Deadlines;

/// The provider's name in configurations, logs and metrics.
pub const NAME: &str = "conversation-relay";

/// `[[llm]] provider = "conversation-relay"`: the agent's words come from an application's WebSocket server, over the protocol of
/// Twilio's ConversationRelay. Names and defaults are those of the TwiML's attributes, unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayAppConfig {
    /// `conversation-relay`.
    pub provider: String,
    /// The application's server: `wss://…`; `ws://` on this machine alone.
    pub url: String,
    /// The name in logs, metrics and costs. Default `conversation-relay`.
    pub name: Option<String>,
    /// Sent in `setup.customParameters`, with the call's own, which come before these.
    pub parameters: BTreeMap<String, String>,
    /// Send `prompt` with `last: false` while the caller speaks. Default false.
    pub partial_prompts: bool,
    /// Send `dtmf`. Default true; in TwiML false.
    pub dtmf_detection: bool,
    /// What is told in `info` messages: `speaker-events`, `tokens-played`. Default nothing.
    pub events: Vec<String>,
    /// BCP 47 tag of the agent's voice, where it isn't the language of the call. Default: the call's.
    pub tts_language: Option<String>,
    /// What interrupts the agent's answers, unless a message says otherwise: any, speech, dtmf, none. Default any.
    pub interruptible: String,
    /// What the caller does during speech that nothing interrupts is reported if it is among these: any, speech, dtmf, none.
    /// Default none: it is lost.
    pub report_input_during_agent_speech: String,
    /// Whether an answer may be replaced by the next message, unless it says otherwise itself. Default false.
    pub preemptible: bool,
    /// Send prompts before the end of the caller's turn is certain, marked `"speculative": N`; `commit` or `cancel` with the same
    /// number follows. An extension: only for applications that know it. Default false.
    pub speculative: bool,
    /// `interrupt` quotes the whole answer as far as it was heard, not only the piece that was being spoken. Default false, as
    /// Twilio does.
    pub quote_whole_answer: bool,
    /// Connect again when the connection is lost, and replay what happened meanwhile. Default true; in TwiML false.
    pub application_reconnect: bool,
    /// How long that is tried. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub reconnect_within: Duration,
    /// The bounds beyond which a connection is given up.
    pub deadlines: Deadlines,
}

impl Default for RelayAppConfig {
    fn default() -> Self {
        Self {
            provider: NAME.to_owned(),
            url: String::new(),
            name: None,
            parameters: BTreeMap::new(),
            partial_prompts: false,
            dtmf_detection: true,
            events: Vec::new(),
            tts_language: None,
            interruptible: "any".to_owned(),
            report_input_during_agent_speech: "none".to_owned(),
            preemptible: false,
            speculative: false,
            quote_whole_answer: false,
            application_reconnect: true,
            reconnect_within: Duration::from_secs(10),
            deadlines: Deadlines::default(),
        }
    }
}

impl RelayAppConfig {
    /// Its name in logs.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.name.as_deref().unwrap_or(NAME)
    }

    /// What interrupts answers.
    #[must_use]
    pub fn interrupts(&self) -> MayInterrupt {
        MayInterrupt::parse(&self.interruptible).unwrap_or(MayInterrupt::Any)
    }

    pub(super) fn reports(&self) -> MayInterrupt {
        MayInterrupt::parse(&self.report_input_during_agent_speech).unwrap_or(MayInterrupt::None)
    }

    pub(super) fn subscribes(&self, event: &str) -> bool {
        self.events.iter().any(|name| name == event)
    }

    /// Refuses what no call could be right with.
    ///
    /// # Errors
    /// The address is none, or not encrypted and on another machine; a value is unknown.
    pub fn check(&self) -> Result<(), StageError> {
        let wrong = |what: String, hint: &str| StageError::Unavailable {
            stage: self.stage().to_owned(),
            what,
            hint: hint.to_owned(),
        };
        let uri: http::Uri = self.url.parse().map_err(|error| {
            wrong(format!("`url` is no address: {error}"), "write it like wss://agent.example.com/relay")
        })?;
        let host = uri.host().unwrap_or("").trim_matches(['[', ']']);
        let here = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        match uri.scheme_str() {
            Some("wss") => {}
            Some("ws") if here => {}
            Some("ws") => {
                return Err(wrong(
                    format!("what callers say would go to {host} unencrypted"),
                    "use wss://; ws:// is for servers on this machine",
                ));
            }
            _ => {
                return Err(wrong(
                    "`url` is no WebSocket's".to_owned(),
                    "write it like wss://agent.example.com/relay",
                ));
            }
        }
        for (name, value) in [
            ("interruptible", &self.interruptible),
            ("report_input_during_agent_speech", &self.report_input_during_agent_speech),
        ] {
            if MayInterrupt::parse(value).is_none() {
                return Err(wrong(format!("`{name}` can't be `{value}`"), "any, speech, dtmf or none"));
            }
        }
        Ok(())
    }
}
