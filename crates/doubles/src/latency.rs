//! How long a provider takes: drawn from log-normal distributions, by a seed, so that runs repeat.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A time that varies: log-normal, as network and queueing times roughly are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Half of all are shorter.
    #[serde(with = "humantime_serde")]
    pub median: Duration,
    /// One in twenty is longer. Not above the median: no spread at all.
    #[serde(with = "humantime_serde")]
    pub p95: Duration,
}

/// Standard deviations from the median to the 95th percentile of a normal distribution.
const P95_DEVIATIONS: f64 = 1.644_854;

impl Spread {
    /// A spread in milliseconds.
    #[must_use]
    pub const fn ms(median: u64, p95: u64) -> Self {
        Self { median: Duration::from_millis(median), p95: Duration::from_millis(p95) }
    }

    /// Draws one.
    pub(crate) fn draw(self, random: &mut fastrand::Rng) -> Duration {
        if self.p95 <= self.median || self.median.is_zero() {
            return self.median;
        }
        let sigma = (self.p95.as_secs_f64() / self.median.as_secs_f64()).ln() / P95_DEVIATIONS;
        // Box and Muller's normal deviate; 1 - x keeps the logarithm's argument above 0.
        let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
        self.median.mul_f64((sigma * normal).exp().min(100.0))
    }
}

/// One stage's pace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Until the first result: final transcript after it was asked for or the recogniser found the end of speech, first token,
    /// first byte of sound.
    pub first: Spread,
    /// What follows: tokens per second of a language model, sound in multiples of real time. 0: all at once.
    pub rate: f64,
}

/// The paces of all stages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latencies {
    /// Speech-to-text; the rate has no meaning.
    pub stt: Pace,
    /// Speech-to-text: from a word's end to its first place in a transcript.
    #[serde(with = "humantime_serde")]
    pub word_delay: Duration,
    /// Language model: time to first token, tokens per second.
    pub llm: Pace,
    /// Text-to-speech: time to first byte, multiples of real time.
    pub tts: Pace,
    /// Speech-to-speech: end of the caller's speech to first sound, multiples of real time.
    pub realtime: Pace,
}

impl Latencies {
    /// No waiting at all: for tests of anything but time.
    pub const INSTANT: Self = {
        let none = Pace { first: Spread::ms(0, 0), rate: 0.0 };
        Self { stt: none, word_delay: Duration::ZERO, llm: none, tts: none, realtime: none }
    };

    /// What the better providers' published measurements tell (2026, North America): final transcript 250 ms after the
    /// request (Deepgram Nova-3: 247, 95th percentile 298), words 150 ms after they were spoken, first token after 400 ms (between Groq's 98 and
    /// gpt-5.6's 671; long tails), 80 tokens a second, first sound after 120 ms, eight times faster than real time;
    /// speech to speech 1.15 s.
    pub const PUBLISHED: Self = Self {
        stt: Pace { first: Spread::ms(250, 300), rate: 0.0 },
        word_delay: Duration::from_millis(150),
        llm: Pace { first: Spread::ms(400, 1_200), rate: 80.0 },
        tts: Pace { first: Spread::ms(120, 250), rate: 8.0 },
        realtime: Pace { first: Spread::ms(1_150, 1_700), rate: 4.0 },
    };

    /// The medians of [`Self::PUBLISHED`] and nothing else: what the engine adds to them shows in few calls.
    pub const MEDIAN: Self = Self {
        stt: Pace { first: Spread::ms(250, 250), rate: 0.0 },
        word_delay: Duration::from_millis(150),
        llm: Pace { first: Spread::ms(400, 400), rate: 80.0 },
        tts: Pace { first: Spread::ms(120, 120), rate: 8.0 },
        realtime: Pace { first: Spread::ms(1_150, 1_150), rate: 4.0 },
    };

    /// A bad afternoon: everything within what providers were seen to do, nothing of it good.
    pub const SLOW: Self = Self {
        stt: Pace { first: Spread::ms(900, 1_900), rate: 0.0 },
        word_delay: Duration::from_millis(400),
        llm: Pace { first: Spread::ms(1_500, 4_500), rate: 25.0 },
        tts: Pace { first: Spread::ms(600, 1_800), rate: 1.5 },
        realtime: Pace { first: Spread::ms(2_500, 6_000), rate: 1.5 },
    };
}

impl Default for Latencies {
    fn default() -> Self {
        Self::INSTANT
    }
}

/// The time that one more of something takes at a rate; none at rate 0.
pub(crate) fn each(rate: f64) -> Duration {
    if rate > 0.0 { Duration::from_secs_f64((1.0 / rate).min(3_600.0)) } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_tail_are_as_asked() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut drawn: Vec<_> = (0..10_000).map(|_| Spread::ms(400, 1_200).draw(&mut random)).collect();
        drawn.sort_unstable();
        let near =
            |found: Duration, wanted: u64| (found.as_millis() as f64 / wanted as f64 - 1.0).abs() < 0.05;
        assert!(near(drawn[5_000], 400), "{:?}", drawn[5_000]);
        assert!(near(drawn[9_500], 1_200), "{:?}", drawn[9_500]);
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = || Spread::ms(100, 300).draw(&mut fastrand::Rng::with_seed(1));
        assert_eq!(draw(), draw());
    }
}
