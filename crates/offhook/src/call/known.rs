//! What an agent says that has no answer, known by its sound: where no record is at hand, the engine's own phrases in the embedded
//! voices are looked for in what the caller heard.
//!
//! - What: cepstra of 25 ms every 10 ms, matched by dynamic time warping with free ends.
//! - How: 20 mel bands of 150 to 3 700 Hz, their logarithms' cosine transform (1 to 12), the mean taken off, frames 35 dB below the
//!   loudest left out; the distance is the mean over the phrase's frames, with a slope between ½ and 2.
//! - Quality: the same phrase in the same voice through μ-law is at 0 to 1; any other sentence of that voice is above 3.7 (measured
//!   with flite's voices). Another voice's phrase isn't found: what it says stays unknown.
//! - Source: Davis and Mermelstein 1980; Sakoe and Chiba 1978.

use std::f64::consts::PI;

use offhook_conversation::Phrases;
use offhook_providers::embedded::{Flite, NativePool, Voice};
use offhook_simulator::CallReport;

/// Nearer than this it is the phrase.
const SAME: f64 = 2.2;
const FRAME: usize = 200;
const HOP: usize = 80;
const BINS: usize = 129;
const BANDS: usize = 20;
const CEPSTRA: usize = 12;
/// A phrase isn't looked for in sound that is so much shorter.
const LONGER: f64 = 1.25;

/// Sentences of one utterance have shorter pauses between them: milliseconds.
const PAUSE_MS: u64 = 1_200;

type Cepstrum = [f64; CEPSTRA];

/// The phrases to look for.
#[derive(Debug, Default)]
pub(super) struct KnownPhrases {
    phrases: Vec<(String, Vec<Cepstrum>)>,
}

impl KnownPhrases {
    /// The engine's phrases in the embedded voices; none where there is no embedded voice.
    pub(super) fn new() -> Self {
        let usual = Phrases::default();
        let mut texts = usual.check_ins;
        texts.extend(usual.fillers);
        texts.extend([usual.farewell, usual.apology, usual.too_long]);
        texts.extend(crate::agents::LAST_WORDS.map(str::to_owned));
        let mut known = Self::default();
        for voice in [Voice::Slt, Voice::Kal, Voice::Rms, Voice::Awb] {
            let Ok(voice) = Flite::new(voice, NativePool::new("phrases", 1, 16)) else { continue };
            for text in &texts {
                match super::speak::sound(&voice, text) {
                    Ok(octets) => known.phrases.push((text.clone(), cepstra(&octets))),
                    Err(error) => tracing::debug!(%error, "this can't be spoken"),
                }
            }
        }
        known
    }

    /// The phrase that makes up this μ-law sound, or most of it.
    pub(super) fn find(&self, octets: &[u8]) -> Option<&str> {
        let heard = cepstra(octets);
        self.phrases.iter().find_map(|(text, phrase)| {
            let (lengths, least) = (phrase.len() as f64, heard.len() as f64);
            // An answer that holds such words among others is one.
            let most = lengths * 1.6;
            let fits = lengths <= least * LONGER && least <= most;
            (fits && distance(phrase, &heard) < SAME).then_some(text.as_str())
        })
    }
}

/// For each line the phrase that was heard in place of an answer, if nothing else was heard.
pub(super) fn instead_of_answers(report: &CallReport) -> Vec<Option<String>> {
    // In a call of text the sound is a stand-in.
    if report.replies.is_empty() || report.sessions > 0 {
        return Vec::new();
    }
    let known = KnownPhrases::new();
    let next = |from: u64| report.replies.iter().map(|reply| reply.from_ms).filter(|at| *at > from).min();
    let answers = report.replies.iter().map(|reply| {
        let until = next(reply.from_ms).unwrap_or(u64::MAX);
        let heard =
            report.agent.iter().filter(|spurt| spurt.from_ms >= reply.until_ms && spurt.from_ms < until);
        let mut utterances: Vec<(u64, u64)> = Vec::new();
        for spurt in heard {
            match utterances.last_mut() {
                Some(last) if spurt.from_ms < last.1 + PAUSE_MS => last.1 = spurt.until_ms,
                _ => utterances.push((spurt.from_ms, spurt.until_ms)),
            }
        }
        let mut phrases = utterances.iter().map(|(from, until)| known.find(octets(report, *from, *until)));
        let first = phrases.next()??;
        phrases.all(|phrase| phrase.is_some()).then(|| first.to_owned())
    });
    answers.collect()
}

fn octets(report: &CallReport, from_ms: u64, until_ms: u64) -> &[u8] {
    let at = |ms: u64| usize::try_from(ms * 8).unwrap_or(usize::MAX).min(report.agent_sound.len());
    report.agent_sound.get(at(from_ms)..at(until_ms)).unwrap_or_default()
}

fn mel(hertz: f64) -> f64 {
    2_595.0 * (1.0 + hertz / 700.0).log10()
}

