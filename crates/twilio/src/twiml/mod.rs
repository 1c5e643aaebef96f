//! TwiML: documents built as trees, and documents checked as Twilio would check them.

mod build;
mod check;
mod mediate;
mod relay;
mod relay_language;
mod report;
mod schema;
mod values;

pub use build::{Connect, Dial, MIME, Noun, Parameter, Response, Stream, TwimlError, Verb};
pub use check::check;
pub use mediate::{Attributes, Mediated, RelayAsked, join, mediate, value};
pub use relay::{ConversationRelay, RelayOptions};
pub use relay_language::RelayLanguage;
pub use report::{Ending, Finding, RelayFound, Step, StreamFound, TwimlReport};
pub use values::{Interrupts, Sensitivity, TranscriptionProvider, TtsProvider};
