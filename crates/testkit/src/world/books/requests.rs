//! Every request comes to an end, no utterance begins twice, and what has begun is reported as said.

use std::collections::{BTreeMap, BTreeSet};

use offhook_conversation::{CallEvent, ToolStage, UtteranceKind};
use offhook_stage_api::{Interruptible, LlmCommand, LlmEvent, ReplyId, UtteranceId};

use crate::world::scene::Setup;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Asked,
    Committed,
    Cancelled,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    stand: Stand,
    speculative: bool,
    /// The model writes no more of it.
    written: bool,
}

#[derive(Default)]
pub(super) struct Requests {
    all: BTreeMap<ReplyId, Request>,
    speculated: BTreeSet<ReplyId>,
    tools: i64,
    begun: BTreeMap<UtteranceId, UtteranceKind>,
    over: BTreeSet<UtteranceId>,
    pub(super) model_ended: bool,
}

impl Requests {
    /// True if the reply is still wanted.
    pub(super) fn on_llm_event(&mut self, event: &LlmEvent) -> bool {
        let Some(request) = self.all.get_mut(&event.reply()) else { return false };
        let wanted = !request.written && request.stand != Stand::Cancelled;
        request.written |= matches!(event, LlmEvent::Done { .. } | LlmEvent::Failed { .. });
        wanted
    }

    pub(super) fn on_llm_command(&mut self, command: &LlmCommand) -> Result<(), String> {
        match command {
            LlmCommand::Respond(request) => {
                let speculative = self.speculated.contains(&request.reply);
                let new = Request { stand: Stand::Asked, speculative, written: false };
                if self.all.insert(request.reply, new).is_some() {
                    return Err(format!("requests: {} was requested twice", request.reply));
                }
            }
            LlmCommand::Commit { reply } => match self.all.get_mut(reply) {
                Some(request) if request.stand == Stand::Asked => request.stand = Stand::Committed,
                None if self.model_ended => {}
                other => return Err(format!("requests: {reply} is committed, but was {other:?}")),
            },
            LlmCommand::Cancel { reply } => match self.all.get_mut(reply) {
                Some(request) if request.stand != Stand::Cancelled => request.stand = Stand::Cancelled,
                None if self.model_ended => {}
                other => return Err(format!("requests: {reply} is cancelled, but was {other:?}")),
            },
            LlmCommand::Interrupted { .. } | LlmCommand::ToolResult(_) | LlmCommand::News(_) => {}
        }
        Ok(())
    }

    pub(super) fn on_event(&mut self, event: &CallEvent) -> Result<(), String> {
        match event {
            CallEvent::Speculated { reply } => {
                self.speculated.insert(*reply);
            }
            CallEvent::TurnEnded(_) => {
                // What was requested early is waited for from now on, or is cancelled.
                for request in self.all.values_mut() {
                    request.speculative = false;
                }
            }
            CallEvent::Tool { stage: ToolStage::Asked, .. } => self.tools += 1,
            CallEvent::Tool { .. } => self.tools -= 1,
            CallEvent::Speaking { utterance, what, .. } => {
                if self.begun.insert(*utterance, *what).is_some() || self.over.contains(utterance) {
                    return Err(format!("utterances: {utterance} begins twice"));
                }
            }
            CallEvent::Said { utterance, .. } => {
                if self.begun.remove(utterance).is_none() || !self.over.insert(*utterance) {
                    return Err(format!("utterances: {utterance} is over, but never began"));
                }
            }
            CallEvent::Dropped { utterance, .. } => {
                if self.begun.contains_key(utterance) || !self.over.insert(*utterance) {
                    return Err(format!("utterances: {utterance} is dropped, but has begun or is over"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A reply, or the rest of one, is waited for.
    pub(super) fn are_due(&self) -> bool {
        self.all.values().any(|request| match request.stand {
            Stand::Asked => !request.speculative,
            Stand::Committed => !request.written && !self.model_ended,
            Stand::Cancelled => false,
        })
    }

    pub(super) const fn tools_run(&self) -> bool {
        self.tools > 0
    }

    /// Something that was begun isn't over.
    pub(super) fn is_speaking(&self) -> bool {
        self.begun.values().any(|what| *what != UtteranceKind::Filler)
    }

    /// A reply is being written that nobody may interrupt: what comes meanwhile is answered after it.
    pub(super) fn is_protected(&self, setup: &Setup) -> bool {
        let writes = self.all.values().any(|request| request.stand == Stand::Committed && !request.written);
        writes && setup.reply != Interruptible::Yes
    }

    pub(super) fn close(&self) -> Result<(), String> {
        if let Some((reply, _)) = self.all.iter().find(|(_, request)| request.stand == Stand::Asked) {
            return Err(format!("requests: {reply} was neither committed nor cancelled"));
        }
        if let Some(utterance) = self.begun.keys().next() {
            return Err(format!("utterances: {utterance} began, and was never said"));
        }
        Ok(())
    }
}
