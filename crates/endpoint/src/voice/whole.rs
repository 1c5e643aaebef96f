//! Products of bytes and 16-bit steps, summed in whole numbers: in any order they give the same.

/// Two inputs, in steps.
pub(crate) type Pair = [i16; 2];
/// A matrix: for each pair of inputs, each output's two weights.
pub(crate) type Rows<const PAIRS: usize, const OUT: usize> = [[[i8; 2]; OUT]; PAIRS];

/// Values in steps, so many to a 1; what is too great is the greatest.
#[inline(always)]
pub(crate) fn round<const IN: usize, const PAIRS: usize>(values: &[f32; IN], steps: f32) -> [Pair; PAIRS] {
    /// Floats around this have steps of 1: adding it rounds, and leaves a whole number in the lowest bits.
    const WHOLE: f32 = 12_582_912.0;
    const { assert!(IN == 2 * PAIRS) };
    let mut pairs = [[0; 2]; PAIRS];
    for (rounded, value) in pairs.as_flattened_mut().iter_mut().zip(values) {
        *rounded = ((value * steps).clamp(-32_767.0, 32_767.0) + WHOLE).to_bits() as i16;
    }
    pairs
}

/// How products are summed.
pub(crate) trait Multiply: Copy {
    /// `rows · vector`.
    fn multiply<const PAIRS: usize, const OUT: usize>(
        self,
        rows: &Rows<PAIRS, OUT>,
        vector: &[Pair; PAIRS],
    ) -> [i32; OUT];
}

/// With any processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain;

impl Multiply for Plain {
    #[inline(always)]
    fn multiply<const PAIRS: usize, const OUT: usize>(
        self,
        rows: &Rows<PAIRS, OUT>,
        vector: &[Pair; PAIRS],
    ) -> [i32; OUT] {
        let mut sums = [0; OUT];
        for (row, [a, b]) in rows.iter().zip(vector) {
            for (sum, [v, w]) in sums.iter_mut().zip(row) {
                *sum += i32::from(*v) * i32::from(*a) + i32::from(*w) * i32::from(*b);
            }
        }
        sums
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "two products at once, only where the processor can")]
mod avx2 {
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_madd_epi16, _mm256_set1_epi32,
        _mm256_setzero_si256, _mm256_storeu_si256,
    };

    use super::{Multiply, Pair, Rows};

    /// With a processor that has AVX2, eight outputs side by side.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx2(());

    impl Avx2 {
        /// # Safety
        /// The processor has AVX2.
        pub(crate) const unsafe fn new() -> Self {
            Self(())
        }
    }

    impl Multiply for Avx2 {
        #[inline(always)]
        fn multiply<const PAIRS: usize, const OUT: usize>(
            self,
            rows: &Rows<PAIRS, OUT>,
            vector: &[Pair; PAIRS],
        ) -> [i32; OUT] {
            // SAFETY: the processor has AVX2, or there were no `Avx2`.
            unsafe { multiply(rows, vector) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn multiply<const PAIRS: usize, const OUT: usize>(
        rows: &Rows<PAIRS, OUT>,
        vector: &[Pair; PAIRS],
    ) -> [i32; OUT] {
        const { assert!(OUT.is_multiple_of(8) && OUT <= 64) };
        // As many as fit the registers.
        let mut eights = [_mm256_setzero_si256(); 8];
        for (row, [a, b]) in rows.iter().zip(vector) {
            let pair = _mm256_set1_epi32(i32::from(*a) & 0xFFFF | i32::from(*b) << 16);
            for (sum, weights) in eights.iter_mut().zip(row.as_chunks::<8>().0) {
                // SAFETY: the weights of eight outputs are 16 octets.
                let weights = unsafe { _mm_loadu_si128(weights.as_ptr().cast()) };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(weights), pair));
            }
        }
        let mut sums = [0i32; OUT];
        for (eight, out) in eights.iter().zip(sums.as_chunks_mut::<8>().0) {
            // SAFETY: there is room for eight.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), *eight) };
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_products_fit_and_both_ways_agree() {
        let mut rows: Rows<32, 64> = [[[0; 2]; 64]; 32];
        for (n, weight) in rows.as_flattened_mut().as_flattened_mut().iter_mut().enumerate() {
            *weight = (n * n * 31 + n * 7) as i8;
        }
        let extremes = [[[-128; 2]; 64]; 32];
        let mixed = std::array::from_fn(|n| [(n * 7_919) as i16, (n * 104_729) as i16]);
        for (rows, vector) in
            [(&rows, mixed), (&extremes, [[i16::MIN; 2]; 32]), (&extremes, [[i16::MAX; 2]; 32])]
        {
            let sums = Plain.multiply(rows, &vector);
            for (output, sum) in sums.iter().enumerate() {
                let products = rows.iter().zip(vector).flat_map(|(row, pair)| {
                    row[output]
                        .into_iter()
                        .zip(pair)
                        .map(|(weight, value)| i64::from(weight) * i64::from(value))
                });
                assert_eq!(i64::from(*sum), products.sum::<i64>());
            }
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has AVX2.
                #[allow(unsafe_code, reason = "the other way")]
                let by = unsafe { Avx2::new() };
                assert_eq!(by.multiply(rows, &vector), sums);
            }
        }
    }

    #[test]
    fn values_are_rounded_to_the_nearest_step() {
        let values = [0.0, 1.0, -1.0, 0.1, -0.1, 1e9, -1e9, 0.000_6];
        let pairs: [Pair; 4] = round(&values, 1_024.0);
        assert_eq!(pairs, [[0, 1_024], [-1_024, 102], [-102, 32_767], [-32_767, 1]]);
    }
}
