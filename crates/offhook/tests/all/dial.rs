//! `offhook dial`, against a server whose Twilio is a fake.

use std::process::Command;

use crate::fake_twilio::{FakeTwilio, TOKEN};
use crate::server::{API_TOKEN, Server, config};

#[tokio::test]
async fn dial_starts_a_server_of_its_own() {
    let fake = FakeTwilio::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    // Its API's token is read from a file, which comes before the environment.
    std::fs::write(folder.path().join("token"), "another-token-that-nobody-guesses").unwrap();
    let token = format!("[api]\ntoken_file = \"{}\"\n", folder.path().join("token").display());
    for api in ["", token.as_str()] {
        let record = format!("record = \"{}\"\n", folder.path().display());
        std::fs::write(&file, format!("{record}{}{api}", config(&fake, ""))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        command.args(["dial", "+14155550190", "--goal", "Reach somebody.", "--start", "--config"]).arg(&file);
        command.env("TWILIO_AUTH_TOKEN", TOKEN).env_remove("PORT").env_remove("OFFHOOK_API_TOKEN");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}{}", String::from_utf8_lossy(&output.stderr));
        assert!(told.contains("verdict  no_answer"), "{told}");
    }
    assert_eq!(fake.creates(), 2);
    // What came of the calls was written down before the servers ended.
    for call in fake.calls() {
        let kept = std::fs::read_to_string(folder.path().join(format!("{}.call.json", call.sid))).unwrap();
        assert!(kept.contains("no_answer"), "{kept}");
    }
}

#[tokio::test]
async fn dial_follows_a_call_to_its_verdict() {
    let fake = FakeTwilio::start().await;
    let server = Server::start(&fake, "echo");
    let dial = |number: &str| {
        let mut command = dial_command(&server);
        command.args([number, "--goal", "Reach somebody.", "--parameter", "customer=7"]);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let output = dial("+14155550190").await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("calling  +14155550190") && told.contains("verdict  no_answer (the line was busy)"),
        "{told}"
    );
    let output = dial("+14165550190").await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("may not be called"), "{told}");
    assert_eq!(fake.creates(), 1);
}

fn dial_command(server: &Server) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command
        .args(["dial", "--server", &format!("http://{}", server.address)])
        .env("OFFHOOK_API_TOKEN", API_TOKEN);
    command
}
