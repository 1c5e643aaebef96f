//! One call's replies: which links are asked, and who is notified of what becomes of them.

use std::collections::VecDeque;
use std::sync::Arc;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmCommand, LlmEvent, ReplyRequest, StageFailure, ToolResult};

use super::open::{Open, Over};
use crate::Link;
use crate::health::Asked;
use crate::race::{Race, RaceTask, Work};
use offhook_stages::{CallInfo, Llm, StageError, Tx};

/// A call wants one reply at a time; more that were never cancelled are a fault.
const MOST_OPEN: usize = 8;
/// Complete replies whose links are remembered, to be notified of commits, interruptions and tools' results.
const MOST_OVER: usize = 16;

/// One call's replies.
pub(super) struct Replies {
    race: Race<Open>,
    over: VecDeque<Over>,
}

impl Replies {
    pub(super) fn new(set: Arc<[Link<dyn Llm>]>, call: CallInfo, events: Tx<LlmEvent>) -> Self {
        Self { race: Race::new(set, call, events), over: VecDeque::new() }
    }

    fn respond(&mut self, request: Arc<ReplyRequest>) {
        if self.race.open.len() >= MOST_OPEN
            && let Some(open) = self.race.open.pop_front()
        {
            self.race.cancel(&open);
            let what = "more replies are wanted at once than one call can have".to_owned();
            let error = StageError::Busy { stage: "llm".to_owned(), what, retry_after: None };
            self.race.out.push_back(LlmEvent::Failed { reply: open.id, failure: error.to_failure() });
        }
        let mut open = Open::new(request, self.race.providers.set.len());
        if self.ask_next(&mut open, Asked::First) {
            self.race.open.push_back(open);
        }
    }

    /// Asks the next link; if none is left, ends the reply. Whether it is still open.
    fn ask_next(&mut self, open: &mut Open, why: Asked) -> bool {
        open.start_over();
        let asked = self.race.ask_next(open, why);
        let ended = asked.map_err(|failure| LlmEvent::Failed { reply: open.id, failure }).err();
        let is_open = ended.is_none();
        self.race.out.extend(ended);
        is_open
    }

    fn cancel(&mut self, reply: ReplyId) {
        if let Some(at) = self.race.open.iter().position(|open| open.id == reply)
            && let Some(mut open) = self.race.open.remove(at)
        {
            for link in open.contest().links().filter(|link| !open.served.contains(link)) {
                self.race.providers.links.notify(link, open.cancel());
            }
            self.remember(&mut open);
        }
        self.notify(reply, &LlmCommand::Cancel { reply });
    }

    fn serves(&self, open: &mut Open, link: usize) {
        if !open.served.contains(&link) {
            open.served.push(link);
            if open.committed {
                self.race.providers.links.notify(link, LlmCommand::Commit { reply: open.id });
            }
        }
    }

    fn remember(&mut self, open: &mut Open) {
        if self.over.len() >= MOST_OVER {
            self.over.pop_front();
        }
        self.over.push_back(open.into());
    }

    /// Notifies the links that serve, or have served, a reply.
    fn notify(&self, reply: ReplyId, command: &LlmCommand) {
        let open = self.race.open.iter().filter(|open| open.id == reply).flat_map(|open| &open.served);
        let over = self.over.iter().filter(|over| over.id == reply).flat_map(|over| &over.served);
        for link in open.chain(over) {
            self.race.providers.links.notify(*link, command.clone());
        }
    }

    fn tool_result(&self, result: &ToolResult) {
        let asked = |tools: &[offhook_stage_api::ToolCall]| {
            tools.iter().any(|call| result.answers(&call.id) && call.name == result.name)
        };
        let open = self.race.open.iter().filter(|open| asked(&open.tools)).map(|open| &open.served);
        let over = self.over.iter().filter(|over| asked(&over.tools)).map(|over| &over.served);
        // The latest who asked: without ids, names repeat.
        if let Some(served) = over.chain(open).next_back() {
            for link in served {
                self.race.providers.links.notify(*link, LlmCommand::ToolResult(result.clone()));
            }
        }
    }
}

impl RaceTask for Replies {
    type Work = Open;

    fn race(&mut self) -> &mut Race<Open> {
        &mut self.race
    }

    fn is_unasked(event: &LlmEvent) -> bool {
        matches!(event, LlmEvent::Initiative { .. })
    }

    fn on_command(&mut self, command: LlmCommand) {
        match command {
            LlmCommand::Respond(request) => self.respond(request),
            LlmCommand::Commit { reply } => {
                if let Some(open) = self.race.open.iter_mut().find(|open| open.id == reply) {
                    open.committed = true;
                }
                self.notify(reply, &LlmCommand::Commit { reply });
            }
            LlmCommand::Interrupted { reply, heard } => {
                self.notify(reply, &LlmCommand::Interrupted { reply, heard });
            }
            LlmCommand::Cancel { reply } => self.cancel(reply),
            LlmCommand::ToolResult(result) => self.tool_result(&result),
            // Every link that runs may be one that follows the call.
            LlmCommand::News(news) => {
                for link in 0..self.race.providers.set.len() {
                    self.race.providers.links.notify(link, LlmCommand::News(news.clone()));
                }
            }
        }
    }

    fn on_event(&mut self, open: &mut Open, link: usize, event: LlmEvent) -> bool {
        if let LlmEvent::Failed { failure, .. } = event {
            self.race.providers.count_failure(link, &failure);
            return self.on_lost(open, link, failure);
        }
        if matches!(&event, LlmEvent::Text { delta, .. } if delta.is_empty()) {
            // It thinks.
            open.contest_mut().is_alive(link);
            return true;
        }
        self.race.win(open, link);
        self.serves(open, link);
        let done = matches!(event, LlmEvent::Done { .. });
        open.take(event, &mut self.race.out);
        if done {
            self.race.providers.count_success(link);
            self.remember(open);
        }
        !done
    }

    fn on_lost(&mut self, open: &mut Open, link: usize, failure: StageFailure) -> bool {
        let again = self.race.may_try_again(open, link, &failure);
        if self.race.drop_attempt(open, link, failure, again) {
            return true;
        }
        open.keep_whole(&mut self.race.out);
        if !open.tools.is_empty() {
            self.race.out.push_back(LlmEvent::Done { reply: open.id });
            self.remember(open);
            return false;
        }
        self.ask_next(open, Asked::TakesOver)
    }
}
