//! Recorded calls: every message of either side is what the other expects.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use offhook_twilio::StreamSid;
use offhook_twilio::stream::{Inbound, parse, parse_outbound};

#[test]
fn both_sides_of_recorded_calls_are_understood() {
    for name in ["pizza", "booking", "echo"] {
        let path = format!("{}/../../fixtures/calls/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let (mut stream, mut media, mut counted) = (None, 0u32, 0u32);
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = line["message"].to_string();
            counted += 1;
            if line["from"] == "server" {
                let stream: &StreamSid = stream.as_ref().unwrap();
                parse_outbound(&text, stream).unwrap();
            } else {
                match parse(&text).unwrap() {
                    Inbound::Start(start) => stream = Some(start.stream_sid),
                    Inbound::Media(sound) => {
                        media += 1;
                        assert_eq!(sound.decode(&mut [0; 160]).unwrap().len(), 160);
                    }
                    Inbound::Unknown { event } => panic!("{event}"),
                    _ => {}
                }
            }
        }
        assert!(media > 400 && counted > media, "{name}");
    }
}
