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

/// Kaiser's β. 98 dB of stop-band in theory, about what 16-bit samples can show.
pub(crate) const BETA: f64 = 9.8;
/// Middle of the slope, −6 dB: at half of 8 kHz the filter is symmetric, and on the way up inputs stay as they are. With β and
/// the length the slope is 1 200 Hz wide: from 3 400 Hz, where the telephone band ends, to 4 600 Hz, where its image begins.
const CUT_HZ: usize = 4_000;
/// What the fine coefficients are finer by, as a power of two.
pub(crate) const FINE_BITS: u32 = 8;
/// The sum of a phase's coefficients, its gain at DC, as a power of two. One coefficient may be 1, and the magnitudes of a phase
/// add up to over 2: so much fits.
pub(crate) const GAIN_BITS: u32 = 14;

/// A polyphase low-pass for the ratio `up / down`.
///
/// 16 bits are too coarse for its coefficients by some 25 dB. But only those in the middle are large. So the outer ones are kept in
/// smaller units, and each of the inner ones in two parts; three sums are put together at the end.
#[derive(Debug)]
pub(crate) struct Table {
    /// L: phases, outputs per `down` inputs.
    pub(crate) up: usize,
    /// M.
    pub(crate) down: usize,
    /// Inputs that an output depends on: a multiple of 16, half of which is the delay.
    pub(crate) taps: usize,
    /// Inputs in the middle that have two coefficients: a multiple of 16.
    #[cfg_attr(not(test), expect(dead_code, reason = "the filter's code is made for each length"))]
    pub(crate) inner: usize,
    /// How much smaller the outer coefficients' units are, as a power of two.
    pub(crate) outer_bits: u32,
    /// `up` phases of `taps` coefficients, in the order in which outputs take them, the oldest input's first: the inner
    /// ones in units of 2^−[`GAIN_BITS`], the outer ones in 2^−([`GAIN_BITS`] + `outer_bits`).
    pub(crate) coarse: Vec<i16>,
    /// `up` phases of `inner` coefficients in units of 2^−([`GAIN_BITS`] + [`FINE_BITS`]), to be added to the inner ones.
    pub(crate) fine: Vec<i16>,
}

/// Taps by the rate that comes in, and how many of them are inner ones. 5 to 6 ms long.
const LENGTHS: [(usize, usize, usize); 6] = [
    (8_000, 48, 16),
    (16_000, 96, 32),
    (22_050, 128, 32),
    (24_000, 128, 32),
    (44_100, 240, 48),
    (48_000, 256, 32),
];

impl Table {
    fn new(up: usize, down: usize, from_hz: usize) -> Self {
        let (_, taps, inner) = LENGTHS.into_iter().find(|(hz, ..)| *hz == from_hz).unwrap_or((
            from_hz,
            from_hz / 3_200 * 16,
            16,
        ));
        let middle = taps / 2 * up;
        // The window ends with the filter; its sides are equal, so only one is computed.
        let side: Vec<f64> = (0..=middle)
            .map(|distance| {
                let u = distance as f64 / middle as f64;
                sinc(2 * CUT_HZ * distance, from_hz * up) * bessel_i0(BETA * BETA / 4.0 * (1.0 - u * u))
            })
            .collect();
        // In the order in which outputs take them, so that memory is read straight on.
        let rows: Vec<Vec<f64>> = (0..up)
            .map(|output| output * down % up)
            .map(|phase| {
                // The newest input is `phase` steps old, the one before it `up` more, and so on.
                let row: Vec<f64> =
                    (0..taps).rev().map(|age| side[(phase + age * up).abs_diff(middle)]).collect();
                let scale = f64::from(1 << GAIN_BITS) / row.iter().sum::<f64>();
                row.into_iter().map(|coefficient| coefficient * scale).collect()
            })
            .collect();
        let is_outer = |n: usize| n < (taps - inner) / 2 || n >= (taps + inner) / 2;
        let outer_bits = outer_bits(&rows, is_outer);
        let mut table = Self {
            up,
            down,
            taps,
            inner,
            outer_bits,
            coarse: Vec::with_capacity(taps * up),
            fine: Vec::with_capacity(inner * up),
        };
        for row in rows {
            table.add_row(&row, is_outer);
        }
        table
    }

