//! From a provider's bytes to sound: judged before any of it is played, without container, without the silence before the
//! first word.

use std::time::Duration;

use offhook_audio::{SampleCount, SampleRate};
use offhook_stage_api::AudioChunk;
use offhook_stages::StageError;

use super::layout::Layout;
use super::trim::{Sample, Trim};
use crate::sniff::{Asked, ENOUGH, WavHeader, sniff};

/// What a provider was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// G.711 μ-law at 8 kHz.
    Mulaw,
    /// Linear samples of this rate, little endian; with a WAV header, what the header tells counts.
    Pcm(SampleRate),
    /// WAV: samples of the rate, coding and channels that its header tells.
    Wav,
}

/// Rates that can be converted, in hertz.
pub(crate) const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// No sentence takes longer to say; a provider that sends more has lost its way.
const LONGEST: Duration = Duration::from_secs(600);

/// One segment's sound.
#[derive(Debug)]
pub(super) struct Sound {
    stage: String,
    format: Format,
    /// The first bytes, until they suffice for a judgement.
    head: Option<Vec<u8>>,
    /// How samples lie in the bytes.
    layout: Layout,
    /// The first part of a sample that was cut in two.
    part: Vec<u8>,
    /// Bytes of sound still to come, if a header told.
    left: Option<usize>,
    rate: SampleRate,
    trim: Trim,
    /// Samples received, silence included.
    received: u64,
}

impl Sound {
    /// `trim`: whether silence before the first word is left out.
    pub(super) fn new(stage: &str, format: Format, trim: bool) -> Self {
        let rate = match format {
            Format::Pcm(rate) => rate,
            Format::Mulaw | Format::Wav => SampleRate::HZ_8000,
        };
        let trim = Trim { held: Vec::new(), cut: 0, open: !trim };
        let head = Some(Vec::new());
        Self {
            stage: stage.to_owned(),
            format,
            head,
            layout: Layout::MONO_16,
            part: Vec::new(),
            left: None,
            rate,
            trim,
            received: 0,
        }
    }

