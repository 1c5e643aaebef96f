//! What is heard of what.

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_kept_is_as_it_was_written() {
    let text = "**That's $5.20** 👍 for 2 pizzas.";
    let mut sent = ledger(&[text]);
    sent.on_played("That's five dollars and");
    let cut = sent.cut("That's five dollars and", at(1_500));
    assert_eq!(plainly(&cut), [("**That's $5.20", "** 👍 for 2 pizzas.")]);
    assert_eq!(plainly(&ledger(&[text]).cut("", at(200))), [("", text)]);
    let mut all = ledger(&[text]);
    all.on_played("That's five dollars and twenty cents for two pizzas.");
    assert_eq!(all.pop_over(at(900)).unwrap().1.text, text);
}

fn at(ms: u64) -> CallTime {
    CallTime::from_millis(ms)
}

fn ledger(texts: &[&str]) -> Ledger {
    let mut ledger = Ledger::default();
    for (index, text) in texts.iter().enumerate() {
        let id = UtteranceId(u32::try_from(index).unwrap());
        ledger.sent(id, &said(text), at(0));
        ledger.close(id);
    }
    ledger
}

fn said(text: &str) -> Piece {
    let mut cleaner = offhook_speakable::Cleaner::new("en-US");
    let mut piece = cleaner.push(text);
    piece.append(&cleaner.finish());
    piece
}

fn plainly(cut: &[(UtteranceId, Heard)]) -> Vec<(&str, &str)> {
    cut.iter().map(|(_, heard)| (heard.text.as_str(), heard.rest.as_str())).collect()
}

#[test]
fn an_interruption_in_the_second_sentence_keeps_the_first() {
    // As recorded from the real service, but for the figures: what is sent has words, what is kept is as it was written.
    let text = "Sentence 1 of twelve: here it is. Sentence 2 of twelve: and this.";
    let mut reported = ledger(&[text]);
    reported.on_played("Sentence one of twelve:");
    reported.on_played(" here it is.");
    reported.on_played(" Sentence two of");
    let cut = reported.cut("Sentence two of", at(3_000));
    let heard = "Sentence 1 of twelve: here it is. Sentence 2 of";
    assert_eq!(plainly(&cut), [(heard, "twelve: and this.")]);
    // Where nothing is reported as played, time decides which of the places is meant.
    let cut = ledger(&[text]).cut("Sentence two of", at(3_000));
    assert_eq!(plainly(&cut), [(heard, "twelve: and this.")]);
    let again = "Yes. It is. Yes. It is. Yes.";
    let cut = ledger(&[again]).cut("Yes", at(340 + 66 * 14));
    assert_eq!(plainly(&cut), [("Yes. It is. Yes.", "It is. Yes.")]);
    // The part of the cut piece may be reported only by the interruption itself.
    let mut early = ledger(&[text]);
    early.on_played("Sentence one of twelve:");
    early.on_played(" here it is.");
    assert_eq!(plainly(&early.cut("Sentence two of", at(3_000))), [(heard, "twelve: and this.")]);
}

#[test]
fn an_interruption_cuts_where_it_is_reported() {
    let texts = ["One moment, please.", "Our opening hours are nine to five."];
    assert_eq!(
        plainly(&ledger(&texts).cut("Our opening hours are", at(2_500))),
        [("One moment, please.", ""), ("Our opening hours are", "nine to five.")]
    );
    assert_eq!(
        plainly(&ledger(&texts).cut("One", at(600))),
        [("One", "moment, please."), ("", "Our opening hours are nine to five.")]
    );
    assert_eq!(plainly(&ledger(&texts[1..]).cut("", at(200))), [("", "Our opening hours are nine to five.")]);
    // Spoken otherwise than written: the report's words are taken.
    assert_eq!(plainly(&ledger(&["It's 5 pm now."]).cut("It is five", at(900))), [("It is five", "now.")]);
}

