//! What was sent to be spoken, and what of it was heard.
//!
//! The carrier speaks in its own time. What is sure: the words that it tells as played, and what it says was heard when it tells of an
//! interruption. Between these, time is reckoned from the length of the text.

use std::collections::VecDeque;
use std::time::Duration;

use crate::io::UtteranceKind;
use offhook_stage_api::CallTime;
use offhook_stage_api::id::UtteranceId;

/// From text sent to its first sound; 320 to 340 ms were seen.
const BEGINS_AFTER: Duration = Duration::from_millis(340);
/// A voice speaks some 15 characters a second.
const CHARACTER: Duration = Duration::from_millis(66);
/// Tone and pause of a key.
const KEY: Duration = Duration::from_millis(250);
/// How much later than reckoned an utterance is taken for over.
const SLACK: Duration = Duration::from_millis(600);
/// So much later it is over, whatever the carrier has told.
const LATEST: Duration = Duration::from_secs(8);

/// One utterance on its way to the ear.
#[derive(Clone, Debug)]
pub(super) struct Saying {
    pub(super) id: UtteranceId,
    pub(super) kind: UtteranceKind,
    /// What was sent of it.
    pub(super) text: String,
    pub(super) interruptible: bool,
    /// Nothing more will be sent of it.
    pub(super) closed: bool,
    pub(super) began: CallTime,
    /// When it will have been spoken, as reckoned.
    until: CallTime,
    /// Words told as played.
    played: usize,
}

/// An utterance that is over.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) saying: Saying,
    pub(super) heard: String,
    /// What of its text wasn't heard.
    pub(super) rest: String,
}

impl Said {
    pub(super) fn interrupted(&self) -> bool {
        !self.rest.trim().is_empty()
    }
}

/// All utterances that aren't over, in the order in which they are spoken.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    saying: VecDeque<Saying>,
    /// When everything sent will have been spoken, as reckoned.
    voice_until: CallTime,
    /// When the last key will have been pressed.
    keys_until: CallTime,
    /// The agent's voice sounds; `None` where nobody tells.
    sounds: Option<bool>,
}

impl Ledger {
    pub(super) fn open(&mut self, id: UtteranceId, kind: UtteranceKind, interruptible: bool, now: CallTime) {
        let saying = Saying {
            id,
            kind,
            text: String::new(),
            interruptible,
            closed: false,
            began: now,
            until: now,
            played: 0,
        };
        self.saying.push_back(saying);
    }

    /// More text of the newest utterance was sent.
    pub(super) fn sent(&mut self, token: &str, now: CallTime) {
        let length = CHARACTER * u32::try_from(token.chars().count()).unwrap_or(u32::MAX);
        self.voice_until = self.voice_until.max(now + BEGINS_AFTER) + length;
        if let Some(saying) = self.saying.back_mut() {
            saying.text.push_str(token);
            saying.until = self.voice_until;
        }
    }

    pub(super) fn pressed(&mut self, keys: usize, now: CallTime) {
        let length = KEY * u32::try_from(keys).unwrap_or(u32::MAX);
        self.voice_until = self.voice_until.max(now + BEGINS_AFTER) + length;
        self.keys_until = self.voice_until;
    }

    pub(super) fn close(&mut self, id: UtteranceId) {
        if let Some(saying) = self.saying.iter_mut().find(|saying| saying.id == id) {
            saying.closed = true;
        }
    }

    pub(super) const fn voice_until(&self) -> CallTime {
        self.voice_until
    }

    /// Nothing is being spoken, as far as is known.
    pub(super) fn is_idle(&self, now: CallTime) -> bool {
        let sounding = self.sounds == Some(true) && now < self.latest();
        self.saying.is_empty() && !sounding && now >= self.voice_until.max(self.keys_until)
    }

    /// What is being spoken.
    pub(super) fn current(&self) -> Option<&Saying> {
        self.saying.front()
    }

    pub(super) fn get(&self, id: UtteranceId) -> Option<&Saying> {
        self.saying.iter().find(|saying| saying.id == id)
    }

    /// The carrier tells of words that were spoken.
    pub(super) fn on_played(&mut self, text: &str) {
        let mut count = words(text).count();
        for saying in &mut self.saying {
            let left = words(&saying.text).count().saturating_sub(saying.played);
            let more = left.min(count);
            saying.played += more;
            count -= more;
            if count == 0 {
                break;
            }
        }
    }

    pub(super) fn on_sounds(&mut self, sounds: bool, now: CallTime) {
        self.sounds = Some(sounds);
        if !sounds {
            // Silence after more than half of the reckoned time: the voice was quicker than reckoned.
            for saying in self.saying.iter_mut().filter(|saying| saying.closed) {
                if now.since(saying.began) * 2 >= saying.until.since(saying.began) {
                    saying.until = saying.until.min(now.back(SLACK));
                }
            }
            if self.saying.iter().all(|saying| saying.closed && saying.until <= now) {
                self.voice_until = self.voice_until.min(now);
            }
        }
    }

