//! The API: calls are placed, watched and reached into. Described in `openapi.json`, which a test holds to the table of routes.

#[allow(clippy::result_large_err, reason = "one answer a request, and most are no errors")]
mod calls;
#[allow(clippy::result_large_err, reason = "one answer a request, and most are no errors")]
mod events;
#[allow(clippy::result_large_err, reason = "one answer a request, and most are no errors")]
mod history;
mod limits;
#[allow(clippy::result_large_err, reason = "one answer a request, and most are no errors")]
mod listen;
mod sign_in;
#[allow(clippy::result_large_err, reason = "one answer a request, and most are no errors")]
mod speech;
#[allow(clippy::result_large_err, reason = "one answer a request, and most are no errors")]
mod tapes;
#[allow(clippy::result_large_err, reason = "one answer a request, and most are no errors")]
mod test_call;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::Request;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::Extensions;
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::config::Config;
use crate::serve::Shared;
use crate::serve::http::{Answer, Conn, typed};
use crate::serve::routes::Does;
use crate::serve::signed;
use crate::tenants::Scope;
use limits::{Bucket, Remembered};
pub(crate) use sign_in::SignInConfig;
use sign_in::{Person, SignIn};

/// The API's description, OpenAPI 3.1.
pub(crate) const DESCRIPTION: &str = include_str!("openapi.json");

/// `[api]`: who may place calls and reach into them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApiConfig {
    /// Environment variable that holds the token. Default `OFFHOOK_API_TOKEN`. Without a token there is no API.
    pub(crate) token_env: String,
    /// File that holds the token; comes before the variable.
    pub(crate) token_file: Option<PathBuf>,
    /// Requests with the token a second at most; as many again at once. Default 20.
    pub(crate) requests_per_second: f64,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { token_env: "OFFHOOK_API_TOKEN".to_owned(), token_file: None, requests_per_second: 20.0 }
    }
}

/// What stands before the API. `Debug` doesn't show the tokens.
pub(crate) struct Api {
    /// The operator's and the tenants', of those who have a token or people who may be signed in.
    doors: Vec<Door>,
    sign_in: ArcSwap<SignIn>,
    voice: speech::Speaker,
}

/// What opens by one token, and to people of one scope: how much they may ask, and what they asked before, are nobody else's business.
struct Door {
    scope: Scope,
    /// The header's whole value; `None`: no token opens it.
    bearer: ArcSwap<Option<String>>,
    requests: Bucket,
    placing: Bucket,
    remembered: Arc<Remembered>,
}

impl Door {
    fn new(scope: Scope, token: Option<&str>, requests_per_second: f64, calls_per_second: f64) -> Self {
        Self {
            scope,
            bearer: ArcSwap::from_pointee(token.map(|token| format!("Bearer {token}"))),
            requests: Bucket::new(requests_per_second),
            placing: Bucket::new(calls_per_second),
            remembered: Arc::default(),
        }
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api(•)")
    }
}

impl Api {
    /// With the operator's token and those of tenants. `None`: there is no token and nobody can be signed in, so there is no API.
    pub(crate) fn new(own: Option<&str>, tenants: &[(Arc<str>, String)], config: &Config) -> Option<Self> {
        let sign_in = SignIn::new(config);
        let opens = |scope: &Scope, token: Option<&str>| token.is_some() || sign_in.has(scope);
        let operator = opens(&Scope::Operator, own).then(|| {
            let rates = (config.api.requests_per_second, config.outbound.calls_per_second);
            Door::new(Scope::Operator, own, rates.0, rates.1)
        });
        let tenants = config.tenants.iter().filter_map(|table| {
            let scope = Scope::Tenant(table.name.as_str().into());
            let token = tenants.iter().find(|(of, _)| **of == *table.name).map(|(_, token)| token.as_str());
            let rates = (table.requests_per_second, table.outbound.calls_per_second);
            opens(&scope, token).then(|| Door::new(scope, token, rates.0, rates.1))
        });
        let doors: Vec<Door> = operator.into_iter().chain(tenants).collect();
        let sign_in = ArcSwap::from_pointee(sign_in);
        (!doors.is_empty()).then(|| Self { doors, sign_in, voice: speech::Speaker::default() })
    }

    /// By the token.
    fn door(&self, headers: &HeaderMap) -> Option<&Door> {
        let given = headers.get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        // All are compared, each in the same time: how long it takes tells nothing of any.
        let fits = |door: &&Door| {
            door.bearer
                .load()
                .as_ref()
                .as_ref()
                .is_some_and(|bearer| bool::from(bearer.as_bytes().ct_eq(given)))
        };
        self.doors.iter().fold(None, |found, door| if fits(&door) { Some(door) } else { found })
    }

