//! Turns put together from pieces, by hand and at random.

use super::*;
use crate::stt::piece::Word;
use proptest::prelude::*;

fn piece(id: u64, from: u64, until: u64, text: &str) -> Piece {
    Piece { id, from, until, covers: until, text: text.into(), ..Piece::default() }
}

#[test]
fn an_open_end_that_nobody_confirms_is_none() {
    let mut turns = Turns::default();
    turns.speech_started(0);
    turns.partial(piece(1, 0, 4_000, "Yes,"));
    turns.speech_paused(0, 6_000);
    turns.settle_unanswered();
    assert_eq!(told(&mut turns), ["partial 0..4000 Yes,", "final 0..6000 Yes"]);
}

#[test]
fn what_nobody_can_have_spoken_is_cut_short() {
    let before = cut_transcripts();
    let mut turns = Turns::default();
    turns.speech_started(0);
    for id in 0..100 {
        turns.settled(piece(id, id * 100, id * 100 + 100, &"é".repeat(500_000)), false);
        turns.partial(piece(1_000, id * 100 + 100, id * 100 + 200, &"word ".repeat(200_000)));
    }
    let longest = turns.take_events().into_iter().map(|event| match event {
        SttEvent::Partial(told) | SttEvent::Final(told) => told.text.len(),
        _ => 0,
    });
    let longest = longest.max().unwrap();
    assert!((4_000..25_000).contains(&longest), "{longest}");
    assert!(cut_transcripts() >= before + 200);
}

fn timed(id: u64, words: &[(u64, u64, &str)]) -> Piece {
    let words: Vec<_> =
        words.iter().map(|&(from, until, text)| Word { from, until, text: text.into() }).collect();
    let whole = Piece { id, words, ..Piece::default() }.with_words_only().unwrap();
    Piece { covers: whole.until, ..whole }
}

