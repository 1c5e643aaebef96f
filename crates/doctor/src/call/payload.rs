//! What is in the payloads, if it isn't μ-law: headers of containers, linear samples, A-law.

use offhook_audio::container;

use super::coding::{self, prediction_gain};
use crate::causes::{self, Cause};

/// Octets that suffice for a judgement: the loudest of these many are taken, for a lead-in tells nothing.
const WINDOW: usize = 15_984;
/// Windows begin at whole samples of any width, 1 to 8 octets.
const ALIGNED: usize = 24;
/// Fewer aren't judged.
const LEAST_JUDGED: usize = 2_000;
/// Octets that are kept: ten seconds of 16-bit samples at 24 kHz.
pub(crate) const MOST_KEPT: usize = 480_000;

/// Whether these octets came of hexadecimal digits that were read as base64: of its 64 signs no more than 16 were used.
fn is_hex(sound: &[u8]) -> bool {
    use base64::Engine;
    let text = sound.get(..sound.len().min(WINDOW) / 3 * 3).unwrap_or_default();
    let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(text);
    let kinds: std::collections::BTreeSet<u8> = text.bytes().collect();
    text.len() >= 80 && kinds.len() >= 4 && kinds.iter().all(u8::is_ascii_hexdigit)
}

/// Judges the first payload, and the sound of the call.
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
    if let Some(name) = container(first).or_else(|| container(sound)) {
        return Some((&causes::CONTAINER, format!("the payload is {name}, not bare μ-law")));
    }
    if let Some(name) = spelled(sound) {
        return Some((
            &causes::ENCODED_TWICE,
            format!("the payload, decoded from base64, is {name} once more"),
        ));
    }
    if is_hex(first) || is_hex(sound) {
        let what = "the payload is hexadecimal digits, which base64 reads as something else".to_owned();
        return Some((&causes::ENCODED_TWICE, what));
    }
    if sound.len() < LEAST_JUDGED {
        return None;
    }
    for (swapped, name) in [(false, "little"), (true, "big")] {
        if is_float(&floats(loudest(sound, |octets| energy(&floats(octets, swapped))), swapped)) {
            return Some((
                &causes::LINEAR,
                format!("the payload is 32-bit floating point ({name} endian), not μ-law"),
            ));
        }
    }
    for (swapped, name) in [(false, "little"), (true, "big")] {
        let window = loudest(sound, |octets| energy(&whole(octets, swapped)));
        if is_linear(window, &whole(window, swapped)) {
            return Some((
                &causes::LINEAR,
                format!("the payload is 16-bit linear samples ({name} endian), not μ-law"),
            ));
        }
    }
    if let Some(other) = coding::other(sound) {
        return Some(other);
    }
    if a_law_silence(sound) {
        return Some((
            &causes::A_LAW,
            "the payload has silence as A-law has it (0xD5), not μ-law".to_owned(),
        ));
    }
    let window = loudest(sound, |octets| energy(&a_law(octets)));
    let (as_a_law, as_mulaw) = (prediction_gain(&a_law(window)), prediction_gain(&decode(window)));
    if as_a_law > as_mulaw + A_LAW_BY && as_a_law > A_LAW_LEAST {
        return Some((&causes::A_LAW, "the payload is a voice as A-law, and noise as μ-law".to_owned()));
    }
    if let Some(share) = clipped(window) {
        let what = format!("{share:.0} % of the samples of its loudest part are the greatest there are");
        return Some((&causes::CLIPPED, what));
    }
    let zeros =
        sound.chunk_by(|one, next| one == next).filter(|run| run.first() == Some(&0)).map(<[u8]>::len).max();
    zeros.filter(|run| *run >= ZEROS).map(|run| {
        let what =
            format!("{run} zero octets in a row: as μ-law that is the lowest value there is, not silence");
        (&causes::ZEROS, what)
    })
}

/// So much better, and so good at least, speech can be predicted in its own coding: decibels.
const A_LAW_BY: f64 = 2.0;
const A_LAW_LEAST: f64 = 5.0;
/// Zero octets in a row that no voice has: 40 ms.
const ZEROS: usize = 320;

