//! The call's life: whether it runs, is lost or over, whether it is about to be left, and who has answered it.

use offhook_stage_api::{CallTime, Interruptible, ReplyReason, ToolCall};

use crate::config::ConversationConfig;
use crate::deadline::{Deadline, Why};
use crate::event::{Control, EndReason};
use crate::leaving::{Leave, Leaving, WantedBy};
use crate::speech::Purpose;
use crate::voicemail::Voicemail;

/// So much an application may want while the connection is gone.
const MOST_CONTROLS: usize = 32;

/// What was going on when the connection broke, and what has been wanted since.
#[derive(Debug)]
pub(crate) struct Lost {
    /// Another may come until then.
    pub(crate) until: CallTime,
    /// What was yet to be heard, and what may interrupt it.
    pub(crate) unheard: Vec<(Purpose, String, Interruptible)>,
    /// A reply was waited for, for this reason.
    pub(crate) asked: Option<ReplyReason>,
    /// What the application has wanted since, in order.
    pub(crate) controls: Vec<Control>,
}

/// Where the conversation is in its life.
#[derive(Debug)]
enum State {
    /// `Start` hasn't come.
    Fresh,
    Running,
    /// The connection broke; the call may go on over another.
    Lost(Box<Lost>),
    /// We hung up; the stream's end is awaited.
    HungUp,
    Over,
}

/// The call's life.
#[derive(Debug)]
pub(crate) struct Life {
    state: State,
    leaving: Leaving,
    /// What the end of the call carries along for what comes after it.
    handoff: Option<ToolCall>,
    voicemail: Voicemail,
    /// It only watches: whatever is said is the line's (a test of the line).
    passive: bool,
}

impl Life {
    pub(crate) fn new(passive: bool) -> Self {
        Self {
            state: State::Fresh,
            leaving: Leaving::default(),
            handoff: None,
            voicemail: Voicemail::default(),
            passive,
        }
    }

    // Whether it runs.

