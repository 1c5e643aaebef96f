//! What Twilio says and wants: Media Streams and ConversationRelay messages, TwiML, signatures, error codes. Types and pure functions.
//!
//! - [`stream`]: the messages of Media Streams, both directions
//! - [`relay`]: the messages of ConversationRelay, both directions
//! - [`twiml`]: documents built as trees, and documents checked as Twilio would
//! - [`signature`]: who signed a request (`X-Twilio-Signature`)
//! - [`webhook`]: the form that Twilio posts
//! - [`errors`]: Twilio's error codes in plain words
//! - [`calls`]: calls as its REST API knows them
//! - [`api`]: what its REST API says when it refuses
#![forbid(unsafe_code)]

pub mod api;
pub mod calls;
pub mod errors;
mod ids;
pub mod relay;
pub mod signature;
pub mod stream;
pub mod twiml;
pub mod webhook;

pub use ids::{AccountSid, BadSid, CallSid, SessionSid, StreamSid};
