//! G.711 A-law, which Europe's carriers use; as [μ-law](crate) in every other way.
//!
//! ITU-T G.711 table 1, even bits inverted, to the bit as G.191's `alaw_compress` and `alaw_expand`. A-law has no zero: `0xD5`
//! is +8, `0x55` −8; 0 encodes to `0xD5`.

use crate::law;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
use crate::simd;

/// Expands one A-law octet to a linear sample, ±32 256 at most.
#[must_use]
pub const fn decode(octet: u8) -> i16 {
    let octet = octet ^ 0x55;
    let exponent = (octet >> 4) & 7;
    let (implicit, shift) = if exponent > 0 { (0x100, exponent - 1) } else { (0, 0) };
    let magnitude = ((((octet & 0x0F) as i16) << 4) + 8 + implicit) << shift;
    // All ones for a negative sample.
    let negative = ((octet >> 7) as i16) - 1;
    (magnitude ^ negative) - negative
}

/// Compresses one linear sample to an A-law octet.
#[must_use]
pub const fn encode(sample: i16) -> u8 {
    let negative = sample >> 15;
    let magnitude = sample ^ negative;
    // The first two segments have the same step.
    let (mut segment, mut raise) = (0, 64);
    let mut bit = 9;
    while bit < 15 {
        if magnitude >= 1 << bit {
            segment += 16;
            raise = 1 << (14 - bit);
        }
        bit += 1;
    }
    let step = magnitude.wrapping_mul(raise) >> 10;
    ((segment + step) as u8 | (negative as u8 & 0x80)) ^ 0xD5
}

law::slices!("A-law", simd::ALAW);

#[cfg(test)]
mod tests {
    use super::*;

    /// G.191's `alaw_compress`, line by line.
    fn reference(sample: i16) -> u8 {
        let lin = i32::from(sample);
        let mut ix = if lin < 0 { (!lin) >> 4 } else { lin >> 4 };
        if ix > 15 {
            let mut exponent = 1;
            while ix > 16 + 15 {
                ix >>= 1;
                exponent += 1;
            }
            ix -= 16;
            ix += exponent << 4;
        }
        if lin >= 0 {
            ix |= 0x80;
        }
        (ix ^ 0x55) as u8
    }

    /// G.191's `alaw_expand`, line by line.
    fn reference_expand(octet: u8) -> i16 {
        let ix = i16::from(octet ^ 0x55) & 0x7F;
        let exponent = ix >> 4;
        let mut mantissa = ix & 0x0F;
        if exponent > 0 {
            mantissa += 16;
        }
        mantissa = (mantissa << 4) + 8;
        if exponent > 1 {
            mantissa <<= exponent - 1;
        }
        if octet > 127 { mantissa } else { -mantissa }
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
    fn all_octets_survive() {
        for octet in 0..=u8::MAX {
            assert_eq!(encode(decode(octet)), octet, "{octet:#04x}");
        }
        assert_eq!((encode(0), decode(0xD5), decode(0x55)), (0xD5, 8, -8));
        assert_eq!((decode(0xAA), decode(0x2A)), (32_256, -32_256));
    }

    law::slice_tests!();
}
