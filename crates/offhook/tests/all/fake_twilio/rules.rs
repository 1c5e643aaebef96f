//! What Twilio's API takes of an order for a call.

use std::collections::BTreeMap;

const FIELDS: &[&str] = &[
    "To",
    "From",
    "Url",
    "Method",
    "StatusCallback",
    "StatusCallbackMethod",
    "StatusCallbackEvent",
    "Timeout",
    "TimeLimit",
    "MachineDetection",
    "AsyncAmd",
    "AsyncAmdStatusCallback",
    "AsyncAmdStatusCallbackMethod",
];

/// What Twilio would not take, or would quietly ignore.
pub(super) fn judge(fields: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    let one =
        |name: &str| fields.get(name).filter(|values| values.len() == 1).map(|values| values[0].as_str());
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        wrong.push(format!("unknown field {name}"));
    }
    for name in ["To", "From"] {
        if !one(name)
            .is_some_and(|number| number.starts_with('+') && number[1..].bytes().all(|b| b.is_ascii_digit()))
        {
            wrong.push(format!("{name} is no number"));
        }
    }
    for name in ["Url", "StatusCallback", "AsyncAmdStatusCallback"] {
        let good = one(name).is_some_and(|url| url.starts_with("http"));
        if !good && (name != "AsyncAmdStatusCallback" || fields.contains_key(name)) {
            wrong.push(format!("{name} is no URL"));
        }
    }
    for name in ["Method", "StatusCallbackMethod", "AsyncAmdStatusCallbackMethod"] {
        if fields.contains_key(name) && !matches!(one(name), Some("POST" | "GET")) {
            wrong.push(format!("{name} is neither POST nor GET"));
        }
    }
    let within = |name: &str, range: std::ops::RangeInclusive<u32>| {
        !fields.contains_key(name)
            || one(name).and_then(|text| text.parse().ok()).is_some_and(|n| range.contains(&n))
    };
    if !within("Timeout", 1..=600) || !within("TimeLimit", 1..=86_400) {
        wrong.push("a time is out of range".into());
    }
    let events = fields.get("StatusCallbackEvent").cloned().unwrap_or_default();
    if !events
        .iter()
        .all(|event| matches!(event.as_str(), "initiated" | "ringing" | "answered" | "completed"))
    {
        wrong.push(format!("events {events:?}"));
    }
    if fields.contains_key("MachineDetection")
        && !matches!(one("MachineDetection"), Some("Enable" | "DetectMessageEnd"))
    {
        wrong.push("MachineDetection".into());
    }
    if fields.contains_key("AsyncAmd") && one("AsyncAmd") != Some("true") {
        wrong.push("AsyncAmd".into());
    }
    wrong
}
