//! One reply of the model's, as the call knows it and as the server does.

use std::sync::Arc;
use std::time::Duration;

use offhook_audio::SampleCount;
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmEvent, ReplyReason, ReplyRequest, ToolCall};
use serde_json::Value;
use tokio::time::Instant;

use super::output_audio::{OutputAudio, letters};
use super::wire::{self, Item};

/// An item that the model made.
#[derive(Debug)]
struct Made {
    id: String,
    content: u32,
    /// Sound received.
    octets: u64,
    is_call: bool,
    /// The server was told to forget it.
    gone: bool,
}

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) id: ReplyId,
    pub(super) request: Arc<ReplyRequest>,
    /// The response's id, once the server has told it.
    pub(super) response: Option<String>,
    /// How much of the caller the model had heard when it was asked.
    pub(super) heard: u64,
    pub(super) committed: bool,
    /// It never happened: what there is of it at the server goes.
    pub(super) unwanted: bool,
    /// It was interrupted: what comes late isn't said.
    pub(super) cut: bool,
    /// The call was told its end, or doesn't want to know.
    pub(super) over: bool,
    /// Items that were written for it.
    pub(super) notes: Vec<String>,
    /// The conversation was told from its beginning for it.
    pub(super) retold: bool,
    pub(super) output: OutputAudio,
    made: Vec<Made>,
    /// What the call was told of its text.
    pub(super) text: String,
    /// Letters of what the model says aloud, for finding the call's sentences in it.
    aloud: String,
    tools: Vec<ToolCall>,
    /// A space was told behind a sentence, so that the call takes it for whole.
    spaced: bool,
}

impl Reply {
    pub(super) fn new(request: Arc<ReplyRequest>) -> Self {
        Self {
            id: request.reply,
            request,
            response: None,
            heard: 0,
            committed: false,
            unwanted: false,
            cut: false,
            over: false,
            notes: Vec::new(),
            retold: false,
            output: OutputAudio::default(),
            made: Vec::new(),
            text: String::new(),
            aloud: String::new(),
            tools: Vec::new(),
            spaced: false,
        }
    }

    /// Whether the call still waits for what comes.
    pub(super) const fn is_wanted(&self) -> bool {
        !self.unwanted && !self.cut && !self.over
    }

    /// Whether another request for the same can have this reply: the model answers the sound, not the words that the call
    /// made of it.
    pub(super) fn answers_as_well(&self, request: &ReplyRequest, heard: u64) -> bool {
        let to_caller = |request: &ReplyRequest| matches!(request.reason, ReplyReason::Caller { .. });
        to_caller(&self.request)
            && to_caller(request)
            && !self.committed
            && self.heard == heard
            && self.notes.is_empty()
            && !self.unwanted
    }

    /// Takes another request's place, and tells what there is so far.
    pub(super) fn answer(&mut self, request: Arc<ReplyRequest>, out: &mut Vec<LlmEvent>) {
        self.id = request.reply;
        self.request = request;
        self.output.begin_again();
        let reply = self.id;
        if !self.text.is_empty() {
            out.push(LlmEvent::Text { reply, delta: self.text.clone() });
        }
        out.extend(self.tools.iter().map(|call| LlmEvent::Tool { reply, call: call.clone() }));
        if std::mem::take(&mut self.over) {
            self.end(out);
        }
    }

    /// The reply is complete.
    pub(super) fn end(&mut self, out: &mut Vec<LlmEvent>) {
        if self.is_wanted() {
            out.push(LlmEvent::Done { reply: self.id });
        }
        self.over = true;
    }

    /// More text; `aloud` if its sound comes from the model too.
    pub(super) fn text(&mut self, delta: &str, aloud: bool, out: &mut Vec<LlmEvent>) {
        if aloud {
            self.output.words(delta);
            self.aloud.extend(letters(delta));
        }
        let delta = if std::mem::take(&mut self.spaced) { delta.trim_start() } else { delta };
        if delta.is_empty() || !self.is_wanted() {
            return;
        }
        self.text.push_str(delta);
        out.push(LlmEvent::Text { reply: self.id, delta: delta.to_owned() });
    }

