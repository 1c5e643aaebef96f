//! TwiML: documents built as trees, and documents checked as Twilio would check them.

mod build;
mod check;

pub use build::{Connect, MIME, Parameter, Response, Stream, TwimlError, Verb};
pub use check::{Finding, StreamFound, TwimlReport, check};
