//! How turns are taken in calls at the latencies of network providers: the table of turn-taking in `docs/measurements.md`.
//!
//! `make turns`, or `cargo run --release --package offhook-testkit --example turns -- CLIPS.jsonl`
//!
//! The line is virtual, the time too; detector, endpointing and conversation are the real ones. The recogniser is causal: each word
//! comes 150 ms after it was spoken (words are spread over a clip by their letters), the final transcript 250 ms after the pause.
//! The model's text comes after 400 ms, the voice's sound after 120 ms. `CLIPS.jsonl` has a line each:
//! `{"file":"a.wav","text":"Yes please.","kind":"line","speech":[[0.0,0.96]]}`, μ-law WAV beside it; `kind` is `line` or `back`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for the one who runs it")]

mod clips;
#[path = "../measure/mod.rs"]
mod measure;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use offhook_conversation::{BargeInStage, CallEvent, Deadline, Input, Output, UtteranceKind};
use offhook_media_line::{CallConfig, MediaInput, MediaWire};
use offhook_stage_api::{CallTime, SttEvent, Transcript};
use offhook_testkit::Phone;
use offhook_testkit::phone::Watch;

use clips::{Clip, clips, mixed, music, noise, word_ends};
use measure::{Dice, percentile};

const LONG: &str = "We are open every day from eleven in the morning to ten at night, but not on Sundays, and the \
                    kitchen closes half an hour before, so please come in time.";
const ANSWER: &str = "Alright, I have noted that for you.";
const WORD_LATE_MS: u64 = 150;

/// What happened in a call, and what was played when (ms, each frame 20 ms).
#[derive(Default)]
struct Seen {
    events: Vec<(u64, CallEvent)>,
    played: Vec<u64>,
    play_end: u64,
    requests: usize,
    finals_asked: usize,
}

impl Seen {
    fn ended(&self) -> Vec<(u64, u64)> {
        let end = |(at, event): &(u64, CallEvent)| match event {
            CallEvent::TurnEnded(turn) => Some((*at, turn.speech_end_ms)),
            _ => None,
        };
        self.events.iter().filter_map(end).collect()
    }

    /// When replies began.
    fn replies(&self) -> Vec<u64> {
        let begins = |(at, event): &(u64, CallEvent)| {
            matches!(event, CallEvent::Speaking { what: UtteranceKind::Reply, .. }).then_some(*at)
        };
        self.events.iter().filter_map(begins).collect()
    }

    fn long(&self) -> Option<(String, bool)> {
        self.events.iter().find_map(|(_, event)| match event {
            CallEvent::Said { heard, text, interrupted, .. } if text == LONG => {
                Some((heard.clone(), *interrupted))
            }
            _ => None,
        })
    }

    /// The longest silence within what the agent plays between these times.
    fn hole(&self, from: u64, until: u64) -> u64 {
        let inside: Vec<u64> = self.played.iter().copied().filter(|at| (from..until).contains(at)).collect();
        inside.windows(2).map(|two| (two[1] - two[0]).saturating_sub(20)).max().unwrap_or(0)
    }
}

struct Watcher(Rc<RefCell<Seen>>);

