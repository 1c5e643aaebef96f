//! Finding keys, within the limits that ITU-T Q.24 lists for its administrations.
//!
//! How: every 10 ms the newest 20 ms under a Hann window, at the eight nominal frequencies (Goertzel 1958, with phase). Of
//! each group the strongest tone; its true frequency from the phase's advance since 10 ms before; with that its true level.
//! A window shows a key if both tones are near enough to their nominal frequencies, the twist is within +4/−8 dB, and the
//! two hold the window's energy. As these windows add up to one at each moment, the sum of a tone's levels over windows,
//! against its greatest, is its length: 30 ms are wanted, between what must be taken (40 ms) and what mustn't (23 ms).

use offhook_audio::{FRAME_SAMPLES, PcmFrame, SampleCount, SamplePos};

use super::{HIGH, KEYS, Key, LOW};
use crate::goertzel::{Bank, Phasor, atan2_turns, unit};
use crate::voice::math::cos_turns;

/// Samples from window to window.
const HOP: usize = FRAME_SAMPLES / 2;
/// Least amplitude of a tone: −48 dBov, −42 dBm0.
const LEAST_AMPLITUDE: f64 = 184.0;
/// The high tone may be 4 dB louder, or 8 dB softer, than the low one, and 1 dB for codecs and noise.
const TWIST_HIGH: f64 = 1.778;
const TWIST_LOW: f64 = 2.818;
/// From the nominal frequency, as a share: ±1.5 % and 2 Hz must be taken, ±3.5 % must not.
const DETUNED: f64 = 0.025;
/// Share of the window's energy that the two tones must hold; speech that imitates a key rarely does.
const PURITY: f64 = 0.82;
/// And of one window at least, which lies wholly within the key: noise may be 10 dB under each tone.
const PUREST: f64 = 0.94;
/// A tone must be so much above the other tones of its group.
const SELECTIVITY: f64 = 2.0;
/// Length of a key, and of the pause that ends it, in hops.
const LONG_ENOUGH: f64 = 3.0;
const PAUSE: f64 = 2.0;
/// Of a told key, a window with so much of its level has no part of a pause: keys sag, flutter, and lose a tone to a codec.
const STAYS: f64 = 0.45;
/// How fast the level that a pause is measured by follows the key's own, from window to window.
const FOLLOWS: f64 = 0.25;

/// Hann's window over 20 ms, shifted by half a sample so that two of them, half a window apart, add up to one.
static WINDOW: [f64; FRAME_SAMPLES] = {
    let mut window = [0.0; FRAME_SAMPLES];
    let mut n = 0;
    while n < FRAME_SAMPLES {
        window[n] = 0.5 - 0.5 * cos_turns((n as f64 + 0.5) / FRAME_SAMPLES as f64);
        n += 1;
    }
    window
};

const NOMINAL: [f64; 8] = {
    let mut all = [0.0; 8];
    let mut n = 0;
    while n < 8 {
        all[n] = if n < 4 { LOW[n] } else { HIGH[n - 4] };
        n += 1;
    }
    all
};

static BANK: Bank<8> = Bank::new(NOMINAL);

/// cos and sin of each nominal frequency's advance over a hop.
static ADVANCE: [Phasor; 8] = {
    let mut all = [(1.0, 0.0); 8];
    let mut n = 0;
    while n < 8 {
        all[n] = unit(NOMINAL[n] / 8_000.0 * HOP as f64);
        n += 1;
    }
    all
};

/// A key went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyDown {
    /// Which.
    pub key: Key,
    /// Where its tone begins, within 10 ms.
    pub at: SamplePos,
}

/// What one window shows.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    phasors: [Phasor; 8],
    /// The key that it shows: row, column.
    key: Option<(usize, usize)>,
    /// The share of its energy that the key's tones hold.
    purity: f64,
}

