//! The codec, per 20 ms frame, beside copying the same octets and a table of 256 samples.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

fn codec(c: &mut Criterion) {
    let octets: [u8; 160] = std::array::from_fn(|n| (n * 37) as u8);
    let mut samples = [0i16; 160];
    offhook_mulaw::decode_frame(&octets, &mut samples);
    let table: Vec<i16> = (0..=255).map(offhook_mulaw::decode).collect();
    let mut group = c.benchmark_group("mulaw");
    group.bench_function("copy", |b| {
        let mut to = [0i16; 160];
        b.iter(|| black_box(&mut to).copy_from_slice(black_box(&samples)));
    });
    group.bench_function("decode_frame", |b| {
        let mut to = [0i16; 160];
        b.iter(|| offhook_mulaw::decode_frame(black_box(&octets), black_box(&mut to)));
    });
    group.bench_function("decode by a table", |b| {
        let mut to = [0i16; 160];
        b.iter(|| {
            for (to, octet) in black_box(&mut to).iter_mut().zip(black_box(&octets)) {
                *to = table[usize::from(*octet)];
            }
        });
    });
    group.bench_function("encode_frame", |b| {
        let mut to = [0u8; 160];
        b.iter(|| offhook_mulaw::encode_frame(black_box(&samples), black_box(&mut to)));
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
