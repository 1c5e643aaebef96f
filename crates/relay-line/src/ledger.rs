//! What was sent to be spoken, and what of it was heard.
//!
//! Twilio speaks in its own time, piece by piece: a piece ends at a full stop, a colon and the like. What is certain: each piece reported
//! as played (`tokensPlayed`), and at an interruption the part of the one piece that was being spoken (`utteranceUntilInterrupt`). What
//! came before that piece was heard, what stands behind it is gone. Between the reports, time is estimated from the length of the text.

use std::collections::VecDeque;
use std::time::Duration;

use offhook_conversation::line::Heard;
use offhook_speakable::{Piece, Speakable};
use offhook_stage_api::{CallTime, UtteranceId};

/// From text sent to its first sound; 320 to 340 ms were seen.
const BEGINS_AFTER: Duration = Duration::from_millis(340);
/// A voice speaks some 15 characters a second.
const CHARACTER: Duration = Duration::from_millis(66);
/// Tone and pause of a key.
const KEY: Duration = Duration::from_millis(250);
/// How much later than estimated something is taken for over.
const SLACK: Duration = Duration::from_millis(600);
/// So much later it is over, whatever was reported.
const LATEST: Duration = Duration::from_secs(8);
/// So many words of what was over by the clock alone are kept.
const BY_CLOCK: usize = 200;

/// A part of an utterance that was sent without anything else between.
#[derive(Clone, Debug)]
struct Sent {
    id: UtteranceId,
    /// What is said, and the written text that it stands for.
    text: Piece,
    /// It is of keys; they are no words.
    keys: bool,
    /// Nothing more will be sent of it.
    closed: bool,
    began: CallTime,
    /// When it will have been spoken, as estimated.
    until: CallTime,
    /// Words reported as played.
    played: usize,
}

impl Sent {
    fn spoken(&self) -> &str {
        &self.text.text.spoken
    }

    fn words(&self) -> usize {
        if self.keys { 1 } else { words(self.spoken()).count() }
    }

    /// Words that were spoken by now, as estimated.
    fn by_time(&self, now: CallTime) -> usize {
        let length = self.until.since(self.began.max(self.until.back(spoken(self.spoken()))));
        let left = self.until.since(now);
        let share = 1.0 - (left.as_secs_f64() / length.as_secs_f64().max(0.001)).clamp(0.0, 1.0);
        ((self.words() as f64 * share) as usize).max(self.played)
    }

    fn heard(&self, count: usize) -> Heard {
        if self.keys {
            let text = self.spoken().to_owned();
            return Heard { text, lasted: Duration::ZERO, ..Heard::default() };
        }
        let all = self.spoken();
        let at = match words(all).nth(count) {
            Some(next) => next.as_ptr() as usize - all.as_ptr() as usize,
            None => all.len(),
        };
        let heard = all.get(..at).unwrap_or(all);
        // What isn't said goes with what is before it.
        let written = match heard.trim_end().len() {
            0 => 0,
            _ if at == all.len() => self.text.written.len(),
            said => self.text.text.written_until(said),
        };
        let (text, rest) = self.text.written.split_at_checked(written).unwrap_or((&self.text.written, ""));
        Heard {
            text: text.trim().to_owned(),
            rest: rest.trim().to_owned(),
            lasted: spoken(heard),
            timed: false,
        }
    }
}

/// Everything that was sent and isn't over, in the order in which it is spoken.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: VecDeque<Sent>,
    /// When everything sent will have been spoken, as estimated.
    voice_until: CallTime,
    /// The agent's voice sounds; `None` where that isn't reported.
    sounds: Option<bool>,
    /// What was reported as played last; `None` where that isn't reported.
    last_played: Option<Vec<String>>,
    /// The words of the latest parts that were over by the clock alone, each with whether it begins a piece.
    by_clock: Vec<(String, bool)>,
}

impl Ledger {
    /// More text of an utterance was sent.
    pub(crate) fn sent(&mut self, id: UtteranceId, token: &Piece, now: CallTime) {
        let length = CHARACTER * u32::try_from(token.text.spoken.chars().count()).unwrap_or(u32::MAX);
        // The end of an utterance that comes without text makes no sound.
        if !length.is_zero() {
            self.voice_until = self.voice_until.max(now + BEGINS_AFTER) + length;
        }
        let until = self.voice_until;
        match self.sent.back_mut().filter(|last| last.id == id && !last.closed) {
            Some(last) => {
                last.text.append(token);
                last.until = until;
            }
            None => self.sent.push_back(Sent {
                id,
                text: token.clone(),
                keys: false,
                closed: false,
                began: now,
                until,
                played: 0,
            }),
        }
    }

    /// A recording was sent to be played. How long it is, only Twilio knows.
    pub(crate) fn played(&mut self, id: UtteranceId, now: CallTime) {
        self.voice_until = self.voice_until.max(now + BEGINS_AFTER);
        let (text, until) = (Piece::default(), self.voice_until);
        self.sent.push_back(Sent { id, text, keys: true, closed: true, began: now, until, played: 0 });
    }

