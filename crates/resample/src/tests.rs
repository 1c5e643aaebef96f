//! Quality, by measurement: ripple, rejection, delay; that chunks don't matter; and the filter beside plain convolution.

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
                assert!(gain.abs() <= 0.01, "{from} to {to} at {hz} Hz: {gain:.3} dB");
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
                    assert!(level <= -90.0, "8000 to {high}: image of {hz} Hz at {image} Hz: {level:.1} dB");
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
                    assert!(level <= -90.0, "{high} to 8000: {hz} Hz as {alias} Hz: {level:.1} dB");
                }
            }
        }
    }
}

#[test]
fn the_delay_is_what_it_says() {
    for high in RATES {
        for (from, to) in [(8_000, high), (high, 8_000)] {
            let mut input = vec![0i16; from as usize / 10];
            let click = from as usize / 20;
            input[click] = 30_000;
            let output = convert(from, to, &input);
            // The centre of its energy, which for a filter with equal sides is its middle.
            let energy = |n: usize| f64::from(output[n]).powi(2);
            let whole: f64 = (0..output.len()).map(energy).sum();
            let centre = (0..output.len()).map(|n| energy(n) * n as f64).sum::<f64>() / whole;
            let measured = centre / f64::from(to) - click as f64 / f64::from(from);
            let told = Resampler::new(rate(from), rate(to)).unwrap().delay().as_secs_f64();
            assert!((measured - told).abs() < 0.000_05, "{from} to {to}: {measured} {told}");
            assert!((0.002_4..=0.003).contains(&told), "{from} to {to}: {told}");
        }
    }
}

#[test]
fn a_frame_in_is_a_frame_out() {
    for high in RATES {
        for (from, to) in [(8_000, high), (high, 8_000)] {
            let frame = vec![1_000i16; from as usize / 50];
            let mut resampler = Resampler::new(rate(from), rate(to)).unwrap();
            let mut output = Vec::with_capacity(to as usize / 50);
            for _ in 0..100 {
                output.clear();
                resampler.process(&frame, &mut output);
                assert_eq!(output.len(), to as usize / 50, "{from} to {to}");
            }
        }
    }
}

#[test]
fn equal_rates_pass_through() {
    let mut resampler = Resampler::new(rate(11_025), rate(11_025)).unwrap();
    let input = sine(500.0, 8_000, 0.1);
    let mut output = Vec::new();
    resampler.process(&input, &mut output);
    resampler.flush(&mut output);
    assert_eq!((output, resampler.delay(), resampler.max_flush_len()), (input, Duration::ZERO, 0));
}

#[test]
fn a_slice_that_is_too_short_is_refused_and_nothing_taken() {
    let mut resampler = Resampler::new(rate(8_000), rate(24_000)).unwrap();
    let input = sine(500.0, 8_000, 0.02);
    let mut output = [0i16; 480];
    let error = resampler.process_slice(&input, &mut output[..479]).unwrap_err();
    assert_eq!(error, OutputTooShort { needed: 480, found: 479 });
    assert_eq!(resampler.process_slice(&input, &mut output), Ok(480));
    assert_eq!(output.as_slice(), convert(8_000, 24_000, &input));
}

#[test]
fn unknown_rates_are_refused_in_words() {
    let error = Resampler::new(rate(7), SampleRate::HZ_8000).err().unwrap();
    assert!(error.to_string().starts_with("can't convert 7 Hz to 8000 Hz"));
}

