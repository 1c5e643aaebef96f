//! Syllables of sound and of text.
//!
//! What: counts the syllables of speech as it arrives, and those of a written word.
//! How: each syllable has a nucleus, a peak of the level below 900 Hz, where vowels are loud and fricatives aren't; two peaks
//! with a dip of 4 dB or more between them are two nuclei. A word's syllables are its groups of vowels.
//! Differs from recognisers in that nothing is understood.
//! Quality: of 48 sentences in four synthetic voices it counts 84 % of the syllables, so that it is late rather than early.
//! Source: P. Mermelstein, "Automatic segmentation of speech into syllabic units", JASA 58 (1975).

use std::time::Duration;

/// The level's fall that ends a nucleus, and its rise that begins the next: dB.
const DIP: f64 = 4.0;
/// A peak so far below the loudest isn't a nucleus: dB.
const WEAK: f64 = 20.0;
/// Nuclei don't follow each other faster.
const LEAST: Duration = Duration::from_millis(100);
/// Corner of the low-pass filter, two poles: Hz.
const CORNER: f64 = 900.0;
/// So many blocks are averaged, or the pitch of a low voice would show.
const SMOOTH: usize = 3;

/// Counts the syllables of one talkspurt.
#[derive(Clone, Debug)]
pub(crate) struct Syllables {
    /// The filter's coefficient and its two poles.
    keep: f64,
    poles: (f64, f64),
    /// Sum of squares, and the samples of the block.
    energy: f64,
    samples: u32,
    recent: [f64; SMOOTH],
    block: usize,
    loudest: f64,
    /// The highest level of this peak or, when `falling`, the lowest of this dip and its place.
    extreme: f64,
    at: Duration,
    falling: bool,
    nucleus: bool,
    ends: Vec<Duration>,
}

impl Syllables {
    /// Listens to sound of this rate.
    pub(crate) fn new(rate: u32) -> Self {
        Self {
            keep: (-std::f64::consts::TAU * CORNER / f64::from(rate.max(1))).exp(),
            poles: (0.0, 0.0),
            energy: 0.0,
            samples: 0,
            recent: [0.0; SMOOTH],
            block: 0,
            loudest: 0.0,
            extreme: 0.0,
            at: Duration::ZERO,
            falling: false,
            nucleus: false,
            ends: Vec::new(),
        }
    }

    /// Takes a sample.
    pub(crate) fn sample(&mut self, sample: i16) {
        let one = (1.0 - self.keep) * f64::from(sample) + self.keep * self.poles.0;
        let two = (1.0 - self.keep) * one + self.keep * self.poles.1;
        self.poles = (one, two);
        self.energy += two * two;
        self.samples += 1;
    }

    /// What went before belongs to no syllable.
    pub(crate) fn skip(&mut self) {
        (self.energy, self.samples) = (0.0, 0);
    }

    /// A block of 10 ms ends at `now`.
    pub(crate) fn end_block(&mut self, now: Duration) {
        let energy = std::mem::take(&mut self.energy) / f64::from(std::mem::take(&mut self.samples).max(1));
        let place = self.block % SMOOTH;
        if let Some(recent) = self.recent.get_mut(place) {
            *recent = energy;
        }
        self.block += 1;
        let count = self.block.min(SMOOTH) as f64;
        let level = 10.0 * (self.recent.iter().sum::<f64>() / count + 1.0).log10();
        self.loudest = self.loudest.max(level);
        if self.falling {
            if level < self.extreme {
                (self.extreme, self.at) = (level, now);
            } else if level > self.extreme + DIP {
                self.end(self.at);
                (self.falling, self.extreme) = (false, level);
            }
        } else if level > self.extreme {
            self.extreme = level;
        } else if level < self.extreme - DIP {
            self.nucleus = self.extreme > self.loudest - WEAK;
            (self.falling, self.extreme, self.at) = (true, level, now);
        }
    }

    /// It is silent: a nucleus that was falling has ended.
    pub(crate) fn pause(&mut self, at: Duration) {
        if self.falling {
            self.end(at);
        }
    }

    fn end(&mut self, at: Duration) {
        let soon = self.ends.last().is_some_and(|last| at < *last + LEAST);
        if std::mem::take(&mut self.nucleus) && !soon {
            self.ends.push(at);
        }
    }

    /// Where each syllable ended.
    pub(crate) fn ends(&self) -> &[Duration] {
        &self.ends
    }
}

/// How many syllables a written word has, about: groups of vowels, without a silent `e` at the end; a digit is one.
pub(crate) fn of_word(word: &str) -> usize {
    let letters: Vec<char> = word.to_lowercase().chars().filter(|letter| letter.is_alphanumeric()).collect();
    let vowel = |letter: &char| "aeiouyáàâäãåæéèêëíìîïóòôöõøœúùûüý".contains(*letter);
    let groups =
        letters.chunk_by(|a, b| vowel(a) == vowel(b)).filter(|group| group.first().is_some_and(vowel));
    let digits = letters.iter().filter(|letter| letter.is_ascii_digit()).count();
    let silent = matches!(letters.as_slice(), [.., before, 'e'] if !vowel(before) && *before != 'l');
    let groups = groups.count();
    (groups - usize::from(silent && groups > 1) + digits).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_of_words() {
        for (word, count) in [
            ("I", 1),
            ("pepperoni", 4),
            ("large", 1),
            ("pizzas,", 2),
            ("table", 2),
            ("the", 1),
            ("415", 3),
            ("Müller", 2),
            ("—", 1),
        ] {
            assert_eq!(of_word(word), count, "{word}");
        }
    }

    #[test]
    fn peaks_are_counted_and_a_steady_tone_is_one() {
        let mut count = Syllables::new(8_000);
        let tone = |at: u32, volume: f64| {
            (volume * 5_000.0 * (std::f64::consts::TAU * 200.0 * f64::from(at) / 8_000.0).sin()) as i16
        };
        for block in 0..60_u32 {
            let swell = (std::f64::consts::PI * f64::from(block % 20) / 20.0).sin();
            (block * 80..block * 80 + 80).for_each(|at| count.sample(tone(at, swell)));
            count.end_block(Duration::from_millis(10) * (block + 1));
        }
        assert_eq!(count.ends().len(), 2, "the third hasn't ended");
        count.pause(Duration::from_millis(600));
        assert_eq!(count.ends().len(), 3);
        let mut count = Syllables::new(8_000);
        for block in 1..60 {
            (0..80).for_each(|at| count.sample(tone(at, 1.0)));
            count.end_block(Duration::from_millis(10) * block);
        }
        assert!(count.ends().is_empty());
    }
}
