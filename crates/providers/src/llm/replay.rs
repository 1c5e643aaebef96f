//! Recorded answers of language models, read as those of a live one are: for tests, and to find out what an unknown server's answer
//! becomes.

use std::sync::Arc;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmEvent, ReplyReason, ReplyRequest, StageFailure, ToolCall, ToolUse};
use offhook_stages::{StageError, Tx, Usage, WhenFull, bounded};

use super::intake::Intake;
use super::memory::Memory;
use super::protocol::LlmProtocol;
use super::writer::Writer;

/// What an answer came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The words that a call would hear.
    pub text: String,
    /// The tools that it would use.
    pub tools: Vec<ToolCall>,
    /// What is billed.
    pub usage: Usage,
    /// How many of the tool calls have something kept that goes back with their results: signed or encrypted thoughts.
    pub kept: usize,
    /// Why it failed.
    pub failure: Option<StageFailure>,
}

/// Reads an answer that comes in these pieces.
pub async fn replay<'a>(protocol: LlmProtocol, pieces: impl Iterator<Item = &'a [u8]>) -> Replay {
    let (events, got) = bounded(64, WhenFull::PushBack);
    let memory = Memory::default();
    let request = ReplyRequest {
        reply: ReplyId(1),
        reason: ReplyReason::Greeting,
        history: Vec::new(),
        language: None,
        tools: ToolUse::Auto,
        speculative: false,
    };
    let mut writer = Writer::new(&request, protocol.reader(STAGE), STAGE, memory.clone(), Arc::default());
    let write = write(&mut writer, pieces, events);
    let collect = async {
        let (mut text, mut tools) = (String::new(), Vec::new());
        while let Some(event) = got.recv().await {
            match event {
                LlmEvent::Text { delta, .. } => text.push_str(&delta),
                LlmEvent::Tool { call, .. } => tools.push(call),
                _ => {}
            }
        }
        (text, tools)
    };
    let (result, (text, tools)) = futures_util::future::join(write, collect).await;
    let kept = tools.iter().filter(|call| memory.of(&call.id).is_some()).count();
    Replay {
        text,
        tools,
        usage: writer.reader.usage(),
        kept,
        failure: result.err().map(|error| error.to_failure()),
    }
}

async fn write<'a>(
    writer: &mut Writer,
    pieces: impl Iterator<Item = &'a [u8]>,
    events: Tx<LlmEvent>,
) -> Result<(), StageError> {
    let all = read(writer, pieces, &events).await;
    if all.is_err() {
        writer.fail(&events).await;
        return all;
    }
    writer.end(&events).await
}

async fn read<'a>(
    writer: &mut Writer,
    pieces: impl Iterator<Item = &'a [u8]>,
    events: &Tx<LlmEvent>,
) -> Result<(), StageError> {
    let mut intake = Intake::default();
    for piece in pieces {
        intake.push(STAGE, piece)?;
        while let Some(event) = intake.next_event() {
            writer.read(&event, events).await?;
        }
    }
    match intake.finish() {
        Some(event) => writer.read(&event, events).await,
        None => Ok(()),
    }
}

const STAGE: &str = "recorded";
