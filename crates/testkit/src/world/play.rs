//! A call in its world: what happens when, and what comes of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use offhook_conversation::{Call, CallEvent, Control, ConversationConfig, Input, Output, Transport};
use offhook_stage_api::{CallTime, LlmCommand, LlmEvent, SttCommand, ToolResult, TtsCommand};

use super::books::Books;
use super::scene::{Scene, Setup, Step};
use super::stages::{Stages, failure};

/// After the last step nobody does anything for so long, then Twilio ends the stream.
const QUIET_MS: u64 = 30_000;
/// So many deadlines at one moment run in circles.
const MOST_AT_ONCE: usize = 300;

/// Twilio's side of a line, with the stages that only this line has.
pub trait Side: Sized {
    type Line: Transport;
    /// Something that happens later.
    type Later;
    const NAME: &'static str;
    /// What the caller hears when is known only by estimate.
    const ESTIMATED: bool;

    fn new(scene: &Scene) -> (Call<Self::Line>, Self);
    /// The stream has begun.
    fn begin(_world: &mut World<Self>) {}
    /// Something was sent to Twilio.
    fn on_wire(world: &mut World<Self>, wire: <Self::Line as Transport>::Wire);
    fn on_stt(_world: &mut World<Self>, _command: SttCommand) {}
    fn on_tts(_world: &mut World<Self>, _command: TtsCommand) {}
    fn deliver(world: &mut World<Self>, what: Self::Later);
    /// The connection is gone, with what was on its way and what Twilio still held.
    fn cut(world: &mut World<Self>);
    fn lost() -> <Self::Line as Transport>::Input<'static>;
    fn back() -> <Self::Line as Transport>::Input<'static>;
    fn caller_does(world: &mut World<Self>, step: &Step);
    /// When the agent's last sound, as things stand, reaches the caller.
    fn agent_until(&self) -> u64;
    /// How an utterance that is over compares with what was sent and played of it; `Err`: what is wrong.
    fn check_said(&self, _books: &Books, _event: &CallEvent, _now: u64) -> Result<(), String> {
        Ok(())
    }
}

pub enum Later<T> {
    Step(Step),
    Llm(LlmEvent),
    Tool(ToolResult),
    Side(T),
    Back,
    Stop,
}

/// A direction of the network: nothing overtakes.
#[derive(Debug, Default)]
pub struct Way {
    delay: u64,
    stalled_until: u64,
    last: u64,
}

impl Way {
    /// When what is sent now arrives.
    pub fn arrives(&mut self, now: u64) -> u64 {
        let at = (now + self.delay).max(self.stalled_until).max(self.last);
        self.last = at;
        at
    }
}

/// A call in its world. Times are microseconds.
pub struct World<S: Side> {
    pub scene: Scene,
    pub now: u64,
    call: Call<S::Line>,
    later: BTreeMap<(u64, usize), Later<S::Later>>,
    count: usize,
    pub books: Books,
    pub stages: Stages,
    pub side: S,
    pub to_twilio: Way,
    pub from_twilio: Way,
    /// When the caller's sound ends, as things stand.
    pub caller_until: u64,
    at_once: usize,
    /// There is no connection.
    pub away: bool,
    /// What happened, for people.
    timeline: Option<String>,
}

/// What a scene came to.
pub struct Outcome {
    pub broken: Option<String>,
    pub timeline: String,
}

/// Plays a scene on a line.
pub fn play<S: Side>(scene: &Scene, tell: bool) -> Outcome {
    let mut world = World::<S>::new(scene.clone(), tell);
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    if ran.is_err() {
        world.books.broken.get_or_insert_with(|| "panics".to_owned());
    }
    Outcome { broken: world.books.broken.take(), timeline: world.timeline.take().unwrap_or_default() }
}

/// An output for people; `None` for what is too much.
fn show<W: std::fmt::Debug>(output: &Output<W>) -> Option<String> {
    if let Output::Llm(LlmCommand::Respond(request)) = output {
        let history = crate::shown(&request.history);
        let history = history.lines().fold(String::new(), |all, line| all + "\n              | " + line);
        return Some(format!("asks {} {:?}{history}", request.reply, request.reason));
    }
    let text = format!("{output:?}");
    let much =
        ["Wire(Media", "Wire(Hidden", "Stt(Audio", "Event(Waiting", "Event(Hearing", "Event(ReplyTimed"];
    (!much.iter().any(|much| text.starts_with(much))).then_some(text)
}