/// The share of samples at both ends of the scale, in per cent, where it is more than speech can have.
fn clipped(octets: &[u8]) -> Option<f64> {
    let share = |octet: u8| {
        octets.iter().filter(|other| **other == octet).count() as f64 / octets.len().max(1) as f64
    };
    let (low, high) = (share(0x00), share(0x80));
    (low.min(high) > 0.11).then_some((low + high) * 100.0)
}

/// Digits or base64, where there should be sound: no speech has only such octets.
fn spelled(sound: &[u8]) -> Option<&'static str> {
    let text = sound.get(..sound.len().min(WINDOW)).filter(|text| text.len() >= 320)?;
    let plain = |octet: &u8| {
        octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=' | b'-' | b'_' | b'\r' | b'\n')
    };
    if text.iter().all(|octet| octet.is_ascii_hexdigit() || octet.is_ascii_whitespace()) {
        return Some("hexadecimal digits");
    }
    text.iter().all(plain).then_some("base64")
}

/// The loudest window, by the samples of some coding.
pub(super) fn loudest(sound: &[u8], loudness: impl Fn(&[u8]) -> f64) -> &[u8] {
    let whole = sound.get(..sound.len() / ALIGNED * ALIGNED).unwrap_or(sound);
    if whole.len() <= WINDOW {
        return whole;
    }
    let starts = (0..=whole.len() - WINDOW).step_by(WINDOW / 2);
    let windows = starts.filter_map(|start| whole.get(start..start + WINDOW));
    let louder =
        windows.map(|window| (loudness(window), window)).max_by(|one, other| one.0.total_cmp(&other.0));
    louder.map_or(whole, |(_, window)| window)
}

pub(super) fn energy(samples: &[f64]) -> f64 {
    samples.iter().map(|sample| sample * sample).filter(|square| square.is_finite()).sum()
}

fn whole(octets: &[u8], swapped: bool) -> Vec<f64> {
    let (pairs, _) = octets.as_chunks::<2>();
    let number = |pair: &[u8; 2]| if swapped { i16::from_be_bytes(*pair) } else { i16::from_le_bytes(*pair) };
    pairs.iter().map(|pair| f64::from(number(pair))).collect()
}

/// Samples of floating point; what can't be one is far too loud.
fn floats(octets: &[u8], swapped: bool) -> Vec<f64> {
    let (fours, _) = octets.as_chunks::<4>();
    let number = |four: &[u8; 4]| if swapped { f32::from_be_bytes(*four) } else { f32::from_le_bytes(*four) };
    fours
        .iter()
        .map(|four| f64::from(number(four)))
        .map(|x| if x.abs() <= 2.0 { x } else { f64::NAN })
        .collect()
}

/// Octets of other codings give numbers of any size; of floating point nearly all are within ±1 and more than dust.
fn is_float(samples: &[f64]) -> bool {
    let share = |fits: fn(f64) -> bool| {
        samples.iter().filter(|sample| fits(**sample)).count() as f64 / samples.len().max(1) as f64
    };
    share(|x| x.abs() <= 1.1) > 0.98 && share(|x| (1e-5..=1.1).contains(&x.abs())) > 0.4
}

fn is_linear(octets: &[u8], samples: &[f64]) -> bool {
    let mulaw = decode(octets);
    // Recorded speech: as μ-law at most 0.05, as linear samples at least 0.6. A pure tone of μ-law may have more, but is a
    // clean wave as μ-law, which halves of samples never are.
    halves(octets) >= 0.4
        && smoothness(&mulaw).abs() <= 0.85
        && loudness(&mulaw) >= 5_000.0
        && smoothness(samples) > 0.7
}

