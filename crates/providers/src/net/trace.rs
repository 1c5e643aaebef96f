//! `traceparent` (W3C Trace Context) in what is requested for a call of applications: tools, servers, webhooks. Whoever exports traces
//! says what it is; without that none is sent. Providers get none: they are others' machines.

use std::sync::OnceLock;

/// The name of the header.
pub const TRACEPARENT: &str = "traceparent";

type Of = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

static OF: OnceLock<Of> = OnceLock::new();

/// Calls are traced: `of` gives a call's `traceparent`. Only the first counts.
pub fn install(of: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
    OF.get_or_init(|| Box::new(of));
}

/// The `traceparent` of what is requested for this call, if calls are traced.
#[must_use]
pub fn traceparent(call: &str) -> Option<String> {
    OF.get().filter(|_| !call.is_empty())?(call)
}

/// The call's trace in hexadecimal, if the call is traced.
#[must_use]
pub fn trace_id(call: &str) -> Option<String> {
    let header = traceparent(call)?;
    let (rest, flags) = header.rsplit_once('-')?;
    (flags == "01").then(|| rest.split('-').nth(1).map(str::to_owned)).flatten()
}

/// Adds it to a request.
pub fn add<B>(request: &mut http::Request<B>, call: &str) {
    if let Some(value) = traceparent(call).and_then(|value| http::HeaderValue::from_str(&value).ok()) {
        request.headers_mut().insert(TRACEPARENT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_for_a_call_have_its_traceparent() {
        install(|call| (call == "CA1").then(|| format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16))));
        let mut request = http::Request::new(());
        add(&mut request, "CA2");
        add(&mut request, "");
        assert!(request.headers().is_empty());
        add(&mut request, "CA1");
        assert!(request.headers()[TRACEPARENT].to_str().unwrap().starts_with("00-aaaa"));
        assert_eq!(trace_id("CA1"), Some("a".repeat(32)));
        assert_eq!(trace_id("CA2"), None);
    }
}
