//! The network's tones are told by frequency and cadence, clean, detuned and in noise, and nothing else is.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::f64::consts::TAU;

use offhook_audio::{ComfortNoise, Dbov, PcmFrame};
use offhook_endpoint::dtmf::tones as keys;
use offhook_endpoint::tones::{Beep, BeepDetector, ProgressDetector, ToneEvent, ToneKind};
use proptest::prelude::*;

/// A line with sounds on it.
struct Line(Vec<i16>);

impl Line {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn silence(mut self, ms: usize) -> Self {
        self.0.resize(self.0.len() + ms * 8, 0);
        self
    }

    /// Sines of a level each, with edges of 2 ms, their phases going on from the line's start.
    fn tone(mut self, hz: &[f64], level: f32, ms: usize) -> Self {
        let amplitude = f64::from(Dbov(-3.01).gain_to(Dbov(level))) * 32_767.0;
        let (from, count) = (self.0.len(), ms * 8);
        self.0.extend((0..count).map(|n| {
            let t = (from + n) as f64 / 8_000.0;
            let edge = (n.min(count - 1 - n) as f64 / 16.0).min(1.0);
            (edge * amplitude * hz.iter().map(|hz| (TAU * hz * t).sin()).sum::<f64>()) as i16
        }));
        self
    }

    fn cadence(mut self, hz: &[f64], level: f32, on_off: &[(usize, usize)], times: usize) -> Self {
        for &(on, off) in on_off.iter().cycle().take(on_off.len() * times) {
            self = self.tone(hz, level, on).silence(off);
        }
        self
    }

    /// A voice of 120 Hz that glides, with formants and syllables.
    fn speech(mut self, ms: usize) -> Self {
        let mut phase = 0.0;
        for n in 0..ms * 8 {
            let t = n as f64 / 8_000.0;
            let pitch = 120.0 + 25.0 * (TAU * 0.9 * t).sin() + 12.0 * (TAU * 3.1 * t).sin();
            phase += pitch / 8_000.0;
            let syllable = (0.55 + 0.45 * (TAU * 4.3 * t).sin()).max(0.0);
            let formant = 600.0 + 250.0 * (TAU * 2.2 * t).sin();
            let voice: f64 = (2..26)
                .map(|k| {
                    let hz = pitch * f64::from(k);
                    let gain = 1.0 / (1.0 + ((hz - formant) / 120.0).powi(2))
                        + 0.2 / (1.0 + ((hz - 1_700.0) / 200.0).powi(2));
                    gain * (TAU * phase * f64::from(k)).sin()
                })
                .sum();
            self.0.push((5_000.0 * syllable * voice) as i16);
        }
        self
    }

    fn keys(mut self, pressed: &str) -> Self {
        self.0.extend(keys(pressed));
        self
    }

    /// Frames as the telephone carries them, with white noise of a level, `off` samples off the frames' grid.
    fn frames(&self, noise: f32, off: usize) -> Vec<PcmFrame> {
        let mut hiss = ComfortNoise::new(Dbov(noise), 11);
        let mut sound = vec![0; off];
        sound.extend(&self.0);
        sound.resize(sound.len() + 8_000, 0);
        let frames = sound.chunks_exact(160).map(|chunk| {
            let (mut frame, noise) = (PcmFrame(chunk.try_into().unwrap()), hiss.next_frame());
            for (sample, noise) in frame.0.iter_mut().zip(noise.0) {
                *sample = sample.saturating_add(noise);
            }
            frame.encode().decode()
        });
        frames.collect()
    }

    fn told(&self, noise: f32) -> Vec<ToneEvent> {
        let mut detector = ProgressDetector::default();
        self.frames(noise, 0).iter().filter_map(|frame| detector.push(frame)).collect()
    }

    fn kinds(&self, noise: f32) -> Vec<ToneKind> {
        self.told(noise).into_iter().map(|event| event.kind).collect()
    }

