//! A tape of 30 s back through the engine: how much faster than real time.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use offhook_tape::{header, reenact, replay};

fn tape(c: &mut Criterion) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/tapes/pizza.tape.jsonl");
    let tape = std::fs::read_to_string(path).unwrap();
    let config = header(&tape).unwrap().call_config().unwrap();
    let length = replay(&tape, config.clone()).unwrap().length;
    let mut group = c.benchmark_group("tape");
    // Elements a second are milliseconds of calls a second: a million is a thousand times real time.
    group.throughput(Throughput::Elements(length.as_millis() as u64));
    group.bench_function("replay, 30 s", |b| b.iter(|| replay(black_box(&tape), config.clone()).unwrap()));
    group.bench_function("call again, 30 s", |b| {
        b.iter(|| reenact(black_box(&tape), config.clone()).unwrap())
    });
    group.finish();
}

criterion_group!(benches, tape);
criterion_main!(benches);
