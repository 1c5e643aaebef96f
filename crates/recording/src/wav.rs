//! WAV with G.711 μ-law (format 7), stereo: the very octets that went over the wire.
//! Source: RFC 2361, WAVE_FORMAT_MULAW; Multimedia Programming Interface and Data Specifications 1.0.

use crate::RATE;

/// Octets before the sound.
const HEADER: u32 = 58;

/// The octets of a WAV file.
#[derive(Clone, Copy, Debug)]
pub struct Wav;

impl Wav {
    /// The file's first octets, for so many octets of sound. They are written anew as the sound grows: a crash then costs what came
    /// after the last time.
    #[must_use]
    pub fn header(sound: u32) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER as usize);
        let mut four = |name: &[u8; 4], value: u32| {
            header.extend_from_slice(name);
            header.extend_from_slice(&value.to_le_bytes());
        };
        four(b"RIFF", sound.saturating_add(HEADER - 8));
        header.extend_from_slice(b"WAVEfmt ");
        header.extend_from_slice(&18u32.to_le_bytes());
        // Format, channels.
        header.extend_from_slice(&7u16.to_le_bytes());
        header.extend_from_slice(&2u16.to_le_bytes());
        header.extend_from_slice(&RATE.to_le_bytes());
        header.extend_from_slice(&(2 * RATE).to_le_bytes());
        // Octets of a frame, bits of a sample, octets of more.
        header.extend_from_slice(&2u16.to_le_bytes());
        header.extend_from_slice(&8u16.to_le_bytes());
        header.extend_from_slice(&0u16.to_le_bytes());
        header.extend_from_slice(b"fact");
        header.extend_from_slice(&4u32.to_le_bytes());
        header.extend_from_slice(&(sound / 2).to_le_bytes());
        header.extend_from_slice(b"data");
        header.extend_from_slice(&sound.to_le_bytes());
        header
    }

    /// A file with a header that says how much sound is behind it. What is no such WAV stays as it is.
    #[must_use]
    pub fn whole(mut file: Vec<u8>) -> Vec<u8> {
        let sound = u32::try_from(file.len()).unwrap_or(u32::MAX).saturating_sub(HEADER);
        if file.starts_with(&Self::header(0)) {
            let header = Self::header(sound);
            file.splice(..header.len(), header);
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_follows() {
        let header = Wav::header(16_000);
        assert_eq!(header.len(), HEADER as usize);
        let four = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        assert_eq!((four(4), four(24), four(28), four(46), four(54)), (16_050, 8_000, 16_000, 8_000, 16_000));
        assert_eq!(
            (&header[0..4], &header[38..42], &header[50..54]),
            (&b"RIFF"[..], &b"fact"[..], &b"data"[..])
        );
    }
}
