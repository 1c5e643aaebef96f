//! A response: its events, in their order and at their time.

use std::time::Duration;

use serde_json::{Value, json};

use super::Realtime;
use super::items::Item;
use crate::script::{Heard, Reply};
use crate::socket::{Out, Outbox};
use crate::tts::{SynthResult, making};

/// Sound comes in pieces of this length.
const CHUNK: Duration = Duration::from_millis(200);

/// A response in progress.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) id: String,
    pub(super) tag: u64,
    /// When its `response.done` goes out.
    pub(super) ends: Duration,
    items: Vec<String>,
}

impl Realtime {
    /// Begins a response.
    pub(super) fn respond(&mut self, out: &mut Outbox) {
        let (text, tool_result) = self.items.heard();
        let heard = Heard { text, tool_result, tools: self.session.tools() };
        let reply = self.state.config.script.reply(&heard);
        self.responses += 1;
        let (id, tag) = (format!("resp_{}", self.responses), 1_000 + self.responses);
        let modalities = if self.session.speaks() { json!(["audio"]) } else { json!(["text"]) };
        let shell = |status: &str, output: Value, usage: Value| {
            json!({"object": "realtime.response", "id": id, "status": status, "status_details": null, "output": output,
                   "output_modalities": modalities, "usage": usage})
        };
        let created =
            json!({"type": "response.created", "response": shell("in_progress", json!([]), Value::Null)});
        let mut at = out.now() + self.state.draw(self.state.config.latency.realtime.first);
        self.tell(created, out);
        let (mut output, mut items) = (Vec::new(), Vec::new());
        if !reply.text.is_empty() {
            let (item, end) = self.message(&id, tag, &reply, at, out);
            items.push(item.id.clone());
            output.push(item.value.clone());
            self.items.add(item);
            at = end;
        }
        for nth in 0..reply.calls.len() {
            let item = self.call(&id, tag, &reply, nth, output.len(), at, out);
            items.push(item.id.clone());
            output.push(item.value.clone());
            self.items.add(item);
        }
        let usage = json!({"total_tokens": 60, "input_tokens": 40, "output_tokens": 20});
        let done = json!({"type": "response.done", "response": shell("completed", output.into(), usage)});
        if let Some(done) = self.flavour.event(done) {
            let done = self.event(done);
            out.last_at(at, tag, done);
        }
        self.tell_at(at, tag, json!({"type": "rate_limits.updated", "rate_limits": []}), out);
        self.response = Some(Response { id, tag, ends: at, items });
    }

    /// The agent's words. Returns the item, and when the last of it goes out.
    fn message(
        &mut self,
        id: &str,
        tag: u64,
        reply: &Reply,
        begin: Duration,
        out: &mut Outbox,
    ) -> (Item, Duration) {
        let item_id = self.item_id();
        let speaks = self.session.speaks();
        let (part, text_event) = match speaks {
            true => ("audio", "response.output_audio_transcript"),
            false => ("text", "response.output_text"),
        };
        let value = |status: &str, content: Value| json!({"id": item_id, "object": "realtime.item", "type": "message", "status": status, "role": "assistant", "content": content});
        let place = |kind: &str| json!({"type": kind, "response_id": id, "item_id": item_id, "output_index": 0, "content_index": 0});
        let with = |kind: &str, member: &str, value: Value| {
            let mut event = place(kind);
            event[member] = value;
            event
        };
        let previous = self.items.last_id();
        let started = value("in_progress", json!([]));
        self.tell_at(begin, tag, json!({"type": "response.output_item.added", "response_id": id, "output_index": 0, "item": started}), out);
        self.tell_at(
            begin,
            tag,
            json!({"type": "conversation.item.added", "previous_item_id": previous, "item": started}),
            out,
        );
        self.tell_at(
            begin,
            tag,
            with("response.content_part.added", "part", json!({"type": part, "transcript": ""})),
            out,
        );
        let (mut sound, mut end) = (Vec::new(), begin);
        if speaks {
            let (encoding, rate) = self.session.output();
            out.rate = rate;
            let spoken = SynthResult::new(&self.state, &reply.text, encoding, rate);
            let pace = self.state.config.latency.realtime;
            let mut words = spoken.words.iter().peekable();
            for (start, audio) in spoken.chunks(CHUNK) {
                end = begin + making(pace, start);
                let length = (start + CHUNK).min(spoken.length());
                // The words run ahead of the sound, as the model writes before it speaks.
                while let Some(word) = words.next_if(|word| word.start <= length + CHUNK) {
                    let delta = format!("{} ", word.word);
                    self.tell_at(
                        end,
                        tag,
                        with("response.output_audio_transcript.delta", "delta", delta.into()),
                        out,
                    );
                }
                if let Some(value) = self.flavour.event(place("response.output_audio.delta")) {
                    let value = self.event(value);
                    out.at(end, tag, Out::JsonAudio { value, member: "delta", audio });
                }
                sound.push((end, length));
            }
            self.tell_at(end, tag, place("response.output_audio.done"), out);
        } else {
            for token in crate::script::tokens(&reply.text) {
                self.tell_at(end, tag, with("response.output_text.delta", "delta", token.into()), out);
            }
        }
        let name = if speaks { "transcript" } else { "text" };
        self.tell_at(end, tag, with(&format!("{text_event}.done"), name, reply.text.clone().into()), out);
        let mut content = json!({"type": format!("output_{part}")});
        content[name] = reply.text.clone().into();
        self.tell_at(
            end,
            tag,
            with("response.content_part.done", "part", json!({"type": part, name: reply.text})),
            out,
        );
        let finished = value("completed", json!([content]));
        self.tell_at(end, tag, json!({"type": "response.output_item.done", "response_id": id, "output_index": 0, "item": finished}), out);
        self.tell_at(
            end,
            tag,
            json!({"type": "conversation.item.done", "previous_item_id": previous, "item": finished}),
            out,
        );
        let mut item = Item::new(item_id.clone(), finished);
        item.sound = sound;
        (item, end)
    }

