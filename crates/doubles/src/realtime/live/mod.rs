//! Gemini Live (`BidiGenerateContent`): speech to speech.
//!
//! Its messages are JSON in binary frames. It answers by itself as soon as the caller's activity ends; what it makes comes faster than
//! it is heard, and the turn is over only when all of it would have been. Whatever it minds, it closes with 1007.
//!
//! Sources: <https://ai.google.dev/api/live>, <https://ai.google.dev/gemini-api/docs/live-api/capabilities>; pipecat 4171,
//! livekit/agents 5251, google/adk-python 5018; recorded sessions.

mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use serde_json::{Value, json};

use self::setup::{Setup, member};
use crate::hearing::{Encoding, Hearing};
use crate::llm::gemini::spell;
use crate::script::{Heard, Reply, tokens};
use crate::socket::{Out, Outbox, Protocol};
use crate::state::State;
use crate::tts::{SynthResult, making};

/// The rate of what it says.
const RATE: u32 = 24_000;
/// Sound comes in pieces of this length.
const CHUNK: Duration = Duration::from_millis(100);
/// When it says that the connection ends, and when it does.
const ENDS: [Duration; 2] = [Duration::from_secs(540), Duration::from_secs(600)];
/// What it says to anything that it doesn't take.
const INVALID: &str = "Request contains an invalid argument.";

/// Why it closes.
pub(super) type Refused = &'static str;

/// A connection.
#[derive(Debug)]
pub(crate) struct Live {
    state: Arc<State>,
    setup: Option<Setup>,
    hearing: Hearing,
    /// The caller is active, as the client says.
    active: bool,
    utterances: usize,
    turns: u64,
    /// When the current turn will have been heard.
    over: Option<Duration>,
    /// Calls without results, by their ids.
    called: BTreeMap<String, String>,
    calls: u64,
    /// How often the end was announced and come.
    ended: usize,
    closed: bool,
}

impl Live {
    pub(crate) fn open(state: &Arc<State>) -> Self {
        Self {
            state: Arc::clone(state),
            setup: None,
            hearing: Hearing::new(Encoding::Linear16, 16_000),
            active: false,
            utterances: 0,
            turns: 0,
            over: None,
            called: BTreeMap::new(),
            calls: 0,
            ended: 0,
            closed: false,
        }
    }

    fn obey(&mut self, message: &Value, out: &mut Outbox) -> Result<(), Refused> {
        let Some(setup) = self.setup.clone() else {
            let setup = Setup::read(member(message, "setup"), |model| self.state.knows(model))?;
            self.setup = Some(setup);
            out.say(json!({"setupComplete": {}}));
            return Ok(());
        };
        let names: Vec<&String> =
            message.as_object().into_iter().flat_map(|members| members.keys()).collect();
        let [name] = names[..] else { return Err(INVALID) };
        match name.as_str() {
            "realtimeInput" | "realtime_input" => self.input(&message[name], &setup, out),
            "clientContent" | "client_content" => self.content(&message[name], &setup, out),
            "toolResponse" | "tool_response" => self.result(&message[name], &setup, out),
            _ => Err(INVALID),
        }
    }

    fn input(&mut self, input: &Value, setup: &Setup, out: &mut Outbox) -> Result<(), Refused> {
        if !member(input, "mediaChunks").is_null() {
            return Err("realtime_input.media_chunks is deprecated. Use audio, video, or text instead.");
        }
        let manual = setup.manual;
        if !member(input, "activityStart").is_null() || !member(input, "activityEnd").is_null() {
            if !manual {
                return Err(
                    "Explicit activity control is not supported when automatic activity detection is enabled.",
                );
            }
            if !member(input, "activityStart").is_null() {
                self.active = true;
                self.interrupt(out);
                self.cancel_calls(out);
            } else if std::mem::take(&mut self.active) {
                self.answer_sound(setup, out);
            }
            return Ok(());
        }
        let audio = member(input, "audio");
        if !audio.is_null() {
            let kind = member(audio, "mimeType").as_str().unwrap_or("");
            // Both alphabets are taken, as everywhere in this protocol's JSON.
            let read = |data: &str| STANDARD.decode(data).or_else(|_| URL_SAFE.decode(data)).ok();
            let bytes = audio["data"].as_str().and_then(read);
            let linear = kind.split(';').next() == Some("audio/pcm");
            let Some(bytes) = bytes.filter(|_| linear) else { return Err(INVALID) };
            let rate = kind.split_once("rate=").and_then(|(_, rate)| rate.trim().parse().ok());
            self.hearing.switch(Encoding::Linear16, rate.unwrap_or(16_000));
            // Sound outside of an activity is nobody's, if the client says when that is.
            if !manual || self.active {
                let mut noticed = Vec::new();
                self.hearing.push(&bytes, &mut noticed);
                if !manual {
                    self.notice(&noticed, setup, out);
                }
            }
            return Ok(());
        }
        if let Some(text) = member(input, "text").as_str() {
            self.interrupt(out);
            self.respond(setup, text.to_owned(), false, out);
            return Ok(());
        }
        if member(input, "audioStreamEnd") == true && !manual { Ok(()) } else { Err(INVALID) }
    }

