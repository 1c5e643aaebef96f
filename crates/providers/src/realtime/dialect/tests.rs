//! The dialects, by what the services were recorded to say, and by what they are told.

mod recordings;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Dialect, Passed};
use crate::realtime::config::{RealtimeConfig, RealtimeProvider};
use crate::realtime::wire::{self, Heard};

fn config(provider: RealtimeProvider) -> RealtimeConfig {
    let url = "wss://a.example/realtime".to_owned();
    let (model, voice) = ("a-model".to_owned(), "a-voice".to_owned());
    RealtimeConfig { provider, url, model, voice, ..RealtimeConfig::default() }.completed()
}

fn settings(provider: RealtimeProvider) -> Vec<Value> {
    let config = config(provider);
    let tool = offhook_stages::ToolSpec {
        name: "look_up".to_owned(),
        description: "Looks up an order.".to_owned(),
        parameters: json!({"type": "object", "properties": {}}),
    };
    let update = wire::session_update(&config, "en-US", "Be brief.", &[tool]);
    Dialect::new(&config).send(update).wire
}

#[test]
fn settings_as_each_service_takes_them() {
    insta::assert_json_snapshot!("voice_live", settings(RealtimeProvider::AzureVoiceLive));
    insta::assert_json_snapshot!("xai", settings(RealtimeProvider::Xai));
    insta::assert_json_snapshot!("gemini", settings(RealtimeProvider::Gemini));
}

/// A line for everything that is told to the service and to the session.
struct Talk {
    dialect: Dialect,
    lines: Vec<String>,
}

impl Talk {
    fn new() -> Self {
        Self { dialect: Dialect::new(&config(RealtimeProvider::Gemini)), lines: Vec::new() }
    }

    fn say(&mut self, event: Value) -> &mut Self {
        let Passed { wire, heard } = self.dialect.send(event);
        for event in wire {
            let mut text = event.to_string();
            if text.contains("\"audio\"") {
                text = "sound".to_owned();
            }
            self.lines.push(format!("> {text}"));
        }
        self.hear(heard)
    }

    #[allow(clippy::needless_pass_by_value, reason = "a message is written where it is sent")]
    fn server(&mut self, message: Value) -> &mut Self {
        let heard = self.dialect.receive(&message.to_string()).unwrap();
        self.hear(heard)
    }

    fn hear(&mut self, heard: Vec<Heard>) -> &mut Self {
        for heard in heard {
            self.lines.push(match heard {
                Heard::Sound { delta, .. } => format!("sound of {}", STANDARD.decode(delta).unwrap().len()),
                Heard::Words { delta, .. } => format!("words {delta:?}"),
                Heard::Committed { item_id } => format!("committed {item_id}"),
                Heard::CallerDelta { delta, .. } => format!("caller… {delta:?}"),
                Heard::CallerDone { transcript, .. } => format!("caller {transcript:?}"),
                Heard::Created { .. } => "begins".to_owned(),
                Heard::Done { response, .. } => response.status,
                Heard::ItemDone { item, .. } => format!("tool {} {}", item.name, item.arguments),
                Heard::Error { error } => format!("error {}", error.code()),
                Heard::Used { .. } => "used".to_owned(),
                other => format!("{other:?}"),
            });
        }
        self
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.lines).join("\n")
    }

    fn spoken(&mut self) -> &mut Self {
        self.say(wire::append(&[0xFF; 800])).say(wire::commit(1))
    }
}

fn words(text: &str) -> Value {
    json!({"serverContent": {"outputTranscription": {"text": text}}})
}

fn caller(text: &str) -> Value {
    json!({"serverContent": {"inputTranscription": {"text": text}}})
}

fn sound() -> Value {
    let data = STANDARD.encode([0; 4_800]);
    json!({"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}]}}})
}

fn flag(name: &str) -> Value {
    json!({"serverContent": {name: true}})
}

#[test]
fn an_answer_waits_until_the_call_asks_for_it() {
    let mut talk = Talk::new();
    talk.spoken().server(caller("A pizza.")).server(words("Sure.")).server(sound());
    assert_eq!(
        talk.take(),
        "> {\"realtimeInput\":{\"activityStart\":{}}}\n> sound\n> {\"realtimeInput\":{\"activityEnd\":{}}}\n\
         committed said_1\ncaller… \"A pizza.\"\ncaller \"A pizza.\""
    );
    talk.say(wire::respond(1, offhook_stage_api::ToolUse::Auto));
    assert_eq!(talk.take(), "begins\nwords \"Sure.\"\nsound of 800");
    talk.server(sound()).server(flag("generationComplete")).server(flag("turnComplete"));
    assert_eq!(talk.take(), "sound of 800\ncompleted");
}

#[test]
fn a_caller_who_goes_on_gets_one_answer() {
    let mut talk = Talk::new();
    talk.spoken().server(words("Which"));
    talk.spoken();
    talk.server(words(" one?")).server(flag("interrupted")).server(flag("turnComplete"));
    talk.take();
    talk.server(words("Two, then.")).say(wire::respond(2, offhook_stage_api::ToolUse::Auto));
    assert_eq!(talk.take(), "caller \"\"\nbegins\nwords \"Two, then.\"");
}

#[test]
fn what_was_heard_is_written_down_for_it() {
    let mut talk = Talk::new();
    talk.say(wire::create("n1", &crate::llm::Message::User("[Greet.]".to_owned())));
    talk.say(wire::respond(1, offhook_stage_api::ToolUse::Auto));
    assert_eq!(
        talk.take(),
        "> {\"clientContent\":{\"turnComplete\":true,\"turns\":[{\"parts\":[{\"text\":\"[Greet.]\"}],\"role\":\"user\"}]}}\nbegins"
    );
    talk.server(words("Hello, how can I help you?")).server(sound()).server(sound());
    talk.server(flag("generationComplete")).take();
    talk.say(wire::truncate("item_2", 0, 100)).say(wire::respond(2, offhook_stage_api::ToolUse::Auto));
    let told = talk.take();
    assert!(told.contains("heard only this: \\\"Hello, how\\\""), "{told}");
    talk.say(wire::cancel(None));
    assert_eq!(talk.take(), "cancelled");
    // What comes of it late is nothing.
    talk.server(words("No")).server(flag("turnComplete"));
    assert_eq!(talk.take(), "");
}

#[test]
fn tools_and_the_end_of_a_connection() {
    let mut talk = Talk::new();
    talk.spoken().say(wire::respond(1, offhook_stage_api::ToolUse::Auto)).take();
    talk.server(json!({"toolCall": {"functionCalls": [{"id": "c1", "name": "look_up", "args": {"n": 7}}]}}));
    assert_eq!(talk.take(), "caller \"\"\ntool look_up {\"n\":7}\ncompleted");
    let (id, name) = ("c1".to_owned(), "look_up".to_owned());
    let result = crate::llm::Message::Result { id, name, text: "Ready.".to_owned(), failed: false };
    talk.say(wire::create("n1", &result)).server(words("It is ready."));
    assert!(talk.take().contains("\"toolResponse\""));
    talk.server(json!({"goAway": {"timeLeft": "10s"}}));
    assert_eq!(talk.take(), "", "not in the middle of an answer");
    talk.say(wire::respond(2, offhook_stage_api::ToolUse::Auto)).server(flag("generationComplete"));
    assert_eq!(talk.take(), "begins\nwords \"It is ready.\"\ncompleted\nerror session_expired");
}
