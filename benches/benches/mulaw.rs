//! G.711, per 20 ms frame, beside other crates, tables, SpanDSP's arithmetic, and copying as many octets.

use std::hint::black_box;

use audio_codec::{Decoder as _, Encoder as _};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};

/// A law, or a way to do it, on a frame.
type Decode<'a> = Box<dyn FnMut(&[u8; 160], &mut [i16; 160]) + 'a>;
type Encode<'a> = Box<dyn FnMut(&[i16; 160], &mut [u8; 160]) + 'a>;

/// What a decoder and an encoder at least move: 160 octets and 320.
fn copies(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (octets, samples) = ([7u8; 160], [7i16; 160]);
    let (mut octets_to, mut samples_to) = ([0u8; 160], [0i16; 160]);
    group.bench_function("copy 320 octets", |b| {
        b.iter(|| black_box(&mut samples_to).copy_from_slice(black_box(&samples)));
    });
    group.bench_function("copy 480 octets", |b| {
        b.iter(|| {
            black_box(&mut octets_to).copy_from_slice(black_box(&octets));
            black_box(&mut samples_to).copy_from_slice(black_box(&samples));
        });
    });
}

fn law(c: &mut Criterion, name: &str, decoders: Vec<(&str, Decode<'_>)>, encoders: Vec<(&str, Encode<'_>)>) {
    let octets: [u8; 160] = std::array::from_fn(|n| (n * 37) as u8);
    // A voice's levels: most samples are small.
    let samples: [i16; 160] = std::array::from_fn(|n| ((n as f64 * 0.31).sin() * (n * n) as f64) as i16);
    let (mut octets_to, mut samples_to) = ([0u8; 160], [0i16; 160]);
    let mut group = c.benchmark_group(format!("{name} decode"));
    copies(&mut group);
    for (name, mut decode) in decoders {
        group.bench_function(name, |b| b.iter(|| decode(black_box(&octets), black_box(&mut samples_to))));
    }
    group.finish();
    let mut group = c.benchmark_group(format!("{name} encode"));
    for (name, mut encode) in encoders {
        group.bench_function(name, |b| b.iter(|| encode(black_box(&samples), black_box(&mut octets_to))));
    }
    group.finish();
}

fn each<A: Copy, B>(from: &[A; 160], to: &mut [B; 160], convert: impl Fn(A) -> B) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = convert(from);
    }
}

fn codec(c: &mut Criterion) {
    let table: Vec<i16> = (0..=255).map(offhook_mulaw::decode).collect();
    let back: Vec<u8> = (0..=u16::MAX).map(|sample| offhook_mulaw::encode(sample as i16)).collect();
    let (mut decoder, mut encoder) =
        (audio_codec::pcmu::PcmuDecoder::new(), audio_codec::pcmu::PcmuEncoder::new());
    law(
        c,
        "mulaw",
        vec![
            ("offhook", Box::new(offhook_mulaw::decode_frame)),
            ("offhook without vectors", Box::new(|from, to| each(from, to, offhook_mulaw::decode))),
            ("table of 256", Box::new(|from, to| each(from, to, |octet| table[usize::from(octet)]))),
            (
                "audio-codec-algorithms",
                Box::new(|from, to| each(from, to, audio_codec_algorithms::decode_ulaw)),
            ),
            ("audio-codec", Box::new(|from, to| assert!(decoder.decode_into(from, to).is_ok()))),
        ],
        vec![
            ("offhook", Box::new(offhook_mulaw::encode_frame)),
            ("offhook without vectors", Box::new(|from, to| each(from, to, offhook_mulaw::encode))),
            (
                "table of 65 536",
                Box::new(|from, to| each(from, to, |sample| back[usize::from(sample.cast_unsigned())])),
            ),
            (
                "audio-codec-algorithms",
                Box::new(|from, to| each(from, to, audio_codec_algorithms::encode_ulaw)),
            ),
            ("audio-codec", Box::new(|from, to| assert!(encoder.encode_into(from, to).is_ok()))),
        ],
    );
    let (mut decoder, mut encoder) =
        (audio_codec::pcma::PcmaDecoder::new(), audio_codec::pcma::PcmaEncoder::new());
    law(
        c,
        "alaw",
        vec![
            ("offhook", Box::new(offhook_mulaw::alaw::decode_frame)),
            ("offhook without vectors", Box::new(|from, to| each(from, to, offhook_mulaw::alaw::decode))),
            (
                "audio-codec-algorithms",
                Box::new(|from, to| each(from, to, audio_codec_algorithms::decode_alaw)),
            ),
            ("audio-codec", Box::new(|from, to| assert!(decoder.decode_into(from, to).is_ok()))),
        ],
        vec![
            ("offhook", Box::new(offhook_mulaw::alaw::encode_frame)),
            ("offhook without vectors", Box::new(|from, to| each(from, to, offhook_mulaw::alaw::encode))),
            (
                "audio-codec-algorithms",
                Box::new(|from, to| each(from, to, audio_codec_algorithms::encode_alaw)),
            ),
            ("audio-codec", Box::new(|from, to| assert!(encoder.encode_into(from, to).is_ok()))),
        ],
    );
}

criterion_group!(benches, codec);
criterion_main!(benches);
