//! Application servers that others wrote for Twilio's ConversationRelay, unchanged, behind calls of sound. `make foreign` installs them;
//! where one isn't, its test is skipped and says so.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use offhook_simulator::{Line, Say, When, place};

use crate::application::{plan, recogniser};
use crate::fake_twilio::TOKEN;
use crate::server::{Server, line};

/// A server in a process of its own; ended when dropped.
struct Foreign {
    child: Child,
    url: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Foreign {
    /// A script of Python's, by what is installed.
    fn python(script: &str) -> Option<Self> {
        let program = installed("foreign/bin/python")?;
        let mut command = Command::new(program);
        command.arg(folder().join(script)).args([TOKEN, "0"]);
        Some(Self::start(command))
    }

    /// A script of Node's, by what is installed.
    fn node(script: &str) -> Option<Self> {
        let modules = installed("foreign-npm/node_modules/twilio")?;
        let mut command = Command::new("node");
        command.arg(folder().join(script)).arg(modules.parent()?.parent()?).args([TOKEN, "0"]);
        Some(Self::start(command))
    }

    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        let url = first
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("it said “{first}”"))
            .to_owned();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                log.lock().unwrap().push(line);
            }
        });
        Self { child, url, lines }
    }

    fn told(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign")
}

/// `None`, with a word, where it isn't installed.
#[allow(clippy::print_stderr, reason = "whoever runs the tests is to know")]
fn installed(path: &str) -> Option<PathBuf> {
    // As it stands: what a link leads to is another Python.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(path);
    if !path.exists() {
        eprintln!("skipped: {} isn't there; `make foreign` installs it", path.display());
        return None;
    }
    Some(path)
}

/// Offhook in front of an application's webhook.
fn serve(app: &Foreign, stt: &str) -> (Server, tempfile::TempDir) {
    let agent = format!(
        "[agent]\nname = \"foreign\"\nwebhook = \"{}\"\n{stt}[[tts]]\nprovider = \"embedded\"\n",
        app.url
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, agent).unwrap();
    (Server::open(path.to_str().unwrap()), folder)
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Agent Connect: its TwiML is asked for with a signature, its socket is opened with one, it answers, is interrupted, and is told of the
/// end. It would refuse a wrong signature (403), and a `setup`, `prompt` or `interrupt` that isn't as its models say (pydantic).
#[tokio::test]
async fn a_server_by_twilios_agent_connect_converses_and_is_interrupted() {
    let Some(app) = Foreign::python("agent_connect.py") else { return };
    let (_doubles, stt) = recogniser(&["Please count for me.", "Stop it, please, I know them."]).await;
    let (server, _folder) = serve(&app, &stt);
    let keys = Line { when: When::AfterAgent(700), say: Say::Keys("5".into()), text: String::new() };
    let lines = vec![line("pizza-2", When::AfterAgent(500)), line("pizza-1", When::BargeIn(3_000)), keys];
    let report = place(plan(&server.address, 31, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    let told = app.told();
    let place_of = |begins: &str| told.iter().position(|line| line.starts_with(begins));
    assert_eq!(place_of("heard Please count for me."), Some(0), "{told:?}");
    assert!(
        place_of("interrupted").is_some() && place_of("interrupted") < place_of("heard Stop it"),
        "{told:?}"
    );
    // Its greeting, the count that was cut off, and its last answer.
    assert!(report.agent.len() >= 3, "{:?}", report.agent);
}

/// Twilio's library for Node: it checks each signature, ours of the webhook, of the socket and of the action; its TwiML is understood, with
/// the attributes that it spells in its own way. Conversation, interruption, another language, a key, the handoff.
#[tokio::test]
async fn a_server_by_twilios_library_for_node_converses_to_its_handoff() {
    let Some(app) = Foreign::node("twilio_node.mjs") else { return };
    let (_doubles, stt) =
        recogniser(&["Please count for me.", "Stop it, please, I know them.", "Spanish, please."]).await;
    let (server, _folder) = serve(&app, &stt);
    let keys = Line { when: When::AfterAgent(700), say: Say::Keys("9".into()), text: String::new() };
    let lines = vec![
        line("pizza-2", When::AfterAgent(500)),
        line("pizza-1", When::BargeIn(3_000)),
        line("pizza-2", When::AfterAgent(500)),
        keys,
    ];
    let report = place(plan(&server.address, 32, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(report.ended_by, "server", "{:?}", app.told());
    let told = app.told();
    let begins: Vec<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(begins[0], "called by +14155550100");
    assert_eq!(begins[1], "setup PSTN inbound gold");
    assert_eq!(begins[2], "heard en-US Please count for me.");
    assert!(begins[3].starts_with("interrupted true "), "{begins:?}");
    assert_eq!(
        begins[4..],
        [
            "heard en-US Stop it, please, I know them.",
            "heard en-US Spanish, please.",
            "key 9",
            "closed 1000 Closing websocket session",
            r#"done ended in-progress {"reason":"live-agent"}"#
        ]
    );
}
