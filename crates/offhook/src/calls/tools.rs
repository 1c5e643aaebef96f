//! The tools that need more than the call itself: handing the caller over, reporting what came of the call, and those that the
//! agent's file declares.

use std::sync::Arc;

use offhook_conversation::Control;
use offhook_script::Transport;
use offhook_session::Tools;
use offhook_stage_api::tools::REPORT;
use offhook_stage_api::tools::TRANSFER;
use offhook_stage_api::{Interruptible, ToolCall};
use offhook_stages::{BoxFuture, CallInfo};
use offhook_twilio::calls::{CallUpdate, PhoneNumber};
use offhook_twilio::twiml::{Dial, Response, Verb};

use super::live_call::LiveCall;
use super::outcome::Outcome;
use super::seat::PERSON;
use super::{CallRegistry, Served};
use crate::agents::{Action, ToolAnswer, ToolFailure, ToolSet};
use crate::serve::address::PublicBase;

/// How long the other party's phone rings.
const RING_S: u32 = 30;

/// One call's tools.
pub(super) struct CallTools {
    registry: Arc<CallRegistry>,
    live: Arc<LiveCall>,
    base: Option<PublicBase>,
    served: Arc<Served>,
    /// Facts of the call for tools that are asked outside.
    call: CallInfo,
}

impl CallTools {
    pub(super) fn new(
        registry: Arc<CallRegistry>,
        live: Arc<LiveCall>,
        base: Option<PublicBase>,
        (served, call): (Arc<Served>, CallInfo),
    ) -> Self {
        Self { registry, live, base, served, call }
    }
}

impl Tools for CallTools {
    fn run(&self, call: &ToolCall) -> BoxFuture<Result<String, String>> {
        match call.name.as_str() {
            REPORT => {
                let outcome = Outcome::reported(&call.arguments).map(|outcome| {
                    self.registry.tell("goal", &self.live, &call.arguments);
                    self.live.report(outcome);
                    "noted".to_owned()
                });
                Box::pin(std::future::ready(outcome))
            }
            TRANSFER => {
                let to = call.arguments.get("to").and_then(|to| to.as_str()).unwrap_or("").to_owned();
                let (registry, live) = (Arc::clone(&self.registry), Arc::clone(&self.live));
                let base = self.base.clone();
                // Whom the agent's file names may be called by that name.
                let known = &self.served.agent.transfer;
                let named = known.get(&to).or_else(|| known.values().find(|number| **number == to)).cloned();
                Box::pin(async move {
                    let allowed = named.is_some();
                    let to = named.unwrap_or(to);
                    registry.transfer(&live, &to, allowed, base.as_ref()).await
                })
            }
            PERSON => Box::pin(Arc::clone(&self.live.seat).answered()),
            name => match &self.served.agent.tools {
                Some(tools) => self.ask(tools, call),
                None => Box::pin(std::future::ready(Err(format!("there is no tool `{name}` here")))),
            },
        }
    }
}

impl CallTools {
    /// Has a tool of the agent's file do its work, and does what its answer wants beside its result.
    fn ask(&self, tools: &ToolSet, call: &ToolCall) -> BoxFuture<Result<String, String>> {
        if tools.needs_consent(&call.name) && !self.live.has_agreed() {
            let why = "the caller has not agreed to this yet: tell them plainly what will be done, ask for a yes, or for the key 1, and \
                       call it again when they have said or pressed it";
            self.registry.count_tool(&call.name, Some("no_consent"));
            return Box::pin(std::future::ready(Err(why.to_owned())));
        }
        let mut of = self.call.clone();
        if let Some(language) = self.live.record().language.as_deref() {
            of.language = language.into();
        }
        let asked = tools.run(call, &of);
        let (live, name) = (Arc::clone(&self.live), call.name.clone());
        let registry = Arc::clone(&self.registry);
        let transfer = self.served.agent.transfer.clone();
        Box::pin(async move {
            let known = |answer: ToolAnswer| match answer.action.as_ref() {
                None => Ok((answer, None)),
                Some(Action::End) => Ok((answer, Some(Control::HangUp))),
                Some(Action::Transfer(to)) => match transfer.get(to) {
                    Some(number) => Ok((answer, Some(Control::Transfer { to: number.clone() }))),
                    None => {
                        let why =
                            format!("`{name}` wants a transfer to `{to}`, who is not in [agent.transfer]");
                        Err(ToolFailure::new("action", why))
                    }
                },
            };
            let answered = asked.await.and_then(known);
            registry.count_tool(&name, answered.as_ref().err().map(|failure| failure.reason));
            let (answer, act) = answered.map_err(|ToolFailure { reason, why }| {
                tracing::warn!(call = %of.call, tool = name, reason, why, "a tool has failed");
                live.record().troubles.push(format!("the tool `{name}` has failed: {why}"));
                let told = serde_json::json!({ "tool": name, "reason": reason, "why": why });
                registry.tell("tool_failed", &live, &told);
                why
            })?;
            let say = answer.say.map(|text| Control::Say { text, interruptible: Interruptible::Yes });
            for wish in say.into_iter().chain(act) {
                if let Err(error) = live.wish(wish) {
                    tracing::warn!(call = %of.call, tool = name, %error, "what a tool wants done could not be");
                }
            }
            Ok(answer.result)
        })
    }
}

impl CallRegistry {
    /// Counts a use of a tool; with the kind of its failure, if it has failed.
    fn count_tool(&self, tool: &str, failed: Option<&'static str>) {
        let outcome = if failed.is_some() { "failed" } else { "ok" };
        let labels = [("tool", tool), ("outcome", outcome), ("reason", failed.unwrap_or(""))]
            .map(|(name, value)| (name, value.to_owned()));
        self.tool_calls.get_or_create(&labels).inc();
    }

    /// Hands the caller to another number, now: by changing what the call does, or, where there is no access to Twilio's API
    /// and for calls of text, by what it is told to do when its stream or session has ended.
    async fn transfer(
        &self,
        live: &LiveCall,
        to: &str,
        allowed: bool,
        base: Option<&PublicBase>,
    ) -> Result<String, String> {
        let number = PhoneNumber::parse(to).map_err(|error| error.to_string())?;
        if !allowed && !self.outbound(&live.tenant()).allows(&number) {
            return Err(format!(
                "callers may not be handed to {number}: `allow` in [outbound] doesn't have it"
            ));
        }
        live.record().transferred_to = Some(number.to_string());
        let by_sound = self.serves(Some(live)).agent.transport == Transport::MediaStreams;
        if let (Some(rest), Some(sid), true) = (self.rest(&live.tenant()), live.sid(), by_sound) {
            let document = transfer_document(live, &number, base).to_xml();
            if let Err(error) = rest.update(&sid, &CallUpdate::Twiml(document)).await {
                live.record().transferred_to = None;
                return Err(error.to_string());
            }
        }
        Ok(format!("the caller is being connected to {number}"))
    }
}

/// What Twilio does with a caller who is handed over.
pub(crate) fn transfer_document(
    live: &LiveCall,
    number: &PhoneNumber,
    base: Option<&PublicBase>,
) -> Response {
    // A caller's own number is shown by itself; we call others by our own.
    let caller_id = (live.about.direction == "outbound").then(|| live.about.from.clone());
    let action = base.map(|base| base.url("/after-transfer"));
    let dial = Dial { number: number.to_string(), caller_id, timeout: RING_S, action };
    Response::default().then(Verb::Dial(dial)).then(Verb::Hangup)
}
