//! From a provider's pieces of text to transcripts of the caller's whole turn.
//!
//! Providers cut the caller's speech where they like: into segments, into turns of their own, into words that are revoked.
//! The call is always told the whole turn so far, under one span, so that each transcript replaces the one before it.

use std::sync::atomic::{AtomicU64, Ordering};

use offhook_stage_api::{SttEvent, Transcript};

use super::piece::Piece;

/// Most pieces of one turn, and octets of their text (a quarter of an hour of speech); with more the oldest are forgotten.
const MOST_PIECES: usize = 256;
const LONGEST_TURN: usize = 16_000;

static CUT: AtomicU64 = AtomicU64::new(0);

/// Transcripts of this process that were too long to be speech, or of turns that were: how many were cut.
pub fn cut_transcripts() -> u64 {
    CUT.load(Ordering::Relaxed)
}

/// Sound that a provider may not have looked at yet and still have heard all speech before a pause: 60 ms.
const SLACK: u64 = 480;
/// The same, for what was asked for at a pause: 500 ms.
const LOOSE: u64 = 4_000;

/// One turn of the caller.
#[derive(Clone, Debug, Default)]
struct Turn {
    from: Option<u64>,
    /// Where the turn before ended: this one begins no earlier.
    not_before: u64,
    /// Where the speech ended, if the caller is silent.
    silent_from: Option<u64>,
    /// Our own ears have heard speech in it.
    audible: bool,
    pieces: Vec<Piece>,
    partial: Option<Piece>,
    told: String,
}

impl Turn {
    fn put(&mut self, mut piece: Piece, is_final: bool) {
        if piece.cut_short() {
            CUT.fetch_add(1, Ordering::Relaxed);
        }
        if is_final {
            self.partial = None;
            if !piece.text.is_empty() {
                self.pieces.retain(|old| old.id != piece.id);
                self.pieces.push(piece);
                while self.pieces.len() > MOST_PIECES || self.octets() > LONGEST_TURN {
                    CUT.fetch_add(1, Ordering::Relaxed);
                    self.pieces.remove(0);
                }
            }
        } else if self.pieces.iter().all(|old| old.id != piece.id) {
            self.partial = Some(piece).filter(|piece| !piece.text.is_empty());
        }
    }

    fn octets(&self) -> usize {
        self.pieces.iter().map(|piece| piece.text.len()).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().chain(&self.partial)
    }

    fn whole(&mut self, covers: u64) -> Transcript {
        let texts: Vec<&str> = self.all().map(|piece| piece.text.trim()).collect();
        let text = texts.join(" ");
        let confidence = self.all().filter_map(|piece| piece.confidence).min_by(f32::total_cmp);
        let begin = self.all().map(|piece| piece.from).min().unwrap_or(covers);
        // Words may be heard before our own detector notices speech. A span without them would not meet the span under which they were
        // reported first, and the call would take them for words of their own. Where words have no times of their own, the onset counts.
        let timed = self.all().filter(|piece| !piece.words.is_empty()).map(|piece| piece.from).min();
        let timed = timed.map(|begin| begin.max(self.not_before));
        let from = self
            .from
            .map_or(begin.max(self.not_before), |known| timed.map_or(known, |begin| known.min(begin)));
        self.from = Some(from);
        let words_end = self.all().map(|piece| piece.until).max().unwrap_or(covers);
        // What our own ears say of the end counts for more: the call decides by it.
        let until = self.silent_from.unwrap_or(words_end).max(from + 1);
        self.told.clone_from(&text);
        Transcript { from, until, text, confidence, complete: None }
    }
}

/// A call's transcripts.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The turn that is over, while something of it may still come.
    before: Turn,
    turn: Turn,
    /// The end of the speech whose final transcript is wanted.
    wanted: Option<u64>,
    events: Vec<SttEvent>,
}

impl Turns {
    pub(crate) fn speech_started(&mut self, at: u64) {
        if !self.turn.audible {
            // Words that came without a sound of ours were no part of what begins now.
            self.turn.pieces.retain(|piece| piece.until > at);
            if self.turn.partial.as_ref().is_some_and(|piece| piece.until <= at) {
                self.turn.partial = None;
            }
            self.turn.audible = true;
            self.turn.from = Some(at);
        }
        self.turn.silent_from = None;
        self.wanted = None;
    }

