//! Voice activity, per 20 ms frame.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use offhook_audio::{ComfortNoise, Dbov};
use offhook_endpoint::dtmf::DtmfDetector;
use offhook_endpoint::{DetectorKind, TalkspurtConfig, Talkspurts, ToneGuard};
use webrtc_vad::{SampleRate, Vad, VadMode};

fn endpoint(c: &mut Criterion) {
    let mut noise = ComfortNoise::new(Dbov(-25.0), 7);
    let frames: Vec<_> = (0..50).map(|_| noise.next_frame()).collect();
    let mut group = c.benchmark_group("endpoint");
    let mut next = frames.iter().cycle();
    let mut plain = Vad::new_with_rate_and_mode(SampleRate::Rate8kHz, VadMode::VeryAggressive);
    group.bench_function("webrtc-vad alone", |b| {
        b.iter(|| next.next().map(|frame| plain.is_voice_segment(black_box(&frame.0)).is_ok()));
    });
    for kind in DetectorKind::ALL {
        let mut detector = kind.build();
        group.bench_function(format!("detector {}", detector.name()), |b| {
            b.iter(|| next.next().map(|frame| detector.push(black_box(frame))));
        });
    }
    let mut guard = ToneGuard::default();
    group.bench_function("tone guard", |b| b.iter(|| next.next().map(|frame| guard.push(black_box(frame)))));
    let mut keys = DtmfDetector::default();
    group.bench_function("dtmf", |b| b.iter(|| next.next().map(|frame| keys.push(black_box(frame)))));
    let mut spurts = Talkspurts::from_config(TalkspurtConfig::turn_taking());
    group.bench_function("talkspurts, whole", |b| {
        b.iter(|| next.next().map(|frame| spurts.push(black_box(frame))))
    });
    group.finish();
}

criterion_group!(benches, endpoint);
criterion_main!(benches);
