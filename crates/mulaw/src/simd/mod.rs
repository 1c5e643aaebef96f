//! Both laws by AVX2: the same steps with other tables.
//!
//! Looking sixteen entries up is one instruction (`pshufb`), so whatever depends on four bits is a table. Expanding: the step
//! and the segment give two small factors, whose product is the magnitude (`pmaddubsw`). Compressing: the highest bits tell
//! the segment, and a factor that brings the step to a fixed place (`pmullw`).

#![allow(unsafe_code, reason = "vector instructions, called only where the processor has them")]

mod avx2;

/// What a law is to the vector unit. Tables are indexed by four bits.
#[derive(Debug)]
pub(crate) struct Tables {
    /// What an octet is XORed with before its bits are looked at, and after they were put together.
    flip: u8,
    /// By an octet's lower bits: its step's share of the first factor.
    step: [u8; 16],
    /// By an octet's upper bits: the segment's share of the first factor.
    lift: [u8; 16],
    /// By an octet's upper bits: two halves of the second factor, with the sign.
    factor: [[i8; 16]; 2],
    /// Added to a magnitude before its segment is taken.
    bias: i16,
    /// A biased magnitude is shifted right by this to tell its segment by 8 bits.
    shift: i32,
    /// By the lower and the upper four of these bits: the factor that brings the step to bit 10. The smaller counts.
    raise: [[u8; 16]; 2],
    /// By the same: what the segment adds to the octet. The greater counts.
    segment: [[u8; 16]; 2],
}

/// μ-law.
pub(crate) static MULAW: Tables = tables(true);
/// A-law.
pub(crate) static ALAW: Tables = tables(false);

const fn tables(mu: bool) -> Tables {
    let mut tables = Tables {
        flip: if mu { 0xFF } else { 0xD5 },
        step: [0; 16],
        lift: [0; 16],
        factor: [[0; 16]; 2],
        bias: if mu { crate::BIAS } else { 0 },
        shift: if mu { 7 } else { 8 },
        raise: [[0; 16]; 2],
        segment: [[0; 16]; 2],
    };
    let mut n = 0;
    while n < 16 {
        let (exponent, negative) = (n as u32 & 7, n & 8 != 0);
        // μ: (8·step + 132) · 2^e. A: (8·step + 4 + 128 if e > 0) · 2^max(e, 1); half of 8 and 4 to fit an octet.
        tables.step[n] = if mu { 8 * n as u8 + 132 } else { 8 * n as u8 + 4 };
        tables.lift[n] = if mu || exponent == 0 { 0 } else { 128 };
        let power = 1i32 << if mu || exponent > 0 { exponent } else { 1 };
        let (first, second) = if power == 128 { (64, 64) } else { (power, 0) };
        tables.factor[0][n] = if negative { -first } else { first } as i8;
        tables.factor[1][n] = if negative { -second } else { second } as i8;
        // The segment by the highest of eight bits.
        let (low, high) = (log2(n), log2(n) + 4);
        tables.raise[0][n] = raise(low, mu);
        tables.raise[1][n] = if n == 0 { 255 } else { raise(high, mu) };
        tables.segment[0][n] = 16 * low as u8;
        tables.segment[1][n] = if n == 0 { 0 } else { 16 * high as u8 };
        n += 1;
    }
    tables
}

const fn log2(n: usize) -> u32 {
    if n < 2 { 0 } else { n.ilog2() }
}

const fn raise(bit: u32, mu: bool) -> u8 {
    (if mu { 128 } else { 64 }) >> bit
}

impl Tables {
    /// Expands as many samples as fit whole vectors; says how many.
    pub(crate) fn decode(&self, octets: &[u8], samples: &mut [i16]) -> usize {
        if !is_x86_feature_detected!("avx2") {
            return 0;
        }
        // SAFETY: the processor has AVX2.
        unsafe { avx2::decode(self, octets, samples) }
    }

    /// Compresses as many samples as fit whole vectors; says how many.
    pub(crate) fn encode(&self, samples: &[i16], octets: &mut [u8]) -> usize {
        if !is_x86_feature_detected!("avx2") {
            return 0;
        }
        // SAFETY: the processor has AVX2.
        unsafe { avx2::encode(self, samples, octets) }
    }
}
