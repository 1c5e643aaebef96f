//! Calls' files in a bucket, encrypted: played and explained from there, and deleted, so that nothing of the caller is left.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::history::{FROM, call};
use crate::moto::{CREDENTIALS, Moto};
use crate::server::Server;

const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// All files in a folder and those below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..300 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("after 30 s there is not: {what}");
}

#[tokio::test]
async fn a_call_in_a_bucket_is_played_explained_and_deleted_to_the_last_byte() {
    let Some(moto) = Moto::start(None) else { return };
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead.jsonl");
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[twilio]\nauth_token_env = \"NO_TOKEN_IS_SET\"\n[recording]\nform = \"flac\"\nnotice = \"This call is recorded.\"\n[objects]\nurl = \"s3://calls/eu\"\nendpoint = \"http://127.0.0.1:{}\"\n[events]\n\
         webhook = \"http://127.0.0.1:1/\"\nattempts = 1\ndead_letters = {dead:?}\n",
        moto.port
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.envs(CREDENTIALS).env("OFFHOOK_STORE_KEY", KEY).env("NO_PROXY", "*");
    let server = Server::run_as(command, folder, &text, &["--agent", "pizza"]);
    let sid = format!("CA{:032x}", 0x2f);
    call(&server, &sid).await;

    let uploaded = until("an upload of all files", async || {
        let kept = files(server.folder.path());
        let waits = kept.iter().any(|path| path.file_name().unwrap().to_string_lossy().starts_with(&sid));
        let keys = moto.keys();
        (!waits && keys.iter().any(|key| key.ends_with(".flac"))).then_some(keys)
    })
    .await;
    for ending in [".flac", ".tape.jsonl", ".json", ".call.json"] {
        assert!(uploaded.contains(&format!("eu/{sid}{ending}")), "{ending}: {uploaded:?}");
    }
    // What is in the bucket is encrypted.
    for key in &uploaded {
        let object = moto.ask(&format!("GET /calls/{key}"));
        assert!(
            object.contains("\r\n\r\nOFK") && !object.contains(FROM) && !object.contains("pizza"),
            "{key}"
        );
    }
    let (_, document) = server.ask("GET", &format!("/v1/history/{sid}"), "", "").await;
    assert!(document.contains("This call is recorded."), "{document}");
    let (status, flac) = server.ask("GET", &format!("/v1/history/{sid}/recording"), "", "").await;
    assert!(status == 200 && flac.starts_with("fLaC"), "{status}");
    let (status, story) = server.ask("GET", &format!("/v1/tapes/{sid}"), "", "").await;
    assert!(status == 200 && story.contains("turn 1"), "{status} {story}");
    // By its address, from the command line too.
    let explained = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .args(["explain", &format!("s3://calls/eu/{sid}.tape.jsonl")])
        .envs(CREDENTIALS)
        .env("OFFHOOK_STORE_KEY", KEY)
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", moto.port))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&explained.stdout).contains("turn 1"), "{explained:?}");
    until("an event that never arrived", async || {
        std::fs::read_to_string(&dead).ok().filter(|text| text.contains(&sid))
    })
    .await;

    let (_, metrics) = server.ask("GET", "/metrics", "", "").await;
    for name in ["offhook_objects_uploaded_total 4", "offhook_store_written_total"] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    let (status, receipt) =
        server.ask("POST", "/v1/deletions", "", &format!("{{\"number\":\"{FROM}\"}}")).await;
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!((status, receipt["calls"].as_array().unwrap().len()), (200, 1), "{receipt:#}");
    assert!(receipt["objects"].as_u64().unwrap() >= 4 && receipt["failures"].as_array().unwrap().is_empty());
    assert!(receipt["events"].as_u64().unwrap() >= 1, "{receipt:#}");
    assert_eq!(moto.keys(), Vec::<String>::new());
    assert_eq!(server.ask("GET", &format!("/v1/history/{sid}/recording"), "", "").await.0, 404);
    for path in files(server.folder.path()) {
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&sid) && !text.contains(FROM), "{} still knows the call", path.display());
    }
}
