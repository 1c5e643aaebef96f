//! From a file's octets to sound at 8 kHz, one channel.

use std::time::Duration;

use nanomp3::SliceReader;
use offhook_audio::{SampleRate, container};
use offhook_resample::Resampler;

use crate::sniff::WavHeader;
use crate::tts::{Layout, RATES};

/// A recording may last so long.
pub(super) const LONGEST: Duration = Duration::from_secs(300);
/// So many samples are converted at once.
const PIECE: usize = 8_192;

/// Names under which servers give bare μ-law: the type, or the end of the path.
const MULAW: [&str; 6] =
    ["audio/basic", "audio/ulaw", "audio/x-ulaw", "audio/mulaw", "audio/x-mulaw", "audio/pcmu"];
const MULAW_ENDS: [&str; 4] = [".ulaw", ".ul", ".mulaw", ".mulaw8k"];

/// Collects what comes at one rate, as 8 kHz.
struct Collected {
    resampler: Resampler,
    all: Vec<i16>,
}

impl Collected {
    fn at(hz: u32) -> Result<Self, String> {
        let known = SampleRate::new(hz).filter(|rate| RATES.contains(&rate.hz()));
        let converted = known.and_then(|rate| Resampler::new(rate, SampleRate::HZ_8000).ok());
        let resampler = converted.ok_or_else(|| format!("sound of {hz} Hz can't be converted"))?;
        Ok(Self { resampler, all: Vec::new() })
    }

    fn push(&mut self, samples: &[i16]) -> Result<(), String> {
        self.resampler.process(samples, &mut self.all);
        let most = SampleRate::HZ_8000.samples_in(LONGEST);
        if self.all.len() > most {
            return Err(format!("it lasts longer than {} minutes", LONGEST.as_secs() / 60));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<i16>, String> {
        self.resampler.flush(&mut self.all);
        if self.all.is_empty() { Err("there is no sound in it".to_owned()) } else { Ok(self.all) }
    }
}

/// The μ-law of 8 kHz and one channel in a file of Sun's (`.au`): a header of big-endian words, magic, where the sound begins, its
/// length, its coding (1 is μ-law), rate and channels.
fn au_mulaw(octets: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(u32::from_be_bytes(octets.get(at..at + 4)?.try_into().ok()?));
    let fits = octets.starts_with(b".snd") && (word(12)?, word(16)?, word(20)?) == (1, 8_000, 1);
    let begins = usize::try_from(word(4)?).ok()?;
    octets.get(begins..).filter(|_| fits)
}

/// Decodes a file: WAV (linear, float, A-law, μ-law), MP3, or μ-law of 8 kHz without a header, where its type or its path says so.
///
/// # Errors
/// In words for whoever wrote the application: what it is instead, or what is wrong with it.
pub(super) fn decode(octets: &[u8], kind: Option<&str>, path: &str) -> Result<Vec<i16>, String> {
    if octets.starts_with(b"RIFF") {
        return wav(octets);
    }
    if octets.starts_with(b"ID3") || container(octets) == Some("MP3") {
        return mp3(octets);
    }
    if let Some(mulaw) = au_mulaw(octets) {
        return decode(mulaw, Some("audio/basic"), path);
    }
    if let Some(other) = container(octets) {
        return Err(format!("it is {other}; WAV, MP3 and μ-law are played"));
    }
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or(kind).trim().to_ascii_lowercase());
    let path = path.to_ascii_lowercase();
    let named = kind.as_deref().is_some_and(|kind| MULAW.contains(&kind));
    if named || MULAW_ENDS.iter().any(|end| path.ends_with(end)) {
        let mut all = Collected::at(8_000)?;
        let mut linear = vec![0; PIECE];
        for piece in octets.chunks(PIECE) {
            let Some(linear) = linear.get_mut(..piece.len()) else { continue };
            offhook_mulaw::decode_slice(piece, linear);
            all.push(linear)?;
        }
        return all.finish();
    }
    // One frame alone is no proof of MP3, unless its server says so.
    if matches!(kind.as_deref(), Some("audio/mpeg" | "audio/mp3" | "audio/mpeg3" | "audio/x-mpeg-3")) {
        return mp3(octets);
    }
    Err(format!("it is {}; WAV, MP3 and μ-law are played", kind.as_deref().unwrap_or("of no known type")))
}

fn wav(octets: &[u8]) -> Result<Vec<i16>, String> {
    let header = WavHeader::read(octets)?;
    let (tag, channels, bits) = (header.tag, header.channels, header.bits);
    let layout = Layout::new(tag, channels, bits)
        .ok_or_else(|| format!("WAV of format {tag}, {channels} channels, {bits} bits can't be read"))?;
    let sound = octets.get(header.sound_at..).unwrap_or_default();
    let sound = header.length.and_then(|length| sound.get(..length)).unwrap_or(sound);
    let mut all = Collected::at(header.rate)?;
    let mut samples = Vec::with_capacity(PIECE);
    for piece in sound.chunks(PIECE * layout.frame()) {
        samples.clear();
        samples.extend(piece.chunks_exact(layout.frame()).map(|frame| layout.sample(frame)));
        all.push(&samples)?;
    }
    all.finish()
}

fn mp3(octets: &[u8]) -> Result<Vec<i16>, String> {
    // Not scanned for its length first: a file that claims to be long is cut off where it is too long.
    let options = nanomp3::Options::default().skip_scan(true).allow_mono_stereo_transition(true);
    let mut reader: SliceReader<'_, i16> = SliceReader::with_options(octets, options);
    let channels = reader.channels().map_or(1, |channels| usize::from(channels.num()));
    let mut all =
        Collected::at(reader.sample_rate()).map_err(|_| "it is no MP3 that can be read".to_owned())?;
    let mut samples = Vec::with_capacity(PIECE);
    // What can't be read behind what could is the end of it.
    while let Ok(Some(frame)) = reader.read_frame() {
        samples.clear();
        samples.extend(frame.chunks(channels).map(mean));
        all.push(&samples)?;
    }
    all.finish()
}

fn mean(frame: &[i16]) -> i16 {
    let sum: i32 = frame.iter().copied().map(i32::from).sum();
    let count = i32::try_from(frame.len().max(1)).unwrap_or(1);
    // A mean of samples is one.
    i16::try_from(sum / count).unwrap_or_default()
}
