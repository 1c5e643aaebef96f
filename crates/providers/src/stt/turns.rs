//! From a provider's pieces of text to transcripts of the caller's whole turn.
//!
//! Providers cut the caller's speech where they like: into segments, into turns of their own, into words that are revoked.
//! The call is always told the whole turn so far, under one span, so that each transcript replaces the one before it.

use offhook_call::stage::{SttEvent, Transcript};

/// Most pieces of one turn; with more the oldest are forgotten.
const MOST_PIECES: usize = 256;

/// Sound that a provider may not have looked at yet and still have heard all speech before a pause: 60 ms.
const SLACK: u64 = 480;
/// The same, for what was asked for at a pause: 500 ms.
const LOOSE: u64 = 4_000;

/// A word and where it lies on the caller's time line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) text: String,
}

/// A piece of text as a provider gave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Piece {
    /// Tells pieces apart: a later one with the same number replaces the earlier.
    pub(crate) id: u64,
    /// Where its words begin; where its sound begins, if it has none.
    pub(crate) from: u64,
    /// Where its words end.
    pub(crate) until: u64,
    /// The provider has looked at all sound before this place.
    pub(crate) covers: u64,
    pub(crate) text: String,
    /// The text's words, if their times are known.
    pub(crate) words: Vec<Word>,
    pub(crate) confidence: Option<f32>,
}

impl Piece {
    fn middle(&self) -> u64 {
        self.from + self.until.saturating_sub(self.from) / 2
    }

    /// Divides the words into those before a place and those after it.
    fn split(self, place: u64) -> (Option<Self>, Option<Self>) {
        if self.until <= place || self.from >= place || self.words.is_empty() {
            return if self.middle() < place { (Some(self), None) } else { (None, Some(self)) };
        }
        let (mut early, mut late) = (self.clone(), self);
        early.words.retain(|word| word.from + word.until.saturating_sub(word.from) / 2 < place);
        let count = early.words.len();
        late.words.drain(..count.min(late.words.len()));
        (early.with_words_only(), late.with_words_only())
    }

    fn with_words_only(mut self) -> Option<Self> {
        self.from = self.words.first()?.from;
        self.until = self.words.last()?.until;
        self.text = self.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        Some(self)
    }
}

/// One turn of the caller.
#[derive(Clone, Debug, Default)]
struct Turn {
    from: Option<u64>,
    /// Where the speech ended, if the caller is silent.
    silent_from: Option<u64>,
    /// Our own ears have heard speech in it.
    audible: bool,
    pieces: Vec<Piece>,
    partial: Option<Piece>,
    told: String,
}

impl Turn {
    fn put(&mut self, piece: Piece, is_final: bool) {
        if is_final {
            self.partial = None;
            if !piece.text.is_empty() {
                self.pieces.retain(|old| old.id != piece.id);
                if self.pieces.len() >= MOST_PIECES {
                    self.pieces.remove(0);
                }
                self.pieces.push(piece);
            }
        } else if self.pieces.iter().all(|old| old.id != piece.id) {
            self.partial = Some(piece).filter(|piece| !piece.text.is_empty());
        }
    }

    fn all(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().chain(&self.partial)
    }

