//! Rate conversion, 20 ms at a time, beside libsoxr, speexdsp and rubato; and making a filter.
//!
//! libsoxr and speexdsp take part if they are installed; `cargo run --release --example resample` tells how good each is.
#![allow(clippy::print_stderr, reason = "a bench tells whom it left out")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use offhook_audio::SampleRate;
use offhook_benches::peers::{Rubato, Soxr, Speex};
use offhook_resample::Resampler;

fn resample(c: &mut Criterion) {
    let mut group = c.benchmark_group("resample");
    for high in [16_000u32, 22_050, 24_000, 44_100, 48_000] {
        for (from, to) in [(8_000, high), (high, 8_000)] {
            let input: Vec<i16> =
                (0..from / 50).map(|n| (n as i32 * 7_919 % 20_000 - 10_000) as i16).collect();
            let id = format!("{from} to {to}");
            // An element is a sample that goes in.
            group.throughput(Throughput::Elements(input.len() as u64));
            if let (Some(from), Some(to)) = (SampleRate::new(from), SampleRate::new(to))
                && let Ok(mut ours) = Resampler::new(from, to)
            {
                let mut output = Vec::with_capacity(ours.max_output_len(input.len()));
                group.bench_function(BenchmarkId::new("offhook", &id), |b| {
                    b.iter(|| {
                        output.clear();
                        ours.process(black_box(&input), &mut output);
                    });
                });
            }
            for quality in [3, 5] {
                let Some(mut speex) = Speex::new(from, to, quality) else {
                    eprintln!("speexdsp isn't installed (Debian: libspeexdsp1): left out");
                    break;
                };
                let mut output = Vec::with_capacity(2_000);
                group.bench_function(BenchmarkId::new(format!("speexdsp q{quality}"), &id), |b| {
                    b.iter(|| {
                        output.clear();
                        speex.process(black_box(&input), &mut output);
                    });
                });
            }
            if let Some(mut soxr) = Soxr::new(from, to) {
                let floats: Vec<f32> = input.iter().map(|&sample| f32::from(sample) / 32_768.0).collect();
                group.bench_function(BenchmarkId::new("soxr HQ", &id), |b| {
                    b.iter(|| soxr.process_own(black_box(&floats)));
                });
            } else {
                eprintln!("libsoxr isn't installed (Debian: libsoxr0): left out");
            }
            if let Some(mut rubato) = Rubato::new(from, to) {
                // Its chunk isn't always 20 ms: compare its elements per second.
                group.throughput(Throughput::Elements(rubato.chunk() as u64));
                group.bench_function(BenchmarkId::new(format!("rubato Fft {}", rubato.chunk()), &id), |b| {
                    b.iter(|| rubato.process_own());
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, resample);
criterion_main!(benches);