impl Watch for Watcher {
    fn input(&mut self, _now: CallTime, _input: &Input<MediaInput<'_>>, _: Option<Deadline>) {}
    fn output(&mut self, now: CallTime, output: &Output<MediaWire>) {
        let at = now.since_start().as_millis() as u64;
        let mut seen = self.0.borrow_mut();
        match output {
            Output::Event(event) => seen.events.push((at, event.clone())),
            Output::Llm(offhook_stage_api::LlmCommand::Respond(_)) => seen.requests += 1,
            Output::Stt(offhook_stage_api::SttCommand::SpeechPaused { .. }) => seen.finals_asked += 1,
            Output::Wire(MediaWire::Clear) => {
                seen.play_end = seen.play_end.min(at);
                seen.played.retain(|start| *start < at);
            }
            Output::Wire(MediaWire::Media(_) | MediaWire::HiddenMedia(_)) => {
                let start = seen.play_end.max(at);
                seen.played.push(start);
                seen.play_end = start + 20;
            }
            _ => {}
        }
    }
}

fn phone() -> Phone {
    patient(CallConfig::default().conversation.turn.answer_after)
}

/// A line on which the answer to words that could be all is heard after so much silence.
fn patient(answer_after: Duration) -> Phone {
    let mut config = CallConfig::default();
    config.conversation_mut().turn.partials = true;
    config.conversation_mut().turn.answer_after = answer_after;
    let mut phone = Phone::with(config);
    (phone.stt_ms, phone.reply_ms, phone.tts_ms) = (250, 400, 120);
    phone
}

/// A clip at this time, heard as it is spoken.
fn says(mut line: Phone, at: u64, clip: &Clip) -> Phone {
    let words: Vec<&str> = clip.text.split_whitespace().collect();
    for (nth, end) in word_ends(clip).into_iter().enumerate() {
        let text = words[..=nth].join(" ");
        let (from, until) = (at * 8, (at + end) * 8);
        let partial = Transcript { from, until, text, ..Transcript::default() };
        line = line.stt_event(at + end + WORD_LATE_MS, SttEvent::Partial(partial));
    }
    line.sounds(at as usize, &clip.octets, &clip.text)
}

fn play(mut line: Phone, until_ms: u64) -> Seen {
    let seen = Rc::new(RefCell::new(Seen::default()));
    line.watch = Some(Box::new(Watcher(Rc::clone(&seen))));
    drop(line.run(until_ms));
    Rc::into_inner(seen).unwrap().into_inner()
}

/// Calls of four turns each, with no pause but those between words.
fn turns(lines: &[Clip]) {
    let mut dice = Dice(7);
    let (mut count, mut requests, mut finals, mut unanswered) = (0u64, 0, 0, 0);
    let (mut delays, mut decided) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let mut line = phone().agent_says("Hello.");
        let mut at = 2_000 + dice.below(800);
        let mut ends = Vec::new();
        for _ in 0..4 {
            let clip = dice.pick(lines);
            line = says(line, at, clip).agent_says(ANSWER);
            ends.push(at + clip.ms());
            at += clip.ms() + 5_500 + dice.below(1_500);
        }
        let seen = play(line, at);
        for (nth, end) in ends.iter().enumerate() {
            let next = ends.get(nth + 1).map_or(at, |next| next - 600);
            count += 1;
            match seen.replies().into_iter().find(|begin| begin + 400 > *end && *begin < next) {
                Some(begin) => delays.push(begin.saturating_sub(*end)),
                None => unanswered += 1,
            }
            if let Some((when, _)) =
                seen.ended().into_iter().rfind(|(when, _)| when + 400 > *end && *when < next)
            {
                decided.push(when.saturating_sub(*end));
            }
        }
        requests += seen.requests - 1;
        finals += seen.finals_asked;
    }
    println!("{count} turns without a long pause");
    let pair = |name: &str, values: &mut Vec<u64>| {
        println!("  {name:<34} median {} ms, p95 {} ms", percentile(values, 50), percentile(values, 95));
    };
    pair("end of speech to the first sound", &mut delays);
    pair("turn decided", &mut decided);
    let per_turn = |n: usize| n as f64 / count as f64;
    println!(
        "  model requests a turn              {:.2}; finals asked for {:.2}",
        per_turn(requests),
        per_turn(finals)
    );
    println!("  not answered                       {unanswered}");
}

/// Of a hundred turns with a pause of `pause` ms within, how many were cut off. `tail`: after words that go on.
fn cut_off(lines: &[Clip], pause: u64, tail: bool, answer_after: Duration, dice: &mut Dice) -> f64 {
    let long: Vec<&Clip> = lines.iter().filter(|clip| clip.text.split_whitespace().count() >= 6).collect();
    let (mut cut, total) = (0u32, 40u32);
    for _ in 0..total {
        let clip = dice.pick(&long);
        let words = clip.text.split_whitespace().count();
        let mut first = clip.first_words(words / 2 + 1);
        first.text = first.text.trim_end_matches(['.', '?', ',']).to_owned();
        if tail {
            first.text = format!("{} {}", first.text, dice.pick(&["and", "with", "to the", "is"]));
        }
        let rest = Clip {
            octets: clip.octets[first.octets.len()..].to_vec(),
            text: "today please.".into(),
            back: false,
        };
        let at = 2_000 + dice.below(500);
        let middle = at + first.ms() + pause;
        let line = says(says(patient(answer_after).agent_says("Hello."), at, &first), middle, &rest);
        let seen = play(line.agent_says(ANSWER).agent_says(ANSWER), middle + rest.ms() + 4_000);
        cut += u32::from(seen.replies().iter().any(|begin| *begin < middle + 60 && *begin > at));
    }
    f64::from(cut) * 100.0 / f64::from(total)
}

