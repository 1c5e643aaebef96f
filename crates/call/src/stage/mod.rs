//! What the call tells its stages, and what the stages tell the call.
//!
//! Four conversations: speech-to-text ([`SttCommand`], [`SttEvent`]), turn models ([`TurnCommand`], [`TurnEvent`]), the language
//! model or script ([`LlmCommand`], [`LlmEvent`]), and text-to-speech ([`TtsCommand`], [`TtsEvent`]). Commands and events are
//! plain data: they cross bounded queues, and go on the tape as they are.

mod digits;
mod failure;
mod llm;
mod stt;
mod tool;
mod tts;
mod turn;

pub use digits::Digits;
pub use failure::{FailureKind, StageFailure};
pub use llm::{LlmCommand, LlmEvent, Party, ReplyReason, ReplyRequest, Turn};
pub use stt::{AnswerKind, Expectation, SttCommand, SttEvent, Transcript};
pub use tool::{ToolCall, ToolResult};
pub use tts::{AudioChunk, SpeakRequest, TimedWord, TtsCommand, TtsEvent};
pub use turn::{TurnCommand, TurnEvent, TurnQuestion};