/// The cepstra of μ-law sound, without its silence.
fn cepstra(octets: &[u8]) -> Vec<Cepstrum> {
    let mut samples = vec![0; octets.len()];
    offhook_mulaw::decode_slice(octets, &mut samples);
    let angle = |n: usize| 2.0 * PI * n as f64 / 256.0;
    let table: Vec<(f64, f64)> = (0..256).map(|n| (angle(n).cos(), angle(n).sin())).collect();
    let edge = |n: usize| {
        let mels = mel(150.0) + (mel(3_700.0) - mel(150.0)) * n as f64 / (BANDS + 1) as f64;
        700.0 * (10_f64.powf(mels / 2_595.0) - 1.0) / 8_000.0 * 256.0
    };
    let window: Vec<f64> =
        (0..FRAME).map(|n| 0.5 - 0.5 * (2.0 * PI * n as f64 / (FRAME - 1) as f64).cos()).collect();
    let mut frames: Vec<(f64, Cepstrum)> = Vec::new();
    for frame in samples.windows(FRAME).step_by(HOP) {
        let frame: Vec<f64> = frame
            .iter()
            .zip(&window)
            .map(|(sample, weight)| f64::from(*sample) / 32_768.0 * weight)
            .collect();
        let energy = frame.iter().map(|sample| sample * sample).sum::<f64>() / FRAME as f64;
        let power: Vec<f64> = (0..BINS)
            .map(|bin| {
                let (mut re, mut im) = (0.0, 0.0);
                for (n, sample) in frame.iter().enumerate() {
                    let (cos, sin) = table.get(n * bin % 256).copied().unwrap_or_default();
                    re += sample * cos;
                    im += sample * sin;
                }
                re * re + im * im
            })
            .collect();
        let bands: Vec<f64> = (0..BANDS)
            .map(|band| {
                let (low, mid, high) = (edge(band), edge(band + 1), edge(band + 2));
                let weigh = |bin: usize| {
                    let at = bin as f64;
                    if at <= low || at >= high {
                        0.0
                    } else if at < mid {
                        (at - low) / (mid - low)
                    } else {
                        (high - at) / (high - mid)
                    }
                };
                (power.iter().enumerate().map(|(bin, power)| power * weigh(bin)).sum::<f64>() + 1e-7).ln()
            })
            .collect();
        let cepstrum = std::array::from_fn(|k| {
            let turn = |n: usize| (PI * (k + 1) as f64 * (n as f64 + 0.5) / BANDS as f64).cos();
            let sum: f64 = bands.iter().enumerate().map(|(n, band)| band * turn(n)).sum();
            sum * (2.0 / BANDS as f64).sqrt()
        });
        frames.push((10.0 * (energy + 1e-10).log10(), cepstrum));
    }
    let loudest = frames.iter().map(|(level, _)| *level).fold(f64::NEG_INFINITY, f64::max);
    let mut loud: Vec<Cepstrum> = frames
        .into_iter()
        .filter(|(level, _)| *level > loudest - 35.0)
        .map(|(_, cepstrum)| cepstrum)
        .collect();
    let count = loud.len().max(1) as f64;
    let mean: Cepstrum =
        std::array::from_fn(|k| loud.iter().filter_map(|frame| frame.get(k)).sum::<f64>() / count);
    for frame in &mut loud {
        for (value, mean) in frame.iter_mut().zip(&mean) {
            *value -= mean;
        }
    }
    loud
}

/// How far a phrase is from the part of what was heard that fits it best.
fn distance(phrase: &[Cepstrum], heard: &[Cepstrum]) -> f64 {
    let apart =
        |a: &Cepstrum, b: &Cepstrum| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    let far = f64::INFINITY;
    let row = |frame: &Cepstrum| heard.iter().map(|other| apart(frame, other)).collect::<Vec<f64>>();
    let mut phrase_frames = phrase.iter();
    let Some(first) = phrase_frames.next().map(row) else { return far };
    let (mut before, mut last) = (vec![far; heard.len()], first);
    let mut last_row: Vec<f64> = vec![0.0; heard.len()];
    for frame in phrase_frames {
        let here = row(frame);
        let next: Vec<f64> = (0..heard.len())
            .map(|at| {
                let cell = |row: &[f64], back: usize| {
                    at.checked_sub(back).and_then(|at| row.get(at)).copied().unwrap_or(far)
                };
                let skipped = cell(&before, 1) + last_row.get(at).copied().unwrap_or(far);
                let best = cell(&last, 1).min(cell(&last, 2)).min(skipped);
                best + here.get(at).copied().unwrap_or(far)
            })
            .collect();
        (before, last, last_row) = (last, next, here);
    }
    last.into_iter().fold(far, f64::min) / phrase.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<Vec<u8>> {
        let voice = Flite::new(Voice::Slt, NativePool::new("test", 1, 16)).ok()?;
        super::super::speak::sound(&voice, text).ok()
    }

    #[test]
    fn an_apology_is_known_by_its_sound_and_an_answer_is_none() {
        let known = KnownPhrases::new();
        let phrases: Vec<String> = known.phrases.iter().map(|(text, _)| text.clone()).collect();
        let Some(apology) = said(&Phrases::default().apology) else { return };
        // 6 dB lower, off the grid, and between silence.
        let mut samples = vec![0; apology.len()];
        offhook_mulaw::decode_slice(&apology, &mut samples);
        let mut quiet: Vec<u8> = vec![0xFF; 1_037];
        quiet.extend(samples.iter().map(|sample| offhook_mulaw::encode(sample / 2)));
        quiet.extend([0xFF; 3_000]);
        assert_eq!(known.find(&quiet), Some(Phrases::default().apology.as_str()));
        for text in &phrases {
            assert_eq!(said(text).as_deref().and_then(|sound| known.find(sound)), Some(text.as_str()));
        }
        for answer in [
            "Two large pizzas, got it. Anything else?",
            "We are open from nine to five, every day.",
            "Sorry, we don't have any tables left at the moment. Please try another day.",
            "I'm sorry, we are closed on Sundays. Would you like to come on Monday?",
            "Could you say your order number again, please?",
            "Yes.",
        ] {
            assert_eq!(said(answer).as_deref().and_then(|sound| known.find(sound)), None, "{answer}");
        }
    }
}