    pub(crate) const fn is_fresh(&self) -> bool {
        matches!(self.state, State::Fresh)
    }

    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    pub(crate) const fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost(_))
    }

    pub(crate) const fn has_hung_up(&self) -> bool {
        matches!(self.state, State::HungUp)
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub(crate) const fn is_passive(&self) -> bool {
        self.passive
    }

    pub(crate) fn begin(&mut self) {
        self.state = State::Running;
    }

    /// The connection broke.
    pub(crate) fn lose(&mut self, lost: Lost) {
        self.state = State::Lost(Box::new(lost));
    }

    /// Another connection is there. Gives what waits for it.
    pub(crate) fn go_on(&mut self) -> Option<Lost> {
        match std::mem::replace(&mut self.state, State::Running) {
            State::Lost(lost) => Some(*lost),
            _ => None,
        }
    }

    pub(crate) fn hung_up(&mut self) {
        self.state = State::HungUp;
    }

    /// It is over. Gives what still waited for a connection.
    pub(crate) fn end(&mut self) -> Option<Lost> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Lost(lost) => Some(*lost),
            _ => None,
        }
    }

    /// Keeps what the application wants until there is a connection again. False if there is no room for it.
    pub(crate) fn keep(&mut self, control: Control) -> bool {
        match &mut self.state {
            State::Lost(lost) if lost.controls.len() < MOST_CONTROLS => {
                lost.controls.push(control);
                true
            }
            _ => false,
        }
    }

    /// Until when another connection is waited for.
    pub(crate) fn lost_until(&self) -> Option<CallTime> {
        match &self.state {
            State::Lost(lost) => Some(lost.until),
            _ => None,
        }
    }

    /// When the call has reached its greatest length, unless its end is certain already.
    pub(crate) fn too_long(&self, config: &ConversationConfig) -> Option<Deadline> {
        let may_grow = !matches!(self.leaving, Leaving::WhenSaid(_)) && !self.leaving.is_asked();
        let at = CallTime::ZERO + config.timeouts.longest_call;
        may_grow.then(|| Deadline::new(at, Why::TooLong))
    }

    // Leaving.

    /// The call is about to be left.
    pub(crate) const fn is_leaving(&self) -> bool {
        self.leaving.is_wanted()
    }

    /// Its time is up: nobody is asked any more.
    pub(crate) const fn must_go(&self) -> bool {
        matches!(self.leaving, Leaving::WhenSaid(EndReason::TooLong))
    }

    /// Hangs up when everything was said, if nothing else was wanted before.
    pub(crate) fn hang_up(&mut self, why: EndReason) {
        self.leaving.hang_up(why);
    }

    /// The same, whatever was wanted before.
    pub(crate) fn time_is_up(&mut self) {
        self.leaving = Leaving::WhenSaid(EndReason::TooLong);
    }

    /// Whatever was wanted, the call goes on.
    pub(crate) fn stay(&mut self) {
        self.leaving = Leaving::No;
    }

    /// The end of the call carries this along.
    pub(crate) fn carry(&mut self, handoff: ToolCall) {
        self.handoff = Some(handoff);
    }

    /// Transfers when everything was said. False if the call is about to be left already.
    pub(crate) fn transfer(&mut self, call: ToolCall, by: WantedBy) -> bool {
        self.leaving.transfer(call, by)
    }

    /// A farewell that was cut off is none. Gives the transfer that is off.
    pub(crate) fn interrupted(&mut self) -> Option<ToolCall> {
        self.leaving.interrupted()
    }

    /// Everything was said: what is to be done.
    pub(crate) fn all_said(&mut self, now: CallTime) -> Option<(Leave, Option<ToolCall>)> {
        let leave = self.leaving.all_said(now)?;
        let handoff = match leave {
            Leave::HangUp(_) => self.handoff.take(),
            Leave::Ask(_) => None,
        };
        Some((leave, handoff))
    }

    /// A result has come: if it is the transfer's, gives back what was asked for.
    pub(crate) fn transferred(&mut self, name: &str) -> Option<(ToolCall, WantedBy)> {
        self.leaving.answered(name)
    }

    /// The transfer that was asked for and has not been answered.
    pub(crate) const fn asked_transfer(&self) -> Option<&ToolCall> {
        match &self.leaving {
            Leaving::Asked { call, .. } => Some(call),
            _ => None,
        }
    }

    /// Why the call is over when the stream stops by itself.
    pub(crate) const fn stopped(&self) -> EndReason {
        self.leaving.stopped()
    }

    /// When a transfer that was asked for is given up.
    pub(crate) fn leaving_deadline(&self, config: &ConversationConfig) -> Option<Deadline> {
        self.leaving.deadline(&config.timeouts)
    }

    // Voicemail.

    /// A mailbox has answered.
    pub(crate) const fn is_mailbox(&self) -> bool {
        self.voicemail.is_there()
    }

    /// A beep was heard. Gives the message to be said now.
    pub(crate) fn on_beep(&mut self, now: CallTime) -> Option<String> {
        self.voicemail.on_beep(now)
    }

    /// A phone that screens its calls has answered: the message is for a beep that may yet come.
    pub(crate) fn screened(&mut self, message: String) {
        self.voicemail.screen(message);
    }

    /// The mailbox's words. True if it is none, but asks who calls.
    pub(crate) fn mailbox_asks(&mut self, text: &str) -> bool {
        self.voicemail.on_words(text)
    }

    /// A mailbox after all: the message, if a phone that screens its calls had been answered.
    pub(crate) fn take_screened(&mut self) -> Option<String> {
        self.voicemail.take_screened()
    }

    /// Somebody speaks, or has stopped. True if it is a mailbox.
    pub(crate) fn mailbox_speaks(&mut self, silent: Option<CallTime>) -> bool {
        self.voicemail.on_speech(silent)
    }

    /// It is a mailbox. Gives the message if it is to be said at once.
    pub(crate) fn mailbox_answered(
        &mut self,
        message: String,
        beeped: bool,
        speaks: bool,
        now: CallTime,
        config: &ConversationConfig,
    ) -> Option<String> {
        self.voicemail.answered(message, beeped, speaks, now, &config.voicemail)
    }

    /// The mailbox was waited for long enough. Gives the message to be said now.
    pub(crate) fn record(&mut self) -> Option<String> {
        self.voicemail.record()
    }

    pub(crate) fn mailbox_deadline(&self, config: &ConversationConfig) -> Option<Deadline> {
        self.voicemail.deadline(&config.voicemail)
    }
}
