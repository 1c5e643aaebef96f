//! Verdicts, and their shape.

use offhook_simulator::{Spoken, Talkspurt};
use serde_json::{Value, json};

use offhook_simulator::Reply;

use super::*;
use crate::record::RecordedEvent;

fn report() -> CallReport {
    let reply = Reply {
        said: "two pizzas".into(),
        barge_in: false,
        from_ms: 2_000,
        until_ms: 3_000,
        response_ms: Some(700),
        stopped_ms: None,
    };
    let agent =
        vec![Talkspurt { from_ms: 0, until_ms: 1_500 }, Talkspurt { from_ms: 3_700, until_ms: 5_000 }];
    CallReport { replies: vec![reply], agent, ..CallReport::default() }
}

fn record(events: Value) -> Record {
    let events: Vec<RecordedEvent> = serde_json::from_value(events).unwrap();
    serde_json::from_value(json!({"call": "CA1", "agent": "a", "events": []}))
        .map(|record: Record| Record { events, ..record })
        .unwrap()
}

fn with(what: &str, text: &str) -> Record {
    let ended = json!({"t_ms": 3_400, "event": "turn_ended", "text": "two pizzas", "began_ms": 2_000,
                       "speech_end_ms": 3_000, "decided_ms": 3_400, "evidence": "yes_no"});
    record(json!([ended, {"t_ms": 3_700, "event": "speaking", "utterance": 2, "what": what, "text": text}]))
}

#[test]
fn only_an_answer_is_an_answer() {
    let good = |record: &Record| judge(&report(), &Some(record.clone()).into(), &[]);
    assert!(good(&with("reply", "Two pizzas, got it.")).is_good());
    for what in ["apology", "check_in", "farewell", "filler"] {
        let outcome = good(&with(what, "I'm sorry, I missed that."));
        assert!(outcome.missing[0].contains("got no answer, only"), "{what}: {outcome:?}");
    }
    // Nothing was understood by the server: what the caller heard then is no answer.
    let greeting =
        json!([{"t_ms": 20, "event": "speaking", "utterance": 1, "what": "greeting", "text": "Hello."}]);
    assert!(!good(&record(greeting)).is_good());
    let mut troubled = with("reply", "Two pizzas, got it.");
    troubled.events.extend(record(json!([{"t_ms": 1, "event": "trouble", "message": "openai: 401"}])).events);
    assert_eq!(good(&troubled).missing, ["on the server: openai: 401"]);
}

#[test]
fn without_a_record_words_are_judged_and_sound_is_unknown() {
    let outcome = judge(&report(), &Evidence::default(), &[]);
    assert!(outcome.is_good() && !outcome.answers_known && outcome.provider_failures.is_none());
    let mut report = report();
    let text = "I’m sorry, I missed that. Could you say it once more?".to_owned();
    report.spoken.push(Spoken { at_ms: 5_000, text, interrupted: false });
    assert!(!judge(&report, &Evidence::default(), &[]).is_good());
    report.replies[0].response_ms = Some(9_000);
    assert!(judge(&report, &Evidence::default(), &[]).missing[0].contains("only after 9.0 s"));
}

/// What a schema of this kind says of a value: types, required members, no others.
fn fits(schema: &Value, value: &Value, all: &Value, at: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(name) => all.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    assert!(
        kinds.contains(&kind) || (kind == "integer" && kinds.contains(&"number")),
        "{at}: {kind}, not {kinds:?}"
    );
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(&schema["items"], item, all, &format!("{at}[{index}]"));
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let known = &schema["properties"][name];
        assert!(!known.is_null(), "{at}.{name} is not in the schema");
        assert!(
            known["description"].is_string() || known["$ref"].is_string(),
            "{at}.{name} is not described"
        );
        fits(known, member, all, &format!("{at}.{name}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter(|_| value.is_object()) {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{at}.{name} is missing");
    }
}

#[test]
fn every_outcome_has_the_documented_shape() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/call.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let whole: Evidence = Some(with("reply", "Two pizzas, got it.")).into();
    let mut spoken = report();
    spoken.spoken.push(Spoken { at_ms: 5_000, text: "Got it.".into(), interrupted: true });
    spoken.gaps.push(offhook_simulator::Gap { at_ms: 20, length_ms: 40 });
    let refused = Outcome::refused(&Finding::new(11200, "status 500"));
    assert_eq!(refused.reason.as_ref().map(|reason| reason.code), Some(Some(11200)));
    let cases = [
        to_json(&spoken, &whole, &judge(&spoken, &whole, &[])),
        to_json(&report(), &Evidence::default(), &judge(&report(), &Evidence::default(), &["x".into()])),
        to_json(&CallReport::default(), &Evidence::default(), &refused),
        to_json(
            &CallReport::default(),
            &Evidence::default(),
            &Outcome::impossible(&anyhow::anyhow!("a.txt is text")),
        ),
    ];
    let mut members: Option<Vec<String>> = None;
    for case in cases {
        let value: Value = serde_json::from_str(&case.unwrap()).unwrap();
        fits(&schema, &value, &schema, "$");
        let names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        assert_eq!(*members.get_or_insert_with(|| names.clone()), names, "one shape for all");
    }
}

#[test]
fn sound_that_is_known_for_an_apology_is_no_answer() {
    let phrases = vec![Some("I'm sorry, I missed that.".to_owned())];
    let outcome = judge(&report(), &Evidence { phrases, ..Evidence::default() }, &[]);
    assert_eq!(outcome.missing, ["“two pizzas” got no answer, only “I'm sorry, I missed that.”"]);
}

#[test]
fn a_filler_is_no_answer_but_what_follows_it_is() {
    let mut report = report();
    let mut say = |at_ms, text: &str| {
        report.spoken.push(Spoken { at_ms, text: text.to_owned(), interrupted: false });
        judge(&report, &Evidence::default(), &[]).is_good()
    };
    assert!(!say(4_000, "One moment, please."));
    assert!(say(6_000, "Two pizzas, got it."));
    assert!(say(7_000, "Hello? Are you still there?"));
}
