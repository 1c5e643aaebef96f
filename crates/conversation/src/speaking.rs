//! What is said, what becomes of it, and what is said into silences.

use std::sync::Arc;

use offhook_stage_api::{Digits, Interruptible, LlmCommand, News, UtteranceId};

use crate::barge_in::BargeIn;
use crate::conversation::{Conversation, Todo};
use crate::deadline::{Deadline, Why};
use crate::event::{CallEvent, DropCause, EndReason};
use crate::line::{Heard, Line, LineCommand, Opening};
use crate::speech::{Bridge, Occasion, Progress, Purpose, Utterance};
use crate::turn::TurnState;

/// So many of the engine's own phrases without a sound, one after the other, and the voice is given up.
const MOST_VOICE_FAILURES: u32 = 3;

impl Conversation {
    /// Says something of the engine's own. Nothing for an empty text.
    pub(crate) fn say(
        &mut self,
        purpose: Purpose,
        text: &str,
        by: Option<Interruptible>,
        line: &mut dyn Line,
    ) -> Option<UtteranceId> {
        if text.trim().is_empty() {
            return None;
        }
        let language = self.language.tag();
        let id = self.open(purpose, text, by, false, language, line);
        if let Some(said) = self.speech.get_mut(id) {
            said.closed = true;
        }
        line.command(LineCommand::Close(id), self.now);
        Some(id)
    }

    /// Begins to say something.
    pub(crate) fn open(
        &mut self,
        purpose: Purpose,
        text: &str,
        by: Option<Interruptible>,
        held: bool,
        language: Option<Arc<str>>,
        line: &mut dyn Line,
    ) -> UtteranceId {
        self.discard_dropped(line);
        let interruptible = by.unwrap_or(match purpose {
            Purpose::Greeting(_) => self.config.barge_in.greeting,
            Purpose::Reply(_) => self.config.barge_in.reply,
            _ => Interruptible::Yes,
        });
        let (kind, phrase) = (purpose.kind(), purpose.reply().is_none());
        let (id, before) = self.speech.add(purpose, interruptible, held, self.now);
        line.command(
            LineCommand::Open(Opening { id, kind, before, held, phrase, interruptible, language }),
            self.now,
        );
        if let Some(said) = self.speech.get_mut(id) {
            text.clone_into(&mut said.text);
        }
        line.command(LineCommand::Append { id, text: text.to_owned() }, self.now);
        id
    }

    /// Presses keys, behind what is being said.
    pub(crate) fn press(
        &mut self,
        digits: &Digits,
        tool: Option<String>,
        line: &mut dyn Line,
    ) -> Result<(), String> {
        if digits.reveal().is_empty() {
            return Err("there are no keys to press".to_owned());
        }
        self.discard_dropped(line);
        let (id, _) = self.speech.add(Purpose::Keys(tool), Interruptible::No, false, self.now);
        line.press(id, digits, self.now).inspect_err(|_| {
            self.speech.remove(id);
        })?;
        if let Some(said) = self.speech.get_mut(id) {
            said.closed = true;
            said.text = format!("(pressed {} keys)", digits.reveal().len());
        }
        Ok(())
    }

    /// Tells the line of replies that were thrown away.
    pub(crate) fn discard_dropped(&mut self, line: &mut dyn Line) {
        for id in std::mem::take(&mut self.discarded) {
            line.command(LineCommand::Discard(id), self.now);
        }
    }

    /// Nothing begins while the caller holds the floor, or before the answer's time.
    pub(crate) fn update_block(&mut self, line: &mut dyn Line) {
        self.discard_dropped(line);
        let must_go = matches!(self.leaving, crate::leaving::Leaving::WhenSaid(EndReason::TooLong));
        let bridges_words = |purpose: &Purpose| *purpose == Purpose::Filler(Bridge::Words);
        let bridged = self.speech.iter().any(|said| !said.has_begun() && bridges_words(&said.purpose));
        let blocked = !self.voicemail.is_there()
            && !must_go
            && match self.turn.state {
                TurnState::Quiet => false,
                TurnState::Paused(_) => !bridged,
                TurnState::Decided(decided) => self.now < decided.answer_from,
                TurnState::Speaking { noise, .. } => !noise,
                TurnState::Reopening { .. } => true,
            };
        if blocked != self.blocked {
            self.blocked = blocked;
            if !blocked {
                self.speech.next_in_turn(self.now);
            }
            line.command(LineCommand::Block(blocked), self.now);
        }
        self.report_wait();
    }

