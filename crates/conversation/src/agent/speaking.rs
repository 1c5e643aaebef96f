//! What the agent is saying or about to say, on the line: opened, written, dropped, cut off.

use std::sync::Arc;

use offhook_stage_api::{Digits, Interruptible, Recording, UtteranceId};

use crate::deadline::{Deadline, Why};
use crate::event::DropCause;
use crate::line::{Heard, LineCommand, Opening};
use crate::moment::Moment;
use crate::speech::{Bridge, Occasion, Progress, Purpose, Speech, Utterance};

/// Something that is not said any more, or not to its end.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) said: Utterance,
    pub(super) how: How,
}

#[derive(Debug)]
pub(super) enum How {
    /// Nothing of it was heard.
    Dropped(DropCause),
    /// This was heard of it.
    Cut(Heard),
}

/// What the agent is saying or about to say.
#[derive(Debug, Default)]
pub(super) struct Speaking {
    queue: Speech,
    /// Nothing may begin.
    blocked: bool,
    /// Utterances of replies that were thrown away, to be reported to the line.
    discarded: Vec<UtteranceId>,
}

impl Speaking {
    // What is known.

    pub(super) fn get(&self, id: UtteranceId) -> Option<&Utterance> {
        self.queue.get(id)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Utterance> {
        self.queue.iter()
    }

    /// What the caller hears now.
    pub(super) fn audible(&self, at: &Moment<'_>) -> Option<&Utterance> {
        at.line.audible(at.now).and_then(|id| self.queue.get(id))
    }

    /// What is being said, as the line speaks.
    pub(super) fn current(&self) -> Option<&Utterance> {
        self.queue.current()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_idle()
    }

    // Saying.

    /// Says something whole.
    pub(super) fn say(
        &mut self,
        purpose: Purpose,
        text: &str,
        by: Option<Interruptible>,
        language: Option<Arc<str>>,
        at: &mut Moment<'_>,
    ) {
        let id = self.open(purpose, text, by, false, language, at);
        self.close(id, at);
    }

    /// Begins to say something.
    pub(super) fn open(
        &mut self,
        purpose: Purpose,
        text: &str,
        by: Option<Interruptible>,
        held: bool,
        language: Option<Arc<str>>,
        at: &mut Moment<'_>,
    ) -> UtteranceId {
        self.discard_dropped(at);
        let interruptible = by.unwrap_or(match purpose {
            Purpose::Greeting(_) => at.config.barge_in.greeting,
            Purpose::Reply(_) => at.config.barge_in.reply,
            _ => Interruptible::Yes,
        });
        let (kind, phrase) = (purpose.kind(), purpose.reply().is_none());
        let (id, before) = self.queue.add(purpose, interruptible, held, at.now);
        at.command(LineCommand::Open(Opening { id, kind, before, held, phrase, interruptible, language }));
        if let Some(said) = self.queue.get_mut(id) {
            text.clone_into(&mut said.text);
        }
        at.command(LineCommand::Append { id, text: text.to_owned() });
        id
    }

    /// More of it.
    pub(super) fn append(&mut self, id: UtteranceId, text: String, at: &mut Moment<'_>) {
        if let Some(said) = self.queue.get_mut(id) {
            said.text.push_str(&text);
            at.command(LineCommand::Append { id, text });
        }
    }

    /// A recording is played in the place of its words.
    pub(super) fn play(&mut self, id: UtteranceId, recording: Arc<Recording>, at: &mut Moment<'_>) {
        if let Some(said) = self.queue.get_mut(id) {
            said.is_recording = true;
            at.command(LineCommand::Play { id, recording });
        }
    }

    /// No more of it will be written.
    pub(super) fn close(&mut self, id: UtteranceId, at: &mut Moment<'_>) {
        if let Some(said) = self.queue.get_mut(id) {
            said.closed = true;
            at.command(LineCommand::Close(id));
        }
    }

    /// What was held may be heard.
    pub(super) fn release(&mut self, id: UtteranceId, at: &mut Moment<'_>) {
        if let Some(said) = self.queue.get_mut(id) {
            said.progress =
                if said.has_sound { Progress::Ready } else { Progress::Waiting { since: at.now } };
            at.command(LineCommand::Release(id));
        }
    }

    pub(super) fn interruptible(&mut self, id: UtteranceId, by: Interruptible, at: &mut Moment<'_>) {
        if let Some(said) = self.queue.get_mut(id) {
            said.interruptible = by;
            at.command(LineCommand::Interruptible(id, by));
        }
    }

    /// Presses keys, behind what is being said.
    pub(super) fn press(
        &mut self,
        digits: &Digits,
        tool: Option<String>,
        at: &mut Moment<'_>,
    ) -> Result<(), String> {
        if digits.reveal().is_empty() {
            return Err("there are no keys to press".to_owned());
        }
        self.discard_dropped(at);
        let (id, _) = self.queue.add(Purpose::Keys(tool), Interruptible::No, false, at.now);
        at.line.press(id, digits, at.now).inspect_err(|_| {
            self.queue.remove(id);
        })?;
        if let Some(said) = self.queue.get_mut(id) {
            said.closed = true;
            said.text = format!("(pressed {} keys)", digits.reveal().len());
        }
        Ok(())
    }

    // What the line says of it.

    /// Sound of it is there.
    pub(super) fn ready(&mut self, id: UtteranceId) -> Option<&Utterance> {
        let said = self.queue.get_mut(id)?;
        said.has_sound = true;
        if matches!(said.progress, Progress::Waiting { .. }) {
            said.progress = Progress::Ready;
        }
        Some(said)
    }

    /// Its first sound went out.
    pub(super) fn began(&mut self, id: UtteranceId, at: &Moment<'_>) -> Option<&Utterance> {
        let said = self.queue.get_mut(id)?;
        said.progress = Progress::Begun { at: at.now };
        Some(said)
    }

    /// It is over.
    pub(super) fn remove(&mut self, id: UtteranceId) -> Option<Utterance> {
        self.queue.remove(id)
    }

    /// What is next in turn may begin only now.
    pub(super) fn next_in_turn(&mut self, at: &Moment<'_>) {
        self.queue.next_in_turn(at.now);
    }

    // Who may begin, and what is late.

    /// A filler waits for its turn that bridges the wait for the words of a pause.
    pub(super) fn bridges_words(&self) -> bool {
        self.queue.iter().any(|said| !said.has_begun() && said.purpose == Purpose::Filler(Bridge::Words))
    }

    /// Nothing may begin, or it may again.
    pub(super) fn block(&mut self, blocked: bool, at: &mut Moment<'_>) {
        if blocked != self.blocked {
            self.blocked = blocked;
            if !blocked {
                self.next_in_turn(at);
            }
            at.command(LineCommand::Block(blocked));
        }
    }

    /// One of the engine's own phrases that waits for its voice.
    pub(super) fn waits_for_voice(&self) -> Option<UtteranceId> {
        Some(self.queue.waits_for_voice()?.0)
    }

    /// When it has waited too long.
    pub(super) fn voice_deadline(&self, at: &Moment<'_>) -> Option<Deadline> {
        if self.blocked {
            return None;
        }
        let (_, since) = self.queue.waits_for_voice()?;
        Some(Deadline::new(since + at.config.timeouts.voice_late, Why::VoiceLate))
    }

    /// The caller waits for this reply now.
    pub(super) fn rebridge(&mut self, reply: offhook_stage_api::ReplyId) {
        self.queue.rebridge(reply);
    }

    // What is dropped and cut off.

    /// Takes out what nothing was heard of, as part of a reply that is thrown away.
    pub(super) fn discard(&mut self, id: UtteranceId) {
        if self.queue.get(id).is_some_and(|said| !said.has_begun()) {
            self.queue.remove(id);
            self.discarded.push(id);
        }
    }

    /// Tells the line of replies that were thrown away.
    pub(super) fn discard_dropped(&mut self, at: &mut Moment<'_>) {
        for id in std::mem::take(&mut self.discarded) {
            at.command(LineCommand::Discard(id));
        }
    }

    /// Drops what this occasion ends; what has begun is cut off.
    pub(super) fn end(&mut self, occasion: Occasion, at: &mut Moment<'_>) -> Vec<Gone> {
        let ended = self.queue.ended_by(occasion);
        let begun = |id: UtteranceId| self.queue.get(id).is_some_and(Utterance::has_begun);
        let (cut, dropped): (Vec<_>, Vec<_>) = ended.into_iter().partition(|(id, _)| begun(*id));
        let mut gone = Vec::new();
        for (id, why) in dropped {
            at.command(LineCommand::Discard(id));
            gone.extend(self.dropped(id, why));
        }
        let ids: Vec<UtteranceId> = cut.iter().map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            for (id, heard) in at.line.cut(&ids, at.now) {
                gone.extend(self.cut(id, heard));
            }
        }
        gone
    }

