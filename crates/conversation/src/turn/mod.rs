//! The caller's side of the conversation: when a turn begins, pauses and ends, and what was said in it.

mod backchannel;
mod dictation;
mod evidence;
mod pauses;
mod state;
mod transcripts;
mod words;

use std::time::Duration;

use offhook_stage_api::{AnswerKind, CallTime, TurnEvent, TurnQuestion};

use crate::config::TurnConfig;
use crate::deadline::{Deadline, Why};

pub(crate) use backchannel::OverAgent;
pub use evidence::Evidence;
use evidence::{Known, Wait, wait};
use pauses::{Pauses, Stops};
pub(crate) use state::{Decided, Onset, Pause, TurnNumber, TurnState, WordsEffect};
use words::TurnText;
pub use words::contains_words;
pub(crate) use words::same_words;

/// A turn that was answered.
#[derive(Clone, Debug, Default)]
struct Closed {
    number: TurnNumber,
    text: TurnText,
    until: u64,
    /// When it was closed: what was said before is of it.
    at: CallTime,
    /// Its words are in the history.
    answered: bool,
}

/// The caller's turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerTurn {
    state: TurnState,
    number: TurnNumber,
    text: TurnText,
    /// The first onset and the end of the latest speech, on the caller's time line.
    from: u64,
    until: u64,
    /// The first onset and the end of the latest speech, on the call's clock.
    began: CallTime,
    ended: CallTime,
    /// Speech heard in this turn, pauses left out.
    spoken: Duration,
    /// Replies that were requested before the turn was over.
    speculations: u8,
    /// The latest question that the turn model was asked; counts over the call.
    question: u32,
    closed: Closed,
    pauses: Pauses,
    stops: Stops,
    /// The recogniser sends partial transcripts: sound for which none come is no speech.
    partials: bool,
}

impl CallerTurn {
    /// The turns of a call whose recogniser is known to send partial transcripts, or not.
    pub(crate) fn hearing(partials: bool) -> Self {
        Self { partials, ..Self::default() }
    }

    /// Where it stands.
    pub(crate) const fn state(&self) -> TurnState {
        self.state
    }

    pub(crate) const fn number(&self) -> TurnNumber {
        self.number
    }

    /// The first onset, on the call's clock.
    pub(crate) const fn began(&self) -> CallTime {
        self.began
    }

    /// The end of the latest speech, on the call's clock.
    pub(crate) const fn ended(&self) -> CallTime {
        self.ended
    }

    /// The same on the caller's time line.
    pub(crate) const fn until(&self) -> u64 {
        self.until
    }

    /// Speech heard in this turn, pauses left out.
    pub(crate) const fn spoken(&self) -> Duration {
        self.spoken
    }

    /// How many replies were requested before the turn was over.
    pub(crate) const fn speculations(&self) -> u8 {
        self.speculations
    }

    /// Another was requested.
    pub(crate) const fn speculated(&mut self) {
        self.speculations += 1;
    }

    /// All the words so far.
    pub(crate) fn words(&self) -> String {
        self.text.text()
    }

    /// The words that were given for final.
    pub(crate) fn final_words(&self) -> String {
        self.text.finals()
    }

    pub(crate) fn confidence(&self) -> Option<f32> {
        self.text.confidence()
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.state == TurnState::Quiet
    }

    pub(crate) const fn is_decided(&self) -> bool {
        matches!(self.state, TurnState::Decided(_) | TurnState::Reopening { .. })
    }

    pub(crate) const fn pause(&self) -> Option<&Pause> {
        match &self.state {
            TurnState::Paused(pause) => Some(pause),
            _ => None,
        }
    }

    /// The latest decision that the turn is over, if it still stands.
    pub(crate) const fn decided(&self) -> Option<Decided> {
        match self.state {
            TurnState::Decided(decided) | TurnState::Reopening { decided, .. } => Some(decided),
            _ => None,
        }
    }

    /// The caller speaks, as far as is known: nobody else may begin to.
    pub(crate) const fn holds_floor(&self) -> bool {
        matches!(self.state, TurnState::Speaking { noise: false, .. } | TurnState::Reopening { .. })
    }

    /// The caller speaks, and words are among it.
    pub(crate) const fn is_speaking(&self) -> bool {
        matches!(self.state, TurnState::Speaking { .. })
    }

    /// The newest words are a final transcript, which came after the speech.
    pub(crate) fn is_settled(&self) -> bool {
        self.text.is_settled() && self.pause().is_some_and(|pause| pause.settled_at.is_some())
    }

