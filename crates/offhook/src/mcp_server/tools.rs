//! What an assistant may do: the tools of `offhook mcp`.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::dial::Client;

/// For the assistant's model.
pub(super) const INSTRUCTIONS: &str = "Places telephone calls with a goal, and tells what came of them. Place a call only if the user wants it, \
                                       to a number that the user gave. Then wait for it with wait_for_call.";

/// So long `wait_for_call` waits at most.
const LONGEST_WAIT: u64 = 120;
/// Between two looks at a call.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The tools. `read_only`: those that change nothing.
pub(super) fn list(read_only: bool) -> Value {
    let sid = json!({ "sid": { "type": "string", "description": "the call's SID, as place_call gave it" } });
    let changing = json!([
        {
            "name": "place_call",
            "description": "Places a telephone call in which an agent pursues a goal. Gives the call's SID at once; the call goes on.",
            "inputSchema": {
                "type": "object",
                "required": ["to", "goal"],
                "properties": {
                    "to": { "type": "string", "description": "the number, as +14155550123" },
                    "goal": { "type": "string", "description": "what is to be achieved, with everything that the agent needs to know" },
                    "agent": { "type": "string", "description": "which of the server's agents; list_calls names them" },
                    "parameters": { "type": "object", "additionalProperties": { "type": "string" } }
                }
            },
            "annotations": { "readOnlyHint": false, "destructiveHint": true, "idempotentHint": false, "openWorldHint": true }
        },
        {
            "name": "end_call",
            "description": "Ends a call, politely, once what is being said was heard.",
            "inputSchema": { "type": "object", "required": ["sid"], "properties": sid },
            "annotations": { "readOnlyHint": false, "destructiveHint": true, "idempotentHint": true }
        }
    ]);
    let reading = json!([
        {
            "name": "show_call",
            "description": "A call as it stands: status, transcript, verdict, what was learned, cost.",
            "inputSchema": { "type": "object", "required": ["sid"], "properties": sid },
            "annotations": { "readOnlyHint": true }
        },
        {
            "name": "wait_for_call",
            "description": "Waits until a call is over, two minutes at most, and shows it.",
            "inputSchema": { "type": "object", "required": ["sid"], "properties": sid },
            "annotations": { "readOnlyHint": true }
        },
        {
            "name": "list_calls",
            "description": "The newest calls, and the names of the agents.",
            "inputSchema": { "type": "object", "properties": {} },
            "annotations": { "readOnlyHint": true }
        }
    ]);
    let mut tools = if read_only { Vec::new() } else { changing.as_array().cloned().unwrap_or_default() };
    tools.extend(reading.as_array().cloned().unwrap_or_default());
    Value::Array(tools)
}

/// Uses a tool. `None`: there is none of this name.
pub(super) async fn call(
    name: &str,
    arguments: &Value,
    client: &Client,
    read_only: bool,
) -> Option<anyhow::Result<Value>> {
    Some(match name {
        "place_call" if !read_only => place(arguments, client).await,
        "end_call" if !read_only => end(arguments, client).await,
        "show_call" => show(arguments, client).await,
        "wait_for_call" => wait(arguments, client).await,
        "list_calls" => client.get("/calls").await,
        _ => return None,
    })
}

async fn place(arguments: &Value, client: &Client) -> anyhow::Result<Value> {
    let mut order = serde_json::Map::new();
    for name in ["to", "goal", "agent", "parameters"] {
        if let Some(value) = arguments.get(name) {
            order.insert(name.to_owned(), value.clone());
        }
    }
    let has =
        |name: &str| order.get(name).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
    ensure!(has("to") && has("goal"), "`to` and `goal` are needed");
    client.place(&Value::Object(order)).await
}

/// The call that is meant: no address of another kind.
fn sid(arguments: &Value) -> anyhow::Result<&str> {
    let sid = arguments.get("sid").and_then(Value::as_str).context("`sid` is needed")?;
    let plain = !sid.is_empty() && sid.len() <= 64 && sid.bytes().all(|octet| octet.is_ascii_alphanumeric());
    ensure!(plain, "`{sid}` is no call's SID");
    Ok(sid)
}

async fn end(arguments: &Value, client: &Client) -> anyhow::Result<Value> {
    client.end_politely(sid(arguments)?).await?;
    Ok(json!({ "ending": true }))
}

async fn show(arguments: &Value, client: &Client) -> anyhow::Result<Value> {
    client.get(&format!("/calls/{}", sid(arguments)?)).await
}

async fn wait(arguments: &Value, client: &Client) -> anyhow::Result<Value> {
    let until = tokio::time::Instant::now() + Duration::from_secs(LONGEST_WAIT);
    loop {
        let call = show(arguments, client).await?;
        let over = !call.get("outcome").is_none_or(Value::is_null)
            && call.get("talking").and_then(Value::as_bool) == Some(false);
        if over || tokio::time::Instant::now() >= until {
            return Ok(call);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
