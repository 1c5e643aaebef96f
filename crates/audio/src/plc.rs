//! Packet-loss concealment by ITU-T G.711 Appendix I.
//!
//! What: fills a missing frame with what the voice would likely have done, so that neither the recogniser nor the
//! voice-activity detector sees a hole.
//! How: the last 390 samples are kept. At a loss the pitch is found by normalised cross-correlation over 5 to 15 ms
//! (40 to 120 samples), the last pitch period is repeated with an overlap-add of a quarter period at its seam; after
//! 10 ms two, after 20 ms three periods are used; from 10 ms on the sound falls by 20 % each 10 ms and is silent
//! after 60 ms. The first good frame is cross-faded with the continued synthesis.
//! Differs from the Appendix in one point: the Appendix delays all speech by 3.75 ms so that it can smooth the seam
//! before a loss; here nothing is delayed, the repeated period starts from the last good sample, and the seam is
//! smoothed inside the synthesised part.

use crate::{FRAME_SAMPLES, PcmFrame};

const PITCH_MIN: usize = 40;
const PITCH_MAX: usize = 120;
/// 3¼ of the longest pitch periods: what Appendix I keeps.
const HISTORY: usize = 390;
/// Frames that hold it.
const KEPT: usize = HISTORY.div_ceil(FRAME_SAMPLES);
/// Samples over which the correlation is taken: 20 ms.
const CORRELATION: usize = 160;
/// 10 ms, the Appendix's frame.
const STEP: usize = 80;
/// Synthesis ends after this many 10 ms steps.
const LAST_STEP: usize = 6;

/// Remembers the newest speech and invents what is missing. What only a loss needs has its room, 1.5 KiB, while one lasts.
#[derive(Clone, Debug)]
pub struct Plc {
    /// The newest frames, in a ring: nothing is moved while none is missing.
    frames: [[i16; FRAME_SAMPLES]; KEPT],
    /// The oldest of them.
    oldest: usize,
    loss: Option<Box<Loss>>,
}

/// What is made up while frames are missing.
#[derive(Clone, Debug)]
struct Loss {
    /// The history as it was when the loss began: no synthesised sound in it.
    origin: [i16; HISTORY],
    /// 10 ms steps concealed since the last good frame.
    steps: usize,
    /// Pitch period in samples.
    pitch: usize,
    /// Read position inside the cycled periods.
    phase: usize,
    /// What is cycled through: the newest `periods * pitch` samples, with smoothed seam.
    cycle: [i16; PITCH_MAX * 3],
    cycle_len: usize,
}

impl Default for Plc {
    fn default() -> Self {
        Self { frames: [[0; FRAME_SAMPLES]; KEPT], oldest: 0, loss: None }
    }
}

impl Plc {
    /// A frame arrived: remembers it, and smooths its beginning if frames before it were missing.
    pub fn good(&mut self, frame: &mut PcmFrame) {
        if let Some(mut loss) = self.loss.take() {
            loss.fade_into(frame);
        }
        self.remember(&frame.0);
    }

    /// A frame is missing: what to put in its place.
    pub fn conceal(&mut self) -> PcmFrame {
        let history = self.history();
        let loss = self.loss.get_or_insert_with(|| Box::new(Loss::behind(&history)));
        let mut frame = PcmFrame::SILENCE;
        frame.0.chunks_mut(STEP).for_each(|half| loss.step(half));
        self.remember(&frame.0);
        frame
    }

    fn remember(&mut self, samples: &[i16; FRAME_SAMPLES]) {
        self.frames[self.oldest] = *samples;
        self.oldest = (self.oldest + 1) % KEPT;
    }

    /// The newest samples, oldest first.
    fn history(&self) -> [i16; HISTORY] {
        let mut history = [0; HISTORY];
        let (older, newer) = (&self.frames[self.oldest..], &self.frames[..self.oldest]);
        let all = older.as_flattened().iter().chain(newer.as_flattened());
        for (to, sample) in history.iter_mut().zip(all.skip(KEPT * FRAME_SAMPLES - HISTORY)) {
            *to = *sample;
        }
        history
    }
}

impl Loss {
    fn behind(history: &[i16; HISTORY]) -> Self {
        Self {
            origin: *history,
            steps: 0,
            pitch: find_pitch(history),
            phase: 0,
            cycle: [0; PITCH_MAX * 3],
            cycle_len: 0,
        }
    }

    /// The next 10 ms.
    fn step(&mut self, half: &mut [i16]) {
        if self.steps < 3 {
            self.use_periods(self.steps + 1);
        }
        let (start, end) = (level_at(self.steps), level_at(self.steps + 1));
        for (n, sample) in half.iter_mut().enumerate() {
            let level = start + (end - start) * n as i32 / STEP as i32;
            *sample = self.next_sample(level) as i16;
        }
        self.steps = (self.steps + 1).min(LAST_STEP + 1);
    }

