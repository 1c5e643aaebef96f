//! What of the sound lies where dial, ringback, busy and congestion tones do, and whether it is one or two steady tones.
//!
//! How: a complex band-pass at 335–635 Hz (128 taps, Hann's window over a sinc; Oppenheim & Schafer, ch. 7), of which every 16th
//! sample is kept; of the newest 80 ms of that, under Hann's window, the spectrum every 10 Hz. 80 ms tell tones 40 Hz apart
//! (440 and 480). A peak's frequency is that of the parabola through its bin and the two beside it.

use offhook_audio::PcmFrame;

use crate::goertzel::unit;

const DECIMATION: usize = 16;
/// Decimated samples of a frame.
const STEPS: usize = 10;
const TAPS: usize = 128;
const CENTRE_HZ: f64 = 485.0;
/// Where the filter has lost half: it is flat 150 Hz from the centre and closed from 340 Hz on, from where sound would alias.
const HALF_HZ: f64 = 245.0;
/// Decimated samples of the spectrum's window: 80 ms.
const WINDOW: usize = 40;
/// The filter's delay in decimated samples.
const DELAY: usize = 4;
const HISTORY: usize = WINDOW + DELAY;
const FIRST_HZ: f32 = 320.0;
const STEP_HZ: f32 = 10.0;
/// Bins from 320 to 670 Hz; the outermost are there for the parabola.
pub(super) const BINS: usize = 36;
/// From the middle of the spectrum's window to the newest sample.
pub(super) const LATE: u64 = (TAPS / 2 + WINDOW * DECIMATION / 2) as u64;
/// A frame's mean square under which nothing is looked for: −50 dBov.
const STILL: f32 = 10_737.0;

/// The filter's taps, cos and sin parts, of gain 2 so that a sine of amplitude A becomes a phasor of length A.
static FILTER: [[f32; 2]; TAPS] = {
    let mut taps = [[0.0; 2]; TAPS];
    let mut low_pass = [0.0; TAPS];
    let mut sum = 0.0;
    let mut n = 0;
    while n < TAPS {
        let middle = n as f64 - (TAPS as f64 - 1.0) / 2.0;
        let turns = middle * HALF_HZ / 8_000.0;
        let sine = if turns < 0.0 { -unit(-turns).1 } else { unit(turns).1 };
        let hann = 0.5 - 0.5 * unit((n as f64 + 0.5) / TAPS as f64).0;
        low_pass[n] = sine / middle * hann;
        sum += low_pass[n];
        n += 1;
    }
    n = 0;
    while n < TAPS {
        let (cos, sin) = unit(n as f64 * CENTRE_HZ / 8_000.0);
        taps[n] = [(2.0 * low_pass[n] / sum * cos) as f32, (-2.0 * low_pass[n] / sum * sin) as f32];
        n += 1;
    }
    taps
};

static HANN: [f32; WINDOW] = {
    let mut window = [0.0; WINDOW];
    let mut n = 0;
    while n < WINDOW {
        window[n] = (0.5 - 0.5 * unit((n as f64 + 0.5) / WINDOW as f64).0) as f32;
        n += 1;
    }
    window
};
/// Sums of the window and of its square: ½ and ⅜ of its length.
const SUM: f32 = 0.5 * WINDOW as f32;
const SQUARE_SUM: f32 = 0.375 * WINDOW as f32;

/// cos and sin of each bin at each decimated sample.
static ROTATION: [[[f32; BINS]; 2]; WINDOW] = {
    let mut table = [[[0.0; BINS]; 2]; WINDOW];
    let mut n = 0;
    while n < WINDOW {
        let mut bin = 0;
        while bin < BINS {
            let hz = FIRST_HZ as f64 + bin as f64 * STEP_HZ as f64;
            let (cos, sin) = unit(hz * (n * DECIMATION) as f64 / 8_000.0);
            table[n][0][bin] = cos as f32;
            table[n][1][bin] = sin as f32;
            bin += 1;
        }
        n += 1;
    }
    table
};