    pub(crate) fn on_ready(&mut self, id: UtteranceId, line: &mut dyn Line) {
        let Some(said) = self.speech.get_mut(id) else { return };
        said.has_sound = true;
        if matches!(said.progress, Progress::Waiting { .. }) {
            said.progress = Progress::Ready;
        }
        let (begun, reply) = (said.has_begun(), said.purpose.reply());
        if begun {
            self.drop_ended(Occasion::RestReady(id), line);
        } else if let Some(reply) = reply {
            let now = self.now;
            if let Some(reply) = self.reply.as_mut().filter(|current| current.id == reply) {
                reply.first_audio.get_or_insert(now);
            }
            self.drop_ended(Occasion::ReplyReady(reply), line);
        }
    }

    pub(crate) fn on_began(&mut self, id: UtteranceId, line: &mut dyn Line) {
        let Some(said) = self.speech.get_mut(id) else { return };
        said.progress = Progress::Begun { at: self.now };
        let (what, text, reply) = (said.purpose.kind(), said.text.clone(), said.purpose.reply());
        let (speaks, interruptible) =
            (!matches!(said.purpose, Purpose::Keys(_) | Purpose::Echo), said.interruptible);
        self.event(CallEvent::Speaking { utterance: id, what, text });
        // The turn that it answers comes before it.
        if speaks {
            self.silence.voice_failures = 0;
            self.history.began(id, self.now);
            self.news(|| News::AgentBegan { interruptible });
        }
        if reply.is_some() && self.reply.as_ref().is_some_and(|current| Some(current.id) == reply) {
            self.begin_reply(true, line);
        }
    }

    /// An utterance was played to its end.
    pub(crate) fn on_over(&mut self, id: UtteranceId, heard: &Heard, line: &mut dyn Line) {
        let Some(said) = self.speech.remove(id) else { return };
        self.note_said(&said, heard);
        if let Purpose::Keys(Some(tool)) = said.purpose {
            self.keys_done(tool, Ok("pressed".to_owned()));
        }
        if line.audible(self.now).is_none() && matches!(self.barge_in, Some(BargeIn::Over { .. })) {
            // Nothing is left that could be interrupted: what the caller says is a turn like any other.
            self.end_barge_in(line);
        }
        self.silence.over(self.now);
        self.speech.next_in_turn(self.now);
    }

    fn note_said(&mut self, said: &Utterance, heard: &Heard) {
        // What isn't given to the voice yet, the line doesn't know of.
        let words = |text: &str| text.split_whitespace().count();
        let whole = heard.is_whole() && words(&heard.text) >= words(&said.text);
        self.history.ended(said.id, &heard.text, whole, self.now);
        self.said_news(said, heard, whole);
        if said.purpose != Purpose::Echo {
            self.event(CallEvent::Said {
                utterance: said.id,
                what: said.purpose.kind(),
                heard: heard.text.clone(),
                text: said.text.trim().to_owned(),
                interrupted: !whole,
                timed: heard.timed,
            });
        }
    }

    fn keys_done(&mut self, id: String, outcome: Result<String, String>) {
        let name = offhook_stage_api::tools::SEND_DTMF.to_owned();
        let result = offhook_stage_api::ToolResult { id, name, outcome };
        if let Some(event) = self.tools.end(&result, self.now) {
            self.event(event);
        }
        self.take_result(result);
    }

    /// The voice gave no sound at all for an utterance. If it is the answer, the caller still waits for one.
    pub(crate) fn on_soundless(&mut self, id: UtteranceId, line: &mut dyn Line) {
        let Some(said) = self.speech.remove(id) else { return };
        let what = said.purpose.kind();
        self.event(CallEvent::Dropped { utterance: id, what, why: DropCause::NoSound });
        self.silence.over(self.now);
        self.speech.next_in_turn(self.now);
        let of_reply = self.reply.as_ref().filter(|reply| reply.utterance == Some(id) && !reply.has_begun());
        if of_reply.is_some() {
            self.trouble("the voice gave no sound for the reply");
            if let Some(reply) = &mut self.reply {
                reply.utterance = None;
            }
            self.give_up_reply(line);
        } else {
            self.voice_failed(line);
        }
    }

    pub(crate) fn voice_failed(&mut self, line: &mut dyn Line) {
        self.silence.voice_failures += 1;
        if self.silence.voice_failures >= MOST_VOICE_FAILURES {
            self.trouble("the voice gives no sound any more; the call is given up");
            self.hang_up(EndReason::VoiceFailed, None, line);
        }
    }