    /// By the token, else by whom a proxy has signed in, who is named then.
    fn enter(&self, headers: &HeaderMap, extensions: &Extensions) -> Entry<'_> {
        if let Some(door) = self.door(headers) {
            return Entry::In(door, None);
        }
        let peer: Option<IpAddr> = extensions.get::<Arc<Conn>>().map(|conn| conn.peer.to_canonical());
        match self.sign_in.load().person(headers, peer) {
            Person::Nobody => Entry::Unknown,
            Person::Unlisted(name) => Entry::Unlisted(name),
            Person::Listed(name, scope) => match self.doors.iter().find(|door| door.scope == scope) {
                Some(door) => Entry::In(door, Some(name)),
                None => Entry::Unlisted(name),
            },
        }
    }

    /// How far the token of a request reaches; `None` if it is none of ours.
    pub(crate) fn opens(&self, headers: &HeaderMap) -> Option<Scope> {
        self.door(headers).map(|door| door.scope.clone())
    }

    /// Whether a request has credentials: no page that somebody was led to has.
    pub(crate) fn knows(&self, headers: &HeaderMap, extensions: &Extensions) -> bool {
        matches!(self.enter(headers, extensions), Entry::In(..))
    }

    /// Other tokens open from now on, and other people. Whoever had no token gets none: that changes only with a restart.
    pub(crate) fn renew(&self, own: Option<&str>, tenants: &[(Arc<str>, String)], config: &Config) {
        self.sign_in.store(Arc::new(SignIn::new(config)));
        for door in &self.doors {
            let token = match &door.scope {
                Scope::Operator => own,
                Scope::Tenant(name) => {
                    tenants.iter().find(|(of, _)| of == name).map(|(_, token)| token.as_str())
                }
            };
            if let Some(token) = token {
                door.bearer.store(Arc::new(Some(format!("Bearer {token}"))));
            }
        }
    }
}

/// What became of a request at the doors.
enum Entry<'a> {
    /// Within, and the name of whom a proxy has signed in.
    In(&'a Door, Option<String>),
    /// Signed in, but in no list.
    Unlisted(String),
    Unknown,
}

/// An answer of JSON.
fn as_json(status: StatusCode, body: &Value) -> Answer {
    typed(status, "application/json", body.to_string())
}

/// The answer where no call can be: what stands in the place of its SID is none.
pub(crate) fn no_such_call() -> Answer {
    refusal(StatusCode::NOT_FOUND, "unknown", "there is no such call: this is no SID")
}

/// A refusal: a word for programs, and one for people.
fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    as_json(status, &json!({ "error": { "code": code, "message": message } }))
}

fn too_many(wait: std::time::Duration, what: &str) -> Answer {
    let mut answer = refusal(StatusCode::TOO_MANY_REQUESTS, "too_many", what);
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    if let Ok(value) = HeaderValue::from_str(&format!("{seconds:.0}")) {
        answer.headers_mut().insert(RETRY_AFTER, value);
    }
    answer
}

/// The answer to a request without credentials.
fn unknown(request: &Request, shared: &Shared) -> Answer {
    let mut answer =
        refusal(StatusCode::UNAUTHORIZED, "token", "send `Authorization: Bearer …` with the API's token");
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    shared.metrics.tokens_refused.inc();
    let (within, peer) = signed::failed(request.headers(), request.extensions(), shared);
    if !within {
        return signed::beyond_budget(answer);
    }
    tracing::warn!(%peer, "a request to the API was refused: it does not have the token");
    answer
}

