//! What a model may give a tool: checked before anything is sent.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

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
    /// Reads a schema. `fixed`: arguments that are not the model's.
    pub(super) fn new(schema: &Value, fixed: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let mut shown = schema.clone();
        if let Some(properties) = shown.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !fixed.contains_key(name));
        }
        if let Some(required) = shown.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| !name.as_str().is_some_and(|name| fixed.contains_key(name)));
        }
        let validator = jsonschema::validator_for(&shown)
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
