//! How well turns are taken: hundreds of scenes on a virtual line, and what the engine made of them.
//!
//! `cargo run --release --package offhook-testkit --example scenes [-- CLIPS.jsonl]`
//!
//! Without an argument the callers are the fixtures'. `CLIPS.jsonl` names others, a line each:
//! `{"file":"a.wav","text":"yes please","speech":[[0.3,0.96]]}`, μ-law WAV beside it, speech in seconds.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for the one who runs it")]

#[path = "measure/mod.rs"]
mod measure;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use offhook_conversation::{BargeInStage, CallEvent, Deadline, Input, Output, UtteranceKind};
use offhook_media_line::{MediaInput, MediaWire};
use offhook_stage_api::CallTime;
use offhook_testkit::Phone;
use offhook_testkit::phone::Watch;

use measure::{Dice, louder, octets_of, percentile};

const LONG: &str = "We are open every day from eleven in the morning to ten at night, but not on Sundays, and the \
                    kitchen closes half an hour before, so please come in time.";

/// Something said, without silence around it.
#[derive(Clone)]
struct Clip {
    octets: Vec<u8>,
    text: String,
}

impl Clip {
    fn ms(&self) -> u64 {
        self.octets.len() as u64 / 8
    }

    fn at(&self, gain_db: f64) -> Vec<u8> {
        louder(&self.octets, gain_db)
    }
}

/// What happened in a scene.
#[derive(Default)]
struct Seen {
    events: Vec<(u64, CallEvent)>,
    clears: Vec<u64>,
    /// When the agent's first sound was sent.
    began: Option<u64>,
}

struct Watcher(Rc<RefCell<Seen>>);

impl Watch for Watcher {
    fn input(&mut self, _now: CallTime, _input: &Input<MediaInput<'_>>, _: Option<Deadline>) {}
    fn output(&mut self, now: CallTime, output: &Output<MediaWire>) {
        let at = now.since_start().as_millis() as u64;
        let mut seen = self.0.borrow_mut();
        match output {
            Output::Event(event) => seen.events.push((at, event.clone())),
            Output::Wire(MediaWire::Clear) => seen.clears.push(at),
            Output::Wire(MediaWire::Media(_)) => {
                seen.began.get_or_insert(at);
            }
            _ => {}
        }
    }
}

fn play(mut line: Phone, until_ms: u64) -> (Seen, usize) {
    let seen = Rc::new(RefCell::new(Seen::default()));
    line.watch = Some(Box::new(Watcher(Rc::clone(&seen))));
    let heard_frames = line.run(until_ms).heard_frames;
    (Rc::into_inner(seen).unwrap().into_inner(), heard_frames)
}

/// From the first to the last sound over −50 dBov.
fn trimmed(octets: &[u8]) -> Vec<u8> {
    let loud = |octet: &u8| offhook_mulaw::decode(*octet).unsigned_abs() > 104;
    let from = octets.iter().position(loud).unwrap_or(0);
    let until = octets.iter().rposition(loud).map_or(0, |last| last + 1);
    octets[from..until.max(from)].to_vec()
}

fn fixtures() -> Vec<Clip> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/callers");
    let lines = [
        ("pizza-1", "two large pepperoni pizzas"),
        ("pizza-2", "what are your opening hours"),
        ("pizza-3", "and a bottle of water"),
        ("pizza-4", "no thanks"),
        ("pizza-5", "for delivery"),
        ("booking-1", "a table for two tonight at seven"),
        ("booking-2", "make it eight instead"),
    ];
    let clip = |(name, text): &(&str, &str)| Clip {
        octets: trimmed(&octets_of(&folder.join(format!("{name}.wav")))),
        text: (*text).to_owned(),
    };
    lines.iter().map(clip).collect()
}

fn listed(list: &Path) -> Vec<Clip> {
    let folder = list.parent().unwrap();
    let text = std::fs::read_to_string(list).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines
        .filter_map(|line| {
            let spans = line["speech"].as_array()?;
            let from = spans.first()?[0].as_f64()?;
            let until = spans.last()?[1].as_f64()?;
            let octets = octets_of(&folder.join(line["file"].as_str()?));
            let octets = octets.get((from * 8_000.0) as usize..(until * 8_000.0) as usize)?.to_vec();
            Some(Clip { octets, text: line["text"].as_str()?.to_owned() })
        })
        .collect()
}

