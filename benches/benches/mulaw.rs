//! Benches of the codec.
use criterion::{Criterion, criterion_group, criterion_main};
fn codec(c: &mut Criterion) {
    c.bench_function("mulaw/decode", |b| b.iter(|| offhook_mulaw::decode(std::hint::black_box(7))));
}
criterion_group!(benches, codec);
criterion_main!(benches);
