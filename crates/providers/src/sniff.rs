//! Looks at the first bytes of a provider's sound before any of it is played: a container's header, an error page or the
//! wrong encoding is a loud noise in the caller's ear.

use offhook_audio::container;
use offhook_stages::StageError;

/// Bytes that suffice for a judgement.
pub const ENOUGH: usize = 1_024;

/// What the provider was asked for, mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// G.711 μ-law at 8 kHz.
    Mulaw,
    /// Linear 16-bit samples, little endian, at this many hertz.
    Pcm16(u32),
}

/// Judges the beginning of a stream: up to [`ENOUGH`] bytes, or all of it if it is shorter. Returns how many bytes to leave
/// out before the sound: a WAV header whose format is what was asked for, otherwise none.
///
/// # Errors
/// [`StageError::Garbage`], naming what came instead of the sound.
pub fn sniff(stage: &str, asked: Asked, first: &[u8]) -> Result<usize, StageError> {
    judge(asked, first).map_err(|what| StageError::Garbage { stage: stage.to_owned(), what })
}

fn judge(asked: Asked, first: &[u8]) -> Result<usize, String> {
    if first.is_empty() {
        return Err("no sound at all".to_owned());
    }
    if first.starts_with(b"RIFF") {
        return wav(asked, first);
    }
    if let Some(name) = container(first) {
        return Err(format!("{name} instead of bare sound"));
    }
    match asked {
        Asked::Mulaw if looks_linear(first) => Err("16-bit linear samples instead of μ-law".to_owned()),
        Asked::Pcm16(_) if looks_mulaw(first) => Err("μ-law instead of 16-bit linear samples".to_owned()),
        _ => Ok(0),
    }
}

fn wav(asked: Asked, first: &[u8]) -> Result<usize, String> {
    let header = WavHeader::read(first)?;
    let found = (header.tag, header.channels, header.rate, header.bits);
    let wanted = match asked {
        Asked::Mulaw => (7, 1, 8_000, 8),
        Asked::Pcm16(rate) => (1, 1, rate, 16),
    };
    if found != wanted {
        let (tag, channels, rate, bits) = found;
        return Err(format!("WAV of format {tag}, {channels} channels, {rate} Hz, {bits} bits"));
    }
    Ok(header.sound_at)
}

/// What a WAV file says of its sound (Microsoft's RIFF specification of 1991).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WavHeader {
    /// 1 linear, 7 μ-law. An extensible header's is that of its sub-format.
    pub(crate) tag: u16,
    pub(crate) channels: u16,
    pub(crate) rate: u32,
    pub(crate) bits: u16,
    /// Bytes before the sound.
    pub(crate) sound_at: usize,
    /// Bytes of sound; `None` when the header was written before that was known.
    pub(crate) length: Option<usize>,
}

impl WavHeader {
    /// Walks the chunks up to the sound.
    pub(crate) fn read(first: &[u8]) -> Result<Self, String> {
        let cut = || "a WAV header that never comes to its sound".to_owned();
        let mut format = None;
        let mut at = 12_usize;
        loop {
            let head = first.get(at..at.saturating_add(8)).ok_or_else(cut)?;
            let body = at + 8;
            let [a, b, c, d, l0, l1, l2, l3] = *head else { return Err(cut()) };
            let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).map_err(|_| cut())?;
            match &[a, b, c, d] {
                b"fmt " => {
                    let fields = first.get(body..body + 16).ok_or_else(cut)?;
                    let [t0, t1, c0, c1, r0, r1, r2, r3, .., b0, b1] = *fields else { return Err(cut()) };
                    let mut tag = u16::from_le_bytes([t0, t1]);
                    if tag == 0xFFFE
                        && let Some(&[s0, s1]) = first.get(body + 24..body + 26)
                    {
                        tag = u16::from_le_bytes([s0, s1]);
                    }
                    let rate = u32::from_le_bytes([r0, r1, r2, r3]);
                    format = Some((tag, u16::from_le_bytes([c0, c1]), rate, u16::from_le_bytes([b0, b1])));
                }
                b"data" => {
                    let (tag, channels, rate, bits) = format.ok_or_else(cut)?;
                    // Servers that stream write nought, or as much as there can be.
                    let length = Some(length).filter(|length| (1..0x7FFF_0000).contains(length));
                    return Ok(Self { tag, channels, rate, bits, sound_at: body, length });
                }
                _ => {}
            }
            at = body.saturating_add(length).saturating_add(length & 1);
        }
    }
}

