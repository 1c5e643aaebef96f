//! What the detector sees of 20 ms: a few dozen numbers that don't depend on how loud the line is.
//!
//! How: the power spectrum of the newest 40 ms (Hann, 512 points) in bands that widen as the ear's do, from 220 to
//! 3 750 Hz. Each band over its own noise floor, and against the mean of all bands: shape without level. Beside them
//! how periodic the frame is (a generalised autocorrelation, of the spectrum's magnitude: Tolonen & Karjalainen, 2000),
//! how steady its pitch is, how peaked and how flat the spectrum is, how much it changes, and how the level stands
//! between the line's floor and its newest peak.

use offhook_audio::{FRAME_SAMPLES, PcmFrame};

use super::correlation::{BINS, correlate};
use super::fft::{Buffer, POINTS, power_of_real};
use super::math::{cos_turns, log2};

/// Bands of the spectrum.
const BANDS: usize = 18;
/// First bins of the bands (15.625 Hz each), and the bin after the last.
const EDGES: [usize; BANDS + 1] =
    [14, 20, 26, 32, 38, 45, 52, 60, 69, 79, 90, 102, 116, 131, 148, 167, 188, 212, 240];
/// Features of a frame.
pub const FEATURES: usize = 2 * BANDS + 12;

const WINDOW: usize = 2 * FRAME_SAMPLES;

/// The symmetric Hann window over 40 ms: for even samples, and for odd ones.
static HANN: [[f32; FRAME_SAMPLES]; 2] = hann();

const fn hann() -> [[f32; FRAME_SAMPLES]; 2] {
    let mut window = [[0.0; FRAME_SAMPLES]; 2];
    let mut n = 0;
    while n < WINDOW {
        window[n % 2][n / 2] = (0.5 - 0.5 * cos_turns((n as f64 + 0.5) / WINDOW as f64)) as f32;
        n += 1;
    }
    window
}

/// Added to a band's mean power before the logarithm: what the codec's smallest steps amount to. Under it all is silence.
const LEAST_POWER: f32 = 160.0;
/// A stream that begins louder, some −51 dBov of white noise, may begin with a voice: its floors begin here.
const LOUDEST_START: f32 = 20.0;
/// In louder noise a calm can't be told from far talkers.
const LOUDEST_CALM: f32 = 24.0;
/// Lags of the autocorrelation, in steps of 250 µs: pitches of 400 down to 69 Hz, in three registers.
const REGISTERS: [(usize, usize); 3] = [(10, 16), (16, 28), (28, 59)];
/// Bins that tell of pitch: 250 Hz and up, to 2 000 Hz.
const PITCH_FROM: usize = 16;

/// Makes features of a stream of frames.
#[derive(Clone, Debug)]
pub struct Features {
    last: [i16; FRAME_SAMPLES],
    bands: [f32; BANDS],
    floors: [f32; BANDS],
    /// Level's floor and peak, in powers of two.
    floor: f32,
    peak: f32,
    level: f32,
    lag: f32,
    started: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            last: [0; FRAME_SAMPLES],
            bands: [0.0; BANDS],
            floors: [0.0; BANDS],
            floor: 0.0,
            peak: 0.0,
            level: 0.0,
            lag: 0.0,
            started: false,
        }
    }
}

/// A floor falls to a lower value in some 60 ms and rises by 4 dB a second at most.
#[inline(always)]
fn track_floor(floor: &mut f32, now: f32) {
    let over = now - *floor;
    *floor += if over < 0.0 { 0.3 * over } else { (0.02 * over).min(0.027) };
}

impl Features {
    /// The features of the next frame.
    #[inline(always)]
    #[must_use]
    pub fn push(&mut self, frame: &PcmFrame) -> [f32; FEATURES] {
        let (mut even, mut odd, mut power): (Buffer, Buffer, _) =
            ([0.0; POINTS], [0.0; POINTS], [0.0; POINTS + 1]);
        for n in 0..FRAME_SAMPLES / 2 {
            even[n] = f32::from(self.last[2 * n]) * HANN[0][n];
            odd[n] = f32::from(self.last[2 * n + 1]) * HANN[1][n];
            let m = FRAME_SAMPLES / 2 + n;
            even[m] = f32::from(frame.0[2 * n]) * HANN[0][m];
            odd[m] = f32::from(frame.0[2 * n + 1]) * HANN[1][m];
        }
        self.last = frame.0;
        power_of_real(&mut even, &mut odd, &mut power);
        let mut features = [0.0; FEATURES];
        let (shape, rest) = features.split_at_mut(2 * BANDS);
        let flux = self.look_at_bands(&power, shape);
        rest[0] = flux.0;
        rest[1] = flux.1;
        self.look_at_level(&power, &mut rest[2..6]);
        look_at_peaks(&power, &mut rest[6..8]);
        self.look_at_pitch(&power, &mut rest[8..12]);
        self.started = true;
        features
    }

    /// The newest frame is within 6 dB of the floor, and the floor under some −39 dBov.
    #[inline(always)]
    pub(crate) fn is_steady(&self) -> bool {
        self.level < self.floor + 2.0 && self.floor < LOUDEST_CALM
    }

    /// Brings the peak nearer to the floor, by this share of their distance.
    #[inline(always)]
    pub(crate) fn lower_peak(&mut self, share: f32) {
        self.peak += share * (self.floor - self.peak);
    }

