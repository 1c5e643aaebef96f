//! `offhook doctor` examines `offhook serve`: nothing is wrong with it, signed or not.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

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
    serve_agent(token, &["echo"])
}

fn serve_agent(token: Option<&str>, agent: &[&str]) -> (Server, String) {
    let mut command = offhook(token);
    command.args(["serve", "--listen", "127.0.0.1:0", "--agent"]).args(agent).stdout(Stdio::piped());
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
fn our_own_agents_have_no_fault_over_either_transport() {
    for agent in [&["pizza"][..], &["pizza", "--transport", "conversation-relay"]] {
        let (_server, url) = serve_agent(Some("12345"), agent);
        assert_eq!(examine(&url, Some("12345")), (Some(0), vec![]), "{agent:?}");
    }
}

#[test]
fn our_own_server_checks_signatures() {
    let (_server, url) = serve(Some("12345"));
    assert_eq!(examine(&url, Some("12345")), (Some(0), vec![]));
    assert_eq!(examine(&url, Some("54321")), (Some(2), vec!["signature-refused".to_owned()]));
    // Another server: this one has had its fill of wrong signatures from here.
    let (_server, url) = serve(Some("12345"));
    assert_eq!(examine(&url, None), (Some(2), vec!["webhook-forbidden".to_owned()]));
}

// --------------------------------------------------------------------------------------------- what Twilio noted

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const CALL: &str = "CA00000000000000000000000000000001";
const QUIET: &str = "CA00000000000000000000000000000002";
const UNKNOWN: &str = "CA00000000000000000000000000000003";

/// A stand-in for Twilio's API: its address.
fn api() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut wire in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(wire.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            let (status, body) = answer(&head);
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            wire.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

fn answer(head: &[String]) -> (&'static str, String) {
    // AC…1:12345
    let login = "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMToxMjM0NQ==";
    if !head.iter().any(|line| line.eq_ignore_ascii_case(&format!("authorization: {login}"))) {
        let body = r#"{"code":20003,"message":"Authenticate","more_info":"","status":401}"#;
        return ("401 Unauthorized", body.to_owned());
    }
    let root = format!("GET /2010-04-01/Accounts/{ACCOUNT}/Calls");
    let request = head[0].strip_suffix(" HTTP/1.1").unwrap();
    let Some(asked) = request.strip_prefix(&root) else { return ("404 Not Found", not_found()) };
    // As Twilio lists them, newest first.
    let notes = serde_json::json!({"notifications": [
        {"error_code": "31920", "log": "0", "message_date": "Tue, 03 Nov 2026 10:00:02 +0000", "request_url": "",
         "message_text": "Msg=Stream+-+WebSocket+-+Handshake+Error&LogLevel=ERROR", "call_sid": CALL, "sid": "NO2"},
        {"error_code": "12200", "log": "1", "message_date": "Tue, 03 Nov 2026 10:00:01 +0000",
         "request_url": "https://h.example/voice", "message_text": "Msg=Schema+validation+warning", "sid": "NO1"}],
        "page": 0, "page_size": 1000, "next_page_uri": null});
    let nothing = serde_json::json!({"notifications": [], "page": 0, "next_page_uri": null});
    let call = |sid| serde_json::json!({"sid": sid, "status": "completed", "price": null});
    let body = match asked {
        path if path == format!("/{CALL}/Notifications.json?PageSize=1000") => notes,
        // Twilio lists nothing for calls that it doesn't know.
        path if path.ends_with("/Notifications.json?PageSize=1000") => nothing,
        path if path == format!("/{QUIET}.json") => call(QUIET),
        _ => return ("404 Not Found", not_found()),
    };
    ("200 OK", body.to_string())
}

fn not_found() -> String {
    r#"{"code":20404,"message":"The requested resource was not found","more_info":"","status":404}"#
        .to_owned()
}

fn explain(call: &str, token: &str, more: &[&str]) -> Output {
    let mut command = offhook(Some(token));
    command.env("TWILIO_ACCOUNT_SID", ACCOUNT).env_remove("TWILIO_API_KEY").stderr(Stdio::piped());
    command.args(["doctor", "--call", call, "--api-base", &api()]).args(more).output().unwrap()
}

#[test]
fn notes_of_a_call_are_listed_and_explained() {
    let output = explain(CALL, "12345", &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    let (warning, error) = (told.find("Twilio 12200").unwrap(), told.find("Twilio 31920").unwrap());
    assert!(warning < error, "oldest first: {told}");
    for wanted in [
        "Schema validation warning",
        "Stream - WebSocket - Handshake Error",
        "means",
        "fix",
        "https://h.example/voice",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    let output = explain(CALL, "12345", &["--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["call"], &report["notes"][1]["code"]), (&CALL.into(), &31_920.into()));
    assert_eq!((&report["notes"][0]["warning"], output.status.code()), (&true.into(), Some(2)));
}

#[test]
fn a_call_without_notes_is_told_from_one_that_twilio_does_not_know() {
    let output = explain(QUIET, "12345", &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("noted nothing") && told.contains("completed"), "{told}");
    assert_eq!(output.status.code(), Some(0));
    let output = explain(UNKNOWN, "12345", &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("20404"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_keeps_notes_from_being_read_is_told() {
    for (call, token, wanted) in [
        (CALL, "54321", "credentials"),
        ("CA123 ", "12345", "CA123"),
        ("AC00000000000000000000000000000001", "12345", "CA"),
    ] {
        let output = explain(call, token, &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(wanted) && !told.contains(token), "{call}: {told}");
        assert_eq!(output.status.code(), Some(1), "{call}");
    }
    let nobody = offhook(Some("12345"))
        .env("TWILIO_ACCOUNT_SID", ACCOUNT)
        .env_remove("TWILIO_API_KEY")
        .args(["doctor", "--call", CALL, "--api-base", "http://127.0.0.1:9"])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    let without = offhook(None)
        .env_remove("TWILIO_ACCOUNT_SID")
        .args(["doctor", "--call", CALL])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(String::from_utf8(without.stderr).unwrap().contains("TWILIO_ACCOUNT_SID"));
}
