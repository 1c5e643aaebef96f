//! The conversation: owns its state, takes what happens, gives what is to be done.
//!
//! Four files hold its methods: this one its life, `listening` what the caller does, `answering` the model and its tools, `speaking` what
//! is said. What each part is allowed to do is decided in the part: [`Speech`] who may speak, [`CallerTurn`] whose turn it is.

use std::collections::VecDeque;
use std::sync::Arc;

use offhook_stage_api::{
    AnswerKind, CallTime, Digits, Entry, LlmCommand, LlmEvent, ReplyId, ReplyReason, StageFailure, ToolCall,
    ToolResult, TurnEvent, UtteranceId,
};

use crate::barge_in::BargeIn;
use crate::config::ConversationConfig;
use crate::deadline::{Deadline, Why};
use crate::event::{CallEvent, Control, EndReason};
use crate::history::History;
use crate::keypad::Keypad;
use crate::language::ActiveLanguage;
use crate::leaving::{Leaving, WantedBy};
use crate::line::{Line, LineCommand, LineEvent};
use crate::pending::Pending;
use crate::reply::Reply;
use crate::silence::Silence;
use crate::speech::{Purpose, Speech};
use crate::tools::Tools;
use crate::turn::CallerTurn;
use crate::voicemail::Voicemail;

/// Something that happened to the conversation, other than on its line.
#[derive(Debug)]
pub(crate) enum Happened {
    Start,
    Turn(TurnEvent),
    Llm(LlmEvent),
    /// The language model or script has ended: no reply will come any more.
    LlmEnded(StageFailure),
    Tool(ToolResult),
    Control(Control),
    Stop,
    Timeout,
}

/// Something to do that is not the line's.
#[derive(Debug)]
pub(crate) enum Todo {
    Llm(LlmCommand),
    Tool(ToolCall),
    CancelTool(String),
    Event(CallEvent),
}

/// Where the conversation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// `Start` hasn't come.
    Fresh,
    Running,
    /// The connection broke; another may come until then.
    Lost {
        until: CallTime,
    },
    /// We hung up; the stream's end is awaited.
    HungUp,
    Over,
}

/// A conversation.
pub(crate) struct Conversation {
    pub(crate) config: Arc<ConversationConfig>,
    pub(crate) now: CallTime,
    pub(crate) todo: VecDeque<Todo>,
    pub(crate) state: State,
    pub(crate) turn: CallerTurn,
    /// The kind of answer that the agent expects.
    pub(crate) answer: AnswerKind,
    pub(crate) barge_in: Option<BargeIn>,
    pub(crate) keypad: Keypad,
    /// A number was keyed that no reply has answered yet.
    pub(crate) unanswered_digits: Option<Digits>,
    pub(crate) speech: Speech,
    pub(crate) silence: Silence,
    pub(crate) blocked: bool,
    pub(crate) reply: Option<Reply>,
    pub(crate) last_reply: ReplyId,
    /// The model has something to say that nobody asked for.
    pub(crate) initiative: bool,
    pub(crate) llm_ended: Option<StageFailure>,
    pub(crate) tools: Tools,
    pub(crate) language: ActiveLanguage,
    pub(crate) leaving: Leaving,
    /// What the end of the call carries along for what comes after it.
    pub(crate) handoff: Option<ToolCall>,
    pub(crate) voicemail: Voicemail,
    pub(crate) history: History,
    pub(crate) pending: Pending,
    /// Utterances of replies that were thrown away, to be reported to the line.
    pub(crate) discarded: Vec<UtteranceId>,
    /// The line decides when the caller's turn is over.
    pub(crate) line_decides: bool,
    /// It only watches: whatever is said is the line's (a test of the line).
    passive: bool,
}

/// More than this at one moment is a fault of ours; it must not hold up other calls.
const MOST_AT_ONCE: usize = 64;

impl Conversation {
    pub(crate) fn new(config: Arc<ConversationConfig>, passive: bool) -> Self {
        Self {
            now: CallTime::ZERO,
            todo: VecDeque::new(),
            state: State::Fresh,
            turn: CallerTurn::hearing(config.turn.partials),
            answer: AnswerKind::Open,
            barge_in: None,
            keypad: Keypad::default(),
            unanswered_digits: None,
            speech: Speech::default(),
            silence: Silence::default(),
            blocked: false,
            reply: None,
            last_reply: ReplyId::default(),
            initiative: false,
            llm_ended: None,
            tools: Tools::default(),
            language: ActiveLanguage::default(),
            leaving: Leaving::default(),
            handoff: None,
            voicemail: Voicemail::default(),
            history: History::new(&config.history),
            pending: Pending::default(),
            discarded: Vec::new(),
            line_decides: false,
            passive,
            config,
        }
    }

