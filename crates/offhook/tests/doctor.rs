//! `offhook doctor` examines `offhook serve`: nothing is wrong with it, signed or not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running server; ended when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn offhook(token: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.env_remove("PORT").env_remove("TWILIO_AUTH_TOKEN").stderr(Stdio::null());
    if let Some(token) = token {
        command.env("TWILIO_AUTH_TOKEN", token);
    }
    command
}

fn serve(token: Option<&str>) -> (Server, String) {
    let mut command = offhook(token);
    command.args(["serve", "--listen", "127.0.0.1:0", "--agent", "echo"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line.trim().rsplit("http://").next().unwrap().to_owned();
    // The pipe must stay open, or the server's later lines would fail.
    std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(drop));
    (Server(child), format!("http://{address}/voice"))
}

/// The exit status, and the causes of what is not fine.
fn examine(url: &str, token: Option<&str>) -> (Option<i32>, Vec<String>) {
    let output = offhook(token).args(["doctor", url, "--local", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let bad = report["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] != "fine");
    (output.status.code(), bad.map(|finding| finding["cause"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn our_own_server_has_no_fault() {
    let (_server, url) = serve(None);
    assert_eq!(examine(&url, None), (Some(0), vec![]));
}

#[test]
fn our_own_server_checks_signatures() {
    let (_server, url) = serve(Some("12345"));
    assert_eq!(examine(&url, Some("12345")), (Some(0), vec![]));
    assert_eq!(examine(&url, Some("54321")), (Some(2), vec!["signature-refused".to_owned()]));
    assert_eq!(examine(&url, None), (Some(2), vec!["webhook-forbidden".to_owned()]));
}