    pub(crate) fn speech_paused(&mut self, from: u64, until: u64) {
        self.turn.audible = true;
        self.turn.from = Some(self.turn.from.map_or(from, |old| old.min(from)));
        self.turn.silent_from = Some(until);
        self.wanted = Some(until);
    }

    pub(crate) fn turn_ended(&mut self, until: u64) {
        self.wanted = None;
        let mut turn = std::mem::take(&mut self.turn);
        turn.silent_from = Some(until);
        let (old, new) = turn.pieces.into_iter().partition(|piece| piece.middle() < until);
        turn.pieces = old;
        self.turn.pieces = new;
        self.turn.not_before = until;
        self.turn.partial = turn.partial.take_if(|piece| piece.middle() >= until);
        self.before = turn;
    }

    /// A final transcript is wanted and hasn't come yet.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// Something of this turn was understood.
    pub(crate) fn has_words(&self) -> bool {
        self.turn.all().any(|piece| !piece.text.trim().is_empty())
    }

    /// Words that may change.
    pub(crate) fn partial(&mut self, piece: Piece) {
        let (_, piece) = self.divide(piece);
        let Some(piece) = piece else { return };
        let covers = piece.covers;
        self.turn.put(piece, false);
        self.tell_partial(covers);
    }

    /// Words that won't change; `answers`: it is what was asked for at the pause, as far as the provider tells.
    pub(crate) fn settled(&mut self, piece: Piece, answers: bool) {
        let covers = piece.covers;
        let revokes = piece.text.is_empty() && self.turn.partial.is_some();
        let (early, piece) = self.divide(piece);
        // What is still older than the turn before is too late for anyone.
        let oldest = self.before.from.unwrap_or(0).saturating_sub(LOOSE);
        if let Some(early) = early.filter(|early| !early.text.is_empty() && early.middle() >= oldest) {
            let told = self.before.told.clone();
            self.before.put(early, true);
            let whole = self.before.whole(covers);
            if whole.text != told {
                self.events.push(SttEvent::Final(whole));
            }
        }
        let words = piece.as_ref().is_some_and(|piece| !piece.text.is_empty());
        if let Some(piece) = piece {
            self.turn.put(piece, true);
        }
        let slack = if answers { LOOSE } else { SLACK };
        match self.wanted {
            Some(until) if covers + slack >= until => self.settle(),
            Some(_) if words || revokes => self.tell_partial(covers),
            None if words || revokes => self.tell_final(covers),
            _ => {}
        }
    }

    /// Takes what there is for final if the provider has looked at all before `place`.
    pub(crate) fn settle_before(&mut self, place: u64) {
        if self.wanted.is_some_and(|until| until <= place) {
            self.settle();
        }
    }

    /// Takes what there is for final: what was asked for has come, or won't.
    pub(crate) fn settle(&mut self) {
        if let Some(until) = self.wanted.take() {
            self.tell_final(until);
        }
    }

    /// No answer has come: takes what there is. Commas at the end of words that may change were never meant to last, and would
    /// tell the call that the caller is not done.
    pub(crate) fn settle_unanswered(&mut self) {
        if let Some(partial) = self.turn.partial.as_mut().filter(|_| self.wanted.is_some()) {
            let open = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '-' | '–' | '—' | '…');
            partial.text.truncate(partial.text.trim_end_matches(open).len());
        }
        self.settle();
    }

    /// Anything else that the provider says, in its place among the transcripts.
    pub(crate) fn tell(&mut self, event: SttEvent) {
        self.events.push(event);
    }

    pub(crate) fn take_events(&mut self) -> Vec<SttEvent> {
        std::mem::take(&mut self.events)
    }

    fn tell_final(&mut self, covers: u64) {
        let whole = self.turn.whole(covers);
        self.events.push(SttEvent::Final(whole));
    }

    fn tell_partial(&mut self, covers: u64) {
        let told = self.turn.told.clone();
        let whole = self.turn.whole(covers);
        if whole.text != told {
            self.events.push(SttEvent::Partial(whole));
        }
    }

    /// What of a piece belongs to the turn before, and what to this one.
    fn divide(&self, piece: Piece) -> (Option<Piece>, Option<Piece>) {
        match self.before.silent_from {
            // A little of the next turn is rather heard twice than lost.
            Some(end) => piece.split(end),
            None => (None, Some(piece)),
        }
    }
}

#[cfg(test)]
mod tests;
