//! The connection breaks, and the call comes back over another.
//!
//! The caller is still on the phone. What was heard of the agent's words is reckoned; what was being answered is answered when the
//! call is back.

use std::time::Duration;

use super::RelayInput;
use super::call::{RelayCall, State};
use super::reply::Answered;
use crate::io::{EndReason, UtteranceKind};
use crate::timers::Timer;
use offhook_stage_api::Interruptible;
use offhook_stage_api::{Party, ReplyReason};

/// A call that isn't back by then is over: its caller has hung up.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// What the agent was about when the connection broke.
#[derive(Debug)]
pub(super) struct Lost {
    /// It was yet to be heard.
    unheard: String,
    /// It was being thought about: why, and which turn it answers.
    asked: Option<(ReplyReason, Option<Answered>)>,
}

impl RelayCall {
    pub(super) fn on_lost(&mut self) {
        let mut unheard = String::new();
        for said in self.ledger.cut_by_time(self.now) {
            if said.saying.kind == UtteranceKind::Reply || said.saying.kind == UtteranceKind::Greeting {
                unheard.push_str(&said.rest);
            }
            self.note_said(said);
        }
        let uncommitted = self.reply.as_ref().is_some_and(|reply| !reply.committed);
        let reply = self.cancel_reply().filter(|_| uncommitted);
        let asked = reply.map(|reply| (reply.reason, reply.answered));
        // What was written for a connection that is gone would be said at the wrong time.
        self.out.retain(|output| !matches!(output, super::RelayOutput::Text { .. }));
        self.lost = Some(Lost { unheard, asked });
        self.hold = false;
        self.unheard = None;
        self.caller_began = None;
        self.caller_ended = None;
        self.trouble("the connection was lost; the call goes on if Twilio connects it anew");
        self.state = State::Lost;
        for timer in [
            Timer::Played,
            Timer::CallerSilent,
            Timer::ReplyLate,
            Timer::ToolLate,
            Timer::ResolveBargeIn,
            Timer::DigitGap,
        ] {
            self.timers.cancel(timer);
        }
        self.timers.set(Timer::NoMedia, self.now + BACK_WITHIN);
    }

    /// Something happened while there is no connection.
    pub(super) fn while_lost(&mut self, input: RelayInput<'_>) {
        match input {
            RelayInput::Setup => self.come_back(),
            // The model is asked for what follows when the call is back.
            RelayInput::Tool(result) => self.on_tool_result(result),
            _ => {
                while let Some(timer) = self.timers.pop_due(self.now) {
                    self.on_timer(timer);
                }
            }
        }
    }

    fn come_back(&mut self) {
        self.state = State::Running;
        self.timers.cancel(Timer::NoMedia);
        self.tells_speaking = false;
        if !self.keypad.is_empty() {
            self.timers.set(Timer::DigitGap, self.now + self.config.dtmf.gap);
        }
        let Some(lost) = self.lost.take() else { return };
        self.tell_language_again();
        let sorry = self.texts().reconnected.clone();
        self.say(UtteranceKind::Apology, &sorry, Interruptible::Yes);
        let unheard = lost.unheard.trim();
        if !unheard.is_empty() {
            self.say(UtteranceKind::Reply, unheard, self.usual());
        }
        match lost.asked {
            Some((reason, answered)) => {
                self.request_reply(reason, answered);
                self.timers
                    .set(Timer::ReplyLate, self.ledger.voice_until() + self.config.patience.reply_late);
            }
            None if unheard.is_empty() && self.ending.is_none() => {
                let question = self.last_sentence();
                self.say(UtteranceKind::Reply, &question, self.usual());
            }
            None => {}
        }
        self.handle(RelayInput::Timeout, self.now);
    }

    /// What the agent last said before the connection broke: its question, mostly.
    fn last_sentence(&self) -> String {
        let mut agent = self.context.turns().iter().rev().filter(|turn| turn.who == Party::Agent);
        let text = agent.next().map_or("", |turn| turn.text.trim());
        let end = text.trim_end_matches(['.', '!', '?', '…']).len();
        let start = text.get(..end).and_then(|text| text.rfind(['.', '!', '?', '…'])).map_or(0, |at| at + 1);
        text.get(start..)
            .map_or(text, |sentence| sentence.trim_start_matches(['.', '!', '?', '…']))
            .trim()
            .to_owned()
    }

    pub(super) fn give_up_lost(&mut self) {
        self.end(EndReason::StreamStopped);
    }
}
