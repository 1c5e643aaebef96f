//! What holds in every conversation, at any latency of any stage, on both lines.
//!
//! `PROPTEST_CASES=20000` plays so many scenes on each line; `SCENE=4711` plays the scenes from that number on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};

use offhook_testkit::world::{Does, Ear, End, Media, Relay, Scene, Setup, Side, Step, Take, play, shrink};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The property: the first word of what was found to be wrong.
fn property(broken: &str) -> &str {
    broken.split([' ', ':']).next().unwrap_or("")
}

fn hold<S: Side>(usual: u64) {
    std::panic::set_hook(Box::new(|_| {}));
    let (first, cases) = (number("SCENE").unwrap_or(1), number("PROPTEST_CASES").unwrap_or(usual));
    let next = AtomicU64::new(first);
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + cases || failed.lock().unwrap().len() > 400 {
                        break;
                    }
                    if let Some(broken) = play::<S>(&Scene::draw(seed), false).broken {
                        failed.lock().unwrap().push((seed, broken));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    let mut text = String::new();
    let mut properties: Vec<&str> = failed.iter().map(|(_, broken)| property(broken)).collect();
    properties.sort_unstable();
    properties.dedup();
    for wanted in &properties {
        let all: Vec<&(u64, String)> =
            failed.iter().filter(|(_, broken)| property(broken) == *wanted).collect();
        let seeds: Vec<u64> = all.iter().map(|(seed, _)| *seed).collect();
        let fails =
            |scene: &Scene| play::<S>(scene, false).broken.is_some_and(|broken| property(&broken) == *wanted);
        let scene = shrink(Scene::draw(seeds[0]), fails);
        let outcome = play::<S>(&scene, true);
        text.push_str(&format!(
            "\n=== {} scenes of {cases} break “{wanted}”: {:?}\n{scene}\n{}\n{}\n",
            seeds.len(),
            &seeds[..seeds.len().min(12)],
            outcome.timeline,
            outcome.broken.unwrap_or_default(),
        ));
    }
    drop(std::panic::take_hook());
    assert!(failed.is_empty(), "on the {}:{text}", S::NAME);
}

#[test]
fn they_keep_their_word_on_the_telephone() {
    hold::<Media>(4_000);
}

#[test]
fn they_keep_their_word_on_conversation_relay() {
    hold::<Relay>(4_000);
}

// Scenes that were found so.

fn right<S: Side>(scene: &Scene) -> String {
    let outcome = play::<S>(scene, true);
    assert_eq!(outcome.broken, None, "{scene}\n{}", outcome.timeline);
    outcome.timeline
}

#[test]
fn words_that_come_after_the_end_of_a_turn_reach_the_model() {
    let scene = Scene {
        steps: vec![(2_000, Step::Says("my number is four two seven"))],
        ear: vec![Ear { partial_ms: 390, final_ms: 1_400, lost: false }],
        model: vec![Does { first_ms: 2_000, ..Does::default() }],
        ..Scene::default()
    };
    let timeline = right::<Media>(&scene);
    let last = timeline.rfind(" asks r").unwrap();
    assert!(timeline[last..].contains("Caller: my number is four two seven\n"), "{timeline}");
}

#[test]
fn a_listeners_word_over_a_filler_leaves_the_answer_alone() {
    let scene = Scene {
        setup: Setup { speculate: false, ..Setup::default() },
        steps: vec![
            (2_530, Step::Says("no that is wrong.")),
            (810, Step::Noise(1_377)),
            (1_285, Step::Says("okay")),
        ],
        model: vec![Does { first_ms: 962, text: "Yes.", ..Does::default() }],
        voice: vec![Take { first_ms: 65, ..Take::default() }, Take { first_ms: 273, ..Take::default() }],
        ..Scene::default()
    };
    let timeline = play::<Media>(&scene, true).timeline;
    assert_eq!(timeline.matches(" asks r").count(), 1, "{timeline}");
    assert!(timeline.contains(r#"heard: "Yes.""#), "{timeline}");
}

#[test]
fn an_answer_without_words_is_cancelled_before_it_is_asked_for_again() {
    let scene = Scene {
        steps: vec![(2_000, Step::Says("stop"))],
        model: vec![Does { text: "👍", ..Does::default() }],
        ..Scene::default()
    };
    for timeline in [right::<Media>(&scene), right::<Relay>(&scene)] {
        assert!(timeline.find("Cancel { reply: ReplyId(1) }") < timeline.find("asks r2"), "{timeline}");
    }
}

#[test]
fn a_greeting_that_fails_while_the_caller_speaks_is_no_matter() {
    let scene = Scene {
        setup: Setup { greeting: None, ..Setup::default() },
        steps: vec![(0, Step::Says("where is the shop?"))],
        model: vec![Does { end: End::Fails(0), first_ms: 500, ..Does::default() }],
        ..Scene::default()
    };
    for timeline in [right::<Media>(&scene), right::<Relay>(&scene)] {
        assert!(!timeline.contains("Speaking { utterance: UtteranceId(1), what: Apology"), "{timeline}");
    }
}

#[test]
fn what_stands_behind_a_voice_that_stalls_is_said() {
    let stop = |wait| (wait, Step::Says("stop"));
    let scene = Scene {
        steps: vec![stop(2_000), stop(5_000), stop(2_000)],
        voice: vec![Take::default(), Take::default(), Take { end: End::Stalls(1), ..Take::default() }],
        ..Scene::default()
    };
    let timeline = right::<Media>(&scene);
    assert!(timeline.contains("Said { utterance: UtteranceId(4)"), "{timeline}");
}

#[test]
fn words_without_a_final_transcript_hide_none_that_follow() {
    let scene = Scene {
        steps: vec![(3_000, Step::Says("where is the shop?")), (5_500, Step::Says("stop"))],
        model: vec![Does { text: "Yes.", end: End::Stalls(2), ..Does::default() }],
        ear: vec![Ear { partial_ms: 382, final_ms: 100, lost: true }],
        ..Scene::default()
    };
    let timeline = play::<Media>(&scene, true).timeline;
    assert!(timeline.contains("Caller: where is the stop\n"), "{timeline}");
}

#[test]
fn what_is_said_in_two_prompts_before_the_answer_is_one_turn() {
    let scene = Scene {
        steps: vec![(2_000, Step::Says("stop")), (0, Step::Says("that is it."))],
        model: vec![Does { first_ms: 2_000, ..Does::default() }],
        ..Scene::default()
    };
    let timeline = right::<Relay>(&scene);
    assert!(timeline.contains("Caller: stop that is it.\n"), "{timeline}");
}
