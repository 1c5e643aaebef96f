//! How the conversation leaves the call.

use std::sync::Arc;

use offhook_stage_api::tools::TRANSFER;
use offhook_stage_api::{Interruptible, ToolCall, ToolResult};

use crate::conversation::{Conversation, State, Todo};
use crate::event::{CallEvent, EndReason};
use crate::leaving::{Leave, Leaving};
use crate::line::{Line, LineCommand};
use crate::speech::{Occasion, Purpose};
use crate::turn::TurnState;

impl Conversation {
    pub(crate) fn on_too_long(&mut self, line: &mut dyn Line) {
        self.drop_reply();
        self.drop_ended(Occasion::TooLong, line);
        self.leaving = Leaving::WhenSaid(EndReason::TooLong);
        let text = self.language.phrases(&self.config).too_long.clone();
        self.say(Purpose::Farewell, &text, Some(Interruptible::No), line);
    }

    /// A mailbox has answered. `beeped`: its beep was heard already.
    pub(crate) fn leave_message(&mut self, message: String, beeped: bool, line: &mut dyn Line) {
        if self.voicemail.is_there() {
            return self.trouble("a message is being left already; the second was ignored");
        }
        let asked = |text: &str| crate::voicemail::asks_who_calls(text);
        if !beeped
            && (asked(&self.turn.words())
                || self.reply.as_ref().and_then(|reply| reply.basis.as_deref()).is_some_and(asked))
        {
            // It is a phone that screens its calls, and is being answered.
            self.voicemail = crate::voicemail::Voicemail::Screened { message };
            return line.command(LineCommand::AwaitBeep, self.now);
        }
        let speaks = matches!(self.turn.state, TurnState::Speaking { .. });
        self.cancel_reply();
        self.drop_ended(Occasion::Mailbox, line);
        // Whatever was taken for a turn was the mailbox's voice.
        self.end_barge_in(line);
        self.keypad.clear();
        self.unanswered_digits = None;
        self.close_turn(line);
        self.leaving = Leaving::No;
        line.command(LineCommand::AwaitBeep, self.now);
        let config = Arc::clone(&self.config);
        if let Some(message) = self.voicemail.answered(message, beeped, speaks, self.now, &config.voicemail) {
            self.say_message(&message, line);
        }
    }

    pub(crate) fn say_message(&mut self, message: &str, line: &mut dyn Line) {
        self.say(Purpose::Message, message, Some(Interruptible::No), line);
        self.leaving.hang_up(EndReason::MessageLeft);
    }

    /// Leaves, if it is time to.
    pub(crate) fn leave_when_said(&mut self, line: &mut dyn Line) -> bool {
        let writing = self.reply.as_ref().is_some_and(|reply| !reply.done && !reply.is_speculative());
        let playing = line.plays_until(self.now) > self.now && line.audible(self.now).is_some();
        if writing || playing || !self.speech.is_idle() || !self.leaving.is_wanted() {
            return false;
        }
        match self.leaving.all_said(self.now) {
            None => false,
            Some(Leave::HangUp(why)) => {
                let handoff = self.handoff.take();
                self.hang_up(why, handoff, line);
                true
            }
            Some(Leave::Ask(call)) => {
                self.todo.push_back(Todo::Tool(call));
                true
            }
        }
    }

    /// The transfer has not come about, and nothing says that it failed: the caller is not left waiting for it.
    pub(crate) fn on_transfer_late(&mut self, line: &mut dyn Line) {
        let Leaving::Asked { call, .. } = &self.leaving else { return };
        let why = format!("it had not come about after {:?}", self.config.timeouts.transfer);
        let result = ToolResult { id: call.id.clone(), name: TRANSFER.to_owned(), outcome: Err(why) };
        self.todo.push_back(Todo::CancelTool(result.id.clone()));
        self.on_tool_result(result, line);
    }

    /// Hangs up now.
    pub(crate) fn hang_up(&mut self, why: EndReason, handoff: Option<ToolCall>, line: &mut dyn Line) {
        self.drop_reply();
        self.cut_all(line);
        line.command(LineCommand::HangUp { handoff }, self.now);
        self.event(CallEvent::Ended { why });
        self.state = State::HungUp;
    }

    pub(crate) fn end(&mut self, why: EndReason, line: &mut dyn Line) {
        self.cancel_reply();
        self.drop_pending();
        self.cut_all(line);
        self.event(CallEvent::Ended { why });
        self.state = State::Over;
    }
}
