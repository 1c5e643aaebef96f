//! From a model's stream to the call: text and tools, in their order, and how it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmEvent, ReplyReason, ReplyRequest};
use offhook_stages::{Hold, StageError, Tx};
use tokio::time::Instant;

use super::memory::Memory;
use super::output::Output;
use super::protocol::Reader;
use super::thoughts::Thoughts;
use crate::net::sse;

/// A model that thinks gives a sign of life this often.
const SIGN_OF_LIFE: Duration = Duration::from_millis(500);
/// Characters of one reply: half an hour of speech. What comes behind them is not said.
const LONGEST_TEXT: usize = 32_000;

/// Hands on what the reader understands.
pub(super) struct Writer {
    reply: ReplyId,
    pub(super) reader: Box<dyn Reader>,
    thoughts: Thoughts,
    /// Text that may turn out to be half a sentence, or a thought.
    hold: Hold,
    memory: Memory,
    /// Set once a reply showed that this model begins inside of a thought.
    unopened: Arc<AtomicBool>,
    out: Vec<Output>,
    stage: String,
    written: usize,
    wrote_nothing: bool,
    /// Behind a tool's result, or an answer that is gone on with, there may be nothing left to say.
    may_be_empty: bool,
    sign: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        request: &ReplyRequest,
        reader: Box<dyn Reader>,
        stage: &str,
        memory: Memory,
        unopened: Arc<AtomicBool>,
    ) -> Self {
        let thoughts =
            if unopened.load(Ordering::Relaxed) { Thoughts::unopened() } else { Thoughts::default() };
        Self {
            reply: request.reply,
            reader,
            thoughts,
            hold: Hold::default(),
            memory,
            unopened,
            out: Vec::new(),
            stage: stage.to_owned(),
            written: 0,
            wrote_nothing: true,
            may_be_empty: request.reason == ReplyReason::Tool,
            sign: None,
        }
    }

    /// Takes an event.
    pub(super) async fn read(&mut self, event: &sse::Event, events: &Tx<LlmEvent>) -> Result<(), StageError> {
        let read = self.reader.event(event, &mut self.out);
        self.hand_on(events).await;
        read
    }

    /// The stream failed. Who goes on from here needs the beginning; a chain says only whole sentences of it.
    pub(super) async fn fail(&mut self, events: &Tx<LlmEvent>) {
        let rest = self.thoughts.rest();
        self.text(&rest, events).await;
        self.flush(events).await;
    }

    /// Whether the reply is longer than any that is spoken.
    pub(super) const fn is_too_long(&self) -> bool {
        self.written > LONGEST_TEXT
    }

    /// The stream has ended, by itself or because it was too long.
    pub(super) async fn end(&mut self, events: &Tx<LlmEvent>) -> Result<(), StageError> {
        let rest = self.thoughts.rest();
        self.text(&rest, events).await;
        let ended = if self.is_too_long() { Ok(()) } else { self.reader.end(&mut self.out) };
        let cut_short = self.is_too_long() || self.reader.progress().cut_short;
        if ended.is_err() {
            self.flush(events).await;
            return ended;
        }
        let tools = self.out.iter().any(|output| matches!(output, Output::Tool(_)));
        if cut_short && !self.wrote_nothing && !tools {
            if let Some(whole) = self.hold.whole() {
                self.send_text(whole, events).await;
            }
            self.hold.forget();
        }
        self.hand_on(events).await;
        self.flush(events).await;
        if self.wrote_nothing && !self.may_be_empty {
            let what = if cut_short {
                "an answer that its limit of tokens cut off before its first word: raise `max_tokens`, or let it think less"
            } else {
                "an answer without a word"
            };
            return Err(StageError::Garbage { stage: self.stage.clone(), what: what.to_owned() });
        }
        Ok(())
    }

    async fn hand_on(&mut self, events: &Tx<LlmEvent>) {
        for output in std::mem::take(&mut self.out) {
            match output {
                Output::Text(text) => {
                    // A token may be a book: no more of it is looked at than a reply can have.
                    let speech = self.thoughts.strip(first(&text, LONGEST_TEXT + 1));
                    if speech.anew {
                        self.unopened.store(true, Ordering::Relaxed);
                        self.hold.forget();
                    }
                    self.text(&speech.text, events).await;
                    if speech.text.is_empty() {
                        self.give_sign(events).await;
                    }
                }
                Output::Tool(call) => {
                    self.flush(events).await;
                    self.wrote_nothing = false;
                    // A call that is gone needs no answer.
                    let _gone = events.send(LlmEvent::Tool { reply: self.reply, call }).await;
                }
                Output::Keep(call, value) => self.memory.keep(&call, value),
                Output::Thought => {
                    let spoken = self.thoughts.come_apart();
                    self.text(&spoken, events).await;
                    self.give_sign(events).await;
                }
            }
        }
    }

    async fn text(&mut self, text: &str, events: &Tx<LlmEvent>) {
        self.written += text.chars().count();
        if text.is_empty() {
            return;
        }
        if let Some(whole) = self.hold.push(text) {
            self.send_text(whole, events).await;
        }
    }

    async fn flush(&mut self, events: &Tx<LlmEvent>) {
        if let Some(rest) = self.hold.flush() {
            self.send_text(rest, events).await;
        }
    }

    async fn send_text(&mut self, delta: String, events: &Tx<LlmEvent>) {
        self.wrote_nothing &= delta.trim().is_empty();
        let _gone = events.send(LlmEvent::Text { reply: self.reply, delta }).await;
    }

    /// Text without a letter says that the model is at it; a chain passes it over.
    async fn give_sign(&mut self, events: &Tx<LlmEvent>) {
        let now = Instant::now();
        if self.sign.is_some_and(|last| now.duration_since(last) < SIGN_OF_LIFE) {
            return;
        }
        self.sign = Some(now);
        let _gone = events.send(LlmEvent::Text { reply: self.reply, delta: String::new() }).await;
    }
}

/// So many characters of a text.
fn first(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!((first("häé", 2), first("häé", 3), first("", 3)), ("hä", "häé", ""));
    }
}