/// Turns with a pause within.
fn pauses(lines: &[Clip]) {
    let usual = CallConfig::default().conversation.turn.answer_after;
    for (name, tail) in [("that go on (“and”, “with”)", true), ("that could be all", false)] {
        let mut dice = Dice(11);
        print!("cut off at a pause after words {name:<28}");
        for pause in [500u64, 800, 1_000, 1_500, 2_000] {
            print!("  {pause} ms: {:>3.0} %", cut_off(lines, pause, tail, usual, &mut dice));
        }
        println!();
    }
}

/// What it costs all callers to wait for those who pause: turns whose words could be all, answered later and later.
fn patience(lines: &[Clip]) {
    println!("words that could be all, by the silence before their answer (`answer_after`)");
    for ms in [600u64, 900, 1_100, 1_600, 2_100] {
        let wait = Duration::from_millis(ms);
        let (mut dice, mut delays) = (Dice(23), Vec::new());
        for _ in 0..40 {
            let clip = dice.pick(lines).clone().without_stop();
            let at = 2_000 + dice.below(500);
            let line = says(patient(wait).agent_says("Hello."), at, &clip).agent_says(ANSWER);
            let end = at + clip.ms();
            let begun = play(line, end + 4_000).replies().into_iter().find(|begin| *begin + 400 > end);
            delays.extend(begun.map(|begin| begin.saturating_sub(end)));
        }
        let (median, p95) = (percentile(&mut delays, 50), percentile(&mut delays, 95));
        print!("  {ms:>5} ms: answered after {median} ms, p95 {p95} ms; cut off");
        for pause in [800u64, 1_000, 1_500, 2_000] {
            print!("  at {pause} ms: {:>3.0} %", cut_off(lines, pause, false, wait, &mut Dice(11)));
        }
        println!();
    }
}

/// What wants no answer, into the agent's words.
fn over_the_agent(name: &str, total: u64, mut make: impl FnMut(&mut Dice, Phone, u64) -> Phone) {
    let mut dice = Dice(13);
    let (mut killed, mut holes) = (0, Vec::new());
    for _ in 0..total {
        let at = 1_500 + dice.below(4_500);
        let seen = play(make(&mut dice, phone().agent_says(LONG), at).agent_says(ANSWER), 16_000);
        let cut = seen.long().is_none_or(|(_, cut)| cut);
        killed += u64::from(cut);
        if cut && std::env::var_os("WHY").is_some() {
            let hears = |(_, event): &(u64, CallEvent)| match event {
                CallEvent::Hearing { text } => Some(text.clone()),
                _ => None,
            };
            println!("    {:?}", seen.events.iter().filter_map(hears).collect::<Vec<_>>());
        }
        if !cut {
            holes.push(seen.hole(700, 8_000));
        }
    }
    let (median, most) = (percentile(&mut holes, 50), percentile(&mut holes, 100));
    println!("  {name:<44} {killed:>3} of {total} stopped; hole median {median} ms, at most {most} ms");
}

/// Somebody else speaks in the room, into silence, after two turns of the caller's.
fn second_talker(lines: &[Clip]) {
    for dbov in [-30.0, -36.0, -40.0] {
        let mut dice = Dice(17);
        let (mut answered, total) = (0, 30);
        for _ in 0..total {
            let mut line = phone().agent_says("Hello.");
            let mut at = 2_000;
            for _ in 0..2 {
                let clip = dice.pick(lines);
                line = says(line, at, &clip.at(-20.0 - clip.level())).agent_says(ANSWER);
                at += clip.ms() + 6_000;
            }
            let other = dice.pick(lines);
            let line = says(line, at, &other.at(dbov - other.level())).agent_says("Sorry?");
            let seen = play(line, at + other.ms() + 5_000);
            answered += usize::from(seen.replies().iter().any(|begin| *begin > at));
        }
        println!("  somebody else at {dbov} dBov (the caller at -20): answered {answered} of {total}");
    }
}

