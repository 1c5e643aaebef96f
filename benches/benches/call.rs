//! The whole call on a virtual clock: per frame of a listening call, and per frame echoed through the whole path.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use offhook_conversation::Input;
use offhook_media_line::{CallConfig, CallMode, MediaInput, media_call};
use offhook_stage_api::CallTime;

fn bench_mode(c: &mut Criterion, name: &str, mode: CallMode) {
    let mut call = media_call(CallConfig { mode, ..CallConfig::default() });
    call.handle(Input::Start, CallTime::ZERO);
    let payload: [u8; 160] = std::array::from_fn(|n| if n % 7 == 0 { 0x7E } else { 0xFE });
    let mut ms = 0;
    // An iteration is 20 ms: 20 µs of it would be a thousand times real time.
    c.bench_function(&format!("call/{name}, a frame"), |b| {
        b.iter(|| {
            ms += 20;
            // The greatest length of a call is an hour; the clock stays before it.
            let now = CallTime::from_millis(ms % 3_000_000);
            let media = MediaInput::Media { timestamp_ms: None, payload: black_box(&payload) };
            call.handle(Input::Line(media), now);
            while let Some(output) = call.poll_output() {
                black_box(output);
            }
        });
    });
}

fn call(c: &mut Criterion) {
    bench_mode(c, "listening", CallMode::Dialog);
    bench_mode(c, "echo", CallMode::Echo);
}

criterion_group!(benches, call);
criterion_main!(benches);