    pub(crate) fn handle(&mut self, happened: Happened, now: CallTime, line: &mut dyn Line) {
        self.now = self.now.max(now);
        match (self.state, &happened) {
            (State::Fresh, Happened::Start) => self.start(line),
            (State::Fresh | State::Over, _) => return,
            (State::HungUp, Happened::Stop) => self.state = State::Over,
            (State::HungUp, _) => return,
            (_, Happened::Stop) => self.end(self.leaving.stopped(), line),
            (State::Lost { .. }, Happened::Llm(_)) => {}
            (State::Lost { .. }, Happened::Control(_)) => {
                if let Happened::Control(control) = happened {
                    self.control_while_lost(control, line);
                }
            }
            _ => self.on_happened(happened, line),
        }
        self.settle(line);
    }

    fn on_happened(&mut self, happened: Happened, line: &mut dyn Line) {
        match happened {
            Happened::Start => self.trouble("a second `start` came on the same stream; it was ignored"),
            Happened::Turn(event) => self.turn.on_model(event),
            Happened::Llm(event) => self.on_llm(event, line),
            Happened::LlmEnded(failure) => self.on_llm_ended(failure, line),
            Happened::Tool(result) => self.on_tool_result(result, line),
            Happened::Control(control) => self.on_control(control, line),
            Happened::Stop | Happened::Timeout => {}
        }
    }

    /// Takes an event of the line's.
    pub(crate) fn on_line(&mut self, event: LineEvent, now: CallTime, line: &mut dyn Line) {
        self.now = self.now.max(now);
        match (self.state, &event) {
            (State::Running, LineEvent::Back) => {
                return self.trouble("a second `setup` came in the same session; it was ignored");
            }
            (_, LineEvent::Notice(_)) | (State::Running, _) => {}
            // What the recogniser had heard before still comes.
            (
                State::Lost { .. },
                LineEvent::Back | LineEvent::Heard { .. } | LineEvent::OtherRecogniser | LineEvent::Deaf(_),
            ) => {}
            _ => return,
        }
        match event {
            LineEvent::CallerBegan { at, position } => self.on_caller_began(at, position, line),
            LineEvent::CallerPaused { at, position } => self.on_caller_paused(at, position, line),
            LineEvent::Heard { transcript, is_final, span } => {
                self.on_heard(transcript, is_final, span, line);
            }
            LineEvent::Said { text } => self.on_said(&text, line),
            LineEvent::Hint(hint) => self.on_hint(hint),
            LineEvent::Keyed(key) => self.on_key(key, line),
            LineEvent::Beep => {
                if let Some(message) = self.voicemail.take_screened() {
                    self.leave_message(message, true, line);
                } else if let Some(message) = self.voicemail.on_beep(self.now) {
                    self.say_message(&message, line);
                }
            }
            LineEvent::Ready(id) => self.on_ready(id, line),
            // It is a deadline that follows from it.
            LineEvent::Dry(_) => {}
            LineEvent::Began(id) => self.on_began(id, line),
            LineEvent::Over { id, heard } => self.on_over(id, &heard, line),
            LineEvent::Soundless(id) => self.on_soundless(id, line),
            LineEvent::CutOff(cut) => self.on_cut_off(cut, line),
            LineEvent::OtherRecogniser => self.turn.other_recogniser(self.config.turn.partials),
            LineEvent::Deaf(failure) => {
                self.turn.other_recogniser(false);
                self.trouble(&format!(
                    "no speech-to-text provider is available any more: {failure}. The agent hears keys only."
                ));
            }
            LineEvent::Lost(cut) => self.on_lost(&cut, line),
            LineEvent::Back => self.on_back(line),
            LineEvent::Dead => {
                self.trouble("no media came for too long; the call is given up");
                self.cut_all(line);
                self.hang_up(EndReason::NoMedia, None, line);
            }
            LineEvent::Notice(event) => self.event(event),
        }
        self.settle(line);
    }

    pub(crate) fn on_control(&mut self, control: Control, line: &mut dyn Line) {
        match control {
            Control::Say { text, interruptible } => {
                self.say(Purpose::Announcement, &text, Some(interruptible), line);
            }
            Control::Press { digits } => {
                if let Err(why) = self.press(&digits, None, line) {
                    self.trouble(&format!("keys were not pressed: {why}"));
                }
            }
            Control::HangUp => self.leaving.hang_up(EndReason::HungUp),
            Control::Transfer { to } => {
                self.transfer(ToolCall::transfer(&to), WantedBy::Application);
            }
            Control::LeaveMessage { text, beeped } => self.leave_message(text, beeped, line),
        }
    }