/// Fewer pairs of bytes aren't judged.
const LEAST_PAIRS: u32 = 64;
/// How differently bytes at even and at odd places are spread, above which they are halves of samples. Recorded speech in
/// pieces of 1 024 bytes: at most 0.22 as μ-law, at least 0.5 as linear sound, where there is a voice in it.
const HALVES: f64 = 0.35;
/// As linear samples, μ-law speech is louder than this in the mean; what is softer is a hiss, and may be linear.
const LOUD: f64 = 2_000.0;

/// Compares how bytes at even and at odd places are spread over sixteen ranges: 0 alike, 2 nothing in common. The second is
/// the mean size of the pairs as linear samples. Pairs of zeros, silence of linear sound, don't count.
fn halves(bytes: &[u8]) -> Option<(f64, f64)> {
    let (mut low, mut high) = ([0_i32; 16], [0_i32; 16]);
    let (mut pairs, mut size) = (0_u32, 0.0);
    for &[first, second] in bytes.as_chunks::<2>().0 {
        if (first, second) == (0, 0) {
            continue;
        }
        low[usize::from(first >> 4)] += 1;
        high[usize::from(second >> 4)] += 1;
        size += f64::from(i16::from_le_bytes([first, second])).abs();
        pairs += 1;
    }
    let apart: i32 = low.iter().zip(high).map(|(low, high)| (low - high).abs()).sum();
    (pairs >= LEAST_PAIRS).then(|| (f64::from(apart) / f64::from(pairs), size / f64::from(pairs)))
}

fn looks_linear(bytes: &[u8]) -> bool {
    // 0x00 is silence of linear sound, and the loudest there is of μ-law.
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    zeros >= 64 || halves(bytes).is_some_and(|(apart, _)| apart > HALVES)
}

fn looks_mulaw(bytes: &[u8]) -> bool {
    halves(bytes).is_some_and(|(apart, size)| apart < HALVES && size > LOUD)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn tone() -> Vec<i16> {
        (0..512).map(|n| ((f64::from(n) * 0.3).sin() * 2_000.0) as i16).collect()
    }

    fn header(tag: u8, rate: u32, bits: u8) -> Vec<u8> {
        let mut wav = b"RIFF\xff\xff\xff\xffWAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        wav.extend([tag, 0, 1, 0]);
        wav.extend(rate.to_le_bytes());
        wav.extend([0, 0, 0, 0, 1, 0, bits, 0]);
        wav.extend(b"data\xff\xff\xff\xff");
        wav
    }

    #[test]
    fn a_fitting_wav_header_is_left_out_and_another_named() {
        let wav = header(7, 8_000, 8);
        assert_eq!(sniff("x", Asked::Mulaw, &wav).unwrap(), wav.len());
        let error = sniff("x", Asked::Pcm16(24_000), &wav).unwrap_err().to_string();
        assert!(error.contains("format 7"), "{error}");
        for length in 0..wav.len() {
            assert!(sniff("x", Asked::Mulaw, wav.get(..length).unwrap()).is_err() || length < 4);
        }
    }

    #[test]
    fn what_is_no_sound_is_named() {
        let mut mp3 = vec![0_u8; 900];
        mp3[..4].copy_from_slice(&[0xFF, 0xFB, 0x90, 0]);
        mp3[417..421].copy_from_slice(&[0xFF, 0xFB, 0x90, 0]);
        let cases: [(&[u8], &str); 6] = [
            (b"OggS\0\x02", "Ogg"),
            (b"ID3\x04", "MP3"),
            (&mp3, "MP3"),
            (b" {\"error\":1}", "JSON"),
            (b"<!DOCTYPE html>", "HTML"),
            (b"", "no sound"),
        ];
        for (bytes, name) in cases {
            let error = sniff("x", Asked::Mulaw, bytes).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn linear_is_told_from_mulaw() {
        let linear: Vec<u8> = tone().iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(sniff("x", Asked::Pcm16(24_000), &linear).unwrap(), 0);
        assert!(sniff("x", Asked::Mulaw, &linear).is_err());
        assert!(sniff("x", Asked::Mulaw, &[0; 160]).is_err());
        assert_eq!(sniff("x", Asked::Mulaw, &[0xFF; 1_024]).unwrap(), 0);
    }
}
