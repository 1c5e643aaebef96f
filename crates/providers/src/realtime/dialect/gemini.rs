//! Gemini Live (`BidiGenerateContent`), as the session's protocol.
//!
//! It answers by itself as soon as the caller's activity ends, so that its answer waits here until the call asks for it: nothing is
//! lost if the call does at once, and a caller who goes on speaking interrupts it at the service. It forgets nothing that was said to it,
//! so that what the caller did not hear is told to it in writing, with whatever comes next.
//!
//! Source: <https://ai.google.dev/api/live>.

mod answer;
pub(in crate::realtime) mod setup;

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use self::answer::Answer;
use super::Passed;
use super::sound::{Down, Up};
use crate::realtime::config::RealtimeConfig;
use crate::realtime::wire::{Heard, Trouble};

/// Answers whose words are kept, for writing down what of them was heard.
const ANSWERS: usize = 4;
/// The last thing that a turn of notes says when nothing else asks for an answer.
const GO_ON: &str = "[Go on.]";

/// A connection's state.
#[derive(Debug)]
pub(in crate::realtime) struct Gemini {
    config: RealtimeConfig,
    up: Up,
    down: Down,
    /// The caller speaks, as far as the service knows.
    active: bool,
    /// The item of the caller's last words, and these.
    said: Option<String>,
    caption: String,
    captioned: bool,
    notes: Vec<(String, Value)>,
    answer: Option<Answer>,
    /// What comes belongs to an answer that was given up, until the service says that it is over.
    stale: bool,
    /// The service has yet to say that a turn is over whose answer is there.
    turn_open: bool,
    /// The service closes the connection soon.
    leaving: bool,
    /// The model has had a turn on this connection.
    has_spoken: bool,
    answers: VecDeque<(String, String, usize)>,
    /// Tools called that wait for their results, by the calls' ids.
    called: BTreeMap<String, String>,
    number: u64,
}

impl Gemini {
    pub(super) fn new(config: &RealtimeConfig) -> Self {
        Self {
            config: config.clone(),
            up: Up::new(),
            down: Down::default(),
            active: false,
            said: None,
            caption: String::new(),
            captioned: false,
            notes: Vec::new(),
            answer: None,
            stale: false,
            turn_open: false,
            leaving: false,
            has_spoken: false,
            answers: VecDeque::new(),
            called: BTreeMap::new(),
            number: 0,
        }
    }

    /// Another connection: the session tells it everything again.
    pub(super) fn opened(&mut self) {
        let number = self.number;
        *self = Self { number, ..Self::new(&self.config) };
    }

    fn next(&mut self, what: &str) -> String {
        self.number += 1;
        format!("{what}_{}", self.number)
    }

    pub(super) fn send(&mut self, event: &Value) -> Passed {
        let mut out = Passed::default();
        match event["type"].as_str().unwrap_or("") {
            "session.update" => {
                out.wire.push(setup::setup(&self.config, &event["session"]));
            }
            "input_audio_buffer.append" => self.append(event["audio"].as_str().unwrap_or(""), &mut out),
            "input_audio_buffer.commit" => self.commit(&mut out),
            "conversation.item.create" => self.write(&event["item"], &mut out),
            "conversation.item.delete" => self.delete(event["item_id"].as_str().unwrap_or("")),
            "conversation.item.truncate" => self.truncate(event),
            "response.create" => self.ask(&mut out),
            "response.cancel" => self.end(Some("cancelled"), &mut out.heard),
            _ => {}
        }
        out
    }

