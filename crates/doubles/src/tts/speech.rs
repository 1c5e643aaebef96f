//! OpenAI's `/audio/speech`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{SynthResult, making};
use crate::fault::{mp3, wav_header};
use crate::hearing::Encoding;
use crate::http::{Refusal, Reply, Role};
use crate::refusal::{Why, openai};
use crate::state::State;

/// `pcm` and `wav` have this rate.
const RATE: u32 = 24_000;
/// Sizes of chunks: odd, so that samples are cut in two.
const CHUNKS: [usize; 4] = [1_201, 4_803, 3, 9_601];

/// Answers a request.
pub(crate) fn answer(body: &[u8], state: &State) -> Result<Reply, Refusal> {
    let bad = |message: &str, param| openai(Why::BadRequest, message, param, None);
    let request: Value = serde_json::from_slice(body)
        .map_err(|_| bad("We could not parse the JSON body of your request.", None))?;
    let text = |name: &'static str| {
        let missing = format!("Missing required parameter: '{name}'.");
        request[name].as_str().filter(|text| !text.is_empty()).ok_or_else(|| bad(&missing, Some(name)))
    };
    let (model, input) = (text("model")?, text("input")?);
    if request["voice"].as_str().is_none() && !request["voice"].is_object() {
        return Err(bad("Missing required parameter: 'voice'.", Some("voice")));
    }
    if !state.knows(model) {
        return Err(openai(Why::NoSuchModel, &format!("The model `{model}` does not exist."), None, None));
    }
    if input.chars().count() > 4_096 {
        return Err(bad(
            "Invalid 'input': string too long. Expected a string with maximum length 4096.",
            Some("input"),
        ));
    }
    if request["speed"].as_f64().is_some_and(|speed| !(0.25..=4.0).contains(&speed)) {
        return Err(bad("Invalid 'speed': must be between 0.25 and 4.0.", Some("speed")));
    }
    let format = request["response_format"].as_str().unwrap_or("mp3");
    let content_type = match format {
        "pcm" => "audio/pcm",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "opus" | "aac" | "flac" => {
            return Err(bad("This double has pcm, wav and mp3 alone.", Some("response_format")));
        }
        _ => return Err(bad("Invalid value for 'response_format'.", Some("response_format"))),
    };
    let spoken = SynthResult::new(state, input, Encoding::Linear16, RATE);
    let events = request["stream_format"] == "sse";
    let pace = state.config.latency.tts;
    let content_type = if events { "text/event-stream" } else { content_type };
    let mut reply = Reply { content_type, rate: RATE, ..Reply::default() };
    let mut after = state.draw(pace.first);
    let mut send = |bytes: Bytes| {
        let time = making(pace, spoken.time(bytes.len()));
        let delta = |bytes: &Bytes| json!({"type": "speech.audio.delta", "audio": STANDARD.encode(bytes)});
        match events {
            true => reply.push(after, Role::Event, format!("data: {}\n\n", delta(&bytes))),
            false => reply.push(after, Role::Audio, bytes),
        }
        after = time;
    };
    match format {
        "mp3" => send(mp3().into()),
        "wav" => send(wav_header(RATE).into()),
        _ => {}
    }
    let mut rest = if format == "mp3" { Bytes::new() } else { spoken.bytes.clone() };
    for size in CHUNKS.into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        send(rest.split_to(size.min(rest.len())));
    }
    if events {
        let done = json!({"type": "speech.audio.done", "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}});
        reply.push(Duration::ZERO, Role::Last, format!("data: {done}\n\n"));
    }
    reply.error =
        json!({"error": {"message": "The server had an error.", "type": "server_error"}}).to_string().into();
    Ok(reply)
}
