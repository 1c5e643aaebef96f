//! The connection breaks, and the call comes back over another.

use offhook_stage_api::{Content, Interruptible, ReplyReason, UtteranceId};

use crate::conversation::{Conversation, State};
use crate::deadline::{Deadline, ms};
use crate::event::{CallEvent, Control, DropCause, EndReason};
use crate::line::{Heard, Line, LineCommand};
use crate::pending::Pending;
use crate::reply::Phase;
use crate::speech::Purpose;

/// So much an application may want while the connection is gone.
const MOST_CONTROLS: usize = 32;
/// So many things become due at the moment at which the call is back: a turn, a number, a request before either.
const MOST_DUE: usize = 4;

impl Conversation {
    pub(crate) fn on_lost(&mut self, cut: &[(UtteranceId, Heard)], line: &mut dyn Line) {
        let mut unheard: Vec<(Purpose, String, Interruptible)> = Vec::new();
        let asked = self.reply.as_ref().filter(|reply| reply.phase == Phase::Due);
        let asked = asked.map(|reply| reply.reason.clone());
        let order: Vec<UtteranceId> = self.speech.iter().map(|said| said.id).collect();
        for id in order {
            let Some(said) = self.speech.get(id) else { continue };
            // What Twilio itself has cut off, and was to be said again, the line doesn't know of any more.
            let unknown = || Heard { rest: said.text.clone(), ..Heard::default() };
            let heard = cut.iter().find(|(of, _)| *of == id).map_or_else(unknown, |(_, heard)| heard.clone());
            if said.purpose.is_worth_repeating() && !heard.is_whole() {
                // A mailbox's recording goes on or begins again: half a message is none.
                let text = if said.purpose == Purpose::Message { &said.text } else { &heard.rest };
                unheard.push((said.purpose.clone().again(), text.trim().to_owned(), said.interruptible));
            }
            if said.has_begun() {
                self.note_cut(id, &heard);
            } else {
                self.note_dropped(id, DropCause::ConnectionLost);
            }
        }
        if self.leaving.is_asked() {
            // A transfer takes the connection away, whatever it looks like.
            return self.end(self.leaving.stopped(), line);
        }
        self.cancel_reply();
        // Nobody speaks into a connection that is gone.
        if self.turn.on_pause(self.now, self.turn.until) {
            self.event(CallEvent::SpeechPaused { at_ms: ms(self.now) });
        }
        self.discarded.clear();
        self.barge_in = None;
        self.blocked = false;
        self.pending = Pending { unheard, asked, controls: Vec::new() };
        self.trouble("the connection was lost; the call goes on if Twilio connects it again");
        self.state = State::Lost { until: self.now + self.config.timeouts.reconnect };
    }

    /// The application wants something while there is no connection: the end at once, anything else when the call is back.
    pub(crate) fn control_while_lost(&mut self, control: Control, line: &mut dyn Line) {
        if control == Control::HangUp {
            return self.end(EndReason::HungUp, line);
        }
        if self.pending.controls.len() < MOST_CONTROLS {
            self.pending.controls.push(control);
        } else {
            self.trouble("the connection is gone, and too much waits for it already: this is not done");
        }
    }

    /// What the application wanted, and the connection never came back for.
    pub(crate) fn drop_pending(&mut self) {
        for control in std::mem::take(&mut self.pending.controls) {
            let what = match control {
                Control::Say { .. } | Control::LeaveMessage { .. } => "an announcement was not said",
                Control::Press { .. } => "keys were not pressed",
                Control::Transfer { .. } => "the caller was not handed over",
                Control::HangUp => continue,
            };
            self.trouble(&format!("{what}: the connection was lost, and the call did not come back"));
        }
    }

    /// A turn or a number that is over is answered now.
    fn catch_up(&mut self, line: &mut dyn Line) {
        for _ in 0..MOST_DUE {
            let due = Deadline::earliest([self.keypad.deadline(&self.config.dtmf), self.turn_deadline()]);
            let Some(due) = due.filter(|due| due.at <= self.now) else { return };
            self.on_deadline(due.why, line);
        }
    }

    /// The stream before this broke off, with the process that served it.
    pub(crate) fn go_on_after_cut(&mut self, line: &mut dyn Line) {
        let sorry = self.language.phrases(&self.config).reconnected.clone();
        self.say(Purpose::Apology, &sorry, None, line);
        match self.config.history.before.last().map(|entry| &entry.content) {
            // The caller waits for an answer.
            Some(Content::Caller { text }) => {
                let reason = ReplyReason::Caller { text: text.clone(), confidence: None };
                self.request(reason, false, line);
            }
            _ => {
                let question = self.history.last_of_agent().map(last_sentence).unwrap_or_default();
                self.say(Purpose::Reply(None), &question, None, line);
            }
        }
    }

    pub(crate) fn on_back(&mut self, line: &mut dyn Line) {
        self.state = State::Running;
        let Pending { unheard, asked, controls } = std::mem::take(&mut self.pending);
        if let Some(tag) = self.language.tag() {
            line.command(LineCommand::Language(tag), self.now);
        }
        self.silence.over(self.now);
        self.catch_up(line);
        if !self.voicemail.is_there() {
            let sorry = self.language.phrases(&self.config).reconnected.clone();
            self.say(Purpose::Apology, &sorry, None, line);
        }
        let nothing_left = unheard.is_empty();
        for (purpose, text, by) in unheard {
            self.say(purpose, &text, Some(by), line);
        }
        match asked {
            // The turn is still unanswered, and is requested with everything else.
            Some(ReplyReason::Caller { .. } | ReplyReason::Digits(_)) => {}
            Some(reason) => self.request(reason, false, line),
            None if nothing_left
                && !self.tools.any()
                && !self.voicemail.is_there()
                && !self.leaving.is_wanted()
                && self.turn.is_quiet() =>
            {
                let question = self.history.last_of_agent().map(last_sentence).unwrap_or_default();
                self.say(Purpose::Reply(None), &question, None, line);
            }
            None => {}
        }
        for control in controls {
            self.on_control(control, line);
        }
    }
}

/// The last sentence: a question, mostly.
fn last_sentence(text: &str) -> String {
    let end = text.trim_end_matches(['.', '!', '?', '…']).len();
    let start = text.get(..end).and_then(|text| text.rfind(['.', '!', '?', '…'])).map_or(0, |at| at + 1);
    text.get(start..).unwrap_or(text).trim_start_matches(['.', '!', '?', '…']).trim().to_owned()
}