    /// When one of the engine's own phrases has waited too long for its voice.
    pub(crate) fn voice_deadline(&self) -> Option<Deadline> {
        if self.blocked {
            return None;
        }
        let (_, since) = self.speech.waits_for_voice()?;
        Some(Deadline::new(since + self.config.timeouts.voice_late, Why::VoiceLate))
    }

    pub(crate) fn on_voice_late(&mut self, line: &mut dyn Line) {
        let Some((id, _)) = self.speech.waits_for_voice() else { return };
        line.command(LineCommand::Discard(id), self.now);
        let keys = self.speech.get(id).map(|said| said.purpose.clone());
        if let Some(Purpose::Keys(Some(tool))) = keys {
            self.keys_done(tool, Err("not pressed: the line was not free in time".to_owned()));
        }
        self.on_soundless(id, line);
    }

    // What is dropped and cut off.

    /// Drops what this occasion ends; what has begun is cut off.
    pub(crate) fn drop_ended(&mut self, occasion: Occasion, line: &mut dyn Line) {
        let ended = self.speech.ended_by(occasion);
        if ended.is_empty() {
            return;
        }
        let begun = |id: UtteranceId| self.speech.get(id).is_some_and(|said| said.has_begun());
        let unheard = |id: UtteranceId| {
            self.speech
                .get(id)
                .is_some_and(|said| !said.has_begun() && matches!(said.purpose, Purpose::Filler(_)))
        };
        // Who waits goes on waiting when a filler is dropped of which nothing was heard.
        let over = !ended.iter().all(|(id, _)| unheard(*id));
        let (cut, dropped): (Vec<_>, Vec<_>) = ended.into_iter().partition(|(id, _)| begun(*id));
        for (id, why) in dropped {
            line.command(LineCommand::Discard(id), self.now);
            self.note_dropped(id, why);
        }
        let ids: Vec<UtteranceId> = cut.iter().map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            for (id, heard) in line.cut(&ids, self.now) {
                self.note_cut(id, &heard);
            }
        }
        if over {
            self.silence.over(self.now);
        }
        self.speech.next_in_turn(self.now);
    }

    /// The call is over: everything that is still said ends.
    pub(crate) fn cut_all(&mut self, line: &mut dyn Line) {
        self.discard_dropped(line);
        let ids: Vec<UtteranceId> = self.speech.iter().map(|said| said.id).collect();
        for id in ids {
            let Some(said) = self.speech.get(id) else { continue };
            if said.has_begun() {
                let mut heard = line.heard(id, self.now);
                if heard == Heard::default() {
                    // It was just played to its end.
                    said.text.trim().clone_into(&mut heard.text);
                }
                self.note_cut(id, &heard);
            } else {
                self.note_dropped(id, DropCause::Leaving);
            }
        }
    }

    pub(crate) fn note_dropped(&mut self, id: UtteranceId, why: DropCause) {
        let Some(said) = self.speech.remove(id) else { return };
        self.dropped(&said, why);
    }

    fn dropped(&mut self, said: &Utterance, why: DropCause) {
        if matches!(said.purpose, Purpose::Filler(_)) {
            self.silence.unbridge();
        }
        self.event(CallEvent::Dropped { utterance: said.id, what: said.purpose.kind(), why });
        if let Purpose::Keys(Some(tool)) = &said.purpose {
            self.keys_done(tool.clone(), Err("not pressed: they were dropped before their time".to_owned()));
        }
        self.reply_lost(said.id);
    }

    /// An utterance was cut off; this was heard of it.
    pub(crate) fn note_cut(&mut self, id: UtteranceId, heard: &Heard) {
        let Some(said) = self.speech.remove(id) else { return };
        if !said.has_begun() {
            return self.dropped(&said, DropCause::Interrupted);
        }
        if let Some(reply) = said.purpose.reply() {
            self.todo.push_back(Todo::Llm(LlmCommand::Interrupted { reply, heard: heard.lasted }));
        }
        self.note_said(&said, heard);
        if let Purpose::Keys(Some(tool)) = said.purpose {
            self.keys_done(tool, Err("not all keys were pressed: they were cut off".to_owned()));
        }
        self.reply_lost(id);
    }

    /// The utterance of a reply is gone: no more of it is wanted.
    fn reply_lost(&mut self, id: UtteranceId) {
        if self.reply.as_ref().is_some_and(|reply| reply.utterance == Some(id)) {
            self.cancel_reply();
        }
    }
}
