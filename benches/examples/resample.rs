//! Prints how good the sample rate conversions are, beside other people's: a table in Markdown, or with `curves` the
//! frequency responses of ours as CSV.
#![allow(clippy::print_stdout, reason = "it is what it does")]

use offhook_audio::SampleRate;
use offhook_benches::curves::resample::{Stream, quality, response};
use offhook_benches::peers::{Rubato, Soxr, Speex};
use offhook_resample::Resampler;

const RATES: [u32; 5] = [16_000, 22_050, 24_000, 44_100, 48_000];

fn main() {
    let pairs = RATES.iter().flat_map(|&high| [(8_000, high), (high, 8_000)]);
    if std::env::args().any(|argument| argument == "curves") {
        println!("from,to,hz,db");
        for (from, to) in pairs {
            for (hz, db) in response(from, to, || offhook(from, to).unwrap_or_else(nothing)) {
                println!("{from},{to},{hz},{db:.2}");
            }
        }
        return;
    }
    println!("| conversion | by | ripple dB | rejection dB | delay ms |");
    println!("| --- | --- | --- | --- | --- |");
    for (from, to) in pairs {
        row(from, to, "offhook", offhook);
        row(from, to, "speexdsp q3", |from, to| speex(from, to, 3));
        row(from, to, "speexdsp q5", |from, to| speex(from, to, 5));
        row(from, to, "soxr HQ", soxr);
        row(from, to, "rubato Fft", rubato);
    }
}

fn row(from: u32, to: u32, name: &str, make: impl Fn(u32, u32) -> Option<Stream>) {
    if make(from, to).is_none() {
        println!("| {from} → {to} | {name} | not on this machine | | |");
        return;
    }
    let q = quality(from, to, || make(from, to).unwrap_or_else(nothing));
    let rejection = if q.rejection > 90.0 { "> 90".to_owned() } else { format!("{:.1}", q.rejection) };
    println!("| {from} → {to} | {name} | {:.3} | {rejection} | {:.1} |", q.ripple, q.delay);
}

/// For what can't happen: that a second one can't be made.
fn nothing() -> Stream {
    Box::new(|_, _| {})
}

fn offhook(from: u32, to: u32) -> Option<Stream> {
    let mut resampler = Resampler::new(SampleRate::new(from)?, SampleRate::new(to)?).ok()?;
    Some(Box::new(move |input, output| resampler.process(input, output)))
}

fn speex(from: u32, to: u32, quality: i32) -> Option<Stream> {
    let mut speex = Speex::new(from, to, quality)?;
    Some(Box::new(move |input, output| speex.process(input, output)))
}

fn soxr(from: u32, to: u32) -> Option<Stream> {
    let mut soxr = Soxr::new(from, to)?;
    Some(Box::new(move |input, output| soxr.process(input, output)))
}

fn rubato(from: u32, to: u32) -> Option<Stream> {
    let mut rubato = Rubato::new(from, to)?;
    Some(Box::new(move |input, output| rubato.process(input, output)))
}
