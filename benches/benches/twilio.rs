//! Messages, beside serde_json's own tree.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use offhook_twilio::StreamSid;
use offhook_twilio::stream::{Inbound, parse, write_media};

/// A `media` message as other parsers are given it: borrowed where they can.
#[derive(serde::Deserialize)]
struct Typed<'a> {
    #[serde(borrow)]
    media: TypedMedia<'a>,
}

#[derive(serde::Deserialize)]
struct TypedMedia<'a> {
    payload: &'a str,
}

/// Other people's parsers and base64 decoders, on the same message.
fn peers(group: &mut BenchmarkGroup<'_, WallTime>, text: &str) {
    group.bench_function("parse by serde_json, typed", |b| {
        b.iter(|| {
            serde_json::from_str::<Typed<'_>>(black_box(text)).map_or(0, |typed| typed.media.payload.len())
        });
    });
    group.bench_function("parse by serde_json, a tree", |b| {
        b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(text)).is_ok());
    });
    group.bench_function("parse by sonic-rs, typed", |b| {
        b.iter(|| {
            sonic_rs::from_str::<Typed<'_>>(black_box(text)).map_or(0, |typed| typed.media.payload.len())
        });
    });
    // It writes into what it parses, so each time it needs a copy.
    group.bench_function("parse by simd-json, typed", |b| {
        let mut buffers = simd_json::Buffers::default();
        let mut copy = Vec::with_capacity(text.len() + 64);
        b.iter(|| {
            copy.clear();
            copy.extend_from_slice(black_box(text.as_bytes()));
            let typed = simd_json::serde::from_slice_with_buffers::<Typed<'_>>(&mut copy, &mut buffers);
            typed.map_or(0, |typed| typed.media.payload.len())
        });
    });
    let payload = "f39/".repeat(53) + "fw==";
    let mut octets = [0u8; 320];
    group.bench_function("payload by base64", |b| {
        use base64::Engine;
        b.iter(|| {
            base64::engine::general_purpose::STANDARD.decode_slice(black_box(&payload), &mut octets).is_ok()
        });
    });
    group.bench_function("payload by base64-simd", |b| {
        b.iter(|| {
            let out = base64_simd::Out::from_slice(&mut octets);
            base64_simd::STANDARD.decode(black_box(payload.as_bytes()), out).is_ok()
        });
    });
}

fn messages(c: &mut Criterion) {
    let payload = "f39/".repeat(53) + "fw==";
    let fast = format!(
        r#"{{"event":"media","sequenceNumber":"74","media":{{"track":"inbound","chunk":"73","timestamp":"1593","payload":"{payload}"}},"streamSid":"MZ18ad3ab5a668481ce02b83e7395059f0"}}"#
    );
    // Another order of fields takes the long way.
    let long = fast.replace(r#""sequenceNumber":"74","#, "").replacen('{', r#"{"sequenceNumber":"74","#, 1);
    let mut group = c.benchmark_group("twilio");
    for (name, text) in [("media, Twilio's shape", &fast), ("media, another shape", &long)] {
        group.bench_function(format!("parse {name}"), |b| b.iter(|| parse(black_box(text)).is_ok()));
    }
    group.bench_function("parse and decode", |b| {
        let mut buffer = [0u8; 320];
        b.iter(|| match parse(black_box(&fast)) {
            Ok(Inbound::Media(media)) => media.decode(&mut buffer).map_or(0, <[u8]>::len),
            _ => 0,
        });
    });
    peers(&mut group, &fast);
    if let Ok(stream) = StreamSid::parse("MZ18ad3ab5a668481ce02b83e7395059f0") {
        let mut text = String::new();
        group.bench_function("write media", |b| {
            b.iter(|| {
                text.clear();
                write_media(&mut text, &stream, black_box(&[0x7F; 160]));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, messages);
criterion_main!(benches);