    /// Takes the next bytes, however they are cut.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Option<AudioChunk>, StageError> {
        let head;
        let bytes = match self.head.as_mut() {
            None => bytes,
            Some(first) => {
                first.extend_from_slice(bytes);
                if first.len() < ENOUGH {
                    return Ok(None);
                }
                head = self.judge()?;
                head.as_slice()
            }
        };
        self.take(bytes)
    }

    /// The end: whatever was kept back.
    pub(super) fn finish(&mut self) -> Result<Option<AudioChunk>, StageError> {
        let mut last = Vec::new();
        if self.head.is_some() {
            let head = self.judge()?;
            last.extend(self.samples(&head)?);
        }
        let rest = self.trim.push(last, self.rate);
        let rest = if rest.is_empty() { self.trim.finish() } else { rest };
        Ok(self.chunk(rest))
    }

    /// Length of the silence that was left out; `None` while it isn't known.
    pub(super) fn trimmed(&self) -> Option<Duration> {
        (self.trim.open && self.head.is_none())
            .then(|| self.rate.duration_of(SampleCount(self.trim.cut as u64)))
    }

    /// Length of what was received.
    pub(super) fn received(&self) -> Duration {
        let waiting = self.head.as_ref().map_or(0, |head| match self.format {
            Format::Mulaw => head.len(),
            Format::Pcm(_) | Format::Wav => head.len() / 2,
        });
        self.rate.duration_of(SampleCount(self.received + waiting as u64))
    }

    fn garbage(&self, what: String) -> StageError {
        StageError::Garbage { stage: self.stage.clone(), what }
    }

    /// Judges the first bytes; gives what of them is sound.
    fn judge(&mut self) -> Result<Vec<u8>, StageError> {
        let mut head = self.head.take().unwrap_or_default();
        let first = head.get(..ENOUGH).unwrap_or(&head);
        let asked = match self.format {
            Format::Mulaw => Asked::Mulaw,
            Format::Pcm(_) | Format::Wav if first.starts_with(b"RIFF") => {
                let header = WavHeader::read(first).map_err(|what| self.garbage(what))?;
                self.left = header.length;
                let rate = SampleRate::new(header.rate).filter(|rate| RATES.contains(&rate.hz()));
                self.rate = rate.ok_or_else(|| self.garbage(format!("WAV of {} Hz", header.rate)))?;
                if let Some(layout) = Layout::new(header.tag, header.channels, header.bits) {
                    self.layout = layout;
                    head.drain(..header.sound_at);
                    return Ok(head);
                }
                Asked::Pcm16(header.rate)
            }
            Format::Pcm(rate) => Asked::Pcm16(rate.hz()),
            Format::Wav => {
                sniff(&self.stage, Asked::Pcm16(8_000), first)?;
                return Err(self.garbage("bare sound instead of WAV: set `format` to \"pcm\"".to_owned()));
            }
        };
        let skip = sniff(&self.stage, asked, first)?;
        head.drain(..skip.min(head.len()));
        Ok(head)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Option<AudioChunk>, StageError> {
        let samples = self.samples(bytes)?;
        let samples = self.trim.push(samples, self.rate);
        Ok(self.chunk(samples))
    }

    /// μ-law octets stay what they are, in the lower half.
    fn samples(&mut self, bytes: &[u8]) -> Result<Vec<Sample>, StageError> {
        let bytes = match &mut self.left {
            None => bytes,
            Some(left) => {
                // Behind the sound there may be chunks that are none.
                let sound = bytes.get(..*left).unwrap_or(bytes);
                *left -= sound.len();
                sound
            }
        };
        let samples: Vec<Sample> = if self.format == Format::Mulaw {
            bytes.iter().map(|octet| Sample::Mulaw(*octet)).collect()
        } else {
            let (layout, frame) = (self.layout, self.layout.frame());
            let mut samples = Vec::with_capacity(bytes.len() / frame + 1);
            let missing = if self.part.is_empty() { 0 } else { frame - self.part.len() };
            let (first, bytes) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
            self.part.extend_from_slice(first);
            if self.part.len() == frame {
                samples.push(Sample::Linear(layout.sample(&self.part)));
                self.part.clear();
            }
            let frames = bytes.chunks_exact(frame);
            self.part.extend_from_slice(frames.remainder());
            samples.extend(frames.map(|frame| Sample::Linear(layout.sample(frame))));
            samples
        };
        self.received += samples.len() as u64;
        if self.received() > LONGEST {
            return Err(
                self.garbage(format!("more than {} minutes of sound for a sentence", LONGEST.as_secs() / 60))
            );
        }
        Ok(samples)
    }

    fn chunk(&self, samples: Vec<Sample>) -> Option<AudioChunk> {
        if samples.is_empty() {
            return None;
        }
        Some(if self.format == Format::Mulaw {
            AudioChunk::Mulaw(samples.into_iter().map(Sample::octet).collect())
        } else {
            AudioChunk::Pcm { rate: self.rate, samples: samples.into_iter().map(Sample::linear).collect() }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::trim::KEEP_MS;
    use super::*;

    fn tone(count: usize) -> Vec<i16> {
        (0..count).map(|n| ((n as f64 * 0.3).sin() * 2_000.0) as i16 + 200).collect()
    }

    fn linear(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    /// All samples, when the bytes come in pieces of these sizes.
    fn collect(
        sound: &mut Sound,
        bytes: &[u8],
        sizes: &[usize],
    ) -> Result<(Vec<i16>, SampleRate), StageError> {
        let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
        let (mut all, mut heard_rate) = (Vec::new(), SampleRate::HZ_8000);
        let mut keep = |chunk: Option<AudioChunk>| match chunk {
            Some(AudioChunk::Pcm { rate, samples }) => {
                heard_rate = rate;
                all.extend_from_slice(&samples);
            }
            Some(AudioChunk::Mulaw(octets)) => {
                all.extend(octets.iter().map(|octet| offhook_mulaw::decode(*octet)))
            }
            None => {}
        };
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
            keep(sound.push(piece)?);
            rest = after;
        }
        keep(sound.finish()?);
        Ok((all, heard_rate))
    }

    fn wav(rate: u32, samples: &[i16], length: u32) -> Vec<u8> {
        let mut wav = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        wav.extend(rate.to_le_bytes());
        wav.extend([0, 0, 0, 0, 2, 0, 16, 0]);
        wav.extend(b"LIST\x03\0\0\0abc\0data");
        wav.extend(length.to_le_bytes());
        wav.extend(linear(samples));
        wav
    }

    proptest! {
        #[test]
        fn samples_survive_any_cut(sizes in prop::collection::vec(1usize..700, 1..8), wave in any::<bool>(), odd in any::<bool>()) {
            let samples = tone(3_000);
            let format = if wave { Format::Wav } else { Format::Pcm(SampleRate::HZ_24000) };
            let mut bytes = if wave { wav(22_050, &samples, 0) } else { linear(&samples) };
            if odd {
                bytes.push(7);
            }
            let (heard, rate) = collect(&mut Sound::new("x", format, false), &bytes, &sizes).unwrap();
            prop_assert_eq!(heard, samples);
            prop_assert_eq!(rate.hz(), if wave { 22_050 } else { 24_000 });
        }
    }

    #[test]
    fn every_coding_of_wav_is_read() {
        let samples = tone(3_000);
        let header = |tag: u16, channels: u16, bits: u16, rate: u32| {
            let mut wav = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".to_vec();
            wav.extend([tag.to_le_bytes(), channels.to_le_bytes()].concat());
            wav.extend(rate.to_le_bytes());
            wav.extend([0, 0, 0, 0, 0, 0]);
            wav.extend(bits.to_le_bytes());
            wav.extend(b"data\0\0\0\0");
            wav
        };
        let wide = |sample: i16| f64::from(sample) / 32_767.0;
        type Coding = (u16, u16, fn(i16, f64) -> Vec<u8>, u16);
        let codings: [Coding; 7] = [
            (1, 8, |sample, _| vec![((sample >> 8) + 128) as u8], 256),
            (1, 24, |sample, _| (i32::from(sample) << 8).to_le_bytes()[..3].to_vec(), 0),
            (1, 32, |sample, _| (i32::from(sample) << 16).to_le_bytes().to_vec(), 0),
            (3, 32, |_, wide| (wide as f32).to_le_bytes().to_vec(), 1),
            (3, 64, |_, wide| wide.to_le_bytes().to_vec(), 1),
            (6, 8, |sample, _| vec![offhook_mulaw::alaw::encode(sample)], 64),
            (7, 8, |sample, _| vec![offhook_mulaw::encode(sample)], 64),
        ];
        for (tag, bits, code, apart) in codings {
            for channels in [1, 2] {
                let mut bytes = header(tag, channels, bits, 32_000);
                for sample in &samples {
                    (0..channels).for_each(|_| bytes.extend(code(*sample, wide(*sample))));
                }
                let format = Format::Pcm(SampleRate::HZ_24000);
                let (heard, rate) =
                    collect(&mut Sound::new("x", format, false), &bytes, &[1_000, 7, 333]).unwrap();
                assert_eq!((heard.len(), rate.hz()), (3_000, 32_000), "{tag} {bits} {channels}");
                let worst =
                    heard.iter().zip(&samples).map(|(one, other)| one.abs_diff(*other)).max().unwrap();
                assert!(worst <= apart, "{tag} {bits} {channels}: {worst}");
            }
        }
        // Numbers that are none are silence, and what can't be converted is told while another voice can take over.
        let mut bytes = header(3, 1, 32, 16_000);
        bytes.extend(f32::NAN.to_le_bytes().repeat(2_000));
        let (heard, _) = collect(&mut Sound::new("x", Format::Wav, false), &bytes, &[500]).unwrap();
        assert!(heard.iter().all(|sample| *sample == 0));
        for (tag, channels, bits, rate) in
            [(1, 1, 16, 0), (1, 1, 16, 7), (1, 1, 16, 400_000), (2, 1, 4, 8_000), (1, 0, 16, 8_000)]
        {
            let mut bytes = header(tag, channels, bits, rate);
            bytes.extend([1; 4_000]);
            assert!(
                collect(&mut Sound::new("x", Format::Wav, false), &bytes, &[500]).is_err(),
                "{tag} {channels} {bits} {rate}"
            );
        }
    }

    #[test]
    fn chunks_behind_the_sound_are_not_played() {
        let samples = tone(1_000);
        let mut bytes = wav(16_000, &samples, 2_000);
        bytes.extend(b"LIST\x04\0\0\0info");
        let (heard, rate) =
            collect(&mut Sound::new("x", Format::Pcm(SampleRate::HZ_24000), false), &bytes, &[333]).unwrap();
        assert_eq!((heard.len(), rate.hz()), (1_000, 16_000), "the header's rate counts");
    }

    #[test]
    fn what_is_no_sound_is_never_played() {
        for (bytes, name) in
            [(&b"{\"error\":1}"[..], "JSON"), (b"<html>", "HTML"), (b"ID3\x04", "MP3"), (b"", "no sound")]
        {
            for format in [Format::Mulaw, Format::Pcm(SampleRate::HZ_24000), Format::Wav] {
                let mut sound = Sound::new("x", format, true);
                let error = collect(&mut sound, bytes, &[100]).unwrap_err().to_string();
                assert!(error.contains(name), "{error}");
            }
        }
        let error =
            collect(&mut Sound::new("x", Format::Mulaw, true), &linear(&tone(600)), &[50]).unwrap_err();
        assert!(error.to_string().contains("16-bit"), "{error}");
    }

    #[test]
    fn a_long_silence_before_the_first_word_is_left_out() {
        let cases = [(50, 50, 0), (80, 80, 0), (200, 30, 170), (1_500, 30, 1_470)];
        for (silence_ms, left_ms, cut_ms) in cases {
            let mut octets = vec![0xFF_u8; silence_ms * 8];
            octets.extend([0x10; 800]);
            let mut sound = Sound::new("x", Format::Mulaw, true);
            let (heard, _) = collect(&mut sound, &octets, &[160]).unwrap();
            assert_eq!(heard.len(), left_ms * 8 + 800, "{silence_ms}");
            assert_eq!(sound.trimmed(), Some(Duration::from_millis(cut_ms)));
            let (all, _) = collect(&mut Sound::new("x", Format::Mulaw, false), &octets, &[160]).unwrap();
            assert_eq!(all.len(), octets.len());
        }
        let (silence, _) =
            collect(&mut Sound::new("x", Format::Mulaw, true), &[0xFF; 8_000], &[160]).unwrap();
        assert_eq!(silence.len(), KEEP_MS * 8, "of nothing but silence, a little is left");
    }
}