fn told(turns: &mut Turns) -> Vec<String> {
    let line = |kind: &str, told: Transcript| format!("{kind} {}..{} {}", told.from, told.until, told.text);
    turns
        .take_events()
        .into_iter()
        .map(|event| match event {
            SttEvent::Partial(told) => line("partial", told),
            SttEvent::Final(told) => line("final", told),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn segments_make_a_turn() {
    let mut turns = Turns::default();
    turns.speech_started(1_000);
    turns.partial(piece(1, 1_100, 4_000, "a table"));
    turns.settled(piece(1, 1_100, 5_000, "A table"), false);
    turns.partial(piece(2, 5_000, 8_000, "for"));
    turns.speech_paused(1_000, 9_000);
    turns.settled(piece(2, 5_000, 8_900, "for two."), true);
    assert_eq!(
        told(&mut turns),
        [
            "partial 1000..4000 a table",
            "final 1000..5000 A table",
            "partial 1000..8000 A table for",
            "final 1000..9000 A table for two.",
        ]
    );
}

#[test]
fn a_pause_is_answered_by_what_covers_it_or_in_the_end_by_what_there_is() {
    let mut turns = Turns::default();
    turns.speech_started(0);
    turns.speech_paused(0, 8_000);
    turns.settled(piece(1, 0, 4_000, "hello"), false);
    assert!(turns.is_wanted());
    turns.partial(piece(2, 4_000, 6_000, "the"));
    turns.settle();
    assert!(!turns.is_wanted());
    assert_eq!(
        told(&mut turns),
        ["partial 0..8000 hello", "partial 0..8000 hello the", "final 0..8000 hello the"]
    );
    // It comes after all, and differs.
    turns.settled(piece(2, 4_000, 7_000, "there"), false);
    assert_eq!(told(&mut turns), ["final 0..8000 hello there"]);
}

#[test]
fn a_cough_is_answered_too() {
    let mut turns = Turns::default();
    turns.speech_started(100);
    turns.speech_paused(100, 2_000);
    turns.settled(piece(1, 0, 2_400, ""), true);
    assert_eq!(told(&mut turns), ["final 100..2000 "]);
    // Silence alone is nothing to tell.
    turns.settled(piece(2, 2_400, 9_000, ""), false);
    assert!(told(&mut turns).is_empty());
}

#[test]
fn words_after_the_turn_correct_it_and_are_not_said_again() {
    let mut turns = Turns::default();
    turns.speech_started(0);
    turns.partial(timed(1, &[(0, 3_000, "two"), (3_000, 6_000, "piece")]));
    turns.speech_paused(0, 6_500);
    turns.settle();
    turns.turn_ended(6_500);
    turns.speech_started(20_000);
    told(&mut turns);
    let words = [(0, 3_000, "two"), (3_000, 6_800, "pizzas"), (20_100, 22_000, "thanks")];
    turns.partial(timed(1, &words));
    assert_eq!(told(&mut turns), ["partial 20000..22000 thanks"]);
    turns.settled(timed(1, &words), false);
    assert_eq!(told(&mut turns), ["final 0..6500 two pizzas", "final 20000..22000 thanks"]);
}

#[test]
fn what_comes_two_turns_late_is_no_part_of_the_turn_before() {
    let mut turns = Turns::default();
    for (from, until) in [(0, 8_000), (20_000, 28_000)] {
        turns.speech_started(from);
        turns.speech_paused(from, until);
        turns.settle();
        turns.turn_ended(until);
    }
    told(&mut turns);
    turns.settled(piece(1, 100, 7_900, "hello"), true);
    assert!(told(&mut turns).is_empty());
    turns.settled(piece(2, 20_100, 27_900, "goodbye"), true);
    assert_eq!(told(&mut turns), ["final 20000..28000 goodbye"]);
}

#[test]
fn soft_words_that_came_to_nothing_are_no_part_of_the_next_turn() {
    let mut turns = Turns::default();
    turns.settled(piece(1, 1_000, 4_000, "how can i help"), false);
    turns.speech_started(9_000);
    turns.partial(piece(2, 9_000, 12_000, "hello"));
    assert_eq!(told(&mut turns), ["final 1000..4000 how can i help", "partial 9000..12000 hello"]);
}

#[test]
fn a_span_covers_words_that_were_heard_before_our_own_ears_noticed_speech() {
    let mut turns = Turns::default();
    turns.partial(timed(1, &[(1_000, 1_480, "Two")]));
    turns.speech_started(1_600);
    turns.partial(timed(1, &[(1_000, 1_480, "Two"), (1_480, 1_960, "pizzas.")]));
    turns.speech_paused(1_600, 2_400);
    turns.settled(timed(1, &[(1_000, 1_480, "Two"), (1_480, 1_960, "pizzas.")]), true);
    // Each span meets the one before: what was told is replaced, not joined.
    assert_eq!(
        told(&mut turns),
        ["partial 1000..1480 Two", "partial 1000..1960 Two pizzas.", "final 1000..2400 Two pizzas."]
    );
    // But it doesn't reach into the turn before.
    turns.turn_ended(2_400);
    turns.speech_started(3_000);
    turns.partial(timed(2, &[(2_300, 2_900, "And"), (2_900, 5_000, "a water")]));
    assert_eq!(told(&mut turns), ["partial 2400..5000 And a water"]);
}

#[test]
fn a_formatted_second_edition_replaces_the_first() {
    let mut turns = Turns::default();
    turns.speech_started(0);
    turns.speech_paused(0, 4_000);
    turns.settled(piece(7, 0, 3_900, "yes please"), true);
    turns.settled(piece(7, 0, 3_900, "Yes, please."), false);
    assert_eq!(told(&mut turns), ["final 0..4000 yes please", "final 0..4000 Yes, please."]);
}

#[test]
fn words_that_are_revoked_are_gone() {
    let mut turns = Turns::default();
    turns.speech_started(0);
    turns.partial(piece(1, 0, 2_000, "uh"));
    turns.settled(piece(1, 0, 2_000, ""), false);
    let told = told(&mut turns);
    assert_eq!(told.first().map(String::as_str), Some("partial 0..2000 uh"));
    assert!(told.last().is_some_and(|last| last.ends_with(' ')), "{told:?}");
}

proptest! {
    #[test]
    fn whatever_comes_each_pause_gets_its_final_and_spans_are_spans(
        steps in proptest::collection::vec((0_u8..6, 0_u64..4_000, 0_u64..9_000, 0_u64..4), 1..120),
    ) {
        let (mut turns, mut now, mut from, mut paused) = (Turns::default(), 0, 0, None);
        for (what, step, back, id) in steps {
            now += step;
            let begins = now.saturating_sub(back);
            let text = ["", "yes", "two pizzas"][(back % 3) as usize];
            match what {
                0 => {
                    turns.speech_started(now);
                    if paused.is_none() { from = now; }
                    paused = None;
                }
                1 => {
                    from = from.min(now);
                    turns.speech_paused(from, now);
                    paused = Some(now);
                }
                2 => turns.partial(piece(id, begins, now, text)),
                3 => turns.settled(piece(id, begins, now, text), back % 2 == 0),
                4 => {
                    let wanted = turns.is_wanted();
                    turns.settle();
                    let events = turns.take_events();
                    let is_final = |event: &SttEvent| matches!(event, SttEvent::Final(told) if Some(told.until.max(1)) >= paused);
                    prop_assert!(!wanted || events.last().is_some_and(is_final), "{:?}", events);
                }
                _ => {
                    turns.turn_ended(now);
                    from = now;
                    paused = None;
                }
            }
            for event in turns.take_events() {
                if let SttEvent::Partial(told) | SttEvent::Final(told) = event {
                    prop_assert!(told.from < told.until, "{:?}", told);
                    prop_assert!(!told.text.contains("  ") && told.text.trim() == told.text, "{:?}", told);
                }
            }
        }
    }
}