    /// A call of a tool.
    #[allow(clippy::too_many_arguments, reason = "an event's place in a response has so many coordinates")]
    fn call(
        &mut self,
        id: &str,
        tag: u64,
        reply: &Reply,
        nth: usize,
        index: usize,
        at: Duration,
        out: &mut Outbox,
    ) -> Item {
        let item_id = self.item_id();
        let call_id = format!("call_{}", item_id.trim_start_matches("item_"));
        let (name, arguments) = match reply.calls.get(nth) {
            Some(call) if call.arguments.is_object() => (call.name.clone(), call.arguments.to_string()),
            Some(call) => (call.name.clone(), "{}".to_owned()),
            None => (String::new(), "{}".to_owned()),
        };
        let value = |status: &str, arguments: &str| json!({"id": item_id, "object": "realtime.item", "type": "function_call", "status": status, "call_id": call_id, "name": name, "arguments": arguments});
        let place = |kind: &str, member: &str, value: Value| {
            let mut event = json!({"type": kind, "response_id": id, "item_id": item_id, "output_index": index, "call_id": call_id});
            event[member] = value;
            event
        };
        let item = |kind: &str, value: &Value| json!({"type": kind, "response_id": id, "output_index": index, "item": value});
        let (open, done) = (value("in_progress", ""), value("completed", &arguments));
        self.tell_at(at, tag, item("response.output_item.added", &open), out);
        let letters: Vec<char> = arguments.chars().collect();
        for piece in letters.chunks(9) {
            let delta = piece.iter().collect::<String>();
            self.tell_at(
                at,
                tag,
                place("response.function_call_arguments.delta", "delta", delta.into()),
                out,
            );
        }
        let mut finished = place("response.function_call_arguments.done", "arguments", arguments.into());
        finished["name"] = name.into();
        self.tell_at(at, tag, finished, out);
        self.tell_at(at, tag, item("response.output_item.done", &done), out);
        Item::new(item_id.clone(), done)
    }

    /// Ends the response in progress. False if there is none.
    pub(super) fn cancel(&mut self, why: &str, out: &mut Outbox) -> bool {
        let now = out.now();
        let Some(response) = self.response.take().filter(|response| response.ends > now) else {
            return false;
        };
        out.forget(response.tag, now);
        for id in &response.items {
            if let Some(item) = self.items.find(&id.as_str().into()) {
                item.cut = Some(now);
            }
        }
        let details = json!({"type": "cancelled", "reason": why});
        let shell = json!({"object": "realtime.response", "id": response.id, "status": "cancelled", "status_details": details, "output": []});
        self.tell(json!({"type": "response.done", "response": shell}), out);
        true
    }
}
