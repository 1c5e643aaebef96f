//! Examines a voice server from outside, as Twilio would see it: why does a call say that an application error has occurred, or
//! stay silent?
//!
//! [`examine`] goes Twilio's way, one step after the other: name, address, TLS, the webhook, its TwiML, signatures, the stream's
//! WebSocket, and a short call. What it finds are [`Finding`]s, each with one of the [`causes`], Twilio's code if Twilio would
//! tell one, and a fix. [`notifications`] explains what Twilio itself noted about a call.
#![forbid(unsafe_code)]

mod afterwards;
mod call;
pub mod causes;
mod certificate;
mod connect;
mod dial;
mod document;
mod examine;
mod finding;
mod limits;
pub mod notifications;
mod relay;
mod text;
mod tree;
mod upgrade;
mod webhook;

pub use examine::{Options, examine};
pub use finding::{Check, Finding, Report, Severity};
pub use limits::Limits;
