//! The caller's sound as a file.

use offhook_audio::SampleRate;
use offhook_resample::Resampler;

/// A RIFF WAVE file of 16-bit mono samples (Microsoft's and IBM's Multimedia Programming Interface 1.0), from μ-law at 8 kHz:
/// at 8 kHz, or at 16.
pub(crate) fn wav(mulaw: &[u8], wide: bool) -> Vec<u8> {
    let mut samples = vec![0; mulaw.len()];
    offhook_mulaw::decode_slice(mulaw, &mut samples);
    let mut rate: u32 = 8_000;
    if wide && let Ok(mut resampler) = Resampler::new(SampleRate::HZ_8000, SampleRate::HZ_16000) {
        let mut all = Vec::with_capacity(samples.len() * 2 + resampler.max_flush_len());
        resampler.process(&samples, &mut all);
        resampler.flush(&mut all);
        samples = all;
        rate = 16_000;
    }
    let length = u32::try_from(samples.len() * 2).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&length.saturating_add(36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes()); // linear samples
    file.extend_from_slice(&1_u16.to_le_bytes()); // one channel
    file.extend_from_slice(&rate.to_le_bytes());
    file.extend_from_slice(&(rate * 2).to_le_bytes());
    file.extend_from_slice(&2_u16.to_le_bytes());
    file.extend_from_slice(&16_u16.to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_read_it() {
        for (wide, rate) in [(false, 8_000), (true, 16_000)] {
            let file = wav(&[0x80; 800], wide);
            let reader = hound::WavReader::new(std::io::Cursor::new(file)).unwrap();
            assert_eq!((reader.spec().sample_rate, reader.spec().channels), (rate, 1));
            let count = reader.duration() as usize;
            assert!((count as i64 - 800 * i64::from(rate) / 8_000).abs() < 100, "{count}");
            let loud = reader.into_samples::<i16>().filter(|sample| sample.as_ref().unwrap().abs() > 20_000);
            assert!(loud.count() > 700);
        }
    }
}
