//! Calls of agents whose application answers by TwiML. Twilio asks us, we ask the application, and its document goes to Twilio with
//! one change: where it connects to `<ConversationRelay>`, the call's sound comes to us, and we are its ConversationRelay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use hyper::StatusCode;
use offhook_conversation::EndReason;
use offhook_stages::CallFacts;
use offhook_twilio::calls::PhoneNumber;
use offhook_twilio::twiml::{Connect, MIME, Noun, RelayAsked, Response, Stream, Verb, mediate};
use offhook_twilio::webhook::WebhookForm;

use super::http::{Answer, text, typed};
use super::routes::{AFTER_APP_PATH, APP_PATH, STREAM_PATH};
use super::voice::{Checked, check, parameters};
use super::{Edge, Shared};
use crate::agents::{FAILED, Webhook};
use crate::calls::live_call::LiveCall;
use crate::calls::{Expected, Served, SessionOfApp, transfer_document};

/// A session whose stream is over is torn down by then, on a machine with more to do than it can, too.
const CLOSES_WITHIN: Duration = Duration::from_secs(1);

/// Who and what a call is, as Twilio's request says.
pub(super) fn call_facts(form: &WebhookForm, agent: &str) -> CallFacts {
    let field = |name: &str| form.get(name).unwrap_or("").chars().take(256).collect::<String>();
    CallFacts {
        account: field("AccountSid"),
        from: field("From"),
        to: field("To"),
        direction: field("Direction"),
        forwarded_from: field("ForwardedFrom"),
        caller_name: field("CallerName"),
        parent: field("ParentCallSid"),
        agent: agent.to_owned(),
        tenant: String::new(),
        traceparent: String::new(),
    }
}

/// Asks the application at its webhook.
pub(super) async fn answer(
    checked: &Checked,
    call: &str,
    edge: &Edge,
    served: &Served,
    webhook: &Webhook,
) -> Answer {
    forward(checked, call, edge, (served, webhook), (&webhook.url, &checked.form)).await
}