    /// Keys were sent.
    pub(crate) fn pressed(&mut self, id: UtteranceId, keys: usize, now: CallTime) {
        let length = KEY * u32::try_from(keys).unwrap_or(u32::MAX);
        self.voice_until = self.voice_until.max(now + BEGINS_AFTER) + length;
        let spoken = format!("(pressed {keys} keys)");
        let text = Piece { text: Speakable { spoken, spans: Vec::new() }, written: String::new() };
        let until = self.voice_until;
        self.sent.push_back(Sent { id, text, keys: true, closed: true, began: now, until, played: 0 });
    }

    /// Nothing more is sent of what was sent last of this utterance without anything else coming between.
    pub(crate) fn close(&mut self, id: UtteranceId) {
        if let Some(sent) = self.sent.iter_mut().rfind(|sent| sent.id == id) {
            sent.closed = true;
        }
    }

    pub(crate) const fn voice_until(&self) -> CallTime {
        self.voice_until
    }

    /// Something of this utterance isn't over.
    pub(crate) fn has(&self, id: UtteranceId) -> bool {
        self.sent.iter().any(|sent| sent.id == id)
    }

    /// The utterance that is being spoken, as far as is known.
    pub(crate) fn current(&self, now: CallTime) -> Option<UtteranceId> {
        let sounding = self.sounds == Some(true) && now < self.latest();
        let sounding = sounding || self.sent.iter().any(|sent| sent.until > now);
        let first = self.sent.iter().find(|sent| sent.until > now).or_else(|| self.sent.back())?;
        sounding.then_some(first.id)
    }

    /// Words were reported as played.
    pub(crate) fn on_played(&mut self, text: &str) {
        let is_keys = !text.trim().is_empty()
            && text.trim().chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '#' | 'w' | 'W'));
        if is_keys && let Some(keys) = self.sent.iter_mut().find(|sent| sent.keys && sent.played == 0) {
            keys.played = 1;
            return;
        }
        self.last_played = Some(words(text).map(plain).collect());
        let mut count = words(text).count();
        for sent in self.sent.iter_mut().filter(|sent| !sent.keys) {
            let left = sent.words().saturating_sub(sent.played);
            let more = left.min(count);
            sent.played += more;
            count -= more;
            if count == 0 {
                break;
            }
        }
    }

    pub(crate) fn on_sounds(&mut self, sounds: bool, now: CallTime) {
        self.sounds = Some(sounds);
        if !sounds {
            // Silence after more than half of the estimated time: the voice was quicker than estimated.
            for sent in self.sent.iter_mut().filter(|sent| sent.closed) {
                if now.since(sent.began) * 2 >= sent.until.since(sent.began) {
                    sent.until = sent.until.min(now.back(SLACK));
                }
            }
            if self.sent.iter().all(|sent| sent.closed && sent.until <= now) {
                self.voice_until = self.voice_until.min(now);
            }
        }
    }

    /// When the first part may be over; `None` if that isn't up to the clock.
    pub(crate) fn deadline(&self) -> Option<CallTime> {
        let first = self.sent.front().filter(|first| first.closed)?;
        let estimated = first.until + SLACK;
        let waits_for_silence = self.sounds == Some(true) && self.sent.len() == 1;
        Some(if waits_for_silence { self.latest() } else { estimated })
    }

    fn latest(&self) -> CallTime {
        self.sent.front().map_or(self.voice_until, |first| first.until + SLACK) + LATEST
    }

    /// Takes the first part if it was spoken to its end.
    pub(crate) fn pop_over(&mut self, now: CallTime) -> Option<(UtteranceId, Heard)> {
        let first = self.sent.front().filter(|first| first.closed)?;
        let played = first.played > 0 && first.played >= first.words();
        let silent = self.sounds != Some(true) || self.sent.len() > 1;
        let estimated = now >= first.until + SLACK && silent;
        if !(played || estimated || now >= self.latest()) {
            return None;
        }
        let sent = self.sent.pop_front()?;
        if !played {
            self.by_clock.extend(pieces(&sent));
            self.by_clock.drain(..self.by_clock.len().saturating_sub(BY_CLOCK));
        }
        // Where it isn't reported when the voice stops, a word that is reported may yet sound.
        if self.sent.is_empty() && played && self.sounds.is_some() {
            self.voice_until = self.voice_until.min(now);
        }
        Some((sent.id, sent.heard(sent.words())))
    }

    /// What of an utterance was heard by now.
    pub(crate) fn heard(&self, id: UtteranceId, now: CallTime) -> Heard {
        let parts = self.sent.iter().filter(|sent| sent.id == id);
        merge(parts.map(|sent| sent.heard(sent.by_time(now))))
    }

    /// The connection broke: what was heard is estimated.
    pub(crate) fn cut_by_time(&mut self, now: CallTime) -> Vec<(UtteranceId, Heard)> {
        self.voice_until = now;
        self.sounds = None;
        self.last_played = None;
        self.sent.drain(..).map(|sent| (sent.id, sent.heard(sent.by_time(now)))).collect()
    }

    /// The caller interrupted: of the piece that was being spoken `heard` was heard, everything before it, and nothing behind.
    pub(crate) fn cut(&mut self, heard: &str, now: CallTime) -> Vec<(UtteranceId, Heard)> {
        let piece: Vec<String> = words(heard).map(plain).collect();
        let (count, verbatim) = self.count_heard(&piece, now);
        self.voice_until = now;
        self.by_clock.clear();
        self.last_played = self.last_played.take().map(|_| Vec::new());
        let mut left = count;
        let mut cut = Vec::new();
        for sent in self.sent.drain(..) {
            let count = left.min(sent.words());
            left -= count;
            let mut part = sent.heard(if sent.keys { 1 } else { count });
            if sent.keys && count == 0 {
                part = Heard { rest: part.text, text: String::new(), ..part };
            }
            // Where it is spoken otherwise than written, the report's words are taken.
            if verbatim && left == 0 && count > 0 && count < sent.words() {
                heard.trim().clone_into(&mut part.text);
            }
            cut.push((sent.id, part));
        }
        cut
    }

    /// How many words of all that was sent were heard; and whether the reported piece was not found among them.
    fn count_heard(&self, piece: &[String], now: CallTime) -> (usize, bool) {
        let played: usize = self.sent.iter().map(|sent| sent.played).sum();
        let all: Vec<(String, bool)> = self.sent.iter().flat_map(pieces).collect();
        if let Some(last) = &self.last_played {
            // The cut piece is reported as played, too: it counts once. If it wasn't yet, it goes on behind what was.
            let counted = piece.is_empty() || last == piece;
            let more = if counted || !stands_at(&all, played, piece) { 0 } else { piece.len() };
            return (played + more, false);
        }
        let estimate: usize = self.sent.iter().map(|sent| sent.by_time(now)).sum();
        if piece.is_empty() {
            // Nothing of the piece: what lies before it is known by time alone, up to the piece's begin.
            let begin = (0..=estimate.min(all.len())).rev().find(|at| all.get(*at).is_none_or(|word| word.1));
            return (begin.unwrap_or(0), false);
        }
        let found = (0..all.len()).filter(|at| stands_at(&all, *at, piece));
        let distance = |at: &usize| {
            let border = all.get(*at).is_some_and(|word| word.1);
            (!border, (at + piece.len()).abs_diff(estimate))
        };
        match found.min_by_key(distance) {
            Some(at) => (at + piece.len(), false),
            // The voice is slower than estimated: it was still at what counts as over.
            None if (0..self.by_clock.len()).any(|at| stands_at(&self.by_clock, at, piece)) => (0, false),
            // Words that were never sent tell nothing: time does.
            None if !resembles(&all, piece) => (estimate.min(all.len()), false),
            // Spoken otherwise than written: the piece that sounds by our estimate.
            None => {
                let before = (0..estimate.min(all.len())).rev();
                let begin =
                    before.into_iter().find(|at| all.get(*at).is_some_and(|word| word.1)).unwrap_or(0);
                ((begin + piece.len()).min(all.len().saturating_sub(1)).max(1), true)
            }
        }
    }
}