fn ended(seen: &Seen) -> Vec<(u64, u64)> {
    let end = |(at, event): &(u64, CallEvent)| match event {
        CallEvent::TurnEnded(turn) => Some((*at, turn.speech_end_ms)),
        _ => None,
    };
    seen.events.iter().filter_map(end).collect()
}

fn count(seen: &Seen, wanted: BargeInStage) -> usize {
    let is = |(_, event): &&(u64, CallEvent)| matches!(event, CallEvent::BargeIn { stage, .. } if *stage == wanted);
    seen.events.iter().filter(is).count()
}

fn said(seen: &Seen) -> Option<(String, bool)> {
    seen.events.iter().find_map(|(_, event)| match event {
        CallEvent::Said { heard, text, interrupted, .. } if text == LONG => {
            Some((heard.clone(), *interrupted))
        }
        _ => None,
    })
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A caller's turn of two parts with a pause between them.
fn pauses(clips: &[Clip], told: bool) {
    let mut dice = Dice(7);
    let (mut turns, mut cut, mut taken_back, mut unheard) = (0, 0, 0, 0);
    let mut delays = Vec::new();
    for pause in [300u64, 500, 800, 1_200, 1_600, 2_000, 2_500] {
        for _ in 0..60 {
            let (first, second) = (dice.pick(clips), dice.pick(clips));
            // The transcript tells that the first part isn't all, or it doesn't.
            let before = if told { format!("{} and", first.text) } else { first.text.clone() };
            let begin = 1_500 + dice.below(500);
            let middle = begin + first.ms() + pause;
            let end = middle + second.ms();
            let line = Phone::new()
                .agent_says("Hello.")
                .sounds(begin as usize, &first.octets, &before)
                .sounds(middle as usize, &second.octets, &format!("{}.", second.text))
                .agent_says("Good.")
                .agent_says("Good.");
            let (seen, _) = play(line, end + 4_000);
            let ends = ended(&seen);
            turns += 1;
            let answered = |(at, event): &(u64, CallEvent)| {
                *at < middle && matches!(event, CallEvent::Speaking { what: UtteranceKind::Reply, .. })
            };
            cut += usize::from(seen.events.iter().any(answered));
            taken_back += seen.events.iter().filter(|(_, event)| *event == CallEvent::TurnReopened).count();
            match ends.last() {
                Some((at, _)) if *at >= end => delays.push(at - end),
                Some((at, _)) if *at >= middle => delays.push(0),
                _ => unheard += 1,
            }
        }
    }
    let name = if told { "the transcript tells that more comes" } else { "nothing tells that more comes" };
    let (median, p95) = (percentile(&mut delays, 50), percentile(&mut delays, 95));
    println!("pauses of 300 to 2500 ms, {name}: {turns} turns");
    let per_100 = |count: usize| count as f64 * 100.0 / f64::from(turns);
    println!("  cut off, heard             {:.1} per 100 turns", per_100(cut));
    println!("  … taken back unheard       {:.1} per 100 turns", per_100(taken_back));
    println!("  end decided                median {median} ms, p95 {p95} ms after the last sound");
    println!("  never answered             {unheard}");
}

/// What isn't meant to interrupt.
fn false_alarms(clips: &[Clip]) {
    let mut dice = Dice(11);
    let short: Vec<&Clip> = clips.iter().filter(|clip| clip.ms() < 900).collect();
    let mut scene = |name: &str, count_of: u64, make: &mut dyn FnMut(&mut Dice, u64) -> Phone| {
        let (mut interrupted, mut lost, mut held) = (0, 0, 0);
        for _ in 0..count_of {
            let at = 600 + dice.below(5_500);
            let (seen, frames) = play(make(&mut dice, at).agent_says("Alright."), 14_000);
            interrupted += usize::from(said(&seen).is_none_or(|(_, cut)| cut));
            held += count(&seen, BargeInStage::Suspected);
            lost += usize::from(frames + 1 < words(LONG) * 250 / 20);
        }
        let per = interrupted as f64 * 100.0 / count_of as f64;
        println!("  {name:<40} {per:>5.1} interrupted, {lost} with sound lost, {held} holds, of {count_of}");
    };
    println!("false barge-ins, per 100 of the agent's utterances");
    scene("backchannel (“okay”, “mm-hm”)", 60, &mut |dice, at| {
        let clip = dice.pick(&short);
        let length = clip.octets.len().min(8 * (250 + dice.below(450) as usize));
        Phone::new().agent_says(LONG).sounds(
            at as usize,
            &clip.octets[..length],
            dice.pick::<&str>(&["okay", "mm-hm", "yeah"]),
        )
    });
    scene("cough of 80 to 250 ms, no words", 60, &mut |dice, at| {
        Phone::new().agent_says(LONG).cough(at as usize, 80 + dice.below(170) as usize)
    });
    for db in [-12.0f32, -18.0, -24.0, -30.0] {
        scene(&format!("echo at {db} dB"), 30, &mut |dice, _| {
            Phone::new().agent_says(LONG).echo(db, 60 + dice.below(300) as usize)
        });
    }
    scene("packet gaps of 20 to 200 ms", 30, &mut |dice, at| {
        Phone::new().agent_says(LONG).loses(at / 20 * 20, 20 + dice.below(10) * 20)
    });
}

/// What is meant to.
fn interruptions(clips: &[Clip]) {
    println!("interruptions, at every phase of an utterance");
    let mut dice = Dice(13);
    for (name, echo, gain) in [
        ("clean line", None, 0.0),
        ("caller 15 dB softer", None, -15.0),
        ("echo at -18 dB", Some(-18.0f32), 0.0),
        ("echo at -12 dB", Some(-12.0), 0.0),
    ] {
        let long: Vec<&Clip> = clips.iter().filter(|clip| clip.ms() > 600).collect();
        let (mut missed, mut worst) = (0, 0);
        let mut onset = Vec::new();
        let total = 80;
        for _ in 0..total {
            let clip = dice.pick(&long);
            let at = 300 + dice.below(5_500);
            let mut line = Phone::new()
                .agent_says(LONG)
                .sounds(at as usize, &clip.at(gain), &format!("{}.", clip.text))
                .agent_says("Alright.");
            if let Some(db) = echo {
                line = line.echo(db, 180);
            }
            let (seen, _) = play(line, at + clip.ms() + 3_000);
            match (said(&seen), seen.clears.iter().find(|clear| **clear >= at), seen.began) {
                (Some((heard, true)), Some(clear), Some(began)) => {
                    onset.push(clear - at);
                    // Held, gone on, held again: what counts is when the agent fell silent for good.
                    let silent =
                        seen.clears.iter().rfind(|clear| **clear < at + clip.ms() + 1_000).unwrap_or(clear);
                    let stops = count(&seen, BargeInStage::Resumed) > 0;
                    let truth = (silent - began) as f64 / 250.0;
                    let off = (words(&heard) as f64 - truth).abs();
                    // The silence of a stop isn't a word heard.
                    if stops {
                        continue;
                    }
                    worst = worst.max((off.ceil() as u64).saturating_sub(1));
                }
                _ => missed += 1,
            }
        }
        let (median, p95) = (percentile(&mut onset, 50), percentile(&mut onset, 95));
        println!(
            "  {name:<22} {missed} missed of {total}; `clear` median {median} ms, p95 {p95} ms after the onset; heard \
             text at most {worst} whole words off"
        );
    }
}

/// Keys pressed over speech.
fn keys(clips: &[Clip]) {
    let mut dice = Dice(17);
    let (mut right, total) = (0, 40);
    for _ in 0..total {
        let clip = dice.pick(clips);
        let at = 1_000 + dice.below(3_000);
        let mut line = Phone::new().agent_says(LONG).sounds(at as usize, &clip.octets, "");
        for (index, key) in "1234#".chars().enumerate() {
            line = line.key(at + 100 + 250 * index as u64, key);
        }
        let (seen, _) = play(line.agent_says("Thanks."), 9_000);
        let whole = seen.events.iter().any(|(_, event)| matches!(event, CallEvent::Digits { count: 4, .. }));
        right += usize::from(whole && said(&seen).is_some_and(|(_, cut)| cut));
    }
    println!("keys over speech: {right} of {total} numbers whole, and the agent stopped");
}

fn main() {
    let clips = std::env::args().nth(1).map_or_else(fixtures, |list| listed(Path::new(&list)));
    println!("{} clips", clips.len());
    pauses(&clips, true);
    pauses(&clips, false);
    false_alarms(&clips);
    interruptions(&clips);
    keys(&clips);
}