    fn append(&mut self, audio: &str, out: &mut Passed) {
        if !std::mem::replace(&mut self.active, true) {
            self.give_up(&mut out.heard);
            (self.said, self.captioned) = (None, false);
            self.caption.clear();
            out.wire.push(json!({"realtimeInput": {"activityStart": {}}}));
        }
        let data = self.up.convert(audio);
        out.wire
            .push(json!({"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=16000", "data": data}}}));
    }

    fn commit(&mut self, out: &mut Passed) {
        if !std::mem::take(&mut self.active) {
            return;
        }
        out.wire.push(json!({"realtimeInput": {"activityEnd": {}}}));
        let item_id = self.next("said");
        self.said = Some(item_id.clone());
        out.heard.push(Heard::Committed { item_id: item_id.clone() });
        if !self.caption.is_empty() {
            out.heard.push(Heard::CallerDelta { item_id, delta: self.caption.clone() });
        }
        self.expect();
    }

    /// An answer is on its way.
    fn expect(&mut self) {
        self.has_spoken = true;
        self.down.reset();
        let (response, item) = (self.next("answer"), self.next("item"));
        self.answer = Some(Answer::new(response, item));
    }

    /// What the service says to this isn't wanted: something interrupts it.
    fn give_up(&mut self, heard: &mut Vec<Heard>) {
        if self.answer.as_ref().is_some_and(|answer| !answer.is_done()) {
            self.stale = true;
            self.end(Some("cancelled"), heard);
        }
        self.answer = None;
    }

    /// The answer is over.
    fn end(&mut self, status: Option<&str>, heard: &mut Vec<Heard>) {
        let Some(answer) = self.answer.as_mut().filter(|answer| !answer.is_done()) else { return };
        let status = status.unwrap_or("completed");
        self.stale |= status == "cancelled";
        answer.finish(status, heard);
        if self.answers.len() >= ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back(answer.said());
        if answer.is_asked() {
            self.answer = None;
        }
        if self.leaving {
            heard.push(expired());
        }
    }

    fn ask(&mut self, out: &mut Passed) {
        if self.notes.is_empty()
            && let Some(answer) = self.answer.as_mut().filter(|answer| !answer.is_asked())
        {
            answer.ask(&mut out.heard);
            if answer.is_done() {
                self.answer = None;
            }
            return;
        }
        self.give_up(&mut out.heard);
        let mut turns: Vec<Value> =
            std::mem::take(&mut self.notes).into_iter().map(|(_, turn)| turn).collect();
        if turns.last().is_none_or(|last| last["role"] != "user") {
            turns.push(turn("user", GO_ON));
        }
        let seeds = !self.has_spoken || !setup::seeds_only(&self.config.model);
        out.wire.push(if seeds {
            json!({"clientContent": {"turns": turns, "turnComplete": true}})
        } else {
            json!({"realtimeInput": {"text": in_one(&turns)}})
        });
        self.expect();
        if let Some(answer) = &mut self.answer {
            answer.ask(&mut out.heard);
        }
    }

    fn write(&mut self, item: &Value, out: &mut Passed) {
        let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let id = text("/id").to_owned();
        match text("/type") {
            "function_call" => {
                let note = format!("[You called {}({}).]", text("/name"), text("/arguments"));
                self.notes.push((id, turn("user", &note)));
            }
            "function_call_output" => match self.called.remove(text("/call_id")) {
                Some(name) => {
                    let result = json!({"id": text("/call_id"), "name": name,
                                        "response": {"output": text("/output")}});
                    out.wire.push(json!({"toolResponse": {"functionResponses": [result]}}));
                    if self.called.is_empty() {
                        self.expect();
                    }
                }
                None => {
                    let note = format!("[Its result: {}]", text("/output"));
                    self.notes.push((id, turn("user", &note)));
                }
            },
            _ => {
                let role = if text("/role") == "assistant" { "model" } else { "user" };
                self.notes.push((id, turn(role, text("/content/0/text"))));
            }
        }
    }

    /// What can't be unsaid is written down as not heard.
    fn delete(&mut self, item: &str) {
        self.notes.retain(|(id, _)| id != item);
        if self.said.as_deref() == Some(item) {
            // A word in passing: its answer isn't wanted.
            let mut unheard = Vec::new();
            if self.answer.as_ref().is_some_and(|answer| !answer.is_asked()) {
                self.give_up(&mut unheard);
            }
        }
        if self.answers.iter().any(|(id, ..)| id == item) {
            self.answers.retain(|(id, ..)| id != item);
            let id = self.next("note");
            self.notes.push((id, turn("user", "[The caller did not hear your last answer.]")));
        }
    }

    fn truncate(&mut self, event: &Value) {
        let item = event["item_id"].as_str().unwrap_or("");
        let until = event["audio_end_ms"].as_f64().unwrap_or(0.0);
        let Some((_, text, octets)) = self.answers.iter().find(|(id, ..)| id == item) else { return };
        // Eight octets of sound are a millisecond.
        let share = (until * 8.0 / (*octets as f64).max(1.0)).clamp(0.0, 1.0);
        let heard = (text.chars().count() as f64 * share) as usize;
        let mut words: String = text.chars().take(heard).collect();
        if heard < text.chars().count() {
            words.truncate(words.rfind(char::is_whitespace).unwrap_or(0));
        }
        let note = format!("[The caller interrupted you, and heard only this: \"{}\"]", words.trim());
        let id = self.next("note");
        self.notes.push((id, turn("user", &note)));
    }

    pub(super) fn receive(&mut self, message: &Value) -> Vec<Heard> {
        let mut heard = Vec::new();
        if !message["setupComplete"].is_null() {
            heard.push(Heard::SessionUpdated { session: Value::Null });
        }
        if let Some(error) = message.get("error").filter(|error| !error.is_null()) {
            heard.push(Heard::Error { error: Trouble { event_id: None, rest: error.clone() } });
        }
        if !message["goAway"].is_null() {
            self.leaving = true;
            if self.answer.is_none() && !self.active {
                heard.push(expired());
            }
        }
        self.content(&message["serverContent"], &mut heard);
        if let Some(calls) = message["toolCall"]["functionCalls"].as_array() {
            self.calls(calls, &mut heard);
        }
        // Their results are told in writing.
        for id in message["toolCallCancellation"]["ids"].as_array().into_iter().flatten() {
            self.called.remove(id.as_str().unwrap_or(""));
        }
        if let Some(usage) = message.get("usageMetadata").filter(|usage| usage.is_object()) {
            let usage = json!({
                "input_tokens": usage["promptTokenCount"].as_f64().unwrap_or(0.0),
                "output_tokens": usage["responseTokenCount"].as_f64().unwrap_or(0.0)
                    + usage["thoughtsTokenCount"].as_f64().unwrap_or(0.0),
            });
            heard.extend(serde_json::from_value(usage).ok().map(|usage| Heard::Used { usage }));
        }
        heard
    }

    fn content(&mut self, content: &Value, heard: &mut Vec<Heard>) {
        if let Some(text) = content["inputTranscription"]["text"].as_str() {
            self.caption.push_str(text);
            if let Some(item_id) = self.said.clone() {
                heard.push(Heard::CallerDelta { item_id, delta: text.to_owned() });
            }
            if self.captioned {
                // Words that come late.
                self.captioned = false;
                self.caption_done(heard);
            }
        }
        if content["inputTranscription"]["finished"] == true {
            self.caption_done(heard);
        }
        let words = content["outputTranscription"]["text"].as_str().unwrap_or("");
        let parts = content["modelTurn"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
        if (!words.is_empty() || !parts.is_empty()) && !self.stale {
            self.caption_done(heard);
            self.speak(words, parts, heard);
        }
        if content["generationComplete"] == true && !self.stale {
            self.turn_open = self.answer.is_some();
            self.end(None, heard);
        }
        if content["interrupted"] == true {
            if !self.stale && !self.turn_open {
                self.end(Some("cancelled"), heard);
            }
            // That turn is yet to be called complete.
            (self.stale, self.turn_open) = (false, true);
        }
        if content["turnComplete"] == true {
            let of_before = self.stale || self.turn_open;
            (self.stale, self.turn_open) = (false, false);
            if !of_before {
                self.caption_done(heard);
                self.end(None, heard);
            }
        }
    }

    fn speak(&mut self, words: &str, parts: &[Value], heard: &mut Vec<Heard>) {
        if self.answer.is_none() && !self.turn_open {
            self.expect();
        }
        let Some(answer) = &mut self.answer else { return };
        if !words.is_empty() {
            answer.words(words, heard);
        }
        for part in parts {
            let sound = &part["inlineData"];
            let (kind, data) = (sound["mimeType"].as_str().unwrap_or(""), sound["data"].as_str());
            if let Some(sound) = data.and_then(|data| self.down.convert(kind, data)) {
                answer.sound(&sound, heard);
            }
        }
    }

    /// All that the caller said is written down, as far as is known.
    fn caption_done(&mut self, heard: &mut Vec<Heard>) {
        let Some(item_id) = self.said.clone().filter(|_| !self.captioned) else { return };
        self.captioned = true;
        let transcript = self.caption.trim().to_owned();
        heard.push(Heard::CallerDone { item_id, transcript, usage: Value::Null });
    }

    fn calls(&mut self, calls: &[Value], heard: &mut Vec<Heard>) {
        if std::mem::take(&mut self.stale) {
            return;
        }
        self.caption_done(heard);
        if self.answer.is_none() {
            self.expect();
        }
        for call in calls {
            let (id, name) = (call["id"].as_str().unwrap_or(""), call["name"].as_str().unwrap_or(""));
            let id = if id.is_empty() { self.next("call") } else { id.to_owned() };
            self.called.insert(id.clone(), name.to_owned());
            let item = self.next("item");
            if let Some(answer) = &mut self.answer {
                answer.call(&item, &id, name, &call["args"], heard);
            }
        }
        self.end(None, heard);
    }
}

/// Turns as one text.
fn in_one(turns: &[Value]) -> String {
    let text = |turn: &Value| {
        let text = turn["parts"][0]["text"].as_str().unwrap_or("");
        if turn["role"] == "model" { format!("[You said: {text}]") } else { text.to_owned() }
    };
    turns.iter().map(text).collect::<Vec<_>>().join("\n")
}

fn turn(role: &str, text: &str) -> Value {
    json!({"role": role, "parts": [{"text": text}]})
}

fn expired() -> Heard {
    let rest = json!({"code": "session_expired", "message": "the service closes the connection"});
    Heard::Error { error: Trouble { event_id: None, rest } }
}