    /// Sound comes, so the text before it was all of its sentence that there is: the call, which waits for a space behind a
    /// stop, need not wait for the next sentence, or for the end of a reply that has only one.
    pub(super) fn space_sentence(&mut self, out: &mut Vec<LlmEvent>) {
        let mut end = self.text.chars().rev();
        let stops =
            matches!(end.next(), Some('.' | '?' | '!')) && end.next().is_some_and(char::is_alphabetic);
        if stops && !self.spaced && self.is_wanted() {
            self.spaced = true;
            self.text.push(' ');
            out.push(LlmEvent::Text { reply: self.id, delta: " ".to_owned() });
        }
    }

    /// Whether the model says this first.
    pub(super) fn begins_with(&self, text: &str) -> bool {
        let mut aloud = self.aloud.chars();
        let mut wanted = letters(text).peekable();
        wanted.peek().is_some() && wanted.all(|letter| aloud.next() == Some(letter))
    }

    /// A tool, once; `true` if it is a new one.
    pub(super) fn tool(&mut self, item: &Item, arguments: Value, out: &mut Vec<LlmEvent>) -> bool {
        if self.tools.iter().any(|call| call.id == item.call_id) || !self.is_wanted() {
            return false;
        }
        let call = ToolCall { id: item.call_id.clone(), name: item.name.clone(), arguments };
        self.tools.push(call.clone());
        out.push(LlmEvent::Tool { reply: self.id, call });
        true
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.text.is_empty() && self.tools.is_empty()
    }

    /// The model made an item.
    pub(super) fn made(&mut self, item: &Item) {
        if !item.id.is_empty() && !self.made.iter().any(|made| made.id == item.id) {
            let (id, is_call) = (item.id.clone(), item.is_call());
            self.made.push(Made { id, content: 0, octets: 0, is_call, gone: false });
        }
    }

    /// Sound of an item came.
    pub(super) fn sounds(&mut self, item: &str, content: u32, octets: &[u8]) {
        let made = match self.made.iter().position(|made| made.id == item) {
            Some(at) => self.made.get_mut(at),
            None => {
                let (id, is_call, gone) = (item.to_owned(), false, false);
                self.made.push(Made { id, content, octets: 0, is_call, gone });
                self.made.last_mut()
            }
        };
        if let Some(made) = made {
            made.content = content;
            made.octets += octets.len() as u64;
        }
        self.output.sound(octets);
    }

    /// The server knows none of it any more.
    pub(super) fn forget_items(&mut self) {
        self.made.clear();
        self.notes.clear();
        self.response = None;
    }

    /// What to tell the server so that the reply never happened.
    pub(super) fn unmake(&mut self, say: &mut Vec<Value>) {
        let made = std::mem::take(&mut self.made);
        say.extend(made.iter().map(|made| wire::delete(&made.id)));
        say.extend(std::mem::take(&mut self.notes).iter().map(|id| wire::delete(id)));
    }

    /// What to tell the server so that it knows what was heard. An item that was heard to its end isn't touched, one that
    /// wasn't heard at all goes; none is cut behind its end, which is an error that has silenced sessions.
    pub(super) fn cut(&mut self, heard: Duration, say: &mut Vec<Value>) {
        self.cut = true;
        self.output.silence();
        self.keep(SampleCount::from_duration(heard).0, say);
    }

    /// Another reply takes this one's place: what the call has asked to be spoken still is.
    pub(super) fn stop(&mut self, now: Instant, say: &mut Vec<Value>) {
        let kept = self.output.stop(now);
        self.keep(kept as u64, say);
    }

    /// Has the server forget all but so many samples.
    fn keep(&mut self, mut heard: u64, say: &mut Vec<Value>) {
        for made in self.made.iter_mut().filter(|made| !made.is_call && !made.gone) {
            let of_this = heard.min(made.octets);
            heard -= of_this;
            if of_this == 0 {
                made.gone = true;
                say.push(wire::delete(&made.id));
            } else if of_this < made.octets {
                say.push(wire::truncate(&made.id, made.content, of_this / 8));
            }
        }
    }

    /// The response of a reply that was cut is over: what it made since wasn't heard.
    pub(super) fn cut_rest(&mut self, output: &[Item], say: &mut Vec<Value>) {
        for item in output.iter().filter(|item| !item.is_call() && !item.id.is_empty()) {
            if !self.made.iter().any(|made| made.id == item.id) {
                say.push(wire::delete(&item.id));
            }
        }
    }
}
