//! A call is kept, found, shown, played and deleted, over the API and by the command line.

use std::process::Command;
use std::time::Duration;

use offhook_simulator::{CallPlan, Script, When, place};
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use serde_json::Value;

use crate::server::{Server, line};

pub(crate) const FROM: &str = "+14155550123";

pub(crate) async fn call(server: &Server, sid: &str) {
    let plan = CallPlan {
        url: format!("http://{}/voice", server.address),
        auth_token: None,
        call_sid: CallSid::parse(sid).unwrap(),
        stream_sid: StreamSid::parse(&format!("MZ{}", &sid[2..])).unwrap(),
        account_sid: AccountSid::parse("AC00000000000000000000000000000000").unwrap(),
        from: FROM.into(),
        to: "+14155550101".into(),
        script: Script::new(vec![line("pizza-1", When::AfterAgent(300))]),
        hang_up_after: Duration::from_millis(600),
        longest: Duration::from_secs(20),
        drop_after: None,
    };
    place(plan, |_| {}).await.unwrap();
}

async fn get(server: &Server, path: &str) -> (u16, Value) {
    let (status, body) = server.ask("GET", path, "", "").await;
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_call_is_kept_found_and_deleted_everywhere() {
    let server = Server::recording("pizza");
    let sid = format!("CA{:032x}", 0x1f);
    call(&server, &sid).await;
    let mut kept = (0, Value::Null);
    for _ in 0..100 {
        kept = get(&server, &format!("/v1/history/{sid}")).await;
        if kept.1["state"] == "over" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let document = kept.1;
    assert_eq!(
        (kept.0, &document["version"], &document["from"]),
        (200, &1.into(), &FROM.into()),
        "{document:#}"
    );
    let turns = document["turns"].as_array().unwrap();
    assert!(
        turns.iter().any(|turn| turn["who"] == "caller")
            && turns.iter().any(|turn| turn["answer"].is_object())
    );
    let word = turns.iter().find(|turn| turn["who"] == "caller").unwrap()["text"].as_str().unwrap();
    let word =
        word.split_whitespace().next().unwrap().trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let (_, found) = get(&server, &format!("/v1/history?words={word}&agent=pizza")).await;
    assert_eq!(found["calls"][0]["id"], sid.as_str(), "{found:#}");
    assert_eq!(get(&server, "/v1/history?wrods=x").await.0, 422);
    let (_, report) = get(&server, "/v1/report").await;
    assert_eq!(report["calls"], 1);
    // Its sound: WAV, stereo, about as long as the call.
    let wav = std::fs::read(server.folder.path().join(format!("{sid}.wav"))).unwrap();
    let seconds = (wav.len() - 58) as f64 / 16_000.0;
    let length = document["duration_ms"].as_f64().unwrap() / 1_000.0;
    assert!((seconds - length).abs() < 1.5, "{seconds} s of sound, {length} s of call");
    let speaks =
        |side: usize| wav[58..].iter().skip(side).step_by(2).filter(|octet| **octet & 0x7F < 0x60).count();
    assert!(speaks(0) > 4_000 && speaks(1) > 4_000, "both sides are to be heard");

    let listed = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .args(["calls", "list", "--record"])
        .arg(server.folder.path())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains(&sid), "{listed:?}");

    let (status, receipt) =
        server.ask("POST", "/v1/deletions", "", &format!("{{\"number\":\"{FROM}\"}}")).await;
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!((status, receipt["calls"].as_array().unwrap().len()), (200, 1), "{receipt:#}");
    assert!(receipt["objects"].as_u64().unwrap() >= 3 && receipt["failures"].as_array().unwrap().is_empty());
    assert_eq!(get(&server, &format!("/v1/history/{sid}")).await.0, 404);
    let mut files = Vec::new();
    let mut folders = vec![server.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&sid) && !text.contains(FROM), "{} still knows the call", path.display());
    }
}
