//! Cartesia's `/tts/websocket`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{SynthResult, is_sentence, is_speakable, making};
use crate::hearing::Encoding;
use crate::socket::{Out, Outbox, Protocol};
use crate::state::State;

const CHUNK: Duration = Duration::from_millis(100);
/// A socket without messages is closed.
const IDLE: Duration = Duration::from_secs(300);
/// A context ends by itself so long after its last sound.
const EXPIRY: Duration = Duration::from_secs(1);
/// What is due sooner than this after a cancel is under way already.
const IN_FLIGHT: Duration = Duration::from_millis(20);
/// Remembered contexts; of more, the first are forgotten.
const REMEMBERED: usize = 1_000;

#[derive(Debug)]
struct Context {
    tag: u64,
    /// Every field that must not change.
    fixed: Value,
    text: String,
    /// Sound made so far: timestamps count from the context's start.
    made: Duration,
    /// When the text is spoken whatever it is.
    due: Option<Duration>,
    /// Nothing more is taken from then on.
    over: Option<Duration>,
}

/// A socket.
#[derive(Debug)]
pub(crate) struct Cartesia {
    state: Arc<State>,
    contexts: BTreeMap<String, Context>,
    tags: u64,
    last: Duration,
    closed: bool,
}

/// A complaint: status, code, what is wrong.
type Complaint = (u16, &'static str, String);

impl Cartesia {
    pub(crate) fn open(state: &Arc<State>) -> Self {
        Self {
            state: Arc::clone(state),
            contexts: BTreeMap::new(),
            tags: 0,
            last: Duration::ZERO,
            closed: false,
        }
    }

    fn format(message: &Value) -> Result<(Encoding, u32), Complaint> {
        let format = &message["output_format"];
        let invalid = |what: &str| (400, "invalid_request", what.to_owned());
        if format["container"] != "raw" {
            return Err(invalid("output_format.container must be raw on WebSockets"));
        }
        let encoding = match format["encoding"].as_str() {
            Some("pcm_mulaw") => Encoding::Mulaw,
            Some("pcm_alaw") => Encoding::Alaw,
            Some("pcm_s16le") => Encoding::Linear16,
            _ => return Err(invalid("output_format.encoding is not supported")),
        };
        let rate = format["sample_rate"].as_u64().and_then(|rate| u32::try_from(rate).ok());
        let rate = rate.filter(|rate| (8_000..=48_000).contains(rate));
        Ok((encoding, rate.ok_or_else(|| invalid("output_format.sample_rate is not supported"))?))
    }

    fn speak(&mut self, message: &Value, out: &mut Outbox) -> Result<(), Complaint> {
        let invalid = |what: &str| (400, "invalid_request", what.to_owned());
        let id = message["context_id"]
            .as_str()
            .filter(|id| !id.is_empty())
            .ok_or_else(|| invalid("context_id is required"))?;
        let text = message["transcript"].as_str().ok_or_else(|| invalid("transcript is required"))?;
        let model = message["model_id"].as_str().ok_or_else(|| invalid("model_id is required"))?;
        if !self.state.knows(model) {
            return Err((404, "model_not_found", format!("model {model} was not found")));
        }
        if message["voice"]["mode"] != "id" || !message["voice"]["id"].is_string() {
            return Err(invalid("voice must have mode id and an id"));
        }
        let (_, rate) = Self::format(message)?;
        out.rate = rate;
        let delay = message["max_buffer_delay_ms"].as_u64().unwrap_or(3_000);
        if delay > 5_000 {
            return Err(invalid("max_buffer_delay_ms must be between 0 and 5000"));
        }
        let mut fixed = message.clone();
        if let Some(members) = fixed.as_object_mut() {
            ["transcript", "continue", "flush", "max_buffer_delay_ms"]
                .iter()
                .for_each(|name| drop(members.remove(*name)));
        }
        let now = out.now();
        if !self.contexts.contains_key(id) {
            self.tags += 1;
            if self.contexts.len() >= REMEMBERED {
                self.contexts.pop_first();
            }
            let new = Context {
                tag: self.tags,
                fixed: fixed.clone(),
                text: String::new(),
                made: Duration::ZERO,
                due: None,
                over: None,
            };
            self.contexts.insert(id.to_owned(), new);
        }
        let Some(context) = self.contexts.get_mut(id) else { return Ok(()) };
        if context.over.is_some_and(|over| over <= now) {
            return Err((400, "context_expired", format!("context {id} has ended")));
        }
        if without_options(&context.fixed) != without_options(&fixed) {
            return Err(invalid("only transcript, continue and flush may change within a context"));
        }
        context.text.push_str(text);
        let more = message["continue"] == true;
        if !more || delay == 0 || message["flush"] == true || is_sentence(&context.text) {
            self.generate(id, out)?;
        } else if context.due.is_none() && is_speakable(&context.text) {
            context.due = Some(now + Duration::from_millis(delay));
        }
        let Some(context) = self.contexts.get_mut(id) else { return Ok(()) };
        let end = out.busy_until(context.tag).unwrap_or(now);
        if message["flush"] == true && more {
            let value = json!({"type": "flush_done", "context_id": id, "flush_id": 1, "flush_done": true, "done": false, "status_code": 206});
            out.at(end, context.tag, Out::Json(value));
        }
        if more {
            // Ends by itself, unless more text comes.
            context.over = (!context.made.is_zero() && context.due.is_none()).then_some(end + EXPIRY);
        } else {
            context.over = Some(now);
            out.last_at(
                end,
                context.tag,
                json!({"type": "done", "done": true, "status_code": 200, "context_id": id}),
            );
        }
        Ok(())
    }

    fn generate(&mut self, id: &str, out: &mut Outbox) -> Result<(), Complaint> {
        let Some(context) = self.contexts.get_mut(id) else { return Ok(()) };
        let text = std::mem::take(&mut context.text);
        context.due = None;
        if !is_speakable(&text) {
            return Ok(());
        }
        let (encoding, rate) = Self::format(&context.fixed)?;
        let spoken = SynthResult::new(&self.state, &text, encoding, rate);
        let pace = self.state.config.latency.tts;
        let soonest = out.now() + self.state.draw(pace.first);
        let begin = out.busy_until(context.tag).map_or(soonest, |busy| busy.max(soonest));
        if context.fixed["add_timestamps"] == true {
            let words: Vec<&str> = spoken.words.iter().map(|word| word.word.as_str()).collect();
            let times = |time: fn(&crate::speaker::SpokenWord) -> Duration| -> Vec<f64> {
                let seconds = spoken.words.iter().map(|word| (time(word) + context.made).as_secs_f64());
                seconds.map(|seconds| (seconds * 1_000.0).round() / 1_000.0).collect()
            };
            let timing =
                json!({"words": words, "start": times(|word| word.start), "end": times(|word| word.end)});
            let value = json!({"type": "timestamps", "done": false, "status_code": 206, "context_id": id, "word_timestamps": timing});
            out.at(begin, context.tag, Out::Json(value));
        }
        for (start, audio) in spoken.chunks(CHUNK) {
            let value = json!({"type": "chunk", "data": null, "done": false, "status_code": 206, "step_time": 14.2, "context_id": id, "flush_id": 1});
            out.at(begin + making(pace, start), context.tag, Out::JsonAudio { value, member: "data", audio });
        }
        context.made += spoken.length();
        Ok(())
    }
}

/// `add_timestamps` and its like may be left out when nothing is said any more.
fn without_options(fixed: &Value) -> Value {
    let names = ["model_id", "voice", "language", "output_format"];
    names.iter().map(|name| fixed[*name].clone()).collect()
}

impl Protocol for Cartesia {
    fn text(&mut self, text: &str, out: &mut Outbox) {
        self.last = out.now();
        let message = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
        let context = message.as_ref().map_or(Value::Null, |message| message["context_id"].clone());
        let outcome = match message {
            None => Err((400, "invalid_request", "the message is not a JSON object".to_owned())),
            Some(message) if message["cancel"] == true => {
                if let Some(found) = context.as_str().and_then(|id| self.contexts.get_mut(id)) {
                    found.over = Some(out.now());
                    (found.due, found.text) = (None, String::new());
                    out.forget(found.tag, out.now() + IN_FLIGHT);
                }
                Ok(())
            }
            Some(message) => self.speak(&message, out),
        };
        if let Err((status, code, what)) = outcome {
            out.say(json!({"type": "error", "done": true, "status_code": status, "error_code": code, "title": code,
                           "message": what, "request_id": "req_double", "context_id": context,
                           "doc_url": "https://docs.cartesia.ai"}));
        }
    }

    fn binary(&mut self, _bytes: &Bytes, out: &mut Outbox) {
        self.text("", out);
    }

    fn deadline(&self) -> Option<Duration> {
        let due = self.contexts.values().filter_map(|context| context.due).min();
        let idle = self.last + IDLE;
        (!self.closed).then(|| due.map_or(idle, |due| due.min(idle)))
    }

    fn expired(&mut self, out: &mut Outbox) {
        let now = out.now();
        let due = |context: &Context| context.due.is_some_and(|due| due <= now);
        let ids: Vec<String> =
            self.contexts.iter().filter(|(_, context)| due(context)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            if self.generate(&id, out).is_err() {
                tracing::debug!("a context's format was judged when it began");
            }
        }
        if self.last + IDLE <= now {
            self.closed = true;
            out.close_at(now, 1000, "connection idle timeout");
        }
    }

    fn failure(&self) -> (Value, u16) {
        let id = self.contexts.keys().next_back();
        (
            json!({"type": "error", "done": true, "status_code": 500, "error_code": "internal_error", "title": "internal_error",
                "message": "something went wrong", "context_id": id}),
            1011,
        )
    }
}
