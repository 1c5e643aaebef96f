//! Deadlines, and what is done after whatever came in.

use std::time::Duration;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmEvent, SttEvent};
use offhook_stages::StageError;
use tokio::time::Instant;

use super::{Active, CANCEL, Session};

impl Session {
    /// The server gave a sign of its work.
    pub(in crate::realtime) fn sign(&mut self, now: Instant) {
        if let Some(active) = &mut self.active {
            (active.heard, active.answered) = (now, true);
        }
    }

    fn active_due(&self) -> Option<(Instant, Duration)> {
        let active = self.active.as_ref()?;
        let limit = match (active.cancelled, active.answered) {
            (true, _) => CANCEL,
            (false, false) => self.config.deadlines.first,
            (false, true) => self.config.deadlines.gap,
        };
        Some((active.heard + limit, limit))
    }

    /// When to look again.
    pub(in crate::realtime) fn due(&self) -> Option<Instant> {
        let outputs = self.replies.iter().filter_map(|reply| reply.output.due()).min();
        let active = self.active_due().map(|(due, _)| due);
        [outputs, active, self.input.due(), self.settled_by].into_iter().flatten().min()
    }

    /// Does what is to be done after whatever came in, and at its time.
    pub(in crate::realtime) fn settle(&mut self, now: Instant) -> Result<(), StageError> {
        self.drop_dropped();
        self.input.on_time(now);
        if self.settled_by.is_some_and(|by| now >= by) {
            return Err(self.too_slow("answer to its settings", self.config.deadlines.first));
        }
        if let Some((_, limit)) = self.active_due().filter(|(due, _)| now >= *due) {
            let slow = self.too_slow("word of a reply", limit);
            let late =
                self.active.as_ref().filter(|active| !active.cancelled).and_then(|active| active.reply);
            match late.and_then(|id| self.reply(id)) {
                Some(reply) => {
                    let id = reply.id;
                    reply.output.finish(now);
                    self.failed(id, &slow);
                    self.cancel_active(now);
                }
                // It never said that it was over.
                None => self.active = None,
            }
        }
        self.say.append(&mut self.input.say);
        self.ask(now);
        for reply in &mut self.replies {
            reply.output.advance(now, &mut |event| self.tts.push(event));
        }
        Ok(())
    }

    /// A reply can't be had.
    pub(in crate::realtime) fn failed(&mut self, id: ReplyId, error: &StageError) {
        let Some(reply) = self.replies.iter_mut().find(|reply| reply.id == id) else { return };
        if reply.is_wanted() {
            self.usage.failures += 1;
            self.llm.push(LlmEvent::Failed { reply: id, failure: error.to_failure() });
        }
        reply.over = true;
    }

    fn too_slow(&self, what: &'static str, limit: Duration) -> StageError {
        StageError::TooSlow { stage: self.config.name.clone(), what, limit }
    }

    /// The server is free again.
    pub(in crate::realtime) fn free(&mut self) {
        self.active = None;
    }

    /// The server is busy with a response that we don't know of: the reply waits for its end.
    pub(in crate::realtime) fn busy(&mut self, reply: ReplyId, now: Instant) {
        self.active = Some(Active { reply: None, cancelled: true, heard: now, answered: false });
        self.waiting.get_or_insert(reply);
    }

    pub(in crate::realtime) fn hears(&mut self) -> Vec<SttEvent> {
        std::mem::take(&mut self.input.tell)
    }
}