fn a_law(octets: &[u8]) -> Vec<f64> {
    octets.iter().map(|octet| f64::from(offhook_mulaw::alaw::decode(*octet))).collect()
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
    fn hexadecimal_digits_in_place_of_base64_are_known() {
        use base64::Engine;
        for capital in [false, true] {
            let hex = |octets: &[u8]| -> String {
                octets.iter().map(|o| if capital { format!("{o:02X}") } else { format!("{o:02x}") }).collect()
            };
            let read = |octets: &[u8]| base64::engine::general_purpose::STANDARD.decode(hex(octets)).unwrap();
            let speech = fixture("pizza-1");
            let whole: Vec<u8> = speech.chunks_exact(160).flat_map(read).collect();
            // The first frames are silence: one digit over and over.
            let first = read(&[0xFF; 160]);
            assert_eq!(judge(&first, &whole).map(|(cause, _)| cause.id), Some("encoded-twice"));
        }
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
            let cut = &speech[..];
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
                let cut = &octets[..];
                let found = judge(cut, cut).map(|(cause, _)| cause.id);
                assert_eq!(found, Some("linear-pcm"), "{name} {times} {big}");
            }
        }
    }

    fn samples(name: &str) -> Vec<i16> {
        let octets = fixture(name);
        let mut samples = vec![0; octets.len()];
        offhook_mulaw::decode_slice(&octets, &mut samples);
        samples
    }

    fn cause(octets: &[u8]) -> Option<&'static str> {
        judge(octets, octets).map(|(cause, _)| cause.id)
    }

    #[test]
    fn other_codings_are_known_behind_a_soft_lead_in() {
        use base64::Engine;
        for name in ["pizza-1", "pizza-2", "booking-1", "loud", "quiet", "noisy"] {
            let voice = samples(name);
            // Nearly two seconds of a soft hiss first.
            let soft = (0..15_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 29) as i16 - 4);
            let all: Vec<i16> = soft.chain(voice.iter().copied()).collect();
            let linear: Vec<u8> = all.iter().flat_map(|x| [*x; 3]).flat_map(i16::to_le_bytes).collect();
            assert_eq!(cause(&linear), Some("linear-pcm"), "{name} at 24 kHz");
            let float: Vec<u8> = all.iter().flat_map(|x| (f32::from(*x) / 32_768.0).to_le_bytes()).collect();
            assert_eq!(cause(&float), Some("linear-pcm"), "{name} as float32");
            let a_law: Vec<u8> = all.iter().map(|x| offhook_mulaw::alaw::encode(*x)).collect();
            assert_eq!(cause(&a_law), Some("a-law"), "{name}");
            let mulaw: Vec<u8> = all.iter().map(|x| offhook_mulaw::encode(*x)).collect();
            assert_eq!(cause(&mulaw), None, "{name}");
            let hex: String = mulaw.iter().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!(cause(hex.as_bytes()), Some("encoded-twice"), "{name}");
            let twice = base64::engine::general_purpose::STANDARD.encode(&mulaw);
            assert_eq!(cause(twice.as_bytes()), Some("encoded-twice"), "{name}");
            let zeros = [fixture(name), vec![0; 1_600], fixture(name)].concat();
            assert_eq!(cause(&zeros), Some("zeros-for-silence"), "{name}");
        }
    }

    /// Files of real callers, where the shared recordings are at hand.
    fn shared() -> Vec<(String, Vec<u8>)> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|up| up.join("shared/audio/vad"));
        let Some(folder) = folder.into_iter().find(|folder| folder.is_dir()) else { return Vec::new() };
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|kind| kind == "wav"));
        files.sort();
        let name = |path: &std::path::Path| path.file_stem().unwrap().to_string_lossy().into_owned();
        files.iter().map(|path| (name(path), std::fs::read(path).unwrap().split_off(58))).collect()
    }

    #[test]
    fn real_callers_are_told_from_other_codings() {
        let files = shared();
        if files.is_empty() {
            eprintln!("skipped: no shared recordings");
            return;
        }
        let (mut all, mut found) = (0, 0);
        for (name, octets) in &files {
            for piece in octets.chunks(24_000).filter(|piece| piece.len() == 24_000) {
                assert_eq!(cause(piece), None, "{name}");
                let speech = ["clean", "-snr20", "-snr10"].iter().any(|kind| name.contains(kind));
                let loud = energy(&decode(piece)) / piece.len() as f64 > 100_000.0;
                if !speech || !loud {
                    continue;
                }
                all += 1;
                let mut samples = vec![0; piece.len()];
                offhook_mulaw::decode_slice(piece, &mut samples);
                let a_law: Vec<u8> = samples.iter().map(|x| offhook_mulaw::alaw::encode(*x)).collect();
                let is = cause(&a_law) == Some("a-law");
                found += usize::from(is);
                if !is {
                    let gains = (prediction_gain(&super::a_law(&a_law)), prediction_gain(&decode(&a_law)));
                    eprintln!("{name}: {gains:?}");
                }
            }
        }
        eprintln!("A-law: {found} of {all}");
        assert!(found * 100 >= all * 95, "{found} of {all}");
    }
}
