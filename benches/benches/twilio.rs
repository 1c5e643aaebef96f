//! Messages, beside serde_json's own tree.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use offhook_twilio::StreamSid;
use offhook_twilio::stream::{Inbound, parse, write_media};

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
    group.bench_function("serde_json's tree", |b| {
        b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&fast)).is_ok());
    });
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
