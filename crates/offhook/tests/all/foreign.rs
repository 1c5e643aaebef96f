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
    /// `None`, with a word, where what it needs isn't installed.
    #[allow(clippy::print_stderr, reason = "whoever runs the tests is to know")]
    fn start(program: &str, script: &str) -> Option<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program: PathBuf = here.join("../../target").join(program);
        if !program.exists() {
            eprintln!("skipped: {} isn't there; `make foreign` installs it", program.display());
            return None;
        }
        let mut command = Command::new(program);
        command.arg(here.join("tests/foreign").join(script)).args([TOKEN, "0"]);
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
        Some(Self { child, url, lines })
    }

    fn told(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
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
    let Some(app) = Foreign::start("foreign/bin/python", "agent_connect.py") else { return };
    let (_doubles, stt) = recogniser(&["Please count for me.", "Stop it, please, I know them."]).await;
    let agent = format!(
        "[agent]\nname = \"foreign\"\nwebhook = \"{}\"\n{stt}[[tts]]\nprovider = \"embedded\"\n",
        app.url
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, agent).unwrap();
    let server = Server::open(path.to_str().unwrap());
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
