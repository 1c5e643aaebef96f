//! What a model may do besides talking: the engine's own tools, as it is told of them.

use offhook_stage_api::tools;
use offhook_stages::ToolSpec;
use serde_json::{Value, json};

use super::file::{Ability, AgentTable};

/// The tools of an agent's model: the engine's own, and these.
pub(super) fn specs(agent: &AgentTable, more: Vec<ToolSpec>) -> Vec<ToolSpec> {
    let own = agent.abilities.iter().filter_map(|ability| own(*ability, agent));
    own.chain(more).collect()
}

fn own(ability: Ability, agent: &AgentTable) -> Option<ToolSpec> {
    let spec = |name: &str, description: &str, properties: Value, required: &[&str]| {
        Some(ToolSpec {
            name: name.to_owned(),
            description: description.to_owned(),
            parameters: json!({"type": "object", "properties": properties, "required": required}),
        })
    };
    match ability {
        Ability::EndCall => spec(
            tools::END_CALL,
            "Ends the call. Say goodbye in the same answer; the call ends once it was heard.",
            json!({}),
            &[],
        ),
        Ability::TransferCall if agent.transfer.is_empty() => None,
        Ability::TransferCall => {
            let names: Vec<&String> = agent.transfer.keys().collect();
            spec(
                tools::TRANSFER,
                "Hands the caller to a person. Say so in the same answer; it happens once that was heard.",
                json!({"to": {"type": "string", "enum": names}}),
                &["to"],
            )
        }
        Ability::SendDtmf => spec(
            tools::SEND_DTMF,
            "Presses keys of the telephone, for menus of other systems.",
            json!({"digits": {"type": "string", "description": "0 to 9, *, #"}}),
            &["digits"],
        ),
        Ability::CollectDigits => spec(
            tools::COLLECT_DIGITS,
            "Lets the caller key a number. Ask for it in the same answer; the keys come as a note.",
            json!({"min": {"type": "integer"}, "max": {"type": "integer"}}),
            &["max"],
        ),
        Ability::SwitchLanguage if agent.languages.len() < 2 => None,
        Ability::SwitchLanguage => spec(
            tools::SWITCH_LANGUAGE,
            "Goes on in another language, with its own voice. Use it without a word as soon as the caller speaks that language \
             or asks for it; then answer in it.",
            json!({"language": {"type": "string", "enum": agent.languages}}),
            &["language"],
        ),
    }
}
