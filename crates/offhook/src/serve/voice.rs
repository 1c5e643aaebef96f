//! The webhook: a call comes in, TwiML goes out.

use std::sync::Arc;

use axum::extract::Request;
use hyper::{Method, StatusCode};
use offhook_providers::net::trace::TRACEPARENT;
use offhook_script::Transport;
use offhook_twilio::CallSid;
use offhook_twilio::twiml::{Connect, MIME, Noun, Parameter, Response, Stream, TwimlError, Verb};
use offhook_twilio::webhook::WebhookForm;

use super::address::PublicBase;
use super::http::body::{BodyError, collect};
use super::http::{Answer, text, typed};
use super::routes::STREAM_PATH;
use super::{Edge, Shared, signed};
use crate::calls::{Expected, Served};
use crate::routing::Decision;
use crate::tenants::Scope;

/// Longest form taken; Twilio's have about 1 kB.
const LONGEST_FORM: usize = 16 * 1024;
/// Most parameters; Twilio's forms have some 30.
const MOST_PARAMETERS: usize = 200;
/// Version 00 has 55 characters; later ones may have more.
const LONGEST_TRACEPARENT: usize = 128;
/// The parameter that carries the one-time token.
pub(crate) const TOKEN: &str = "token";

/// A checked request of Twilio's.
pub(super) struct Checked {
    pub(super) base: PublicBase,
    pub(super) form: WebhookForm,
    pub(super) query: WebhookForm,
    /// Whose calls it may speak of.
    pub(super) scope: Scope,
    /// The `traceparent` that it came with: from an application that stands in Twilio's place, or a proxy.
    pub(super) traceparent: String,
}

impl Checked {
    /// Our name for the call, if the URL has it: calls that we placed have one.
    pub(super) fn reference(&self) -> Option<&str> {
        self.query.get("ref")
    }
}