    /// Goes over to the first frame that came again.
    fn fade_into(&mut self, frame: &mut PcmFrame) {
        if self.steps > LAST_STEP {
            return;
        }
        // 4 ms, and 2 ms more for every 10 ms lost, at most 10 ms.
        let overlap = (32 + 16 * self.steps.saturating_sub(1)).min(STEP);
        let level = level_at(self.steps);
        for n in 0..overlap {
            let synthetic = self.next_sample(level);
            let weight = (n + 1) as i32 * 256 / (overlap as i32 + 1);
            let mixed = i32::from(frame.0[n]) * weight + synthetic * (256 - weight);
            frame.0[n] = (mixed >> 8) as i16;
        }
    }

    fn next_sample(&mut self, level: i32) -> i32 {
        let sample = i32::from(self.cycle[self.phase % self.cycle_len]);
        self.phase = (self.phase + 1) % self.cycle_len;
        (sample * level) >> 8
    }

    /// From now on cycles through the newest so many periods before the loss. The end of the cycle is blended into
    /// its start over a quarter period, with what came just before the cycle, so that the wrap makes no click; the
    /// place within the period is kept, so that the change of cycle makes none either.
    fn use_periods(&mut self, periods: usize) {
        let length = self.pitch * periods;
        let start = HISTORY - length;
        let quarter = (self.pitch / 4).min(start);
        for n in 0..length {
            let sample = i32::from(self.origin[start + n]);
            self.cycle[n] = match (n + quarter).checked_sub(length) {
                Some(k) => {
                    let weight = (k + 1) as i32 * 256 / (quarter as i32 + 1);
                    let before = i32::from(self.origin[start - quarter + k]);
                    ((sample * (256 - weight) + before * weight) >> 8) as i16
                }
                None => sample as i16,
            };
        }
        self.phase %= self.pitch;
        self.cycle_len = length;
    }
}

/// Gain at the start of a 10 ms step, in 1/256: full for the first, then 20 % less each.
const fn level_at(step: usize) -> i32 {
    match step {
        0 | 1 => 256,
        2 => 205,
        3 => 154,
        4 => 102,
        5 => 51,
        _ => 0,
    }
}

/// The lag with the greatest normalised cross-correlation.
fn find_pitch(history: &[i16; HISTORY]) -> usize {
    let recent = &history[HISTORY - CORRELATION..];
    let mut best = (PITCH_MAX, f64::MIN);
    for lag in PITCH_MIN..=PITCH_MAX {
        let earlier = &history[HISTORY - CORRELATION - lag..HISTORY - lag];
        let (mut cross, mut energy) = (0i64, 1i64);
        for (a, b) in recent.iter().zip(earlier) {
            cross += i64::from(*a) * i64::from(*b);
            energy += i64::from(*b) * i64::from(*b);
        }
        let score = cross as f64 / (energy as f64).sqrt();
        if score > best.1 {
            best = (lag, score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(n: usize) -> i16 {
        // A 125 Hz voice: a fundamental and two formant-like harmonics.
        let t = n as f64 / 8_000.0;
        let wave = |hz: f64, amplitude: f64| amplitude * (std::f64::consts::TAU * hz * t).sin();
        (wave(125.0, 4_000.0) + wave(625.0, 3_000.0) + wave(1_250.0, 1_500.0)) as i16
    }

    fn frame(index: usize) -> PcmFrame {
        let mut pcm = PcmFrame::SILENCE;
        for (n, sample) in pcm.0.iter_mut().enumerate() {
            *sample = voice(index * 160 + n);
        }
        pcm
    }

    fn snr(truth: &[i16], got: &[i16]) -> f64 {
        let signal: f64 = truth.iter().map(|&s| f64::from(s).powi(2)).sum();
        let noise: f64 = truth.iter().zip(got).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
        10.0 * (signal / noise.max(1.0)).log10()
    }

    #[test]
    fn a_lost_frame_of_a_steady_voice_is_restored() {
        let mut plc = Plc::default();
        for index in 0..6 {
            plc.good(&mut frame(index));
        }
        let concealed = plc.conceal();
        let half = 80;
        assert!(snr(&frame(6).0[..half], &concealed.0[..half]) > 15.0);
        let mut next = frame(7);
        plc.good(&mut next);
        assert!(snr(&frame(7).0[80..], &next.0[80..]) > 60.0, "the real sound is left alone after the seam");
    }

    #[test]
    fn there_is_no_jump_at_the_seams() {
        let mut plc = Plc::default();
        let mut heard = Vec::new();
        for index in 0..20 {
            let mut pcm = frame(index);
            if index % 5 == 4 {
                pcm = plc.conceal()
            } else {
                plc.good(&mut pcm)
            }
            heard.extend_from_slice(&pcm.0);
        }
        let largest =
            |samples: &[i16]| samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
        let natural: Vec<i16> = (0..3_200).map(voice).collect();
        assert!(largest(&heard) <= largest(&natural).map(|jump| jump * 3 / 2));
    }

    #[test]
    fn a_long_loss_falls_silent() {
        let mut plc = Plc::default();
        for index in 0..6 {
            plc.good(&mut frame(index));
        }
        let frames: Vec<PcmFrame> = (0..6).map(|_| plc.conceal()).collect();
        assert!(frames[0].0.iter().any(|&sample| sample.abs() > 1_000));
        assert_eq!(frames[4], PcmFrame::SILENCE);
        assert_eq!(frames[5], PcmFrame::SILENCE);
    }
}