    /// When the first utterance, or all that sounds, may be over; `None` if that isn't up to the clock.
    pub(super) fn deadline(&self, now: CallTime) -> Option<CallTime> {
        let reckoned = match self.saying.front() {
            Some(first) if !first.closed => return None,
            Some(first) => first.until + SLACK,
            None => self.voice_until.max(self.keys_until),
        };
        [reckoned, self.latest()]
            .into_iter()
            .filter(|at| *at > now && (!self.saying.is_empty() || !self.is_idle(now)))
            .min()
    }

    fn latest(&self) -> CallTime {
        self.saying.front().map_or(self.voice_until, |first| first.until + SLACK) + LATEST
    }

    /// Takes the first utterance if it was spoken to its end.
    pub(super) fn pop_over(&mut self, now: CallTime) -> Option<Said> {
        let first = self.saying.front().filter(|first| first.closed)?;
        let played = first.played > 0 && first.played >= words(&first.text).count();
        let silent = self.sounds != Some(true) || self.saying.len() > 1;
        let reckoned = now >= first.until + SLACK && silent;
        if !(played || reckoned || now >= self.latest()) {
            return None;
        }
        let saying = self.saying.pop_front()?;
        // Where nobody tells when the voice stops, a word that is told may yet sound.
        if self.saying.is_empty() && played && self.sounds.is_some() {
            self.voice_until = self.voice_until.min(now);
        }
        Some(Said { heard: saying.text.clone(), rest: String::new(), saying })
    }

    /// Everything that is in the ledger will be heard, whatever comes: takes it as said.
    pub(super) fn take_as_heard(&mut self) -> Vec<Said> {
        let whole = |saying: Saying| Said { heard: saying.text.clone(), rest: String::new(), saying };
        self.saying.drain(..).map(whole).collect()
    }

    /// The connection broke: what was heard is reckoned.
    pub(super) fn cut_by_time(&mut self, now: CallTime) -> Vec<Said> {
        self.voice_until = now;
        self.sounds = None;
        let cut = |saying: Saying| {
            let length = saying.until.since(saying.began.max(saying.until.back(spoken(&saying.text))));
            let left = saying.until.since(now);
            let share = 1.0 - (left.as_secs_f64() / length.as_secs_f64().max(0.001)).clamp(0.0, 1.0);
            let all = words(&saying.text).count();
            let by_time = (all as f64 * share) as usize;
            split(saying, by_time)
        };
        self.saying.drain(..).map(cut).collect()
    }

    /// The caller interrupted: `heard` was heard of what was being said, nothing behind it.
    pub(super) fn cut(&mut self, heard: &str, now: CallTime) -> Vec<Said> {
        self.voice_until = now;
        let heard_words: Vec<String> = words(heard).map(plain).collect();
        let current = self.find_current(&heard_words, now);
        let matches = current.is_some_and(|index| self.begins_with(index, &heard_words));
        let mut left = heard_words.len();
        let mut cut = Vec::new();
        for (index, saying) in self.saying.drain(..).enumerate() {
            if current.is_some_and(|current| index < current) {
                cut.push(Said { heard: saying.text.clone(), rest: String::new(), saying });
                continue;
            }
            let count = left.min(words(&saying.text).count());
            let mut said = split(saying, count);
            left -= count;
            if Some(index) == current && said.interrupted() {
                // The carrier's word for it, also where it speaks otherwise than we write.
                heard.trim().clone_into(&mut said.heard);
                if !matches {
                    left = 0;
                }
            }
            cut.push(said);
        }
        cut
    }

    /// Which utterance the heard words are of: of those that begin with them the first that isn't over by our reckoning.
    fn find_current(&self, heard: &[String], now: CallTime) -> Option<usize> {
        let sounding = |index: &usize| self.saying.get(*index).is_some_and(|saying| saying.until > now);
        let last = self.saying.len().checked_sub(1)?;
        let matching: Vec<usize> = (0..=last).filter(|index| self.begins_with(*index, heard)).collect();
        let reckoned = (0..=last).find(|index| sounding(index)).unwrap_or(last);
        matching.iter().copied().find(|index| sounding(index)).or(matching.last().copied()).or(Some(reckoned))
    }

    fn begins_with(&self, index: usize, heard: &[String]) -> bool {
        let mut text = self.saying.iter().skip(index).flat_map(|saying| words(&saying.text)).map(plain);
        heard.iter().enumerate().all(|(nth, heard_word)| {
            let last = nth + 1 == heard.len();
            text.next()
                .is_some_and(|word| word == *heard_word || (last && word.starts_with(heard_word.as_str())))
        })
    }
}