    /// The recogniser sends partial transcripts.
    pub(crate) const fn has_partials(&self) -> bool {
        self.partials
    }

    /// Another recogniser listens, or none: whether it sends partial transcripts is not known yet.
    pub(crate) const fn other_recogniser(&mut self, partials: bool) {
        self.partials = partials;
    }

    fn begin(&mut self, at: CallTime, position: u64) {
        self.number.0 = self.number.0.wrapping_add(1);
        (self.from, self.until) = (position, position);
        (self.began, self.ended) = (at, at);
        (self.spoken, self.speculations) = (Duration::ZERO, 0);
    }

    /// The caller began to speak, or went on.
    pub(crate) fn on_onset(&mut self, at: CallTime, position: u64) -> Onset {
        // A gap that was filled moves the caller's time line against the clock; a turn's times still don't go back.
        let onset = at.max(self.began).max(self.ended);
        match self.state {
            TurnState::Decided(decided) | TurnState::Reopening { decided, .. } => {
                self.state = TurnState::Reopening { decided, onset, ended: None };
                return Onset::Unclear;
            }
            TurnState::Quiet => {
                self.begin(at, position);
                self.state = TurnState::Speaking { onset: at, words: false, noise: false, settled_at: None };
            }
            TurnState::Speaking { .. } | TurnState::Paused(_) => {
                let settled_at = self.pause().and_then(|pause| pause.settled_at);
                self.state = TurnState::Speaking { onset, words: false, noise: false, settled_at };
            }
        }
        Onset::Speaking
    }

    /// The caller fell silent. True if that is a pause of the turn's.
    pub(crate) fn on_pause(&mut self, at: CallTime, position: u64) -> bool {
        match &mut self.state {
            TurnState::Speaking { onset, .. } => {
                let ended = at.max(*onset);
                self.spoken += ended.since(*onset);
                (self.until, self.ended) = (position, ended);
                self.state = TurnState::Paused(Pause::default());
                true
            }
            TurnState::Paused(pause) => {
                pause.noise_since = None;
                false
            }
            TurnState::Reopening { ended, .. } => {
                *ended = Some(at);
                true
            }
            _ => false,
        }
    }

    /// What had been taken for the end of the turn wasn't.
    pub(crate) fn reopen(&mut self, now: CallTime) {
        let TurnState::Reopening { onset, ended, .. } = self.state else {
            if self.is_decided() {
                self.state = TurnState::Paused(Pause::default());
            }
            return;
        };
        self.pauses.went_on(onset.since(self.ended));
        match ended {
            None => self.state = TurnState::Speaking { onset, words: true, noise: false, settled_at: None },
            Some(ended) => {
                self.ended = ended.max(onset).min(now.max(onset));
                self.spoken += self.ended.since(onset);
                self.state = TurnState::Paused(Pause::default());
            }
        }
    }

    /// What was heard after the end of the turn was noise: the end stands.
    pub(crate) fn stay_decided(&mut self) {
        if let TurnState::Reopening { decided, .. } = self.state {
            self.state = TurnState::Decided(decided);
        }
    }

    pub(crate) fn on_recogniser_end(&mut self, ended: bool) {
        if let TurnState::Paused(pause) = &mut self.state {
            pause.recogniser_end = ended;
        } else if let TurnState::Speaking { words: false, settled_at, .. } = self.state
            && ended
            && !self.text.text().is_empty()
        {
            // Noise after the words: the recogniser hears that the caller is done.
            self.state = TurnState::Paused(Pause { recogniser_end: true, settled_at, ..Pause::default() });
        }
    }

    /// The next question for the turn model, about the pause that there is now.
    pub(crate) fn ask(&mut self) -> Option<TurnQuestion> {
        self.pause()?;
        self.question = self.question.wrapping_add(1);
        let (question, text) = (self.question, self.words());
        Some(TurnQuestion { question, from: self.from, until: self.until, text })
    }

    /// The turn model's answer; an old one, or one that is no probability, is ignored.
    pub(crate) fn on_model(&mut self, event: TurnEvent) {
        let current = event.question == self.question;
        if let TurnState::Paused(pause) = &mut self.state
            && current
            && (0.0..=1.0).contains(&event.probability)
        {
            pause.model = Some(event.probability);
        }
    }

