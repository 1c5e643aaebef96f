//! Sound files: WAV as it is met in practice, and raw μ-law.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use offhook_audio::SampleRate;
use offhook_simulator::Say;

/// What a WAV file holds.
pub(crate) struct Wav {
    pub(crate) rate: SampleRate,
    /// Its coding, for people.
    pub(crate) coding: &'static str,
    /// Samples of each channel, all of the same length.
    pub(crate) channels: Vec<Vec<i16>>,
}

/// How samples are written. Format tags by Microsoft's `mmreg.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
    Alaw,
    Mulaw,
}

impl Coding {
    fn of(tag: u16, bits: u16) -> anyhow::Result<Self> {
        Ok(match (tag, bits) {
            (1, 8) => Self::Unsigned8,
            (1, 16) => Self::Signed16,
            (1, 24) => Self::Signed24,
            (1, 32) => Self::Signed32,
            (3, 32) => Self::Float32,
            (3, 64) => Self::Float64,
            (6, 8) => Self::Alaw,
            (7, 8) => Self::Mulaw,
            (1 | 3 | 6 | 7, bits) => bail!("{bits} bits a sample are unknown for its format {tag}"),
            (tag, _) => bail!(
                "its format {tag} is unknown: it must be PCM (1), floating point (3), A-law (6) or μ-law (7); \
                 `sox` or `ffmpeg` converts others"
            ),
        })
    }

    const fn octets(self) -> usize {
        match self {
            Self::Unsigned8 | Self::Alaw | Self::Mulaw => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Unsigned8 => "8-bit PCM",
            Self::Signed16 => "16-bit PCM",
            Self::Signed24 => "24-bit PCM",
            Self::Signed32 => "32-bit PCM",
            Self::Float32 => "32-bit float",
            Self::Float64 => "64-bit float",
            Self::Alaw => "A-law",
            Self::Mulaw => "μ-law",
        }
    }

