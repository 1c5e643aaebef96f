//! Sound at a wrong rate: speech for 16 or 24 kHz that was encoded as μ-law without being converted to 8 kHz. It plays at half or
//! a third of its pace, an octave or more too deep.
//!
//! Nothing in the octets tells so; what a voice can't do does: [`figures`](super::figures). Twice as fast as they are played
//! octets tell more: then less of the voice is asked for.

use super::figures::Figures;
use super::traces;
use crate::causes::{self, Cause};

/// Octets that suffice: 10 s.
const MOST_JUDGED: usize = 80_000;
/// Fewer aren't judged: 3 s.
pub(crate) const LEAST_JUDGED: usize = 24_000;
/// Below this it is the wrong rate, whatever else.
const SURE: f64 = -1.5;
/// Below this it is, when the octets come at a wrong pace, too.
const WITH_PACE: f64 = -0.7;
/// The same at the pace of 11 025 Hz, to which nobody comes by chance: 94 in 100 of 234 voices at that rate are below, and so are most
/// slow and deep ones at their own.
const WITH_CLOSE_PACE: f64 = 7.0;

/// Below this the voice's throat is longer than anybody's.
const LONG_THROAT: f64 = -0.9;
/// Below this it is long enough for what comes at the pace of another rate.
const LONG_THROAT_WITH_PACE: f64 = 3.2;

/// What is sent, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    /// Milliseconds of the call, octets.
    messages: Vec<(u64, usize)>,
}

impl Pace {
    pub(crate) fn note(&mut self, now_ms: u64, octets: usize) {
        if self.messages.len() < 1_000 {
            self.messages.push((now_ms, octets));
        }
    }

    /// How much faster than it is played the sound comes, if it comes steadily for a while: 1 as it is played.
    fn steady(&self) -> Option<f64> {
        const WINDOW_MS: u64 = 500;
        let mut best: &[(u64, usize)] = &[];
        for run in self.messages.chunk_by(|one, next| next.0 - one.0 <= 200) {
            let length = |run: &[(u64, usize)]| Some(run.last()?.0 - run.first()?.0);
            if length(run) > length(best) {
                best = run;
            }
        }
        let (first, last) = (best.first()?.0, best.last()?.0);
        let windows = (last - first) / WINDOW_MS;
        if windows < 3 {
            return None;
        }
        let rate = |window: u64| {
            let from = first + window * WINDOW_MS;
            let inside = best.iter().filter(|(at, _)| (from..from + WINDOW_MS).contains(at));
            inside.map(|(_, octets)| *octets).sum::<usize>() as f64 / (8 * WINDOW_MS) as f64
        };
        let rates: Vec<f64> = (0..windows).map(rate).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        rates.iter().all(|rate| (rate / mean - 1.0).abs() < 0.15).then_some(mean)
    }

    /// The usual rate at which the sound was made, if it comes at that rate's pace.
    fn made_at(&self) -> Option<u32> {
        let pace = self.steady()?;
        [11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]
            .into_iter()
            .find(|rate| (pace * 8_000.0 / f64::from(*rate) - 1.0).abs() < 0.02)
    }
}

/// Judges μ-law as it came.
pub(crate) fn judge(octets: &[u8], pace: &Pace) -> Option<(&'static Cause, String)> {
    if octets.len() < LEAST_JUDGED {
        return None;
    }
    let mut samples = vec![0; octets.len().min(MOST_JUDGED)];
    offhook_mulaw::decode_slice(octets.get(..samples.len())?, &mut samples);
    let samples: Vec<f64> = samples.into_iter().map(f64::from).collect();
    let figures = Figures::take(&samples);
    let made_at = pace.made_at();
    // What comes at the pace of another rate need be less deep.
    let limit = match made_at {
        Some(11_025) => WITH_CLOSE_PACE,
        Some(_) => WITH_PACE,
        None => SURE,
    };
    let slow = figures.is_some_and(|of| {
        (of.may_be_slow_speech() || limit == WITH_CLOSE_PACE && of.is_no_tone()) && of.score() < limit
            || of.throat_score().is_some_and(|score| {
                score < if made_at.is_some() { LONG_THROAT_WITH_PACE } else { LONG_THROAT }
            })
            || of.moves_slowly()
            || of.is_half_a_band()
    });
    let raised = figures.is_none_or(|of| of.is_no_tone()) && traces::raised(&samples);
    if !slow && !raised {
        return None;
    }
    let pitch = figures.map_or(String::new(), |of| format!(" (its pitch is {:.0} Hz)", of.pitch));
    let heard = if raised {
        "the sound has traces of a rate that was raised".to_owned()
    } else {
        format!("the voice is too slow and too deep to be one{pitch}")
    };
    let what = match made_at {
        Some(rate) => {
            format!(
                "{heard}, and {rate} octets come a second: the sound was made for {rate} Hz, and is played at 8000"
            )
        }
        None => format!("{heard}: the sound was made for a higher rate, and is played at 8 kHz"),
    };
    Some((&causes::WRONG_RATE, what))
}

#[cfg(test)]
mod tests;
