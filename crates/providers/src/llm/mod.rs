//! Language models over the network, in four protocols: OpenAI's Chat Completions in all their dialects, OpenAI's Responses,
//! Anthropic's Messages and Google's Gemini. All are streamed; what is written is handed on as it comes.

mod ask;
mod call_ids;
mod clock;
mod config;
mod intake;
mod link;
mod memory;
mod messages;
mod models;
mod output;
mod prompt;
mod protocol;
mod provider;
pub mod replay;
mod run;
mod thoughts;
mod writer;

#[cfg(test)]
pub(crate) mod recorded;
#[cfg(test)]
mod tests;

pub use call_ids::CallIdFormat;
pub use clock::Clock;
pub use config::LlmConfig;
pub use link::NetworkLlm;
pub(crate) use memory::Memory;
pub(crate) use messages::{Message, messages, note, note_of};
pub use models::{ModelFacts, ModelFamily, ModelTable};
pub use prompt::Prompt;
pub use protocol::LlmProtocol;
pub use provider::LlmProvider;
