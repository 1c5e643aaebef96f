//! How the call is left: hung up, handed over, lost and found again; and what is said to a mailbox.

use offhook_stage_api::tools::TRANSFER;
use offhook_stage_api::{Content, Interruptible, LlmCommand, ReplyReason, ToolCall, ToolResult, UtteranceId};

use super::Conversation;
use crate::deadline::Deadline;
use crate::event::{CallEvent, Control, EndReason};
use crate::leaving::{Leave, WantedBy};
use crate::life::Lost;
use crate::line::{Heard, LineCommand};
use crate::moment::Moment;
use crate::speech::{Occasion, Purpose};
use crate::turn::TurnState;
use crate::voicemail::asks_who_calls;

/// So many things become due at the moment at which the call is back: a turn, a number, a request before either.
const MOST_DUE: usize = 4;

impl Conversation {
    // The end.

    pub(super) fn on_too_long(&mut self, at: &mut Moment<'_>) {
        self.agent.drop_reply(at);
        self.agent.drop_ended(Occasion::TooLong, at);
        self.life.time_is_up();
        let by = Some(Interruptible::No);
        self.agent.say_phrase(Purpose::Farewell, |phrases| &phrases.too_long, by, at);
    }

    /// Leaves, if it is time to.
    pub(super) fn leave_when_said(&mut self, at: &mut Moment<'_>) -> bool {
        let playing = at.line.plays_until(at.now) > at.now && at.line.audible(at.now).is_some();
        if self.agent.is_writing() || playing || !self.agent.is_idle() || !self.life.is_leaving() {
            return false;
        }
        match self.life.all_said(at.now) {
            None => return false,
            Some((Leave::HangUp(why), handoff)) => self.hang_up(why, handoff, at),
            Some((Leave::Ask(call), _)) => at.run_tool(call),
        }
        true
    }

    /// Hangs up now.
    pub(super) fn hang_up(&mut self, why: EndReason, handoff: Option<ToolCall>, at: &mut Moment<'_>) {
        self.agent.drop_reply(at);
        self.agent.cut_all(at);
        at.command(LineCommand::HangUp { handoff });
        at.event(CallEvent::Ended { why });
        self.life.hung_up();
    }

    pub(super) fn end(&mut self, why: EndReason, at: &mut Moment<'_>) {
        self.agent.cancel_reply(at);
        if let Some(lost) = self.life.end() {
            report_undone(lost.controls, at);
        }
        self.agent.cut_all(at);
        at.event(CallEvent::Ended { why });
    }

    // Transfers.

    /// Hands the caller to somebody else once everything that is being said was heard.
    pub(super) fn transfer(&mut self, call: ToolCall, by: WantedBy, at: &mut Moment<'_>) -> bool {
        let free = self.life.transfer(call, by);
        if !free {
            at.trouble("a transfer was wanted, but the call is about to end already");
        }
        free
    }

    pub(super) fn on_transferred(
        &mut self,
        call: ToolCall,
        by: WantedBy,
        outcome: Result<String, String>,
        at: &mut Moment<'_>,
    ) {
        match (outcome, by) {
            (Ok(outcome), _) => {
                let result =
                    ToolResult { id: call.id.clone(), name: call.name.clone(), outcome: Ok(outcome) };
                at.llm(LlmCommand::ToolResult(result));
                self.hang_up(EndReason::Transferred, Some(call), at);
            }
            (Err(why), WantedBy::Model) => {
                self.agent.own_result(&call, Err(why), true, at);
            }
            (Err(why), WantedBy::Application) => {
                let to = call.arguments.get("to").and_then(|to| to.as_str()).unwrap_or("another number");
                self.agent.transfer_failed(to.to_owned(), why, at);
            }
        }
    }

    /// The transfer has not come about, and nothing says that it failed: the caller is not left waiting for it.
    pub(super) fn on_transfer_late(&mut self, at: &mut Moment<'_>) {
        let Some(id) = self.life.asked_transfer().map(|call| call.id.clone()) else { return };
        let why = format!("it had not come about after {:?}", at.config.timeouts.transfer);
        at.cancel_tool(id.clone());
        self.on_tool_result(ToolResult { id, name: TRANSFER.to_owned(), outcome: Err(why) }, at);
    }

    /// The caller interrupted: the model's own farewell is none.
    pub(super) fn call_off_leaving(&mut self, at: &mut Moment<'_>) {
        if let Some(call) = self.life.interrupted() {
            let why = "the transfer was called off: the caller interrupted its announcement".to_owned();
            self.agent.own_result(&call, Err(why), false, at);
        }
    }

    // Mailboxes.

