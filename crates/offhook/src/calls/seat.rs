//! A person in the model's place: a call that is taken over.
//!
//! The model isn't asked while the seat is taken. Each request for a reply is answered by the tool [`PERSON`], which works until the
//! person has said something: so the caller hears fillers while somebody types, as for any tool that takes its time, and no apology.
//! Then the person's words are the reply. All of it is events of the model's, so that tapes play it again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offhook_session::{Intercepted, Interceptor};
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{Interruptible, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, ToolCall};
use tokio::sync::Notify;

/// The tool that waits for the person.
pub(super) const PERSON: &str = "ask_person";
/// Things that the person may have said that were not asked for yet.
const MOST_WORDS: usize = 16;
/// Replies of the person's that are remembered: what the call tells of them is not for the model.
const MOST_REPLIES: usize = 64;

/// Who answers: the model, or whoever has taken its seat.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: bool,
    words: VecDeque<(String, Interruptible)>,
    /// Replies that the model knows nothing of.
    ours: VecDeque<ReplyId>,
    /// What the person is being asked, for the model if they leave: a reply waits for them.
    asked: Option<Arc<ReplyRequest>>,
    count: u32,
}

impl Seat {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.state().taken
    }

    /// A person takes the seat, or gives it back.
    pub(crate) fn take(&self, taken: bool) {
        let mut state = self.state();
        state.taken = taken;
        if !taken {
            state.words.clear();
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The person answers. False if nothing was asked: then it is to be said for its own sake.
    pub(crate) fn answer(&self, text: &str, interruptible: Interruptible) -> bool {
        let mut state = self.state();
        if !(state.taken && state.asked.is_some()) || state.words.len() >= MOST_WORDS {
            return false;
        }
        state.words.push_back((text.to_owned(), interruptible));
        drop(state);
        self.changed.notify_waiters();
        true
    }

    /// Waits until there are words, or the seat is given back.
    pub(super) async fn answered(self: Arc<Self>) -> Result<String, String> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before the look, so that nothing comes between.
            changed.as_mut().enable();
            {
                let state = self.state();
                if !state.taken {
                    return Ok("the person has left; answer the caller yourself".to_owned());
                }
                if !state.words.is_empty() {
                    return Ok("the person has answered the caller".to_owned());
                }
            }
            changed.await;
        }
    }
}

impl Interceptor for Seat {
    fn intercept(&self, command: LlmCommand) -> Intercepted {
        let mut state = self.state();
        match command {
            LlmCommand::Respond(request) => state.respond(request),
            LlmCommand::Commit { reply }
            | LlmCommand::Cancel { reply }
            | LlmCommand::Interrupted { reply, .. }
                if state.ours.contains(&reply) =>
            {
                Intercepted::Answered(Vec::new())
            }
            LlmCommand::ToolResult(result) if result.name == PERSON => Intercepted::Answered(Vec::new()),
            other => Intercepted::Passed(other),
        }
    }
}

impl State {
    fn respond(&mut self, request: Arc<ReplyRequest>) -> Intercepted {
        let goes_on = request.reason == ReplyReason::Tool && self.asked.is_some();
        if goes_on && let Some((text, by)) = self.words.pop_front() {
            self.asked = None;
            let reply = self.remember(request.reply);
            return Intercepted::Answered(vec![
                LlmEvent::Interruptible { reply, by },
                LlmEvent::Text { reply, delta: text },
                LlmEvent::Done { reply },
            ]);
        }
        if self.taken {
            if !goes_on {
                self.asked = Some(Arc::clone(&request));
            }
            return self.ask(request.reply);
        }
        // The person has left: the model answers what they did not.
        let asked = self.asked.take().filter(|_| goes_on);
        Intercepted::Passed(LlmCommand::Respond(match asked {
            Some(asked) => Arc::new(ReplyRequest { reason: asked.reason.clone(), ..(*request).clone() }),
            None => request,
        }))
    }