/// A key as it lasts.
#[derive(Clone, Copy, Debug)]
struct Held {
    place: (usize, usize),
    began: SamplePos,
    /// The greatest amplitude (of a told key the recent one) and the summed, by tone.
    most: [f64; 2],
    sum: [f64; 2],
    told: bool,
    /// The greatest share of energy so far.
    purity: f64,
    /// How much was missing lately, in hops.
    missing: f64,
}

/// Finds keys in a stream of frames. Two windows a frame; in silence nothing is computed.
#[derive(Clone, Debug)]
pub struct DtmfDetector {
    position: SamplePos,
    last: PcmFrame,
    before: Look,
    held: Option<Held>,
}

impl Default for DtmfDetector {
    fn default() -> Self {
        Self { position: SamplePos::ZERO, last: PcmFrame::SILENCE, before: Look::default(), held: None }
    }
}

impl DtmfDetector {
    /// Looks at the next frame; a key is told once, when it has lasted 30 ms.
    pub fn push(&mut self, frame: &PcmFrame) -> Option<KeyDown> {
        let start = self.position;
        self.position += SampleCount(FRAME_SAMPLES as u64);
        let mut across = PcmFrame::SILENCE;
        across.0[..HOP].copy_from_slice(&self.last.0[HOP..]);
        across.0[HOP..].copy_from_slice(&frame.0[..HOP]);
        self.last = *frame;
        let first = self.look(&across, start.back(SampleCount(HOP as u64)));
        let second = self.look(frame, start);
        first.or(second)
    }

    fn look(&mut self, window: &PcmFrame, at: SamplePos) -> Option<KeyDown> {
        let look = look(window, &self.before);
        let before = std::mem::replace(&mut self.before, look);
        if let Some(held) = &mut self.held {
            let (low, high) = amplitudes(&look, held.place);
            if held.told {
                held.stay([low, high]);
            } else {
                held.add([low, high]);
            }
            held.purity = held.purity.max(look.purity);
            let other = look.key.is_some_and(|place| place != held.place);
            // At full level a key looks like one; what only looked so at its edge is none.
            let none = !held.told && held.missing == 0.0 && look.key.is_none();
            if held.missing >= PAUSE || other || none {
                self.held = None;
            }
        }
        if let (None, Some(place)) = (&self.held, look.key) {
            let mut held = Held {
                place,
                began: at,
                most: [0.0; 2],
                sum: [0.0; 2],
                told: false,
                purity: look.purity,
                missing: 0.0,
            };
            // The window before has the tone's first part, though it couldn't show it as a key.
            let (low, high) = amplitudes(&before, place);
            let (low_now, high_now) = amplitudes(&look, place);
            held.most = [low_now, high_now];
            held.add([low.min(low_now), high.min(high_now)]);
            held.add([low_now, high_now]);
            self.held = Some(held);
        }
        let held = self.held.as_mut()?;
        // The last window counts only if it still shows the key: what comes in after a change isn't its length.
        if held.told || held.length() < LONG_ENOUGH || held.purity < PUREST {
            return None;
        }
        held.told = true;
        let (row, column) = held.place;
        Some(KeyDown { key: Key::new(*KEYS.get(row)?.get(column)?)?, at: held.began })
    }
}

impl Held {
    fn add(&mut self, amplitudes: [f64; 2]) {
        let mut share = 1.0f64;
        for (n, amplitude) in amplitudes.into_iter().enumerate() {
            self.most[n] = self.most[n].max(amplitude);
            self.sum[n] += amplitude;
            share = share.min(amplitude / self.most[n].max(1e-9));
        }
        self.missing = if share > 0.9 { 0.0 } else { self.missing + 1.0 - share };
    }

    /// A key that was told lasts until both tones are gone; its level may change as fast as a line's does.
    fn stay(&mut self, amplitudes: [f64; 2]) {
        let mut share = 0.0f64;
        for (most, amplitude) in self.most.iter().zip(amplitudes) {
            share = share.max(amplitude / most.max(1e-9));
        }
        if share < STAYS {
            self.missing += 1.0 - share;
            return;
        }
        self.missing = 0.0;
        for (most, amplitude) in self.most.iter_mut().zip(amplitudes) {
            *most += (amplitude - *most) * FOLLOWS;
        }
    }