    fn whole(&mut self, covers: u64) -> Transcript {
        let texts: Vec<&str> = self.all().map(|piece| piece.text.trim()).collect();
        let text = texts.join(" ");
        let confidence = self.all().filter_map(|piece| piece.confidence).min_by(f32::total_cmp);
        let from = self.all().map(|piece| piece.from).min().unwrap_or(covers);
        let from = *self.from.get_or_insert(from);
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(id: u64, from: u64, until: u64, text: &str) -> Piece {
        Piece { id, from, until, covers: until, text: text.into(), ..Piece::default() }
    }

    #[test]
    fn an_open_end_that_nobody_confirms_is_none() {
        let mut turns = Turns::default();
        turns.speech_started(0);
        turns.partial(piece(1, 0, 4_000, "Yes,"));
        turns.speech_paused(0, 6_000);
        turns.settle_unanswered();
        assert_eq!(told(&mut turns), ["partial 0..4000 Yes,", "final 0..6000 Yes"]);
    }

    fn timed(id: u64, words: &[(u64, u64, &str)]) -> Piece {
        let words: Vec<_> =
            words.iter().map(|&(from, until, text)| Word { from, until, text: text.into() }).collect();
        let whole = Piece { id, words, ..Piece::default() }.with_words_only().unwrap();
        Piece { covers: whole.until, ..whole }
    }

    fn told(turns: &mut Turns) -> Vec<String> {
        let line =
            |kind: &str, told: Transcript| format!("{kind} {}..{} {}", told.from, told.until, told.text);
        turns
            .take_events()
            .into_iter()
            .map(|event| match event {
                SttEvent::Partial(told) => line("partial", told),
                SttEvent::Final(told) => line("final", told),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn segments_make_a_turn() {
        let mut turns = Turns::default();
        turns.speech_started(1_000);
        turns.partial(piece(1, 1_100, 4_000, "a table"));
        turns.settled(piece(1, 1_100, 5_000, "A table"), false);
        turns.partial(piece(2, 5_000, 8_000, "for"));
        turns.speech_paused(1_000, 9_000);
        turns.settled(piece(2, 5_000, 8_900, "for two."), true);
        assert_eq!(
            told(&mut turns),
            [
                "partial 1000..4000 a table",
                "final 1000..5000 A table",
                "partial 1000..8000 A table for",
                "final 1000..9000 A table for two.",
            ]
        );
    }

    #[test]
    fn a_pause_is_answered_by_what_covers_it_or_in_the_end_by_what_there_is() {
        let mut turns = Turns::default();
        turns.speech_started(0);
        turns.speech_paused(0, 8_000);
        turns.settled(piece(1, 0, 4_000, "hello"), false);
        assert!(turns.is_wanted());
        turns.partial(piece(2, 4_000, 6_000, "the"));
        turns.settle();
        assert!(!turns.is_wanted());
        assert_eq!(
            told(&mut turns),
            ["partial 0..8000 hello", "partial 0..8000 hello the", "final 0..8000 hello the"]
        );
        // It comes after all, and differs.
        turns.settled(piece(2, 4_000, 7_000, "there"), false);
        assert_eq!(told(&mut turns), ["final 0..8000 hello there"]);
    }

    #[test]
    fn a_cough_is_answered_too() {
        let mut turns = Turns::default();
        turns.speech_started(100);
        turns.speech_paused(100, 2_000);
        turns.settled(piece(1, 0, 2_400, ""), true);
        assert_eq!(told(&mut turns), ["final 100..2000 "]);
        // Silence alone is nothing to tell.
        turns.settled(piece(2, 2_400, 9_000, ""), false);
        assert!(told(&mut turns).is_empty());
    }

    #[test]
    fn words_after_the_turn_correct_it_and_are_not_said_again() {
        let mut turns = Turns::default();
        turns.speech_started(0);
        turns.partial(timed(1, &[(0, 3_000, "two"), (3_000, 6_000, "piece")]));
        turns.speech_paused(0, 6_500);
        turns.settle();
        turns.turn_ended(6_500);
        turns.speech_started(20_000);
        told(&mut turns);
        let words = [(0, 3_000, "two"), (3_000, 6_800, "pizzas"), (20_100, 22_000, "thanks")];
        turns.partial(timed(1, &words));
        assert_eq!(told(&mut turns), ["partial 20000..22000 thanks"]);
        turns.settled(timed(1, &words), false);
        assert_eq!(told(&mut turns), ["final 0..6500 two pizzas", "final 20000..22000 thanks"]);
    }

    #[test]
    fn what_comes_two_turns_late_is_no_part_of_the_turn_before() {
        let mut turns = Turns::default();
        for (from, until) in [(0, 8_000), (20_000, 28_000)] {
            turns.speech_started(from);
            turns.speech_paused(from, until);
            turns.settle();
            turns.turn_ended(until);
        }
        told(&mut turns);
        turns.settled(piece(1, 100, 7_900, "hello"), true);
        assert!(told(&mut turns).is_empty());
        turns.settled(piece(2, 20_100, 27_900, "goodbye"), true);
        assert_eq!(told(&mut turns), ["final 20000..28000 goodbye"]);
    }

    #[test]
    fn soft_words_that_came_to_nothing_are_no_part_of_the_next_turn() {
        let mut turns = Turns::default();
        turns.settled(piece(1, 1_000, 4_000, "how can i help"), false);
        turns.speech_started(9_000);
        turns.partial(piece(2, 9_000, 12_000, "hello"));
        assert_eq!(told(&mut turns), ["final 1000..4000 how can i help", "partial 9000..12000 hello"]);
    }

    #[test]
    fn a_formatted_second_edition_replaces_the_first() {
        let mut turns = Turns::default();
        turns.speech_started(0);
        turns.speech_paused(0, 4_000);
        turns.settled(piece(7, 0, 3_900, "yes please"), true);
        turns.settled(piece(7, 0, 3_900, "Yes, please."), false);
        assert_eq!(told(&mut turns), ["final 0..4000 yes please", "final 0..4000 Yes, please."]);
    }

    #[test]
    fn words_that_are_revoked_are_gone() {
        let mut turns = Turns::default();
        turns.speech_started(0);
        turns.partial(piece(1, 0, 2_000, "uh"));
        turns.settled(piece(1, 0, 2_000, ""), false);
        let told = told(&mut turns);
        assert_eq!(told.first().map(String::as_str), Some("partial 0..2000 uh"));
        assert!(told.last().is_some_and(|last| last.ends_with(' ')), "{told:?}");
    }

    proptest! {
        #[test]
        fn whatever_comes_each_pause_gets_its_final_and_spans_are_spans(
            steps in proptest::collection::vec((0_u8..6, 0_u64..4_000, 0_u64..9_000, 0_u64..4), 1..120),
        ) {
            let (mut turns, mut now, mut from, mut paused) = (Turns::default(), 0, 0, None);
            for (what, step, back, id) in steps {
                now += step;
                let begins = now.saturating_sub(back);
                let text = ["", "yes", "two pizzas"][(back % 3) as usize];
                match what {
                    0 => {
                        turns.speech_started(now);
                        if paused.is_none() { from = now; }
                        paused = None;
                    }
                    1 => {
                        from = from.min(now);
                        turns.speech_paused(from, now);
                        paused = Some(now);
                    }
                    2 => turns.partial(piece(id, begins, now, text)),
                    3 => turns.settled(piece(id, begins, now, text), back % 2 == 0),
                    4 => {
                        let wanted = turns.is_wanted();
                        turns.settle();
                        let events = turns.take_events();
                        let is_final = |event: &SttEvent| matches!(event, SttEvent::Final(told) if Some(told.until.max(1)) >= paused);
                        prop_assert!(!wanted || events.last().is_some_and(is_final), "{:?}", events);
                    }
                    _ => {
                        turns.turn_ended(now);
                        from = now;
                        paused = None;
                    }
                }
                for event in turns.take_events() {
                    if let SttEvent::Partial(told) | SttEvent::Final(told) = event {
                        prop_assert!(told.from < told.until, "{:?}", told);
                        prop_assert!(!told.text.contains("  ") && told.text.trim() == told.text, "{:?}", told);
                    }
                }
            }
        }
    }
}
