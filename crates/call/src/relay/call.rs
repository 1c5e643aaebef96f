//! The state machine.

use std::collections::VecDeque;
use std::sync::Arc;

use super::language::Language;
use super::leaving::Machine;
use super::ledger::{Ledger, Said};
use super::lost::Lost;
use super::reply::Reply;
use super::{RelayInput, RelayOutput};
use crate::config::CallConfig;
use crate::context::Context;
use crate::hearing::ms;
use crate::io::{CallEvent, Control, EndReason, UtteranceKind};
use crate::keypad::Keypad;
use crate::leaving::Transfer;
use crate::patience::Patience;
use crate::timers::{Timer, Timers};
use crate::working::Working;
use offhook_stage_api::CallTime;
use offhook_stage_api::Interruptible;
use offhook_stage_api::id::{ReplyId, UtteranceId};
use offhook_stage_api::{AnswerKind, LlmCommand, Party, ReplyReason, ToolCall};

/// One call of text: owns all its state, does no I/O, reads no clock, draws no random number.
///
/// [`RelayCall::handle`] takes one thing that happened; [`RelayCall::poll_output`] gives what is to be done about it;
/// [`RelayCall::deadline`] tells when to come back if nothing happens.
pub struct RelayCall {
    pub(super) config: Arc<CallConfig>,
    pub(super) now: CallTime,
    pub(super) timers: Timers,
    pub(super) out: VecDeque<RelayOutput>,
    pub(super) context: Context,
    pub(super) ledger: Ledger,
    pub(super) next_utterance: UtteranceId,
    pub(super) reply: Option<Reply>,
    pub(super) next_reply: ReplyId,
    pub(super) answer: AnswerKind,
    pub(super) patience: Patience,
    pub(super) language: Language,
    pub(super) working: Working,
    pub(super) keypad: Keypad,
    /// When the caller's voice began and ended, where that is told.
    pub(super) caller_began: Option<CallTime>,
    pub(super) caller_ended: Option<CallTime>,
    /// Somebody tells when voices begin and end.
    pub(super) tells_speaking: bool,
    /// The caller may be speaking: what comes of a reply waits.
    pub(super) hold: bool,
    /// What the latest interruption kept from being heard.
    pub(super) unheard: Option<String>,
    pub(super) lost: Option<Lost>,
    /// End when all is said.
    pub(super) ending: Option<EndReason>,
    pub(super) transfer: Option<Transfer>,
    /// What the session's end hands over.
    pub(super) handoff: Option<ToolCall>,
    pub(super) machine: Option<Machine>,
    pub(super) state: State,
}

/// Where the call is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// `Setup` hasn't come.
    Fresh,
    Running,
    /// The connection broke; another may come.
    Lost,
    /// We ended it; the connection's end is awaited.
    HungUp,
    Over,
}