/// How long it takes to say.
fn spoken(text: &str) -> Duration {
    CHARACTER * u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// Cuts behind so many words.
fn split(saying: Saying, count: usize) -> Said {
    let at = match words(&saying.text).nth(count) {
        Some(next) => next.as_ptr() as usize - saying.text.as_ptr() as usize,
        None => saying.text.len(),
    };
    let (heard, rest) = saying.text.split_at_checked(at).unwrap_or((&saying.text, ""));
    Said { heard: heard.trim().to_owned(), rest: rest.to_owned(), saying }
}

/// Words as they are written, punctuation and all.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric))
}

/// A word without case and punctuation.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether `text` goes on behind `heard`.
pub(super) fn is_begin_of(heard: &str, text: &str) -> bool {
    let (heard, text): (Vec<String>, Vec<String>) =
        (words(heard).map(plain).collect(), words(text).map(plain).collect());
    heard.len() < text.len() && text.starts_with(&heard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> CallTime {
        CallTime::from_millis(ms)
    }

    fn ledger(texts: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        for (index, text) in texts.iter().enumerate() {
            let id = UtteranceId(u32::try_from(index).unwrap());
            ledger.open(id, UtteranceKind::Reply, true, at(0));
            ledger.sent(text, at(0));
            ledger.close(id);
        }
        ledger
    }

    fn told(said: &[Said]) -> Vec<(&str, &str)> {
        said.iter().map(|said| (said.heard.as_str(), said.rest.as_str())).collect()
    }

    #[test]
    fn an_interruption_cuts_where_the_carrier_says() {
        let texts = ["One moment, please.", "Our opening hours are nine to five."];
        assert_eq!(
            told(&ledger(&texts).cut("Our opening hours are", at(2_500))),
            [("One moment, please.", ""), ("Our opening hours are", "nine to five.")]
        );
        assert_eq!(
            told(&ledger(&texts).cut("One", at(600))),
            [("One", "moment, please."), ("", "Our opening hours are nine to five.")]
        );
        // Told from the first utterance on, across both.
        assert_eq!(
            told(&ledger(&texts).cut("one moment please our", at(1_500))),
            [("One moment, please.", ""), ("Our", "opening hours are nine to five.")]
        );
        assert_eq!(
            told(&ledger(&texts[1..]).cut("", at(200))),
            [("", "Our opening hours are nine to five.")]
        );
        // The carrier speaks otherwise than we write: what it says is taken.
        assert_eq!(told(&ledger(&["It's 5 pm now."]).cut("It is five", at(900))), [("It is five", "now.")]);
    }

    #[test]
    fn an_utterance_is_over_when_its_words_were_played_or_by_time() {
        let mut played = ledger(&["Hello there. How are you?"]);
        played.on_sounds(false, at(0));
        played.on_played("Hello there.");
        assert!(played.pop_over(at(900)).is_none());
        played.on_played(" How are you?");
        assert!(played.pop_over(at(1_000)).is_some() && played.is_idle(at(1_000)));
        let mut reckoned = ledger(&["Hello there. How are you?"]);
        assert!(reckoned.pop_over(at(1_900)).is_none());
        let due = reckoned.deadline(at(0)).unwrap();
        assert!(reckoned.pop_over(due).is_some() && reckoned.is_idle(due));
    }

    #[test]
    fn a_voice_that_still_sounds_is_waited_for_but_not_for_ever() {
        let mut ledger = ledger(&["Hello there."]);
        ledger.on_sounds(true, at(300));
        let due = ledger.deadline(at(300)).unwrap();
        assert!(ledger.pop_over(due).is_none());
        let latest = ledger.deadline(due).unwrap();
        assert!(latest > due && ledger.pop_over(latest).is_some());
        assert_eq!(ledger.deadline(latest), None);
    }

    #[test]
    fn a_lost_connection_is_cut_by_time() {
        let said = ledger(&["one two three four five six seven eight nine ten"]).cut_by_time(at(1_990));
        assert_eq!(told(&said), [("one two three four five", "six seven eight nine ten")]);
    }

    proptest! {
        #[test]
        fn nothing_is_heard_that_was_not_sent(texts in prop::collection::vec("[a-c ]{0,12}", 0..4), heard in "[a-d ]{0,20}", ms in 0u64..4_000) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let said = ledger(&texts).cut(&heard, at(ms));
            prop_assert_eq!(said.len(), texts.len());
            for (said, text) in said.iter().zip(&texts) {
                prop_assert!(text.ends_with(said.rest.as_str()));
                let verbatim = said.heard == heard.trim();
                prop_assert!(verbatim || text.contains(said.heard.as_str()));
            }
        }
    }
}