    /// In hops, by the tone of which less was there.
    fn length(&self) -> f64 {
        (self.sum[0] / self.most[0]).min(self.sum[1] / self.most[1])
    }
}

fn amplitudes(look: &Look, (row, column): (usize, usize)) -> (f64, f64) {
    let of = |n: usize| look.phasors.get(n).map_or(0.0, |&(re, im)| (re * re + im * im).sqrt());
    (of(row), of(4 + column))
}

/// Looks at a window; `before` is the one a hop earlier.
fn look(window: &PcmFrame, before: &Look) -> Look {
    let mut weighted = [0.0; FRAME_SAMPLES];
    let mut energy = 0.0;
    for ((to, &sample), weight) in weighted.iter_mut().zip(&window.0).zip(&WINDOW) {
        *to = f64::from(sample) * weight;
        energy += *to * *to;
    }
    // Hann's window keeps ⅜ of a steady sound's energy.
    let energy = energy / (0.375 * FRAME_SAMPLES as f64);
    let mut look = Look::default();
    if energy < LEAST_AMPLITUDE * LEAST_AMPLITUDE * 0.5 {
        return look;
    }
    // Hann's window halves an amplitude, a sine's phasor holds half of it.
    let scale = 4.0 / FRAME_SAMPLES as f64;
    look.phasors = BANK.look(&weighted).map(|(re, im)| (re * scale, im * scale));
    if let Some((key, purity)) = find(&look.phasors, &before.phasors, energy) {
        (look.key, look.purity) = (Some(key), purity);
    }
    look
}

/// The key and its purity.
fn find(now: &[Phasor; 8], before: &[Phasor; 8], energy: f64) -> Option<((usize, usize), f64)> {
    let (row, low) = strongest(now, before, 0)?;
    let (column, high) = strongest(now, before, 4)?;
    let loud = low >= LEAST_AMPLITUDE && high >= LEAST_AMPLITUDE;
    let purity = (low * low + high * high) / 2.0 / energy;
    let twisted = high > low * TWIST_HIGH || low > high * TWIST_LOW;
    (loud && purity >= PURITY && !twisted).then_some(((row, column), purity))
}

/// The strongest of a group, if it stands out and is in tune: its index in the group and its true amplitude.
fn strongest(now: &[Phasor; 8], before: &[Phasor; 8], first: usize) -> Option<(usize, f64)> {
    let (mut best, mut most, mut second) = (first, 0.0, 0.0);
    for (n, &(re, im)) in now.iter().enumerate().skip(first).take(4) {
        let power = re * re + im * im;
        if power > most {
            second = most;
            (best, most) = (n, power);
        } else if power > second {
            second = power;
        }
    }
    if most < second * SELECTIVITY * SELECTIVITY {
        return None;
    }
    let (hz, &(c, s)) = (*NOMINAL.get(best)?, ADVANCE.get(best)?);
    let ((re, im), (re0, im0)) = (*now.get(best)?, *before.get(best)?);
    // The advance over the hop, beyond the nominal frequency's: now · conj(before · nominal).
    let (re0, im0) = (re0 * c - im0 * s, re0 * s + im0 * c);
    let off_turns = atan2_turns(im * re0 - re * im0, re * re0 + im * im0);
    let off_hz = off_turns * 8_000.0 / HOP as f64;
    if off_hz.abs() > hz * DETUNED {
        return None;
    }
    // What Hann's window loses so far from its middle: sinc(d) ÷ (1 − d²), by its series; d in bins of 50 Hz.
    let d2 = (off_hz / (8_000.0 / FRAME_SAMPLES as f64)).powi(2);
    let kept = 1.0 - d2 * (0.6449 - d2 * (0.1668 - d2 * 0.0239));
    Some((best - first, most.sqrt() / kept))
}
