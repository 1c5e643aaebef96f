//! ElevenLabs: what its three endpoints share, and the HTTP stream.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{SynthResult, making};
use crate::fault::mp3;
use crate::hearing::Encoding;
use crate::http::{Refusal, Reply, Role};
use crate::quirk::Quirk;
use crate::refusal::{Vendor, Why};
use crate::route::Query;
use crate::socket::{Out, Outbox};
use crate::speaker::characters;
use crate::state::State;

/// Sound comes in pieces of this length.
const CHUNK: Duration = Duration::from_millis(400);

pub(super) fn bad(message: &str) -> Refusal {
    Vendor::ElevenLabs.refuse(Why::BadRequest, message)
}

/// What `output_format` asks for; none: MP3.
pub(super) fn format(query: &Query) -> Result<Option<(Encoding, u32)>, Refusal> {
    let name = query.get("output_format").unwrap_or("mp3_44100_128");
    let rates = ["8000", "16000", "22050", "24000", "32000", "44100", "48000"];
    Ok(match name.split_once('_') {
        Some(("ulaw", "8000")) => Some((Encoding::Mulaw, 8_000)),
        Some(("alaw", "8000")) => Some((Encoding::Alaw, 8_000)),
        Some(("pcm", rate)) if rates.contains(&rate) => {
            Some((Encoding::Linear16, rate.parse().unwrap_or(16_000)))
        }
        Some(("mp3" | "opus", _)) => None,
        _ => return Err(bad(&format!("Output format {name} is not valid."))),
    })
}

/// Answers `/stream`; `timed`, `/stream/with-timestamps`.
pub(crate) fn stream(query: &Query, body: &[u8], timed: bool, state: &State) -> Result<Reply, Refusal> {
    let detail = |message: &str, at: &str| Refusal {
        status: 422,
        headers: Vec::new(),
        content_type: "application/json",
        body: json!({"detail": [{"type": "missing", "loc": ["body", at], "msg": message}]}).to_string(),
    };
    let request: Value = serde_json::from_slice(body).map_err(|_| detail("JSON decode error", "body"))?;
    let Some(text) = request["text"].as_str() else { return Err(detail("Field required", "text")) };
    if let Some(model) = request["model_id"].as_str().filter(|model| !state.knows(model)) {
        return Err(bad(&format!("A model with model ID {model} does not exist.")));
    }
    let pace = state.config.latency.tts;
    let first = state.draw(pace.first);
    let error = json!({"detail": {"status": "internal_server_error", "message": "Something went wrong."}});
    let mut reply = Reply {
        content_type: "audio/basic",
        headers: vec![("request-id", "double".to_owned())],
        error: error.to_string().into(),
        rate: 8_000,
        ..Reply::default()
    };
    let Some((encoding, rate)) = format(query)? else {
        reply.content_type = "audio/mpeg";
        reply.push(first, Role::Audio, mp3());
        return Ok(reply);
    };
    reply.rate = rate;
    let spoken = SynthResult::new(state, text, encoding, rate);
    let letters = characters(text, &spoken.words);
    for (nth, (start, mut chunk)) in spoken.chunks(CHUNK).into_iter().enumerate() {
        let after = if nth == 0 { first } else { making(pace, CHUNK) };
        if timed {
            let last = start + CHUNK >= spoken.length();
            let alignment =
                alignment(letters.iter().filter(|(_, at, _)| *at >= start && (last || *at < start + CHUNK)));
            let object = json!({"audio_base64": STANDARD.encode(&chunk), "alignment": alignment, "normalized_alignment": alignment});
            reply.content_type = "application/json";
            reply.push(after, Role::Audio, format!("{object}\n"));
            continue;
        }
        // Cut anywhere, as streams are.
        let head = chunk.split_to(chunk.len().min(333));
        reply.push(after, Role::Audio, head);
        reply.push(Duration::ZERO, Role::Audio, chunk);
    }
    reply.pieces.retain(|piece| !piece.bytes.is_empty());
    Ok(reply)
}

/// Letters with their times in seconds, counted from the text's start.
fn alignment<'a>(letters: impl Iterator<Item = &'a (char, Duration, Duration)>) -> Value {
    let (mut characters, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (letter, at, length) in letters {
        characters.push(letter.to_string());
        starts.push(at.as_secs_f64());
        ends.push((*at + *length).as_secs_f64());
    }
    json!({"characters": characters, "character_start_times_seconds": starts, "character_end_times_seconds": ends})
}

/// The voice of a WebSocket: queues sound with its alignment.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) state: std::sync::Arc<State>,
    format: Option<(Encoding, u32)>,
}

