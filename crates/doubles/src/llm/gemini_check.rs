//! What Gemini refuses in a request for content.

use serde_json::Value;

use super::count;
use super::gemini::SIGNED;
use crate::http::Refusal;
use crate::refusal::{Vendor, Why};
use crate::script::Heard;
use crate::state::State;

/// What of a request matters here.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) model: String,
    pub(super) most: Option<usize>,
    pub(super) thoughts: usize,
    /// Tool calls carry signatures of thoughts.
    pub(super) signs: bool,
    pub(super) tokens: usize,
    pub(super) heard: Heard,
}

/// The members that there are.
const KNOWN: [&str; 11] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "cachedContent",
    "labels",
    "model",
    "serviceTier",
    "store",
];
/// What may stand for a signature that another model's call can't have.
const UNSIGNED: [&str; 2] = ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

fn bad(message: impl AsRef<str>) -> Refusal {
    Vendor::Gemini.refuse(Why::BadRequest, message.as_ref())
}

/// Members whose own members are the application's.
const FREE: [&str; 7] = [
    "args",
    "response",
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "labels",
];

/// Gives every member its name in JSON: `thinking_budget`, its name in the protocol's own language, is taken as well.
pub(crate) fn spell(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(spell),
        Value::Object(members) => {
            for (name, mut value) in std::mem::take(members) {
                let mut words = name.split('_');
                let mut spelled = words.next().unwrap_or_default().to_owned();
                for word in words {
                    let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
                    spelled += &first.to_uppercase();
                    spelled += rest;
                }
                if !FREE.contains(&spelled.as_str()) {
                    spell(&mut value);
                }
                members.insert(spelled, value);
            }
        }
        _ => {}
    }
}

/// Reads a request as strictly as Gemini does.
pub(super) fn check(model: &str, body: &[u8], state: &State) -> Result<Request, Refusal> {
    let mut request: Value = serde_json::from_slice(body)
        .map_err(|_| bad("Invalid JSON payload received. Expected an object key or }."))?;
    spell(&mut request);
    if !state.knows(model) {
        let message = format!("models/{model} is not found for API version v1beta, or is not supported.");
        return Err(Vendor::Gemini.refuse(Why::NoSuchModel, &message));
    }
    let mut names = request.as_object().into_iter().flat_map(serde_json::Map::keys);
    if let Some(name) = names.find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(bad(format!(
            "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
        )));
    }
    let contents = request["contents"].as_array().map(Vec::as_slice).unwrap_or_default();
    if contents.is_empty() {
        return Err(bad("* GenerateContentRequest.contents: contents is not specified\n"));
    }
    let newest = model.starts_with("gemini-3") || model.starts_with("gemini-4");
    let thoughts = thinking(&request["generationConfig"], model, newest)?;
    turns(contents, newest)?;
    let most =
        request["generationConfig"]["maxOutputTokens"].as_u64().and_then(|most| usize::try_from(most).ok());
    let last =
        contents.last().and_then(|last| last["parts"].as_array()).map(Vec::as_slice).unwrap_or_default();
    // Whoever speaks behind a result is answered.
    let result = last.last().filter(|part| !part["functionResponse"].is_null());
    let text = match result {
        Some(part) => part["functionResponse"]["response"]
            .as_object()
            .and_then(|response| response.values().next())
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .unwrap_or_default(),
        None => last.iter().filter_map(|part| part["text"].as_str()).collect(),
    };
    let tools = tools(&request)?;
    Ok(Request {
        model: model.to_owned(),
        most: most.map(|most| most.saturating_sub(thoughts)),
        thoughts,
        signs: newest || thoughts > 0,
        tokens: count(&request["contents"].to_string()) + count(&request["systemInstruction"].to_string()),
        heard: Heard { text, tool_result: result.is_some(), tools },
    })
}