/// What Twilio would have asked the application, and asks us: a redirect, or the action of one of its verbs.
pub(crate) async fn follow(request: Request, edge: &Edge) -> Answer {
    let shared = &edge.shared;
    let checked = match check(request, shared).await {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let (url, seal) = (checked.query.get("u").unwrap_or(""), checked.query.get("s").unwrap_or(""));
    if !shared.tokens.is_sealed(url, seal) {
        return text(StatusCode::FORBIDDEN, "this address was not made by this server\n");
    }
    let call = checked.form.get("CallSid").unwrap_or("").to_owned();
    let served = shared.registry.serves_call(&call);
    match &served.agent.webhook {
        Some(webhook) => forward(&checked, &call, edge, (&served, webhook), (url, &checked.form)).await,
        None => text(StatusCode::NOT_FOUND, "the call's agent has no application of its own\n"),
    }
}

/// A session with an application has ended: its action is asked what is next.
pub(crate) async fn after(request: Request, edge: &Edge) -> Answer {
    let shared = &edge.shared;
    let checked = match check(request, shared).await {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let call = checked.form.get("CallSid").unwrap_or("").to_owned();
    let live = shared.registry.call(&call);
    if let Some(live) = &live {
        closed(live).await;
    }
    let to = live.as_ref().and_then(|live| live.record().transferred_to.clone());
    if let (Some(live), Some(to)) = (&live, to.and_then(|to| PhoneNumber::parse(&to).ok())) {
        return typed(StatusCode::OK, MIME, transfer_document(live, &to, Some(&checked.base)).to_xml());
    }
    let expected = shared.registry.expected(&call);
    let session = expected.as_ref().and_then(|expected| expected.session.as_ref());
    let (Some(expected), Some(session)) = (&expected, session) else { return hang_up() };
    let Some(action) = &session.asked.action else { return hang_up() };
    let (ended, handoff) = live.as_ref().map_or((None, None), |live| {
        let record = live.record();
        (record.ended, record.handoff.clone())
    });
    let form = report(checked.form.clone(), session, ended, handoff.as_ref());
    match &expected.template.agent.webhook {
        Some(webhook) => forward(&checked, &call, edge, (&expected.template, webhook), (action, &form)).await,
        None => hang_up(),
    }
}

/// Waits a moment until the session is over: Twilio closes its socket to the application before it asks the action.
async fn closed(live: &LiveCall) {
    let until = Instant::now() + CLOSES_WITHIN;
    while live.record().talking && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A session's end in Twilio's fields.
fn report(
    form: WebhookForm,
    session: &SessionOfApp,
    ended: Option<EndReason>,
    handoff: Option<&serde_json::Value>,
) -> WebhookForm {
    let argument = |name: &str| handoff.and_then(|arguments| arguments.get(name));
    let failed = argument(FAILED).and_then(serde_json::Value::as_u64);
    let by_caller = matches!(ended, None | Some(EndReason::StreamStopped | EndReason::NoMedia));
    let status = match failed {
        Some(_) => "failed",
        None if by_caller => "completed",
        None => "ended",
    };
    let mut form = form
        .with("SessionId", &session.id)
        .with("SessionStatus", status)
        .with("SessionDuration", &session.began.elapsed().as_secs().to_string());
    if let Some(data) = argument(offhook_stage_api::tools::HANDOFF).and_then(serde_json::Value::as_str) {
        form = form.with("HandoffData", data);
    }
    if let Some(code) = failed {
        form = form.with("ErrorCode", &code.to_string()).with("ErrorMessage", "Websocket ended");
    }
    form
}

/// Asks the application, and makes of its document what Twilio gets.
async fn forward(
    checked: &Checked,
    call: &str,
    edge: &Edge,
    (served, webhook): (&Served, &Webhook),
    (url, form): (&str, &WebhookForm),
) -> Answer {
    let shared = &edge.shared;
    let document = match webhook.ask(url, form).await {
        Ok(document) => document,
        Err(error) => {
            tracing::error!(call, %error, "the application's webhook could not be asked");
            return sorry();
        }
    };
    // An action that has nothing to say: Twilio's own SDKs answer so.
    if document.trim().is_empty() {
        return typed(StatusCode::OK, MIME, Response::default().to_xml());
    }
    match mediated(&document, (checked, call), shared, served, url) {
        Ok((xml, asked)) => {
            if let Some(asked) = asked {
                match expect(&asked, (checked, call), shared, (served, webhook)) {
                    Ok(expected) => {
                        let agent = &expected.served.agent;
                        edge.workers.warm(agent.stages.clone(), agent.language.clone());
                    }
                    Err(error) => {
                        tracing::error!(call, "what the application's document asks for can't be: {error:#}");
                        return sorry();
                    }
                }
            }
            typed(StatusCode::OK, MIME, xml)
        }
        Err(error) => {
            tracing::error!(call, error, "the application's document can't be used");
            sorry()
        }
    }
}

fn mediated(
    document: &str,
    (checked, call): (&Checked, &str),
    shared: &Shared,
    served: &Served,
    url: &str,
) -> Result<(String, Option<RelayAsked>), String> {
    let stream = Stream::new(&checked.base.stream_url(STREAM_PATH))
        .map_err(|error| error.to_string())?
        .status_callback(&checked.base.url("/stream-status"));
    let parameters = parameters(checked, call, shared).map_err(|error| error.to_string())?;
    let stream = parameters.into_iter().fold(stream, Stream::parameter);
    let connect = |action| Connect { action, noun: Noun::Stream(stream.clone()) };
    let follow = |address: &str| {
        let encoded: String = form_urlencoded::byte_serialize(address.as_bytes()).collect();
        checked.base.url(&format!("{APP_PATH}?u={encoded}&s={}", shared.tokens.seal(address)))
    };
    let with_action = mediate(document, url, &connect(Some(checked.base.url(AFTER_APP_PATH))), follow)?;
    if with_action.relay.as_ref().is_some_and(|relay| relay.action.is_none()) {
        // Without an action Twilio goes on with the next verb, by itself.
        let without = mediate(document, url, &connect(None), follow)?;
        return Ok((without.xml, without.relay));
    }
    if with_action.relay.is_none() {
        tracing::debug!(call, agent = served.agent.name, "the application answers the call itself");
    }
    Ok((with_action.xml, with_action.relay))
}

/// Readies what serves the session that a document asks for.
fn expect(
    asked: &RelayAsked,
    (checked, call): (&Checked, &str),
    shared: &Shared,
    (template, webhook): (&Served, &Webhook),
) -> anyhow::Result<Arc<Expected>> {
    let before = shared.registry.expected(call);
    let number = before.as_ref().map_or(0, |before| before.number + u32::from(before.session.is_some()));
    let session = SessionOfApp::new(asked.clone());
    let agent = webhook.agent_for(&template.agent, asked, &session.id)?;
    let call_config = Arc::new(agent.call_config(&template.call));
    let mut facts = call_facts(&checked.form, &agent.name);
    facts.tenant = before.as_ref().map(|before| before.facts.tenant.clone()).unwrap_or_default();
    let served = Arc::new(Served { agent, call: call_config, relay: template.relay.clone() });
    let template = Arc::new(template.clone());
    let decision = before.as_ref().and_then(|before| before.decision.clone());
    let (facts, session) = (Arc::new(facts), Some(Box::new(session)));
    let expected = Expected { served, template, facts, number, session, decision };
    Ok(shared.registry.expect(call, expected))
}

fn hang_up() -> Answer {
    typed(StatusCode::OK, MIME, Response::default().then(Verb::Hangup).to_xml())
}

fn sorry() -> Answer {
    let sorry = Response::default()
        .then(Verb::Say("We are sorry, an application error has occurred. Goodbye.".into()));
    typed(StatusCode::OK, MIME, sorry.then(Verb::Hangup).to_xml())
}
