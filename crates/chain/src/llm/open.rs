//! A reply that links are at.

use std::collections::VecDeque;
use std::sync::Arc;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{
    Content, Delivery, Entry, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, ToolCall,
};

use super::GO_ON;
use crate::overlap::Overlap;
use crate::race::{Contest, Work};
use offhook_stages::{Hold, Llm};

/// A reply that was asked for and isn't complete.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: ReplyId,
    request: Arc<ReplyRequest>,
    contest: Contest,
    pub(super) committed: bool,
    /// Links of whose answer something was passed on.
    pub(super) served: Vec<usize>,
    pub(super) tools: Vec<ToolCall>,
    /// Text that was passed on.
    said: String,
    hold: Hold,
    overlap: Option<Overlap>,
}

impl Open {
    pub(super) fn new(request: Arc<ReplyRequest>, links: usize) -> Self {
        Self {
            id: request.reply,
            request,
            contest: Contest::new(links),
            committed: false,
            served: Vec::new(),
            tools: Vec::new(),
            said: String::new(),
            hold: Hold::default(),
            overlap: None,
        }
    }

    /// The link that wrote has failed: what it left whole is passed on.
    pub(super) fn keep_whole(&mut self, out: &mut VecDeque<LlmEvent>) {
        if let Some(whole) = self.hold.whole() {
            self.say(whole, out);
        }
    }

    /// Another link starts from what was said.
    pub(super) fn start_over(&mut self) {
        self.hold.forget();
        self.overlap = (!self.said.is_empty()).then(|| Overlap::new(&self.said));
    }

    /// What of an event is passed on.
    pub(super) fn take(&mut self, event: LlmEvent, out: &mut VecDeque<LlmEvent>) {
        match event {
            LlmEvent::Text { delta, .. } => {
                let new = match &mut self.overlap {
                    Some(overlap) => overlap.push(&delta),
                    None => delta,
                };
                if let Some(whole) = self.hold.push(&new) {
                    self.say(whole, out);
                }
            }
            LlmEvent::Tool { call, .. } => {
                // Text that may yet turn out to repeat what was said waits on.
                if let Some(rest) = self.hold.flush() {
                    self.say(rest, out);
                }
                // Two calls of a kind have ids of their own.
                if !self.tools.contains(&call) {
                    self.tools.push(call.clone());
                    out.push_back(LlmEvent::Tool { reply: self.id, call });
                }
            }
            LlmEvent::Play { .. } => {
                self.flush(out);
                out.push_back(event);
            }
            LlmEvent::Done { .. } => {
                self.flush(out);
                out.push_back(event);
            }
            LlmEvent::Interruptible { .. }
            | LlmEvent::Expect { .. }
            | LlmEvent::Language { .. }
            | LlmEvent::Silent { .. } => out.push_back(event),
            LlmEvent::Failed { .. } | LlmEvent::Initiative { .. } => {}
        }
    }

    fn continuation(&self) -> Arc<ReplyRequest> {
        if self.said.is_empty() {
            return Arc::clone(&self.request);
        }
        let mut request = ReplyRequest::clone(&self.request);
        let at = request.history.last().map_or(0, |entry| entry.ended_ms);
        let text = self.said.trim_end().to_owned();
        let said = Content::Agent { text, delivery: Delivery::Interrupted };
        let note = Content::Note { text: GO_ON.to_owned() };
        request.history.extend([Entry::at(said, at), Entry::at(note, at)]);
        // What it answers was answered in part: the note is what remains.
        request.reason = ReplyReason::Tool;
        Arc::new(request)
    }

    fn flush(&mut self, out: &mut VecDeque<LlmEvent>) {
        let rest = self.overlap.as_mut().map(Overlap::finish).unwrap_or_default();
        let whole = self.hold.push(&rest);
        let whole = whole.into_iter().chain(self.hold.flush()).collect::<String>();
        if !whole.is_empty() {
            self.say(whole, out);
        }
    }

    fn say(&mut self, delta: String, out: &mut VecDeque<LlmEvent>) {
        self.said.push_str(&delta);
        out.push_back(LlmEvent::Text { reply: self.id, delta });
    }
}

impl Work for Open {
    type Provider = dyn Llm;
    const LACKS: &'static str = "text";
    const IN_ORDER: bool = false;

    fn contest(&self) -> &Contest {
        &self.contest
    }

    fn contest_mut(&mut self) -> &mut Contest {
        &mut self.contest
    }

    fn is_about(&self, event: &LlmEvent) -> bool {
        event.reply() == self.id
    }

    /// The same as the first, or to go on.
    fn request(&self) -> Vec<LlmCommand> {
        vec![LlmCommand::Respond(self.continuation())]
    }

    fn cancel(&self) -> LlmCommand {
        LlmCommand::Cancel { reply: self.id }
    }
}

/// A reply that is complete: which links are notified of what becomes of it.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) id: ReplyId,
    pub(super) served: Vec<usize>,
    pub(super) tools: Vec<ToolCall>,
}

impl From<&mut Open> for Over {
    fn from(open: &mut Open) -> Self {
        let (served, tools) = (std::mem::take(&mut open.served), std::mem::take(&mut open.tools));
        Self { id: open.id, served, tools }
    }
}