impl std::fmt::Debug for RelayCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelayCall")
            .field("now", &self.now)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl RelayCall {
    /// A call that hasn't begun. Of the configuration what concerns sound has no effect.
    #[must_use]
    pub fn new(config: impl Into<Arc<CallConfig>>) -> Self {
        let config = config.into();
        Self {
            now: CallTime::ZERO,
            timers: Timers::default(),
            out: VecDeque::new(),
            context: Context::new(config.context.clone()),
            ledger: Ledger::default(),
            next_utterance: UtteranceId(1),
            reply: None,
            next_reply: ReplyId(1),
            answer: AnswerKind::Open,
            patience: Patience::default(),
            language: Language::default(),
            working: Working::default(),
            keypad: Keypad::default(),
            caller_began: None,
            caller_ended: None,
            tells_speaking: false,
            hold: false,
            unheard: None,
            lost: None,
            ending: None,
            transfer: None,
            handoff: None,
            machine: None,
            state: State::Fresh,
            config,
        }
    }

    /// Feeds one thing that happened at `now`. Then drain [`RelayCall::poll_output`]. Never waits. A `now` before an earlier one
    /// counts as that earlier one.
    pub fn handle(&mut self, input: RelayInput<'_>, now: CallTime) {
        self.now = self.now.max(now);
        match (self.state, &input) {
            (State::Fresh, RelayInput::Setup) => return self.start(),
            (State::Fresh | State::Over, _) => return,
            (State::HungUp, RelayInput::Stop | RelayInput::Lost) => {
                return self.end(EndReason::StreamStopped);
            }
            (State::HungUp, _) => return,
            (_, RelayInput::Stop) => return self.end(EndReason::StreamStopped),
            (State::Lost, _) => return self.while_lost(input),
            (State::Running, _) => {}
        }
        match input {
            RelayInput::Setup => self.trouble("a second `setup` came in the same session; it was ignored"),
            RelayInput::Prompt { text, last, .. } => self.on_prompt(text, last),
            RelayInput::Dtmf(key) => self.on_key(key),
            RelayInput::Interrupt { heard, .. } => self.on_interrupt(heard),
            RelayInput::AgentSpeaking(speaking) => {
                self.tells_speaking = true;
                self.ledger.on_sounds(speaking, self.now);
            }
            RelayInput::CallerSpeaking(speaking) => self.on_caller_speaking(speaking),
            RelayInput::Played(text) => self.ledger.on_played(text),
            RelayInput::Refused(why) => self.trouble(&format!("Twilio could not use something: {why}")),
            RelayInput::Llm(event) => self.on_llm(event),
            RelayInput::Tool(result) => self.on_tool_result(result),
            RelayInput::Control(control) => self.on_control(control),
            RelayInput::Lost => return self.on_lost(),
            RelayInput::Stop | RelayInput::Timeout => {}
        }
        while let Some(timer) = self.timers.pop_due(self.now) {
            self.on_timer(timer);
        }
        self.settle();
    }

    fn on_control(&mut self, control: Control) {
        match control {
            Control::Say { text, interruptible } => {
                self.say(UtteranceKind::Announcement, &text, interruptible);
            }
            Control::Press { digits } => {
                if let Err(why) = self.press(&digits) {
                    self.trouble(&format!("keys were not pressed: {why}"));
                }
            }
            Control::HangUp => self.end_when_said(EndReason::HungUp),
            Control::Transfer { to } => self.transfer_when_said(ToolCall::transfer(&to), false),
            Control::LeaveMessage { text, beeped } => self.leave_message(text, beeped),
        }
    }

    /// The next thing to do; `None` until the next input or [`RelayCall::deadline`].
    pub fn poll_output(&mut self) -> Option<RelayOutput> {
        self.out.pop_front()
    }

    /// When to feed [`RelayInput::Timeout`] if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<CallTime> {
        self.timers.next()
    }

    /// The call is over: no output will come any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over && self.out.is_empty()
    }

    /// The connection broke, and the call could go on over another.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    fn start(&mut self) {
        self.state = State::Running;
        self.timers.set(Timer::TooLong, self.now + self.config.patience.longest_call);
        let is_back = !self.config.context.before.is_empty();
        match self.config.patience.greeting.clone().filter(|_| !is_back) {
            Some(greeting) => self.say(UtteranceKind::Greeting, &greeting, self.config.barge_in.greeting),
            None => {
                self.timers.set(Timer::ReplyLate, self.now + self.config.patience.reply_late);
                // Who comes back is told how it stands, not greeted.
                let reason = if is_back { ReplyReason::Tool } else { ReplyReason::Greeting };
                self.request_reply(reason, None);
            }
        }
        self.settle();
    }

    pub(super) fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::CallerSilent => self.on_caller_silent(),
            Timer::ReplyLate => self.on_reply_late(),
            Timer::ToolLate => self.on_tool_late(),
            Timer::ResolveBargeIn => self.resolve_barge_in(),
            Timer::DigitGap => self.flush_digits(),
            Timer::TooLong => self.on_too_long(),
            Timer::NoMedia => self.give_up_lost(),
            Timer::Machine => self.say_message(),
            // `Played` is looked at after every input; others are never set here.
            _ => {}
        }
    }

    /// Brings everything up to `now`.
    fn settle(&mut self) {
        if self.state != State::Running {
            return;
        }
        while let Some(said) = self.ledger.pop_over(self.now) {
            self.note_said(said);
        }
        self.go_on_after_tools();
        let silent = self.ledger.is_idle(self.now);
        let idle = silent && !self.is_answering();
        // Who leaves waits for no tool.
        let replying = self.reply.as_ref().is_some_and(|reply| !reply.done);
        if let Some(why) = self.ending.filter(|_| silent && !replying) {
            return self.leave(why);
        }
        let waiting =
            idle && !self.hold && self.keypad.is_empty() && self.ending.is_none() && self.machine.is_none();
        if !waiting {
            self.timers.cancel(Timer::CallerSilent);
        } else if !self.timers.is_set(Timer::CallerSilent) {
            self.timers.set(Timer::CallerSilent, self.now + self.config.patience.caller_silent);
        }
        self.watch_tools();
        self.timers.set_or_cancel(Timer::Played, self.ledger.deadline(self.now));
    }

    /// Something of the agent's is still to come.
    pub(super) fn is_answering(&self) -> bool {
        self.working.any()
            || self.working.owed
            || self.reply.as_ref().is_some_and(|reply| !reply.done || !reply.committed)
    }

    /// Says something of the engine's own. Nothing for an empty text.
    pub(super) fn say(&mut self, kind: UtteranceKind, text: &str, interruptible: Interruptible) {
        if text.trim().is_empty() {
            return;
        }
        let id = self.open_utterance(kind, interruptible);
        self.event(CallEvent::Speaking { utterance: id, what: kind, text: text.to_owned() });
        self.send(id, text, true);
    }

    pub(super) fn open_utterance(
        &mut self,
        kind: UtteranceKind,
        interruptible: Interruptible,
    ) -> UtteranceId {
        let id = self.next_utterance;
        self.next_utterance = id.next();
        self.ledger.open(id, kind, interruptible == Interruptible::Yes, self.now);
        id
    }

    /// Sends a piece of the newest utterance.
    pub(super) fn send(&mut self, id: UtteranceId, token: &str, last: bool) {
        self.ledger.sent(token, self.now);
        let interruptible = self.ledger.get(id).is_none_or(|saying| saying.interruptible);
        self.out.push_back(RelayOutput::Text { token: token.to_owned(), last, interruptible });
        if last {
            self.ledger.close(id);
            self.tell_language();
        }
    }

    /// An utterance is over: it goes into the context as far as it was heard.
    pub(super) fn note_said(&mut self, said: Said) {
        let interrupted = said.interrupted();
        let when = (said.saying.began, self.now);
        self.context.push(Party::Agent, said.heard.trim().to_owned(), interrupted, when);
        self.event(CallEvent::Said {
            utterance: said.saying.id,
            what: said.saying.kind,
            heard: said.heard.trim().to_owned(),
            text: said.saying.text,
            interrupted,
            timed: false,
        });
    }

    fn on_caller_silent(&mut self) {
        match self.patience.next_check_in(self.language.spoken.patience(&self.config.patience)) {
            Some(text) => self.say(UtteranceKind::CheckIn, &text, Interruptible::Yes),
            None => {
                let farewell = self.texts().farewell.clone();
                self.say(UtteranceKind::Farewell, &farewell, Interruptible::Yes);
                self.end_when_said(EndReason::CallerSilent);
            }
        }
    }

    fn on_too_long(&mut self) {
        self.cancel_reply();
        let text = self.texts().too_long.clone();
        self.say(UtteranceKind::Farewell, &text, Interruptible::No);
        self.end_when_said(EndReason::TooLong);
    }

    pub(super) fn event(&mut self, event: CallEvent) {
        self.out.push_back(RelayOutput::Event(event));
    }

    pub(super) fn trouble(&mut self, message: &str) {
        self.event(CallEvent::Trouble { message: message.to_owned() });
    }

    pub(super) fn now_ms(&self) -> u64 {
        ms(self.now)
    }

    pub(super) fn hang_up(&mut self, why: EndReason) {
        self.event(CallEvent::Ended { why });
        self.out.push_back(RelayOutput::End { handoff: self.handoff.take() });
        self.state = State::HungUp;
        self.timers.cancel_all();
    }

    pub(super) fn end(&mut self, why: EndReason) {
        if matches!(self.state, State::Running | State::Lost) {
            if let Some(reply) = self.reply.take() {
                self.out.push_back(RelayOutput::Llm(LlmCommand::Cancel { reply: reply.id }));
            }
            for said in self.ledger.cut_by_time(self.now) {
                self.note_said(said);
            }
            self.event(CallEvent::Ended { why });
        }
        self.state = State::Over;
        self.timers.cancel_all();
    }
}
