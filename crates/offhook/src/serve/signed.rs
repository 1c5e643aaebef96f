//! Whether Twilio asks: signatures of webhooks and sockets.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue};
use hyper::http::Extensions;
use hyper::http::request::Parts;
use offhook_twilio::signature::{Refused, Signed};
use offhook_twilio::webhook::WebhookForm;

use super::Shared;
use super::address::PublicBase;
use super::http::{Answer, Conn, text};
use super::proxies::Passed;
use crate::tenants::Scope;

/// Header that a test call's client has in the place of a signature: the call's SID, a dot, and the key of `POST /calls/test`.
pub(crate) const TEST_CALL: &str = "x-offhook-test-call";
/// Of an address that strangers chose so much is logged.
const LOGGED: usize = 200;

/// What a request shows for who sent it.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// Enough: nothing is checked, or it has a token of the API's. Whoever has one may reach into calls anyway: a test call's client,
    /// which plays Twilio, can sign nothing.
    Known(Scope),
    /// The key of a test call: enough to speak of that call.
    TestCall(String, Scope),
    /// A signature, which is to be checked.
    Signed(Signed),
}

/// What a request shows, before anything else of it is read.
pub(super) fn shown(headers: &HeaderMap, extensions: &Extensions, shared: &Shared) -> Result<Shown, Answer> {
    if shared.keys.load().is_empty() {
        return Ok(Shown::Known(Scope::Operator));
    }
    if let Some(scope) = shared.api.as_ref().and_then(|api| api.opens(headers)) {
        return Ok(Shown::Known(scope));
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some((call, key)) = header(TEST_CALL).and_then(|value| value.split_once('.'))
        && let Some(live) = shared.registry.call(call)
        && shared.tokens.is_of(key, &for_webhooks(call))
    {
        let tenant = live.tenant();
        let scope = if tenant.is_empty() { Scope::Operator } else { Scope::Tenant(tenant.into()) };
        return Ok(Shown::TestCall(call.to_owned(), scope));
    }
    Signed::read(header("x-twilio-signature"), header("x-twilio-webhooks-signature-settings"))
        .map(Shown::Signed)
        .map_err(|why| refuse(why, "", headers, extensions, shared))
}

/// Checks a webhook's signature. Gives whose calls it may speak of.
pub(super) fn check(
    shown: Shown,
    head: &Parts,
    base: &PublicBase,
    form: Option<&WebhookForm>,
    body: &[u8],
    shared: &Shared,
) -> Result<Scope, Answer> {
    let scope = match shown {
        Shown::Known(scope) => scope,
        Shown::TestCall(call, scope) if form.and_then(|form| form.get("CallSid")) == Some(&*call) => scope,
        Shown::TestCall(..) => {
            return Err(text(StatusCode::FORBIDDEN, "the key of a test call speaks of that call alone\n"));
        }
        Shown::Signed(signed) => {
            let url = base.url(target(head.uri.path_and_query()));
            let params = form.map_or(&[][..], WebhookForm::params);
            let outcome = shared.keys.load().check(&signed, &url, params, Some(body));
            outcome.map_err(|why| refuse(why, &url, &head.headers, &head.extensions, shared))?
        }
    };
    known(&head.extensions);
    Ok(scope)
}

/// Checks the signature of a WebSocket's upgrade.
pub(super) fn check_upgrade(
    request: &axum::extract::Request,
    base: Option<&PublicBase>,
    shared: &Shared,
) -> Result<(), Answer> {
    let (headers, extensions) = (request.headers(), request.extensions());
    if let Some((call, ticket)) = ticket(request.uri().query().unwrap_or("")) {
        let redeemed = shared.tokens.redeem(ticket, &for_upgrade(call));
        return redeemed.map(|()| known(extensions)).map_err(|why| {
            shared.metrics.tokens_refused.inc();
            let (within, _) = failed(headers, extensions, shared);
            let answer = text(StatusCode::FORBIDDEN, format!("the ticket is not valid: {why}\n"));
            if within { answer } else { beyond_budget(answer) }
        });
    }
    // Which call it is for, the token of its first message tells, which its signed webhook was answered with.
    let shown = shown(headers, extensions, shared)?;
    if let Shown::TestCall(..) = shown {
        return Err(text(StatusCode::FORBIDDEN, "a test call's socket needs its ticket\n"));
    }
    if let Shown::Signed(signed) = shown {
        let url = base.map(|base| base.url(target(request.uri().path_and_query()))).unwrap_or_default();
        let outcome = shared.keys.load().check_upgrade(&signed, &url);
        outcome.map_err(|why| refuse(why, &url, headers, extensions, shared))?;
    }
    known(extensions);
    Ok(())
}

/// What a test call's ticket is bound to. A browser can give its WebSockets no header: in the place of a signature they have a
/// ticket in the query, good once, for a minute.
pub(crate) fn for_upgrade(call: &str) -> String {
    format!("the socket of {call}")
}

/// What the key of a test call's webhooks is bound to.
pub(crate) fn for_webhooks(call: &str) -> String {
    format!("the webhooks of {call}")
}

/// A test call and its ticket, of a query.
fn ticket(query: &str) -> Option<(&str, &str)> {
    let of = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    Some((of("call")?, of("ticket")?))
}

fn target(target: Option<&hyper::http::uri::PathAndQuery>) -> &str {
    target.map_or("/", |target| target.as_str())
}

/// The connection may stay: its peer has shown credentials, or none are asked for.
pub(crate) fn known(extensions: &Extensions) {
    if let Some(conn) = extensions.get::<Arc<Conn>>() {
        conn.is_known();
    }
}

/// Who asks: the client of a trusted proxy, else the peer.
fn client(headers: &HeaderMap, extensions: &Extensions, shared: &Shared) -> IpAddr {
    let Some(conn) = extensions.get::<Arc<Conn>>() else { return Ipv4Addr::UNSPECIFIED.into() };
    let behind = || Passed::read(headers).client(|address| shared.http.trusts(address));
    if conn.is_proxy { behind().unwrap_or(conn.peer) } else { conn.peer }
}

/// One failure more of this peer. Gives whether it is still within its budget, and who it is.
pub(crate) fn failed(headers: &HeaderMap, extensions: &Extensions, shared: &Shared) -> (bool, IpAddr) {
    let peer = client(headers, extensions, shared);
    (shared.failures.count(peer), peer)
}

/// An answer to a peer that is beyond its budget of failures: the same, and its connection is closed.
pub(crate) fn beyond_budget(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn refuse(why: Refused, url: &str, headers: &HeaderMap, extensions: &Extensions, shared: &Shared) -> Answer {
    shared.metrics.signatures_refused.inc();
    let answer = text(StatusCode::FORBIDDEN, format!("the signature is not valid: {why}\n"));
    let (within, peer) = failed(headers, extensions, shared);
    if !within {
        return beyond_budget(answer);
    }
    let url: String = url.chars().take(LOGGED).collect();
    tracing::warn!(
        %peer,
        url,
        "a request was refused: {why}. If it was Twilio's, set `public_url` to the address in Twilio's console or in the TwiML"
    );
    answer
}
