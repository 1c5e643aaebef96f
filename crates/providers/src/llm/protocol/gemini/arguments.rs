//! Arguments of a tool call that come in pieces, each at a place: `{"jsonPath": "$.items[0].name", "stringValue": "Pi"}`. Strings
//! go on over several pieces.

use offhook_stages::StageError;
use serde_json::{Map, Value};

/// Places in one list; more are a fault.
const LONGEST_LIST: usize = 1_000;
/// Octets of all strings.
const MOST_TEXT: usize = 64 * 1024;

/// Arguments, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    whole: Map<String, Value>,
    text: usize,
}

impl Arguments {
    /// Takes arguments that are whole.
    pub(super) fn put(&mut self, whole: &Map<String, Value>) {
        self.whole.extend(whole.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Takes a piece.
    ///
    /// # Errors
    /// Its place can't be read, or there is too much of it.
    pub(super) fn piece(&mut self, stage: &str, piece: &Value) -> Result<(), StageError> {
        let garbage = |what: String| StageError::Garbage { stage: stage.to_owned(), what };
        let path = piece["jsonPath"].as_str().unwrap_or("");
        let steps =
            steps(path).ok_or_else(|| garbage(format!("an argument at the unreadable place `{path}`")))?;
        let mut whole = Value::Object(std::mem::take(&mut self.whole));
        let mut place = &mut whole;
        for step in &steps {
            place = match step {
                Step::Name(name) => {
                    if !place.is_object() {
                        *place = Value::Object(Map::new());
                    }
                    &mut place[&name[..]]
                }
                Step::Index(index) => {
                    if !place.is_array() {
                        *place = Value::Array(Vec::new());
                    }
                    let list = place.as_array_mut().ok_or_else(|| garbage("no list".to_owned()))?;
                    if *index >= LONGEST_LIST {
                        return Err(garbage("a list of arguments without an end".to_owned()));
                    }
                    if list.len() <= *index {
                        list.resize(index + 1, Value::Null);
                    }
                    &mut list[*index]
                }
            };
        }
        if let Some(text) = piece["stringValue"].as_str() {
            self.text += text.len();
            if self.text > MOST_TEXT {
                return Err(garbage("arguments without an end".to_owned()));
            }
            match place {
                Value::String(there) => there.push_str(text),
                _ => *place = text.into(),
            }
        } else if let Some(value) = piece.get("numberValue").or_else(|| piece.get("boolValue")) {
            *place = value.clone();
        } else {
            *place = Value::Null;
        }
        if let Value::Object(whole) = whole {
            self.whole = whole;
        }
        Ok(())
    }

    /// All of them.
    pub(super) fn whole(self) -> Value {
        Value::Object(self.whole)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

/// The steps of a JSONPath (RFC 9535) of names and indexes. `None`: it is another, or none.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, after) = after.split_at(end);
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = inside.strip_prefix(['\'', '"']).and_then(|name| name.strip_suffix(['\'', '"']));
            steps.push(match quoted {
                Some(name) => Step::Name(name.to_owned()),
                None => Step::Index(inside.parse().ok()?),
            });
            rest = after;
        }
    }
    (!steps.is_empty()).then_some(steps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_at_their_places_are_one_object() {
        let mut arguments = Arguments::default();
        for piece in [
            json!({"jsonPath": "$.city", "stringValue": "Bos", "willContinue": true}),
            json!({"jsonPath": "$.city", "stringValue": "ton"}),
            json!({"jsonPath": "$.items[1].price", "numberValue": 0.5}),
            json!({"jsonPath": "$.items[0]['a b']", "boolValue": true}),
            json!({"jsonPath": "$.none", "nullValue": "NULL_VALUE"}),
        ] {
            arguments.piece("x", &piece).unwrap();
        }
        let whole = json!({"city": "Boston", "items": [{"a b": true}, {"price": 0.5}], "none": null});
        assert_eq!(arguments.whole(), whole);
    }

    #[test]
    fn places_that_are_none_and_lists_without_end_are_refused() {
        for path in ["", "$", "city", "$.a[*]", "$.a[", "$.a[99999999]"] {
            let piece = json!({"jsonPath": path, "stringValue": "x"});
            assert!(Arguments::default().piece("x", &piece).is_err(), "{path}");
        }
    }
}
