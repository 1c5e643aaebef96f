//! The call: owns all state, takes inputs, gives outputs.

use std::collections::VecDeque;
use std::sync::Arc;

use offhook_audio::Dbov;

use crate::barge_in::BargeIn;
use crate::config::{CallConfig, CallMode};
use crate::context::Context;
use crate::histogram::Histogram;
use crate::inbound::{Inbound, InboundTotals};
use crate::io::{CallEvent, Control, EndReason, Input, Output, UtteranceKind};
use crate::keypad::Keypad;
use crate::language::Spoken;
use crate::leaving::Transfer;
use crate::machine::{Ahead, Machine};
use crate::outbound::Outbound;
use crate::patience::Patience;
use crate::playout::{Playout, PlayoutTotals};
use crate::reply::Reply;
use crate::timers::{Timer, Timers};
use crate::turn::CallerTurn;
use crate::working::Working;
use offhook_stage_api::CallTime;
use offhook_stage_api::id::{ReplyId, UtteranceId};
use offhook_stage_api::{AnswerKind, LlmCommand, ReplyReason, ToolCall, Turn};

/// Counts over a whole call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallTotals {
    /// The caller's sound.
    pub inbound: InboundTotals,
    /// The agent's sound.
    pub playout: PlayoutTotals,
    /// How late sound left, one for each batch: from the moment at which the playout clock said that there is room for it (the
    /// lead has shrunk to `lead` less `batch`) to that at which the call gave it out. It is never early; to encode it and hand it
    /// to the socket comes after, some tens of microseconds.
    pub pacing: Histogram,
}

/// So many outputs come of an input while the agent speaks.
const USUAL_OUTPUTS: usize = 8;

/// One phone call: owns all its state, does no I/O, reads no clock, draws no random number.
pub struct Call {
    pub(crate) config: Arc<CallConfig>,
    pub(crate) now: CallTime,
    pub(crate) timers: Timers,
    pub(crate) out: VecDeque<Output>,
    pub(crate) inbound: Inbound,
    pub(crate) turn: CallerTurn,
    pub(crate) playout: Playout,
    pub(crate) outbound: Outbound,
    pub(crate) context: Context,
    pub(crate) reply: Option<Reply>,
    pub(crate) next_reply: ReplyId,
    pub(crate) answer: AnswerKind,
    pub(crate) barge_in: Option<BargeIn>,
    pub(crate) patience: Patience,
    pub(crate) keypad: Keypad,
    /// The latest answered turn, on the caller's time line: finals that end before it are late.
    pub(crate) last_turn_until: u64,
    pub(crate) last_turn_text: String,
    pub(crate) echo: Option<UtteranceId>,
    pub(crate) working: Working,
    pub(crate) spoken: Spoken,
    /// Hang up when all is said.
    pub(crate) ending: Option<EndReason>,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) machine: Option<Machine>,
    pub(crate) ahead: Option<Ahead>,
    pub(crate) state: State,
}

