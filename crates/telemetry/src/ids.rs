//! Ids that follow from the call's: they are known from its beginning, and need not be kept.

use opentelemetry::trace::{SpanId, TraceId};
use sha2::{Digest, Sha256};

fn hash(call: &str, what: &str) -> [u8; 32] {
    // A `CallSid` is drawn at random by the carrier, 128 bits of it.
    Sha256::new().chain_update(what).chain_update([0]).chain_update(call).finalize().into()
}

pub(crate) fn trace(call: &str) -> TraceId {
    let hash = hash(call, "trace");
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    TraceId::from_bytes(id)
}

/// Of a span of the call: `""` is the call itself.
pub(crate) fn span(call: &str, name: &str) -> SpanId {
    let hash = hash(call, &format!("span {name}"));
    let mut id = [0; 8];
    id.copy_from_slice(&hash[..8]);
    SpanId::from_bytes(id)
}

/// The call's trace id, in hexadecimal: in its document, and in log lines.
#[must_use]
pub fn trace_id(call: &str) -> String {
    trace(call).to_string()
}

/// The `traceparent` header (W3C Trace Context) to send with what is requested for this call: the call itself is the parent.
#[must_use]
pub fn traceparent(call: &str, sampled: bool) -> String {
    format!("00-{}-{}-{:02x}", trace(call), span(call, ""), u8::from(sampled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_the_form_of_w3c() {
        let header = traceparent("CA1", true);
        let parts: Vec<&str> = header.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2]);
        assert!(header.ends_with("-01") && traceparent("CA1", false).ends_with("-00"));
        assert_eq!(parts[1], trace_id("CA1"));
        assert_ne!(trace_id("CA1"), trace_id("CA2"));
    }
}
