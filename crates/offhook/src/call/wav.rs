//! Sound files.

use std::path::Path;

use anyhow::{Context, bail};
use offhook_audio::SampleRate;
use offhook_simulator::Say;

/// Reads a line: a WAV of 16-bit PCM or μ-law, mono, or raw μ-law.
pub(crate) fn read_line(path: &Path) -> anyhow::Result<Say> {
    let bytes = std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
    if !bytes.starts_with(b"RIFF") {
        return Ok(Say::Sound(bytes));
    }
    let octets = match mulaw_data(&bytes) {
        Some(octets) => octets.to_vec(),
        None => read_pcm(&bytes).with_context(|| format!("{} can't be used", path.display()))?,
    };
    Ok(Say::Sound(octets))
}

/// The octets of an 8 kHz mono μ-law WAV (format tag 7); `None` if it is another.
fn mulaw_data(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(12..)?;
    let mut mulaw = false;
    loop {
        let (head, body) = rest.split_at_checked(8)?;
        let length = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?) as usize;
        let content = body.get(..length.min(body.len()))?;
        match head.get(..4)? {
            b"fmt " => {
                let tag = u16::from_le_bytes(content.get(..2)?.try_into().ok()?);
                let channels = u16::from_le_bytes(content.get(2..4)?.try_into().ok()?);
                let rate = u32::from_le_bytes(content.get(4..8)?.try_into().ok()?);
                mulaw = tag == 7 && channels == 1 && rate == 8_000;
                if !mulaw {
                    return None;
                }
            }
            b"data" => return mulaw.then_some(content),
            _ => {}
        }
        rest = body.get((length + length % 2).min(body.len())..)?;
    }
}

fn read_pcm(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut reader = hound::WavReader::new(bytes)?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 {
        bail!("it has {} channels of {} bits; one of 16 bits is needed", spec.channels, spec.bits_per_sample);
    }
    let samples: Vec<i16> = reader.samples::<i16>().collect::<Result<_, _>>()?;
    let rate = SampleRate::new(spec.sample_rate).context("its rate is zero")?;
    let mut narrow = Vec::new();
    let mut resampler = offhook_resample::Resampler::new(rate, SampleRate::HZ_8000)?;
    resampler.process(&samples, &mut narrow);
    resampler.flush(&mut narrow);
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
