//! Sessions recorded from real services, by other projects: see `llm/tests/recordings.rs` for where they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::super::Dialect;
use super::config;
use crate::llm::recorded::{folder, hash};
use crate::realtime::config::RealtimeProvider;
use crate::realtime::wire::{self, Heard};

/// What came of a session.
#[derive(Debug, Default)]
struct Came {
    words: String,
    caller: String,
    octets: usize,
    tools: Vec<String>,
    done: Vec<String>,
    errors: Vec<String>,
    tokens: offhook_stages::Usage,
    unread: usize,
}

impl Came {
    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Words { delta, .. } | Heard::Text { delta, .. } => self.words.push_str(&delta),
            Heard::CallerDone { transcript, .. } => {
                self.caller.push_str(&transcript);
                self.caller.push(' ');
            }
            Heard::Sound { delta, .. } => self.octets += wire::sound(&delta).map_or(0, |octets| octets.len()),
            Heard::ItemDone { item, .. } if item.is_call() => {
                self.tools.push(format!("{} {}", item.name, item.arguments().unwrap_or_default()));
            }
            Heard::Done { response, usage } => {
                for tokens in response.usage.iter().chain(&usage) {
                    tokens.add_to(&mut self.tokens);
                }
                self.done.push(response.status);
            }
            Heard::Used { usage } => usage.add_to(&mut self.tokens),
            Heard::Error { error } => self.errors.push(error.code().to_owned()),
            _ => {}
        }
    }

    fn summary(&self) -> String {
        let words = self.words.split_whitespace().collect::<Vec<_>>().join(" ");
        let caller = self.caller.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut line = format!("{} words {:08x}", words.split(' ').count(), hash(&words));
        if !caller.is_empty() {
            let _infallible = write!(line, ", caller {:08x}", hash(&caller));
        }
        for tool in &self.tools {
            let _infallible = write!(line, ", tool {:08x}", hash(tool));
        }
        let (used, done) = (&self.tokens, self.done.join("+"));
        let _infallible = write!(
            line,
            ", {} octets, {done}, {}+{} in, {} out",
            self.octets, used.input_tokens, used.cached_tokens, used.output_tokens
        );
        for error in &self.errors {
            let _infallible = write!(line, ", error {error}");
        }
        line
    }
}

fn provider(name: &str, text: &str) -> RealtimeProvider {
    match name {
        _ if text.contains("setupComplete") => RealtimeProvider::Gemini,
        _ if name.contains("xai") => RealtimeProvider::Xai,
        _ if name.contains("voice_live") => RealtimeProvider::AzureVoiceLive,
        _ => RealtimeProvider::Openai,
    }
}

/// Has the dialect do what the recorded client's service did by itself: find the caller's turn, and answer it.
fn answer(dialect: &mut Dialect, came: &mut Came) {
    for event in [wire::commit(1), wire::respond(1, offhook_stage_api::ToolUse::Auto)] {
        dialect.send(event).heard.into_iter().for_each(|heard| came.hear(heard));
    }
}

#[test]
fn every_recorded_session_is_understood() {
    let Some(folder) = folder() else {
        eprintln!("skipped: {} recordings are not at ../shared/recordings", KNOWN.lines().count());
        return;
    };
    let mut read = BTreeMap::new();
    let files = std::fs::read_dir(folder.join("pydantic-ai-realtime")).into_iter().flatten();
    for path in files.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let provider = provider(&name, &text);
        let (mut dialect, mut came) = (Dialect::new(&config(provider)), Came::default());
        let mut answering = false;
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["kind"] != "message" && !line["kind"].is_null() {
                continue;
            }
            let message = &line["data"];
            let gemini = provider == RealtimeProvider::Gemini;
            if line["direction"] == "sent" {
                if gemini && !message["realtime_input"]["audio"].is_null() {
                    let sent = dialect.send(wire::append(&[0xFF; 160]));
                    sent.heard.into_iter().for_each(|heard| came.hear(heard));
                }
                continue;
            }
            let content = &message["serverContent"];
            let says = ["modelTurn", "outputTranscription"].iter().any(|name| !content[*name].is_null());
            if gemini && (says || !message["toolCall"].is_null()) && !std::mem::replace(&mut answering, true)
            {
                answer(&mut dialect, &mut came);
            }
            if content["turnComplete"] == true || !message["toolCall"].is_null() {
                answering = false;
            }
            match dialect.receive(&message.to_string()) {
                Ok(heard) => heard.into_iter().for_each(|heard| came.hear(heard)),
                Err(error) => {
                    came.unread += 1;
                    eprintln!("{name}: {error}");
                }
            }
        }
        assert_eq!(came.unread, 0, "{name}");
        assert!(!came.words.is_empty() || !came.tools.is_empty() || !came.errors.is_empty(), "{name}");
        if std::env::var_os("OFFHOOK_RECORDINGS_SHOW").is_some() {
            eprintln!("{name}: {came:?}");
        }
        read.insert(name, came.summary());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/realtime/dialect/tests/recordings.txt");
    if std::env::var_os("OFFHOOK_RECORDINGS_UPDATE").is_some() {
        let lines: String = read.iter().map(|(name, told)| format!("{name} [{told}\n")).collect();
        return std::fs::write(path, lines).unwrap();
    }
    let known: BTreeMap<&str, &str> = KNOWN.lines().filter_map(|line| line.split_once(" [")).collect();
    for (name, told) in read {
        if let Some(expected) = known.get(name.as_str()) {
            assert_eq!(told, *expected, "{name}");
        }
    }
}

/// Words and sound that nobody asked for by a turn: every message is read.
#[test]
fn a_recorded_translation_is_understood() {
    let Some(folder) = folder() else {
        eprintln!("skipped: 1 recording is not at ../shared/recordings");
        return;
    };
    let path = "vercel-ai/google/speech-translation/google-live-speech-translation.chunks.txt";
    let Ok(text) = std::fs::read_to_string(folder.join(path)) else { return };
    let (mut dialect, mut came) = (Dialect::new(&config(RealtimeProvider::Gemini)), Came::default());
    dialect.send(wire::append(&[0xFF; 160]));
    answer(&mut dialect, &mut came);
    for line in text.lines().filter(|line| !line.is_empty()) {
        dialect.receive(line).unwrap().into_iter().for_each(|heard| came.hear(heard));
    }
    assert_eq!(came.words.split_whitespace().count(), 9, "{came:?}");
    assert!(came.octets > 0 && came.tokens.input_tokens >= 100, "{came:?}");
}

const KNOWN: &str = include_str!("recordings.txt");