/// A tone in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Peak {
    pub(super) hz: f32,
    /// Mean square of its sine, in the same unit as samples squared.
    pub(super) power: f32,
}

/// What the newest 80 ms show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Power by bin.
    powers: [f32; BINS],
    /// The strongest tone and the next, 25 Hz or more beside it.
    pub(super) peaks: [Peak; 2],
    /// Mean square of the whole sound, all frequencies.
    pub(super) whole: f32,
}

impl Default for Look {
    fn default() -> Self {
        Self { powers: [0.0; BINS], peaks: [Peak::default(); 2], whole: 0.0 }
    }
}

impl Look {
    /// Power near a frequency, whatever the peaks are.
    pub(super) fn power_at(&self, hz: f32) -> f32 {
        let bin = ((hz - FIRST_HZ) / STEP_HZ + 0.5) as usize;
        self.powers.get(bin).copied().unwrap_or(0.0)
    }
}

/// The band's filter and its window.
#[derive(Clone, Debug)]
pub(super) struct Band {
    /// The newest samples, oldest first.
    samples: [f32; TAPS - DECIMATION],
    /// The filter's output and the sound's mean square per step, newest last.
    band: [[f32; 2]; HISTORY],
    energies: [f32; HISTORY],
}

impl Default for Band {
    fn default() -> Self {
        Self { samples: [0.0; TAPS - DECIMATION], band: [[0.0; 2]; HISTORY], energies: [0.0; HISTORY] }
    }
}

impl Band {
    /// Takes a frame; looks at the newest window. `always` also when little of the sound lies in the band.
    pub(super) fn push(&mut self, frame: &PcmFrame, always: bool) -> Look {
        const OLD: usize = TAPS - DECIMATION;
        let mut line = [0.0; OLD + 160];
        line[..OLD].copy_from_slice(&self.samples);
        for (to, &sample) in line[OLD..].iter_mut().zip(&frame.0) {
            *to = f32::from(sample);
        }
        self.samples.copy_from_slice(&line[160..]);
        self.band.copy_within(STEPS.., 0);
        self.energies.copy_within(STEPS.., 0);
        let newest = self.band.iter_mut().zip(&mut self.energies).skip(HISTORY - STEPS);
        for ((band, energy), from) in newest.zip((0..).step_by(DECIMATION)) {
            let window = line.get(from..from + TAPS).unwrap_or(&line[..TAPS]);
            *band = filter(window);
            *energy = window[OLD..].iter().map(|x| x * x).sum::<f32>() / DECIMATION as f32;
        }
        self.look(always)
    }

    fn look(&self, always: bool) -> Look {
        let mut weighted = [[0.0; 2]; WINDOW];
        let (mut in_band, mut whole) = (0.0, 0.0);
        let band = &self.band[DELAY..];
        for ((to, from), (energy, weight)) in
            weighted.iter_mut().zip(band).zip(self.energies.iter().zip(&HANN))
        {
            *to = from.map(|part| part * weight);
            in_band += to[0] * to[0] + to[1] * to[1];
            whole += energy * weight * weight;
        }
        let (in_band, whole) = (in_band / (2.0 * SQUARE_SUM), whole / SQUARE_SUM);
        let mut look = Look { whole, ..Look::default() };
        if whole < STILL || (in_band < 0.4 * whole && !always) {
            return look;
        }
        let (mut re, mut im) = ([0.0f32; BINS], [0.0f32; BINS]);
        for (&[x, y], [cos, sin]) in weighted.iter().zip(&ROTATION) {
            for bin in 0..BINS {
                re[bin] += x * cos[bin] + y * sin[bin];
                im[bin] += y * cos[bin] - x * sin[bin];
            }
        }
        for ((power, re), im) in look.powers.iter_mut().zip(re).zip(im) {
            *power = (re * re + im * im) / (2.0 * SUM * SUM);
        }
        look.peaks = peaks(&look.powers);
        look
    }
}

