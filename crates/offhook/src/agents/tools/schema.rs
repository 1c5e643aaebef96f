//! What a model may give a tool: checked before anything is sent.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::{Map, Value};

/// Patterns in the schemas of one server at most.
pub(super) const MOST_PATTERNS: usize = 64;
/// What a stranger's pattern may take of memory, in octets.
const LARGEST_PATTERN: usize = 256 * 1024;
/// Steps back that a pattern may take on one text.
const MOST_BACKTRACKING: usize = 100_000;

/// Patterns in a schema.
fn patterns(schema: &Value) -> usize {
    match schema {
        Value::Object(fields) => {
            let own = fields.get("pattern").map_or(0, |_| 1)
                + fields.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
            own + fields.values().map(patterns).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(patterns).sum(),
        _ => 0,
    }
}

/// A tool's arguments: their JSON Schema, and those that the model can't touch.
pub(super) struct Arguments {
    /// As the agent's file has it, without what is fixed: what the model is shown.
    pub(super) shown: Value,
    validator: jsonschema::Validator,
    /// The names that the schema declares; `None` where it takes any.
    declared: Option<Vec<String>>,
}

impl std::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Arguments").field(&self.shown).finish()
    }
}

impl Arguments {
    /// Reads a schema that may be a stranger's: what patterns take of memory and time is bounded. So many are `left`.
    pub(super) fn of_a_stranger(
        schema: &Value,
        fixed: &BTreeMap<String, String>,
        left: &mut usize,
    ) -> anyhow::Result<Self> {
        *left = left.checked_sub(patterns(schema)).context("its server has too many patterns in schemas")?;
        Self::build(schema, fixed, LARGEST_PATTERN)
    }

    /// Reads a schema. `fixed`: arguments that are not the model's.
    pub(super) fn new(schema: &Value, fixed: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        Self::build(schema, fixed, 16 * LARGEST_PATTERN)
    }

    fn build(schema: &Value, fixed: &BTreeMap<String, String>, pattern: usize) -> anyhow::Result<Self> {
        let mut shown = schema.clone();
        if let Some(properties) = shown.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !fixed.contains_key(name));
        }
        if let Some(required) = shown.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| !name.as_str().is_some_and(|name| fixed.contains_key(name)));
        }
        let patterns = jsonschema::PatternOptions::fancy_regex()
            .backtrack_limit(MOST_BACKTRACKING)
            .size_limit(pattern)
            .dfa_size_limit(pattern);
        let validator = jsonschema::options()
            .with_pattern_options(patterns)
            .build(&shown)
            .map_err(|error| anyhow::anyhow!("its `parameters` are no JSON Schema: {error}"))?;
        let open = shown.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false));
        let properties = shown.get("properties").and_then(Value::as_object);
        let declared = properties.filter(|_| !open).map(|properties| properties.keys().cloned().collect());
        Ok(Self { shown, validator, declared })
    }

    /// What is sent of a model's arguments: names that aren't declared are left out.
    ///
    /// # Errors
    /// What is wrong, in words for the model.
    pub(super) fn check(&self, given: &Value) -> Result<Value, String> {
        let mut given = match given {
            Value::Object(given) => given.clone(),
            Value::Null => Map::new(),
            _ => return Err("the arguments must be a JSON object".to_owned()),
        };
        if let Some(declared) = &self.declared {
            given.retain(|name, _| declared.contains(name));
        }
        let given = Value::Object(given);
        let wrong: Vec<String> =
            self.validator.iter_errors(&given).take(4).map(|error| error.to_string()).collect();
        if wrong.is_empty() {
            return Ok(given);
        }
        Err(format!("the arguments are not right, nothing was done: {}", wrong.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_what_is_declared_or_refused() {
        let schema = json!({
            "type": "object",
            "required": ["day", "people", "caller"],
            "properties": {
                "day": {"type": "string"},
                "people": {"type": "integer", "minimum": 1},
                "caller": {"type": "string"}
            }
        });
        let fixed = BTreeMap::from([("caller".to_owned(), "{call.from}".to_owned())]);
        let arguments = Arguments::new(&schema, &fixed).unwrap();
        assert!(!arguments.shown.to_string().contains("caller"), "{arguments:?}");
        let good = arguments.check(&json!({"day": "monday", "people": 2, "caller": "+1", "x": 1}));
        assert_eq!(good, Ok(json!({"day": "monday", "people": 2})));
        let wrong = arguments.check(&json!({"day": "monday", "people": "two"})).unwrap_err();
        assert!(wrong.contains("two") && wrong.contains("integer"), "{wrong}");
        assert!(arguments.check(&json!({"day": "monday"})).unwrap_err().contains("people"));
        assert!(arguments.check(&json!("monday")).is_err());
        assert!(Arguments::new(&json!({"type": "nonsense"}), &fixed).is_err());
    }
}
