//! A person in the model's place: a call that is taken over.
//!
//! The model isn't asked while the seat is taken. Each request for a reply is answered by the tool [`PERSON`], which works until the
//! person has said something: so the caller hears fillers while somebody types, as for any tool that takes its time, and no apology.
//! Then the person's words are the reply. All of it is events of the model's, so that tapes play it again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{Either, select};
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{Interruptible, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, ToolCall};
use offhook_stages::{BoxFuture, CallInfo, Distance, Llm, Rx, StageError, Tx, WhenFull, bounded};
use tokio::sync::Notify;

/// The tool that waits for the person.
pub(super) const PERSON: &str = "ask_person";
/// Things that the person may have said that were not asked for yet.
const MOST_WORDS: usize = 16;
/// Replies of the person's that are remembered: what the call tells of them is not for the model.
const MOST_REPLIES: usize = 64;
/// As the call's own queue to its model.
const QUEUE: usize = 256;

/// Who answers: the model, or whoever has taken its seat.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: bool,
    /// A reply waits for the person.
    awaited: bool,
    words: VecDeque<(String, Interruptible)>,
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
        if !(state.taken && state.awaited) || state.words.len() >= MOST_WORDS {
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

    fn words(&self) -> Option<(String, Interruptible)> {
        let mut state = self.state();
        let words = state.words.pop_front();
        state.awaited &= words.is_none();
        words
    }
}

/// A model whose seat may be taken.
pub(super) struct Seated {
    inner: Arc<dyn Llm>,
    seat: Arc<Seat>,
}

impl Seated {
    pub(super) fn new(inner: Arc<dyn Llm>, seat: Arc<Seat>) -> Self {
        Self { inner, seat }
    }
}

impl Llm for Seated {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn warm(&self, call: &CallInfo) -> BoxFuture<()> {
        self.inner.warm(call)
    }

    fn distance(&self) -> Distance {
        self.inner.distance()
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let (to_model, for_model) = bounded(QUEUE, WhenFull::PushBack);
        let mut model = self.inner.run(call, for_model, events.clone());
        let mut usher = Usher {
            seat: Arc::clone(&self.seat),
            events,
            to_model,
            ours: VecDeque::new(),
            asked: None,
            count: 0,
        };
        Box::pin(async move {
            // Written here, and no `async fn`: it keeps all it is given twice.
            let ushering = std::pin::pin!(async {
                while let Some(command) = commands.recv().await {
                    let led = match usher.whose(command) {
                        Whose::Models(command) => usher.to_model.send(command).await,
                        // Few calls are taken over: what that takes is made then.
                        Whose::Persons(request) => Box::pin(usher.respond(request)).await,
                        Whose::Nobodys => Ok(()),
                    };
                    if led.is_err() {
                        // The call is over, or the model has ended, which it tells itself.
                        return;
                    }
                }
            });
            match select(&mut model, ushering).await {
                Either::Left((ended, _)) => ended,
                Either::Right(((), _)) => model.await,
            }
        })
    }
}

/// Leads requests to whoever has the seat.
struct Usher {
    seat: Arc<Seat>,
    events: Tx<LlmEvent>,
    to_model: Tx<LlmCommand>,
    /// Replies that the model knows nothing of.
    ours: VecDeque<ReplyId>,
    /// What the person is being asked, for the model if they leave.
    asked: Option<Arc<ReplyRequest>>,
    count: u32,
}

/// Whom a command is for.
enum Whose {
    Models(LlmCommand),
    Persons(Arc<ReplyRequest>),
    Nobodys,
}

impl Usher {
    fn whose(&self, command: LlmCommand) -> Whose {
        match command {
            LlmCommand::Respond(request) if self.seat.is_taken() || self.asked.is_some() => {
                Whose::Persons(request)
            }
            LlmCommand::Commit { reply }
            | LlmCommand::Cancel { reply }
            | LlmCommand::Interrupted { reply, .. }
                if self.ours.contains(&reply) =>
            {
                Whose::Nobodys
            }
            LlmCommand::ToolResult(result) if result.name == PERSON => Whose::Nobodys,
            other => Whose::Models(other),
        }
    }

    async fn respond(&mut self, request: Arc<ReplyRequest>) -> Result<(), offhook_stages::queue::Closed> {
        let goes_on = request.reason == ReplyReason::Tool && self.asked.is_some();
        if goes_on && let Some((text, by)) = self.seat.words() {
            self.asked = None;
            let reply = self.remember(request.reply);
            self.events.send(LlmEvent::Interruptible { reply, by }).await?;
            self.events.send(LlmEvent::Text { reply, delta: text }).await?;
            return self.events.send(LlmEvent::Done { reply }).await;
        }
        if self.seat.is_taken() {
            if !goes_on {
                self.asked = Some(Arc::clone(&request));
            }
            return self.ask(request.reply).await;
        }
        // The person has left: the model answers what they did not.
        let asked = self.asked.take().filter(|_| goes_on);
        let request = match asked {
            Some(asked) => Arc::new(ReplyRequest { reason: asked.reason.clone(), ..(*request).clone() }),
            None => request,
        };
        self.to_model.send(LlmCommand::Respond(request)).await
    }

