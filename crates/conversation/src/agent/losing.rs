//! What becomes of what is not said, or not to its end: reported, noted, and said again where it is worth it.

use offhook_stage_api::{Interruptible, LlmCommand, News, UtteranceId};

use super::speaking::{Gone, How};
use super::{Agent, Unheard};
use crate::event::{CallEvent, DropCause};
use crate::line::Heard;
use crate::moment::Moment;
use crate::speech::{Occasion, Purpose, RECORDING, Utterance, must_be_heard};

impl Agent {
    /// Drops what this occasion ends; what has begun is cut off.
    pub(crate) fn drop_ended(&mut self, occasion: Occasion, at: &mut Moment<'_>) {
        let ended = self.speaking.end(occasion, at);
        if ended.is_empty() {
            return;
        }
        // Who waits goes on waiting when a filler is dropped of which nothing was heard.
        let unheard = |gone: &Gone| {
            matches!(gone.how, How::Dropped(_)) && matches!(gone.said.purpose, Purpose::Filler(_))
        };
        let over = !ended.iter().all(unheard);
        self.all_gone(ended, at);
        if over {
            self.silence.over(at.now);
        }
        self.speaking.next_in_turn(at);
    }

    /// The call is over: everything that is still said ends.
    pub(crate) fn cut_all(&mut self, at: &mut Moment<'_>) {
        let ended = self.speaking.end_all(at);
        self.all_gone(ended, at);
    }

    /// The line has cut the agent off. What must be heard is said again, as far as it wasn't; gives what else is worth it.
    pub(crate) fn cut_off(&mut self, cut: Vec<(UtteranceId, Heard)>, at: &mut Moment<'_>) -> String {
        let mut unheard = String::new();
        let mut due = Vec::new();
        for (id, heard) in cut {
            if let Some(said) = self.speaking.get(id).filter(|_| !heard.is_whole()) {
                if must_be_heard(said) && !matches!(said.purpose, Purpose::Keys(_)) {
                    due.push((said.purpose.clone(), heard.rest.clone()));
                } else if said.purpose.is_worth_repeating() {
                    unheard.push_str(heard.rest.trim());
                    unheard.push(' ');
                }
            }
            let gone = self.speaking.cut(id, heard);
            self.all_gone(gone, at);
        }
        for (purpose, rest) in due {
            self.say(purpose.again(), &rest, Some(Interruptible::No), at);
        }
        unheard.trim().to_owned()
    }

    /// The connection broke; this was heard until then. Gives what was not, and is worth saying again.
    pub(crate) fn lose(&mut self, cut: &[(UtteranceId, Heard)], at: &mut Moment<'_>) -> Vec<Unheard> {
        let mut unheard: Vec<Unheard> = Vec::new();
        let order: Vec<UtteranceId> = self.speaking.iter().map(|said| said.id).collect();
        for id in order {
            let Some(said) = self.speaking.get(id) else { continue };
            // What Twilio itself has cut off, and was to be said again, the line doesn't know of any more.
            let unknown = || Heard { rest: said.text.clone(), ..Heard::default() };
            let heard = cut.iter().find(|(of, _)| *of == id).map_or_else(unknown, |(_, heard)| heard.clone());
            if said.purpose.is_worth_repeating() && !heard.is_whole() {
                // A mailbox's recording goes on or begins again: half a message is none.
                let text = if said.purpose == Purpose::Message { &said.text } else { &heard.rest };
                unheard.push((said.purpose.clone().again(), text.trim().to_owned(), said.interruptible));
            }
            let gone = if said.has_begun() {
                self.speaking.cut(id, heard)
            } else {
                self.speaking.dropped(id, DropCause::ConnectionLost)
            };
            self.all_gone(gone, at);
        }
        unheard
    }

    /// The line doesn't know of anything any more.
    pub(crate) fn forget_line(&mut self) {
        self.speaking.lose();
    }

    pub(super) fn all_gone(&mut self, all: impl IntoIterator<Item = Gone>, at: &mut Moment<'_>) {
        for gone in all {
            self.gone(gone, at);
        }
    }

    fn gone(&mut self, Gone { said, how }: Gone, at: &mut Moment<'_>) {
        let id = said.id;
        let why = match how {
            How::Dropped(why) => {
                if matches!(said.purpose, Purpose::Filler(_)) {
                    self.silence.unbridge();
                }
                at.event(CallEvent::Dropped { utterance: id, what: said.purpose.kind(), why });
                "not pressed: they were dropped before their time"
            }
            How::Cut(heard) => {
                if let Some(reply) = said.purpose.reply() {
                    at.llm(LlmCommand::Interrupted { reply, heard: heard.lasted });
                }
                self.note_said(&said, &heard, true, at);
                "not all keys were pressed: they were cut off"
            }
        };
        if let Purpose::Keys(Some(tool)) = said.purpose {
            self.keys_done(tool, Err(why.to_owned()), at);
        }
        // Where it was the reply's, no more of it is wanted.
        if self.reply.as_ref().is_some_and(|reply| reply.utterance == Some(id)) {
            self.cancel_reply(at);
        }
    }

    pub(super) fn note_said(&mut self, said: &Utterance, heard: &Heard, cut: bool, at: &mut Moment<'_>) {
        // What isn't given to the voice yet, the line doesn't know of.
        let words = |text: &str| text.split_whitespace().count();
        let all_words = heard.is_whole() && words(&heard.text) >= words(&said.text);
        // A recording has none that could be missing.
        let whole = all_words && !(cut && said.is_recording);
        self.history.ended(said.id, &heard.text, whole, at.now);
        // Keys that were pressed are no words.
        if !matches!(said.purpose, Purpose::Keys(_) | Purpose::Echo) {
            at.news(|| News::AgentSaid { heard: heard.text.clone(), lasted: heard.lasted, whole });
        }
        if said.purpose != Purpose::Echo {
            at.event(CallEvent::Said {
                utterance: said.id,
                what: said.purpose.kind(),
                heard: if said.is_recording { RECORDING.to_owned() } else { heard.text.clone() },
                text: said.shown().to_owned(),
                interrupted: !whole,
                timed: heard.timed,
            });
        }
    }
}
