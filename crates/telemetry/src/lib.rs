//! Calls as OpenTelemetry traces, over OTLP.
//!
//! A trace is made of a call's document when the call is over, in a thread of its own: nothing of it costs a worker anything. Its ids
//! follow from the call's id, so what is sent on during the call ([`traceparent`]) fits what is exported after it.
//!
//! - `ids`: trace and span ids
//! - `spans`: a document as spans: call → turn → speech-to-text, model, text-to-speech, tools
//! - `export`: the queue, the thread, OTLP
#![forbid(unsafe_code)]

mod export;
mod ids;
mod spans;

pub use export::{Counters, Protocol, Settings, SetupError, Telemetry};
pub use ids::{span_id, trace_id, traceparent};
pub use spans::{Content, spans};