fn interruptions(lines: &[Clip]) {
    let mut dice = Dice(19);
    let (mut missed, mut silent_after, mut lowered, mut off) = (0, Vec::new(), Vec::new(), Vec::new());
    let total = 80;
    let long: Vec<&Clip> = lines.iter().filter(|clip| clip.ms() > 700).collect();
    for _ in 0..total {
        let clip = dice.pick(&long);
        let at = 1_500 + dice.below(4_500);
        let line = says(phone().agent_says(LONG), at, clip).agent_says(ANSWER);
        let seen = play(line, at + clip.ms() + 5_000);
        let cut_at = seen.events.iter().find_map(|(when, event)| match event {
            CallEvent::Said { text, interrupted: true, .. } if text == LONG => Some(*when),
            _ => None,
        });
        let (Some(when), Some((heard, true))) = (cut_at, seen.long()) else {
            missed += 1;
            continue;
        };
        let ducked = |(_, event): &(u64, CallEvent)| match event {
            CallEvent::BargeIn { stage: BargeInStage::Ducked | BargeInStage::Interrupted, after_ms } => {
                Some(*after_ms)
            }
            _ => None,
        };
        lowered.extend(seen.events.iter().find_map(ducked));
        let last = seen.played.iter().copied().filter(|start| *start < when).max().unwrap_or(0) + 20;
        silent_after.push(last.saturating_sub(at));
        let played = seen.played.iter().filter(|start| **start < when).count() as f64 * 20.0 / 250.0;
        off.push((heard.split_whitespace().count() as f64 - played.round()).abs() as u64);
    }
    let (median, p95) = (percentile(&mut silent_after, 50), percentile(&mut silent_after, 95));
    let mean = off.iter().sum::<u64>() as f64 / off.len().max(1) as f64;
    let (low, low95) = (percentile(&mut lowered, 50), percentile(&mut lowered, 95));
    println!("interruptions: {missed} missed of {total}");
    println!("  onset to the voice lowered by 18 dB  median {low} ms, p95 {low95} ms");
    println!("  onset to silence, by words           median {median} ms, p95 {p95} ms");
    println!("  heard text off by                    {mean:.2} words on average");
}

fn main() {
    let all = clips(Path::new(&std::env::args().nth(1).unwrap_or_else(|| "target/turns/clips.jsonl".into())));
    let (back, lines): (Vec<Clip>, Vec<Clip>) = all.into_iter().partition(|clip| clip.back);
    println!("{} lines, {} listeners' words", lines.len(), back.len());
    turns(&lines);
    pauses(&lines);
    patience(&lines);
    println!("into the agent's words");
    over_the_agent("listeners' words (“mm-hm”, “I see”, …)", 60, |dice, line, at| {
        says(line, at, dice.pick(&back))
    });
    over_the_agent("coughs", 30, |dice, line, at| line.cough(at as usize, 80 + dice.below(350) as usize));
    for snr in [5.0, 10.0, 20.0] {
        over_the_agent(&format!("steady noise at {} dBov", -20.0 - snr), 20, |dice, line, _| {
            let clip = noise(dice, 9_000, -20.0 - snr);
            line.sounds(800, &clip.octets, "")
        });
        over_the_agent(&format!("three talkers at once at {} dBov", -20.0 - snr), 20, |dice, line, _| {
            let three = [dice.pick(&lines), dice.pick(&lines), dice.pick(&lines)];
            line.sounds(800, &mixed(&three, 9_000, -20.0 - snr).octets, "")
        });
    }
    over_the_agent("1.5 s of music at -25 dBov", 20, |_, line, at| {
        line.sounds(at as usize, &music(1_500, -25.0).octets, "")
    });
    println!("into silence");
    second_talker(&lines);
    interruptions(&lines);
}
