//! The filters: one table per pair of rates, designed at first use, shared by all calls.
//!
//! A conversion by L/M is thought of as: put L − 1 zeros after each input, pass the band below 4 kHz, keep each M-th
//! sample. The low-pass is a sinc under a Kaiser window (Oppenheim & Schafer, "Discrete-Time Signal Processing",
//! ch. 4.6 and 7.5), cut into L phases, so that zeros are never multiplied nor dropped samples computed.
//!
//! The design uses only additions, multiplications, divisions and rounding, which IEEE 754 fixes to the bit, and none of
//! the platform's sine, root or power, which it doesn't: tables are the same on every machine. A test pins them.

use std::sync::OnceLock;

use offhook_audio::SampleRate;

/// Kaiser's β. 75 dB of stop-band in theory; rounding the coefficients leaves a little over 70.
const BETA: f64 = 7.2;
/// Length of the filter in ms: half of it is the delay. With β it makes the slope 1 200 Hz wide, from 3 400 Hz, where
/// the telephone band ends, to 4 600 Hz, where its image begins.
const LENGTH_MS: usize = 4;
/// Middle of the slope, −6 dB: at half of 8 kHz the filter is symmetric, and on the way up inputs stay as they are.
const CUT_HZ: usize = 4_000;

/// A polyphase low-pass for the ratio `up / down`.
#[derive(Debug)]
pub(crate) struct Table {
    /// L: phases, outputs per `down` inputs.
    pub(crate) up: usize,
    /// M.
    pub(crate) down: usize,
    /// Inputs that an output depends on: a multiple of 8.
    pub(crate) taps: usize,
    /// The sum of a phase's coefficients, its gain at DC, as a power of two: 15, where coefficients and sums allow it. On
    /// the way up they don't: one coefficient is 1, and the magnitudes of a phase between two inputs add up to over 2.
    pub(crate) gain_bits: u32,
    /// `up` phases of `taps` coefficients in units of 2^−`gain_bits`, the oldest input's first.
    pub(crate) coefficients: Vec<i16>,
}

impl Table {
    fn new(up: usize, down: usize, from_hz: usize) -> Self {
        // A multiple of eight inputs, so that the vector unit has no remainder.
        let taps = (LENGTH_MS * from_hz / 1_000).next_multiple_of(8);
        let middle = taps / 2 * up;
        // The window ends with the filter; its sides are equal, so only one is computed.
        let side: Vec<f64> = (0..=middle)
            .map(|distance| {
                let u = distance as f64 / middle as f64;
                sinc(2 * CUT_HZ * distance, from_hz * up) * bessel_i0(BETA * BETA / 4.0 * (1.0 - u * u))
            })
            .collect();
        let gain_bits = if up > down { 14 } else { 15 };
        let mut coefficients = Vec::with_capacity(taps * up);
        for phase in 0..up {
            // The newest input is `phase` steps old, the one before it `up` more, and so on.
            let row = (0..taps).rev().map(|age| side[(phase + age * up).abs_diff(middle)]);
            coefficients.extend(round_to_sum(row, 1 << gain_bits));
        }
        Self { up, down, taps, gain_bits, coefficients }
    }
}

/// Scales a phase to a sum and rounds it, by the method of largest remainders: every phase has exactly the same gain at
/// DC, and no coefficient is off by more than one unit.
fn round_to_sum(row: impl Iterator<Item = f64> + Clone, sum: i32) -> Vec<i16> {
    let scale = f64::from(sum) / row.clone().sum::<f64>();
    let exact: Vec<f64> = row.map(|coefficient| coefficient * scale).collect();
    let mut rounded: Vec<i16> = exact.iter().map(|value| value.floor() as i16).collect();
    let missing = sum - rounded.iter().map(|&value| i32::from(value)).sum::<i32>();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|&a, &b| (exact[b] - exact[b].floor()).total_cmp(&(exact[a] - exact[a].floor())));
    for &index in order.iter().take(usize::try_from(missing).unwrap_or(0)) {
        rounded[index] += 1;
    }
    rounded
}