    fn start(&mut self, line: &mut dyn Line) {
        self.state = State::Running;
        self.line_decides = line.decides_turns();
        if self.passive {
            return;
        }
        if self.config.voicemail.expected {
            line.command(LineCommand::AwaitBeep, self.now);
        }
        let is_back = !self.config.history.before.is_empty();
        if is_back && self.config.history.cut_off {
            return self.go_on_after_cut(line);
        }
        match self.config.phrases.greeting.clone().filter(|_| !is_back) {
            Some(greeting) => {
                self.say(Purpose::Greeting(None), &greeting, None, line);
            }
            // A caller who comes back hears how it stands, no greeting.
            None => {
                let reason = if is_back { ReplyReason::Tool } else { ReplyReason::Greeting };
                self.request(reason, false, line);
            }
        }
    }

    /// Brings everything up to `now`: what time decides, and what follows from what has happened.
    fn settle(&mut self, line: &mut dyn Line) {
        for _ in 0..MOST_AT_ONCE {
            if let State::Lost { until } = self.state {
                if until <= self.now {
                    self.end(EndReason::StreamStopped, line);
                }
                return;
            }
            if self.state != State::Running {
                return;
            }
            if let Some(due) = self.own_deadline(line).filter(|due| due.at <= self.now) {
                self.on_deadline(due.why, line);
                continue;
            }
            let acted = self.answer_turn(line)
                || self.go_on_after_tools(line)
                || self.take_initiative(line)
                || self.leave_when_said(line);
            if !acted {
                self.update_block(line);
                return;
            }
        }
        self.trouble("too much happened at one moment; the rest is done at the next");
    }

    /// When to come back if nothing else happens, and why.
    pub(crate) fn deadline(&self, line: &dyn Line) -> Option<Deadline> {
        match self.state {
            State::Lost { until } => Some(Deadline::new(until, Why::Reconnect)),
            State::Running => {
                // Whatever could not be done at once is done soon.
                let soon = |mut due: Deadline| {
                    if due.at <= self.now {
                        due.at = self.now + std::time::Duration::from_millis(20);
                    }
                    due
                };
                self.own_deadline(line).map(soon)
            }
            State::Fresh | State::HungUp | State::Over => None,
        }
    }

    fn own_deadline(&self, line: &dyn Line) -> Option<Deadline> {
        let too_long = Deadline::new(CallTime::ZERO + self.config.timeouts.longest_call, Why::TooLong);
        let may_grow = !matches!(self.leaving, Leaving::WhenSaid(_)) && !self.leaving.is_asked();
        let too_long = may_grow.then_some(too_long);
        if self.passive {
            return too_long;
        }
        if self.voicemail.is_there() {
            let voicemail = self.voicemail.deadline(&self.config.voicemail);
            return Deadline::earliest([too_long, voicemail, self.voice_deadline()]);
        }
        Deadline::earliest([
            too_long,
            self.keypad.deadline(&self.config.dtmf),
            self.barge_in_deadline(),
            self.turn.noise_deadline(&self.config.turn, self.config.barge_in.resolve),
            self.turn_deadline(),
            self.answer_deadline(),
            self.voice_deadline(),
            self.wait_deadline(line),
            self.silence_deadline(line),
            self.leaving.deadline(&self.config.timeouts),
        ])
    }

    pub(crate) fn on_deadline(&mut self, why: Why, line: &mut dyn Line) {
        self.event(CallEvent::Deadline { why });
        match why {
            Why::Eager => self.speculate(line),
            Why::EndOfTurn => self.end_turn(line),
            Why::Noise => self.on_noise(line),
            Why::Duck => self.duck(line),
            Why::ResolveBargeIn => self.resolve_barge_in(line),
            Why::WordsLate | Why::ReplyLate | Why::ToolLate | Why::RestLate => self.bridge_wait(line),
            Why::VoiceLate => self.on_voice_late(line),
            Why::CallerSilent => self.on_caller_silent(line),
            Why::DigitGap => self.flush_digits(line),
            Why::TooLong => self.on_too_long(line),
            Why::TransferLate => self.on_transfer_late(line),
            Why::Voicemail => {
                if let Some(message) = self.voicemail.record() {
                    self.say_message(&message, line);
                }
            }
            // Looked at with everything else, or not the conversation's.
            Why::Answer | Why::Pace | Why::Played | Why::NoMedia | Why::Reconnect => {}
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost { .. })
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.history.entries()
    }

    pub(crate) fn event(&mut self, event: CallEvent) {
        self.todo.push_back(Todo::Event(event));
    }

    pub(crate) fn trouble(&mut self, message: &str) {
        self.event(CallEvent::Trouble { message: message.to_owned() });
    }
}