    /// Rounds a phase. Its sum, in the fine unit, is exactly its gain: every phase has the same at DC.
    fn add_row(&mut self, row: &[f64], is_outer: impl Fn(usize) -> bool) {
        let fine_unit = f64::from(1 << FINE_BITS);
        // What is still missing of the gain, in the smallest unit of all.
        let unit_bits = FINE_BITS.max(self.outer_bits);
        let mut missing = 1i64 << (GAIN_BITS + unit_bits);
        let mut inner = Vec::new();
        for (n, &exact) in row.iter().enumerate() {
            if is_outer(n) {
                let rounded = (exact * f64::from(1 << self.outer_bits)).round() as i16;
                missing -= i64::from(rounded) << (unit_bits - self.outer_bits);
                self.coarse.push(rounded);
            } else {
                let whole = exact.round();
                let rest = ((exact - whole) * fine_unit).round();
                missing -= ((whole * fine_unit + rest) as i64) << (unit_bits - FINE_BITS);
                inner.push(rest as i16);
                self.coarse.push(whole as i16);
            }
        }
        // By rounding, a few units are too many or too few: those in the middle take them, one each and round about.
        let count = inner.len();
        let mut units = missing >> (unit_bits - FINE_BITS);
        let mut at = count / 2;
        while units != 0 {
            if let Some(rest) = inner.get_mut(at % count) {
                *rest += units.signum() as i16;
            }
            units -= units.signum();
            at += 5;
        }
        self.fine.extend(inner);
    }
}

/// The smallest unit in which the outer coefficients fit 16 bits, and an eighth of their sum of products 32.
fn outer_bits(rows: &[Vec<f64>], is_outer: impl Fn(usize) -> bool) -> u32 {
    let (mut most, mut lane) = (1.0f64, 1.0f64);
    for row in rows {
        let mut lanes = [0.0; 8];
        for (n, coefficient) in row.iter().enumerate().filter(|(n, _)| is_outer(*n)) {
            most = most.max(coefficient.abs());
            lanes[n % 16 / 2] += coefficient.abs();
        }
        lane = lanes.into_iter().fold(lane, f64::max);
    }
    (0..=8)
        .rev()
        .find(|bits| {
            let unit = f64::from(1 << bits);
            most * unit < 32_000.0 && lane * unit < 60_000.0
        })
        .unwrap_or(0)
}

/// sin(πx)/(πx) at x = `numerator / denominator`.
pub(crate) fn sinc(numerator: usize, denominator: usize) -> f64 {
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
pub(crate) fn bessel_i0(quarter_square: f64) -> f64 {
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
        let fits = |sum: i64| assert!(sum * 32_768 + 16_384 <= i64::from(i32::MAX), "{sum}");
        let lanes = |row: &[i16]| -> Vec<i64> {
            (0..8)
                .map(|lane| {
                    let of_lane = row.iter().enumerate().filter(|(n, _)| n % 16 / 2 == lane);
                    of_lane.map(|(_, &c)| i64::from(c).abs()).sum()
                })
                .collect()
        };
        for table in tables() {
            let (left, right) = ((table.taps - table.inner) / 2, table.taps.midpoint(table.inner));
            for (row, fine) in table.coarse.chunks(table.taps).zip(table.fine.chunks(table.inner)) {
                let outer = [&row[..left], &row[right..]].concat();
                let (outer, inner, fine) = (lanes(&outer), lanes(&row[left..right]), lanes(fine));
                outer.iter().chain(&inner).chain(&fine).copied().for_each(fits);
                // All lanes put together, each shift at its worst.
                fits(
                    (0..8)
                        .map(|n| inner[n] + (outer[n] >> table.outer_bits) + (fine[n] >> FINE_BITS) + 2)
                        .sum(),
                );
            }
        }
    }

    #[test]
    fn all_phases_have_unity_gain_at_dc() {
        for table in tables() {
            let (left, right) = ((table.taps - table.inner) / 2, table.taps.midpoint(table.inner));
            for (row, fine) in table.coarse.chunks(table.taps).zip(table.fine.chunks(table.inner)) {
                let sum = |part: &[i16]| part.iter().map(|&c| f64::from(c)).sum::<f64>();
                let outer = (sum(&row[..left]) + sum(&row[right..])) / f64::from(1 << table.outer_bits);
                let whole = outer + sum(&row[left..right]) + sum(fine) / f64::from(1 << FINE_BITS);
                assert!((whole - f64::from(1 << GAIN_BITS)).abs() < 0.005, "{whole}");
            }
        }
    }

    #[test]
    fn on_the_way_up_an_input_that_falls_on_an_output_stays_as_it_is() {
        for table in tables().filter(|table| table.up > table.down) {
            let (first, fine) = (&table.coarse[..table.taps], &table.fine[..table.inner]);
            let middle = first.iter().position(|&c| c == 1 << GAIN_BITS).unwrap();
            assert_eq!(middle, table.taps / 2 - 1);
            assert!(first.iter().enumerate().all(|(n, &c)| n == middle || c == 0));
            assert!(fine.iter().all(|&c| c == 0));
        }
    }

    #[test]
    fn tables_are_the_same_on_every_machine() {
        // FNV-1a over all coefficients. A new figure means that every conversion sounds different, by a little.
        let hash = tables()
            .flat_map(|table| table.coarse.iter().chain(&table.fine))
            .flat_map(|c| c.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, octet| {
                (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
            });
        assert_eq!(format!("{hash:016x}"), "1b2e04667d29be65");
    }
}