    /// Finds turns by itself.
    fn notice(&mut self, noticed: &[crate::hearing::Noticed], setup: &Setup, out: &mut Outbox) {
        use crate::hearing::Noticed;
        for event in noticed {
            match event {
                Noticed::Started { .. } => self.interrupt(out),
                Noticed::Silent { silence, .. }
                    if *silence >= setup.silence && self.hearing.open().is_some() =>
                {
                    self.answer_sound(setup, out);
                }
                _ => {}
            }
        }
    }

    /// Answers what was said.
    fn answer_sound(&mut self, setup: &Setup, out: &mut Outbox) {
        let spoken = self.hearing.open().is_some();
        self.hearing.close();
        let text = if spoken {
            self.state.config.script.utterance(self.utterances).0.to_owned()
        } else {
            String::new()
        };
        self.utterances += usize::from(spoken);
        if setup.transcribes {
            let at = out.now() + self.state.draw(self.state.config.latency.stt.first);
            for token in tokens(&text) {
                out.at(at, 1, Out::Json(json!({"serverContent": {"inputTranscription": {"text": token}}})));
            }
        }
        // To a noise it says nothing.
        if spoken {
            self.respond(setup, text, false, out);
        }
    }

    fn content(&mut self, content: &Value, setup: &Setup, out: &mut Outbox) -> Result<(), Refused> {
        if setup.seeds_only && self.turns > 0 {
            return Err(INVALID);
        }
        let turns = content["turns"].as_array().map(Vec::as_slice).unwrap_or_default();
        for turn in turns {
            let parts = turn["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
            let speaks = turn["role"] == "user" || turn["role"] == "model";
            if !speaks || parts.is_empty() || !parts.iter().all(|part| part["text"].is_string()) {
                return Err(INVALID);
            }
        }
        self.interrupt(out);
        if member(content, "turnComplete") == true {
            let last = turns.iter().rev().find(|turn| turn["role"] == "user");
            let parts = last.and_then(|turn| turn["parts"].as_array()).into_iter().flatten();
            let text = parts.filter_map(|part| part["text"].as_str()).collect();
            self.respond(setup, text, false, out);
        }
        Ok(())
    }

    fn result(&mut self, results: &Value, setup: &Setup, out: &mut Outbox) -> Result<(), Refused> {
        let results = member(results, "functionResponses").as_array().map(Vec::as_slice).unwrap_or_default();
        let mut told = Vec::new();
        for result in results {
            let known = result["id"].as_str().and_then(|id| self.called.remove(id));
            let Some(response) = result["response"].as_object().filter(|_| known.is_some()) else {
                return Err(INVALID);
            };
            let text = response.values().next();
            told.push(text.map_or_else(String::new, |text| text.as_str().unwrap_or_default().to_owned()));
        }
        if told.is_empty() {
            return Err(INVALID);
        }
        if self.called.is_empty() {
            self.respond(setup, told.join(" "), true, out);
        }
        Ok(())
    }

    /// What is being said isn't said on.
    fn interrupt(&mut self, out: &mut Outbox) {
        if self.over.take().is_some_and(|over| over > out.now()) {
            out.forget(self.tag(), out.now());
            out.say(json!({"serverContent": {"interrupted": true}}));
            out.say(json!({"serverContent": {"turnComplete": true}}));
        }
    }

    fn cancel_calls(&mut self, out: &mut Outbox) {
        let ids: Vec<String> = std::mem::take(&mut self.called).into_keys().collect();
        if !ids.is_empty() {
            out.say(json!({"toolCallCancellation": {"ids": ids}}));
        }
    }

    const fn tag(&self) -> u64 {
        1_000 + self.turns
    }

    fn respond(&mut self, setup: &Setup, text: String, tool_result: bool, out: &mut Outbox) {
        let heard = Heard { text, tool_result, tools: setup.tools.clone() };
        let reply = self.state.config.script.reply(&heard);
        self.turns += 1;
        let tag = self.tag();
        let begin = out.now() + self.state.draw(self.state.config.latency.realtime.first);
        let (made, heard) = self.speak(&reply, begin, tag, out);
        let calls: Vec<Value> = reply
            .calls
            .iter()
            .map(|call| {
                self.calls += 1;
                let id = format!("function-call-{}", self.calls);
                self.called.insert(id.clone(), call.name.clone());
                json!({"id": id, "name": call.name, "args": if call.arguments.is_object() { call.arguments.clone() } else { json!({}) }})
            })
            .collect();
        let usage = json!({"promptTokenCount": 40, "responseTokenCount": 20, "totalTokenCount": 60});
        let mut over = heard;
        if !calls.is_empty() {
            out.at(made, tag, Out::Json(json!({"toolCall": {"functionCalls": calls}})));
            // A tool that blocks has the turn wait for its result.
            if setup.blocks {
                self.over = None;
                return;
            }
            let filler = Reply { text: "Let me see.".to_owned(), calls: Vec::new() };
            over = self.speak(&filler, made, tag, out).1;
        }
        out.at(made, tag, Out::Json(json!({"serverContent": {"generationComplete": true}})));
        if setup.resumes {
            let handle = format!("handle-{}", self.turns);
            let update = json!({"sessionResumptionUpdate": {"newHandle": handle, "resumable": true}});
            out.at(made, tag, Out::Json(update));
        }
        out.last_at(over, tag, json!({"serverContent": {"turnComplete": true}, "usageMetadata": usage}));
        self.over = Some(over);
    }

    /// Says a text. Returns when all of it is made, and when it will have been heard.
    fn speak(&self, reply: &Reply, begin: Duration, tag: u64, out: &mut Outbox) -> (Duration, Duration) {
        let spoken = SynthResult::new(&self.state, &reply.text, Encoding::Linear16, RATE);
        let pace = self.state.config.latency.realtime;
        let mut words = spoken.words.iter().peekable();
        let mut made = begin;
        for (start, audio) in spoken.chunks(CHUNK) {
            made = begin + making(pace, start);
            while let Some(word) = words.next_if(|word| word.start <= start + CHUNK) {
                let text = format!("{} ", word.word);
                out.at(
                    made,
                    tag,
                    Out::Json(json!({"serverContent": {"outputTranscription": {"text": text}}})),
                );
            }
            let kind = format!("audio/pcm;rate={RATE}");
            let value = json!({"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": kind, "data": ""}}]}}});
            out.at(
                made,
                tag,
                Out::JsonAudio { value, member: "/serverContent/modelTurn/parts/0/inlineData/data", audio },
            );
        }
        (made, begin + spoken.length())
    }

    fn read(&mut self, message: &[u8], out: &mut Outbox) {
        if self.closed {
            return;
        }
        let refused = match serde_json::from_slice::<Value>(message) {
            Ok(mut message) => {
                spell(&mut message);
                self.obey(&message, out).err()
            }
            Err(_) => Some("Invalid JSON payload received."),
        };
        if let Some(why) = refused {
            self.closed = true;
            out.close_at(out.now(), 1007, why);
        }
    }
}

impl Protocol for Live {
    fn open(&mut self, out: &mut Outbox) {
        out.binary = true;
        out.rate = RATE;
    }

    fn text(&mut self, text: &str, out: &mut Outbox) {
        self.read(text.as_bytes(), out);
    }

    fn binary(&mut self, bytes: &Bytes, out: &mut Outbox) {
        self.read(bytes, out);
    }

    fn deadline(&self) -> Option<Duration> {
        ENDS.get(self.ended).copied()
    }

    fn expired(&mut self, out: &mut Outbox) {
        self.ended += 1;
        if self.ended == 1 {
            out.say(json!({"goAway": {"timeLeft": "60s"}}));
        } else {
            out.close_at(out.now(), 1011, "Deadline expired before operation could complete.");
        }
    }

    fn failure(&self) -> (Value, u16) {
        let error =
            json!({"error": {"code": 500, "message": "Internal error encountered.", "status": "INTERNAL"}});
        (error, 1011)
    }
}
