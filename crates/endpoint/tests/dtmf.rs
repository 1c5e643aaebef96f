//! Keys are found within the limits of ITU-T Q.24, and not beyond them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::f64::consts::TAU;
use std::time::Duration;

use offhook_audio::{Dbov, PcmFrame};
use offhook_endpoint::dtmf::{DtmfDetector, KeySound, tones};
use proptest::prelude::*;

const ALL: &str = "123A456B789C*0#D";
const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

fn keys_in(sound: &[i16]) -> String {
    let mut detector = DtmfDetector::default();
    let rest = [0; 480];
    let whole: Vec<i16> = sound.iter().chain(&rest).copied().collect();
    whole
        .chunks_exact(160)
        .filter_map(|chunk| {
            let frame = PcmFrame(chunk.try_into().unwrap());
            detector.push(&frame.encode().decode()).map(|down| down.key.reveal())
        })
        .collect()
}

/// Two tones as a bad telephone makes them.
#[derive(Clone, Copy)]
struct Tone {
    key: usize,
    /// Off the nominal frequencies, low and high, in hertz.
    off: [f64; 2],
    /// Levels of low and high, in dBov.
    level: [f32; 2],
    ms: f64,
    /// Silence before it, in samples.
    before: usize,
    /// White noise under it, in dBov.
    noise: f32,
}

impl Tone {
    fn new(key: usize) -> Self {
        Self { key, off: [0.0; 2], level: [-16.0; 2], ms: 60.0, before: 97, noise: -70.0 }
    }

    fn sound(&self) -> Vec<i16> {
        let hz = [LOW[self.key / 4] + self.off[0], HIGH[self.key % 4] + self.off[1]];
        let amplitude = self.level.map(|db| f64::from(Dbov(-3.01).gain_to(Dbov(db))) * 32_767.0);
        let mut state = 7u32;
        let noise = f64::from(Dbov(0.0).gain_to(Dbov(self.noise))) * 32_767.0 * 3f64.sqrt();
        let count = (self.ms * 8.0) as usize;
        (0..self.before + count + 400)
            .map(|n| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let hiss = (f64::from(state >> 8) / f64::from(1 << 23) - 1.0) * noise;
                let on = (self.before..self.before + count).contains(&n);
                let t = n as f64 / 8_000.0;
                let tone = |which: usize| amplitude[which] * (TAU * hz[which] * t + 1.0).sin();
                (hiss + if on { tone(0) + tone(1) } else { 0.0 }).clamp(-32_000.0, 32_000.0) as i16
            })
            .collect()
    }

    /// Whether it is found once, wherever it lies on the grid of frames.
    fn found(&self) -> Vec<bool> {
        (0..160)
            .step_by(13)
            .map(|before| {
                let heard = keys_in(&Self { before: 200 + before, ..*self }.sound());
                let expected = ALL.chars().nth(self.key).unwrap().to_string();
                assert!(heard.is_empty() || heard == expected, "{heard} for {expected}");
                !heard.is_empty()
            })
            .collect()
    }

    fn always(&self) -> bool {
        self.found().into_iter().all(|found| found)
    }

    fn never(&self) -> bool {
        self.found().into_iter().all(|found| !found)
    }
}

fn every_key(check: impl Fn(Tone) -> bool, what: &str) {
    for key in 0..16 {
        assert!(check(Tone::new(key)), "{what}: key {}", ALL.chars().nth(key).unwrap());
    }
}

#[test]
fn keys_are_found_once_and_in_order() {
    assert_eq!(keys_in(&tones("123A456B789C*0#D11w22")), "123A456B789C*0#D1122");
    let fast =
        KeySound { tone: Duration::from_millis(40), pause: Duration::from_millis(40), ..KeySound::default() };
    for before in [0, 37, 80, 111, 150] {
        let mut sound = vec![0; before];
        sound.extend(fast.make("5551102#"));
        assert_eq!(keys_in(&sound), "5551102#", "{before} samples off the grid");
    }
}

