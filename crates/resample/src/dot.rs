//! One output: the sum of products of a phase's coefficients with the newest inputs.
//!
//! Whole numbers may be added in any order, and no sum overflows ([`Table`] sees to it), so the vector unit's result is the
//! plain one's to the bit. With AVX2, looked up at run time, sixteen products are one instruction (`vpmaddwd`).

#![allow(unsafe_code, reason = "vector instructions, called only where the processor has them")]

use crate::design::{FINE_BITS, GAIN_BITS, Table};
use crate::filter::{Place, Terms, one_by_one};

/// For rounding. A sum and this fit 32 bits, as a test of the table holds.
const HALF: i32 = 1 << (GAIN_BITS - 1);

/// All outputs of a block, by the best way there is.
pub(crate) fn run<const TAPS: usize, const INNER: usize>(
    table: &Table,
    window: &[i16],
    place: Place,
    output: &mut [i16],
    plain: bool,
) -> Place {
    #[cfg(target_arch = "x86_64")]
    if !plain && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::run::<TAPS, INNER>(table, window, place, output) };
    }
    let _only_where_there_is_a_choice = plain;
    let one = |terms: Terms<'_, TAPS, INNER>| plain_dot(terms, table.outer_bits);
    one_by_one::<TAPS, INNER>(table, window, place, output, one)
}

/// Eight sums side by side are what a compiler turns into the vector unit's multiply-and-add of pairs.
fn plain_dot<const TAPS: usize, const INNER: usize>(
    (row, fine, inputs): Terms<'_, TAPS, INNER>,
    outer_bits: u32,
) -> i16 {
    let (left, right) = ((TAPS - INNER) / 2, TAPS.midpoint(INNER));
    let (mut outer, mut inner, mut finer) = ([0i32; 8], [0i32; 8], [0i32; 8]);
    add(&mut outer, &row[..left], &inputs[..left]);
    add(&mut outer, &row[right..], &inputs[right..]);
    add(&mut inner, &row[left..right], &inputs[left..right]);
    add(&mut finer, fine, &inputs[left..right]);
    let whole = outer.iter().zip(inner).zip(finer);
    let sum: i32 =
        whole.map(|((outer, inner), finer)| (outer >> outer_bits) + inner + (finer >> FINE_BITS)).sum();
    ((sum + HALF) >> GAIN_BITS).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

fn add(sums: &mut [i32; 8], row: &[i16], inputs: &[i16]) {
    // Lanes as the vector unit has them: pairs of neighbours, four apart twice.
    for (row, inputs) in row.as_chunks::<16>().0.iter().zip(inputs.as_chunks::<16>().0) {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum += i32::from(row[2 * n]) * i32::from(inputs[2 * n])
                + i32::from(row[2 * n + 1]) * i32::from(inputs[2 * n + 1]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use core::arch::x86_64::{
        __m128i, __m256i, _mm_add_epi32, _mm_cvtsi32_si128, _mm_cvtsi128_si32, _mm_cvtsi128_si64,
        _mm_packs_epi32, _mm_set1_epi32, _mm_shuffle_epi32, _mm_srai_epi32, _mm256_add_epi32,
        _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_hadd_epi32, _mm256_loadu_si256,
        _mm256_madd_epi16, _mm256_setzero_si256, _mm256_sra_epi32, _mm256_srai_epi32,
    };

    use super::{FINE_BITS, GAIN_BITS, HALF, Place, Table, Terms, one_by_one};
    use crate::filter::by_fours;

    #[target_feature(enable = "avx2")]
    pub(super) fn run<const TAPS: usize, const INNER: usize>(
        table: &Table,
        window: &[i16],
        place: Place,
        output: &mut [i16],
    ) -> Place {
        let bits = _mm_cvtsi32_si128(table.outer_bits.cast_signed());
        let four = |[a, b, c, d]: [Terms<'_, TAPS, INNER>; 4]| {
            finish([lanes(a, bits), lanes(b, bits), lanes(c, bits), lanes(d, bits)])
        };
        let one = |terms: Terms<'_, TAPS, INNER>| finish_one(lanes(terms, bits));
        // Where each output has its own phase, short sums are faster added up by fours. Measured.
        if table.up > table.down && table.down > 1 {
            return by_fours::<TAPS, INNER>(table, window, place, output, four, one);
        }
        one_by_one::<TAPS, INNER>(table, window, place, output, one)
    }

    #[target_feature(enable = "avx2")]
    fn load(sixteen: &[i16; 16]) -> __m256i {
        // SAFETY: 16 samples are 32 readable octets; no alignment is asked for.
        unsafe { _mm256_loadu_si256(sixteen.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    fn add(mut sum: __m256i, row: &[i16], inputs: &[i16]) -> __m256i {
        for (row, inputs) in row.as_chunks::<16>().0.iter().zip(inputs.as_chunks::<16>().0) {
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(load(row), load(inputs)));
        }
        sum
    }

    /// One output's sum in eight parts.
    #[target_feature(enable = "avx2")]
    fn lanes<const TAPS: usize, const INNER: usize>(
        (row, fine, inputs): Terms<'_, TAPS, INNER>,
        outer_bits: __m128i,
    ) -> __m256i {
        let (left, right) = ((TAPS - INNER) / 2, TAPS.midpoint(INNER));
        let zero = _mm256_setzero_si256();
        let outer = add(add(zero, &row[..left], &inputs[..left]), &row[right..], &inputs[right..]);
        let inner = add(zero, &row[left..right], &inputs[left..right]);
        let finer = add(zero, fine, &inputs[left..right]);
        let finer = _mm256_srai_epi32::<{ FINE_BITS as i32 }>(finer);
        _mm256_add_epi32(inner, _mm256_add_epi32(_mm256_sra_epi32(outer, outer_bits), finer))
    }

    /// The parts of an output added up, rounded, and brought to 16 bits.
    #[target_feature(enable = "avx2")]
    fn finish_one(whole: __m256i) -> i16 {
        let half = _mm_add_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole));
        let quarter = _mm_add_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
        let sum = _mm_add_epi32(quarter, _mm_shuffle_epi32::<0b10_11_00_01>(quarter));
        let rounded = (_mm_cvtsi128_si32(sum) + HALF) >> GAIN_BITS;
        rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
    }

    /// The parts of four outputs added up, rounded, and brought to 16 bits.
    #[target_feature(enable = "avx2")]
    fn finish([a, b, c, d]: [__m256i; 4]) -> [i16; 4] {
        let halves = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        let sums = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
        let rounded = _mm_srai_epi32::<{ GAIN_BITS as i32 }>(_mm_add_epi32(sums, _mm_set1_epi32(HALF)));
        let four = _mm_cvtsi128_si64(_mm_packs_epi32(rounded, rounded));
        [four as i16, (four >> 16) as i16, (four >> 32) as i16, (four >> 48) as i16]
    }
}
