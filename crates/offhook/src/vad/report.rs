//! What was heard, in words and as JSON.

use std::io::Write;

use offhook_audio::{FRAME_SAMPLES, SamplePos};
use offhook_endpoint::tones::{ToneEvent, ToneKind};
use serde_json::{Value, json};

use super::analysis::Analysis;
use crate::console::{paint, say};

fn seconds(at: SamplePos) -> f64 {
    at.0 as f64 / 8_000.0
}

fn name(kind: ToneKind) -> &'static str {
    match kind {
        ToneKind::Dial => "dial tone",
        ToneKind::Ringback => "ringback",
        ToneKind::Busy => "busy",
        ToneKind::Congestion => "congestion",
        ToneKind::SpecialInformation => "special information",
        _ => "tone",
    }
}

fn hz(tone: &ToneEvent) -> String {
    match tone.hz {
        (low, Some(high)) => format!("{low:.0} + {high:.0} Hz"),
        (only, None) => format!("{only:.0} Hz"),
    }
}

/// Prints it for people.
pub(super) fn text(analysis: &Analysis) {
    for spurt in &analysis.spurts {
        let (from, until) = (seconds(spurt.from), seconds(spurt.until));
        let length = format!("{:6.2} s", until - from);
        say(&format!("{from:8.2} – {until:7.2}  {}  {}", paint(&length, "36"), spurt.level));
    }
    let (speech, length) = (analysis.speech() as f64 / 8_000.0, analysis.length as f64 / 8_000.0);
    let count = match analysis.spurts.len() {
        1 => "1 talkspurt".to_owned(),
        count => format!("{count} talkspurts"),
    };
    let share = 100.0 * speech / length.max(1e-9);
    say(&format!("speech       {count}, {speech:.2} s of {length:.2} s ({share:.0} %)"));
    if !analysis.spurts.is_empty() {
        say(&format!("level        {}", analysis.speech_level()));
    }
    if let Some(floor) = analysis.noise_floor() {
        say(&format!("noise floor  {floor}"));
    }
    if analysis.keys > 0 {
        say(&format!("keys         {} (which is not shown)", "•".repeat(analysis.keys)));
    }
    for tone in &analysis.tones {
        say(&format!("tone         {} from {:.2} s, {}", name(tone.kind), seconds(tone.at), hz(tone)));
    }
    for beep in &analysis.beeps {
        let (from, until) = (seconds(beep.from), seconds(beep.until));
        say(&format!("beep         {from:.2} – {until:.2} s, {:.0} Hz", beep.hz));
    }
}

/// Prints it for programs.
pub(super) fn json(analysis: &Analysis) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    // A reader who has gone away, like `head`, is no reason to complain.
    match write(analysis, &mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn write(analysis: &Analysis, out: &mut impl Write) -> std::io::Result<()> {
    for (index, frame) in analysis.frames.iter().enumerate() {
        let t_ms = index * FRAME_SAMPLES / 8;
        writeln!(out, "{{\"t_ms\":{t_ms},\"speech\":{}}}", (frame.probability * 1_000.0).round() / 1_000.0)?;
    }
    let ms = |at: SamplePos| at.0 / 8;
    let tenth = |x: f32| (f64::from(x) * 10.0).round() / 10.0;
    for spurt in &analysis.spurts {
        let (from, to, level) = (ms(spurt.from), ms(spurt.until), tenth(spurt.level.0));
        writeln!(out, "{{\"talkspurt\":{{\"from_ms\":{from},\"to_ms\":{to},\"level_dbov\":{level}}}}}")?;
    }
    let tones: Vec<Value> = (analysis.tones.iter())
        .map(|tone| json!({ "kind": name(tone.kind), "at_ms": ms(tone.at), "hz": [tenth(tone.hz.0), tone.hz.1.map(tenth)] }))
        .collect();
    let beeps: Vec<Value> = (analysis.beeps.iter())
        .map(|beep| json!({ "from_ms": ms(beep.from), "to_ms": ms(beep.until), "hz": tenth(beep.hz) }))
        .collect();
    let level = (!analysis.spurts.is_empty()).then(|| tenth(analysis.speech_level().0));
    let whole = json!({
        "length_ms": analysis.length / 8,
        "speech_ms": analysis.speech() / 8,
        "level_dbov": level,
        "noise_floor_dbov": analysis.noise_floor().map(|floor| tenth(floor.0)),
        "keys": analysis.keys,
        "tones": tones,
        "beeps": beeps,
    });
    writeln!(out, "{}", json!({ "summary": whole }))
}