#[test]
fn a_key_is_dated_to_10_ms_and_never_shown() {
    for before in (200..360).step_by(13) {
        let tone = Tone { before, ms: 100.0, ..Tone::new(9) };
        let mut detector = DtmfDetector::default();
        let sound = tone.sound();
        let frames = sound.chunks_exact(160).map(|chunk| PcmFrame(chunk.try_into().unwrap()));
        let found: Vec<_> = frames.filter_map(|frame| detector.push(&frame)).collect();
        assert_eq!(found.len(), 1, "{before}");
        assert!(found[0].at.0.abs_diff(before as u64) <= 80, "{before}: {:?}", found[0].at);
        assert_eq!(format!("{:?}", found[0].key), "Key(•)");
    }
}

#[test]
fn length() {
    every_key(|tone| Tone { ms: 40.0, ..tone }.always(), "40 ms");
    every_key(|tone| Tone { ms: 23.0, ..tone }.never(), "23 ms");
}

#[test]
fn frequency() {
    for sign in [-1.0, 1.0] {
        let off = |tone: Tone, share: f64, more: f64| {
            let nominal = [LOW[tone.key / 4], HIGH[tone.key % 4]];
            nominal.map(|hz| sign * (hz * share + more))
        };
        every_key(|tone| Tone { off: off(tone, 0.015, 2.0), ..tone }.always(), "1.5 % and 2 Hz off");
        every_key(|tone| Tone { off: off(tone, 0.035, 0.0), ..tone }.never(), "3.5 % off");
        // One tone in tune doesn't help.
        every_key(
            |tone| Tone { off: [0.0, off(tone, 0.035, 0.0)[1]], ..tone }.never(),
            "the high one 3.5 % off",
        );
        every_key(
            |tone| Tone { off: [off(tone, 0.035, 0.0)[0], 0.0], ..tone }.never(),
            "the low one 3.5 % off",
        );
    }
}

#[test]
fn twist() {
    every_key(|tone| Tone { level: [-16.0, -12.0], ..tone }.always(), "high 4 dB over low");
    every_key(|tone| Tone { level: [-12.0, -20.0], ..tone }.always(), "high 8 dB under low");
    every_key(|tone| Tone { level: [-20.0, -12.0], ..tone }.never(), "high 8 dB over low");
    every_key(|tone| Tone { level: [-12.0, -24.0], ..tone }.never(), "high 12 dB under low");
}

#[test]
fn level() {
    // 0 dBm0 is −6.18 dBov: a sine at overload is −3.01 dBov and, in μ-law, +3.17 dBm0 (G.711). Two tones of 0 dBm0 go beyond
    // the codec's range and are clipped, as a telephone would.
    for dbm0 in [-36.0, -25.0, -10.0, -3.0, 0.0] {
        every_key(|tone| Tone { level: [dbm0 - 6.18; 2], ..tone }.always(), "level");
    }
    every_key(|tone| Tone { level: [-55.0; 2], ..tone }.never(), "−55 dBov");
}

#[test]
fn noise() {
    every_key(|tone| Tone { noise: -16.0 - 10.0, ..tone }.always(), "10 dB over noise");
}

#[test]
fn a_gap_of_10_ms_is_no_pause() {
    let tone = Tone { ms: 80.0, before: 0, ..Tone::new(5) };
    for at in [200, 240, 260, 300] {
        let mut sound = tone.sound();
        sound[at..at + 80].fill(0);
        assert_eq!(keys_in(&sound), "5", "a gap at {at}");
    }
}

/// How many of 16 keys at a corner of Q.24's limits, shaped by a level in dB over seconds, are found once and no more.
fn once(level: impl Fn(f64) -> f64, ms: f64, noise_under: f32) -> usize {
    let corners =
        [(1.0, [-16.0, -12.0]), (-1.0, [-12.0, -20.0]), (1.0, [-12.0, -20.0]), (-1.0, [-16.0, -12.0])];
    let keys = (0..16).flat_map(|key| corners.map(|corner| (key, corner)));
    keys.filter(|&(key, (sign, levels))| {
        let off = [LOW[key / 4], HIGH[key % 4]].map(|hz| sign * (hz * 0.015 + 2.0));
        let before = 200 + key * 11;
        // The noise is added last: it doesn't sag.
        let tone = Tone { off, level: levels, ms, before, noise: -90.0, ..Tone::new(key) };
        let weaker = levels[0].min(levels[1]);
        let noise = Tone { level: [-90.0; 2], ms, before, noise: weaker - noise_under, ..Tone::new(key) };
        let sound: Vec<i16> = tone
            .sound()
            .iter()
            .zip(noise.sound())
            .enumerate()
            .map(|(n, (&x, noise))| {
                let t = (n.saturating_sub(before)) as f64 / 8_000.0;
                (f64::from(x) * 10f64.powf(level(t) / 20.0)) as i16 + noise
            })
            .collect();
        keys_in(&sound) == ALL[key..=key]
    })
    .count()
}

