//! MCP servers that others wrote, from npm and PyPI, unchanged. `make foreign` installs them; where they aren't, a test is skipped and
//! says so.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use offhook_stage_api::ToolCall;
use offhook_stages::CallInfo;
use serde_json::{Value, json};

use super::*;

/// A file that `make foreign` installs.
#[allow(clippy::print_stderr, reason = "whoever runs the tests is to know")]
fn installed(path: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target").join(path);
    if !path.exists() {
        eprintln!("skipped: {} isn't there; `make foreign` installs it", path.display());
        return None;
    }
    Some(path.to_str()?.to_owned())
}

fn everything() -> Option<String> {
    installed("foreign-npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js")
}

async fn used(tools: &BTreeMap<String, McpTool>, name: &str, arguments: Value) -> Result<String, String> {
    let call = ToolCall { id: "c1".into(), name: name.into(), arguments };
    let answer = tools[name].run(&call, &CallInfo::default()).await;
    answer.map(|answer| answer.result).map_err(|failure| failure.why)
}

/// What both its transports must do.
fn check_everything(table: &McpTable) {
    let tools = connect(table).unwrap();
    let names: Vec<&str> = tools.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["all__echo", "all__get-structured-content", "all__get-sum", "all__get-tiny-image", "wait"]
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let use_it = async |name: &str, arguments| used(&tools, name, arguments).await;
        assert_eq!(use_it("all__echo", json!({"message": "Hello."})).await.unwrap(), "Echo: Hello.");
        assert!(use_it("all__get-sum", json!({"a": 2, "b": 40})).await.unwrap().contains("42"));
        // Checked before anything is sent.
        assert!(use_it("all__get-sum", json!({"a": "two"})).await.unwrap_err().contains("nothing was done"));
        let weather = use_it("all__get-structured-content", json!({"location": "Chicago"})).await.unwrap();
        assert!(serde_json::from_str::<Value>(&weather).unwrap()["temperature"].is_number(), "{weather}");
        assert!(
            !use_it("all__get-tiny-image", json!({})).await.unwrap().contains("iVBOR"),
            "no pictures on the telephone"
        );
        let slow = use_it("wait", json!({"duration": 30, "steps": 2})).await.unwrap_err();
        assert!(slow.contains("within 1s"), "{slow}");
        // And is as it was.
        assert_eq!(
            use_it("all__echo", json!({"message": "Still there?"})).await.unwrap(),
            "Echo: Still there?"
        );
    });
}

const EVERYTHING: &str = "name = \"all\"\ntimeout = \"1s\"\nallow = [\"echo\", \"get-s*\", \"get-tiny-image\", \
                          \"trigger-long-running-operation\"]\nrename = { trigger-long-running-operation = \"wait\" }\n";

#[test]
fn the_reference_server_is_used_over_its_standard_streams() {
    let Some(path) = everything() else { return };
    let table = format!("{EVERYTHING}command = [\"node\", \"{path}\", \"stdio\"]\n");
    check_everything(&toml::from_str(&table).unwrap());
}

/// A server on a port of its own; ended when dropped.
struct OnPort(Child);

impl Drop for OnPort {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn the_reference_server_is_used_over_http() {
    let Some(path) = everything() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("node");
    command.args([path.as_str(), "streamableHttp"]).env("PORT", port.to_string());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap());
    let _server = OnPort(child);
    // It says so when it listens; what it says later is read, too, so that it never waits for a reader.
    let (listens, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in said.lines().map_while(Result::ok).filter(|line| line.contains("listening")) {
            let _heard = listens.send(line);
        }
    });
    wait.recv_timeout(Duration::from_secs(20)).unwrap();
    let table = format!("{EVERYTHING}url = \"http://127.0.0.1:{port}/mcp\"\n");
    check_everything(&toml::from_str(&table).unwrap());
}

#[test]
fn a_server_by_the_python_sdk_is_used() {
    let Some(path) = installed("foreign/bin/mcp-server-time") else { return };
    let table = format!("name = \"clock\"\ncommand = [\"{path}\"]\nallow = [\"get_*\"]\n");
    let tools = connect(&toml::from_str(&table).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (now, wrong) = runtime.block_on(async {
        let now = used(&tools, "clock__get_current_time", json!({"timezone": "Europe/Berlin"})).await;
        (now, used(&tools, "clock__get_current_time", json!({"timezone": "Mars/Olympus"})).await)
    });
    assert!(now.unwrap().contains("Europe/Berlin"));
    // Its own refusal goes to the model.
    assert!(wrong.unwrap_err().contains("Mars/Olympus"));
}
