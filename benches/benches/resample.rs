//! Rate conversion, per 20 ms, beside rubato's synchronous FFT resampler.

use std::hint::black_box;

use audioadapter_buffers::owned::InterleavedOwned;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use offhook_audio::SampleRate;
use offhook_resample::Resampler;
use rubato::{Fft, FixedSync, Resampler as _};

fn resample(c: &mut Criterion) {
    let mut group = c.benchmark_group("resample");
    for high in [16_000u32, 22_050, 24_000, 44_100, 48_000] {
        for (from, to) in [(8_000, high), (high, 8_000)] {
            let input: Vec<i16> =
                (0..from / 50).map(|n| (n as i32 * 7_919 % 20_000 - 10_000) as i16).collect();
            let (Some(from_rate), Some(to_rate)) = (SampleRate::new(from), SampleRate::new(to)) else {
                continue;
            };
            let Ok(mut ours) = Resampler::new(from_rate, to_rate) else { continue };
            let id = format!("{from} to {to}");
            group.bench_function(BenchmarkId::new("offhook", &id), |b| {
                let mut output = Vec::with_capacity(2_000);
                b.iter(|| {
                    output.clear();
                    ours.process(black_box(&input), &mut output);
                });
            });
            let Ok(mut theirs) =
                Fft::<f32>::new(from as usize, to as usize, input.len(), 1, FixedSync::Input)
            else {
                continue;
            };
            let frames = theirs.input_frames_next();
            let buffer = InterleavedOwned::<f32>::new(0.1, 1, frames);
            let mut output = InterleavedOwned::<f32>::new(0.0, 1, theirs.output_frames_max());
            // Its chunk isn't always 20 ms: the name tells how many samples an iteration takes.
            group.bench_function(BenchmarkId::new(format!("rubato Fft, {frames} samples"), &id), |b| {
                b.iter(|| theirs.process_into_buffer(black_box(&buffer), &mut output, None).is_ok());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, resample);
criterion_main!(benches);