    /// One sample from its octets, little endian.
    fn sample(self, octets: &[u8]) -> i16 {
        let whole = |x: f64| (x * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
        match (self, octets) {
            (Self::Unsigned8, &[x]) => (i16::from(x) - 128) << 8,
            (Self::Alaw, &[x]) => offhook_mulaw::alaw::decode(x),
            (Self::Mulaw, &[x]) => offhook_mulaw::decode(x),
            (Self::Signed16, &[a, b]) => i16::from_le_bytes([a, b]),
            (Self::Signed24, &[_, a, b]) | (Self::Signed32, &[_, _, a, b]) => i16::from_le_bytes([a, b]),
            (Self::Float32, &[a, b, c, d]) => whole(f64::from(f32::from_le_bytes([a, b, c, d]))),
            (Self::Float64, &[a, b, c, d, e, f, g, h]) => whole(f64::from_le_bytes([a, b, c, d, e, f, g, h])),
            _ => 0,
        }
    }
}

/// The `fmt ` chunk.
#[derive(Clone, Copy)]
struct Format {
    coding: Coding,
    channels: usize,
    rate: SampleRate,
}

impl Format {
    fn read(content: &[u8]) -> anyhow::Result<Self> {
        let word = |at: usize| -> anyhow::Result<u16> {
            let octets = content.get(at..at + 2).context("its `fmt ` chunk is cut short")?;
            Ok(u16::from_le_bytes([octets[0], octets[1]]))
        };
        // 0xFFFE: the tag proper begins the GUID of the extension.
        let tag = if word(0)? == 0xFFFE { word(24)? } else { word(0)? };
        let channels = usize::from(word(2)?);
        let hz = u32::from(word(4)?) | u32::from(word(6)?) << 16;
        ensure!((1..=64).contains(&channels), "it has {channels} channels");
        let rate = SampleRate::new(hz).context("its sample rate is zero")?;
        Ok(Self { coding: Coding::of(tag, word(14)?)?, channels, rate })
    }
}

/// Finds format and sound in a RIFF WAVE file. A length beyond the file's end, as writers to pipes leave it, means: to the end.
fn chunks(bytes: &[u8]) -> anyhow::Result<(Format, &[u8])> {
    ensure!(bytes.get(8..12) == Some(b"WAVE") && bytes.starts_with(b"RIFF"), "it is no RIFF WAVE file");
    let mut rest = bytes.get(12..).unwrap_or(&[]);
    let mut format = None;
    while let Some((head, body)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let content = body.get(..length).unwrap_or(body);
        match &head[..4] {
            b"fmt " => format = Some(Format::read(content)?),
            b"data" => {
                return Ok((format.context("its `data` chunk comes before its `fmt ` chunk")?, content));
            }
            _ => {}
        }
        rest = body.get(length.saturating_add(length % 2)..).unwrap_or(&[]);
    }
    bail!("it has no `data` chunk: is it cut short?")
}

/// Reads a WAV of any usual coding, rate and number of channels.
pub(crate) fn read(path: &Path) -> anyhow::Result<Wav> {
    let bytes = crate::input::octets(path).with_context(|| format!("can't read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{} can't be used", path.display()))
}

fn parse(bytes: &[u8]) -> anyhow::Result<Wav> {
    let (format, data) = chunks(bytes)?;
    let step = format.coding.octets();
    let channels = (0..format.channels)
        .map(|channel| {
            // Of the last, unfinished sample nothing is taken.
            let whole = data.chunks_exact(step * format.channels);
            whole.map(|all| format.coding.sample(&all[channel * step..(channel + 1) * step])).collect()
        })
        .collect();
    Ok(Wav { rate: format.rate, coding: format.coding.name(), channels })
}

/// A sound at the telephone's rate.
pub(crate) fn at_8_khz(sound: Vec<i16>, rate: SampleRate) -> anyhow::Result<Vec<i16>> {
    if rate == SampleRate::HZ_8000 {
        return Ok(sound);
    }
    let mut narrow = Vec::new();
    let mut resampler = offhook_resample::Resampler::new(rate, SampleRate::HZ_8000)?;
    resampler.process(&sound, &mut narrow);
    resampler.flush(&mut narrow);
    // The filter's delay is taken off, so that times are the file's.
    let late = (resampler.delay().as_micros() * 8 + 500) / 1_000;
    narrow.drain(..narrow.len().min(late as usize));
    Ok(narrow)
}

/// How names of files with raw μ-law end.
const RAW: [&str; 5] = ["ulaw", "ul", "mulaw", "raw", "pcmu"];
/// How names of files with other sound end.
const SOUND: [&str; 10] = ["wav", "mp3", "ogg", "oga", "opus", "flac", "m4a", "aac", "aiff", "webm"];

/// Whether a file of this name would be sound, by its ending.
pub(crate) fn is_sound_name(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    RAW.contains(&ending.as_str()) || SOUND.contains(&ending.as_str())
}

/// Reads a line: a mono WAV, or raw μ-law.
pub(crate) fn read_line(path: &Path) -> anyhow::Result<Say> {
    let bytes = crate::input::octets(path).with_context(|| format!("can't read {}", path.display()))?;
    let octets = if bytes.starts_with(b"RIFF") { line(&bytes) } else { raw(path, bytes) };
    let octets = octets.with_context(|| format!("{} can't be used", path.display()))?;
    ensure!(!octets.is_empty(), "{} can't be used: there is no sound in it", path.display());
    Ok(Say::Sound(octets))
}

/// Raw μ-law tells nothing of itself: by the file's name, and by what it can't be.
fn raw(path: &Path, bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    const HINT: &str =
        "it must be WAV, or raw μ-law in a file named .ulaw; `sox` or `ffmpeg` converts others";
    if let Some(kind) = offhook_audio::container(&bytes) {
        bail!("it is {kind}, not sound that can be said: {HINT}");
    }
    ensure!(!bytes.is_empty(), "there is no sound in it");
    let text = bytes.iter().filter(|octet| octet.is_ascii_graphic() || octet.is_ascii_whitespace()).count();
    ensure!(text * 20 < bytes.len() * 19, "it is text, not sound: {HINT}");
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    ensure!(RAW.contains(&ending.as_str()), "it has no WAV header: {HINT}");
    Ok(bytes)
}

/// A line from a WAV in memory.
pub(crate) fn line_of(bytes: &[u8]) -> anyhow::Result<Say> {
    line(bytes).map(Say::Sound)
}

fn line(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (format, data) = chunks(bytes)?;
    ensure!(format.channels == 1, "it has {} channels, one is needed", format.channels);
    if format.coding == Coding::Mulaw && format.rate == SampleRate::HZ_8000 {
        return Ok(data.to_vec());
    }
    let sound = parse(bytes)?.channels.pop().unwrap_or_default();
    let narrow = at_8_khz(sound, format.rate)?;
    let mut octets = vec![0; narrow.len()];
    offhook_mulaw::encode_slice(&narrow, &mut octets);
    Ok(octets)
}

/// Writes both sides: caller left, agent right, 8 kHz.
pub(crate) fn write_stereo(path: &Path, caller: &[u8], agent: &[u8]) -> anyhow::Result<()> {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer =
        hound::WavWriter::create(path, spec).with_context(|| format!("can't write {}", path.display()))?;
    for (left, right) in caller.iter().zip(agent) {
        writer.write_sample(offhook_mulaw::decode(*left))?;
        writer.write_sample(offhook_mulaw::decode(*right))?;
    }
    writer.finalize()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(tag: u16, bits: u16, channels: u16, data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        let block = channels * bits / 8;
        file.extend([tag, channels].iter().flat_map(|x| x.to_le_bytes()));
        file.extend(8_000u32.to_le_bytes());
        file.extend((8_000 * u32::from(block)).to_le_bytes());
        file.extend([block, bits].iter().flat_map(|x| x.to_le_bytes()));
        file.extend(b"data");
        file.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
        file.extend(data);
        file
    }

    fn only_channel(bytes: &[u8]) -> Vec<i16> {
        parse(bytes).map(|mut wav| wav.channels.remove(0)).unwrap_or_default()
    }

    #[test]
    fn every_coding_gives_the_same_sound() {
        let half: f32 = 0.5;
        assert_eq!(only_channel(&file(1, 8, 1, &[192, 64])), [16_384, -16_384]);
        assert_eq!(only_channel(&file(1, 16, 1, &[0, 64, 0, 192])), [16_384, -16_384]);
        assert_eq!(only_channel(&file(1, 24, 1, &[9, 0, 64, 9, 0, 192])), [16_384, -16_384]);
        assert_eq!(only_channel(&file(1, 32, 1, &[9, 9, 0, 64, 9, 9, 0, 192])), [16_384, -16_384]);
        assert_eq!(only_channel(&file(3, 32, 1, &half.to_le_bytes())), [16_384]);
        assert_eq!(only_channel(&file(3, 32, 1, &2f32.to_le_bytes())), [32_767]);
        assert_eq!(only_channel(&file(3, 64, 1, &(-0.5f64).to_le_bytes())), [-16_384]);
        assert_eq!(only_channel(&file(7, 8, 1, &[0xFF, 0x00])), [0, offhook_mulaw::decode(0)]);
        assert_eq!(only_channel(&file(6, 8, 1, &[0xD5])), [offhook_mulaw::alaw::decode(0xD5)]);
    }

    #[test]
    fn channels_are_told_apart_and_half_a_sample_is_left_out() {
        let wav = parse(&file(1, 16, 2, &[1, 0, 2, 0, 3, 0, 4, 0, 5])).map(|wav| wav.channels);
        assert_eq!(wav.ok(), Some(vec![vec![1, 3], vec![2, 4]]));
    }

    #[test]
    fn a_length_beyond_the_end_means_to_the_end() {
        let mut bytes = file(7, 8, 1, &[0xFF; 5]);
        let at = bytes.len() - 9;
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(only_channel(&bytes), [0; 5]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |bytes: &[u8]| parse(bytes).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told(b"ID3 something").contains("no RIFF WAVE"));
        assert!(told(&file(85, 16, 1, &[])).contains("format 85"));
        assert!(told(&file(1, 12, 1, &[])).contains("12 bits"));
        assert!(told(&file(1, 16, 0, &[])).contains("0 channels"));
        assert!(told(&file(1, 16, 1, &[])[..50]).contains("no `data`"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(mut bytes: Vec<u8>, cut in 0usize..80, at in 0usize..60, value: u8) {
            let _any = parse(&bytes);
            let mut changed = file(1, 16, 2, &[1, 2, 3, 4, 5, 6, 7, 8]);
            changed[at] = value;
            changed.truncate(cut);
            let _any = parse(&changed);
            bytes.splice(..0, *b"RIFF....WAVE");
            let _any = parse(&bytes);
        }
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            read_line(&path).map_err(|error| format!("{error:#}"))
        };
        let speech: Vec<u8> = (0..800_u32).map(|n| (n * 37 % 251) as u8).collect();
        assert_eq!(read("a.ulaw", &speech), Ok(Say::Sound(speech.clone())));
        for (name, bytes, why) in [
            ("a.txt", b"I'd like a large pizza, please.".as_slice(), "it is text"),
            ("a.ulaw", b"# Notes\n\nThis is no sound at all.", "it is text"),
            ("a.mp3", b"ID3\x04\0\0\0\0\0\0", "it is MP3"),
            ("a.wav", &speech, "no WAV header"),
            ("b.ulaw", b"", "no sound in it"),
            ("b.wav", b"RIFF\0\0\0\0WAVE", "can't be used"),
        ] {
            let error = read(name, bytes).unwrap_err();
            assert!(error.contains(why), "{name}: {error}");
        }
    }
}
