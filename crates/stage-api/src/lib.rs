//! The commands of a call to its stages, and the stages' events.
//!
//! Four conversations: speech-to-text ([`SttCommand`], [`SttEvent`]), turn models ([`TurnCommand`], [`TurnEvent`]), the language
//! model or script ([`LlmCommand`], [`LlmEvent`]), and text-to-speech ([`TtsCommand`], [`TtsEvent`]). Commands and events are
//! plain data: they cross bounded queues, and go on the tape as they are. Names of built-in tools stand in [`tools`] alone.
#![forbid(unsafe_code)]

mod digits;
mod failure;
mod history;
pub mod id;
mod interruptible;
mod llm;
mod news;
mod played;
mod stt;
mod text;
mod time;
mod tool;
pub mod tools;
mod tts;
mod turn;

pub use digits::Digits;
pub use failure::{FailureKind, StageFailure};
pub use history::{Content, Delivery, Entry};
pub use id::{Generation, ReplyId, SegmentId, UtteranceId};
pub use interruptible::Interruptible;
pub use llm::{LlmCommand, LlmEvent, ReplyReason, ReplyRequest, ToolUse};
pub use news::News;
pub use offhook_audio::Key;
pub use played::Recording;
pub use stt::{AnswerKind, Expectation, SttCommand, SttEvent, Transcript};
pub use text::beginning;
pub use time::CallTime;
pub use tool::{ToolCall, ToolResult};
pub use tts::{AudioChunk, SpeakRequest, TimedWord, TtsCommand, TtsEvent};
pub use turn::{TurnCommand, TurnEvent, TurnQuestion};
