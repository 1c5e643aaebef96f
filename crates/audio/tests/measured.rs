//! What the filters do, measured from outside: responses against the formulas they are made by, concealment against simpler
//! ones on a real voice.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::f64::consts::{PI, TAU};

use offhook_audio::{
    ComfortNoise, Dbov, FADE_SAMPLES, HighPass, MulawFrame, PcmFrame, Plc, cross_fade, soft_limit,
};

fn sine(hz: f64, amplitude: f64, count: usize) -> Vec<i16> {
    (0..count).map(|n| (amplitude * (TAU * hz * n as f64 / 8_000.0).sin()).round() as i16).collect()
}

fn frames(sound: &[i16]) -> impl Iterator<Item = PcmFrame> + '_ {
    sound.chunks_exact(160).map(|chunk| PcmFrame(chunk.try_into().unwrap()))
}

#[test]
fn the_high_pass_is_butterworths_of_second_order_at_80_hz() {
    for hz in [20.0, 30.0, 50.0, 60.0, 80.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1_000.0, 2_000.0, 3_400.0] {
        let sound = sine(hz, 12_000.0, 16_000);
        let mut filter = HighPass::default();
        let passed: Vec<i16> = frames(&sound)
            .flat_map(|mut frame| {
                filter.process(&mut frame);
                frame.0
            })
            .collect();
        // The second of the two seconds, whole periods of all these frequencies.
        let gain = f64::from(Dbov::of(&passed[8_000..]).0 - Dbov::of(&sound[8_000..]).0);
        let warped = (PI * 80.0 / 8_000.0).tan() / (PI * hz / 8_000.0).tan();
        let formula = -10.0 * (1.0 + warped.powi(4)).log10();
        assert!((gain - formula).abs() < 0.1, "{hz} Hz: {gain:.2} dB, by the formula {formula:.2}");
    }
}

#[test]
fn the_high_pass_takes_an_offset_away_within_50_ms_and_leaves_the_voice() {
    let voice = sine(400.0, 3_000.0, 8_000);
    let offset: Vec<i16> = voice.iter().map(|x| x + 2_000).collect();
    let run = |sound: &[i16]| -> Vec<i16> {
        let mut filter = HighPass::default();
        frames(sound)
            .flat_map(|mut frame| {
                filter.process(&mut frame);
                frame.0
            })
            .collect()
    };
    let (with, without) = (run(&offset), run(&voice));
    let most = with.iter().zip(&without).skip(400).map(|(a, b)| (a - b).abs()).max();
    assert!(most <= Some(4), "{most:?} left of 2 000");
}