/// Answers a call with the stream.
pub(crate) async fn answer(request: Request, edge: &Edge) -> Answer {
    let shared = &edge.shared;
    let checked = match check(request, shared).await {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    if !shared.life.takes_calls() {
        return typed(StatusCode::OK, MIME, shared.overload.elsewhere().to_xml());
    }
    if let Some(elsewhere) = shared.overload.answer() {
        return typed(StatusCode::OK, MIME, elsewhere.to_xml());
    }
    let call = checked.form.get("CallSid").unwrap_or("");
    let live = shared.registry.spoken_of(checked.reference(), call);
    if checked.reference().is_some() && live.is_none() {
        tracing::warn!(
            call,
            "a call was answered that this server did not place, or has forgotten; it is ended"
        );
        return typed(StatusCode::OK, MIME, Response::default().then(Verb::Hangup).to_xml());
    }
    let mut facts = super::app_webhook::call_facts(&checked.form, "");
    facts.traceparent.clone_from(&checked.traceparent);
    let (served, decision) = match live.as_deref() {
        Some(live) => {
            facts.tenant = live.tenant();
            (shared.registry.serves(Some(live)), Decision::default())
        }
        None => match super::route::admit(call, &mut facts, &checked, shared).await {
            Ok(routed) => routed,
            Err(words) => {
                let instead = Response::default().then(Verb::Say(words)).then(Verb::Hangup);
                return typed(StatusCode::OK, MIME, instead.to_xml());
            }
        },
    };
    facts.agent.clone_from(&served.agent.name);
    if let Some(webhook) = &served.agent.webhook {
        // What it was routed by holds for the application's sessions, too.
        shared.registry.expect(call, Expected::plain(Arc::clone(&served), facts, decision));
        return super::app_webhook::answer(&checked, call, edge, &served, webhook).await;
    }
    shared.registry.expect(call, Expected::plain(Arc::clone(&served), facts, decision));
    // The stream comes in a moment: until then the connections to the providers can be opened.
    edge.workers.warm(served.agent.stages.clone(), served.agent.language.clone());
    match document(&checked, call, shared, (&served, 0)) {
        Ok(document) => typed(StatusCode::OK, MIME, document.to_xml()),
        Err(error) => {
            tracing::error!(call, %error, "a call can't be answered; is `public_url` right?");
            let apology =
                Response::default().then(Verb::Say("We are sorry, this number is not ready.".into()));
            typed(StatusCode::OK, MIME, apology.then(Verb::Hangup).to_xml())
        }
    }
}

/// Connects a call to its agent.
pub(super) fn document(
    checked: &Checked,
    call: &str,
    shared: &Shared,
    (served, again): (&Served, u32),
) -> Result<Response, TwimlError> {
    let connect = match served.agent.transport {
        Transport::MediaStreams => {
            let stream = Stream::new(&checked.base.stream_url(STREAM_PATH))?
                .status_callback(&checked.base.url("/stream-status"));
            let stream = parameters(checked, call, shared)?.into_iter().fold(stream, Stream::parameter);
            let action = checked.base.url(&format!("/after-stream?again={again}"));
            Connect { action: Some(action), noun: Noun::Stream(stream) }
        }
        Transport::ConversationRelay => super::relay::connect(checked, call, shared, (served, again))?,
    };
    Ok(Response::default().then(Verb::Connect(connect)).then(Verb::Hangup))
}

/// Call context for the socket, and the token that binds it to the call.
pub(super) fn parameters(
    checked: &Checked,
    call: &str,
    shared: &Shared,
) -> Result<Vec<Parameter>, TwimlError> {
    let mut parameters = Vec::new();
    if let Some(token) = shared.tokens.issue(call) {
        parameters.push(Parameter::new(TOKEN, &token)?);
    }
    for (name, field) in [("from", "From"), ("to", "To"), ("direction", "Direction")] {
        // A value too long to be a number is of no use; the call is.
        parameters.extend(checked.form.get(field).and_then(|value| Parameter::new(name, value).ok()));
    }
    Ok(parameters)
}

/// Reads a request of Twilio's, and judges its signature.
pub(super) async fn check(request: Request, shared: &Shared) -> Result<Checked, Answer> {
    let (head, body) = request.into_parts();
    // Without a signature nothing of the body is read.
    let shown = signed::shown(&head.headers, &head.extensions, shared)?;
    let Some(base) = PublicBase::of(shared.public_url.as_deref(), &head.headers, &head.extensions) else {
        return Err(text(StatusCode::BAD_REQUEST, "the request names no host\n"));
    };
    let body = match collect(body, LONGEST_FORM).await {
        Ok(body) => body,
        Err(BodyError::TooLong) => {
            return Err(text(StatusCode::PAYLOAD_TOO_LARGE, "the form is longer than 16 kB\n"));
        }
        Err(error) => return Err(text(StatusCode::REQUEST_TIMEOUT, format!("{error}\n"))),
    };
    let posted = head.method == Method::POST;
    let encoded = if posted { &body[..] } else { head.uri.query().unwrap_or("").as_bytes() };
    if encoded.iter().filter(|octet| **octet == b'&').count() >= MOST_PARAMETERS {
        let message = format!("the form has more than {MOST_PARAMETERS} parameters\n");
        return Err(text(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let form = WebhookForm::parse(encoded);
    let scope = signed::check(shown, &head, &base, posted.then_some(&form), &body, shared)?;
    // What follows from the answer, such as a stream, is waited for before the server ends.
    shared.calls.touch();
    if form.get("CallSid").is_some_and(|sid| CallSid::parse(sid).is_err()) {
        return Err(text(StatusCode::BAD_REQUEST, "CallSid is no call's SID\n"));
    }
    let query = WebhookForm::parse(head.uri.query().unwrap_or("").as_bytes());
    let sid = form.get("CallSid").unwrap_or("");
    if shared.registry.is_anothers(&scope, query.get("ref"), sid) {
        tracing::warn!(
            call = sid,
            tenant = scope.tenant(),
            "a tenant's account spoke of a call that is another's"
        );
        return Err(text(StatusCode::FORBIDDEN, "this call is not of the account that signed\n"));
    }
    let traceparent = head.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let traceparent = traceparent.chars().take(LONGEST_TRACEPARENT).collect();
    Ok(Checked { base, form, query, scope, traceparent })
}
