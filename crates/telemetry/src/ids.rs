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

/// A `traceparent` from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) sampled: bool,
}

impl Parent {
    /// Reads the header (W3C Trace Context, version 00, and what later versions have in common with it).
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !(hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2)) {
            return None;
        }
        let parent = Self {
            trace: TraceId::from_hex(trace).ok()?,
            span: SpanId::from_hex(span).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (parent.trace != TraceId::INVALID && parent.span != SpanId::INVALID).then_some(parent)
    }
}

/// The id of the call's own span, in hexadecimal.
#[must_use]
pub fn span_id(call: &str) -> String {
    span(call, "").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_from_outside_are_read_or_left() {
        let header = traceparent("CA1", true);
        let parent = Parent::parse(&header).unwrap();
        assert_eq!((parent.trace, parent.span, parent.sampled), (trace("CA1"), span("CA1", ""), true));
        for wrong in [
            "",
            "00",
            &header[3..],
            &header.to_uppercase(),
            "00-00000000000000000000000000000000-0000000000000001-01",
        ] {
            assert_eq!(Parent::parse(wrong), None, "{wrong}");
        }
    }

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