#[test]
fn the_limiter_never_clips_and_bends_smoothly() {
    for extreme in [i32::MIN, -1 << 24, -40_000, 40_000, 1 << 24, i32::MAX] {
        assert!(soft_limit(extreme).unsigned_abs() <= 32_767, "{extreme}");
        assert_eq!(soft_limit(extreme).signum(), if extreme < 0 { -1 } else { 1 });
    }
    // Slope: 1 up to the knee, never rising again after it, and no step of more than one anywhere.
    let slope = |at: i32| i32::from(soft_limit(at + 1_000)) - i32::from(soft_limit(at));
    assert_eq!(slope(22_000), 1_000);
    let slopes: Vec<i32> = (22..200).map(|thousand| slope(thousand * 1_000)).collect();
    assert!(slopes.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{slopes:?}");
    let after_knee = soft_limit(23_197 + 200) - soft_limit(23_197);
    assert!(after_knee >= 194, "the knee is a corner: a slope of {after_knee} / 200 just after it");
}

#[test]
fn a_cross_fade_keeps_the_amplitude_of_alike_sounds_and_dips_3_db_between_strangers() {
    let level = |a: u32, b: u32| {
        // Many fades at once: the level in the middle of them.
        let mut middle = Vec::new();
        for n in 0..400 {
            let noise = |seed: u32| {
                let mut noise =
                    ComfortNoise::new(Dbov(-20.0), (seed * 1_000 + n).wrapping_mul(2_654_435_761));
                // Like seeds begin alike.
                (0..4).map(|_| noise.next_frame().0).last().unwrap()
            };
            let (old, mut new) = (noise(a), noise(b));
            cross_fade(&old, &mut new);
            middle.extend_from_slice(&new[FADE_SAMPLES / 2 - 1..=FADE_SAMPLES / 2]);
        }
        Dbov::of(&middle).0
    };
    assert!((level(1, 1) + 20.0).abs() < 0.8, "{}", level(1, 1));
    assert!((level(1, 2) + 23.0).abs() < 0.8, "{}", level(1, 2));
}

#[test]
fn comfort_noise_is_white_and_the_same_for_the_same_seed() {
    let sound = |seed: u32| -> Vec<i16> {
        let mut noise = ComfortNoise::new(Dbov(-40.0), seed);
        (0..100).flat_map(|_| noise.next_frame().0).collect()
    };
    assert_eq!(sound(5), sound(5));
    assert_ne!(sound(5), sound(9));
    let x = sound(5);
    let product =
        |lag: usize| -> f64 { x.iter().zip(&x[lag..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    for lag in [1, 2, 3, 8, 16, 80, 160] {
        assert!((product(lag) / product(0)).abs() < 0.03, "lag {lag}: {}", product(lag) / product(0));
    }
}

/// A voice of a pitch given in samples: eight harmonics.
fn voiced(period: f64, count: usize) -> Vec<i16> {
    (0..count)
        .map(|n| {
            let sum: f64 = (1..=8u8)
                .map(|k| (TAU * f64::from(k) * n as f64 / period + f64::from(k * k)).sin() / f64::from(k))
                .sum();
            (4_000.0 * sum) as i16
        })
        .collect()
}

fn snr(truth: &[i16], got: &[i16]) -> f64 {
    let square = |x: f64| x * x;
    let signal: f64 = truth.iter().map(|&x| square(f64::from(x))).sum();
    let error: f64 = truth.iter().zip(got).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    10.0 * (signal / error.max(1.0)).log10()
}

/// G.711 Appendix I, I.2.3: pitches of 5 to 15 ms; the period is repeated, in its place, for the first 10 ms.
#[test]
fn concealment_goes_on_with_every_pitch_from_66_to_200_hz() {
    for period in 40..=120 {
        let sound = voiced(f64::from(period), 1_600);
        let mut plc = Plc::default();
        for mut frame in frames(&sound[..1_280]) {
            plc.good(&mut frame);
        }
        let made = plc.conceal();
        // Whole periods: but for the seam's overlap what comes is what was.
        let found = snr(&sound[1_280..1_360], &made.0[..80]);
        assert!(found > 25.0, "a period of {period} samples: {found:.1} dB");
    }
}

/// I.2.7: full level for 10 ms, then 20 % less each 10 ms, silence after 60 ms.
#[test]
fn concealment_fades_by_20_percent_each_10_ms() {
    let sound = voiced(80.0, 2_400);
    let mut plc = Plc::default();
    for mut frame in frames(&sound[..1_280]) {
        plc.good(&mut frame);
    }
    let made: Vec<i16> = (0..4).flat_map(|_| plc.conceal().0).collect();
    let wanted = [1.0, 0.9, 0.7, 0.5, 0.3, 0.1, 0.0, 0.0];
    let whole = f64::from(Dbov(0.0).gain_to(Dbov::of(&sound[1_200..1_280])));
    for (step, wanted) in made.chunks(80).zip(wanted) {
        let got = if step.iter().all(|&x| x == 0) {
            0.0
        } else {
            f64::from(Dbov(0.0).gain_to(Dbov::of(step))) / whole
        };
        // A linear fade over the step is a little louder in mean square than its middle.
        assert!((got - wanted).abs() < 0.04, "{got:.3}, wanted {wanted}");
    }
}

/// Every fifth frame of a real voice is lost.
#[test]
fn concealment_is_nearer_to_the_voice_than_silence_or_the_frame_before() {
    let file =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/callers/booking-1.wav")).unwrap();
    let data = file.windows(4).position(|four| four == b"data").unwrap() + 8;
    let truth: Vec<PcmFrame> = file[data..]
        .chunks_exact(160)
        .map(|octets| MulawFrame(octets.try_into().unwrap()).decode())
        .collect();
    let mut plc = Plc::default();
    let (mut lost, mut made, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for (index, frame) in truth.iter().enumerate() {
        if index % 5 == 4 {
            // The first 10 ms, at full level; then it begins to fade.
            lost.extend_from_slice(&frame.0[..80]);
            made.extend_from_slice(&plc.conceal().0[..80]);
            repeated.extend_from_slice(&truth[index - 1].0[..80]);
        } else {
            plc.good(&mut frame.clone());
        }
    }
    let (concealed, before) = (snr(&lost, &made), snr(&lost, &repeated));
    // Silence has 0 dB.
    assert!(concealed > 1.0, "{concealed:.2} dB");
    assert!(concealed > before + 2.0, "{concealed:.2} dB against {before:.2} dB");
}
