//! Chains of language models.

mod hedging;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use offhook_chain::{Circuit, Deadlines, GO_ON, Link, LlmChain};
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{
    Content, Entry, FailureKind, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, ToolCall, ToolResult,
    ToolUse,
};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Tx, WhenFull, bounded};
use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use crate::faults::{FAULTS, Fault, Plan, call_info, end, failure, link, plan, run};

const ANSWER: [&str; 10] =
    ["One ", "two ", "three. ", "Four ", "fi", "ve ", "six. ", "Seven ", "eight ", "nine."];
const SENTENCES: [&str; 4] = ["", "One two three.", "One two three. Four five six.", WHOLE];
const WHOLE: &str = "One two three. Four five six. Seven eight nine.";

/// How a model goes on.
#[derive(Clone, Copy, Debug)]
enum Style {
    /// Where it is asked to.
    Exactly,
    /// From the beginning.
    Restarts,
    /// Some words back.
    Overlaps,
}

/// A model that says [`ANSWER`], a piece every 50 ms, and fails as planned, a plan a request.
#[derive(Clone)]
struct Model {
    plans: Arc<Mutex<VecDeque<Plan>>>,
    style: Style,
    latency: Duration,
    /// It wants this tool after so many pieces.
    tool: Option<usize>,
    seen: Arc<Mutex<Vec<String>>>,
    requests: Arc<Mutex<Vec<Arc<ReplyRequest>>>>,
}

impl Model {
    fn new(plans: &[Plan]) -> Self {
        Self {
            plans: Arc::new(Mutex::new(plans.iter().copied().collect())),
            style: Style::Exactly,
            latency: Duration::from_millis(300),
            tool: None,
            seen: Arc::default(),
            requests: Arc::default(),
        }
    }

    fn link(&self) -> Link<dyn Llm> {
        link(Arc::new(self.clone()), Deadlines::LLM, None)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn begin(&self, request: &Arc<ReplyRequest>) -> (ReplyId, VecDeque<&'static str>, Plan, usize) {
        self.requests.lock().unwrap().push(Arc::clone(request));
        let said = match request.history.as_slice() {
            [.., said, Entry { content: Content::Note { text }, .. }] if text == GO_ON => {
                said.words().unwrap()
            }
            _ => "",
        };
        let back = match self.style {
            Style::Exactly => 0,
            Style::Restarts => usize::MAX,
            Style::Overlaps => 3,
        };
        let at = SENTENCES.iter().position(|sentence| *sentence == said).unwrap();
        let from = [0usize, 3, 7, 10].get(at).unwrap().saturating_sub(back);
        let plan = self.plans.lock().unwrap().pop_front().flatten();
        (request.reply, ANSWER.into_iter().skip(from).collect(), plan, 0)
    }
}

impl Llm for Model {
    fn name(&self) -> &str {
        "fake"
    }