/// What a scene's setup means for the conversation.
pub fn configure(setup: &Setup, config: &mut ConversationConfig) {
    config.turn.speculate = setup.speculate;
    config.barge_in.reply = setup.reply;
    config.phrases.greeting = setup.greeting.map(str::to_owned);
}

impl<S: Side> World<S> {
    fn new(scene: Scene, tell: bool) -> Self {
        let (call, side) = S::new(&scene);
        let setup = scene.setup.clone();
        let way = |ms: u64| Way { delay: ms * 1_000, ..Way::default() };
        Self {
            books: Books::new(&scene, S::ESTIMATED),
            scene,
            now: 0,
            call,
            later: BTreeMap::new(),
            count: 0,
            stages: Stages::default(),
            side,
            to_twilio: way(setup.there_ms),
            from_twilio: way(setup.back_ms),
            caller_until: 0,
            at_once: 0,
            away: false,
            timeline: tell.then(String::new),
        }
    }

    fn run(&mut self) {
        let mut at = 0;
        for (wait, step) in self.scene.steps.clone() {
            at += wait;
            self.schedule(at * 1_000, Later::Step(step));
        }
        self.schedule((at + QUIET_MS) * 1_000, Later::Stop);
        self.feed(Input::Start);
        S::begin(self);
        while self.books.broken.is_none() && !self.call.is_over() {
            let due = self.call.deadline().map(|due| due.at.since_start().as_micros() as u64);
            let next = self.later.keys().next().map(|(at, _)| *at);
            let Some(at) = [due, next].into_iter().flatten().min() else { break };
            if due.is_some_and(|due| due == at) && next.is_none_or(|next| at < next) {
                self.at_once = if at > self.now { 0 } else { self.at_once + 1 };
                if self.at_once > MOST_AT_ONCE {
                    return self.books.fail("deadlines run in circles");
                }
                self.now = self.now.max(at);
                self.feed(Input::Timeout);
                continue;
            }
            self.now = self.now.max(at);
            let Some((_, what)) = self.later.pop_first() else { break };
            self.deliver(what);
        }
        if self.books.broken.is_some() {
            return;
        }
        if !self.call.is_over() {
            return self.books.fail("the call isn't over after its stop");
        }
        // Whatever comes now, nothing comes out.
        for input in [Input::Start, Input::Timeout, Input::Control(Control::HangUp), Input::Stop] {
            self.call.handle(input, self.time());
            if let Some(output) = self.call.poll_output() {
                self.books.fail(&format!("after the end came {output:?}"));
            }
        }
        self.books.close();
    }

    fn on_llm(&mut self, command: LlmCommand) {
        match command {
            LlmCommand::Respond(request) => {
                for (after, event) in self.stages.respond(&self.scene, &request) {
                    self.schedule(self.now + after, Later::Llm(event));
                }
            }
            LlmCommand::Cancel { reply } => {
                // What is on its way still comes.
                let soon = self.now + 20_000;
                self.forget(|at, later| {
                    at > soon && matches!(later, Later::Llm(event) if event.reply() == reply)
                });
            }
            LlmCommand::Commit { .. }
            | LlmCommand::Interrupted { .. }
            | LlmCommand::ToolResult(_)
            | LlmCommand::News(_) => {}
        }
    }

    pub fn time(&self) -> CallTime {
        CallTime::after(Duration::from_micros(self.now))
    }

    pub fn schedule(&mut self, at: u64, what: Later<S::Later>) {
        self.count += 1;
        self.later.insert((at.max(self.now), self.count), what);
    }

    pub fn side_later(&mut self, at: u64, what: S::Later) {
        self.schedule(at, Later::Side(what));
    }

