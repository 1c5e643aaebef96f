//! One call's replies, and the links that are at them.

use std::collections::VecDeque;
use std::sync::Arc;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmCommand, LlmEvent, ReplyRequest, StageFailure, ToolResult};
use tokio::time::Instant;

use super::open::{Open, Over};
use crate::health::Asked;
use crate::links::Did;
use crate::race::{Attempt, Race};
use crate::{Link, sleep_until};
use offhook_stages::queue::Closed;
use offhook_stages::{CallInfo, Llm, Rx, StageError, Tx};

/// A call wants one reply at a time; more that were never cancelled are a fault.
const MOST_OPEN: usize = 8;
/// Complete replies whose links are remembered, to be told of commits, interruptions and tools' results.
const MOST_OVER: usize = 16;

pub(super) struct LlmRace {
    race: Race<dyn Llm, LlmCommand, LlmEvent>,
    open: Vec<Open>,
    over: VecDeque<Over>,
    events: Tx<LlmEvent>,
    /// What is yet to be sent, in order.
    out: VecDeque<LlmEvent>,
}

impl LlmRace {
    pub(super) fn new(set: Arc<[Link<dyn Llm>]>, call: CallInfo, events: Tx<LlmEvent>) -> Self {
        let race = Race::new("llm", set, call, |stage| {
            let stage = Arc::clone(stage);
            let name = stage.name().to_owned();
            (name, Box::new(move |call, commands, events| stage.run(call, commands, events)))
        });
        let (open, over, out) = (Vec::new(), VecDeque::new(), VecDeque::new());
        Self { race, open, over, events, out }
    }

    /// Serves until the commands end and what was asked for is answered.
    pub(super) async fn serve(mut self, commands: Rx<LlmCommand>) -> Result<(), Closed> {
        self.race.start_first();
        let mut wanted = true;
        while wanted || !self.open.is_empty() {
            let due = self.open.iter().flat_map(|open| self.due(open)).min();
            tokio::select! {
                biased;
                command = commands.recv(), if wanted => match command {
                    Some(command) => self.on_command(command),
                    None => wanted = false,
                },
                (link, did) = self.race.links.next() => match did {
                    Did::Said(event) => self.on_event(link, event),
                    Did::Ended(error) => self.on_ended(link, &error),
                },
                () = sleep_until(due) => self.on_due(),
            }
            while let Some(event) = self.out.pop_front() {
                self.events.send(event).await?;
            }
        }
        Ok(())
    }

    fn on_command(&mut self, command: LlmCommand) {
        match command {
            LlmCommand::Respond(request) => self.respond(request),
            LlmCommand::Commit { reply } => {
                if let Some(open) = self.open.iter_mut().find(|open| open.id == reply) {
                    open.committed = true;
                }
                self.tell_servers(reply, &LlmCommand::Commit { reply });
            }
            LlmCommand::Interrupted { reply, heard } => {
                self.tell_servers(reply, &LlmCommand::Interrupted { reply, heard });
            }
            LlmCommand::Cancel { reply } => {
                if let Some(at) = self.open.iter().position(|open| open.id == reply) {
                    let open = self.open.remove(at);
                    for attempt in open.attempts.iter().filter(|attempt| !open.served.contains(&attempt.link))
                    {
                        self.race.links.tell(attempt.link, LlmCommand::Cancel { reply });
                    }
                    self.remember(open);
                }
                self.tell_servers(reply, &LlmCommand::Cancel { reply });
            }
            LlmCommand::ToolResult(result) => self.tool_result(&result),
        }
    }

    fn respond(&mut self, request: Arc<ReplyRequest>) {
        if self.open.len() >= MOST_OPEN {
            let open = self.open.remove(0);
            for attempt in &open.attempts {
                self.race.links.tell(attempt.link, LlmCommand::Cancel { reply: open.id });
            }
            let what = "more replies are wanted at once than one call can have".to_owned();
            let error = StageError::Busy { stage: "llm".to_owned(), what, retry_after: None };
            self.out.push_back(LlmEvent::Failed { reply: open.id, failure: error.to_failure() });
        }
        let mut open = Open::new(request, self.race.set.len());
        if self.ask_next(&mut open, Asked::First) {
            self.open.push(open);
        }
    }

    /// Asks the next link; if none is left, ends the reply. Whether it is still open.
    fn ask_next(&mut self, open: &mut Open, mut why: Asked) -> bool {
        open.start_over();
        while let Some(link) = open.tries.choose(&self.race.set) {
            self.race.count(link, why);
            why = Asked::TakesOver;
            match self.race.links.ask(link, LlmCommand::Respond(open.request())) {
                Ok(()) => {
                    open.attempts.push(Attempt::new(link, false));
                    return true;
                }
                Err(error) => {
                    let failure = error.to_failure();
                    self.race.note_failure(link, &mut open.tries, &failure);
                    open.failure = Some(failure);
                }
            }
        }
        let failure = open.failure.take().unwrap_or_else(|| self.race.no_link_left());
        self.out.push_back(LlmEvent::Failed { reply: open.id, failure });
        false
    }

    fn on_event(&mut self, link: usize, event: LlmEvent) {
        let id = event.reply();
        let serves = |open: &Open| open.id == id && open.attempts.iter().any(|attempt| attempt.link == link);
        // What comes late from a link that was given up is nothing.
        let Some(at) = self.open.iter().position(serves) else { return };
        let mut open = self.open.remove(at);
        if let LlmEvent::Failed { failure, .. } = event {
            self.race.count_failure(link, &failure);
            return self.drop_attempt(at, open, link, failure);
        }
        self.win(&mut open, link);
        let done = matches!(event, LlmEvent::Done { .. });
        open.take(event, &mut self.out);
        if done {
            self.race.count_success(link);
            self.remember(open);
        } else {
            self.open.insert(at, open);
        }
    }