    fn run(
        &self,
        _: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let model = self.clone();
        Box::pin(async move {
            let mut at_work = None;
            let mut next = Instant::now();
            loop {
                tokio::select! {
                    biased;
                    command = commands.recv() => match command {
                        None => return Ok(()),
                        Some(LlmCommand::Respond(request)) => {
                            model.seen.lock().unwrap().push(format!("respond {}", request.reply));
                            at_work = Some(model.begin(&request));
                            next = Instant::now() + model.latency;
                        }
                        Some(LlmCommand::Cancel { reply }) => {
                            model.seen.lock().unwrap().push(format!("cancel {reply}"));
                            at_work = at_work.filter(|(id, ..)| *id != reply);
                        }
                        Some(LlmCommand::Interrupted { reply, .. }) => {
                            model.seen.lock().unwrap().push(format!("interrupted {reply}"));
                        }
                        Some(LlmCommand::Commit { reply }) => {
                            model.seen.lock().unwrap().push(format!("commit {reply}"));
                        }
                        Some(LlmCommand::News(_)) => {}
                        Some(LlmCommand::ToolResult(result)) => {
                            model.seen.lock().unwrap().push(format!("result {}", result.name));
                        }
                    },
                    () = tokio::time::sleep_until(next), if at_work.is_some() => {
                        next += Duration::from_millis(50);
                        let Some((reply, rest, plan, given)) = &mut at_work else { continue };
                        let reply = *reply;
                        if let Some((_, fault)) = plan.filter(|(after, _)| after == given) {
                            at_work = None;
                            if let Fault::Failed(kind) = fault {
                                let failure = failure(kind);
                                events.send(LlmEvent::Failed { reply, failure }).await.unwrap();
                            } else if let Some(outcome) = end(fault) {
                                return outcome;
                            }
                            continue;
                        }
                        if model.tool == Some(*given) {
                            let call = ToolCall { id: "t1".into(), name: "look_up".into(), arguments: serde_json::json!({}) };
                            events.send(LlmEvent::Tool { reply, call: call.clone() }).await.unwrap();
                            events.send(LlmEvent::Tool { reply, call }).await.unwrap();
                        }
                        *given += 1;
                        let event = match rest.pop_front() {
                            Some(piece) => LlmEvent::Text { reply, delta: piece.to_owned() },
                            None => {
                                at_work = None;
                                LlmEvent::Done { reply }
                            }
                        };
                        if events.send(event).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
        })
    }
}

/// A call's side of a chain.
struct Line {
    to: Tx<LlmCommand>,
    from: Rx<LlmEvent>,
    task: tokio::task::JoinHandle<Result<(), StageError>>,
}

impl Line {
    fn new(links: &[Link<dyn Llm>]) -> Self {
        Self::with_room(links, 256)
    }

    fn with_room(links: &[Link<dyn Llm>], room: usize) -> Self {
        let chain = LlmChain::new(links.to_vec()).unwrap();
        let (to, commands) = bounded(256, WhenFull::PushBack);
        let (events, from) = bounded(room, WhenFull::PushBack);
        Self { to, from, task: tokio::spawn(chain.run(call_info(), commands, events)) }
    }

    fn ask(&self, reply: u32) {
        let text = "count".to_owned();
        let history = vec![Entry::at(Content::Caller { text: text.clone() }, 9)];
        let reason = ReplyReason::Caller { text, confidence: None };
        let request = ReplyRequest {
            reply: ReplyId(reply),
            reason,
            history,
            language: None,
            tools: ToolUse::Auto,
            speculative: false,
        };
        self.to.offer(LlmCommand::Respond(Arc::new(request))).unwrap();
    }

    /// Everything up to the end of a reply: its text, tools, and failure, if it is one.
    async fn answer(&self, id: u32) -> (String, usize, Option<FailureKind>) {
        let (mut text, mut tools) = (String::new(), 0);
        loop {
            let event = timeout(Duration::from_secs(60), self.from.recv()).await.unwrap().unwrap();
            match event {
                LlmEvent::Text { reply, delta } if reply.0 == id => text += &delta,
                LlmEvent::Tool { reply, .. } if reply.0 == id => tools += 1,
                LlmEvent::Done { reply } if reply.0 == id => return (text, tools, None),
                LlmEvent::Failed { reply, failure } if reply.0 == id => {
                    return (text, tools, Some(failure.kind));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_at_every_moment_is_bridged_without_a_word_lost_or_doubled() {
    for fault in FAULTS {
        for after in 0..=ANSWER.len() {
            for style in [Style::Exactly, Style::Restarts, Style::Overlaps] {
                let first = Model::new(&[Some((after, fault)), Some((0, fault))]);
                let second = Model { style, ..Model::new(&[]) };
                let line = Line::new(&[first.link(), second.link()]);
                line.ask(1);
                let (text, _, failed) = line.answer(1).await;
                assert_eq!((text.trim(), failed), (WHOLE, None), "{fault:?} after {after}, {style:?}");
                sleep(Duration::from_secs(30)).await;
                assert!(line.from.try_recv().is_err(), "nothing comes after the end");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_nobody_can_go_on_a_reply_ends_with_its_last_sentence() {
    let first = Model::new(&[Some((5, Fault::Failed(FailureKind::Busy)))]);
    let second = Model::new(&[Some((1, Fault::Hung))]);
    let line = Line::new(&[first.link(), second.link()]);
    line.ask(1);
    assert_eq!(line.answer(1).await, ("One two three. ".into(), 0, Some(FailureKind::TooSlow)));
    let requests = second.requests.lock().unwrap().clone();
    let turns: Vec<_> = requests.iter().flat_map(|request| &request.history).collect();
    insta::assert_debug_snapshot!(turns);
}

#[tokio::test(start_paused = true)]
async fn the_last_whole_sentence_of_a_stream_that_ends_early_is_said() {
    // All of it was written, but not its end mark.
    let first = Model::new(&[Some((10, Fault::Failed(FailureKind::Refused)))]);
    let line = Line::new(&[first.link()]);
    line.ask(1);
    assert_eq!(line.answer(1).await, (WHOLE.into(), 0, Some(FailureKind::Refused)));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_link_costs_its_deadline_and_is_then_avoided() {
    let hung = Some((0, Fault::Hung));
    let first = Model::new(&[hung, hung, hung]);
    let links = [first.link(), Model::new(&[]).link()];
    let line = Line::new(&links);
    for (reply, least_ms) in [(1, 2_800), (2, 2_800), (3, 2_800), (4, 300)] {
        let began = Instant::now();
        line.ask(reply);
        assert!(line.answer(reply).await.2.is_none());
        let took = began.elapsed().as_millis();
        assert!((least_ms..least_ms + 600).contains(&took), "{took} ms");
    }
    assert_eq!(links[0].health.circuit(), Circuit::Open);
    // Another call sees it too, and tries it again when it has rested.
    let other = Line::new(&links);
    other.ask(1);
    assert!(other.answer(1).await.2.is_none());
    assert_eq!(first.seen().len(), 3);
    sleep(Duration::from_secs(15)).await;
    other.ask(2);
    assert!(other.answer(2).await.2.is_none());
    assert_eq!((first.seen().len(), links[0].health.circuit()), (4, Circuit::Closed));
    let totals = links[1].health.totals();
    assert_eq!((totals.asked, totals.took_over, totals.answered), (5, 3, 5));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_slow_is_not_taken_for_a_slow_link() {
    let links = [Model::new(&[]).link(), Model::new(&[]).link()];
    let line = Line::with_room(&links, 1);
    line.ask(1);
    let mut text = String::new();
    loop {
        sleep(Duration::from_secs(9)).await;
        match line.from.recv().await.unwrap() {
            LlmEvent::Text { delta, .. } => text += &delta,
            LlmEvent::Done { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((text.as_str(), links[1].health.totals().asked), (WHOLE, 0));
}

#[tokio::test(start_paused = true)]
async fn the_last_link_is_used_even_when_all_are_open() {
    let links = [Model::new(&[]).link(), Model::new(&[]).link()];
    for link in &links {
        link.health.failed(&failure(FailureKind::Refused));
    }
    let line = Line::new(&links);
    line.ask(1);
    assert_eq!(line.answer(1).await.2, None);
    assert_eq!((links[0].health.totals().asked, links[1].health.totals().asked), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_made_anew_at_once() {
    let only = Model::new(&[Some((0, Fault::Ended))]);
    let line = Line::new(&[only.link()]);
    line.ask(1);
    assert_eq!(line.answer(1).await.0.trim(), WHOLE);
    let refused = Model::new(&[Some((0, Fault::Failed(FailureKind::Refused)))]);
    let line = Line::new(&[refused.link()]);
    line.ask(1);
    assert_eq!(line.answer(1).await.2, Some(FailureKind::Refused));
    assert_eq!(refused.seen().len(), 1, "what was refused is not asked again");
}
