//! The board and the alerts speak of what the server counts; a real Prometheus scrapes it, and finds nothing wrong.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{API_TOKEN, Server};

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

async fn page(server: &Server) -> String {
    server.ask("GET", "/metrics", "", "").await.1
}

/// The names in an expression that are ours.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| (word.starts_with("offhook_") || word.starts_with("process_")) && !word.contains(':'))
        .map(|word| word.trim_end_matches("_bucket").trim_end_matches("_total").to_owned())
        .collect()
}

/// What the board asks.
fn of_the_board() -> Vec<String> {
    let board = std::fs::read_to_string(deploy("grafana/offhook.json")).unwrap();
    let board: serde_json::Value = serde_json::from_str(&board).unwrap();
    let targets =
        board["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_board_and_the_alerts_speak_of_what_is_counted() {
    let server = Server::open("echo");
    let counted = page(&server).await;
    let known: BTreeSet<&str> =
        counted.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let mut spoken_of: BTreeSet<String> = of_the_board().iter().flat_map(|text| names(text)).collect();
    let rules = std::fs::read_to_string(deploy("prometheus/offhook.rules.yml")).unwrap();
    for line in rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")) {
        spoken_of.extend(names(line));
    }
    assert!(spoken_of.len() > 25, "{spoken_of:?}");
    let unknown: Vec<_> = spoken_of.iter().filter(|name| !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not in\n{counted}");
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// What Prometheus answers to a query.
async fn query(address: &str, path: &str) -> Option<serde_json::Value> {
    let mut wire = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    wire.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    wire.read_to_string(&mut answer).await.ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// A process, ended when dropped.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_real_prometheus_scrapes_it_and_takes_the_rules() {
    if !is_there("prometheus") || !is_there("promtool") {
        println!("skipped: Debian's package `prometheus` is not installed");
        return;
    }
    let rules = deploy("prometheus/offhook.rules.yml");
    // Each alert fires when it should, and none on a quiet server.
    let tests = deploy("prometheus/offhook.rules.test.yml");
    for (what, file) in [("check", &rules), ("test", &tests)] {
        let checked = Command::new("promtool").args([what, "rules"]).arg(file).output().unwrap();
        let told = [checked.stdout, checked.stderr].concat();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&told));
    }

    let server = Server::open("echo");
    let folder = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(deploy("prometheus/prometheus.yml"))
        .unwrap()
        .replace("127.0.0.1:5000", &server.address)
        .replace("scrape_interval: 15s", "scrape_interval: 200ms\n  evaluation_interval: 200ms")
        .replace(
            "# authorization: { credentials_file: /etc/prometheus/offhook-token }",
            &format!("authorization: {{ credentials: {API_TOKEN} }}"),
        )
        .replace("offhook.rules.yml", &rules.canonicalize().unwrap().display().to_string());
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={free}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let found = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let asked = query(&free, "/api/v1/query?query=offhook_calls_in_progress").await;
            if asked
                .is_some_and(|asked| asked["data"]["result"].as_array().is_some_and(|all| !all.is_empty()))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    found.await.expect("Prometheus never had a value");
    let rules = query(&free, "/api/v1/rules").await.unwrap();
    let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 10);
    for rule in rules {
        assert_ne!(rule["health"], "err", "{rule}");
    }
    for expression in of_the_board() {
        let asked = expression.replace("$__rate_interval", "1m");
        let asked: String = asked.bytes().map(|octet| format!("%{octet:02X}")).collect();
        let answer = query(&free, &format!("/api/v1/query?query={asked}")).await.unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
    }
    let targets = query(&free, "/api/v1/targets").await.unwrap();
    assert_eq!(targets["data"]["activeTargets"][0]["lastError"], "", "{targets}");
}
