//! Messages of servers that write a member otherwise than their own documentation: what can be read of them is.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Members that a message is worth reading without.
const SPARED: [&str; 8] = [
    "words",
    "confidence",
    "conf",
    "alignment",
    "normalizedAlignment",
    "normalized_alignment",
    "word_timestamps",
    "usage",
];

/// Reads a message. One that doesn't fit its type is read as if its `null`s weren't there, then with its codes as text or as numbers,
/// then without what it can be spared: a transcript is worth more than the times of its words.
///
/// # Errors
/// It is no JSON, or still doesn't fit.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    match serde_json::from_str(text) {
        Err(error) if error.is_data() => of(serde_json::from_str(text)?),
        read => read,
    }
}

/// The same of a value.
///
/// # Errors
/// It doesn't fit.
pub(crate) fn of<T: DeserializeOwned>(mut value: Value) -> Result<T, serde_json::Error> {
    let error = match T::deserialize(&value) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let changes: [fn(&str, &mut Value) -> bool; 4] = [
        |_, member| !member.is_null(),
        |name, member| {
            if name.ends_with("code")
                && let Value::Number(number) = member
            {
                *member = Value::String(number.to_string());
            }
            true
        },
        |name, member| {
            if name.ends_with("code")
                && let Some(number) = member.as_str().and_then(|text| text.parse::<u32>().ok())
            {
                *member = number.into();
            }
            true
        },
        |name, _| !SPARED.contains(&name),
    ];
    for change in changes {
        alter(&mut value, change);
        if let Ok(read) = T::deserialize(&value) {
            return Ok(read);
        }
    }
    Err(error)
}

/// Changes all members, and leaves out those that the change says no to.
fn alter(value: &mut Value, change: fn(&str, &mut Value) -> bool) {
    match value {
        Value::Object(members) => {
            members.retain(|name, member| {
                let stays = change(name, member);
                if stays {
                    alter(member, change);
                }
                stays
            });
        }
        Value::Array(items) => {
            items.retain_mut(|item| change("", item));
            items.iter_mut().for_each(|item| alter(item, change));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Told {
        text: String,
        start: f64,
        code: String,
        status_code: Option<f64>,
        words: Vec<String>,
    }

    #[test]
    fn what_can_be_read_of_a_message_is() {
        let told = |text: &str| Told { text: text.into(), ..Told::default() };
        for (message, expected) in [
            (r#"{"text":"a","start":null,"words":null}"#, told("a")),
            (r#"{"text":"a","words":["b",null]}"#, Told { words: vec!["b".into()], ..told("a") }),
            (r#"{"text":"a","code":1011}"#, Told { code: "1011".into(), ..told("a") }),
            (r#"{"text":"a","status_code":"429"}"#, Told { status_code: Some(429.0), ..told("a") }),
            (r#"{"text":"a","words":[{"word":"b"}]}"#, told("a")),
            (r#"{"text":"a","words":"b","newer":{"x":[null]}}"#, told("a")),
        ] {
            assert_eq!(read::<Told>(message).unwrap(), expected, "{message}");
        }
        for broken in ["", "{", r#"{"text":5}"#, "[1]"] {
            assert!(read::<Told>(broken).is_err(), "{broken}");
        }
    }
}
