//! Deepgram Aura's `/v1/speak`, over WebSocket and HTTP.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{SynthResult, is_sentence, is_speakable, making};
use crate::fault::wav_header;
use crate::hearing::Encoding;
use crate::http::{Refusal, Reply, Role};
use crate::quirk::Quirk;
use crate::refusal::{Vendor, Why};
use crate::route::Query;
use crate::socket::{Out, Outbox, Protocol};
use crate::state::State;

/// Sound comes in pieces of this length.
const CHUNK: Duration = Duration::from_millis(100);
/// Most characters of one text.
const LONGEST: usize = 2_000;
/// So many flushes are taken within so long.
const FLUSHES: (usize, Duration) = (20, Duration::from_secs(60));
/// A session lasts no longer.
const SESSION: Duration = Duration::from_secs(3_600);

fn bad(message: &str) -> Refusal {
    Vendor::Deepgram.refuse(Why::BadRequest, message)
}

fn format(query: &Query, state: &State) -> Result<(Encoding, u32), Refusal> {
    let model = query.get("model").unwrap_or("aura-asteria-en");
    if !model.starts_with("aura") || !state.knows(model) {
        return Err(Vendor::Deepgram
            .refuse(Why::BadRequest, &format!("No such model/version combination found: {model}.")));
    }
    let encoding = match query.get("encoding").unwrap_or("linear16") {
        "mulaw" => Encoding::Mulaw,
        "alaw" => Encoding::Alaw,
        "linear16" => Encoding::Linear16,
        other => return Err(bad(&format!("encoding {other} is not supported"))),
    };
    let usual = if encoding == Encoding::Linear16 { 24_000.0 } else { 8_000.0 };
    let rate = query.number("sample_rate", usual).map_err(|what| bad(&what))? as u32;
    let rates: &[u32] = if encoding == Encoding::Linear16 {
        &[8_000, 16_000, 24_000, 32_000, 48_000]
    } else {
        &[8_000, 16_000]
    };
    if !rates.contains(&rate) {
        return Err(bad(&format!("sample_rate {rate} is not supported with this encoding")));
    }
    if query.get("speed").is_some()
        && !(0.7..=1.5).contains(&query.number("speed", 1.0).map_err(|what| bad(&what))?)
    {
        return Err(bad("speed must be between 0.7 and 1.5"));
    }
    Ok((encoding, rate))
}

/// Answers over HTTP.
pub(crate) fn http(query: &Query, body: &[u8], state: &State) -> Result<Reply, Refusal> {
    let (encoding, rate) = format(query, state)?;
    let request: Value = serde_json::from_slice(body).map_err(|_| bad("Invalid JSON submitted"))?;
    let Some(text) = request["text"].as_str().filter(|text| is_speakable(text)) else {
        return Err(bad("Failed to deserialize JSON: missing field `text`"));
    };
    if text.chars().count() > LONGEST {
        return Err(Refusal { status: 413, ..bad("Input text exceeds maximum character limit of 2000.") });
    }
    let pace = state.config.latency.tts;
    let spoken = SynthResult::new(state, text, encoding, rate);
    let mut reply = Reply {
        content_type: "audio/mulaw",
        headers: vec![
            ("dg-model-name", query.get("model").unwrap_or("aura-asteria-en").to_owned()),
            ("dg-char-count", text.chars().count().to_string()),
            ("dg-request-id", "double".to_owned()),
        ],
        error: json!({"err_code": "INTERNAL_SERVER_ERROR", "err_msg": "internal"}).to_string().into(),
        rate,
        ..Reply::default()
    };
    let first = state.draw(pace.first);
    if !query.is("container", "none") {
        reply.content_type = "audio/wav";
        reply.push(first, Role::Audio, wav_header(rate));
    }
    for (nth, (_, chunk)) in spoken.chunks(CHUNK).into_iter().enumerate() {
        let after = if nth == 0 && reply.pieces.is_empty() { first } else { making(pace, CHUNK) };
        reply.push(after, Role::Audio, chunk);
    }
    Ok(reply)
}

/// A socket.
#[derive(Debug)]
pub(crate) struct Aura {
    state: Arc<State>,
    encoding: Encoding,
    rate: u32,
    model: String,
    text: String,
    sequence: u64,
    flushes: VecDeque<Duration>,
    closing: bool,
}

/// The tag of all sound.
const SOUND: u64 = 1;

