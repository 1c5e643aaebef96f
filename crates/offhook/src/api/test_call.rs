//! What the console asks first: what is served here, and for a call of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use hyper::StatusCode;
use offhook_chain::Circuit;
use offhook_providers::embedded::native_jobs;
use offhook_script::Transport;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::calls::{body, parse, wrong};
use super::{as_json, refusal};
use crate::agents::{Agent, Provider};
use crate::calls::{BEGINS_WITHIN, TestCall, Within};
use crate::serve::Shared;
use crate::serve::http::Answer;
use crate::serve::signed::{for_upgrade, for_webhooks};
use crate::tenants::Scope;

/// Files are checked one after the other.
static CHECKS: Semaphore = Semaphore::const_new(1);
/// An agent's decoders are made within this.
const LOADED_WITHIN: Duration = Duration::from_secs(5);

/// `GET /server`
pub(super) fn server(shared: &Shared, calls: &Within<'_>, person: Option<&str>) -> Answer {
    let names = calls.agents();
    let served = names.iter().filter_map(|name| calls.agent(name));
    // How providers fare tells how much is going on, at others' calls, too.
    let all = calls.scope().only().is_none();
    let agents: Vec<Value> = served.map(|served| about(&served.agent, all)).collect();
    let talking = calls.calls().iter().filter(|live| live.record().talking).count();
    // How busy the machine is tells of others' calls, too.
    let late =
        || shared.overload.all_lateness().map(|late| late.as_micros() as f64 / 1000.0).collect::<Vec<_>>();
    let (tenant, registry) = (calls.scope().tenant(), calls.registry());
    as_json(
        StatusCode::OK,
        &json!({
            "version": env!("CARGO_PKG_VERSION"), "agents": agents, "draining": !shared.life.takes_calls(),
            "talking": talking, "places_calls": registry.rest(tenant).is_some(), "keeps_calls": registry.keeper(tenant).is_some(),
            "signed": !shared.is_open(), "tenant": calls.scope().only(), "person": person,
            "routes": shared.routing.told(calls.scope()), "routes_ask_first": all && shared.routing.asks(),
            "workers_late_ms": all.then(late), "turned_away": all.then(|| shared.overload.turned_away()),
        }),
    )
}

/// An agent, as far as it is of use to those who call it.
fn about(agent: &Agent, providers: bool) -> Value {
    let providers = agent.providers.iter().filter(|_| providers).map(fares);
    json!({
        "name": agent.name, "language": agent.language, "transport": carried(agent.transport),
        "stages": format!("{:?}", agent.stages), "tools": agent.tool_behaviour.keys().collect::<Vec<_>>(),
        "goal": agent.goal.as_deref(), "providers": providers.collect::<Vec<_>>(), "transfers": agent.transfer.keys().collect::<Vec<_>>(),
    })
}

/// How one of its providers fares, over all calls since the start.
fn fares(provider: &Provider) -> Value {
    let totals = provider.health.totals();
    let circuit = match provider.health.circuit() {
        Circuit::Closed => "closed",
        Circuit::HalfOpen => "half_open",
        Circuit::Open => "open",
    };
    json!({
        "does": provider.does, "name": provider.name, "circuit": circuit, "asked": totals.asked, "answered": totals.answered,
        "failed": totals.failed, "too_slow": totals.too_slow, "took_over": totals.took_over, "opened": totals.opened,
    })
}

/// As an agent's file writes it.
const fn carried(transport: Transport) -> &'static str {
    match transport {
        Transport::MediaStreams => "media-streams",
        Transport::ConversationRelay => "conversation-relay",
    }
}

/// `POST /agents/check`: the text of a file, as it is. The operator's alone: an agent is built as it is for serving, with programs that
/// it names and keys of the server's environment.
pub(super) async fn check(request: Request, scope: &Scope) -> Result<Answer, Answer> {
    if scope.only().is_some() {
        let message = "agents are checked with the operator's token";
        return Err(refusal(StatusCode::FORBIDDEN, "not_allowed", message));
    }
    let body = body(request).await?;
    let text = String::from_utf8(body.to_vec()).map_err(|_| wrong("the file is not UTF-8"))?;
    if text.is_empty() {
        return Err(wrong("the body is to be the file's text, and there is none"));
    }
    // An agent is built as it is for serving, with a voice and decoders, some 100 MB of them: one at a time, and its threads are gone
    // before the next.
    let one = CHECKS.acquire().await;
    let faults = tokio::task::spawn_blocking(move || {
        // Held to the end, even if whoever asked has left.
        let _one = one;
        let faults = crate::check::faults_of(&text);
        let begun = Instant::now();
        while native_jobs() > 0 && begun.elapsed() < LOADED_WITHIN {
            std::thread::sleep(Duration::from_millis(20));
        }
        faults
    })
    .await;
    let faults =
        faults.map_err(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR, "broken", "the check broke"))?;
    Ok(as_json(StatusCode::OK, &json!({ "faults": faults })))
}

/// `POST /calls/test`: the client plays Twilio. It asks the webhook as Twilio would, with the call's key in the place of a
/// signature, and opens the document's socket with the ticket.
pub(super) async fn announce(
    request: Request,
    shared: &Arc<Shared>,
    calls: &Within<'_>,
) -> Result<Answer, Answer> {
    let body = body(request).await?;
    let wish: TestCall = if body.is_empty() { TestCall::default() } else { parse(&body)? };
    let live = shared.registry.announce(wish, calls.scope()).map_err(|why| wrong(&why))?;
    let sid = live.sid().unwrap_or_default();
    let ticket = shared.tokens.issue(&for_upgrade(&sid));
    let key = shared.tokens.issue(&for_webhooks(&sid));
    let served = shared.registry.serves(Some(&live));
    let answer = json!({
        "sid": sid, "agent": live.about.agent, "transport": carried(served.agent.transport), "from": live.about.from,
        "to": live.about.to, "webhook": format!("/voice?ref={}", live.about.reference), "ticket": ticket,
        "webhook_key": key,
    });
    let registry = Arc::clone(&shared.registry);
    tokio::spawn(async move {
        tokio::time::sleep(BEGINS_WITHIN).await;
        registry.give_up(&live);
    });
    Ok(as_json(StatusCode::CREATED, &answer))
}
