//! What a model may know of a tool.

use std::collections::BTreeMap;

use offhook_stage_api::tools::REPORT;

/// A tool that the agent's model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Its name: letters, digits, `_` and `-`, at most 64 (the strictest of the providers' limits).
    pub name: String,
    /// When to use it and what it does, for the model.
    pub description: String,
    /// A JSON Schema of its arguments: an object.
    pub parameters: serde_json::Value,
}

/// [`REPORT`], for the model: to be offered in calls that have a goal. `fields`: what is to be learned, by name, and what each
/// means; none where the model is to find out what matters.
#[must_use]
pub fn report_outcome(fields: &BTreeMap<String, String>) -> ToolSpec {
    let properties: serde_json::Map<_, _> = fields
        .iter()
        .map(|(name, meaning)| {
            (name.clone(), serde_json::json!({ "type": "string", "description": meaning }))
        })
        .collect();
    ToolSpec {
        name: REPORT.to_owned(),
        description: "Report what came of the call, once it is clear and before you say goodbye. Call it again if that changes."
            .to_owned(),
        parameters: serde_json::json!({
            "type": "object",
            "properties": {
                "verdict": {
                    "type": "string",
                    "enum": ["achieved", "refused", "no_answer", "voicemail", "failed"],
                    "description": "achieved: the goal was reached. refused: the other side would not. voicemail: a machine \
                                    answered. failed: nothing was settled."
                },
                "fields": {
                    "type": "object",
                    "description": "What was learned, by name, such as a time, a name or a price. Leave out what wasn't.",
                    "properties": properties,
                    "additionalProperties": fields.is_empty()
                },
                "evidence": {
                    "type": "string",
                    "description": "The other side's own words that show it, quoted."
                }
            },
            "required": ["verdict", "evidence"],
            "additionalProperties": false
        }),
    }
}