    /// How long the present pause is waited for.
    pub(crate) fn wait(&self, answer: AnswerKind, config: &TurnConfig) -> Option<Wait> {
        let pause = self.pause()?;
        let (text, settled) = (self.words(), self.is_settled());
        Some(wait(
            Known {
                text: &text,
                settled,
                complete: self.text.complete(),
                answer,
                recogniser_end: pause.recogniser_end,
                model: pause.model,
                stops_count: self.stops.count(),
                lasted: self.ended.since(self.began),
                pauses: self.pauses.longest(),
            },
            config,
        ))
    }

    /// Whether a wait is to be reported: once for each pause, moment and reason.
    pub(crate) fn report(&mut self, until: CallTime, evidence: Evidence) -> bool {
        match &mut self.state {
            TurnState::Paused(pause) => pause.reported.replace((until, evidence)) != Some((until, evidence)),
            _ => false,
        }
    }

    /// The turn is over.
    pub(crate) fn decide(&mut self, now: CallTime, answer_after: Duration) {
        let settled_at = self.pause().and_then(|pause| pause.settled_at);
        let answer_from = self.ended + answer_after;
        let words = words::count(&self.words());
        self.state = TurnState::Decided(Decided { at: now, answer_from, settled_at, words });
    }

    /// The words that have come since the turn was taken for over.
    pub(crate) fn words_since_decided(&self) -> String {
        let words = self.decided().map_or(0, |decided| decided.words);
        self.words().split_whitespace().skip(words).collect::<Vec<_>>().join(" ")
    }

    /// The line has decided that the turn is over, with these words.
    pub(crate) fn said(&mut self, text: &str, now: CallTime) {
        if self.is_quiet() {
            self.begin(now, 0);
        }
        self.on_pause(now, self.until);
        self.reopen(now);
        self.text = TurnText::whole(text, self.from);
        if self.pause().is_none() {
            self.state = TurnState::Paused(Pause::default());
        }
        if let TurnState::Paused(pause) = &mut self.state {
            *pause = Pause { recogniser_end: true, settled_at: Some(now), ..Pause::default() };
        }
    }

    /// Sound without words that has lasted too long is noise: when that is.
    pub(crate) fn noise_deadline(&self, config: &TurnConfig, resolve: Duration) -> Option<Deadline> {
        let at = match self.state {
            TurnState::Speaking { onset, words: false, noise: false, .. } if self.partials => {
                onset + config.noise_after
            }
            TurnState::Reopening { onset, ended: None, .. } if self.partials => onset + config.noise_after,
            TurnState::Reopening { ended: Some(ended), .. } => ended + resolve,
            _ => return None,
        };
        Some(Deadline::new(at, Why::Noise))
    }

    /// The sound has lasted too long without words. True if nothing but noise is left of the turn; its end is still listened for, in
    /// case that it is the recogniser that is silent.
    pub(crate) fn on_noise(&mut self) -> bool {
        let nothing = self.words().is_empty();
        match &mut self.state {
            TurnState::Speaking { noise, .. } if nothing => *noise = true,
            TurnState::Speaking { settled_at, onset, .. } => {
                let (settled_at, noise_since) = (*settled_at, Some(*onset));
                self.state = TurnState::Paused(Pause { settled_at, noise_since, ..Pause::default() });
            }
            _ => {
                self.stay_decided();
                return false;
            }
        }
        nothing
    }

    /// The turn is answered, or needs no answer. Gives where its sound ends.
    pub(crate) fn close(&mut self, now: CallTime) -> u64 {
        // All words that were answered are of this turn, those that no final transcript has come for, too: what is heard of them
        // later must not begin another.
        let until = self.until.max(self.from).max(self.text.until());
        let text = std::mem::take(&mut self.text);
        let answered = self.is_decided();
        let until_now = until.max(self.closed.until);
        self.closed =
            Closed { number: self.number, text: text.settled(), until: until_now, at: now, answered };
        self.pauses.turn_over();
        self.state = TurnState::Quiet;
        until
    }

    /// The turn is answered while there is sound again: if that is speech, it is of the next turn.
    pub(crate) fn close_in_speech(&mut self, now: CallTime) -> u64 {
        let sounds_since = match self.state {
            TurnState::Reopening { onset, ended: None, .. } => Some(onset),
            _ => None,
        };
        let until = self.close(now);
        if let Some(onset) = sounds_since {
            self.begin(onset, until);
            self.state = TurnState::Speaking { onset, words: false, noise: false, settled_at: None };
        }
        until
    }
}
