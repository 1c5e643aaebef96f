//! Speech: everything that the agent says or is about to say, each for a purpose.
//!
//! The queue knows the order in which the line speaks; [`rules`] decides who goes before whom, what is dropped when, and what has to be
//! heard whole. The sound itself, and what of it was heard, is the line's.

mod rules;
mod utterance;

use std::collections::VecDeque;

use offhook_stage_api::{CallTime, Interruptible, ReplyId, UtteranceId};

use crate::event::DropCause;

pub(crate) use rules::{By, Occasion, must_be_heard};
pub(crate) use utterance::{Bridge, Progress, Purpose, RECORDING, Utterance};

/// Everything that is said and not yet over, in the order in which the line speaks it.
#[derive(Debug, Default)]
pub(crate) struct Speech {
    queue: VecDeque<Utterance>,
    last: UtteranceId,
}

impl Speech {
    /// Takes something in. Gives it its name, and what it goes in front of.
    pub(crate) fn add(
        &mut self,
        purpose: Purpose,
        interruptible: Interruptible,
        held: bool,
        now: CallTime,
    ) -> (UtteranceId, Option<UtteranceId>) {
        self.last = self.last.next();
        let id = self.last;
        let place = rules::place(&purpose, &self.queue);
        let before = place.and_then(|place| self.queue.get(place)).map(|next| next.id);
        let progress = if held { Progress::Held } else { Progress::Waiting { since: now } };
        let utterance = Utterance {
            id,
            purpose,
            interruptible,
            progress,
            text: String::new(),
            is_recording: false,
            closed: false,
            has_sound: false,
        };
        self.queue.insert(place.unwrap_or(self.queue.len()), utterance);
        (id, before)
    }

    pub(crate) fn get(&self, id: UtteranceId) -> Option<&Utterance> {
        self.queue.iter().find(|utterance| utterance.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: UtteranceId) -> Option<&mut Utterance> {
        self.queue.iter_mut().find(|utterance| utterance.id == id)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Utterance> {
        self.queue.iter()
    }

    /// It is over, or dropped.
    pub(crate) fn remove(&mut self, id: UtteranceId) -> Option<Utterance> {
        let place = self.queue.iter().position(|utterance| utterance.id == id)?;
        let removed = self.queue.remove(place);
        if self.queue.is_empty() {
            self.queue = VecDeque::new(); // most of a call nothing is said
        }
        removed
    }

    /// What is next in turn may begin only now: the voice's time counts from here.
    pub(crate) fn next_in_turn(&mut self, now: CallTime) {
        if let Some(first) = self.queue.iter_mut().find(|utterance| utterance.progress != Progress::Held)
            && let Progress::Waiting { since } = &mut first.progress
        {
            *since = (*since).max(now);
        }
    }

    /// Nothing is being said, nor about to be, apart from what is held.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.iter().all(|utterance| utterance.progress == Progress::Held)
    }

    /// What this occasion ends, with what is to be reported of it.
    pub(crate) fn ended_by(&self, occasion: Occasion) -> Vec<(UtteranceId, DropCause)> {
        let ended = |utterance: &Utterance| rules::ends(utterance, occasion).map(|why| (utterance.id, why));
        self.queue.iter().filter_map(ended).collect()
    }

    /// The caller waits for this reply now: what was to bridge the wait for words, for tools or for another reply bridges this.
    pub(crate) fn rebridge(&mut self, reply: ReplyId) {
        for said in self.queue.iter_mut().filter(|said| !said.has_begun()) {
            if let Purpose::Filler(bridge @ (Bridge::Words | Bridge::Tools | Bridge::Reply(_))) =
                &mut said.purpose
            {
                *bridge = Bridge::Reply(reply);
            }
        }
    }

    /// The first in turn, if the voice has not begun it: since when it waits. Replies are watched by those who wait for them.
    pub(crate) fn waits_for_voice(&self) -> Option<(UtteranceId, CallTime)> {
        let first = self.queue.iter().find(|utterance| utterance.progress != Progress::Held)?;
        match first.progress {
            Progress::Waiting { since } if first.purpose.reply().is_none() => Some((first.id, since)),
            _ => None,
        }
    }

    /// What is being said, as the line speaks.
    pub(crate) fn current(&self) -> Option<&Utterance> {
        self.queue.iter().find(|utterance| utterance.has_begun())
    }
}
