//! The voice of the text-to-speech doubles: a hum as long as the words would take.

use std::time::Duration;

/// A word, and when it is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokenWord {
    /// As the text has it, punctuation included.
    pub word: String,
    /// Since the start of the sound.
    pub start: Duration,
    /// Since the start of the sound.
    pub end: Duration,
}

/// A spoken text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speech {
    /// Mono, at the rate asked for.
    pub samples: Vec<i16>,
    /// Every word of the text, in order.
    pub words: Vec<SpokenWord>,
}

/// Makes sound of text. Called on the server's own thread: it should be quick.
pub trait Speaker: Send + Sync + std::fmt::Debug {
    /// Speaks a text at a rate in samples per second.
    fn speak(&self, text: &str, rate: u32) -> Speech;
}

/// Hums: each word a burst of a voice-like tone (a fundamental and two harmonics, swelling and fading), with gaps between
/// words, at some 14 characters a second as people speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hum;

/// One character's time.
const CHARACTER: Duration = Duration::from_millis(70);
/// The longest the hum goes on, for a text without end.
const LONGEST: usize = 10 * 60;

impl Speaker for Hum {
    fn speak(&self, text: &str, rate: u32) -> Speech {
        let mut speech = Speech::default();
        let per_character = (CHARACTER.as_secs_f64() * f64::from(rate)) as usize;
        let most = LONGEST * rate as usize;
        for (nth, word) in text.split_whitespace().enumerate() {
            if speech.samples.len() > most {
                break;
            }
            let start = time(speech.samples.len(), rate);
            let count = word.chars().count() * per_character;
            // The pitch wanders a little from word to word, so that cuts and repeats can be heard.
            let pitch = 110.0 + 12.0 * (nth % 5) as f64;
            speech.samples.extend((0..count).map(|index| burst(index, count, pitch, rate)));
            speech.words.push(SpokenWord {
                word: word.to_owned(),
                start,
                end: time(speech.samples.len(), rate),
            });
            speech.samples.extend(std::iter::repeat_n(0, per_character));
        }
        speech
    }
}

fn time(samples: usize, rate: u32) -> Duration {
    Duration::from_secs_f64(samples as f64 / f64::from(rate.max(1)))
}

fn burst(index: usize, count: usize, pitch: f64, rate: u32) -> i16 {
    let phase = std::f64::consts::TAU * pitch * index as f64 / f64::from(rate.max(1));
    let voice = phase.sin() + 0.6 * (4.0 * phase).sin() + 0.3 * (9.0 * phase).sin();
    let shape = (std::f64::consts::PI * index as f64 / count.max(1) as f64).sin().sqrt();
    (voice * shape * 5_000.0) as i16
}

/// When each character of a text is spoken: start and length, the spaces between words filling the gaps.
pub(crate) fn characters(text: &str, words: &[SpokenWord]) -> Vec<(char, Duration, Duration)> {
    let mut spoken = Vec::new();
    let mut rest = words.iter();
    let mut last_end = Duration::ZERO;
    let mut word: Vec<char> = Vec::new();
    let mut finish = |word: &mut Vec<char>, spoken: &mut Vec<_>, last_end: &mut Duration| {
        if word.is_empty() {
            return;
        }
        let (start, end) = rest.next().map_or((*last_end, *last_end), |timed| (timed.start, timed.end));
        let each = end.saturating_sub(start) / u32::try_from(word.len()).unwrap_or(u32::MAX);
        for (nth, letter) in (0u32..).zip(word.drain(..)) {
            spoken.push((letter, start + each * nth, each));
        }
        *last_end = end;
    };
    for letter in text.chars() {
        if letter.is_whitespace() {
            finish(&mut word, &mut spoken, &mut last_end);
            spoken.push((letter, last_end, CHARACTER));
        } else {
            word.push(letter);
        }
    }
    finish(&mut word, &mut spoken, &mut last_end);
    spoken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_as_long_as_people_take() {
        let text = "Your appointment is on Friday.";
        let speech = Hum.speak(text, 8_000);
        let seconds = speech.samples.len() as f64 / 8_000.0;
        assert!((1.8..2.4).contains(&seconds), "{seconds} s");
        assert_eq!(speech.words.len(), 5);
        let letters = characters(text, &speech.words);
        assert_eq!(letters.iter().map(|(letter, ..)| letter).collect::<String>(), text);
        assert!(letters.is_sorted_by_key(|(_, start, _)| *start));
    }
}
