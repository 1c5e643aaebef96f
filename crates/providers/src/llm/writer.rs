//! From a model's stream to the call: text and tools, in their order, and how it ended.

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmEvent, ReplyReason, ReplyRequest};
use offhook_stages::{StageError, Tx};

use super::Reader;
use super::output::{Output, Thoughts};
use crate::net::sse;

/// Hands on what the reader understands.
pub(super) struct Writer {
    reply: ReplyId,
    pub(super) reader: Reader,
    thoughts: Thoughts,
    out: Vec<Output>,
    stage: String,
    wrote_nothing: bool,
    /// Behind a tool's result, or an answer that is gone on with, there may be nothing left to say.
    may_be_empty: bool,
}

impl Writer {
    pub(super) fn new(request: &ReplyRequest, reader: Reader, stage: &str) -> Self {
        Self {
            reply: request.reply,
            reader,
            thoughts: Thoughts::default(),
            out: Vec::new(),
            stage: stage.to_owned(),
            wrote_nothing: true,
            may_be_empty: request.reason == ReplyReason::Tool,
        }
    }

    /// Takes an event.
    pub(super) async fn read(&mut self, event: &sse::Event, events: &Tx<LlmEvent>) -> Result<(), StageError> {
        self.reader.event(event, &mut self.out)?;
        self.hand_on(events).await;
        Ok(())
    }

    /// The stream has ended.
    pub(super) async fn end(&mut self, events: &Tx<LlmEvent>) -> Result<(), StageError> {
        let delta = self.thoughts.rest();
        if !delta.is_empty() && events.send(LlmEvent::Text { reply: self.reply, delta }).await.is_err() {
            return Ok(());
        }
        self.reader.end(&mut self.out)?;
        self.hand_on(events).await;
        if self.wrote_nothing && !self.may_be_empty {
            let what = "an answer without a word".to_owned();
            return Err(StageError::Garbage { stage: self.stage.clone(), what });
        }
        Ok(())
    }

    async fn hand_on(&mut self, events: &Tx<LlmEvent>) {
        let reply = self.reply;
        for output in self.out.drain(..) {
            let event = match output {
                Output::Text(text) => {
                    let delta = self.thoughts.strip(&text);
                    if delta.is_empty() {
                        continue;
                    }
                    LlmEvent::Text { reply, delta }
                }
                Output::Tool(call) => LlmEvent::Tool { reply, call },
            };
            self.wrote_nothing = false;
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}
