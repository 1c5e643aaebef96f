//! Voices against voices: an echo is known, another voice isn't taken for one.

use std::time::Duration;

use offhook_audio::{FRAME_SAMPLES, MulawFrame};

use super::*;

const LEAD: Duration = Duration::from_millis(400);

fn voice(name: &str) -> Vec<i16> {
    let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let wav = std::fs::read(path).unwrap();
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    let mut samples = vec![0; wav.len() - data];
    offhook_mulaw::decode_slice(&wav[data..], &mut samples);
    samples
}

fn frame_at(samples: &[i16], at: usize) -> MulawFrame {
    let mut pcm = PcmFrame([0; FRAME_SAMPLES]);
    for (to, sample) in pcm.0.iter_mut().zip(samples.get(at..).unwrap_or(&[])) {
        *to = *sample;
    }
    pcm.encode()
}

/// Plays `agent`, puts `line` on the line, and gives the likeness at each frame in which the line has sound.
fn likenesses(agent: &[i16], line: &[i16], known: Option<usize>) -> Vec<Likeness> {
    let mut played = Played::new(LEAD);
    let mut guard = EchoGuard::new(true);
    let mut all = Vec::new();
    for n in 0..line.len() / FRAME_SAMPLES {
        let now = CallTime::from_millis(20 * (n as u64 + 1));
        if n * FRAME_SAMPLES < agent.len() {
            let at = CallTime::from_millis(20 * n as u64);
            played.push(at, &frame_at(agent, n * FRAME_SAMPLES));
        }
        let pcm = frame_at(line, n * FRAME_SAMPLES).decode();
        let until = SamplePos((n as u64 + 1) * FRAME_SAMPLES as u64);
        guard.judge(&pcm, until, now, None, &played);
        guard.lag = known;
        let loud = pcm.0.iter().any(|sample| sample.unsigned_abs() > 300);
        if n > 20 && loud {
            let end = guard.tick_of(until, now);
            all.push(guard.compare(end, &played));
        }
    }
    all
}

/// Attenuated, late, smeared over a few milliseconds as a hybrid does, and with the line's own noise.
fn echo_of(agent: &[i16], db: f32, delay_ms: usize) -> Vec<i16> {
    let gain = 10f32.powf(db / 20.0);
    let mut noise = 1u32;
    (0..agent.len())
        .map(|n| {
            let tap =
                |delay: usize| n.checked_sub(delay_ms * 8 + delay).map_or(0.0, |at| f32::from(agent[at]));
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hiss = (noise >> 16) as f32 / 65_536.0 * 16.0 - 8.0;
            (gain * (0.8 * tap(0) + 0.35 * tap(9) - 0.2 * tap(21)) + hiss) as i16
        })
        .collect()
}

fn share(all: &[Likeness], pass: impl Fn(&Likeness) -> bool) -> f64 {
    all.iter().filter(|likeness| pass(likeness)).count() as f64 / all.len().max(1) as f64
}

#[test]
fn echoes_are_known_at_any_delay_and_level() {
    let agent = voice("pizza-1");
    for (db, delay) in [(-12.0, 40), (-18.0, 180), (-24.0, 420), (-30.0, 900)] {
        let all = likenesses(&agent, &echo_of(&agent, db, delay), None);
        assert!(!all.is_empty());
        let sure = share(&all, |l| l.explained > SURE && l.lag.abs_diff(delay * 2) < 12);
        assert!(sure > 0.85, "{db} dB, {delay} ms: {sure:.2} of {}", all.len());
    }
}

#[test]
fn another_voice_is_no_echo() {
    let names = ["pizza-1", "pizza-2", "pizza-3", "pizza-5", "booking-1", "booking-2"];
    let (mut all, mut known) = (Vec::new(), Vec::new());
    for agent in names {
        for caller in names.iter().filter(|name| **name != agent) {
            let (agent, caller) = (voice(agent), voice(caller));
            all.extend(likenesses(&agent, &caller, None));
            known.extend(likenesses(&agent, &caller, Some(400)));
        }
    }
    let at_once = share(&all, |l| l.explained > SURE);
    let by_delay = share(&known, |l| l.explained > LIKELY && l.lag.abs_diff(400) <= PLAY);
    assert!(at_once < 0.02, "{at_once:.3} of {} frames", all.len());
    assert!(by_delay < 0.05, "{by_delay:.3} of {} frames", known.len());
}

#[test]
fn a_caller_over_the_echo_is_heard() {
    let (agent, caller) = (voice("pizza-1"), voice("booking-2"));
    let mut line = echo_of(&agent, -18.0, 120);
    for (to, sample) in line.iter_mut().zip(&caller) {
        *to = to.saturating_add(*sample);
    }
    let all = likenesses(&agent, &line, Some(240));
    let hidden = share(&all, |l| l.explained > LIKELY);
    assert!(hidden < 0.1, "{hidden:.2} of {}", all.len());
}
