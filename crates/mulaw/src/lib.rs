//! G.711 μ-law, and [A-law](alaw) beside it: decode and encode samples, slices and 20 ms frames.
//!
//! What: ITU-T G.711 table 2 (μ-law) and table 1 (A-law), to the bit as the ITU's reference software (G.191,
//! `ulaw_compress`, `ulaw_expand`, `alaw_compress`, `alaw_expand`) does it on 16-bit samples, of which the upper 14 bits
//! count for μ-law and the upper 12 for A-law.
//!
//! How: one sample at a time by arithmetic without a branch, which compilers turn into vector code. On x86-64 with AVX2
//! (looked up at run time) slices and frames go through hand-written vector code, 32 samples at a time; tests hold both
//! equal over all octets and all samples. Without the feature `std` the crate needs nothing but `core` and stays with the
//! arithmetic.
//!
//! Silence is `0xFF` (`0xD5` in A-law). μ-law has two zeros: `0xFF` is +0, `0x7F` is −0. Both decode to 0; 0 encodes to
//! `0xFF`, and −1 to −4 to `0x7F`.
//!
//! Where others differ, as running them over all octets and samples showed: all agree with the ITU on what an octet means,
//! not on which octet a sample gets. The ITU takes the magnitude of a negative sample by complement, so that −4·k falls into
//! the same step as −4·k + 3; Python's `audioop` and SpanDSP negate it, which moves samples on a step's border (508 and 127 of
//! 65 536 in μ-law, none in A-law). ffmpeg and sox round where the ITU cuts off, each in its own way (964 and 510 in μ-law,
//! 964 and 1 020 in A-law), and sox has no minus zero. None differs by more than one step.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]

pub mod alaw;
mod law;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod simd;

/// Added to a magnitude before its segment is taken: G.711's first decision value, on 16-bit samples.
const BIAS: i16 = 132;

/// Expands one μ-law octet to a linear sample, ±32 124 at most.
#[must_use]
pub const fn decode(octet: u8) -> i16 {
    let octet = !octet;
    let magnitude = ((((octet & 0x0F) as i16) << 3) + BIAS) << ((octet >> 4) & 7);
    // All ones for a negative sample.
    let negative = -((octet >> 7) as i16);
    ((magnitude - BIAS) ^ negative) - negative
}

/// Compresses one linear sample to a μ-law octet.
#[must_use]
pub const fn encode(sample: i16) -> u8 {
    let negative = sample >> 15;
    let magnitude = (sample ^ negative).saturating_add(BIAS);
    // The highest bit, 7 to 14, is the segment; the four below it are the step. By comparisons, which vector units have.
    let (mut segment, mut raise) = (0, 128);
    let mut bit = 8;
    while bit < 15 {
        if magnitude >= 1 << bit {
            segment += 16;
            raise = 1 << (14 - bit);
        }
        bit += 1;
    }
    let step = (magnitude.wrapping_mul(raise) >> 10) & 0x0F;
    ((segment | step) as u8 | (negative as u8 & 0x80)) ^ 0xFF
}

law::slices!("μ-law", simd::MULAW);

#[cfg(test)]
mod tests {
    use super::*;

    /// G.191's `ulaw_compress`, line by line.
    fn reference(sample: i16) -> u8 {
        let lin = i32::from(sample);
        let mut absno = if lin < 0 { ((!lin) >> 2) + 33 } else { (lin >> 2) + 33 };
        absno = absno.min(0x1FFF);
        let mut i = absno >> 6;
        let mut segno = 1;
        while i != 0 {
            segno += 1;
            i >>= 1;
        }
        let high = 8 - segno;
        let low = 0x0F - ((absno >> segno) & 0x0F);
        let octet = (high << 4) | low;
        (if lin >= 0 { octet | 0x80 } else { octet }) as u8
    }

    /// G.191's `ulaw_expand`, line by line.
    fn reference_expand(octet: u8) -> i16 {
        let sign: i16 = if octet < 0x80 { -1 } else { 1 };
        let mantissa = !octet;
        let exponent = (mantissa >> 4) & 7;
        let segment = exponent + 1;
        let mantissa = i16::from(mantissa & 0x0F);
        let step = 4i16 << segment;
        sign * ((0x80i16 << exponent) + step * mantissa + step / 2 - 4 * 33)
    }

    #[test]
    fn all_octets_and_samples_go_as_the_itu_says() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(encode(sample), reference(sample), "{sample}");
        }
        for octet in 0..=u8::MAX {
            assert_eq!(decode(octet), reference_expand(octet), "{octet:#04x}");
        }
    }

    #[test]
    fn the_corners_of_table_2() {
        let corners =
            [(0xFF, 0), (0x7F, 0), (0x80, 32_124), (0x00, -32_124), (0xFE, 8), (0x7E, -8), (0xEF, 132)];
        for (octet, sample) in corners {
            assert_eq!(decode(octet), sample, "{octet:#04x}");
        }
        assert_eq!(encode(0), 0xFF);
    }

    #[test]
    fn all_octets_survive_but_minus_zero() {
        for octet in 0..=u8::MAX {
            let back = encode(decode(octet));
            assert_eq!(back, if octet == 0x7F { 0xFF } else { octet }, "{octet:#04x}");
        }
    }

    law::slice_tests!();
}
