//! The examples of `examples/`, each started as its file says and called over the real wire. One whose language isn't on this machine
//! is skipped, with a word.
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::application::{plan, recogniser, utterances};
use crate::server::{self, Server, line};
use offhook_simulator::{CallReport, When, place};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// An example's own program; ended when dropped.
struct Program {
    child: Child,
    port: String,
    lines: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Program {
    /// Starts it on a free port; it prints `listening on …://127.0.0.1:PORT/…` first.
    fn start(command: &mut Command) -> Self {
        let mut child = command.arg("0").stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        let port = first.split("127.0.0.1:").nth(1).unwrap_or_else(|| panic!("it said “{first}”"));
        let port = port.split('/').next().unwrap().trim().to_owned();
        let lines: std::sync::Arc<std::sync::Mutex<Vec<String>>> = std::sync::Arc::default();
        let log = std::sync::Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                log.lock().unwrap().push(line);
            }
        });
        Self { child, port, lines }
    }

    fn printed(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Whether a program can be run; says so if not.
#[allow(clippy::print_stderr, reason = "whoever runs the tests is to know")]
fn there_is(program: &str, arguments: &[&str]) -> bool {
    let ran = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = ran.is_ok_and(|status| status.success());
    if !there {
        eprintln!("skipped: `{program} {}` can't be run on this machine", arguments.join(" "));
    }
    there
}

/// Calls the agent of an example's folder, with its program at this port, and a recogniser that hears what a caller would say.
async fn called(folder: &str, usual_port: &str, program: &Program, number: u32) -> CallReport {
    let (_doubles, stt) = recogniser(&["Two people.", "On Friday."]).await;
    let text = std::fs::read_to_string(examples().join(folder).join("agent.toml")).unwrap();
    assert!(text.contains(&format!("127.0.0.1:{usual_port}")), "{text}");
    let text = text
        .replace(&format!("127.0.0.1:{usual_port}"), &format!("127.0.0.1:{}", program.port))
        .replace("[[stt]]\nprovider = \"embedded\"\n", &stt);
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("agent.toml");
    std::fs::write(&path, text).unwrap();
    let server = Server::open(path.to_str().unwrap());
    let lines = vec![line("pizza-2", When::AfterAgent(600)), line("pizza-5", When::AfterAgent(600))];
    let report = place(plan(&server.address, number, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    // Greeting, the question that was left, and the booking, with which the agent hangs up.
    assert_eq!((report.ended_by.as_str(), report.agent.len() >= 3), ("server", true), "{:?}", report.agent);
    report
}

#[tokio::test]
async fn the_relay_server_in_python_books_a_table() {
    if !there_is("python3", &["--version"]) {
        return;
    }
    let program = Program::start(Command::new("python3").arg(examples().join("python-relay/server.py")));
    called("python-relay", "8081", &program, 21).await;
    let printed = program.printed();
    assert_eq!(printed, ["setup", "prompt", "prompt"], "an interruption would be told");
}

#[tokio::test]
async fn the_relay_server_in_typescript_books_a_table() {
    let source = examples().join("typescript-relay/server.ts");
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new("node");
    // The compiler that the console is tested with, where node itself is too old to take types.
    let compiler = examples().join("../target/console-npm/node_modules/.bin/tsc");
    if there_is("node", &["--experimental-strip-types", "--eval", "0"]) {
        command.args(["--experimental-strip-types", "--no-warnings"]).arg(&source);
    } else if compiler.exists() {
        let options = [
            "--target",
            "es2022",
            "--module",
            "es2022",
            "--moduleResolution",
            "bundler",
            "--types",
            "",
            "--outDir",
        ];
        // It has no types of node's here, and says so; what it writes is right.
        let _grumbles = Command::new(&compiler).args(options).arg(out.path()).arg(&source).output().unwrap();
        std::fs::write(out.path().join("package.json"), "{\"type\": \"module\"}").unwrap();
        command.arg(out.path().join("server.js"));
    } else {
        return;
    }
    let program = Program::start(&mut command);
    called("typescript-relay", "8082", &program, 22).await;
    assert_eq!(program.printed(), ["setup", "prompt", "prompt"]);
}

#[tokio::test]
async fn the_openai_compatible_server_books_a_table_and_knows_its_call() {
    if !there_is("python3", &["--version"]) {
        return;
    }
    let mut command = Command::new("python3");
    command.arg(examples().join("openai-compatible/server.py"));
    let program = Program::start(command.env("OFFHOOK_SIGNING_SECRET", server::SIGNING_SECRET));
    let report = called("openai-compatible", "8083", &program, 23).await;
    let printed = program.printed();
    let expected = format!("call {} from +14155550100", report.call_sid);
    assert!(printed.len() >= 3 && printed.iter().all(|line| *line == expected), "{printed:?}");
}

/// A program of its own that has Offhook's crates: `cargo nextest run --workspace` builds it beside ours.
#[allow(clippy::print_stderr, reason = "whoever runs the tests is to know")]
#[tokio::test]
async fn the_rust_program_books_a_table() {
    let program = Path::new(env!("CARGO_BIN_EXE_offhook")).with_file_name("booking-in-rust");
    if !program.exists() {
        eprintln!(
            "skipped: {} isn't built; cargo build -p offhook-example-booking does it",
            program.display()
        );
        return;
    }
    let (doubles, _) = recogniser(&["Two people.", "On Friday."]).await;
    let mut command = Command::new(program);
    command.env("DEEPGRAM_URL", format!("{}/v1/listen", doubles.ws())).env("DEEPGRAM_API_KEY", "a-key");
    let program = Program::start(command.env_remove("TWILIO_AUTH_TOKEN"));
    let lines = vec![line("pizza-2", When::AfterAgent(600)), line("pizza-5", When::AfterAgent(600))];
    let report = place(plan(&format!("127.0.0.1:{}", program.port), 25, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!((report.ended_by.as_str(), report.agent.len() >= 3), ("server", true), "{:?}", report.agent);
    let printed = program.printed();
    for said in
        ["caller: Two people.", "caller: On Friday.", "agent: A table for 2, friday. It is booked. Goodbye!"]
    {
        assert!(printed.iter().any(|line| line == said), "{said}: {printed:?}");
    }
}

#[tokio::test]
async fn tools_of_an_mcp_server_book_a_table_after_the_callers_yes() {
    use offhook_doubles::{Doubles, DoublesConfig, Rule, Script as OfDoubles, ToolCall};
    if !there_is("python3", &["--version"]) {
        return;
    }
    let program = Program::start(Command::new("python3").arg(examples().join("mcp-tools/server.py")));
    // A model that books, is told to ask first, asks, and books again.
    let booking = || ToolCall {
        name: "booking__book_table".into(),
        arguments: serde_json::json!({"day": "friday", "people": 2, "caller": "+1999"}),
    };
    let rule = |heard: &str, say: &str, calls: Vec<ToolCall>| Rule {
        heard: heard.into(),
        say: say.into(),
        calls,
        ..Rule::default()
    };
    let end = ToolCall { name: "end_call".into(), arguments: serde_json::json!({}) };
    let script = OfDoubles {
        caller: utterances(&["Two people.", "Yes please."]),
        answers: vec![
            rule("two people", "", vec![booking()]),
            Rule {
                tool_result: true,
                ..rule("not agreed", "A table for two on Friday. Is that right?", vec![])
            },
            rule("yes please", "", vec![booking()]),
            Rule { tool_result: true, ..rule("booked", "It is booked. Goodbye!", vec![end]) },
        ],
    };
    let doubles = Doubles::start(DoublesConfig { script, ..DoublesConfig::default() }).await.unwrap();
    let text = std::fs::read_to_string(examples().join("mcp-tools/agent.toml")).unwrap();
    let stt = format!(
        "[[stt]]\nprovider = \"deepgram\"\nmodel = \"nova-3\"\nurl = \"{}/v1/listen\"\n",
        doubles.ws()
    );
    let llm = format!(
        "model = \"gpt-6-luna\"\nbase_url = \"{}/v1\"\nkey_env = \"DEEPGRAM_API_KEY\"\n",
        doubles.http()
    );
    let text = text
        .replace("127.0.0.1:8084", &format!("127.0.0.1:{}", program.port))
        .replace("[[stt]]\nprovider = \"embedded\"\n", &stt)
        .replace("model = \"gpt-6-luna\"\n", &llm);
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("agent.toml");
    std::fs::write(&path, text).unwrap();
    let server = Server::open(path.to_str().unwrap());
    let lines = vec![line("pizza-2", When::AfterAgent(600)), line("pizza-5", When::AfterAgent(600))];
    let report = place(plan(&server.address, 24, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(report.ended_by, "server", "{:?}", report.agent);
    // Once, after the yes; and the caller's number is the telephone's, not the model's.
    let printed = program.printed();
    assert_eq!(printed.len(), 1, "{printed:?}");
    assert!(
        printed[0].contains("\"caller\": \"+14155550100\"") && printed[0].contains("\"people\": 2"),
        "{printed:?}"
    );
}