/// Where the call is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// `Start` hasn't come.
    Fresh,
    Running,
    /// We hung up; the stream's end is awaited.
    HungUp,
    Over,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("now", &self.now).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Call {
    /// A call that hasn't begun. Calls of the same kind may share a configuration.
    #[must_use]
    pub fn new(config: impl Into<Arc<CallConfig>>) -> Self {
        let config = config.into();
        let mut inbound = config.inbound.clone();
        // What is played is the caller's own voice.
        inbound.echo_guard &= config.mode != CallMode::Echo;
        Self {
            now: CallTime::ZERO,
            timers: Timers::default(),
            out: VecDeque::new(),
            inbound: Inbound::new(inbound, config.dtmf.in_band),
            turn: CallerTurn::default(),
            playout: Playout::new(config.playout.clone()),
            outbound: Outbound::new(Dbov(config.playout.level)),
            context: Context::new(config.context.clone()),
            reply: None,
            next_reply: ReplyId(1),
            answer: AnswerKind::Open,
            barge_in: None,
            patience: Patience::default(),
            keypad: Keypad::default(),
            last_turn_until: 0,
            last_turn_text: String::new(),
            echo: None,
            working: Working::default(),
            spoken: Spoken::default(),
            ending: None,
            transfer: None,
            machine: None,
            ahead: config.machine.expected.then(Ahead::default),
            state: State::Fresh,
            config,
        }
    }

    /// Feeds one thing that happened at `now`. Then drain [`Call::poll_output`]. Never waits; allocates nothing for
    /// `Media` while nobody speaks. A `now` before an earlier one counts as that earlier one.
    pub fn handle(&mut self, input: Input<'_>, now: CallTime) {
        self.now = self.now.max(now);
        if self.out.is_empty() {
            self.out.clear(); // begins anew where it began before: in memory that is known to the processor
            if self.out.capacity() > 2 * USUAL_OUTPUTS {
                self.out.shrink_to(USUAL_OUTPUTS); // an utterance's first frames come in a heap
            }
        }
        match (self.state, &input) {
            (State::Fresh, Input::Start) => return self.start(),
            (State::Fresh | State::Over, _) => return,
            (State::HungUp, Input::Stop) => return self.end(EndReason::StreamStopped),
            (State::HungUp, _) => return,
            (State::Running, _) => {}
        }
        match input {
            Input::Start => self.trouble("a second `start` came on the same stream; it was ignored"),
            Input::Media { timestamp_ms, payload } => self.on_media(timestamp_ms, payload),
            Input::Mark(name) => self.playout.on_mark(name, self.now),
            Input::Dtmf(key) => self.on_key(key),
            Input::Stt(event) => self.on_stt(event),
            Input::Turn(event) => self.turn.on_model(event),
            Input::Llm(event) => self.on_llm(event),
            Input::Tts(event) => self.on_tts(event),
            Input::Tool(result) => self.on_tool_result(result),
            Input::Control(control) => self.on_control(control),
            Input::Stop => return self.end(self.stopped_because()),
            Input::Timeout => {}
        }
        while let Some(timer) = self.timers.pop_due(self.now) {
            self.on_timer(timer);
        }
        self.settle();
    }

    fn on_control(&mut self, control: Control) {
        match control {
            Control::Say { text, interruptible } => {
                let said = self.say(UtteranceKind::Announcement, &text);
                if let Some(utterance) = said.and_then(|id| self.playout.get_mut(id)) {
                    utterance.interruptible = interruptible;
                }
            }
            Control::Press { digits } => self.press(&digits),
            Control::HangUp => self.end_when_said(EndReason::HungUp),
            Control::Transfer { to } => self.transfer_when_said(ToolCall::transfer(&to), false),
            Control::LeaveMessage { text, beeped } => self.leave_message(text, beeped),
        }
    }

    /// The next thing to do; `None` until the next input or [`Call::deadline`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to feed [`Input::Timeout`] if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<CallTime> {
        self.timers.next()
    }

    /// The call is over: no output will come any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over && self.out.is_empty()
    }

    /// The conversation so far, oldest turn first, as the caller heard it.
    #[must_use]
    pub fn turns(&self) -> &[Turn] {
        self.context.turns()
    }

    /// Counts so far.
    #[must_use]
    pub const fn totals(&self) -> CallTotals {
        CallTotals { inbound: self.inbound.totals, playout: self.playout.totals, pacing: self.playout.pacing }
    }

    fn start(&mut self) {
        self.state = State::Running;
        self.timers.set(Timer::TooLong, self.now + self.config.patience.longest_call);
        self.timers.set(Timer::NoMedia, self.now + self.config.patience.no_media);
        if self.config.mode == CallMode::Echo {
            self.start_echo();
        } else if !self.config.context.before.is_empty() {
            // The caller comes back: what is to be said is how it stands, not a greeting.
            self.request_reply(ReplyReason::Tool, false);
            self.timers.set(Timer::ReplyLate, self.now + self.config.patience.reply_late);
        } else if let Some(greeting) = self.config.patience.greeting.clone() {
            self.say(UtteranceKind::Greeting, &greeting);
        } else {
            self.request_reply(ReplyReason::Greeting, false);
            self.timers.set(Timer::ReplyLate, self.now + self.config.patience.reply_late);
        }
        self.settle();
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            // Looked at after every input.
            Timer::Pace | Timer::Played | Timer::Eager | Timer::EndOfTurn => {}
            Timer::ConfirmBargeIn => self.confirm_barge_in(),
            Timer::ResolveBargeIn => self.resolve_barge_in(),
            Timer::CallerSilent => self.on_caller_silent(),
            Timer::ReplyLate => self.on_reply_late(),
            Timer::WordsLate => self.on_words_late(),
            Timer::ToolLate => self.on_tool_late(),
            Timer::DigitGap => self.flush_digits(),
            Timer::NoMedia => self.on_no_media(),
            Timer::TooLong => self.on_too_long(),
            Timer::Machine => self.say_message(),
        }
    }

    /// Brings everything up to `now`: decisions that silence makes, sound to be sent, utterances that are over.
    fn settle(&mut self) {
        if self.state != State::Running {
            return;
        }
        if self.machine.is_none() {
            self.decide_turn();
            self.go_on_after_tools();
        }
        self.pump();
        self.finish_utterances();
        self.watch_silence();
        self.watch_tools();
        if self.state != State::Running {
            return;
        }
        if self.playout.utterances().next().is_none() {
            self.rest();
        }
        let times = self.playout.times(self.now);
        self.timers.set_or_cancel(Timer::Pace, times.pace);
        self.timers.set_or_cancel(Timer::Played, times.played);
    }

    /// The agent has nothing to say, spoken or held: gives back the room that speaking takes.
    fn rest(&mut self) {
        self.outbound.rest();
        self.out.shrink_to(USUAL_OUTPUTS / 2);
        self.playout.played.rest(self.now);
    }

    pub(crate) fn event(&mut self, event: CallEvent) {
        self.out.push_back(Output::Event(event));
    }

    pub(crate) fn trouble(&mut self, message: &str) {
        self.event(CallEvent::Trouble { message: message.to_owned() });
    }

    /// Hangs up once everything that is being said was heard.
    pub(crate) fn end_when_said(&mut self, why: EndReason) {
        self.ending.get_or_insert(why);
    }

    /// Hangs up now.
    pub(crate) fn hang_up(&mut self, why: EndReason) {
        self.out.push_back(Output::HangUp);
        self.event(CallEvent::Ended { why });
        self.state = State::HungUp;
        self.timers.cancel_all();
    }

    fn end(&mut self, why: EndReason) {
        if self.state == State::Running {
            if let Some(reply) = self.reply.take() {
                self.out.push_back(Output::Llm(LlmCommand::Cancel { reply: reply.id }));
            }
            self.cut_everything(false);
            self.event(CallEvent::Ended { why });
        }
        self.state = State::Over;
        self.timers.cancel_all();
    }
}