    /// Asks the person.
    fn ask(&mut self, reply: ReplyId) -> Intercepted {
        let reply = self.remember(reply);
        self.count = self.count.wrapping_add(1);
        let arguments = serde_json::json!({ "request": self.count });
        let call = ToolCall { id: String::new(), name: PERSON.to_owned(), arguments };
        Intercepted::Answered(vec![LlmEvent::Tool { reply, call }, LlmEvent::Done { reply }])
    }

    fn remember(&mut self, reply: ReplyId) -> ReplyId {
        if self.ours.len() >= MOST_REPLIES {
            self.ours.pop_front();
        }
        self.ours.push_back(reply);
        reply
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use offhook_stage_api::{ToolResult, ToolUse};

    use super::*;

    fn request(reply: u32, reason: ReplyReason) -> LlmCommand {
        let (reply, tools) = (ReplyId(reply), ToolUse::Auto);
        LlmCommand::Respond(Arc::new(ReplyRequest {
            reply,
            reason,
            history: Vec::new(),
            language: None,
            tools,
            speculative: false,
        }))
    }

    fn caller(text: &str) -> ReplyReason {
        ReplyReason::Caller { text: text.to_owned(), confidence: None }
    }

    /// What the model is asked; `None` if it isn't.
    fn passed(intercepted: Intercepted) -> Option<String> {
        match intercepted {
            Intercepted::Passed(LlmCommand::Respond(request)) => Some(format!("{:?}", request.reason)),
            Intercepted::Passed(other) => Some(format!("{other:?}")),
            Intercepted::Answered(_) => None,
        }
    }

    fn answered(intercepted: Intercepted) -> Vec<LlmEvent> {
        match intercepted {
            Intercepted::Answered(events) => events,
            Intercepted::Passed(command) => panic!("{command:?}"),
        }
    }

    fn asks_the_person(events: &[LlmEvent]) -> bool {
        matches!(events, [LlmEvent::Tool { call, .. }, LlmEvent::Done { .. }] if call.name == PERSON)
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_answers_while_the_seat_is_taken_and_the_model_before_and_after() {
        let seat = Arc::new(Seat::default());
        assert!(passed(seat.intercept(request(1, caller("one")))).unwrap().contains("one"));
        assert!(!seat.answer("nobody asked", Interruptible::Yes));
        // Taken: the model is not asked, and hears nothing of the reply.
        seat.take(true);
        assert!(asks_the_person(&answered(seat.intercept(request(2, caller("two"))))));
        assert!(answered(seat.intercept(LlmCommand::Commit { reply: ReplyId(2) })).is_empty());
        let waiting = tokio::spawn(Arc::clone(&seat).answered());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!waiting.is_finished());
        assert!(seat.answer("A person speaks.", Interruptible::No));
        let outcome = waiting.await.unwrap();
        let result = ToolResult { id: "1".into(), name: PERSON.into(), outcome };
        assert!(answered(seat.intercept(LlmCommand::ToolResult(result))).is_empty());
        let reply = ReplyId(3);
        assert_eq!(
            answered(seat.intercept(request(3, ReplyReason::Tool))),
            [
                LlmEvent::Interruptible { reply, by: Interruptible::No },
                LlmEvent::Text { reply, delta: "A person speaks.".into() },
                LlmEvent::Done { reply },
            ]
        );
        assert!(!seat.answer("nothing is asked now", Interruptible::Yes));
        // Given back in the midst of a question: the model answers what was asked.
        assert!(asks_the_person(&answered(seat.intercept(request(4, caller("four"))))));
        let waiting = tokio::spawn(Arc::clone(&seat).answered());
        tokio::time::sleep(Duration::from_secs(1)).await;
        seat.take(false);
        waiting.await.unwrap().unwrap();
        assert!(passed(seat.intercept(request(5, ReplyReason::Tool))).unwrap().contains("four"));
        assert!(passed(seat.intercept(LlmCommand::Commit { reply: ReplyId(5) })).is_some());
    }
}