/// What the filter is meant to be, without phases kept, blocks or a window: zeros before the sound, whole numbers.
fn plainly(table: &design::Table, input: &[i16]) -> Vec<i16> {
    let count = (input.len() * table.up).div_ceil(table.down);
    (0..count)
        .map(|n| {
            let (newest, phase) = (n * table.down / table.up, n % table.up);
            let row = &table.coarse[phase * table.taps..(phase + 1) * table.taps];
            let fine = &table.fine[phase * table.inner..(phase + 1) * table.inner];
            let (left, right) = ((table.taps - table.inner) / 2, table.taps.midpoint(table.inner));
            let coefficient = |n: usize| {
                if (left..right).contains(&n) {
                    f64::from(row[n]) + f64::from(fine[n - left]) / f64::from(1 << design::FINE_BITS)
                } else {
                    f64::from(row[n]) / f64::from(1 << table.outer_bits)
                }
            };
            let sum: f64 = (0..table.taps)
                .filter_map(|age| {
                    Some((coefficient(table.taps - 1 - age), *input.get(newest.checked_sub(age)?)?))
                })
                .map(|(coefficient, sample)| coefficient * f64::from(sample))
                .sum();
            (sum / f64::from(1 << design::GAIN_BITS)).round().clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// Noise, quiet or at full scale: at both rails, where sums are largest and saturation shows.
fn noise(seed: u32, loud: bool, count: usize) -> Vec<i16> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match (loud, state >> 31) {
                (true, 0) => i16::MIN,
                (true, _) => i16::MAX,
                (false, _) => (state >> 16) as i16,
            }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunks_do_not_matter_and_counts_are_exact(
        seed in any::<u32>(),
        high in proptest::sample::select(&RATES[..]),
        down: bool,
        loud: bool,
        cuts in proptest::collection::vec(0usize..500, 1..12),
    ) {
        let (from, to) = if down { (high, 8_000) } else { (8_000, high) };
        let input = noise(seed, loud, 3_000);
        let exact = plainly(design::table(rate(from), rate(to)).unwrap(), &input);
        let whole = convert(from, to, &input);
        prop_assert_eq!(whole.len(), (input.len() * to as usize).div_ceil(from as usize));
        // Three sums are put together: at the border between two samples a result may fall to the other side.
        prop_assert_eq!(exact.len(), whole.len());
        prop_assert!(exact.iter().zip(&whole).all(|(a, b)| a.abs_diff(*b) <= 1));
        let mut pieces = Vec::new();
        let mut resampler = Resampler::new(rate(from), rate(to)).unwrap();
        let mut rest = input.as_slice();
        for cut in cuts.iter().chain([&7]).cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            let (exact, most) = (resampler.output_len(now.len()), resampler.max_output_len(now.len()));
            prop_assert!(exact <= most);
            if cut % 2 == 0 {
                let before = pieces.len();
                resampler.process(now, &mut pieces);
                prop_assert_eq!(pieces.len() - before, exact);
            } else {
                let mut slice = vec![0i16; most];
                prop_assert_eq!(resampler.process_slice(now, &mut slice), Ok(exact));
                pieces.extend_from_slice(&slice[..exact]);
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn a_flush_gives_all_that_is_left_and_starts_anew(
        seed in any::<u32>(),
        high in proptest::sample::select(&RATES[..]),
        down: bool,
        count in 0usize..700,
    ) {
        let (from, to) = if down { (high, 8_000) } else { (8_000, high) };
        let mut input = noise(seed, false, count);
        let mut resampler = Resampler::new(rate(from), rate(to)).unwrap();
        let tail = (resampler.delay().as_secs_f64() * f64::from(from)).round() as usize;
        let mut flushed = Vec::new();
        resampler.process(&input, &mut flushed);
        let before = flushed.len();
        resampler.flush(&mut flushed);
        prop_assert!(flushed.len() - before <= resampler.max_flush_len());
        let mut again = Vec::new();
        resampler.process(&input, &mut again);
        prop_assert_eq!(&again, &convert(from, to, &input));
        if count > 0 {
            input.resize(count + tail, 0);
        }
        prop_assert_eq!(flushed, convert(from, to, &input));
    }
}

proptest! {
    #[test]
    fn the_vector_unit_gives_the_plain_result(
        pair in 0usize..10,
        input in proptest::collection::vec(any::<i16>(), 0..1_500),
    ) {
        let high = RATES[pair / 2];
        let (from, to) = if pair % 2 == 0 { (8_000, high) } else { (high, 8_000) };
        let (mut a, mut b) = (Vec::new(), Vec::new());
        Resampler::new(rate(from), rate(to)).unwrap().process(&input, &mut a);
        let mut plain = Resampler::new(rate(from), rate(to)).unwrap();
        let Some(Kind::Usual(filter)) = &mut plain.filter else { panic!("a usual rate") };
        filter.plain();
        plain.process(&input, &mut b);
        prop_assert_eq!(a, b);
    }
}

const ODD_RATES: [u32; 9] = [4_000, 6_000, 11_025, 12_000, 12_345, 32_000, 37_800, 96_000, 192_000];

#[test]
fn any_other_rate_comes_to_8_khz() {
    for from in ODD_RATES {
        for hz in [300.0, 1_000.0, 1_700.0, 2_400.0, 3_400.0] {
            // The slope of a narrower rate begins lower.
            if hz > f64::from(from) * 0.5 - 600.0 {
                continue;
            }
            let gain = db(amplitude(&convert(from, 8_000, &sine(hz, from, 0.5)), hz, 8_000) / 12_000.0);
            assert!(gain.abs() <= 0.05, "{from} at {hz} Hz: {gain:.3} dB");
        }
        for alias in [300.0, 1_000.0, 2_000.0, 3_400.0] {
            for hz in [8_000.0 - alias, 8_000.0 + alias] {
                if hz < f64::from(from) / 2.0 {
                    let level =
                        db(amplitude(&convert(from, 8_000, &sine(hz, from, 0.5)), alias, 8_000) / 12_000.0);
                    assert!(level <= -85.0, "{from}: {hz} Hz as {alias} Hz: {level:.1} dB");
                }
            }
        }
        let silence = vec![0; from as usize / 50];
        assert_eq!(convert(from, 8_000, &silence).len(), (silence.len() * 8_000).div_ceil(from as usize));
    }
    for odd in [1, 7, 3_999, 192_001, u32::MAX] {
        assert!(Resampler::new(rate(odd), SampleRate::HZ_8000).is_err(), "{odd}");
    }
    assert!(Resampler::new(SampleRate::HZ_8000, rate(12_000)).is_err());
}

proptest! {
    #[test]
    fn any_rate_gives_the_same_however_the_stream_is_cut(which in 0..ODD_RATES.len(), sizes in prop::collection::vec(1_usize..900, 1..40)) {
        let from = ODD_RATES[which];
        let input = sine(700.0, from, 1.3);
        let whole = convert(from, 8_000, &input);
        let mut resampler = Resampler::new(rate(from), SampleRate::HZ_8000).unwrap();
        let (mut rest, mut cut) = (&input[..], Vec::new());
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            let before = cut.len();
            let expected = resampler.output_len(now.len());
            resampler.process(now, &mut cut);
            prop_assert_eq!(cut.len() - before, expected);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(cut, whole);
    }
}
