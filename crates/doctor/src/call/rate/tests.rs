//! Speech at its own rate and at others.

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap().split_off(58)
}

/// Speech of several lines, its rate multiplied by `times` in the plainest way there is.
fn speech(names: &[&str], times: usize) -> Vec<u8> {
    let octets: Vec<u8> = names.iter().flat_map(|name| fixture(name)).collect();
    let mut samples = vec![0_i16; octets.len()];
    offhook_mulaw::decode_slice(&octets, &mut samples);
    let between = |pair: &[i16]| {
        let (one, next) = (f64::from(pair[0]), f64::from(pair[1]));
        (0..times)
            .map(move |part| (one + (next - one) * part as f64 / times as f64) as i16)
            .collect::<Vec<_>>()
    };
    let more: Vec<i16> = samples.windows(2).flat_map(between).collect();
    let mut octets = vec![0; more.len()];
    offhook_mulaw::encode_slice(&more, &mut octets);
    octets
}

const LINES: [&[&str]; 4] =
    [&["pizza-1", "pizza-2"], &["pizza-4", "pizza-5"], &["booking-1", "booking-2"], &["loud", "pizza-6"]];

#[test]
fn speech_at_its_own_rate_is_left_alone() {
    for names in LINES {
        let octets = speech(names, 1);
        assert_eq!(judge(&octets.repeat(2), &Pace::default()), None, "{names:?}");
    }
    for name in ["hum", "ringback", "keys-in-band", "clicks", "noisy", "quiet", "loud"] {
        assert_eq!(judge(&fixture(name).repeat(2), &Pace::default()), None, "{name}");
    }
}

#[test]
fn speech_at_other_rates_is_known() {
    for names in LINES {
        for times in [2, 3] {
            let found = judge(&speech(names, times), &Pace::default()).map(|(cause, _)| cause.id);
            assert_eq!(found, Some("wrong-rate"), "{names:?} {times}");
        }
    }
}

#[test]
fn a_steady_pace_tells_the_rate() {
    let paced = |octets: usize, every: u64| {
        let mut pace = Pace::default();
        (0..200).for_each(|n| pace.note(n * every, octets));
        pace
    };
    assert_eq!(paced(160, 20).made_at(), None);
    assert_eq!(paced(320, 20).made_at(), Some(16_000));
    assert_eq!(paced(960, 40).made_at(), Some(24_000));
    assert_eq!(paced(8_000, 20).made_at(), None);
    let mut bursts = Pace::default();
    (0..100).for_each(|n| bursts.note(n * 100, if n % 10 < 2 { 8_000 } else { 0 }));
    assert_eq!(bursts.made_at(), None);
    assert_eq!(paced(441, 40).made_at(), Some(11_025));
    assert_eq!(paced(240, 20).made_at(), Some(12_000));
    assert_eq!(paced(208, 20).made_at(), None);
    let (_, what) = judge(&speech(LINES[0], 3), &paced(480, 20)).unwrap();
    assert!(what.contains("24000 octets come a second"), "{what}");
}

/// Speech of 4 s and more of real and synthetic callers, where the shared recordings are at hand.
fn shared() -> Vec<(String, Vec<u8>)> {
    let up = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let Some(shared) = up.map(|up| up.join("shared")).find(|folder| folder.join("audio/vad").is_dir()) else {
        return Vec::new();
    };
    let mut pieces = Vec::new();
    let read = |folder: &str, keep: fn(&str) -> bool| {
        let mut paths: Vec<_> =
            std::fs::read_dir(shared.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|kind| kind == "wav"));
        paths.sort();
        let name = |path: &std::path::Path| path.file_stem().unwrap().to_string_lossy().into_owned();
        let files = paths.iter().map(|path| (name(path), std::fs::read(path).unwrap()));
        files
            .filter(|(name, _)| keep(name))
            .map(|(name, file)| (name, file[58.min(file.len())..].to_vec()))
            .collect::<Vec<_>>()
    };
    for (name, octets) in read("audio/vad", |name| name.starts_with("clean")) {
        pieces.extend(
            octets
                .chunks(40_000)
                .filter(|piece| piece.len() == 40_000)
                .map(|piece| (name.clone(), piece.to_vec())),
        );
    }
    // Phrases of one voice, one after the other.
    let mut voices: std::collections::BTreeMap<String, Vec<u8>> = std::collections::BTreeMap::new();
    for (name, octets) in read("audio-synth/phrases", |_| true) {
        voices.entry(name.rsplit('-').next().unwrap().to_owned()).or_default().extend(octets);
    }
    for (name, octets) in voices {
        pieces.extend(
            octets
                .chunks(40_000)
                .filter(|piece| piece.len() == 40_000)
                .map(|piece| (name.clone(), piece.to_vec())),
        );
    }
    pieces
}

