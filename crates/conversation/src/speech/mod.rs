//! Speech: everything that the agent says or is about to say, each for a purpose.
//!
//! The queue knows the order in which the line speaks; [`rules`] decides who goes before whom, what is dropped when, and what has to be
//! heard whole. The sound itself, and what of it was heard, is the line's.

mod rules;

use std::collections::VecDeque;

use offhook_stage_api::{CallTime, Interruptible, ReplyId, UtteranceId};

use crate::event::{DropCause, UtteranceKind};

pub(crate) use rules::{By, Occasion, must_be_heard};

/// What something is said for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The agent's first words: the engine's own, or the model's.
    Greeting(Option<ReplyId>),
    /// An answer, or what the caller did not hear of one.
    Reply(Option<ReplyId>),
    /// To bridge a wait.
    Filler(Bridge),
    /// Sorry that it went wrong: takes the place of an answer.
    Apology,
    /// "Are you still there?"
    CheckIn,
    /// What the application wants to be said.
    Announcement,
    /// Keys to be pressed; by a tool call of this id, if by the model.
    Keys(Option<String>),
    /// The message for a mailbox.
    Message,
    /// The last words.
    Farewell,
    /// The caller's own voice, sent back.
    Echo,
}

/// What a filler bridges the wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bridge {
    /// The words of a pause.
    Words,
    /// The sound of a reply.
    Reply(ReplyId),
    /// The rest of what is being said.
    Rest(UtteranceId),
    /// Running tools.
    Tools,
}

impl Purpose {
    pub(crate) const fn kind(&self) -> UtteranceKind {
        match self {
            Self::Greeting(_) => UtteranceKind::Greeting,
            Self::Reply(_) => UtteranceKind::Reply,
            Self::Filler(_) => UtteranceKind::Filler,
            Self::Apology => UtteranceKind::Apology,
            Self::CheckIn => UtteranceKind::CheckIn,
            Self::Announcement | Self::Message => UtteranceKind::Announcement,
            Self::Keys(_) => UtteranceKind::Keys,
            Self::Farewell => UtteranceKind::Farewell,
            Self::Echo => UtteranceKind::Echo,
        }
    }

    /// The reply whose words it is.
    pub(crate) const fn reply(&self) -> Option<ReplyId> {
        match self {
            Self::Greeting(reply) | Self::Reply(reply) => *reply,
            _ => None,
        }
    }

    /// The same, for what was not heard of it: no part of the model's reply any more.
    pub(crate) fn again(self) -> Self {
        match self {
            Self::Reply(_) | Self::Greeting(_) => Self::Reply(None),
            other => other,
        }
    }

    /// If the caller did not hear it after all, it is said again.
    pub(crate) const fn is_worth_repeating(&self) -> bool {
        !matches!(self, Self::Filler(_) | Self::CheckIn | Self::Keys(_) | Self::Echo)
    }

    /// The engine says it by itself, when it judges that somebody has waited too long.
    pub(crate) const fn is_own(&self) -> bool {
        matches!(self, Self::Filler(_) | Self::Apology | Self::CheckIn)
    }
}

/// How far something that is said has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its reply is speculative: its sound is made, but may not go out.
    Held,
    /// It may go out; none of its sound is there yet.
    Waiting {
        /// Since when it could have begun, as far as the voice is concerned.
        since: CallTime,
    },
    /// Sound of it is there, and goes out as soon as it is its turn.
    Ready,
    /// The caller hears it, or has heard some of it.
    Begun {
        /// Since when.
        at: CallTime,
    },
}

/// Something that is said.
#[derive(Clone, Debug)]
pub(crate) struct Utterance {
    pub(crate) id: UtteranceId,
    pub(crate) purpose: Purpose,
    pub(crate) interruptible: Interruptible,
    pub(crate) progress: Progress,
    /// What was written of it so far.
    pub(crate) text: String,
    /// Nothing more will be written.
    pub(crate) closed: bool,
    /// The voice has given sound for it.
    pub(crate) has_sound: bool,
}

impl Utterance {
    pub(crate) fn has_begun(&self) -> bool {
        self.began_at().is_some()
    }

    pub(crate) fn began_at(&self) -> Option<CallTime> {
        match self.progress {
            Progress::Begun { at } => Some(at),
            _ => None,
        }
    }
}

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
        self.queue.remove(place)
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