impl Voice {
    pub(super) fn open(query: &Query, state: &std::sync::Arc<State>) -> Result<Self, Refusal> {
        let model = query.get("model_id").unwrap_or("eleven_multilingual_v2");
        if model.starts_with("eleven_v3") || model.starts_with("eleven_v4") {
            return Err(bad(&format!("Model {model} is not available on this endpoint.")));
        }
        if !state.knows(model) {
            return Err(bad(&format!("A model with model ID {model} does not exist.")));
        }
        Ok(Self { state: std::sync::Arc::clone(state), format: format(query)? })
    }

    /// Speaks a text after what is queued under its tag.
    pub(super) fn speak(&self, text: &str, context: Option<&str>, tag: u64, out: &mut Outbox) {
        let (encoding, rate) = self.format.unwrap_or((Encoding::Linear16, 44_100));
        out.rate = rate;
        let spoken = SynthResult::new(&self.state, text, encoding, rate);
        let letters = characters(text, &spoken.words);
        let pace = self.state.config.latency.tts;
        let first = self.state.draw(pace.first);
        let begin = out.busy_until(tag).map_or(out.now() + first, |busy| busy.max(out.now() + first));
        for (start, audio) in spoken.chunks(CHUNK) {
            let end = start + CHUNK;
            let last = end >= spoken.length();
            let inside = |at: &Duration| *at >= start && (last || *at < end);
            let chars: Vec<_> = letters.iter().filter(|(_, at, _)| inside(at)).collect();
            let mut value = json!({"isFinal": false, "audio": null});
            // Times restart with each piece of sound.
            let alignment = json!({
                "chars": chars.iter().map(|(letter, ..)| letter.to_string()).collect::<Vec<_>>(),
                "charStartTimesMs": chars.iter().map(|(_, at, _)| (*at - start).as_millis() as u64).collect::<Vec<_>>(),
                "charDurationsMs": chars.iter().map(|(.., length)| length.as_millis() as u64).collect::<Vec<_>>(),
            });
            let null = self.state.has(Quirk::NullAlignment);
            value["alignment"] = if null { Value::Null } else { alignment.clone() };
            value["normalizedAlignment"] = if null { Value::Null } else { alignment };
            let audio = if self.format.is_none() { mp3().into() } else { audio };
            let value = self.named(value, context);
            out.at(begin + making(pace, start), tag, Out::JsonAudio { value, member: "audio", audio });
        }
    }

    /// Names the context, spelled as configured.
    pub(super) fn named(&self, mut value: Value, context: Option<&str>) -> Value {
        let other = self.state.has(Quirk::OtherSpelling);
        if let Some(context) = context {
            value[if other { "context_id" } else { "contextId" }] = context.into();
        }
        if other && let Some(members) = value.as_object_mut() {
            if let Some(is_final) = members.remove("isFinal") {
                members.insert("is_final".to_owned(), is_final);
            }
            for name in ["alignment", "normalizedAlignment"] {
                let found = members.get_mut(name).and_then(Value::as_object_mut);
                if let Some(found) = found
                    && let Some(durations) = found.remove("charDurationsMs")
                {
                    found.insert("charsDurationsMs".to_owned(), durations);
                }
            }
        }
        value
    }
}

/// The error before a close with 1008.
pub(super) fn policy(out: &mut Outbox, message: &str, error: &str) {
    out.fail(json!({"message": message, "error": error, "code": 1008}), 1008, message);
}

/// Decodes a message; what is not JSON closes the socket.
pub(super) fn decode(text: &str, out: &mut Outbox) -> Option<Value> {
    let value = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
    if value.is_none() {
        policy(out, "The message is not a JSON object.", "invalid_message");
    }
    value
}

/// Seconds without text after which the socket is closed: 20, or what the query says, 180 at most.
pub(super) fn patience(query: &Query) -> Result<Duration, Refusal> {
    let seconds = query.number("inactivity_timeout", 20.0).map_err(|what| bad(&what))?;
    match seconds {
        1.0..=180.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(bad("inactivity_timeout must be between 1 and 180.")),
    }
}
