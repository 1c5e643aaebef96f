//! Calls of text on a virtual clock: what is said, when, and what is remembered of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::time::Duration;

use offhook_call::id::ReplyId;
use offhook_call::relay::{RelayCall, RelayInput, RelayOutput};
use offhook_call::stage::{
    Digits, FailureKind, LlmCommand, LlmEvent, ReplyReason, StageFailure, ToolCall, ToolResult,
};
use offhook_call::{CallConfig, CallEvent, CallTime, Control, Key};
use proptest::prelude::*;

/// What the model does with a request.
#[derive(Clone)]
enum Does {
    /// Says this in pieces, so many milliseconds apart, and is done.
    Says(&'static str, u64),
    /// Says this and no more, without being done.
    Stalls(&'static str),
    /// Never answers.
    Sleeps,
    Fails,
    /// Says this, and uses a tool.
    Uses(&'static str, &'static str, serde_json::Value),
}

struct Phone {
    call: RelayCall,
    now: u64,
    model: VecDeque<Does>,
    later: BTreeMap<(u64, usize), LlmEvent>,
    count: usize,
    timeline: String,
    /// What the model was last asked.
    asked: String,
    texts: String,
}

impl Phone {
    fn new(config: CallConfig, model: &[Does]) -> Self {
        let mut phone = Self {
            call: RelayCall::new(config),
            now: 0,
            model: model.to_vec().into(),
            later: BTreeMap::new(),
            count: 0,
            timeline: String::new(),
            asked: String::new(),
            texts: String::new(),
        };
        phone.feed(RelayInput::Setup);
        phone
    }

    fn feed(&mut self, input: RelayInput<'_>) {
        self.call.handle(input, CallTime::from_millis(self.now));
        while let Some(output) = self.call.poll_output() {
            self.take(output);
        }
    }

    fn line(&mut self, what: impl std::fmt::Display) {
        writeln!(self.timeline, "{:>6} {what}", self.now).unwrap();
    }

    fn take(&mut self, output: RelayOutput) {
        match output {
            RelayOutput::Text { token, last, interruptible } => {
                self.texts.push_str(&token);
                let (last, fixed) = (if last { " ." } else { "" }, if interruptible { "" } else { " !" });
                self.line(format_args!("text “{token}”{last}{fixed}"));
            }
            RelayOutput::Press(digits) => self.line(format_args!("press {digits:?}")),
            RelayOutput::Llm(LlmCommand::Respond(request)) => {
                self.asked = request.turns.iter().fold(String::new(), |mut asked, turn| {
                    let cut = if turn.interrupted { " —" } else { "" };
                    writeln!(asked, "{:?}: {}{cut}", turn.who, turn.text).unwrap();
                    asked
                });
                let reason = match &request.reason {
                    ReplyReason::Caller { text, .. } => format!("“{text}”"),
                    other => format!("{other:?}"),
                };
                self.line(format_args!("ask {} {reason}", request.reply));
                let does = self.model.pop_front().unwrap_or(Does::Says("Yes.", 0));
                self.plan(request.reply, does);
            }
            RelayOutput::Llm(LlmCommand::Commit { reply }) => self.line(format_args!("commit {reply}")),
            RelayOutput::Llm(LlmCommand::Interrupted { reply, .. }) => {
                self.line(format_args!("interrupted {reply}"))
            }
            RelayOutput::Llm(LlmCommand::Cancel { reply }) => {
                self.later.retain(|_, event| !matches!(event, LlmEvent::Text { reply: of, .. } | LlmEvent::Done { reply: of } if *of == reply));
                self.line(format_args!("cancel {reply}"));
            }
            RelayOutput::Llm(LlmCommand::ToolResult(result)) => {
                self.line(format_args!("result of {}", result.name))
            }
            RelayOutput::Tool(call) => self.line(format_args!("tool {}", call.name)),
            RelayOutput::CancelTool { id } => self.line(format_args!("give up tool {id}")),
            RelayOutput::Event(event) => match event {
                CallEvent::Said { heard, interrupted, .. } => {
                    self.line(format_args!("heard “{heard}”{}", if interrupted { " —" } else { "" }));
                }
                CallEvent::Trouble { message } => self.line(format_args!("trouble: {message}")),
                CallEvent::TurnDropped { text, why } => self.line(format_args!("dropped “{text}” {why:?}")),
                CallEvent::BargeIn { stage, .. } => self.line(format_args!("barge-in {stage:?}")),
                CallEvent::Ended { why } => self.line(format_args!("ended {why:?}")),
                CallEvent::Digits { count } => self.line(format_args!("{count} digits")),
                _ => {}
            },
            RelayOutput::End { handoff } => {
                let handoff = handoff
                    .map_or(String::new(), |call| format!(", hands over {} {}", call.name, call.arguments));
                self.line(format_args!("end{handoff}"));
            }
        }
    }

    fn plan(&mut self, reply: ReplyId, does: Does) {
        let mut at = self.now + 200;
        let mut events = Vec::new();
        match does {
            Does::Says(text, apart) => {
                for piece in text.split_inclusive(' ') {
                    events.push((at, LlmEvent::Text { reply, delta: piece.into() }));
                    at += apart;
                }
                events.push((at, LlmEvent::Done { reply }));
            }
            Does::Stalls(text) => events.push((at, LlmEvent::Text { reply, delta: text.into() })),
            Does::Sleeps => {}
            Does::Fails => {
                let failure = StageFailure {
                    stage: "model".into(),
                    message: "no".into(),
                    kind: FailureKind::Broken,
                    retry_after_ms: None,
                };
                events.push((at, LlmEvent::Failed { reply, failure }));
            }
            Does::Uses(text, name, arguments) => {
                events.push((at, LlmEvent::Text { reply, delta: text.into() }));
                let call = ToolCall { id: "t".into(), name: name.into(), arguments };
                events.push((at, LlmEvent::Tool { reply, call }));
                events.push((at, LlmEvent::Done { reply }));
            }
        }
        for (at, event) in events {
            self.later.insert((at, self.count), event);
            self.count += 1;
        }
    }

    /// Lets time pass.
    fn until(&mut self, ms: u64) {
        loop {
            let model = self.later.keys().next().map(|(at, _)| *at);
            let clock = self
                .call
                .deadline()
                .map(|at| u64::try_from(at.since_start().as_micros().div_ceil(1_000)).unwrap());
            let next = [model, clock].into_iter().flatten().min().filter(|at| *at <= ms);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if model == Some(next) {
                let (_, event) = self.later.pop_first().unwrap();
                self.feed(RelayInput::Llm(event));
            } else {
                self.feed(RelayInput::Timeout);
            }
        }
        self.now = ms;
    }

    fn says(&mut self, at: u64, text: &str) {
        self.until(at);
        self.line(format_args!("    caller “{text}”"));
        self.feed(RelayInput::Prompt { text, last: true });
    }

    fn interrupts(&mut self, at: u64, heard: &str) {
        self.until(at);
        self.feed(RelayInput::Interrupt { heard, after: Some(Duration::from_millis(400)) });
    }
}

fn greeting() -> CallConfig {
    let mut config = CallConfig::default();
    config.patience.greeting = Some("Hello, this is the hotel.".into());
    config
}

#[test]
fn a_question_and_its_answer() {
    let mut phone =
        Phone::new(CallConfig::default(), &[Does::Says("Hello!", 0), Does::Says("We open at nine.", 100)]);
    phone.until(2_000);
    phone.feed(RelayInput::Prompt { text: "When do", last: false });
    phone.feed(RelayInput::Prompt { text: "When do you open", last: false });
    phone.says(2_300, "When do you open?");
    phone.until(6_000);
    insta::assert_snapshot!(phone.timeline);
    insta::assert_snapshot!(phone.asked, @r"
    Agent: Hello!
    Caller: When do you open?
    ");
}

#[test]
fn an_interruption_leaves_what_was_heard() {
    let mut phone =
        Phone::new(greeting(), &[Does::Says("Our opening hours are nine to five, every day.", 0)]);
    phone.says(3_000, "When are you open?");
    phone.interrupts(4_200, "Our opening hours are");
    phone.says(5_000, "And on Sundays?");
    phone.until(7_000);
    insta::assert_snapshot!(phone.timeline);
    insta::assert_snapshot!(phone.asked, @r"
    Agent: Hello, this is the hotel.
    Caller: When are you open?
    Agent: Our opening hours are —
    Caller: And on Sundays?
    ");
}

#[test]
fn a_model_that_sleeps_is_bridged_and_given_up() {
    let mut phone = Phone::new(greeting(), &[Does::Sleeps, Does::Says("Yes.", 0)]);
    phone.says(3_000, "Hello?");
    phone.says(12_500, "Are you there?");
    phone.until(14_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_model_that_fails_is_apologised_for_at_once() {
    let mut phone = Phone::new(greeting(), &[Does::Fails]);
    phone.says(3_000, "Hello?");
    phone.until(4_000);
    assert!(phone.texts.ends_with("Could you say that again?"), "{}", phone.timeline);
}

#[test]
fn a_model_that_stalls_in_its_midst_is_bridged() {
    let mut phone = Phone::new(greeting(), &[Does::Stalls("Your order is "), Does::Says("Yes.", 0)]);
    phone.says(3_000, "Where is it?");
    phone.until(14_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn two_prompts_before_the_answer_are_one_turn() {
    let mut phone = Phone::new(greeting(), &[Does::Says("late", 5_000), Does::Says("Two pizzas, then.", 0)]);
    phone.says(3_000, "I would like");
    phone.says(3_100, "two pizzas.");
    phone.until(5_000);
    assert!(phone.timeline.contains("ask r2 “I would like two pizzas.”"), "{}", phone.timeline);
}

#[test]
fn a_backchannel_into_the_agents_words_lets_it_go_on() {
    let mut phone =
        Phone::new(greeting(), &[Does::Says("Our opening hours are nine to five, every day.", 0)]);
    phone.feed(RelayInput::AgentSpeaking(true));
    phone.until(2_500);
    phone.feed(RelayInput::AgentSpeaking(false));
    phone.says(3_000, "When are you open?");
    phone.until(3_600);
    phone.feed(RelayInput::AgentSpeaking(true));
    phone.feed(RelayInput::CallerSpeaking(true));
    phone.interrupts(4_200, "Our opening hours");
    phone.feed(RelayInput::CallerSpeaking(false));
    phone.says(4_500, "Mm-hm.");
    phone.until(9_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_cough_leaves_no_hole() {
    let mut phone = Phone::new(greeting(), &[]);
    phone.until(500);
    phone.feed(RelayInput::AgentSpeaking(true));
    phone.feed(RelayInput::CallerSpeaking(true));
    phone.interrupts(800, "Hello, this");
    phone.until(900);
    phone.feed(RelayInput::CallerSpeaking(false));
    phone.until(3_500);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn keys_are_gathered_and_never_shown() {
    let mut phone = Phone::new(
        greeting(),
        &[Does::Uses("One moment.", "send_dtmf", serde_json::json!({"digits": "4711#"}))],
    );
    phone.until(3_000);
    for key in ['0', '8', '1', '5', '#'] {
        phone.feed(RelayInput::Dtmf(Key::new(key).unwrap()));
    }
    phone.until(4_000);
    insta::assert_snapshot!(phone.timeline);
    assert!(!phone.timeline.contains("4711") && !phone.timeline.contains("0815"));
    phone.feed(RelayInput::Control(Control::Press { digits: Digits::new("12A") }));
    assert!(phone.timeline.contains("trouble: keys were not pressed"), "{}", phone.timeline);
}

#[test]
fn the_session_ends_when_the_farewell_was_heard() {
    let mut phone = Phone::new(greeting(), &[Does::Uses("Goodbye then.", "end_call", serde_json::json!({}))]);
    phone.says(3_000, "Bye.");
    phone.until(3_400);
    phone.feed(RelayInput::AgentSpeaking(true));
    phone.until(4_000);
    phone.feed(RelayInput::Played("Goodbye then."));
    phone.feed(RelayInput::AgentSpeaking(false));
    phone.until(6_000);
    phone.feed(RelayInput::Stop);
    assert!(phone.call.is_over());
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_transfer_is_handed_over() {
    let number = serde_json::json!({"to": "+14155550102"});
    let mut phone = Phone::new(greeting(), &[Does::Uses("I'll connect you.", "transfer_call", number)]);
    phone.says(3_000, "A human, please.");
    phone.until(7_000);
    assert!(phone.timeline.contains("tool transfer_call"), "{}", phone.timeline);
    let result = ToolResult { id: "t".into(), name: "transfer_call".into(), outcome: Ok("calling".into()) };
    phone.feed(RelayInput::Tool(result));
    phone.until(9_000);
    assert!(
        phone.timeline.contains(r#"end, hands over transfer_call {"to":"+14155550102"}"#),
        "{}",
        phone.timeline
    );
}

#[test]
fn a_transfer_that_may_not_be_made_is_told_to_the_agent() {
    let number = serde_json::json!({"to": "+1900"});
    let model =
        [Does::Uses("I'll connect you.", "transfer_call", number), Does::Says("I'm afraid I can't.", 0)];
    let mut phone = Phone::new(greeting(), &model);
    phone.says(3_000, "A human, please.");
    phone.until(7_000);
    let result = ToolResult { id: "t".into(), name: "transfer_call".into(), outcome: Err("no".into()) };
    phone.feed(RelayInput::Tool(result));
    phone.until(9_000);
    assert!(phone.texts.ends_with("I'm afraid I can't."), "{}", phone.timeline);
    assert!(!phone.timeline.contains(" end"), "{}", phone.timeline);
}

#[test]
fn a_message_is_left_when_the_mailbox_is_silent() {
    let mut phone = Phone::new(greeting(), &[]);
    phone.until(1_000);
    let text = "Your order is ready.".to_owned();
    phone.feed(RelayInput::Control(Control::LeaveMessage { text, beeped: false }));
    phone.says(3_000, "You have reached the mailbox of Jo.");
    phone.until(12_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_tool_that_is_slow_is_bridged_and_its_result_answered() {
    let tool = Does::Uses("Let me look.", "find_order", serde_json::json!({"n": 1}));
    let mut phone = Phone::new(greeting(), &[tool, Does::Says("It's ready.", 0)]);
    phone.says(3_000, "Where is my order?");
    phone.until(7_000);
    let result = ToolResult { id: "1-t".into(), name: "find_order".into(), outcome: Ok("ready".into()) };
    phone.feed(RelayInput::Tool(result));
    phone.until(9_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn silence_is_met_with_check_ins_and_a_farewell() {
    let mut phone = Phone::new(greeting(), &[]);
    phone.until(60_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_lost_connection_goes_on_with_what_was_not_heard() {
    let mut phone = Phone::new(
        greeting(),
        &[Does::Says("Our opening hours are nine to five. Is there anything else?", 0)],
    );
    phone.says(3_000, "When are you open?");
    phone.until(4_500);
    phone.feed(RelayInput::Lost);
    assert!(phone.call.is_lost());
    phone.until(6_000);
    phone.feed(RelayInput::Setup);
    phone.says(13_000, "No, thank you.");
    phone.until(15_000);
    insta::assert_snapshot!(phone.timeline);
    insta::assert_snapshot!(phone.asked);
}

#[test]
fn a_question_asked_before_the_connection_broke_is_answered_after() {
    let mut phone = Phone::new(greeting(), &[Does::Sleeps, Does::Says("Nine to five.", 0)]);
    phone.says(3_000, "When are you open?");
    phone.until(3_500);
    phone.feed(RelayInput::Lost);
    phone.until(5_000);
    phone.feed(RelayInput::Setup);
    phone.until(6_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_call_that_does_not_come_back_is_over() {
    let mut phone = Phone::new(greeting(), &[]);
    phone.until(1_000);
    phone.feed(RelayInput::Lost);
    phone.until(40_000);
    assert!(phone.call.is_over(), "{}", phone.timeline);
}

#[derive(Clone, Debug)]
enum Step {
    Prompt(String, bool),
    Interrupt(String),
    Agent(bool),
    Caller(bool),
    Played(String),
    Key(usize),
    Lost,
    Setup,
    HangUp,
}

fn step() -> impl Strategy<Value = Step> {
    let words = || {
        prop::sample::select(vec!["", "yes", "mm-hm", "two pizzas", "Hello, this is", "Yes", "the hotel."])
            .prop_map(str::to_owned)
    };
    prop_oneof![
        4 => (words(), any::<bool>()).prop_map(|(text, last)| Step::Prompt(text, last)),
        3 => words().prop_map(Step::Interrupt),
        2 => any::<bool>().prop_map(Step::Agent),
        2 => any::<bool>().prop_map(Step::Caller),
        2 => words().prop_map(Step::Played),
        1 => (0..11usize).prop_map(Step::Key),
        1 => Just(Step::Lost),
        2 => Just(Step::Setup),
        1 => Just(Step::HangUp),
    ]
}

proptest! {
    /// Whatever happens in whatever order: the call is never silent after a turn, and always comes to an end.
    #[test]
    fn every_turn_is_met_within_two_seconds_and_every_call_ends(steps in prop::collection::vec((0u64..4_000, step(), 0..5usize), 0..25)) {
        let does = [Does::Says("Yes, of course.", 30), Does::Sleeps, Does::Fails, Does::Stalls("Well, "), Does::Uses("", "look", serde_json::json!({}))];
        let model: Vec<Does> = steps.iter().map(|(_, _, nth)| does[*nth].clone()).collect();
        let mut phone = Phone::new(greeting(), &model);
        for (wait, step, _) in &steps {
            phone.until(phone.now + wait);
            let input = match step {
                Step::Prompt(text, last) => RelayInput::Prompt { text, last: *last },
                Step::Interrupt(heard) => RelayInput::Interrupt { heard, after: None },
                Step::Agent(on) => RelayInput::AgentSpeaking(*on),
                Step::Caller(on) => RelayInput::CallerSpeaking(*on),
                Step::Played(text) => RelayInput::Played(text),
                Step::Key(nth) => RelayInput::Dtmf(Key::new("0123456789#".chars().nth(*nth).unwrap()).unwrap()),
                Step::Lost => RelayInput::Lost,
                Step::Setup => RelayInput::Setup,
                Step::HangUp => RelayInput::Control(Control::HangUp),
            };
            phone.feed(input);
        }
        // A last turn, and nobody disturbs: keys are gathered, voices are still.
        phone.until(phone.now + 1_600);
        phone.feed(RelayInput::CallerSpeaking(false));
        phone.feed(RelayInput::AgentSpeaking(false));
        phone.feed(RelayInput::Interrupt { heard: "", after: None });
        let begin = phone.timeline.len();
        phone.says(phone.now + 100, "What time is it now?");
        let asked = phone.timeline[begin..].contains("ask ");
        let from = phone.now;
        phone.until(from + 2_000);
        let said = ["text “", "ended "].iter().any(|what| phone.timeline[begin..].contains(what));
        prop_assert!(!asked || said, "{}", phone.timeline);
        phone.until(from + 400_000);
        prop_assert!(phone.timeline.contains("ended "), "{}", phone.timeline);
    }
}
