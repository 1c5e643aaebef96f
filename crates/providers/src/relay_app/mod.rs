//! An application in the model's place: a WebSocket server that speaks the protocol of Twilio's ConversationRelay. Offhook plays
//! Twilio: it connects, hears, speaks and decides when turns are over; the words are the application's.
//!
//! - `config`: what an agent's file says of it
//! - `state`: a call's session, without its socket
//! - `pieces`: what is reported as played
//! - `run`: the socket

mod config;
mod pieces;
mod run;
mod state;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use offhook_stage_api::{Interruptible, LlmCommand, LlmEvent};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Tx};
use offhook_twilio::relay::engine::{MayInterrupt, Setup};
use offhook_twilio::signature::{AuthToken, sign};

pub use config::{NAME, RelayAppConfig};

use crate::net::Secret;
use state::AppSession;

/// An application, ready to serve calls.
#[derive(Clone, Debug)]
pub struct RelayApp {
    config: Arc<RelayAppConfig>,
    /// `X-Twilio-Signature` of its address, which never changes.
    signature: Option<String>,
    /// The session's name, where the caller of this gave it one.
    session: Option<Arc<str>>,
    /// The line plays recordings by their addresses: they aren't fetched.
    line_plays: bool,
}

impl RelayApp {
    /// Checks the configuration. `key` signs the handshake as Twilio's auth token does; without one it isn't signed.
    ///
    /// # Errors
    /// The address or another setting is wrong.
    pub fn new(config: RelayAppConfig, key: Option<&Secret>) -> Result<Self, StageError> {
        config.check()?;
        let key = key.filter(|key| !key.is_empty());
        let signature = key.map(|key| sign(&AuthToken::new(key.expose()), &config.url, &[]));
        Ok(Self { config: Arc::new(config), signature, session: None, line_plays: false })
    }

    /// The same, for one session of this name.
    #[must_use]
    pub fn in_session(mut self, id: &str) -> Self {
        self.session = Some(id.into());
        self
    }

    /// The same, for a line that plays recordings by their addresses, as Twilio's ConversationRelay does.
    #[must_use]
    pub const fn on_a_line_that_plays(mut self) -> Self {
        self.line_plays = true;
        self
    }

    /// What may interrupt the agent's answers, unless a message says otherwise.
    #[must_use]
    pub fn interrupted_by(&self) -> Interruptible {
        interruptible(self.config.interrupts())
    }

    /// Whether it wants to know what was played while it is said.
    #[must_use]
    pub fn follows_words(&self) -> bool {
        self.config.subscribes("tokens-played")
    }

    /// Whether it wants prompts before the end of a turn is certain.
    #[must_use]
    pub fn speculates(&self) -> bool {
        self.config.speculative
    }

    fn session(&self, call: &CallInfo) -> AppSession {
        let mut setup = setup(&self.config, call);
        if let Some(id) = &self.session {
            setup.session_id = id.to_string();
        }
        AppSession::new(Arc::clone(&self.config), setup, &call.language, !self.line_plays)
    }
}

/// In the engine's words: a key interrupts whatever speech may.
#[must_use]
pub const fn interruptible(by: MayInterrupt) -> Interruptible {
    match by {
        MayInterrupt::Any | MayInterrupt::Speech => Interruptible::Yes,
        MayInterrupt::Dtmf => Interruptible::DtmfOnly,
        MayInterrupt::None => Interruptible::No,
    }
}

/// The first message of a call's session.
fn setup(config: &RelayAppConfig, call: &CallInfo) -> Setup {
    let facts = &call.facts;
    let mut parameters = config.parameters.clone();
    parameters.extend(call.parameters.iter().map(|(name, value)| (name.clone(), value.clone())));
    // What our own TwiML adds stands in fields of its own.
    for ours in ["from", "to", "direction"] {
        if !config.parameters.contains_key(ours) {
            parameters.remove(ours);
        }
    }
    let known = |fact: &String, parameter: &str| {
        if fact.is_empty() {
            call.parameters.get(parameter).cloned().unwrap_or_default()
        } else {
            fact.clone()
        }
    };
    let direction = match known(&facts.direction, "direction").as_str() {
        "outbound" => "outbound-api".to_owned(),
        "" => "inbound".to_owned(),
        direction => direction.to_owned(),
    };
    let from = known(&facts.from, "from");
    let call_type = if from.starts_with("sip:") {
        "SIP"
    } else if from.starts_with("client:") {
        "CLIENT"
    } else {
        "PSTN"
    };
    let account =
        if facts.account.is_empty() { format!("AC{}", "0".repeat(32)) } else { facts.account.clone() };
    Setup {
        session_id: session_id(),
        call_sid: call.call.to_string(),
        parent_call_sid: facts.parent.clone(),
        from,
        to: known(&facts.to, "to"),
        forwarded_from: facts.forwarded_from.clone(),
        caller_name: facts.caller_name.clone(),
        call_type: call_type.to_owned(),
        call_status: if direction == "inbound" { "RINGING" } else { "IN_PROGRESS" }.to_owned(),
        direction,
        account_sid: account,
        custom_parameters: parameters,
    }
}

/// A new session's name: `VX` and 32 hexadecimal digits.
#[must_use]
pub fn session_id() -> String {
    // Keys of hash maps are random; the name is no secret.
    let random = || RandomState::new().build_hasher().finish();
    format!("VX{:016x}{:016x}", random(), random())
}

impl Llm for RelayApp {
    fn name(&self) -> &str {
        self.config.stage()
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let (session, config) = (self.session(&call), Arc::clone(&self.config));
        Box::pin(run::run(session, config, self.signature.clone(), call, commands, events))
    }
}