/// One decimated sample; four partial sums, in a fixed order, so that the vector unit can be used.
fn filter(window: &[f32]) -> [f32; 2] {
    let (mut re, mut im) = ([0.0f32; 4], [0.0f32; 4]);
    for (samples, taps) in window.chunks_exact(4).zip(FILTER.chunks_exact(4)) {
        for lane in 0..4 {
            re[lane] += samples[lane] * taps[lane][0];
            im[lane] += samples[lane] * taps[lane][1];
        }
    }
    [(re[0] + re[2]) + (re[1] + re[3]), (im[0] + im[2]) + (im[1] + im[3])]
}

fn peaks(powers: &[f32; BINS]) -> [Peak; 2] {
    let mut found = [Peak::default(); 2];
    for which in 0..2 {
        let first = found[0];
        let mut best = Peak::default();
        for (bin, around) in powers.windows(3).enumerate() {
            let &[before, here, after] = around else { continue };
            if here < before || here < after || here <= best.power {
                continue;
            }
            // The parabola through the three amplitudes.
            let [a, b, c] = [before.sqrt(), here.sqrt(), after.sqrt()];
            let bend = a - 2.0 * b + c;
            let off = if bend < 0.0 { 0.5 * (a - c) / bend } else { 0.0 };
            let hz = FIRST_HZ + (bin as f32 + 1.0 + off) * STEP_HZ;
            if which == 1 && (hz - first.hz).abs() < 25.0 {
                continue;
            }
            let top = b - 0.25 * (a - c) * off;
            best = Peak { hz, power: top * top };
        }
        found[which] = best;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(tones: &[(f64, f64)]) -> Look {
        let mut band = Band::default();
        let mut look = Look::default();
        for index in 0..8 {
            let mut frame = PcmFrame::SILENCE;
            for (n, sample) in frame.0.iter_mut().enumerate() {
                let t = f64::from(index * 160 + n as i32) / 8_000.0;
                let sum: f64 = tones.iter().map(|(hz, a)| a * (std::f64::consts::TAU * hz * t).sin()).sum();
                *sample = sum as i16;
            }
            look = band.push(&frame, true);
        }
        look
    }

    #[test]
    fn measures_frequency_and_power() {
        for hz in [345.0, 352.3, 400.0, 425.0, 437.5, 480.0, 611.0, 628.0] {
            let look = look(&[(hz, 8_000.0)]);
            assert!((f64::from(look.peaks[0].hz) - hz).abs() < 1.0, "{hz}: {:?}", look.peaks);
            assert!((look.peaks[0].power / 32e6 - 1.0).abs() < 0.08, "{hz}: {:?}", look.peaks);
            assert!((look.whole / 32e6 - 1.0).abs() < 0.02, "{hz}: {}", look.whole);
            assert!(look.peaks[1].power < 0.01 * look.peaks[0].power, "{hz}: {:?}", look.peaks);
        }
        for pair in [(440.0, 480.0), (350.0, 440.0), (480.0, 620.0), (400.0, 450.0)] {
            let mut peaks = look(&[(pair.0, 5_000.0), (pair.1, 4_000.0)]).peaks;
            peaks.sort_by(|a, b| a.hz.total_cmp(&b.hz));
            assert!((f64::from(peaks[0].hz) - pair.0).abs() < 2.5, "{peaks:?}");
            assert!((f64::from(peaks[1].hz) - pair.1).abs() < 2.5, "{peaks:?}");
            assert!((peaks[0].power / 12.5e6 - 1.0).abs() < 0.1, "{peaks:?}");
        }
    }

    #[test]
    fn what_lies_outside_stays_outside() {
        for hz in [60.0, 120.0, 850.0, 1_000.0, 1_485.0, 2_400.0, 3_300.0] {
            let look = look(&[(hz, 8_000.0)]);
            assert!(look.peaks[0].power < 2e-4 * look.whole, "{hz}: {:?}", look.peaks);
        }
    }
}