impl Aura {
    pub(crate) fn open(query: &Query, state: &Arc<State>) -> Result<Self, Refusal> {
        let (encoding, rate) = format(query, state)?;
        let model = query.get("model").unwrap_or("aura-asteria-en").to_owned();
        let (text, flushes) = (String::new(), VecDeque::new());
        Ok(Self {
            state: Arc::clone(state),
            encoding,
            rate,
            model,
            text,
            sequence: 0,
            flushes,
            closing: false,
        })
    }

    fn generate(&mut self, out: &mut Outbox) {
        let text = std::mem::take(&mut self.text);
        if !is_speakable(&text) {
            return;
        }
        let spoken = SynthResult::new(&self.state, &text, self.encoding, self.rate);
        let pace = self.state.config.latency.tts;
        let soonest = out.now() + self.state.draw(pace.first);
        let begin = out.busy_until(SOUND).map_or(soonest, |busy| busy.max(soonest));
        for (start, audio) in spoken.chunks(CHUNK) {
            out.at(begin + making(pace, start), SOUND, Out::Audio(audio));
        }
    }

    fn flush(&mut self, out: &mut Outbox) {
        let now = out.now();
        self.flushes.retain(|at| *at + FLUSHES.1 > now);
        if self.flushes.len() >= FLUSHES.0 {
            let description = "Flush is limited to 20 messages per 60 seconds.";
            out.say(json!({"type": "Warning", "description": description, "code": "EXCESSIVE_FLUSH"}));
            return;
        }
        self.flushes.push_back(now);
        self.generate(out);
        let end = out.busy_until(SOUND).unwrap_or(now);
        out.last_at(end, SOUND, json!({"type": "Flushed", "sequence_id": self.sequence}));
        self.sequence += 1;
    }
}

impl Protocol for Aura {
    fn open(&mut self, out: &mut Outbox) {
        out.rate = self.rate;
        out.say(json!({"type": "Metadata", "request_id": "7a0f1c52-0000-4000-8000-0d0b1e5d0b1e", "model_name": self.model,
                       "model_version": "2025-07-07.0", "model_uuid": "c5a1c5a1-0000-4000-8000-0d0b1e5d0b1e"}));
    }

    fn text(&mut self, text: &str, out: &mut Outbox) {
        let message = serde_json::from_str::<Value>(text).unwrap_or_default();
        if self.closing {
            return;
        }
        match message["type"].as_str() {
            Some("Speak") => {
                let Some(text) = message["text"].as_str() else {
                    out.close_at(out.now(), 1008, "DATA-0000");
                    return;
                };
                if text.chars().count() > LONGEST {
                    let description = "Input text exceeds maximum character limit of 2400.";
                    out.fail(
                        json!({"type": "Error", "description": description, "code": "DATA-0001"}),
                        1008,
                        "DATA-0001",
                    );
                    self.closing = true;
                    return;
                }
                self.text.push_str(text);
                if is_sentence(&self.text) {
                    self.generate(out);
                }
            }
            Some("Flush") => self.flush(out),
            Some("Clear") => {
                self.text.clear();
                let now = out.now();
                let late =
                    if self.state.has(Quirk::LateAudio) { Duration::from_millis(40) } else { Duration::ZERO };
                out.forget(SOUND, now + late);
                let end = out.busy_until(SOUND).unwrap_or(now);
                out.last_at(end, SOUND, json!({"type": "Cleared", "sequence_id": self.sequence}));
                self.sequence += 1;
            }
            Some("Close") => {
                self.generate(out);
                self.closing = true;
                out.close_at(out.busy_until(SOUND).unwrap_or(out.now()), 1000, "");
            }
            _ => {
                out.close_at(out.now(), 1003, "MESSAGE-0000");
                self.closing = true;
            }
        }
    }

    fn binary(&mut self, _bytes: &Bytes, out: &mut Outbox) {
        out.close_at(out.now(), 1003, "MESSAGE-0000");
        self.closing = true;
    }

    fn deadline(&self) -> Option<Duration> {
        (!self.closing).then_some(SESSION)
    }

    fn expired(&mut self, out: &mut Outbox) {
        self.closing = true;
        out.close_at(out.now(), 1011, "NET-0003: the session has reached its time limit");
    }

    fn failure(&self) -> (Value, u16) {
        (json!({"type": "Error", "description": "An internal error occurred.", "code": "NET-0000"}), 1011)
    }
}
