//! ConversationRelay sessions recorded by another project, which are not part of this one: read from `../shared/recordings` beside
//! the repository, or from where `OFFHOOK_RECORDINGS` points; without them the test says so, and passes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use offhook_twilio::relay::{Inbound, parse};
use serde_json::Value;

#[test]
fn everything_that_twilio_was_recorded_to_send_is_read() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings");
    let folder = std::env::var_os("OFFHOOK_RECORDINGS").map_or_else(beside, PathBuf::from);
    let Ok(files) = std::fs::read_dir(folder.join("thicket-conversationrelay")) else {
        eprintln!("skipped: there are no recordings at ../shared/recordings");
        return;
    };
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for path in files.map(|entry| entry.unwrap().path()) {
        for line in std::fs::read_to_string(&path).unwrap().lines().filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["dir"] != "in" {
                continue;
            }
            let frame = line["frame"].to_string();
            let read = parse(&frame).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let kind = match read {
                Inbound::Setup(_) => "setup",
                Inbound::Prompt { .. } => "prompt",
                Inbound::Dtmf { .. } => "dtmf",
                Inbound::Interrupt { after, .. } => {
                    assert!(after.is_some());
                    "interrupt"
                }
                Inbound::Error { .. } => "error",
                Inbound::Info(_) => "info",
                Inbound::Unknown { kind } => panic!("{}: a message of the kind {kind}", path.display()),
            };
            *kinds.entry(kind).or_default() += 1;
        }
    }
    eprintln!("messages read: {kinds:?}");
    assert!(kinds.get("prompt").is_some_and(|count| *count > 10));
}