/// Octets for twice the rate, by a filter: between two samples lies a sum of 24 around them.
fn widened_well(piece: &[u8]) -> Vec<u8> {
    const REACH: usize = 12;
    let mut samples = vec![0_i16; piece.len()];
    offhook_mulaw::decode_slice(piece, &mut samples);
    let weights: Vec<f64> = (0..2 * REACH)
        .map(|at| {
            let from = at as f64 - REACH as f64 + 0.5;
            let turn = std::f64::consts::PI * from;
            turn.sin() / turn * (0.5 + 0.5 * (turn / (REACH as f64 + 0.5)).cos())
        })
        .collect();
    let between = |around: &[i16]| around.iter().zip(&weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>();
    let more = samples.windows(2 * REACH).flat_map(|around| [around[REACH - 1], between(around) as i16]);
    more.map(offhook_mulaw::encode).collect()
}

#[test]
fn callers_are_told_from_the_same_at_double_rate() {
    let pieces = shared();
    let (mut false_alarms, mut found, mut all) = (Vec::new(), 0, 0);
    // Every third is enough, and takes ten seconds.
    for (name, piece) in pieces.iter().step_by(3) {
        let at_once = Pace::default();
        if judge(piece, &at_once).is_some() {
            false_alarms.push(name.clone());
        }
        let mut samples = vec![0_i16; piece.len()];
        offhook_mulaw::decode_slice(piece, &mut samples);
        let double: Vec<i16> =
            samples.windows(2).flat_map(|two| [two[0], i16::midpoint(two[0], two[1])]).collect();
        let mut octets = vec![0; double.len()];
        offhook_mulaw::encode_slice(&double, &mut octets);
        let score = |octets: &[u8]| {
            let mut samples = vec![0_i16; octets.len()];
            offhook_mulaw::decode_slice(octets, &mut samples);
            let samples: Vec<f64> = samples.into_iter().map(f64::from).collect();
            Figures::take(&samples).map(|figures| (figures.score(), figures.may_be_slow_speech(), figures))
        };
        all += 1;
        let is = judge(&octets, &at_once).is_some();
        found += usize::from(is);
        if std::env::var_os("FIGURES").is_some() {
            eprintln!("F {name} own {:?}", score(piece));
            eprintln!("F {name} double {is} {:?}", score(&octets));
        }
    }
    let (mut well, mut widened) = (0, 0);
    for (name, piece) in pieces.iter().step_by(8) {
        widened += 1;
        let is = judge(&widened_well(piece), &Pace::default()).is_some();
        well += usize::from(is);
        if !is {
            eprintln!("not found when widened by a filter: {name}");
        }
    }
    eprintln!("widened by a filter: {well} of {widened}");
    assert!(well * 100 >= widened * 95, "{well} of {widened}");
    eprintln!("double rate: {found} of {all}, false alarms: {false_alarms:?}");
    assert!(false_alarms.is_empty(), "{false_alarms:?}");
    assert!(found * 100 >= all * 98, "{found} of {all}");
}

/// Speech that was raised to this rate, in straight lines or by repeating samples.
fn raised(name: &str, rate: usize, repeat: bool) -> Vec<u8> {
    let octets = fixture(name).repeat(2);
    let mut samples = vec![0_i16; octets.len()];
    offhook_mulaw::decode_slice(&octets, &mut samples);
    let most = (samples.len() - 1) * rate / 8_000;
    let at = |nth: usize| {
        let place = nth as f64 * 8_000.0 / rate as f64;
        let (one, next) = (f64::from(samples[place as usize]), f64::from(samples[place as usize + 1]));
        if repeat { one } else { one + (next - one) * place.fract() }
    };
    (0..most).map(|nth| offhook_mulaw::encode(at(nth) as i16)).collect()
}

#[test]
fn rates_that_were_raised_in_plain_ways_are_known() {
    for rate in [11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
        for name in ["pizza-1", "booking-1", "loud", "noisy"] {
            for repeat in [false, true] {
                let octets = raised(name, rate, repeat);
                let found = judge(&octets, &Pace::default()).map(|(cause, _)| cause.id);
                assert_eq!(found, Some("wrong-rate"), "{name} {rate} {repeat}");
            }
        }
    }
    for name in ["hum", "ringback", "keys-in-band", "clicks", "noisy", "quiet", "loud", "pizza-2"] {
        let octets = fixture(name).repeat(3);
        let mut samples = vec![0; octets.len()];
        offhook_mulaw::decode_slice(&octets, &mut samples);
        let samples: Vec<f64> = samples.into_iter().map(f64::from).collect();
        assert_eq!(judge(&octets, &Pace::default()), None, "{name}");
        assert!(!traces::raised(&samples) || name != "pizza-2", "{name}");
    }
}

/// Octets for another rate, by a filter: each sample is a sum of 32 around its place.
fn raised_well(octets: &[u8], rate: f64) -> Vec<u8> {
    const REACH: usize = 16;
    let mut samples = vec![0_i16; octets.len()];
    offhook_mulaw::decode_slice(octets, &mut samples);
    let at = |nth: usize| {
        let place = nth as f64 * 8_000.0 / rate;
        let from = place as usize;
        let around = (from + 1).saturating_sub(REACH)..(from + 1 + REACH).min(samples.len());
        around
            .map(|near| {
                let turn = std::f64::consts::PI * (place - near as f64);
                let sinc = if turn.abs() < 1e-9 { 1.0 } else { turn.sin() / turn };
                f64::from(samples[near]) * sinc * (0.5 + 0.5 * (turn / (REACH as f64 + 1.0)).cos())
            })
            .sum::<f64>()
    };
    let most = samples.len() * rate as usize / 8_000;
    (0..most).map(|nth| offhook_mulaw::encode(at(nth) as i16)).collect()
}

fn paced_at(rate: usize) -> Pace {
    let mut pace = Pace::default();
    (0..200).for_each(|n| pace.note(n * 40, rate / 25));
    pace
}

#[test]
fn speech_at_11_and_12_khz_is_known_by_the_throat_that_it_would_need() {
    for names in LINES {
        let octets = names.iter().flat_map(|name| fixture(name)).collect::<Vec<u8>>().repeat(2);
        for rate in [11_025, 12_000] {
            let found = judge(&raised_well(&octets, rate as f64), &paced_at(rate));
            assert_eq!(found.map(|(cause, _)| cause.id), Some("wrong-rate"), "{names:?} {rate}");
        }
    }
    let pieces = shared();
    let (mut all, mut at_once, mut by_pace) = (0, 0, 0);
    for (_, piece) in pieces.iter().step_by(9) {
        let octets = raised_well(piece, 11_025.0);
        all += 1;
        at_once += usize::from(judge(&octets, &Pace::default()).is_some());
        by_pace += usize::from(judge(&octets, &paced_at(11_025)).is_some());
    }
    eprintln!("at 11 025 Hz: {at_once} of {all} sent at once, {by_pace} in step");
    assert!(at_once * 100 >= all * 70 && by_pace * 100 >= all * 95, "{at_once} and {by_pace} of {all}");
}