    /// The call is over: everything that is still said ends.
    pub(super) fn end_all(&mut self, at: &mut Moment<'_>) -> Vec<Gone> {
        self.discard_dropped(at);
        let ids: Vec<UtteranceId> = self.queue.iter().map(|said| said.id).collect();
        let mut gone = Vec::new();
        for id in ids {
            let Some(said) = self.queue.get(id) else { continue };
            if said.has_begun() {
                let mut heard = at.line.heard(id, at.now);
                if heard == Heard::default() {
                    // It was just played to its end.
                    said.text.trim().clone_into(&mut heard.text);
                }
                gone.extend(self.cut(id, heard));
            } else {
                gone.extend(self.dropped(id, DropCause::Leaving));
            }
        }
        gone
    }

    /// The connection broke: the line doesn't know of anything any more.
    pub(super) fn lose(&mut self) {
        self.discarded.clear();
        self.blocked = false;
    }

    pub(super) fn dropped(&mut self, id: UtteranceId, why: DropCause) -> Option<Gone> {
        Some(Gone { said: self.queue.remove(id)?, how: How::Dropped(why) })
    }

    /// It was cut off; this was heard of it.
    pub(super) fn cut(&mut self, id: UtteranceId, heard: Heard) -> Option<Gone> {
        let said = self.queue.remove(id)?;
        let how = if said.has_begun() { How::Cut(heard) } else { How::Dropped(DropCause::Interrupted) };
        Some(Gone { said, how })
    }
}
