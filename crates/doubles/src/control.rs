//! `/_doubles/…`: setting faults and looking at requests over HTTP, for who is not in the same process.

use hyper::{Method, Response};

use crate::fault::FaultRule;
use crate::http::{Body, whole};
use crate::state::State;

/// Answers, if the path is one of control.
pub(crate) fn answer(method: &Method, path: &str, body: &[u8], state: &State) -> Option<Response<Body>> {
    let json = |status, value: &serde_json::Value| whole(status, "application/json", value.to_string());
    let trouble = |status, what: &str| json(status, &serde_json::json!({"error": what}));
    Some(match (path.strip_prefix("/_doubles")?, method) {
        ("/fault", &Method::GET) => json(200, &serde_json::json!(state.faults(|plan| plan.rules()))),
        ("/fault", &Method::POST) => match serde_json::from_slice::<FaultRule>(body) {
            Ok(rule) => {
                state.faults(|plan| plan.add(rule));
                json(200, &serde_json::json!(state.faults(|plan| plan.rules())))
            }
            Err(error) => trouble(400, &format!("not a fault: {error}")),
        },
        ("/fault", &Method::DELETE) => {
            state.faults(|plan| plan.clear(None));
            json(200, &serde_json::json!([]))
        }
        ("/seen", &Method::GET) => json(
            200,
            &serde_json::json!({"connections": state.record.connections(), "requests": state.record.all()}),
        ),
        ("/fault" | "/seen", _) => trouble(405, "this address takes another method"),
        _ => {
            trouble(404, "control is at /_doubles/fault (GET, POST a rule, DELETE) and /_doubles/seen (GET)")
        }
    })
}
