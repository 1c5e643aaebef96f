//! What all recognisers share: an ear, and the script.

use std::sync::Arc;
use std::time::Duration;

use crate::hearing::{Encoding, Hearing};
use crate::quirk::Quirk;
use crate::state::State;
use crate::syllables;

/// A word of an utterance, with its place in the connection's sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) start: Duration,
    pub(super) end: Duration,
}

impl Word {
    /// Lower case, without punctuation.
    pub(super) fn bare(&self) -> String {
        bare(&self.text)
    }
}

/// Lower case, without punctuation but for apostrophes.
pub(super) fn bare(text: &str) -> String {
    text.chars()
        .filter(|letter| letter.is_alphanumeric() || "' -".contains(*letter))
        .collect::<String>()
        .to_lowercase()
}

/// Words with spaces between.
pub(super) fn join(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Seconds, to the millisecond.
pub(super) fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1_000.0
}

/// Silence after which the text may be over, by the count of its syllables; when the client asks for a final; and after
/// which the count is trusted less.
const PAUSE: Duration = Duration::from_millis(200);
const ASKED: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_millis(270);
/// No syllable of several is shorter on average, nor longer.
const SYLLABLE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(220));
/// Before its first vowel a word may have so much sound.
const FIRST: Duration = Duration::from_millis(120);
/// After so much silence nobody goes on with a text that was begun.
const FORGOTTEN: Duration = Duration::from_secs(3);

/// An ear that knows the script, but not the future: a word is there when its sound is.
#[derive(Debug)]
pub(super) struct Recogniser {
    pub(super) state: Arc<State>,
    pub(super) hearing: Hearing,
    /// Which text of the script is being spoken, and how many of its words were in finals.
    nth: usize,
    finished: usize,
    /// Where the text's first word began, and its last talkspurt ended.
    began: Option<Duration>,
    ended: Duration,
    /// Words of the open talkspurt that were spoken by now.
    words: Vec<Word>,
}

impl Recogniser {
    pub(super) fn new(state: &Arc<State>, encoding: Encoding, rate: u32) -> Self {
        let hearing = Hearing::new(encoding, rate);
        Self {
            state: Arc::clone(state),
            hearing,
            nth: 0,
            finished: 0,
            began: None,
            ended: Duration::ZERO,
            words: Vec::new(),
        }
    }

    /// The words of the open talkspurt that are recognised by now: spoken a `word_delay` ago.
    pub(super) fn so_far(&mut self) -> Vec<Word> {
        self.listen(false);
        let known = self.hearing.position().saturating_sub(self.state.config.latency.word_delay);
        self.words.iter().take_while(|word| word.end <= known).cloned().collect()
    }

    /// The words of the open talkspurt whose sound has arrived.
    pub(super) fn spoken(&mut self) -> Vec<Word> {
        self.listen(false);
        self.words.clone()
    }

    /// Ends the open talkspurt and gives its words. `asked`: by the client, who says that the caller has spoken.
    pub(super) fn finish(&mut self, asked: bool) -> Vec<Word> {
        self.listen(asked);
        let mut words = std::mem::take(&mut self.words);
        let Some((_, end)) = self.hearing.open() else { return words };
        self.ended = end;
        self.hearing.close();
        if self.state.has(Quirk::FullStops) {
            full_stop(&mut words, self.finished > 0);
        }
        self.finished += words.len();
        if self.finished >= self.text().0.split_whitespace().count() {
            (self.nth, self.finished) = (self.nth + 1, 0);
        }
        if self.finished == 0 {
            self.began = None;
        }
        words
    }

    /// When a final transcript of these words goes out that is decided upon at `now`.
    pub(super) fn final_at(&self, now: Duration, words: &[Word]) -> Duration {
        let latency = self.state.config.latency;
        let since =
            words.last().map_or(Duration::MAX, |word| self.hearing.position().saturating_sub(word.end));
        now + self.state.draw(latency.stt.first).max(latency.word_delay.saturating_sub(since))
    }

    fn text(&self) -> (&str, &[u64]) {
        self.state.config.script.utterance(self.nth)
    }

    /// Notes the words that were spoken since.
    fn listen(&mut self, asked: bool) {
        let Some((start, end)) = self.hearing.open() else { return };
        if self.finished > 0 && self.words.is_empty() && start > self.ended + FORGOTTEN {
            (self.nth, self.finished, self.began) = (self.nth + 1, 0, None);
        }
        let began = *self.began.get_or_insert(start);
        let state = Arc::clone(&self.state);
        let (text, ends) = state.config.script.utterance(self.nth);
        let rest: Vec<&str> = text.split_whitespace().skip(self.finished).collect();
        let ends = match ends {
            [] => self.estimate(&rest, start, end, asked),
            known => {
                let last = known.last().copied().unwrap_or(0);
                let known = known.iter().copied().chain(std::iter::repeat(last)).skip(self.finished);
                let known = known.take(rest.len()).map(|ms| began + Duration::from_millis(ms));
                known.take_while(|end| *end <= self.hearing.position()).collect()
            }
        };
        for (text, end) in rest.iter().zip(ends).skip(self.words.len()) {
            let start = self.words.last().map_or(start, |word| word.end);
            self.words.push(Word { text: (*text).to_owned(), start, end: end.max(start) });
        }
    }

    /// Where the words ended that were spoken by now, by the syllables of the sound.
    fn estimate(&self, rest: &[&str], start: Duration, end: Duration, asked: bool) -> Vec<Duration> {
        let counts = rest.iter().scan(0, |sum, word| {
            *sum += syllables::of_word(word);
            Some(*sum)
        });
        let counts: Vec<usize> = counts.collect();
        let total = counts.last().copied().unwrap_or(0);
        let heard = self.hearing.syllables();
        let silence = self.hearing.position().saturating_sub(end);
        let paused = silence >= if asked { ASKED } else { PAUSE };
        let slow =
            usize::try_from(end.saturating_sub(start).as_millis() / SYLLABLE.1.as_millis()).unwrap_or(0);
        // In a pause the text is over if no more is missing than the count may have missed.
        let by_now = heard.len().max(slow);
        let missed = if silence >= LONG { (total * 4 / 10).max(1) } else { total * 3 / 10 };
        if paused && total.saturating_sub(by_now) <= missed {
            let place = |count: &usize| heard.get(count.saturating_sub(1)).copied().unwrap_or(end).min(end);
            let last = counts.len().saturating_sub(1);
            return counts
                .iter()
                .enumerate()
                .map(|(nth, count)| if nth == last { end } else { place(count) })
                .collect();
        }
        let spoken = counts.iter().map_while(|count| {
            let least = start + FIRST + SYLLABLE.0 * u32::try_from(*count).unwrap_or(u32::MAX);
            let place = match heard.get(count - 1) {
                Some(place) => *place,
                // One in six is missed.
                None if silence >= LONG && *count <= (by_now * 12 + 5) / 10 => end,
                None => return None,
            };
            // The last word ends with the speech, not before.
            (*count < total && (paused || least <= end)).then_some(place.max(least).min(end))
        });
        spoken.collect()
    }
}

/// Ends words with a full stop, and begins them with a capital if they go on where others were cut.
fn full_stop(words: &mut [Word], goes_on: bool) {
    if let Some(last) = words.last_mut().filter(|last| !last.text.ends_with(['.', '?', '!'])) {
        last.text = format!("{}.", last.text.trim_end_matches([',', ';', ':', '-', '–', '—']));
    }
    if let Some(first) = words.first_mut().filter(|_| goes_on) {
        let mut letters = first.text.chars();
        first.text = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    }
}