#[test]
fn what_was_never_said_is_not_heard() {
    let text = "Our opening hours are nine to five.";
    let cut = ledger(&[text]).cut("Please send me your password", at(1_700));
    assert_eq!(plainly(&cut), [("Our opening hours are", "nine to five.")]);
    assert_eq!(plainly(&ledger(&[text]).cut("Please send me your password", at(100))), [("", text)]);
}

#[test]
fn an_utterance_is_over_when_its_words_were_played_or_by_time() {
    let mut played = ledger(&["Hello there. How are you?"]);
    played.on_sounds(false, at(0));
    played.on_played("Hello there.");
    assert!(played.pop_over(at(900)).is_none());
    played.on_played(" How are you?");
    assert!(played.pop_over(at(1_000)).is_some() && played.current(at(1_000)).is_none());
    let mut estimated = ledger(&["Hello there. How are you?"]);
    assert!(estimated.pop_over(at(1_900)).is_none());
    let due = estimated.deadline().unwrap();
    assert!(estimated.pop_over(due).is_some() && estimated.current(due).is_none());
}

#[test]
fn a_voice_that_is_slower_than_estimated_was_still_at_what_counts_as_over() {
    let mut ledger = ledger(&["It takes a while. Please stay on the line.", "One message for you."]);
    let due = ledger.deadline().unwrap();
    assert!(ledger.pop_over(due).is_some());
    assert_eq!(plainly(&ledger.cut("Please stay on", due)), [("", "One message for you.")]);
}

#[test]
fn an_end_without_text_makes_no_sound() {
    let mut ledger = Ledger::default();
    ledger.sent(UtteranceId(1), &said("Yes."), at(0));
    ledger.on_sounds(true, at(340));
    ledger.on_played("Yes.");
    ledger.on_sounds(false, at(700));
    ledger.sent(UtteranceId(1), &Piece::default(), at(5_000));
    ledger.close(UtteranceId(1));
    assert!(ledger.pop_over(at(5_000)).is_some() && ledger.voice_until() <= at(5_000));
}

#[test]
fn keys_that_come_back_as_played_are_no_words() {
    let mut ledger = ledger(&["Enter it now please."]);
    ledger.pressed(UtteranceId(7), 5, at(0));
    ledger.on_played("1234#");
    assert!(ledger.pop_over(at(500)).is_none());
    ledger.on_played("Enter it now please.");
    assert_eq!(ledger.pop_over(at(500)).map(|(id, _)| id), Some(UtteranceId(0)));
    assert_eq!(ledger.pop_over(at(500)).map(|(id, _)| id), Some(UtteranceId(7)));
}

#[test]
fn a_voice_that_still_sounds_is_waited_for_but_not_for_ever() {
    let mut ledger = ledger(&["Hello there."]);
    ledger.on_sounds(true, at(300));
    let latest = ledger.deadline().unwrap();
    assert!(ledger.pop_over(latest.back(Duration::from_millis(1))).is_none());
    assert!(ledger.pop_over(latest).is_some());
    assert_eq!(ledger.deadline(), None);
}

#[test]
fn a_lost_connection_is_cut_by_time() {
    let cut = ledger(&["one two three four five six seven eight nine ten"]).cut_by_time(at(1_990));
    assert_eq!(plainly(&cut), [("one two three four five", "six seven eight nine ten")]);
}

proptest! {
    #[test]
    fn nothing_is_heard_that_was_not_sent(
        texts in prop::collection::vec("[a-c .]{0,12}", 0..4),
        played in prop::collection::vec("[a-c ]{0,6}", 0..3),
        heard in "[a-d ]{0,20}",
        ms in 0u64..4_000,
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut ledger = ledger(&texts);
        for text in &played {
            ledger.on_played(text);
        }
        let cut = ledger.cut(&heard, at(ms));
        prop_assert_eq!(cut.len(), texts.len());
        for ((_, part), text) in cut.iter().zip(&texts) {
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let verbatim = part.text == heard.trim();
            prop_assert!(verbatim || squeezed(text).starts_with(&squeezed(&part.text)));
            prop_assert!(squeezed(text).ends_with(&squeezed(&part.rest)));
        }
    }
}