/// Answers a request to the API.
pub(crate) async fn answer(request: Request, does: Does, sid: &str, shared: &Arc<Shared>) -> Answer {
    let Some(api) = &shared.api else {
        let hint = "the API is off: set OFFHOOK_API_TOKEN, `token_file` in [api], or [sign_in], and restart the server";
        return refusal(StatusCode::NOT_FOUND, "off", hint);
    };
    let (door, person) = match api.enter(request.headers(), request.extensions()) {
        Entry::In(door, person) => (door, person),
        Entry::Unlisted(name) => {
            let hint =
                "you are signed in, but not listed in `operators` of [sign_in] or `users` of a [[tenant]]";
            return refusal(StatusCode::FORBIDDEN, "not_listed", &format!("{name}: {hint}"));
        }
        Entry::Unknown => return unknown(&request, shared),
    };
    signed::known(request.extensions());
    if let Err(wait) = door.requests.take() {
        return too_many(wait, "more requests than `requests_per_second` in [api] lets through");
    }
    // All that is done from here on sees what the token may see.
    let calls = shared.registry.within(&door.scope);
    let outcome = match does {
        Does::Place if !shared.life.takes_calls() => {
            let message = "the server is about to stop: no new calls are placed";
            Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "stopping", message))
        }
        Does::TestCall if !shared.life.takes_calls() => Err(refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "the server is about to stop: it takes no new calls",
        )),
        Does::Server => Ok(test_call::server(shared, &calls, person.as_deref())),
        Does::CheckAgent => test_call::check(request, &door.scope).await,
        Does::TestCall => test_call::announce(request, shared, &calls).await,
        Does::Tape => tapes::story(sid, &calls).await,
        Does::TapeSound => tapes::sound(sid, &calls).await,
        Does::WhatIf => tapes::what_if(request, sid, &calls).await,
        Does::Speak => speech::speak(request, &api.voice).await,
        Does::Listen => listen::stream(sid, &calls),
        Does::Place => calls::place(request, door, shared).await,
        Does::List => calls::list(request.uri().query(), &calls),
        Does::Show => calls::show(sid, &calls).await,
        Does::End => calls::end(request.uri().query(), sid, &calls).await,
        Does::Say => calls::say(request, sid, &calls).await,
        Does::TakeOver => calls::take_over(request, sid, &calls).await,
        Does::Transfer => calls::transfer(request, sid, &calls).await,
        Does::Press => calls::press(request, sid, &calls).await,
        Does::Events => events::stream(sid, &calls),
        Does::History => history::list(request.uri().query(), &calls).await,
        Does::Document => history::show(sid, &calls).await,
        Does::Delete => history::delete(sid, &calls).await,
        Does::Recording => history::recording(sid, &calls).await,
        Does::Report => history::report(request.uri().query(), &calls).await,
        Does::DeleteNumber => history::delete_number(request, &calls).await,
        Does::AllEvents => Ok(events::stream_of_all(&calls)),
        _ => Err(refusal(StatusCode::NOT_FOUND, "unknown", "this is no address of the API")),
    };
    outcome.unwrap_or_else(|refusal| refusal)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::routing::MethodFilter;

    use super::*;
    use crate::serve::routes::ROUTES;

    #[test]
    fn the_description_tells_of_every_address_of_the_api_and_no_other() {
        let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        assert_eq!(description["openapi"], "3.1.0");
        let mut told = BTreeSet::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if method == "parameters" {
                    continue;
                }
                assert!(operation["operationId"].is_string(), "{method} {path}");
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let told = answer["description"].is_string() || answer["$ref"].is_string();
                    assert!(told, "{method} {path} {status}");
                }
                told.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let api = ROUTES.iter().filter(|route| route.does.is_api() || route.does == Does::OpenApi);
        let real: BTreeSet<String> = api
            .flat_map(|route| {
                let all = [
                    (MethodFilter::GET, "GET"),
                    (MethodFilter::POST, "POST"),
                    (MethodFilter::DELETE, "DELETE"),
                ];
                let own = all.into_iter().filter(|(method, _)| route.methods.or(*method) == route.methods);
                own.map(|(_, method)| format!("{method} {}", route.path))
            })
            .collect();
        assert_eq!(told, real);
    }

    #[test]
    fn references_of_the_description_lead_somewhere() {
        fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| walk(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let mut found = Vec::new();
        walk(&description, &mut found);
        assert!(found.len() > 5);
        for reference in found {
            assert!(description.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_document_of_a_call_is_described_as_the_store_writes_it() {
        let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let mut schema = offhook_store::schema();
        schema.as_object_mut().unwrap().remove("$schema");
        let ours = schema.to_string().replace("#/$defs/", "#/components/schemas/Document/$defs/");
        let ours: Value = serde_json::from_str(&ours).unwrap();
        assert_eq!(description["components"]["schemas"]["Document"], ours);
    }

    #[test]
    fn only_a_token_opens_as_far_as_it_reaches() {
        let config = Config::parse("[[tenant]]\nname = \"blue\"\n").unwrap();
        let tokens = [("blue".into(), "fedcba9876543210".to_owned())];
        let api = Api::new(Some("0123456789abcdef"), &tokens, &config).unwrap();
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            api.opens(&headers)
        };
        assert_eq!(with("Bearer 0123456789abcdef"), Some(Scope::Operator));
        assert_eq!(with("Bearer fedcba9876543210"), Some(Scope::Tenant("blue".into())));
        assert_eq!(
            (with("Bearer 0123456789abcdeg"), with("Bearer "), api.opens(&HeaderMap::new())),
            (None, None, None)
        );
        assert!(!format!("{api:?}").contains("0123"));
        api.renew(None, &[("blue".into(), "another-token-0123".to_owned())], &config);
        assert_eq!(
            (with("Bearer fedcba9876543210"), with("Bearer another-token-0123").is_some()),
            (None, true)
        );
        assert!(Api::new(None, &[], &config).is_none());
        // Who is let in by a proxy alone is let in by no token: not by a blank one either.
        let people = "[sign_in]\nproxies = [\"10.0.0.1\"]\noperators = [\"ann\"]\n";
        let api = Api::new(None, &[], &Config::parse(people).unwrap()).unwrap();
        assert_eq!(api.opens(&HeaderMap::new()), None);
    }
}