#[test]
fn a_key_whose_level_sags_or_flutters_is_one_key() {
    let mut shapes: Vec<(String, usize)> = Vec::new();
    for ms in [100.0, 200.0, 400.0, 1_000.0] {
        shapes.push((format!("steady, {ms} ms"), once(|_| 0.0, ms, 15.0)));
        for sag in [2.0, 4.0, 6.0] {
            shapes
                .push((format!("{sag} dB down within {ms} ms"), once(|t| -sag * t * 1_000.0 / ms, ms, 15.0)));
            shapes.push((
                format!("{sag} dB up within {ms} ms"),
                once(|t| sag * (t * 1_000.0 / ms - 1.0), ms, 15.0),
            ));
            let step = once(|t| if t > 0.06 { -sag } else { 0.0 }, ms, 15.0 + sag as f32);
            shapes.push((format!("{sag} dB down at once, {ms} ms"), step));
        }
        for hz in [3.0, 8.0, 15.0, 25.0] {
            let flutter = once(|t| -1.5 + 1.5 * (TAU * hz * t).cos(), ms, 15.0);
            shapes.push((format!("3 dB at {hz} Hz, {ms} ms"), flutter));
        }
    }
    let found: usize = shapes.iter().map(|(_, once)| once).sum();
    shapes.retain(|(_, once)| *once < 60);
    assert!(shapes.is_empty(), "of 64 each: {shapes:?}");
    let all = 4 * (1 + 9 + 4) * 64;
    assert!(found * 100 >= all * 97, "{found} of {all}");
}

#[test]
fn short_pauses_split_keys_also_in_noise() {
    for noise in [-70.0, -31.0] {
        for pause in [40, 60] {
            for off in (0..160).step_by(13) {
                for key in 0..16 {
                    let tone = Tone { ms: 50.0, before: pause * 8, noise, ..Tone::new(key) };
                    let mut sound = vec![0; off];
                    for _ in 0..2 {
                        sound.extend(&tone.sound()[..pause * 8 + 400]);
                    }
                    let key = ALL.chars().nth(key).unwrap();
                    assert_eq!(keys_in(&sound), format!("{key}{key}"), "{pause} ms, {noise} dBov, {off}");
                }
            }
        }
    }
}

#[test]
fn other_tones_are_no_keys() {
    let chords: [&[f64]; 6] = [
        &[697.0],
        &[440.0, 480.0],
        &[480.0, 620.0],
        &[350.0, 440.0],
        &[697.0, 1_209.0, 1_477.0],
        &[770.0, 1_050.0],
    ];
    for hz in chords {
        let sound: Vec<i16> = (0..8_000)
            .map(|n| {
                hz.iter().map(|hz| 6_000.0 * (TAU * hz * f64::from(n) / 8_000.0).sin()).sum::<f64>() as i16
            })
            .collect();
        assert_eq!(keys_in(&sound), "", "{hz:?}");
    }
}

proptest! {
    #[test]
    fn any_keys_survive_the_way_there_and_back(keys in "[0-9A-D*#]{1,12}", before in 0usize..400, level in -40f32..-9.0) {
        let mut sound = vec![0; before];
        sound.extend(KeySound { level: Dbov(level), ..KeySound::default() }.make(&keys));
        prop_assert_eq!(keys_in(&sound), keys);
    }

    #[test]
    fn nothing_makes_it_panic(sound in proptest::collection::vec(any::<i16>(), 0..3_000)) {
        let _any = keys_in(&sound);
    }
}