/// sin(πx)/(πx) at x = `numerator / denominator`.
fn sinc(numerator: usize, denominator: usize) -> f64 {
    if numerator == 0 {
        return 1.0;
    }
    // To the nearest whole number, where the sine is 0, in whole numbers: nothing is lost far from the middle.
    let whole = (numerator + denominator / 2) / denominator;
    let rest = (numerator as f64 - (whole * denominator) as f64) / denominator as f64;
    let (x, mut sum) = (std::f64::consts::PI * rest, 1.0);
    // Taylor's series from its far end: to 11 digits, as |x| ≤ π/2.
    for k in (1..=8).rev() {
        sum = 1.0 - x * x / f64::from(2 * k * (2 * k + 1)) * sum;
    }
    let sine = if whole.is_multiple_of(2) { x * sum } else { -x * sum };
    sine * denominator as f64 / (std::f64::consts::PI * numerator as f64)
}

/// The modified Bessel function of the first kind and order zero, of twice the square root of its argument, by its
/// series: to 11 digits up to β.
fn bessel_i0(quarter_square: f64) -> f64 {
    (1..=16).rev().fold(1.0, |sum, k| 1.0 + quarter_square / f64::from(k * k) * sum)
}

/// The table for a pair of rates, if there is one. Made by the first who asks, in less than a millisecond.
pub(crate) fn table(from: SampleRate, to: SampleRate) -> Option<&'static Table> {
    static TABLES: [OnceLock<Table>; 10] = [const { OnceLock::new() }; 10];
    // Rate, and its ratio to 8 kHz in lowest terms.
    const RATES: [(u32, usize, usize); 5] =
        [(16_000, 2, 1), (22_050, 441, 160), (24_000, 3, 1), (44_100, 441, 80), (48_000, 6, 1)];
    let (index, &(hz, high, low)) =
        RATES.iter().enumerate().find(|(_, (hz, ..))| from.hz().max(to.hz()) == *hz)?;
    match (from.hz(), to.hz()) {
        (8_000, _) => Some(TABLES.get(index)?.get_or_init(|| Table::new(high, low, 8_000))),
        (_, 8_000) => Some(TABLES.get(index + 5)?.get_or_init(|| Table::new(low, high, hz as usize))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> impl Iterator<Item = &'static Table> {
        [16_000, 22_050, 24_000, 44_100, 48_000].into_iter().flat_map(|hz| {
            let (low, high) = (SampleRate::HZ_8000, SampleRate::new(hz).unwrap());
            [table(low, high).unwrap(), table(high, low).unwrap()]
        })
    }

    #[test]
    fn sums_fit_into_32_bits_whatever_comes_in() {
        for table in tables() {
            for row in table.coefficients.chunks(table.taps) {
                let magnitudes: i64 = row.iter().map(|&c| i64::from(c).abs()).sum();
                assert!(
                    magnitudes * 32_768 + (1 << (table.gain_bits - 1)) <= i64::from(i32::MAX),
                    "{magnitudes}"
                );
            }
        }
    }

    #[test]
    fn all_phases_have_unity_gain_at_dc() {
        for table in tables() {
            for row in table.coefficients.chunks(table.taps) {
                assert_eq!(row.iter().map(|&c| i32::from(c)).sum::<i32>(), 1 << table.gain_bits);
            }
        }
    }

    #[test]
    fn on_the_way_up_an_input_that_falls_on_an_output_stays_as_it_is() {
        for table in tables().filter(|table| table.up > table.down) {
            let first = &table.coefficients[..table.taps];
            let middle = first.iter().position(|&c| c == 1 << table.gain_bits).unwrap();
            assert_eq!(middle, table.taps / 2 - 1);
            assert!(first.iter().enumerate().all(|(n, &c)| n == middle || c == 0));
        }
    }

    #[test]
    fn tables_are_the_same_on_every_machine() {
        // FNV-1a over all coefficients. A new figure means that every conversion sounds different, by a little.
        let hash = tables()
            .flat_map(|table| &table.coefficients)
            .flat_map(|c| c.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, octet| {
                (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
            });
        assert_eq!(format!("{hash:016x}"), "2904f085fb967ff2");
    }
}