    fn beeps(&self, noise: f32, off: usize) -> Vec<Beep> {
        let mut detector = BeepDetector::default();
        self.frames(noise, off).iter().filter_map(|frame| detector.push(frame)).collect()
    }
}

/// Name, frequencies, on and off in ms, what it is. Supplement 2 to E.180.
type Plan = (&'static str, &'static [f64], &'static [(usize, usize)], ToneKind);
const PLANS: [Plan; 25] = [
    ("US dial", &[350.0, 440.0], &[(3_000, 0)], ToneKind::Dial),
    ("US ringback", &[440.0, 480.0], &[(2_000, 4_000)], ToneKind::Ringback),
    ("US busy", &[480.0, 620.0], &[(500, 500)], ToneKind::Busy),
    ("US reorder", &[480.0, 620.0], &[(250, 250)], ToneKind::Congestion),
    ("UK dial", &[350.0, 440.0], &[(3_000, 0)], ToneKind::Dial),
    ("UK ringback", &[400.0, 450.0], &[(400, 200), (400, 2_000)], ToneKind::Ringback),
    ("UK busy", &[400.0], &[(375, 375)], ToneKind::Busy),
    ("UK congestion", &[400.0], &[(400, 350), (225, 525)], ToneKind::Congestion),
    ("Germany dial", &[425.0], &[(5_000, 0)], ToneKind::Dial),
    ("Germany ringback", &[425.0], &[(1_000, 4_000)], ToneKind::Ringback),
    ("Germany busy", &[425.0], &[(480, 480)], ToneKind::Busy),
    ("Germany congestion", &[425.0], &[(240, 240)], ToneKind::Congestion),
    ("France ringback", &[440.0], &[(1_500, 3_500)], ToneKind::Ringback),
    ("France busy", &[440.0], &[(500, 500)], ToneKind::Busy),
    ("Italy ringback", &[425.0], &[(1_000, 4_000)], ToneKind::Ringback),
    ("Italy congestion", &[425.0], &[(200, 200)], ToneKind::Congestion),
    ("Sweden ringback", &[425.0], &[(1_000, 5_000)], ToneKind::Ringback),
    ("Sweden busy", &[425.0], &[(250, 250)], ToneKind::Congestion),
    ("Ireland busy", &[425.0], &[(500, 500)], ToneKind::Busy),
    ("New Zealand ringback", &[400.0, 450.0], &[(400, 200), (400, 2_000)], ToneKind::Ringback),
    ("double ring of one tone", &[425.0], &[(400, 200), (400, 2_000)], ToneKind::Ringback),
    ("slow busy", &[425.0], &[(750, 750)], ToneKind::Busy),
    ("slow busy of two tones", &[480.0, 620.0], &[(750, 750)], ToneKind::Busy),
    ("Spain busy", &[425.0], &[(200, 200)], ToneKind::Congestion),
    ("China busy", &[450.0], &[(350, 350)], ToneKind::Busy),
];

#[test]
fn the_tones_of_networks() {
    for (name, hz, cadence, kind) in PLANS {
        for (detuned, level, noise) in [
            (1.0, -15.0, -75.0),
            (1.015, -20.0, -45.0),
            (0.985, -13.0, -60.0),
            (1.0, -30.0, -45.0),
            (1.0, -9.0, -15.0),
        ] {
            let hz: Vec<f64> = hz.iter().map(|hz| hz * detuned).collect();
            let line = Line::new().silence(333).cadence(&hz, level, cadence, 4);
            let what = format!("{name}, detuned {detuned}, {level} dBov in {noise}");
            let told = line.told(noise);
            assert_eq!(told.iter().map(|event| event.kind).collect::<Vec<_>>(), [kind], "{what}");
            assert!(told[0].at.0.abs_diff(333 * 8) <= 160, "{what}: {:?}", told[0]);
            assert!((f64::from(told[0].hz.0) / hz[0] - 1.0).abs() < 0.01, "{what}: {:?}", told[0]);
            assert_eq!(told[0].hz.1.is_some(), hz.len() == 2, "{what}");
        }
    }
}

#[test]
fn ringing_and_then_busy_are_both_told() {
    let line = Line::new()
        .cadence(&[440.0, 480.0], -18.0, &[(2_000, 4_000)], 2)
        .cadence(&[480.0, 620.0], -18.0, &[(500, 500)], 3)
        .cadence(&[480.0, 620.0], -18.0, &[(250, 250)], 4);
    assert_eq!(line.kinds(-60.0), [ToneKind::Ringback, ToneKind::Busy, ToneKind::Congestion]);
}

#[test]
fn a_rhythm_between_busy_and_congestion_is_told_once() {
    for hz in [&[425.0][..], &[480.0, 620.0]] {
        for half in (280..=320).step_by(5) {
            for noise in [-60.0, -32.0] {
                let line = Line::new().silence(333).cadence(hz, -18.0, &[(half, half)], 33);
                let kinds = line.kinds(noise);
                assert_eq!(kinds.len(), 1, "{hz:?}, {half} ms, {noise} dBov: {kinds:?}");
            }
        }
    }
}

#[test]
fn the_special_information_tone() {
    for (hz, ms) in [
        ([950.0, 1_400.0, 1_800.0], [330, 330, 330]),
        // North America: intercept, reorder, no circuit.
        ([913.8, 1_370.6, 1_776.7], [274, 274, 380]),
        ([985.2, 1_428.5, 1_776.7], [380, 274, 380]),
    ] {
        for noise in [-75.0, -45.0, -30.0] {
            let mut line = Line::new().silence(500);
            for (hz, ms) in hz.iter().zip(ms) {
                line = line.tone(&[*hz], -18.0, ms).silence(10);
            }
            let line = line.speech(1_500);
            let told = line.told(noise);
            assert_eq!(
                told.iter().map(|event| event.kind).collect::<Vec<_>>(),
                [ToneKind::SpecialInformation],
                "{hz:?} {noise}"
            );
            assert!(told[0].at.0.abs_diff(4_000) <= 160, "{:?}", told[0]);
            assert_eq!(line.beeps(noise, 0), []);
        }
    }
}

#[test]
fn what_is_no_tone_of_the_network() {
    let none: [(&str, Line); 8] = [
        ("speech", Line::new().speech(20_000)),
        ("keys", Line::new().keys("123A456B789C*0#D")),
        ("a lone tone of a second", Line::new().tone(&[425.0], -18.0, 1_000).silence(8_000)),
        ("one busy burst", Line::new().tone(&[480.0, 620.0], -18.0, 500).silence(3_000)),
        ("3 % off", Line::new().cadence(&[440.0 * 1.03, 480.0 * 1.03], -18.0, &[(2_000, 4_000)], 2)),
        ("a chord of three", Line::new().cadence(&[440.0, 554.0, 659.0], -20.0, &[(500, 500)], 6)),
        ("too slow", Line::new().cadence(&[480.0, 620.0], -18.0, &[(900, 900)], 4)),
        ("uneven", Line::new().cadence(&[480.0, 620.0], -18.0, &[(200, 900), (600, 300)], 4)),
    ];
    for (name, line) in none {
        assert_eq!(line.told(-60.0), [], "{name}");
    }
    for noise in [-45.0, -30.0, -20.0, -10.0] {
        assert_eq!(Line::new().silence(30_000).told(noise), [], "noise at {noise}");
        assert_eq!(Line::new().silence(30_000).beeps(noise, 0), [], "noise at {noise}");
    }
}

#[test]
fn a_mailbox_beeps() {
    for (hz, ms) in [
        (1_000.0, 400),
        (400.0, 400),
        (425.0, 500),
        (2_400.0, 300),
        (440.0, 1_000),
        (620.0, 300),
        (1_400.0, 150),
        (2_000.0, 250),
        (800.0, 1_450),
    ] {
        for (level, noise, off) in [(-15.0, -75.0, 0), (-25.0, -45.0, 77), (-12.0, -28.0, 131)] {
            let line = Line::new().speech(3_000).silence(300).tone(&[hz], level, ms).silence(2_000);
            let beeps = line.beeps(noise, off);
            let what = format!("{hz} Hz, {ms} ms, {level} dBov in {noise}: {beeps:?}");
            assert_eq!(beeps.len(), 1, "{what}");
            assert!((f64::from(beeps[0].hz) / hz - 1.0).abs() < 0.02, "{what}");
            assert!(beeps[0].from.0.abs_diff(3_300 * 8 + off as u64) <= 120, "{what}");
            assert!(beeps[0].until.0.abs_diff((3_300 + ms as u64) * 8 + off as u64) <= 120, "{what}");
        }
    }
}

#[test]
fn what_is_no_beep() {
    let speech = || Line::new().speech(2_000).silence(200);
    let none: [(&str, Line); 10] = [
        ("before any greeting", Line::new().silence(1_000).tone(&[1_000.0], -18.0, 400).silence(2_000)),
        ("too short", speech().tone(&[1_000.0], -18.0, 110).silence(2_000)),
        ("too long", speech().tone(&[1_000.0], -18.0, 1_700).silence(2_000)),
        ("speech after it", speech().tone(&[1_000.0], -18.0, 400).silence(60).speech(2_000)),
        ("keys", speech().keys("123456789*0#")),
        ("US ringback", speech().cadence(&[440.0, 480.0], -18.0, &[(2_000, 4_000)], 3)),
        ("UK ringback", speech().cadence(&[400.0, 450.0], -18.0, &[(400, 200), (400, 2_000)], 3)),
        ("busy", speech().cadence(&[425.0], -18.0, &[(480, 480)], 8)),
        ("US busy", speech().cadence(&[480.0, 620.0], -18.0, &[(500, 500)], 8)),
        ("speech alone", Line::new().speech(20_000)),
    ];
    for (name, line) in none {
        assert_eq!(line.beeps(-60.0, 0), [], "{name}");
    }
}

#[test]
fn the_same_sound_gives_the_same_events_wherever_it_begins_on_the_grid() {
    for off in (0..160).step_by(37) {
        let line = Line::new().cadence(&[480.0, 620.0], -18.0, &[(500, 500)], 3);
        let mut detector = ProgressDetector::default();
        let told: Vec<_> = line.frames(-60.0, off).iter().filter_map(|frame| detector.push(frame)).collect();
        assert_eq!(told.len(), 1, "{off}");
        assert!(told[0].at.0.abs_diff(off as u64) <= 160, "{off}: {told:?}");
    }
}

proptest! {
    /// Noise, steps, rails: nothing is told of the future, and nothing panics.
    #[test]
    fn any_sound_is_borne(pieces in proptest::collection::vec((any::<i16>(), any::<i16>(), 1usize..900), 0..40)) {
        let (mut progress, mut beeps) = (ProgressDetector::default(), BeepDetector::default());
        let sound: Vec<i16> = pieces
            .iter()
            .flat_map(|&(a, b, count)| (0..count).map(move |n| if n % 2 == 0 { a } else { b }))
            .collect();
        for (index, chunk) in sound.chunks_exact(160).enumerate() {
            let frame = PcmFrame(chunk.try_into().unwrap());
            let end = (index as u64 + 1) * 160;
            if let Some(event) = progress.push(&frame) {
                prop_assert!(event.at.0 <= end);
            }
            if let Some(beep) = beeps.push(&frame) {
                prop_assert!(beep.from <= beep.until && beep.until.0 <= end);
            }
        }
    }
}