    /// A mailbox has answered. `beeped`: its beep was heard already.
    pub(super) fn leave_message(&mut self, message: String, beeped: bool, at: &mut Moment<'_>) {
        if self.life.is_mailbox() {
            return at.trouble("a message is being left already; the second was ignored");
        }
        let words = self.caller.turn().words();
        if !beeped && (asks_who_calls(&words) || self.agent.answers().is_some_and(asks_who_calls)) {
            // It is a phone that screens its calls, and is being answered.
            self.life.screened(message);
            return at.command(LineCommand::AwaitBeep);
        }
        let speaks = matches!(self.caller.turn().state(), TurnState::Speaking { .. });
        self.agent.cancel_reply(at);
        self.agent.drop_ended(Occasion::Mailbox, at);
        // Whatever was taken for a turn was the mailbox's voice.
        self.caller.end_barge_in(at);
        self.caller.forget_keys();
        self.close_turn(at);
        self.life.stay();
        at.command(LineCommand::AwaitBeep);
        let message = self.life.mailbox_answered(message, beeped, speaks, at.now, at.config);
        self.say_message(message, at);
    }

    /// Says the message for a mailbox, if it is time to, and then hangs up.
    pub(super) fn say_message(&mut self, message: Option<String>, at: &mut Moment<'_>) {
        let Some(message) = message else { return };
        self.agent.say(Purpose::Message, &message, Some(Interruptible::No), at);
        self.life.hang_up(EndReason::MessageLeft);
    }

    // A connection that breaks.

    pub(super) fn on_lost(&mut self, cut: &[(UtteranceId, Heard)], at: &mut Moment<'_>) {
        let asked = self.agent.asked().cloned();
        let unheard = self.agent.lose(cut, at);
        if self.life.asked_transfer().is_some() {
            // A transfer takes the connection away, whatever it looks like.
            return self.end(self.life.stopped(), at);
        }
        self.agent.cancel_reply(at);
        self.caller.on_lost(at);
        self.agent.forget_line();
        at.trouble("the connection was lost; the call goes on if Twilio connects it again");
        let until = at.now + at.config.timeouts.reconnect;
        self.life.lose(Lost { until, unheard, asked, controls: Vec::new() });
    }

    /// The application wants something while there is no connection: the end at once, anything else when the call is back.
    pub(super) fn control_while_lost(&mut self, control: Control, at: &mut Moment<'_>) {
        if control == Control::HangUp {
            self.end(EndReason::HungUp, at);
        } else if !self.life.keep(control) {
            at.trouble("the connection is gone, and too much waits for it already: this is not done");
        }
    }

    /// A turn or a number that is over is answered now.
    fn catch_up(&mut self, at: &mut Moment<'_>) {
        for _ in 0..MOST_DUE {
            let may_speculate = !self.life.is_leaving() && self.agent.may_speculate();
            let due = Deadline::earliest([
                self.caller.keys_deadline(at.config),
                self.caller.turn_deadline(may_speculate, at.config),
            ]);
            let Some(due) = due.filter(|due| due.at <= at.now) else { return };
            self.on_deadline(due.why, at);
        }
    }

    /// The stream before this broke off, with the process that served it.
    pub(super) fn go_on_after_cut(&mut self, at: &mut Moment<'_>) {
        self.agent.say_phrase(Purpose::Apology, |phrases| &phrases.reconnected, None, at);
        match at.config.history.before.last().map(|entry| &entry.content) {
            // The caller waits for an answer.
            Some(Content::Caller { text }) => {
                let reason = ReplyReason::Caller { text: text.clone(), confidence: None };
                self.request(reason, false, at);
            }
            _ => self.agent.ask_again(at),
        }
    }

    pub(super) fn on_back(&mut self, at: &mut Moment<'_>) {
        let Some(Lost { unheard, asked, controls, .. }) = self.life.go_on() else { return };
        if let Some(tag) = self.agent.language() {
            at.command(LineCommand::Language(tag));
        }
        self.agent.silence_begins(at);
        self.catch_up(at);
        if !self.life.is_mailbox() {
            self.agent.say_phrase(Purpose::Apology, |phrases| &phrases.reconnected, None, at);
        }
        let nothing_left = unheard.is_empty();
        for (purpose, text, by) in unheard {
            self.agent.say(purpose, &text, Some(by), at);
        }
        let quiet = !self.agent.tools_run()
            && !self.life.is_mailbox()
            && !self.life.is_leaving()
            && self.caller.turn().is_quiet();
        match asked {
            // The turn is still unanswered, and is requested with everything else.
            Some(ReplyReason::Caller { .. } | ReplyReason::Digits(_)) => {}
            Some(reason) => self.request(reason, false, at),
            None if nothing_left && quiet => self.agent.ask_again(at),
            None => {}
        }
        for control in controls {
            self.on_control(control, at);
        }
    }
}

/// What the application wanted, and the connection never came back for.
fn report_undone(controls: Vec<Control>, at: &mut Moment<'_>) {
    for control in controls {
        let what = match control {
            Control::Say { .. } | Control::LeaveMessage { .. } => "an announcement was not said",
            Control::Press { .. } => "keys were not pressed",
            Control::Transfer { .. } => "the caller was not handed over",
            Control::HangUp => continue,
        };
        at.trouble(&format!("{what}: the connection was lost, and the call did not come back"));
    }
}
