//! `offhook dial`: orders a call from a running server, or one of its own, and shows it as it happens.

mod client;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use offhook_conversation::CallEvent;
use offhook_stage_api::CallTime;
use serde_json::{Value, json};

use crate::console::{paint, say, show_event};
pub(crate) use client::Client;
use client::Event;

/// `offhook dial`
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  offhook dial +14155550100 --agent booking --goal \"Book a table for two at eight.\"\n  \
                        offhook dial +14155550100 --server https://voice.example.com --machine \"Please call us back.\"\n  \
                        offhook dial +14155550100 --start --config offhook.toml\n\n\
                        The API's token is read from OFFHOOK_API_TOKEN. Exit codes: 0 achieved, or talked without a goal; \
                        2 any other verdict; 1 the call could not be ordered."
)]
pub(crate) struct DialArgs {
    /// Who is called, with + and the country's code
    #[arg(value_name = "NUMBER")]
    number: String,
    /// Who talks; else the server's own agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// What the call is to achieve
    #[arg(long, value_name = "TEXT")]
    goal: Option<String>,
    /// What the agent is told besides; may be given more than once
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// The number that calls; else the server's
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// Left on a mailbox after its beep; "" hangs up on mailboxes
    #[arg(long, value_name = "MESSAGE")]
    machine: Option<String>,
    /// The longest call, in seconds
    #[arg(long, value_name = "SECONDS")]
    longest: Option<u64>,
    /// The server that places the call
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    server: String,
    /// Start a server for this call; it ends with the call
    #[arg(long)]
    start: bool,
    /// The configuration of the server that is started
    #[arg(long, value_name = "FILE", requires = "start")]
    config: Option<PathBuf>,
}

/// Places the call and follows it to its end.
pub(crate) fn run(args: DialArgs) -> anyhow::Result<ExitCode> {
    let order = args.order()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (server, token, started) = if args.start {
        let started = client::Started::start(args.config.as_deref())?;
        (started.url.clone(), started.token.clone(), Some(started))
    } else {
        let token = std::env::var("OFFHOOK_API_TOKEN").ok().filter(|token| !token.trim().is_empty()).context(
            "OFFHOOK_API_TOKEN isn't set: it must hold the token of the server's API. --start starts a server of its own",
        )?;
        (args.server, token, None)
    };
    let outcome = runtime.block_on(follow(&Client::new(&server, token.trim()), &order));
    drop(started);
    outcome
}

impl DialArgs {
    fn order(&self) -> anyhow::Result<Value> {
        let mut parameters = serde_json::Map::new();
        for pair in &self.parameters {
            let Some((name, value)) = pair.split_once('=') else { bail!("`{pair}` is not NAME=VALUE") };
            parameters.insert(name.to_owned(), json!(value));
        }
        let mut order = json!({ "to": self.number, "parameters": parameters });
        let mut set = |name: &str, value: Option<Value>| {
            if let (Some(value), Some(order)) = (value, order.as_object_mut()) {
                order.insert(name.to_owned(), value);
            }
        };
        set("agent", self.agent.clone().map(Value::from));
        set("goal", self.goal.clone().map(Value::from));
        set("from", self.from.clone().map(Value::from));
        set("longest_s", self.longest.map(Value::from));
        if let Some(message) = &self.machine {
            set("machine_detection", Some(json!("on")));
            let policy =
                if message.is_empty() { json!("hang_up") } else { json!({ "leave_message": message }) };
            set("on_machine", Some(policy));
        }
        Ok(order)
    }
}

async fn follow(client: &Client, order: &Value) -> anyhow::Result<ExitCode> {
    let call = client.place(order).await?;
    let sid =
        call.get("sid").and_then(Value::as_str).context("the server placed a call without a SID")?.to_owned();
    say(&format!("calling  {} as {sid}", text(&call, "to")));
    let mut events = client.watch(&sid).await?;
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            _ = tokio::signal::ctrl_c() => {
                say("hanging up");
                client.end(&sid).await?;
                continue;
            }
        };
        match event {
            Some(event) if event.name == "over" => return Ok(verdict(&event.data)),
            Some(event) => show(&event),
            None => bail!("the server's events of {sid} broke off; the call may go on"),
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

fn show(event: &Event) {
    match event.name.as_str() {
        "call" => {
            let at = event.data.get("t_ms").and_then(Value::as_u64).unwrap_or(0);
            // An event that this version doesn't know is passed over.
            if let Ok(happened) = serde_json::from_value::<CallEvent>(event.data.clone()) {
                show_event(CallTime::from_millis(at), &happened);
            }
        }
        "status" => say(&paint(&format!("        ({})", text(&event.data, "status")), "2")),
        "answered_by" => {
            say(&paint(&format!("        (answered by: {})", text(&event.data, "answered_by")), "2"))
        }
        "lagged" => say(&paint("        (some events were missed)", "2")),
        _ => {}
    }
}

/// Shows what came of it.
fn verdict(over: &Value) -> ExitCode {
    let Some(outcome) = over.get("outcome").filter(|outcome| outcome.is_object()) else {
        let status = text(over, "status");
        say(&format!("over     {status}"));
        return if status == "completed" { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    let verdict = text(outcome, "verdict");
    say(&format!("verdict  {} ({})", paint(verdict, "1"), text(outcome, "evidence")));
    for (name, value) in outcome.get("fields").and_then(Value::as_object).into_iter().flatten() {
        let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        say(&format!("         {name}: {plain}"));
    }
    if verdict == "achieved" { ExitCode::SUCCESS } else { ExitCode::from(2) }
}
