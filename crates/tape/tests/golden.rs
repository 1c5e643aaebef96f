//! Tapes of real calls give the same outcome, to the byte.
//!
//! `OFFHOOK_ACCEPT=1` writes the outputs of the tape again, where a change is meant; `offhook demo` records another.
#![allow(clippy::unwrap_used, reason = "tests")]

use offhook_media_line::CallConfig;
use offhook_tape::{ReplayError, WireOutput, accept, replay};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tapes/pizza.tape.jsonl");

/// What the call was recorded with: today's defaults may be others.
fn config_of(tape: &str) -> CallConfig {
    offhook_tape::header(tape).unwrap().call_config().unwrap()
}

fn config() -> CallConfig {
    config_of(&std::fs::read_to_string(PATH).unwrap())
}

fn tape() -> String {
    let tape = std::fs::read_to_string(PATH).unwrap();
    if std::env::var_os("OFFHOOK_ACCEPT").is_none() {
        return tape;
    }
    let accepted = accept(&tape, config_of(&tape)).unwrap();
    std::fs::write(PATH, &accepted).unwrap();
    String::from_utf8(accepted).unwrap()
}

/// The tape of a call in which the recogniser gave other words for a line.
fn heard_otherwise(tape: &str) -> String {
    let line = |line: &str| match line.contains(r#""in":{"stt""#) {
        true => line.replace("what are your opening hours", "what are your opening times") + "\n",
        false => line.to_owned() + "\n",
    };
    tape.lines().map(line).collect()
}

#[test]
fn an_order_with_barge_in_replays_to_the_same_outputs() {
    let replayed = replay(&tape(), config()).unwrap();
    assert_eq!(replayed.divergence, None);
    assert!(replayed.outputs > 900 && replayed.length.as_secs() > 25);
}

#[test]
fn a_changed_outcome_is_found_where_it_happens() {
    let tape = tape();
    let changed = heard_otherwise(&tape);
    let divergence = replay(&changed, config()).unwrap().divergence.unwrap();
    assert!(divergence.at.as_secs() < 15, "{divergence:?}");
    let mut other = config();
    other.conversation_mut().turn.min_silence = std::time::Duration::from_millis(450);
    let divergence = replay(&tape, other).unwrap().divergence.unwrap();
    assert!(!matches!(divergence.taped, Some((_, WireOutput::HangUp { .. }))), "{divergence:?}");
}

#[test]
fn a_difference_comes_with_what_led_to_it() {
    let changed = heard_otherwise(&tape());
    let divergence = replay(&changed, config()).unwrap().divergence.unwrap();
    assert_eq!(divergence.before.len(), 6);
    assert!(divergence.before.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    assert!(divergence.before.last().unwrap().0 <= divergence.at);
    let told: Vec<&str> = divergence.before.iter().map(|(_, text)| text.as_str()).collect();
    assert!(told.iter().any(|text| text.contains("opening times")), "{told:#?}");
}

#[test]
fn an_accepted_tape_replays_to_the_same_outputs() {
    let mut other = config();
    other.conversation_mut().turn.min_silence = std::time::Duration::from_millis(450);
    let anew = String::from_utf8(accept(&tape(), other.clone()).unwrap()).unwrap();
    assert_eq!(replay(&anew, other).unwrap().divergence, None);
    assert!(replay(&anew, config()).unwrap().divergence.is_some());
    // Where nothing has changed, neither do the inputs and outputs.
    let anew = String::from_utf8(accept(&tape(), config()).unwrap()).unwrap();
    assert_eq!(anew.lines().count(), tape().lines().count());
    assert_eq!(replay(&anew, config()).unwrap().divergence, None);
}

#[test]
fn a_tape_that_was_cut_short_is_replayed_as_far_as_it_goes() {
    let tape = tape();
    let replayed = replay(&tape[..tape.len() / 2 + 3], config()).unwrap();
    assert!(replayed.cut_short && replayed.outputs > 300);
    assert_eq!(replayed.divergence, None);
    assert!(!replay(&tape, config()).unwrap().cut_short);
}

#[test]
fn damage_is_named_by_its_line() {
    let mut lines: Vec<String> = tape().lines().take(20).map(str::to_owned).collect();
    lines[10] = lines[10].chars().take(15).collect();
    assert!(matches!(
        replay(&(lines.join("\n") + "\n"), config()),
        Err(ReplayError::Damaged { line: 11, .. })
    ));
    let newer = tape().replacen(r#"{"tape":2,"#, r#"{"tape":99,"#, 1);
    assert_eq!(replay(&newer, config()), Err(ReplayError::Version { found: 99, build: "0.1.0".into() }));
}
