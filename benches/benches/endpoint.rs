//! Voice activity, per 20 ms frame, by all detectors. Silero takes part if `SILERO_ONNX` names its file and the feature `onnx` is
//! on.
#![allow(clippy::print_stderr, reason = "a bench reports what it left out")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use offhook_audio::{ComfortNoise, Dbov};
use offhook_detectors::AnyDetector;
use offhook_endpoint::dtmf::DtmfDetector;
use offhook_endpoint::tones::{BeepDetector, ProgressDetector};
use offhook_endpoint::{TalkspurtConfig, Talkspurts, ToneGuard};

fn endpoint(c: &mut Criterion) {
    let mut noise = ComfortNoise::new(Dbov(-25.0), 7);
    let frames: Vec<_> = (0..50).map(|_| noise.next_frame()).collect();
    let mut group = c.benchmark_group("endpoint");
    let mut next = frames.iter().cycle();
    let silero = std::env::var("SILERO_ONNX").map(|file| format!("silero={file}"));
    let names = ["offhook", "webrtc-3", "webrtc", "energy", "earshot"].map(str::to_owned);
    for name in names.into_iter().chain(silero) {
        let built = name.parse::<AnyDetector>().and_then(|kind| kind.build());
        let Ok(mut detector) = built.inspect_err(|error| eprintln!("{name} is left out: {error}")) else {
            continue;
        };
        group.bench_function(format!("detector {}", detector.name()), |b| {
            b.iter(|| next.next().map(|frame| detector.push(black_box(frame))));
        });
    }
    let mut guard = ToneGuard::default();
    group.bench_function("tone guard", |b| b.iter(|| next.next().map(|frame| guard.push(black_box(frame)))));
    let mut keys = DtmfDetector::default();
    group.bench_function("dtmf", |b| b.iter(|| next.next().map(|frame| keys.push(black_box(frame)))));
    let mut progress = ProgressDetector::default();
    group.bench_function("network's tones", |b| {
        b.iter(|| next.next().map(|frame| progress.push(black_box(frame))))
    });
    let mut beep = BeepDetector::default();
    group.bench_function("mailbox's beep", |b| {
        b.iter(|| next.next().map(|frame| beep.push(black_box(frame))))
    });
    let mut spurts = Talkspurts::from_config(TalkspurtConfig::turn_taking());
    group.bench_function("talkspurts, whole", |b| {
        b.iter(|| next.next().map(|frame| spurts.push(black_box(frame))))
    });
    group.finish();
}

criterion_group!(benches, endpoint);
criterion_main!(benches);
