//! 32 samples at a time.

use core::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_add_epi8, _mm256_adds_epi16, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_loadu_si256, _mm256_maddubs_epi16, _mm256_max_epu8, _mm256_min_epu8,
    _mm256_mullo_epi16, _mm256_or_si256, _mm256_packs_epi16, _mm256_packus_epi16, _mm256_permute4x64_epi64,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sign_epi16,
    _mm256_srai_epi16, _mm256_srl_epi16, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_sub_epi16,
    _mm256_unpackhi_epi8, _mm256_unpacklo_epi8, _mm256_xor_si256,
};

use super::Tables;

/// Samples of a round.
const ROUND: usize = 32;

#[target_feature(enable = "avx2")]
fn load(octets: &[u8; ROUND]) -> __m256i {
    // SAFETY: 32 octets are readable; no alignment is asked for.
    unsafe { _mm256_loadu_si256(octets.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn load_samples(samples: &[i16; ROUND / 2]) -> __m256i {
    // SAFETY: 16 samples are 32 readable octets; no alignment is asked for.
    unsafe { _mm256_loadu_si256(samples.as_ptr().cast()) }
}

/// A table of sixteen, in both halves, as `pshufb` wants it.
#[target_feature(enable = "avx2")]
fn table<T: Copy>(table: &[T; 16]) -> __m256i {
    const { assert!(size_of::<T>() == 1) };
    // SAFETY: 16 octets are readable; no alignment is asked for.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
}

/// Expands whole rounds; says how many samples that were.
#[target_feature(enable = "avx2")]
pub(super) fn decode(tables: &Tables, octets: &[u8], samples: &mut [i16]) -> usize {
    let (flip, low) = (_mm256_set1_epi8(tables.flip.cast_signed()), _mm256_set1_epi8(0x0F));
    let (step, lift) = (table(&tables.step), table(&tables.lift));
    let (first, second) = (table(&tables.factor[0]), table(&tables.factor[1]));
    let bias = _mm256_set1_epi16(tables.bias);
    let rounds = octets.as_chunks::<ROUND>().0.iter().zip(samples.as_chunks_mut::<ROUND>().0);
    let mut done = 0;
    for (octets, samples) in rounds {
        // Unpacking works within halves: put quarters 0, 2 into the lower half of each, so that it ends in order.
        let octets = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_xor_si256(load(octets), flip));
        let lower = _mm256_and_si256(octets, low);
        let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(octets), low);
        let magnitude = _mm256_add_epi8(_mm256_shuffle_epi8(step, lower), _mm256_shuffle_epi8(lift, upper));
        let (first, second) = (_mm256_shuffle_epi8(first, upper), _mm256_shuffle_epi8(second, upper));
        let halves = [
            _mm256_maddubs_epi16(
                _mm256_unpacklo_epi8(magnitude, magnitude),
                _mm256_unpacklo_epi8(first, second),
            ),
            _mm256_maddubs_epi16(
                _mm256_unpackhi_epi8(magnitude, magnitude),
                _mm256_unpackhi_epi8(first, second),
            ),
        ];
        for (half, samples) in halves.into_iter().zip(samples.as_chunks_mut::<{ ROUND / 2 }>().0) {
            let half = _mm256_sub_epi16(half, _mm256_sign_epi16(bias, half));
            // SAFETY: 16 samples are 32 writable octets; no alignment is asked for.
            unsafe { _mm256_storeu_si256(samples.as_mut_ptr().cast(), half) };
        }
        done += ROUND;
    }
    done
}

/// Compresses whole rounds; says how many samples that were.
#[target_feature(enable = "avx2")]
pub(super) fn encode(tables: &Tables, samples: &[i16], octets: &mut [u8]) -> usize {
    let (flip, low) = (_mm256_set1_epi8(tables.flip.cast_signed()), _mm256_set1_epi8(0x0F));
    let (sign, zero) = (_mm256_set1_epi8(-128), _mm256_setzero_si256());
    let (raise_low, raise_high) = (table(&tables.raise[0]), table(&tables.raise[1]));
    let (segment_low, segment_high) = (table(&tables.segment[0]), table(&tables.segment[1]));
    let (bias, shift) = (_mm256_set1_epi16(tables.bias), _mm_cvtsi32_si128(tables.shift));
    // μ-law's step has its leading one with it.
    let step_bits = if tables.bias == 0 { _mm256_set1_epi8(0x1F) } else { low };
    let rounds = samples.as_chunks::<ROUND>().0.iter().zip(octets.as_chunks_mut::<ROUND>().0);
    let mut done = 0;
    for (samples, octets) in rounds {
        let (halves, _) = samples.as_chunks::<{ ROUND / 2 }>();
        let [a, b] = [load_samples(&halves[0]), load_samples(&halves[1])];
        let magnitude = |x| _mm256_adds_epi16(_mm256_xor_si256(x, _mm256_srai_epi16::<15>(x)), bias);
        let (a_magnitude, b_magnitude) = (magnitude(a), magnitude(b));
        let top =
            _mm256_packus_epi16(_mm256_srl_epi16(a_magnitude, shift), _mm256_srl_epi16(b_magnitude, shift));
        let (lower, upper) = (_mm256_and_si256(top, low), _mm256_and_si256(_mm256_srli_epi16::<4>(top), low));
        let raise =
            _mm256_min_epu8(_mm256_shuffle_epi8(raise_low, lower), _mm256_shuffle_epi8(raise_high, upper));
        let segment = _mm256_max_epu8(
            _mm256_shuffle_epi8(segment_low, lower),
            _mm256_shuffle_epi8(segment_high, upper),
        );
        let a_raised = _mm256_mullo_epi16(a_magnitude, _mm256_unpacklo_epi8(raise, zero));
        let b_raised = _mm256_mullo_epi16(b_magnitude, _mm256_unpackhi_epi8(raise, zero));
        let step = _mm256_packus_epi16(_mm256_srli_epi16::<10>(a_raised), _mm256_srli_epi16::<10>(b_raised));
        let octet = _mm256_add_epi8(segment, _mm256_and_si256(step, step_bits));
        let negative = _mm256_and_si256(_mm256_packs_epi16(a, b), sign);
        let octet = _mm256_xor_si256(_mm256_or_si256(octet, negative), flip);
        // Packing works within halves: put the quarters in order.
        let octet = _mm256_permute4x64_epi64::<0b11_01_10_00>(octet);
        // SAFETY: 32 octets are writable; no alignment is asked for.
        unsafe { _mm256_storeu_si256(octets.as_mut_ptr().cast(), octet) };
        done += ROUND;
    }
    done
}
