//! `offhook mcp`: an MCP server over standard input and output, in front of the control API. An assistant places calls with a goal,
//! follows them and reads what came of them, within what the server allows: its numbers, rates and limits.

mod tools;

use std::io::{BufRead, Write};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use crate::dial::Client;

/// Protocols that are spoken: the stateless one, and those with a handshake.
const VERSIONS: [&str; 4] = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"];
/// Longest line read.
const LONGEST: usize = 1024 * 1024;

/// `offhook mcp`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example, in an assistant's configuration:\n  {\"mcpServers\": {\"phone\": {\"command\": \"offhook\", \"args\": [\"mcp\", \
                  \"--server\", \"http://127.0.0.1:5000\"], \"env\": {\"OFFHOOK_API_TOKEN\": \"…\"}}}}\n\n\
                  Which numbers may be called, how many a second, and for how long, is the server's `[outbound]`."
)]
pub(crate) struct McpArgs {
    /// The server whose API is used
    #[arg(long, default_value = "http://127.0.0.1:5000", value_name = "URL")]
    server: String,
    /// Environment variable that holds the API's token
    #[arg(long, default_value = "OFFHOOK_API_TOKEN", value_name = "NAME")]
    token_env: String,
    /// Offer only what reads: no calls are placed or ended
    #[arg(long)]
    read_only: bool,
}

/// Serves until standard input ends.
pub(crate) fn run(args: &McpArgs) -> anyhow::Result<ExitCode> {
    let token = std::env::var(&args.token_env)
        .with_context(|| format!("the environment variable {} must hold the API's token", args.token_env))?;
    let client = Client::new(&args.server, &token);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in input.lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let asked = if line.len() > LONGEST { None } else { serde_json::from_str(&line).ok() };
        let answer = match asked {
            Some(message) => runtime.block_on(answer(&message, &client, args.read_only)),
            None => Some(error(&Value::Null, -32_700, "this is no JSON of a message")),
        };
        if let Some(answer) = answer {
            writeln!(output, "{answer}")?;
            output.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// The answer to a message; none to a notification.
async fn answer(message: &Value, client: &Client, read_only: bool) -> Option<Value> {
    let id = message.get("id").filter(|id| !id.is_null())?;
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        return Some(error(id, -32_600, "a request has a `method`"));
    };
    let none = Value::Null;
    let params = message.get("params").unwrap_or(&none);
    let about = || json!({ "name": "offhook", "version": env!("CARGO_PKG_VERSION") });
    let result = match method {
        "initialize" => {
            let wanted = params.get("protocolVersion").and_then(Value::as_str).unwrap_or("");
            let spoken =
                VERSIONS.into_iter().skip(1).find(|version| *version == wanted).unwrap_or(VERSIONS[1]);
            json!({ "protocolVersion": spoken, "capabilities": { "tools": {} }, "serverInfo": about(), "instructions": tools::INSTRUCTIONS })
        }
        "server/discover" => json!({
            "resultType": "complete", "supportedVersions": VERSIONS, "capabilities": { "tools": {} },
            "serverInfo": about(), "instructions": tools::INSTRUCTIONS
        }),
        "ping" => json!({}),
        "tools/list" => json!({ "resultType": "complete", "tools": tools::list(read_only) }),
        "tools/call" => {
            let name = params.get("name").and_then(Value::as_str).unwrap_or("");
            let arguments = params.get("arguments").unwrap_or(&none);
            match tools::call(name, arguments, client, read_only).await {
                Some(Ok(result)) => json!({
                    "resultType": "complete", "isError": false, "structuredContent": result,
                    "content": [{ "type": "text", "text": result.to_string() }]
                }),
                Some(Err(why)) => json!({
                    "resultType": "complete", "isError": true, "content": [{ "type": "text", "text": format!("{why:#}") }]
                }),
                None => return Some(error(id, -32_602, &format!("there is no tool `{name}`"))),
            }
        }
        _ => return Some(error(id, -32_601, &format!("there is no method `{method}`"))),
    };
    Some(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(message: Value, read_only: bool) -> Option<Value> {
        answer(&message, &Client::new("http://127.0.0.1:1", "a-token-that-nobody-guesses"), read_only).await
    }

    #[tokio::test]
    async fn both_protocols_find_the_tools() {
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}});
        assert_eq!(asked(hello, false).await.unwrap()["result"]["protocolVersion"], "2025-06-18");
        let discover = json!({"jsonrpc": "2.0", "id": 2, "method": "server/discover"});
        assert_eq!(asked(discover, false).await.unwrap()["result"]["supportedVersions"][0], "2026-07-28");
        assert_eq!(
            asked(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}), false).await,
            None
        );
        let names = async |read_only| {
            let list =
                asked(json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}), read_only).await.unwrap();
            let tools = list["result"]["tools"].as_array().unwrap().clone();
            tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            names(false).await,
            ["place_call", "end_call", "show_call", "wait_for_call", "list_calls"]
        );
        assert_eq!(names(true).await, ["show_call", "wait_for_call", "list_calls"]);
    }

    #[tokio::test]
    async fn what_cannot_be_done_is_told() {
        let call = |name: &str| json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": name, "arguments": {"sid": "CA1"}}});
        let unreachable = asked(call("show_call"), false).await.unwrap();
        assert_eq!(unreachable["result"]["isError"], true);
        assert!(unreachable.to_string().contains("does not answer"), "{unreachable}");
        assert_eq!(asked(call("place_call"), true).await.unwrap()["error"]["code"], -32_602);
        assert_eq!(asked(json!({"id": 5, "method": "x"}), true).await.unwrap()["error"]["code"], -32_601);
    }
}