    /// The first who says something is taken; the other is cancelled.
    fn win(&mut self, open: &mut Open, link: usize) {
        for loser in open.attempts.iter().filter(|attempt| attempt.link != link) {
            self.race.links.tell(loser.link, LlmCommand::Cancel { reply: open.id });
        }
        open.attempts.retain(|attempt| attempt.link == link);
        let Some(attempt) = open.attempt(link) else { return };
        attempt.since = Instant::now();
        let begins = !std::mem::replace(&mut attempt.spoke, true);
        if begins && attempt.hedge {
            self.race.count_won_hedge(link);
        }
        if !open.served.contains(&link) {
            open.served.push(link);
            if open.committed {
                self.race.links.tell(link, LlmCommand::Commit { reply: open.id });
            }
        }
    }

    /// A link's run is over: it answers nothing of what it owes.
    fn on_ended(&mut self, link: usize, error: &StageError) {
        self.race.count_failure(link, &error.to_failure());
        self.lose(link, &error.to_failure());
    }

    fn lose(&mut self, link: usize, failure: &StageFailure) {
        let mut at = 0;
        while at < self.open.len() {
            let before = self.open.len();
            if self.open.get_mut(at).is_some_and(|open| open.attempt(link).is_some()) {
                let open = self.open.remove(at);
                self.drop_attempt(at, open, link, failure.clone());
            }
            at += usize::from(self.open.len() == before);
        }
    }

    /// A link won't answer this reply. Puts the reply back in its place if another may.
    fn drop_attempt(&mut self, at: usize, mut open: Open, link: usize, failure: StageFailure) {
        open.attempts.retain(|attempt| attempt.link != link);
        let again = self.race.may_try_again(link, &open.tries, &failure);
        open.tries.failed(link, again);
        open.failure = Some(failure);
        if !open.attempts.is_empty() {
            return self.open.insert(at, open);
        }
        open.keep_whole(&mut self.out);
        if !open.tools.is_empty() {
            self.out.push_back(LlmEvent::Done { reply: open.id });
            return self.remember(open);
        }
        if self.ask_next(&mut open, Asked::TakesOver) {
            self.open.insert(at, open);
        }
    }

    fn on_due(&mut self) {
        let now = Instant::now();
        let late: Vec<usize> =
            self.open.iter().flat_map(|open| &open.attempts).map(|attempt| attempt.link).collect();
        for link in late {
            let attempts = self.open.iter().flat_map(|open| &open.attempts);
            let is_late =
                |attempt: &Attempt| attempt.link == link && now >= attempt.since + self.race.limit(attempt);
            let limit =
                attempts.filter(|attempt| is_late(attempt)).map(|attempt| self.race.limit(attempt)).next();
            if let Some(limit) = limit {
                let error = self.race.stop_late(link, "text", limit);
                self.on_ended(link, &error);
            }
        }
        let mut waiting = std::mem::take(&mut self.open);
        for open in &mut waiting {
            if self.hedge_due(open).is_some_and(|due| now >= due) {
                self.hedge(open);
            }
        }
        self.open = waiting;
    }

    fn hedge(&mut self, open: &mut Open) {
        open.hedged = true;
        let Some(link) = open.tries.choose_hedge(&self.race.set) else { return };
        self.race.count(link, Asked::Hedge);
        match self.race.links.ask(link, LlmCommand::Respond(open.request())) {
            Ok(()) => open.attempts.push(Attempt::new(link, true)),
            Err(error) => {
                let failure = error.to_failure();
                self.race.note_failure(link, &mut open.tries, &failure);
                open.failure = Some(failure);
            }
        }
    }

    fn due<'a>(&'a self, open: &'a Open) -> impl Iterator<Item = Instant> + 'a {
        let ends = open.attempts.iter().map(|attempt| attempt.since + self.race.limit(attempt));
        ends.chain(self.hedge_due(open))
    }

    fn hedge_due(&self, open: &Open) -> Option<Instant> {
        let [attempt] = open.attempts.as_slice() else { return None };
        if attempt.spoke || open.hedged || !open.tries.may_hedge() {
            return None;
        }
        Some(attempt.since + self.race.set.get(attempt.link)?.hedge_after?)
    }

    fn remember(&mut self, open: Open) {
        if self.over.len() >= MOST_OVER {
            self.over.pop_front();
        }
        self.over.push_back(open.into());
    }

    /// Tells those who serve, or have served, a reply.
    fn tell_servers(&self, reply: ReplyId, command: &LlmCommand) {
        let open = self.open.iter().filter(|open| open.id == reply).flat_map(|open| &open.served);
        let over = self.over.iter().filter(|over| over.id == reply).flat_map(|over| &over.served);
        for link in open.chain(over) {
            self.race.links.tell(*link, command.clone());
        }
    }

    fn tool_result(&self, result: &ToolResult) {
        let asked = |tools: &[offhook_stage_api::ToolCall]| {
            tools.iter().any(|call| result.answers(&call.id) && call.name == result.name)
        };
        let open = self.open.iter().filter(|open| asked(&open.tools)).map(|open| &open.served);
        let over = self.over.iter().filter(|over| asked(&over.tools)).map(|over| &over.served);
        // The latest who asked: without ids, names repeat.
        if let Some(served) = over.chain(open).next_back() {
            for link in served {
                self.race.links.tell(*link, LlmCommand::ToolResult(result.clone()));
            }
        }
    }
}
