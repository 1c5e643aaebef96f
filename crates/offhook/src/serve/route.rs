//! Who answers a call that comes in, and whether there is room for it.

use std::sync::Arc;
use std::time::SystemTime;

use super::Shared;
use super::voice::Checked;
use crate::calls::Served;
use crate::config::Config;
use crate::routing::{Asker, Decision, Limits, RouteTable, choose};
use crate::tenants::Scope;
use offhook_script::Transport;
use offhook_stages::CallFacts;
use serde_json::Value;

/// How calls that come in are routed.
#[derive(Debug)]
pub(crate) struct Routing {
    routes: Vec<RouteTable>,
    asker: Option<Asker>,
    limits: Limits,
}

impl Routing {
    pub(super) fn new(config: &Config) -> Self {
        let asker = Asker::new(&config.routing);
        Self { routes: config.routes.clone(), asker, limits: config.limits.clone() }
    }

    /// The routes that this scope's calls may take, as people read them.
    pub(crate) fn told(&self, scope: &Scope) -> Vec<Value> {
        let open = |route: &&RouteTable| match scope.only() {
            Some(tenant) => route.then.tenant.as_deref() == Some(tenant),
            None => true,
        };
        self.routes.iter().filter(open).map(RouteTable::told).collect()
    }

    /// Whether an application is asked first.
    pub(crate) const fn asks(&self) -> bool {
        self.asker.is_some()
    }
}

/// Who answers, and in what manner; or what the caller hears instead.
pub(super) async fn admit(
    call: &str,
    facts: &mut CallFacts,
    checked: &Checked,
    shared: &Shared,
) -> Result<(Arc<Served>, Decision), String> {
    let (routing, now, form) = (&shared.routing, SystemTime::now(), &checked.form);
    // A tenant's account leads to its own routes, and to no other.
    let own = checked.scope.only();
    let open = |route: &&RouteTable| own.is_none() || route.then.tenant.as_deref() == own;
    let route = choose(routing.routes.iter().filter(open), form, now);
    let asked = match &routing.asker {
        Some(asker) => asker.ask(call, facts, form).await,
        None => None,
    };
    let decision = asked.or_else(|| route.map(|route| route.then.clone())).unwrap_or_default();
    facts.tenant = own.map(str::to_owned).or_else(|| decision.tenant.clone()).unwrap_or_default();
    if let Some(words) = decision.say {
        return Err(words);
    }
    let of_route = route.map(|route| (&route.limits, facts.tenant.as_str()));
    let tenant = shared.registry.tenant(&facts.tenant);
    let of_tenant = tenant.map(|tenant| (&tenant.limits, facts.tenant.as_str()));
    for (limits, tenant) in [(&routing.limits, "")].into_iter().chain(of_route).chain(of_tenant) {
        if !limits.any() {
            continue;
        }
        let load = shared.registry.load(tenant, (call, &facts.from), now);
        if let Some(bound) = limits.reached(&load) {
            tracing::warn!(call, tenant, bound, ?load, "a call was not taken: a limit is reached");
            return Err(limits.full.clone());
        }
    }
    let first = || tenant.and_then(|tenant| tenant.agents.first());
    let served = match decision.agent.as_ref().or_else(first) {
        Some(name) => shared.registry.agent(name).unwrap_or_else(|| {
            tracing::error!(call, agent = name, "there is no such agent: the server's own answers");
            shared.registry.serves(None)
        }),
        None => shared.registry.serves(None),
    };
    facts.agent.clone_from(&served.agent.name);
    if decision.language.is_none() && decision.greeting.is_none() && decision.voice.is_none() {
        return Ok((served, decision));
    }
    let mut agent = served.agent.clone();
    if let Some(language) = &decision.language {
        agent.language.clone_from(language);
    }
    if let Some(greeting) = &decision.greeting {
        agent.greeting = Some(greeting.clone());
    }
    let mut relay = served.relay.clone();
    if let Some(voice) = &decision.voice {
        match agent.voices.get(voice) {
            Some(tts) => agent.stages.tts = Arc::clone(tts),
            // Twilio speaks.
            None if agent.transport == Transport::ConversationRelay => relay.voice = Some(voice.clone()),
            None => tracing::error!(
                call,
                voice,
                "no [[route]] of this agent names this voice: it speaks in its own"
            ),
        }
    }
    let call = Arc::new(agent.call_config(&served.call));
    Ok((Arc::new(Served { agent, call, relay }), decision))
}
