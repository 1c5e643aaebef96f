//! Which call a request to an application is made for: facts that no model can change, in a header, signed.
//!
//! `X-Offhook-Context` is a JSON object in ASCII: `call`, `from`, `to`, `direction`, `agent`, `tenant`, `language`, `parameters`, and
//! for tools `tool_call`. `X-Offhook-Signature` is `t=SECONDS,v1=HEX`: the time since 1970, and HMAC-SHA256 with the secret that both
//! sides know over five lines joined by `\n`: the time, the method, path with query, the context as it stands in its header, and
//! the body. A receiver checks it in constant time, and refuses times that are more than five minutes off.

use hmac::{Hmac, KeyInit, Mac};
use offhook_stages::CallInfo;
use serde_json::{Map, Value};
use sha2::Sha256;

use super::Secret;

/// The header with the facts.
pub const CONTEXT: &str = "x-offhook-context";
/// The header with their signature.
pub const SIGNATURE: &str = "x-offhook-signature";
/// Parameters beyond so many octets of JSON are left out: servers take some 8 kB of headers.
const LONGEST_PARAMETERS: usize = 4 * 1024;

/// The facts of a call, and what else is to be told, as they stand in [`CONTEXT`].
#[must_use]
pub fn context(call: &CallInfo, more: &[(&str, &str)]) -> String {
    let facts = &call.facts;
    let mut object = Map::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            object.insert(name.to_owned(), value.into());
        }
    };
    add("call", &call.call);
    add("from", &facts.from);
    add("to", &facts.to);
    add("direction", &facts.direction);
    add("agent", &facts.agent);
    add("tenant", &facts.tenant);
    add("language", &call.language);
    for (name, value) in more {
        add(name, value);
    }
    let parameters: Map<String, Value> =
        call.parameters.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let parameters = Value::Object(parameters);
    if ascii(&parameters).len() <= LONGEST_PARAMETERS {
        object.insert("parameters".to_owned(), parameters);
    }
    ascii(&Value::Object(object))
}

/// JSON without a character that a header may not have.
fn ascii(value: &Value) -> String {
    let mut ascii = String::new();
    for unit in value.to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(octet) if (b' '..0x7f).contains(&octet) => ascii.push(char::from(octet)),
            _ => ascii.push_str(&format!("\\u{unit:04x}")),
        }
    }
    ascii
}

/// The signature of a request at this time, as it stands in [`SIGNATURE`]. `target`: path and query.
#[must_use]
pub fn signature(
    secret: &Secret,
    unix: u64,
    (method, target): (&str, &str),
    context: &str,
    body: &[u8],
) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        return String::new(); // HMAC takes keys of any length
    };
    mac.update(format!("{unix}\n{method}\n{target}\n{context}\n").as_bytes());
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    format!("t={unix},v1={hex}")
}

/// Adds both headers to a request: the signature only where there is a secret.
pub fn identify(
    request: &mut http::Request<http_body_util::Full<bytes::Bytes>>,
    body: &[u8],
    context: &str,
    secret: Option<&Secret>,
) {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let unix =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let signature =
        secret.map(|secret| signature(secret, unix, (request.method().as_str(), &target), context, body));
    let headers = [(CONTEXT, Some(context.to_owned())), (SIGNATURE, signature)];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| http::HeaderValue::from_str(&value).ok()) {
            request.headers_mut().insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offhook_stages::CallFacts;

    use super::*;

    fn call() -> CallInfo {
        let facts = CallFacts { from: "+14155550100".into(), agent: "a".into(), ..CallFacts::default() };
        let parameters = [("näme".to_owned(), "a\"b\n🦀".to_owned())];
        CallInfo {
            call: "CA1".into(),
            language: "en-US".into(),
            facts: Arc::new(facts),
            parameters: Arc::new(parameters.into()),
            ..CallInfo::default()
        }
    }

    #[test]
    fn the_context_is_json_that_a_header_takes() {
        let text = context(&call(), &[("tool_call", "call_1")]);
        assert!(text.bytes().all(|octet| (b' '..0x7f).contains(&octet)), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["call"], &read["tool_call"]), (&"CA1".into(), &"call_1".into()));
        assert_eq!(read["parameters"]["näme"], "a\"b\n🦀");
        assert!(read.get("tenant").is_none(), "{text}");
    }

    /// The value was computed by Python's `hmac`, from the description above.
    #[test]
    fn the_signature_is_as_documented() {
        let signed = signature(
            &Secret::new("a-secret"),
            1_800_000_000,
            ("POST", "/tables?x=1"),
            r#"{"call":"CA1"}"#,
            br#"{"day":"monday"}"#,
        );
        assert_eq!(
            signed,
            "t=1800000000,v1=d7d84489fe8e9d5cec40f23a84859682aaa09def77f69f8c0d2d8ee0513bf4c8"
        );
    }
}