    /// Asks the person.
    async fn ask(&mut self, reply: ReplyId) -> Result<(), offhook_stages::queue::Closed> {
        self.seat.state().awaited = true;
        let reply = self.remember(reply);
        self.count = self.count.wrapping_add(1);
        let arguments = serde_json::json!({ "request": self.count });
        let call = ToolCall { id: String::new(), name: PERSON.to_owned(), arguments };
        self.events.send(LlmEvent::Tool { reply, call }).await?;
        self.events.send(LlmEvent::Done { reply }).await
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

    /// Answers each request with its number.
    struct Model;

    impl Llm for Model {
        fn name(&self) -> &str {
            "model"
        }

        fn run(
            &self,
            _call: CallInfo,
            commands: Rx<LlmCommand>,
            events: Tx<LlmEvent>,
        ) -> BoxFuture<Result<(), StageError>> {
            Box::pin(async move {
                while let Some(command) = commands.recv().await {
                    let said = match command {
                        LlmCommand::Respond(request) => (request.reply, format!("{:?}", request.reason)),
                        LlmCommand::Commit { reply } => (reply, "commit".to_owned()),
                        other => panic!("{other:?}"),
                    };
                    events.send(LlmEvent::Text { reply: said.0, delta: said.1 }).await.unwrap();
                }
                Ok(())
            })
        }
    }

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

    #[tokio::test(start_paused = true)]
    async fn a_person_answers_while_the_seat_is_taken_and_the_model_before_and_after() {
        let seat = Arc::new(Seat::default());
        let seated = Seated::new(Arc::new(Model), Arc::clone(&seat));
        let (to, commands) = bounded(8, WhenFull::PushBack);
        let (events, from) = bounded(8, WhenFull::PushBack);
        let running = tokio::spawn(seated.run(CallInfo::default(), commands, events));
        let text = |event: Option<LlmEvent>| match event {
            Some(LlmEvent::Text { delta, .. }) => delta,
            other => panic!("{other:?}"),
        };
        to.send(request(1, caller("one"))).await.unwrap();
        assert!(text(from.recv().await).contains("one"));
        assert!(!seat.answer("nobody asked", Interruptible::Yes));
        // Taken: the model is not asked, and hears nothing of the reply.
        seat.take(true);
        to.send(request(2, caller("two"))).await.unwrap();
        assert!(matches!(from.recv().await, Some(LlmEvent::Tool { call, .. }) if call.name == PERSON));
        assert!(matches!(from.recv().await, Some(LlmEvent::Done { .. })));
        to.send(LlmCommand::Commit { reply: ReplyId(2) }).await.unwrap();
        let waiting = tokio::spawn(Arc::clone(&seat).answered());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!waiting.is_finished());
        assert!(seat.answer("A person speaks.", Interruptible::No));
        let outcome = waiting.await.unwrap();
        to.send(LlmCommand::ToolResult(ToolResult { id: "1".into(), name: PERSON.into(), outcome }))
            .await
            .unwrap();
        to.send(request(3, ReplyReason::Tool)).await.unwrap();
        assert_eq!(
            from.recv().await,
            Some(LlmEvent::Interruptible { reply: ReplyId(3), by: Interruptible::No })
        );
        assert_eq!(text(from.recv().await), "A person speaks.");
        assert!(matches!(from.recv().await, Some(LlmEvent::Done { .. })));
        assert!(!seat.answer("nothing is asked now", Interruptible::Yes));
        // Given back in the midst of a question: the model answers what was asked.
        to.send(request(4, caller("four"))).await.unwrap();
        assert!(matches!(from.recv().await, Some(LlmEvent::Tool { .. })));
        assert!(matches!(from.recv().await, Some(LlmEvent::Done { .. })));
        let waiting = tokio::spawn(Arc::clone(&seat).answered());
        tokio::time::sleep(Duration::from_secs(1)).await;
        seat.take(false);
        waiting.await.unwrap().unwrap();
        to.send(request(5, ReplyReason::Tool)).await.unwrap();
        assert!(text(from.recv().await).contains("four"));
        to.send(LlmCommand::Commit { reply: ReplyId(5) }).await.unwrap();
        assert_eq!(text(from.recv().await), "commit");
        drop(to);
        running.await.unwrap().unwrap();
    }
}
