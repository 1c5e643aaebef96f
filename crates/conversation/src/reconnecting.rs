//! The connection breaks, and the call comes back over another.

use offhook_stage_api::{Content, ReplyReason, UtteranceId};

use crate::conversation::{Conversation, State};
use crate::event::DropCause;
use crate::line::{Heard, Line, LineCommand};
use crate::reply::Phase;
use crate::speech::Purpose;

/// What was going on when the connection broke.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Text that was yet to be heard.
    unheard: String,
    /// A reply was waited for, for this reason.
    asked: Option<ReplyReason>,
}

impl Conversation {
    pub(crate) fn on_lost(&mut self, cut: Vec<(UtteranceId, Heard)>, line: &mut dyn Line) {
        let mut unheard = String::new();
        let asked = self.reply.as_ref().filter(|reply| reply.phase == Phase::Due);
        let asked = asked.map(|reply| reply.reason.clone());
        for (id, heard) in cut {
            if self.speech.get(id).is_some_and(|said| said.purpose.is_worth_repeating()) {
                unheard.push_str(heard.rest.trim());
                unheard.push(' ');
            }
            self.note_cut(id, &heard);
        }
        if self.leaving.is_asked() {
            // A transfer takes the connection away, whatever it looks like.
            return self.end(self.leaving.stopped(), line);
        }
        self.cancel_reply();
        let rest: Vec<UtteranceId> = self.speech.iter().map(|said| said.id).collect();
        for id in rest {
            self.note_dropped(id, DropCause::ReasonGone);
        }
        self.discarded.clear();
        self.barge_in = None;
        self.blocked = false;
        self.pending = Pending { unheard: unheard.trim().to_owned(), asked };
        self.trouble("the connection was lost; the call goes on if Twilio connects it again");
        self.state = State::Lost { until: self.now + self.config.timeouts.reconnect };
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
        let Pending { unheard, asked } = std::mem::take(&mut self.pending);
        if let Some(tag) = self.language.tag() {
            line.command(LineCommand::Language(tag), self.now);
        }
        self.silence.over(self.now);
        let sorry = self.language.phrases(&self.config).reconnected.clone();
        self.say(Purpose::Apology, &sorry, None, line);
        if !unheard.is_empty() {
            self.say(Purpose::Reply(None), &unheard, None, line);
        }
        match asked {
            // The turn is still unanswered, and is requested with everything else.
            Some(ReplyReason::Caller { .. } | ReplyReason::Digits(_)) => {}
            Some(reason) => self.request(reason, false, line),
            None if unheard.is_empty() && !self.leaving.is_wanted() && self.turn.is_quiet() => {
                let question = self.history.last_of_agent().map(last_sentence).unwrap_or_default();
                self.say(Purpose::Reply(None), &question, None, line);
            }
            None => {}
        }
    }
}

/// The last sentence: a question, mostly.
fn last_sentence(text: &str) -> String {
    let end = text.trim_end_matches(['.', '!', '?', '…']).len();
    let start = text.get(..end).and_then(|text| text.rfind(['.', '!', '?', '…'])).map_or(0, |at| at + 1);
    text.get(start..).unwrap_or(text).trim_start_matches(['.', '!', '?', '…']).trim().to_owned()
}