/// The words of a part, each with whether it begins a piece.
fn pieces(sent: &Sent) -> Vec<(String, bool)> {
    let mut begins = true;
    let text = if sent.keys { "keys" } else { sent.spoken() };
    let mut all = Vec::new();
    for word in words(text) {
        all.push((plain(word), begins));
        begins = word.trim_end_matches(['"', '\'', ')', '”']).ends_with(['.', '!', '?', ':', ';', '…', '\n']);
    }
    all
}

/// Whether the piece's words stand at this place; its last may not be whole.
fn stands_at(all: &[(String, bool)], at: usize, piece: &[String]) -> bool {
    piece.iter().enumerate().all(|(nth, heard)| {
        let last = nth + 1 == piece.len();
        all.get(at + nth).is_some_and(|(word, _)| word == heard || (last && word.starts_with(heard.as_str())))
    })
}

/// Whether the piece may be what was sent, spoken otherwise: one of three words at least is there.
fn resembles(all: &[(String, bool)], piece: &[String]) -> bool {
    let there = piece.iter().filter(|heard| all.iter().any(|(word, _)| word == *heard)).count();
    there > 0 && there * 3 >= piece.len()
}

/// Several parts of one utterance as one.
pub(crate) fn merge(parts: impl Iterator<Item = Heard>) -> Heard {
    let mut all = Heard::default();
    for part in parts {
        for (to, from) in [(&mut all.text, &part.text), (&mut all.rest, &part.rest)] {
            if !to.is_empty() && !from.is_empty() {
                to.push(' ');
            }
            to.push_str(from);
        }
        all.lasted += part.lasted;
    }
    all
}

/// How long it takes to say.
fn spoken(text: &str) -> Duration {
    CHARACTER * u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// Words as they are written, punctuation and all.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric))
}

/// A word without case and punctuation.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests;
