//! Dialogs without a model: intents, slots, confirmation, digression and fallback, declared in TOML.
//!
//! - `schema`: what a file may say
//! - `words`: numbers, times and days as people say them
//! - `parse`: what the caller's words fill in
//! - `order`: how that changes an order
//! - `grammar`: what the caller may say, for the recogniser
//! - `say`: how values are put into sentences
//! - `dialog`: what the agent answers; a pure function from state and words to answer and next state
//! - `report`: what came of a call that had a goal
//! - `stage`: the dialog in place of a language model (feature `stage`)
#![forbid(unsafe_code)]

mod dialog;
mod grammar;
mod number_words;
mod order;
mod parse;
#[cfg(feature = "stage")]
mod report;
mod say;
mod schema;
#[cfg(feature = "stage")]
mod stage;
mod toml_text;
mod words;

pub use dialog::{Answer, Dialog};
pub use schema::{AgentMode, AgentSection, Part, Recogniser, Script, ScriptError, Transport};
#[cfg(feature = "stage")]
pub use stage::ScriptedAgent;
pub use toml_text::toml_error;

/// The agents that come with Offhook: name and file.
pub const SHIPPED: &[(&str, &str)] = &[
    ("pizza", include_str!("../agents/pizza.toml")),
    ("booking", include_str!("../agents/booking.toml")),
    ("echo", include_str!("../agents/echo.toml")),
    ("listener", include_str!("../agents/listener.toml")),
];

/// The file of a shipped agent.
#[must_use]
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, file)| *file)
}