    /// Bands over their floors and against their mean. Gives how much they rose, and how much they changed.
    #[inline(always)]
    fn look_at_bands(&mut self, power: &[f32; POINTS + 1], out: &mut [f32]) -> (f32, f32) {
        let mut bands = [0.0; BANDS];
        for (band, edges) in bands.iter_mut().zip(EDGES.windows(2)) {
            let bins = &power[edges[0]..edges[1]];
            *band = sum(bins) / bins.len() as f32;
        }
        for band in &mut bands {
            *band = log2(*band + LEAST_POWER);
        }
        let mean = sum(&bands) / BANDS as f32;
        if !self.started {
            self.floors = bands.map(|band| band.min(LOUDEST_START));
            self.bands = bands;
        }
        let (mut rise, mut change) = (0.0, 0.0);
        for b in 0..BANDS {
            track_floor(&mut self.floors[b], bands[b]);
            out[b] = ((bands[b] - self.floors[b]) * 0.2).clamp(-1.0, 2.0);
            out[BANDS + b] = (bands[b] - mean) * 0.25;
            let step = bands[b] - self.bands[b];
            rise += step.clamp(0.0, 4.0) / BANDS as f32;
            change += step.abs().min(4.0) / BANDS as f32;
        }
        self.bands = bands;
        (rise, change)
    }

    /// The level over its floor, under its newest peak, and how far these are apart; and the share of the lower bands.
    #[inline(always)]
    fn look_at_level(&mut self, power: &[f32; POINTS + 1], out: &mut [f32]) {
        let low = sum(&power[EDGES[0]..EDGES[8]]);
        let high = sum(&power[EDGES[8]..EDGES[BANDS]]);
        let level = log2((low + high) / 226.0 + LEAST_POWER);
        if !self.started {
            self.floor = level.min(LOUDEST_START);
            self.peak = level;
        }
        self.level = level;
        track_floor(&mut self.floor, level);
        // The peak falls by 3 dB a second.
        self.peak = (self.peak - 0.02).max(level);
        out[0] = ((level - self.floor) * 0.2).clamp(-1.0, 2.0);
        out[1] = ((level - self.peak) * 0.2).max(-2.0);
        out[2] = ((self.peak - self.floor) * 0.15).clamp(0.0, 2.0);
        out[3] = (log2((low + LEAST_POWER) / (high + LEAST_POWER)) * 0.2).clamp(-2.0, 2.0);
    }

    /// Periodicity in three registers of pitch, and how far the pitch has moved.
    #[inline(always)]
    fn look_at_pitch(&mut self, power: &[f32; POINTS + 1], out: &mut [f32]) {
        let mut magnitudes = [0.0; BINS];
        for (magnitude, power) in magnitudes[PITCH_FROM..].iter_mut().zip(&power[PITCH_FROM..]) {
            *magnitude = power.sqrt();
        }
        let (whole, correlation) = correlate(&magnitudes);
        let whole = whole + 20.0;
        let mut best = (0.0, 0);
        for (out, (from, until)) in out.iter_mut().zip(REGISTERS) {
            let mut most = (-whole, 0);
            for (lag, &r) in correlation.iter().enumerate().take(until).skip(from) {
                if r > most.0 {
                    most = (r, lag);
                }
            }
            if most.0 > best.0 {
                best = most;
            }
            *out = most.0 / whole * 2.0;
        }
        let lag = log2(best.1.max(1) as f32);
        out[3] = ((lag - self.lag).abs() * 2.0).min(2.0);
        self.lag = lag;
    }
}

/// How far the greatest bin stands over the mean, and how flat the spectrum is (geometric over arithmetic mean).
#[inline(always)]
fn look_at_peaks(power: &[f32; POINTS + 1], out: &mut [f32]) {
    let bins = &power[EDGES[0]..EDGES[BANDS]];
    let mean = log2(sum(bins) / bins.len() as f32 + LEAST_POWER);
    let mut logs = [0.0; EDGES[BANDS] - EDGES[0]];
    for (log, &bin) in logs.iter_mut().zip(bins) {
        *log = log2(bin + LEAST_POWER);
    }
    let mut greatest = [0.0; STRANDS];
    for eight in bins.as_chunks::<STRANDS>().0 {
        for (most, &bin) in greatest.iter_mut().zip(eight) {
            *most = if bin > *most { bin } else { *most };
        }
    }
    let rest = bins.as_chunks::<STRANDS>().1;
    let most = greatest.iter().chain(rest).fold(0.0, |most, &bin| if bin > most { bin } else { most });
    out[0] = (log2(most + LEAST_POWER) - mean) * 0.2;
    out[1] = (sum(&logs) / logs.len() as f32 - mean) * 0.2;
}

/// Numbers that are added up side by side.
const STRANDS: usize = 8;

/// A sum in strands, always the same ones, so that it may run in SIMD without changing its result.
#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let (eights, rest) = values.as_chunks::<STRANDS>();
    let mut strands = [0.0f32; STRANDS];
    for eight in eights {
        for (strand, value) in strands.iter_mut().zip(eight) {
            *strand += value;
        }
    }
    let fours = [0, 1, 2, 3].map(|n| strands[n] + strands[n + 4]);
    let mut whole = (fours[0] + fours[2]) + (fours[1] + fours[3]);
    for value in rest {
        whole += value;
    }
    whole
}
