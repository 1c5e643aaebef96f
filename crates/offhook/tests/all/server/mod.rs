//! A running server, and its API.
#![allow(dead_code, reason = "nobody uses all of it")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use offhook_script::shipped;
use offhook_simulator::{Line, Say, When};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fake_twilio::{ACCOUNT, FakeTwilio, TOKEN};

pub(crate) const API_TOKEN: &str = "a-token-that-nobody-guesses";

/// What signs requests to applications.
pub(crate) const SIGNING_SECRET: &str = "a-secret-between-servers";

/// A running server; ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(fake: &FakeTwilio, agent: &str) -> Self {
        Self::start_with(fake, &["--agent", agent])
    }

    /// In the server's folder there is an agent `by_text.toml`, which may be asked for.
    pub(crate) fn start_with(fake: &FakeTwilio, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let by_text = folder.path().join("by_text.toml");
        let text = config(fake, &format!("\"{}\"", by_text.display()));
        let agent =
            shipped("booking").unwrap().replacen("name = ", "transport = \"conversation-relay\"\nname = ", 1);
        std::fs::write(by_text, agent).unwrap();
        Self::run(folder, &text, args)
    }

    /// Without access to Twilio's API.
    pub(crate) fn without_rest(agent: &str) -> Self {
        let text = "listen = \"127.0.0.1:0\"\n[outbound]\nallow = [\"+1415555\"]\n";
        Self::run(tempfile::tempdir().unwrap(), text, &["--agent", agent])
    }

    /// Records calls' sound; without access to Twilio's API and without signatures.
    pub(crate) fn recording(agent: &str) -> Self {
        let text = "listen = \"127.0.0.1:0\"\n[twilio]\nauth_token_env = \"NO_TOKEN_IS_SET\"\n[recording]\nform = \"wav\"\n";
        Self::run(tempfile::tempdir().unwrap(), text, &["--agent", agent])
    }

    /// With `[[tenant]]`s, whose secrets are in these variables.
    pub(crate) fn with_tenants(text: &str, secrets: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        command.stderr(Stdio::null()).envs(secrets.iter().copied());
        Self::run_as(command, tempfile::tempdir().unwrap(), text, &[])
    }

    /// Without any token.
    pub(crate) fn open(agent: &str) -> Self {
        Self::open_with(agent, "")
    }

    /// The same, with more in its configuration.
    pub(crate) fn open_with(agent: &str, more: &str) -> Self {
        let text = "listen = \"127.0.0.1:0\"\n[twilio]\nauth_token_env = \"NO_TOKEN_IS_SET\"\n";
        Self::run(tempfile::tempdir().unwrap(), &format!("{text}{more}"), &["--agent", agent])
    }

    /// Without any token; trusts an authority (PEM) of a test's own.
    pub(crate) fn trusting(authority: &str, agent: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authority.pem");
        std::fs::write(&file, authority).unwrap();
        let text = "listen = \"127.0.0.1:0\"\n[twilio]\nauth_token_env = \"NO_TOKEN_IS_SET\"\n";
        Self::run(folder, text, &["--agent", agent, "--ca", file.to_str().unwrap()])
    }

    /// Without access to Twilio's API, behind what a shell does first, such as `ulimit`; its log is nobody's to read.
    pub(crate) fn hindered(first: &str, agent: &str) -> Self {
        let text = "listen = \"127.0.0.1:0\"\n";
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{first} exec \"$@\""), "sh", env!("CARGO_BIN_EXE_offhook")]);
        command.env("OFFHOOK_LOG", "trace").stderr(Stdio::piped());
        Self::run_as(command, tempfile::tempdir().unwrap(), text, &["--agent", agent])
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end; gives its exit status.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the server did not end");
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    fn run(folder: tempfile::TempDir, text: &str, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        command.stderr(Stdio::null());
        Self::run_as(command, folder, text, args)
    }

    /// Runs it by this command.
    pub(crate) fn run_as(mut command: Command, folder: tempfile::TempDir, text: &str, args: &[&str]) -> Self {
        let config = folder.path().join("offhook.toml");
        std::fs::write(&config, text).unwrap();
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&config).args(args);
        command.arg("--record").arg(folder.path()).arg("--compress=false").env_remove("PORT");
        command.env("TWILIO_AUTH_TOKEN", TOKEN).env("OFFHOOK_API_TOKEN", API_TOKEN);
        command.env_remove("TWILIO_API_KEY").env_remove("TWILIO_ACCOUNT_SID").stdout(Stdio::piped());
        command
            .env("DEEPGRAM_API_KEY", "a-key-that-doubles-take")
            .env("OFFHOOK_SIGNING_SECRET", SIGNING_SECRET);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().rsplit("://").next().unwrap().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(drop));
        Self { child, address, folder }
    }

    /// Status and body.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        self.ask_as(API_TOKEN, (method, path), headers, body).await
    }

    /// The same, with another token. Of an answer that doesn't end there is what came within two seconds.
    pub(crate) async fn ask_as(
        &self,
        token: &str,
        (method, path): (&str, &str),
        headers: &str,
        body: &str,
    ) -> (u16, String) {
        let mut wire = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n{headers}Connection: \
             close\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        wire.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let reading = async { while wire.read_buf(&mut answer).await.unwrap() > 0 {} };
        let endless = path == "/events" || path.ends_with("/events") || path.ends_with("/listen");
        let patience = if endless && token != API_TOKEN { 2 } else { 600 };
        let _ended = tokio::time::timeout(Duration::from_secs(patience), reading).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    pub(crate) async fn order(&self, order: &Value) -> (u16, Value) {
        let (status, body) = self.ask("POST", "/calls", "", &order.to_string()).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    pub(crate) async fn show(&self, sid: &str) -> Value {
        let (status, body) = self.ask("GET", &format!("/calls/{sid}"), "", "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until the call looks like this.
    pub(crate) async fn until(&self, sid: &str, what: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..300 {
            let call = self.show(sid).await;
            if what(&call) {
                return call;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it never came: {}", self.show(sid).await);
    }

    /// The call's document, once it is written whole: that is another thread's work, after the call is over.
    pub(crate) async fn kept(&self, sid: &str) -> String {
        let path = self.folder.path().join(format!("{sid}.call.json"));
        for _ in 0..300 {
            match std::fs::read_to_string(&path) {
                Ok(text) if serde_json::from_str::<Value>(&text).is_ok() => return text,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        panic!("{} was never written", path.display());
    }

    pub(crate) async fn tell(&self, sid: &str, what: &str, body: &Value) -> u16 {
        self.ask("POST", &format!("/calls/{sid}/{what}"), "", &body.to_string()).await.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A configuration whose Twilio is the fake. Agents that may be asked for: those of these files.
pub(crate) fn config(fake: &FakeTwilio, agents: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\n[twilio]\naccount_sid = \"{ACCOUNT}\"\napi_base = \"{}\"\n[outbound]\nfrom = \
         \"+14155550101\"\nallow = [\"+1415555\"]\ncalls_per_second = 50.0\nagents = [{agents}]\n[call.voicemail]\nsilence = \
         \"1s\"\n",
        fake.base
    )
}

pub(crate) fn has_said(call: &Value, words: &str) -> bool {
    let lines = call["transcript"].as_array().unwrap();
    lines.iter().any(|line| line["who"] == "agent" && line["text"].as_str().unwrap().contains(words))
}

pub(crate) fn is_over(call: &Value) -> bool {
    !call["outcome"].is_null() && call["talking"] == false
}

pub(crate) fn line(name: &str, when: When) -> Line {
    let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let wav = std::fs::read(path).unwrap();
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    Line { when, say: Say::Sound(wav[data..].to_vec()), text: name.into() }
}
