//! What is heard of what.

use super::*;

fn spoken(text: &str, samples: usize) -> Utterance {
    let mut utterance = Utterance::new(UtteranceId(1));
    let segment = utterance.add_segment(text.into());
    utterance.push_audio(segment, &vec![0x55; samples]);
    utterance.segment_done(segment);
    utterance.closed = true;
    utterance
}

#[test]
fn frames_cover_the_sound_and_the_last_is_padded() {
    let mut utterance = spoken("hello", 330);
    let mut frames = Vec::new();
    while let Some(frame) = utterance.take_frame(true) {
        frames.push(frame);
    }
    assert_eq!(frames.len(), 3);
    assert_eq!(frames[1].0[100], 0x55);
    assert_ne!(frames[2].0[9], 0x55, "the end is faded out");
    assert_eq!(frames[2].0[10], MULAW_SILENCE);
    assert!(utterance.all_sent());
    assert!(utterance.mark_due());
    assert!(!utterance.mark_due());
}

#[test]
fn heard_words_follow_the_synthesisers_times() {
    let mut utterance = spoken("one two three", 2_400);
    let word = |word: &str, start_ms, end_ms| TimedWord { word: word.into(), start_ms, end_ms };
    utterance
        .on_words(SegmentId(0), vec![word("one", 0, 100), word("two", 100, 200), word("three", 200, 300)]);
    let heard = |samples| utterance.heard(samples).text;
    assert_eq!(heard(0), "");
    assert_eq!(heard(8 * 60), "one");
    assert_eq!(heard(8 * 160), "one two");
    assert_eq!(heard(2_400), "one two three");
    assert_eq!(utterance.heard(8 * 60).rest, "two three");
}

#[test]
fn without_times_words_are_estimated() {
    let utterance = spoken("aaaa bbbb cccc dddd", 1_900);
    assert_eq!(utterance.heard(950).text, "aaaa bbbb");
    assert_eq!(utterance.heard(950).rest, "cccc dddd");
}

#[test]
fn what_failed_to_be_spoken_was_not_heard_and_what_follows_was() {
    let mut utterance = Utterance::new(UtteranceId(1));
    let ids: Vec<SegmentId> =
        ["One.", "Two.", "Three four."].map(|text| utterance.add_segment(text.into())).to_vec();
    utterance.push_audio(ids[0], &[0x55; 800]);
    utterance.segment_done(ids[0]);
    utterance.fail(ids[1]);
    utterance.segment_done(ids[1]);
    utterance.push_audio(ids[2], &[0x55; 1_600]);
    utterance.segment_done(ids[2]);
    utterance.closed = true;
    let heard = utterance.heard(800 + 900);
    assert_eq!((heard.text.as_str(), heard.rest.as_str()), ("One. Three", "Two. four."));
    let heard = utterance.heard(2_400);
    assert_eq!((heard.text.as_str(), heard.is_whole()), ("One. Three four.", false));
}

#[test]
fn word_times_of_any_size_do_no_harm() {
    let mut utterance = spoken("one", 800);
    let word = TimedWord { word: "one".into(), start_ms: u32::MAX, end_ms: u32::MAX };
    utterance.on_words(SegmentId(0), vec![word]);
    assert_eq!(utterance.heard(100).text, "");
}

#[test]
fn keys_go_on_at_a_keys_begin() {
    let mut utterance = spoken("(keys)", 3_200);
    utterance.grain = 1_600;
    while utterance.take_frame(true).is_some() {}
    utterance.rewind(2_000);
    assert_eq!(utterance.sent, 1_600);
}

#[test]
fn rewinding_sends_the_unheard_again() {
    let mut utterance = spoken("hello there", 800);
    while utterance.take_frame(true).is_some() {}
    utterance.rewind(320);
    assert_eq!(utterance.unsent(), 480);
}