    /// Takes back what was to happen.
    pub fn forget(&mut self, gone: impl Fn(u64, &Later<S::Later>) -> bool) {
        self.later.retain(|(at, _), what| !gone(*at, what));
    }

    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(timeline) = &mut self.timeline {
            writeln!(timeline, "{:>9.3} {}", self.now as f64 / 1e6, what()).unwrap();
        }
    }

    fn deliver(&mut self, what: Later<S::Later>) {
        match what {
            Later::Step(step) => self.step(step),
            Later::Llm(event) => {
                if !self.stages.model_ended {
                    self.tell(|| format!("    model {event:?}"));
                    self.books.on_llm_event(&event);
                    self.feed(Input::Llm(event));
                }
            }
            Later::Tool(result) => {
                self.tell(|| format!("    tool returns {result:?}"));
                self.books.on_tool_result(&result);
                self.feed(Input::Tool(result));
            }
            Later::Side(what) => S::deliver(self, what),
            Later::Back => {
                self.tell(|| "    back".to_owned());
                self.away = false;
                self.books.on_back(self.now);
                self.feed(Input::Line(S::back()));
            }
            Later::Stop => {
                self.tell(|| "    stop".to_owned());
                self.books.stopping = true;
                self.feed(Input::Stop);
            }
        }
    }

    fn step(&mut self, step: Step) {
        self.tell(|| format!("    -- {step:?}"));
        match &step {
            Step::Announces(interruptible) => {
                let text = format!("This is announcement {} of today.", self.books.announcements() + 1);
                self.control(Control::Say { text, interruptible: *interruptible });
            }
            Step::Presses(keys) => {
                self.control(Control::Press { digits: offhook_stage_api::Digits::new(keys) });
            }
            Step::AppHangsUp => self.control(Control::HangUp),
            Step::AppTransfers => self.control(Control::Transfer { to: "+15550199".to_owned() }),
            Step::LeavesMessage { beeped } => {
                let text = "Please call us back, thank you.".to_owned();
                self.control(Control::LeaveMessage { text, beeped: *beeped });
            }
            Step::StallsIn(ms) => self.from_twilio.stalled_until = self.now + ms * 1_000,
            Step::StallsOut(ms) => self.to_twilio.stalled_until = self.now + ms * 1_000,
            Step::ModelEnds => {
                if !std::mem::replace(&mut self.stages.model_ended, true) {
                    self.books.on_model_ended();
                    self.feed(Input::LlmEnded(failure("model")));
                }
            }
            Step::LineLost(ms) => self.lose_line(*ms),
            Step::CallerHangsUp => {
                let at = self.from_twilio.arrives(self.now);
                self.schedule(at, Later::Stop);
            }
            Step::Says(_) | Step::Noise(_) | Step::Keys(_) if self.away => {}
            Step::Says(_) | Step::Noise(_) | Step::Keys(_) | Step::VoiceEnds | Step::EarFails => {
                S::caller_does(self, &step);
            }
        }
    }

    fn lose_line(&mut self, ms: u64) {
        if self.away {
            return;
        }
        S::cut(self);
        for way in [&mut self.to_twilio, &mut self.from_twilio] {
            (way.stalled_until, way.last) = (0, 0);
        }
        self.caller_until = self.caller_until.min(self.now);
        self.away = true;
        self.books.on_lost();
        self.schedule(self.now + ms * 1_000, Later::Back);
        self.feed(Input::Line(S::lost()));
    }

    fn control(&mut self, control: Control) {
        self.books.on_control(&control);
        self.feed(Input::Control(control));
    }

    /// Feeds an input and does what comes of it.
    pub fn feed(&mut self, input: Input<<S::Line as Transport>::Input<'_>>) {
        let quiet_from = self.side.agent_until().max(self.caller_until);
        self.books.begin_input(self.now, quiet_from, self.caller_until);
        self.call.handle(input, self.time());
        while let Some(output) = self.call.poll_output() {
            if self.books.broken.is_some() {
                return;
            }
            self.take(output);
        }
        self.books.end_input();
    }

    fn take(&mut self, output: Output<<S::Line as Transport>::Wire>) {
        if self.timeline.is_some() {
            let shown = show(&output);
            if let Some(shown) = shown {
                self.tell(|| shown);
            }
        }
        match output {
            Output::Wire(wire) if self.away => self.books.fail(&format!("lost: {wire:?} is sent to nobody")),
            Output::Wire(wire) => S::on_wire(self, wire),
            Output::Stt(command) => {
                self.books.on_stt_command(&command);
                S::on_stt(self, command);
            }
            Output::Turn(_) => {}
            Output::Llm(command) => {
                self.books.on_llm_command(&command);
                self.on_llm(command);
            }
            Output::Tts(command) => S::on_tts(self, command),
            Output::Tool(call) => {
                self.books.on_tool(&call);
                if let Some((after, result)) = self.stages.run(&self.scene, call) {
                    self.schedule(self.now + after, Later::Tool(result));
                }
            }
            Output::CancelTool { id } => self.books.on_cancel_tool(&id),
            Output::Event(event) => {
                if let Err(why) = self.side.check_said(&self.books, &event, self.now) {
                    self.books.fail(&why);
                }
                self.books.on_event(&event);
            }
            Output::HangUp { .. } => {
                self.books.hung_up = true;
                self.schedule(self.now + 300_000, Later::Stop);
            }
        }
    }
}