/// Hidden tokens before the answer.
fn thinking(settings: &Value, model: &str, newest: bool) -> Result<usize, Refusal> {
    let (budget, level) = (
        settings["thinkingConfig"]["thinkingBudget"].as_i64(),
        settings["thinkingConfig"]["thinkingLevel"].as_str(),
    );
    if budget.is_some() && level.is_some() {
        return Err(bad("You can only set only one of thinking budget and thinking level."));
    }
    let flash = model.contains("flash");
    match (budget, level.map(str::to_lowercase).as_deref()) {
        (_, Some(_)) if !newest => Err(bad("Thinking level is not supported for this model.")),
        (_, Some("minimal")) if !flash => Err(bad("Thinking level MINIMAL is not supported for this model.")),
        (_, Some("minimal")) => Ok(0),
        (_, Some("low")) => Ok(64),
        (_, Some("medium")) => Ok(192),
        (_, Some("high")) => Ok(512),
        (_, Some(other)) => Err(bad(format!(
            "Invalid value at 'generation_config.thinking_config.thinking_level': \"{other}\""
        ))),
        (Some(0), _) if !flash => Err(bad("Budget 0 is invalid. This model only works in thinking mode.")),
        (Some(budget), _) if budget > 0 => Ok(usize::try_from(budget).unwrap_or(0).min(256)),
        (Some(0), _) => Ok(0),
        _ if newest || model.starts_with("gemini-2.5") => Ok(192),
        _ => Ok(0),
    }
}

/// Whose turn it is, and that calls have their answers, and in the current turn their signatures.
fn turns(contents: &[Value], newest: bool) -> Result<(), Refusal> {
    let spoken = |content: &Value| {
        content["role"] != "model"
            && content["parts"]
                .as_array()
                .is_some_and(|parts| parts.iter().any(|part| part["text"].is_string()))
    };
    let current = contents.iter().rposition(spoken).unwrap_or(0);
    let mut open = 0;
    for (at, content) in contents.iter().enumerate() {
        if !content["role"].is_null() && content["role"] != "user" && content["role"] != "model" {
            return Err(bad("Please use a valid role: user, model."));
        }
        let parts = content["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
        if parts.is_empty() {
            return Err(bad(format!(
                "* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty.\n"
            )));
        }
        let of = |name: &str| parts.iter().filter(|part| !part[name].is_null()).count();
        let (calls, answers) = (of("functionCall"), of("functionResponse"));
        if answers != open && (answers > 0 || open > 0) {
            return Err(bad(
                "Please ensure that the number of function response parts is equal to the number of function call parts of \
                 the function call turn.",
            ));
        }
        if calls > 0 && (at == 0 || contents.get(at - 1).is_some_and(|before| before["role"] == "model")) {
            return Err(bad(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
            ));
        }
        let first = parts.iter().find(|part| !part["functionCall"].is_null());
        let signature = first.and_then(|part| part["thoughtSignature"].as_str());
        match signature {
            None if newest && calls > 0 && at > current => {
                return Err(bad(
                    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work \
                     correctly, and missing thought_signature may lead to degraded model performance.",
                ));
            }
            Some(signature) if !signature.starts_with(SIGNED) && !UNSIGNED.contains(&signature) => {
                return Err(bad("Corrupted thought signature."));
            }
            _ => {}
        }
        open = calls;
    }
    if open > 0 {
        return Err(bad(
            "Please ensure that the number of function response parts is equal to the number of function call parts of the \
             function call turn.",
        ));
    }
    Ok(())
}

fn tools(request: &Value) -> Result<Vec<String>, Refusal> {
    let mut names = Vec::new();
    for tool in request["tools"].as_array().into_iter().flatten() {
        for function in tool["functionDeclarations"].as_array().into_iter().flatten() {
            let Some(name) = function["name"].as_str().filter(|name| !name.is_empty()) else {
                return Err(bad(
                    "* GenerateContentRequest.tools[0].function_declarations[0].name: [FIELD_INVALID]",
                ));
            };
            names.push(name.to_owned());
        }
    }
    let mode = request["toolConfig"]["functionCallingConfig"]["mode"].as_str();
    if mode.is_some_and(|mode| mode.eq_ignore_ascii_case("none")) {
        names.clear();
    }
    Ok(names)
}
