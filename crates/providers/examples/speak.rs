//! Speaks a text into a WAV file: `speak VOICE TEXT OUT.wav`.
use std::io::Write;

use offhook_providers::embedded::{Flite, NativePool, Voice};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, voice, text, path] = args.as_slice() else { anyhow::bail!("usage: speak VOICE TEXT OUT.wav") };
    let voice = Voice::by_name(voice).ok_or_else(|| anyhow::anyhow!("no voice `{voice}`"))?;
    let spoken = Flite::new(voice, NativePool::new("native", 1, 1))?.speak(text)?;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: spoken.rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for &sample in &spoken.samples {
        writer.write_sample(sample)?;
    }
    writer.finalize()?;
    let mut out = std::io::stderr().lock();
    for word in &spoken.words {
        writeln!(out, "{:5} – {:5} ms  {}", word.start_ms, word.end_ms, word.word)?;
    }
    Ok(())
}
