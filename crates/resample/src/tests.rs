//! Quality, by measurement: ripple, rejection, delay; and that chunks don't matter.

use proptest::prelude::*;

use super::*;

const RATES: [u32; 5] = [16_000, 22_050, 24_000, 44_100, 48_000];

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).unwrap()
}

fn sine(hz: f64, rate: u32, seconds: f64) -> Vec<i16> {
    let count = (seconds * f64::from(rate)) as usize;
    (0..count)
        .map(|n| (12_000.0 * (std::f64::consts::TAU * hz * n as f64 / f64::from(rate)).sin()).round() as i16)
        .collect()
}

fn convert(from: u32, to: u32, input: &[i16]) -> Vec<i16> {
    let mut output = Vec::new();
    Resampler::new(rate(from), rate(to)).unwrap().process(input, &mut output);
    output
}

/// Amplitude of one frequency in the middle of a sound, by correlation with a Hann-windowed sine pair.
fn amplitude(sound: &[i16], hz: f64, rate: u32) -> f64 {
    let middle = &sound[sound.len() / 4..sound.len() * 3 / 4];
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (n, &sample) in middle.iter().enumerate() {
        let angle = std::f64::consts::TAU * hz * n as f64 / f64::from(rate);
        let window = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / middle.len() as f64).cos();
        re += window * f64::from(sample) * angle.cos();
        im += window * f64::from(sample) * angle.sin();
        weight += window;
    }
    2.0 * (re * re + im * im).sqrt() / weight
}

fn db(ratio: f64) -> f64 {
    20.0 * ratio.max(1e-9).log10()
}

#[test]
fn the_telephone_band_passes_flat() {
    for high in RATES {
        for (from, to) in [(8_000, high), (high, 8_000)] {
            for hz in [300.0, 500.0, 1_000.0, 1_700.0, 2_400.0, 3_000.0, 3_250.0, 3_400.0] {
                let gain = db(amplitude(&convert(from, to, &sine(hz, from, 0.5)), hz, to) / 12_000.0);
                assert!(gain.abs() <= 0.1, "{from} to {to} at {hz} Hz: {gain:.3} dB");
            }
        }
    }
}

#[test]
fn in_the_telephone_band_it_agrees_with_rubato() {
    use audioadapter_buffers::owned::InterleavedOwned;
    use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};
    for high in RATES {
        for (from, to) in [(8_000, high), (high, 8_000)] {
            for hz in [440.0, 1_900.0, 3_300.0] {
                let input = sine(hz, from, 0.5);
                let wide: Vec<f64> = input.iter().map(|&sample| f64::from(sample)).collect();
                let buffer = InterleavedOwned::new_from(wide, 1, input.len()).unwrap();
                // One long chunk: rubato's short ones droop at 3.3 kHz.
                let mut reference = Fft::<f64>::new_custom(
                    from as usize,
                    to as usize,
                    2_048,
                    1,
                    1,
                    WindowFunction::Hann2,
                    FixedSync::Input,
                )
                .unwrap();
                let theirs = reference.process_all(&buffer, input.len(), None).unwrap().take_data();
                let theirs: Vec<i16> = theirs.iter().map(|sample| sample.round() as i16).collect();
                let ours = convert(from, to, &input);
                let difference = db(amplitude(&ours, hz, to) / amplitude(&theirs, hz, to));
                assert!(difference.abs() <= 0.1, "{from} to {to} at {hz} Hz: {difference:.3} dB");
            }
        }
    }
}

#[test]
fn images_are_rejected_on_the_way_up() {
    for high in RATES {
        for hz in [350.0, 1_000.0, 2_000.0, 3_000.0, 3_400.0] {
            let output = convert(8_000, high, &sine(hz, 8_000, 0.5));
            for image in [8_000.0 - hz, 8_000.0 + hz, 16_000.0 - hz] {
                if image < f64::from(high) / 2.0 {
                    let level = db(amplitude(&output, image, high) / 12_000.0);
                    assert!(level <= -60.0, "8000 to {high}: image of {hz} Hz at {image} Hz: {level:.1} dB");
                }
            }
        }
    }
}

#[test]
fn aliases_into_the_telephone_band_are_rejected_on_the_way_down() {
    for high in RATES {
        for alias in [300.0, 1_000.0, 2_000.0, 3_000.0, 3_400.0] {
            for hz in [8_000.0 - alias, 8_000.0 + alias, 16_000.0 - alias] {
                if hz < f64::from(high) / 2.0 {
                    let level =
                        db(amplitude(&convert(high, 8_000, &sine(hz, high, 0.5)), alias, 8_000) / 12_000.0);
                    assert!(level <= -60.0, "{high} to 8000: {hz} Hz as {alias} Hz: {level:.1} dB");
                }
            }
        }
    }
}

#[test]
fn the_delay_is_what_it_says_and_at_most_4_ms() {
    for high in RATES {
        for (from, to) in [(8_000, high), (high, 8_000)] {
            let mut input = vec![0i16; from as usize / 10];
            let click = from as usize / 20;
            input[click] = 30_000;
            let output = convert(from, to, &input);
            let peak = (0..output.len()).max_by_key(|&n| output[n].unsigned_abs()).unwrap();
            let measured = peak as f64 / f64::from(to) - click as f64 / f64::from(from);
            let told = Resampler::new(rate(from), rate(to)).unwrap().delay().as_secs_f64();
            assert!((measured - told).abs() < 1.1 / 8_000.0, "{from} to {to}: {measured} {told}");
            assert!(told <= 0.004, "{from} to {to}: {told}");
        }
    }
}

#[test]
fn loud_sound_saturates_and_does_not_wrap() {
    let square: Vec<i16> = (0..1_600).map(|n| if n / 20 % 2 == 0 { 32_767 } else { -32_768 }).collect();
    let output = convert(8_000, 24_000, &square);
    // Wrapping would show as a jump of nearly the whole range within one sample.
    assert!(output.windows(2).all(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs() < 45_000));
}

#[test]
fn unknown_rates_are_refused_in_words() {
    let error = Resampler::new(rate(11_025), SampleRate::HZ_8000).unwrap_err();
    assert!(error.to_string().starts_with("can't convert 11025 Hz to 8000 Hz"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn chunks_do_not_matter_and_counts_are_exact(
        seed in any::<u32>(),
        high in proptest::sample::select(&RATES[..]),
        down: bool,
        cuts in proptest::collection::vec(1usize..500, 1..12),
    ) {
        let (from, to) = if down { (high, 8_000) } else { (8_000, high) };
        let mut state = seed;
        let input: Vec<i16> = (0..3_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16
            })
            .collect();
        let whole = convert(from, to, &input);
        prop_assert_eq!(whole.len(), (input.len() * to as usize).div_ceil(from as usize));
        let mut pieces = Vec::new();
        let mut resampler = Resampler::new(rate(from), rate(to)).unwrap();
        let (mut rest, mut cuts) = (input.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            resampler.process(now, &mut pieces);
            rest = later;
        }
        prop_assert_eq!(pieces, whole);
    }
}
