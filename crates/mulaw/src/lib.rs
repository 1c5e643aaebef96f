//! G.711 μ-law: decode and encode samples, slices and 20 ms frames.
//!
//! What: ITU-T G.711 table 2 (μ-law), to the bit as the ITU's reference software (G.191, `ulaw_compress` and
//! `ulaw_expand`) does it on 16-bit samples whose upper 14 bits count.
//!
//! How: decoding is arithmetic on the inverted octet; encoding finds the segment by counting leading zeros. Both are
//! branch-free enough for the compiler to use the vector unit on slices.
//!
//! Where others differ: most software (Sun's `g711.c`, Python's `audioop`, sox) takes the magnitude of a negative
//! sample by negation, the ITU by complement, so that −4·k falls into the same step as −4·k + 3 and not one below.
//! Zero encodes to `0xFF` here (positive zero); `0x7F` (minus zero) decodes to 0 too, and is never produced for 0.
#![no_std]
#![forbid(unsafe_code)]

/// Added to the 14-bit magnitude before the segment is taken, G.711's decision value of the first step.
const BIAS: u16 = 33;
/// Largest biased 14-bit magnitude.
const CLIP: u16 = 0x1FFF;

/// Expands one μ-law octet to a linear sample, ±32 124 at most.
#[must_use]
pub const fn decode(octet: u8) -> i16 {
    let octet = !octet;
    let magnitude = ((((octet & 0x0F) as i16) << 3) + 0x84) << ((octet >> 4) & 7);
    if octet & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude }
}

/// Compresses one linear sample to a μ-law octet.
#[must_use]
pub const fn encode(sample: i16) -> u8 {
    // All ones for a negative sample: the ITU takes its magnitude by complement.
    let negative = sample >> 15;
    let magnitude = ((sample ^ negative) as u16 >> 2) + BIAS;
    let magnitude = if magnitude > CLIP { CLIP } else { magnitude };
    // The first segment's magnitudes have their highest one at bit 5.
    let segment = 10 - magnitude.leading_zeros() as u16;
    let mantissa = (magnitude >> (segment + 1)) & 0x0F;
    let octet = !((segment << 4) | mantissa) as u8 & 0x7F;
    octet | (!negative as u8 & 0x80)
}

/// Expands octets to samples; as many as the shorter of the two slices has.
pub fn decode_slice(octets: &[u8], samples: &mut [i16]) {
    for (sample, &octet) in samples.iter_mut().zip(octets) {
        *sample = decode(octet);
    }
}

/// Compresses samples to octets; as many as the shorter of the two slices has.
pub fn encode_slice(samples: &[i16], octets: &mut [u8]) {
    for (octet, &sample) in octets.iter_mut().zip(samples) {
        *octet = encode(sample);
    }
}

/// Expands a 20 ms frame.
pub fn decode_frame(octets: &[u8; 160], samples: &mut [i16; 160]) {
    for (sample, &octet) in samples.iter_mut().zip(octets) {
        *sample = decode(octet);
    }
}

/// Compresses a 20 ms frame.
pub fn encode_frame(samples: &[i16; 160], octets: &mut [u8; 160]) {
    for (octet, &sample) in octets.iter_mut().zip(samples) {
        *octet = encode(sample);
    }
}

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

    #[test]
    fn all_samples_are_encoded_as_the_itu_does() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(encode(sample), reference(sample), "{sample}");
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

    #[test]
    fn slices_and_frames_agree_with_samples() {
        let mut octets = [0u8; 160];
        let mut samples = [0i16; 160];
        for (n, octet) in octets.iter_mut().enumerate() {
            *octet = (n * 7) as u8;
        }
        decode_frame(&octets, &mut samples);
        assert!(samples.iter().zip(octets).all(|(&sample, octet)| sample == decode(octet)));
        let mut slice = [0i16; 150];
        decode_slice(&octets, &mut slice);
        assert_eq!(slice[..], samples[..150]);
        let mut back = [0u8; 160];
        encode_frame(&samples, &mut back);
        let mut back_slice = [0u8; 160];
        encode_slice(&samples, &mut back_slice);
        assert_eq!(back, back_slice);
    }
}
