//! What is in the payloads, if it isn't μ-law: headers of containers, linear samples, A-law.

use offhook_audio::container;

use crate::causes::{self, Cause};

/// Octets that suffice for a judgement.
pub(crate) const MOST_JUDGED: usize = 16_000;
/// Fewer aren't judged.
const LEAST_JUDGED: usize = 2_000;

/// Judges the first payload, and the first seconds of sound.
pub(crate) fn judge(first: &[u8], sound: &[u8]) -> Option<(&'static Cause, String)> {
    if let Some(wav) = first.strip_prefix(b"RIFF") {
        let format = wav.get(16..18).map_or(0, |two| u16::from(two[0]) | u16::from(two[1]) << 8);
        let named = match format {
            1 => "linear samples behind it",
            7 => "μ-law behind it",
            _ => "something else behind it",
        };
        return Some((&causes::WAV_HEADER, format!("the payload begins with a WAV header, with {named}")));
    }
    if let Some(name) = container(first) {
        return Some((&causes::CONTAINER, format!("the payload is {name}, not bare μ-law")));
    }
    let sound = sound.get(..MOST_JUDGED).unwrap_or(sound);
    if sound.len() < LEAST_JUDGED {
        return None;
    }
    if a_law_silence(sound) {
        return Some((
            &causes::A_LAW,
            "the payload has silence as A-law has it (0xD5), not μ-law".to_owned(),
        ));
    }
    let mulaw = decode(sound);
    // Recorded speech: as μ-law at most 0.05, as linear samples at least 0.6. A pure tone of μ-law may have more, but is a
    // clean wave as μ-law, which halves of samples never are.
    if halves(sound) < 0.4 || smoothness(&mulaw).abs() > 0.85 || loudness(&mulaw) < 5_000.0 {
        return None;
    }
    for (swapped, name) in [(false, "little"), (true, "big")] {
        let (pairs, _) = sound.as_chunks::<2>();
        let number =
            |pair: &[u8; 2]| if swapped { i16::from_be_bytes(*pair) } else { i16::from_le_bytes(*pair) };
        let samples: Vec<f64> = pairs.iter().map(|pair| f64::from(number(pair))).collect();
        if smoothness(&samples) > 0.7 {
            return Some((
                &causes::LINEAR,
                format!("the payload is 16-bit linear samples ({name} endian), not μ-law"),
            ));
        }
    }
    None
}

/// How differently octets at even and at odd places are spread over sixteen ranges: 0 alike, 2 nothing in common.
fn halves(octets: &[u8]) -> f64 {
    let (mut first, mut second) = ([0_i32; 16], [0_i32; 16]);
    let (pairs, _) = octets.as_chunks::<2>();
    for [one, other] in pairs.iter().filter(|pair| **pair != [0, 0]) {
        first[usize::from(one >> 4)] += 1;
        second[usize::from(other >> 4)] += 1;
    }
    let apart: i32 = first.iter().zip(second).map(|(first, second)| (first - second).abs()).sum();
    f64::from(apart) / f64::from(first.iter().sum::<i32>().max(1))
}

/// How alike neighbouring samples are: the normalised autocorrelation at one sample, 1 for a slow wave, 0 for noise.
fn smoothness(samples: &[f64]) -> f64 {
    let mean = samples.iter().sum::<f64>() / samples.len().max(1) as f64;
    let energy: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
    let along: f64 =
        samples.iter().zip(samples.iter().skip(1)).map(|(one, next)| (one - mean) * (next - mean)).sum();
    if energy > 0.0 { along / energy } else { 0.0 }
}

fn loudness(samples: &[f64]) -> f64 {
    samples.iter().map(|sample| sample.abs()).sum::<f64>() / samples.len().max(1) as f64
}

/// 40 ms of the smallest values of A-law (G.711, even bits inverted); as μ-law they would be a soft buzz that no voice has.
fn a_law_silence(octets: &[u8]) -> bool {
    octets
        .chunks(320)
        .any(|run| run.len() == 320 && run.iter().all(|octet| matches!(octet, 0xD5 | 0x55 | 0xD4 | 0x54)))
}

fn decode(octets: &[u8]) -> Vec<f64> {
    let mut samples = vec![0; octets.len()];
    offhook_mulaw::decode_slice(octets, &mut samples);
    samples.into_iter().map(f64::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap().split_off(58)
    }

    fn linear(mulaw: &[u8], times: usize, big: bool) -> Vec<u8> {
        let mut samples = vec![0; mulaw.len()];
        offhook_mulaw::decode_slice(mulaw, &mut samples);
        let all = samples.iter().flat_map(|sample| vec![*sample; times]);
        all.flat_map(|sample| if big { sample.to_be_bytes() } else { sample.to_le_bytes() }).collect()
    }

    #[test]
    fn recorded_speech_and_tones_are_taken_for_what_they_are() {
        for name in [
            "pizza-1",
            "pizza-2",
            "booking-1",
            "loud",
            "quiet",
            "noisy",
            "hum",
            "ringback",
            "keys-in-band",
            "clicks",
        ] {
            let speech = fixture(name);
            let cut = &speech[..speech.len().min(MOST_JUDGED)];
            assert_eq!(judge(cut, cut), None, "{name}");
        }
        for hertz in [200, 440, 1_000, 2_000, 3_000, 3_900] {
            let wave = |n: u32| (f64::from(n * hertz) / 8_000.0 * std::f64::consts::TAU).sin() * 12_000.0;
            let samples: Vec<i16> = (0..8_000).map(|n| wave(n) as i16).collect();
            let mut octets = vec![0; samples.len()];
            offhook_mulaw::encode_slice(&samples, &mut octets);
            assert_eq!(judge(&octets, &octets), None, "{hertz} Hz");
        }
    }

    #[test]
    fn linear_speech_is_known() {
        for name in ["pizza-1", "pizza-2", "booking-1", "loud"] {
            for (times, big) in [(1, false), (2, false), (3, false), (1, true)] {
                let octets = linear(&fixture(name), times, big);
                let cut = &octets[..octets.len().min(MOST_JUDGED)];
                let found = judge(cut, cut).map(|(cause, _)| cause.id);
                assert_eq!(found, Some("linear-pcm"), "{name} {times} {big}");
            }
        }
    }
}
