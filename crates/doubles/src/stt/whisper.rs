//! Uploads: OpenAI's `/audio/transcriptions` and its kin, and whisper.cpp's `/inference`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::{Value, json};

use crate::hearing::{Encoding, Hearing};
use crate::http::{Refusal, Reply, Role};
use crate::refusal::{Vendor, Why, openai};
use crate::script::tokens;
use crate::state::State;

/// File name extensions that are taken.
const EXTENSIONS: [&str; 9] = ["flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm"];
/// What these models make of silence.
const HALLUCINATION: &str = "Thank you.";

fn bad(message: &str, param: &str, code: Option<&str>) -> Refusal {
    openai(Why::BadRequest, message, Some(param), code)
}

/// A form: the file with its name, and the other fields.
#[derive(Debug, Default)]
struct Form {
    file: Option<(String, Bytes)>,
    fields: BTreeMap<String, String>,
}

async fn read(headers: &HeaderMap, body: Bytes) -> Result<Form, multer::Error> {
    let kind = headers.get(hyper::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let boundary = multer::parse_boundary(kind)?;
    let once = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut multipart = multer::Multipart::new(once, boundary);
    let mut form = Form::default();
    while let Some(field) = multipart.next_field().await? {
        let name = field.name().unwrap_or("").to_owned();
        match field.file_name().map(str::to_owned) {
            Some(file) if name == "file" => form.file = Some((file, field.bytes().await?)),
            _ => drop(form.fields.insert(name, field.text().await?)),
        }
    }
    Ok(form)
}

/// Answers an upload.
pub(crate) async fn answer(
    vendor: Vendor,
    headers: &HeaderMap,
    body: Bytes,
    state: &State,
) -> Result<Reply, Refusal> {
    let local = vendor == Vendor::Local;
    let form = read(headers, body).await.map_err(|_| bad("Could not parse multipart form", "file", None))?;
    let Some((file, sound)) = form.file else {
        let plain = Refusal {
            body: r#"{"error":"no 'file' field in the request"}"#.to_owned(),
            ..bad("", "file", None)
        };
        return Err(if local {
            plain
        } else {
            bad("Missing required parameter: 'file'.", "file", Some("missing_required_parameter"))
        });
    };
    let field = |name: &str| form.fields.get(name).map(String::as_str);
    let model = field("model").unwrap_or("");
    if !local && model.is_empty() {
        return Err(bad("you must provide a model parameter", "model", None));
    }
    if !local && !state.knows(model) {
        return Err(openai(Why::NoSuchModel, &format!("The model `{model}` does not exist."), None, None));
    }
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension).to_lowercase();
    if !local && !EXTENSIONS.contains(&extension.as_str()) {
        return Err(bad(
            "Unrecognized file format. Supported formats: ['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']",
            "file",
            None,
        ));
    }
    let format = field("response_format").unwrap_or("json");
    let json_only = model.starts_with("gpt-");
    let known = ["json", "text", "srt", "verbose_json", "vtt"].contains(&format);
    if !known || (json_only && format != "json") {
        let message =
            format!("response_format '{format}' is not compatible with model '{model}'. Use 'json' instead.");
        return Err(bad(&message, "response_format", Some("unsupported_value")));
    }
    let Some((speech, length)) = judge(&sound) else {
        let plain =
            Refusal { body: r#"{"error":"failed to read audio data"}"#.to_owned(), ..bad("", "file", None) };
        let message = "Audio file might be corrupted or unsupported";
        return Err(if local { plain } else { bad(message, "file", Some("invalid_value")) });
    };
    if length < Duration::from_millis(100) && !local {
        let message = "Audio file is too short. Minimum audio length is 0.1 seconds.";
        return Err(bad(message, "file", Some("audio_too_short")));
    }
    let text = if speech { state.config.script.utterance(state.upload()).0 } else { HALLUCINATION };
    let stream = field("stream") == Some("true") && model != "whisper-1" && !local;
    let time = state.draw(state.config.latency.stt.first);
    Ok(reply(text, speech, length, (format, stream, local), time))
}

fn reply(
    text: &str,
    speech: bool,
    length: Duration,
    (format, stream, local): (&str, bool, bool),
    time: Duration,
) -> Reply {
    let usage = json!({"type": "tokens", "input_tokens": 14, "output_tokens": tokens(text).len(), "total_tokens": 14 + tokens(text).len()});
    if stream {
        let mut reply = Reply { content_type: "text/event-stream", ..Reply::default() };
        let event = |value: &Value| format!("data: {value}\n\n");
        reply.push(time, Role::Event, Bytes::new());
        for token in tokens(text) {
            let delta = json!({"type": "transcript.text.delta", "delta": token});
            reply.push(Duration::ZERO, Role::Event, event(&delta));
        }
        reply.push(
            Duration::ZERO,
            Role::Last,
            event(&json!({"type": "transcript.text.done", "text": text, "usage": usage})),
        );
        reply.error =
            event(&json!({"error": {"message": "The server had an error.", "type": "server_error"}})).into();
        return reply;
    }
    let seconds = length.as_secs_f64();
    match format {
        "text" | "srt" | "vtt" => {
            let mut reply = Reply { content_type: "text/plain; charset=utf-8", ..Reply::default() };
            reply.push(time, Role::Event, format!("{text}\n"));
            reply
        }
        "verbose_json" => {
            let (prob, log) = if speech { (0.01, -0.21) } else { (0.92, -1.1) };
            let segment = json!({"id": 0, "start": 0.0, "end": seconds, "text": text, "avg_logprob": log,
                                 "compression_ratio": 1.1, "no_speech_prob": prob, "temperature": 0.0});
            Reply::json(
                &json!({"task": "transcribe", "language": "english", "duration": seconds, "text": text, "segments": [segment]}),
                time,
            )
        }
        // whisper.cpp begins with a space and ends with a new line.
        _ if local => Reply::json(&json!({"text": format!(" {text}\n")}), time),
        _ => Reply::json(&json!({"text": text, "usage": usage}), time),
    }
}

/// Whether there is speech in a WAV file, and how long it is. Other containers are taken for speech of a second.
fn judge(file: &[u8]) -> Option<(bool, Duration)> {
    if !file.starts_with(b"RIFF") {
        let container = [b"fLaC".as_slice(), b"OggS", b"ID3", b"\xFF\xFB", b"\x1A\x45\xDF\xA3"];
        let known = container.iter().any(|magic| file.starts_with(magic));
        return known.then_some((true, Duration::from_secs(1)));
    }
    let word = |at: usize| Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?));
    let (mut at, mut found) = (12, None);
    loop {
        let (name, size) = (file.get(at..at + 4)?, word(at + 4)? as usize);
        let body = at + 8;
        match name {
            b"fmt " => {
                let kind = u16::from_le_bytes(file.get(body..body + 2)?.try_into().ok()?);
                let encoding = match kind {
                    1 => Encoding::Linear16,
                    6 => Encoding::Alaw,
                    7 => Encoding::Mulaw,
                    _ => return None,
                };
                found = Some((encoding, word(body + 4)?));
            }
            b"data" => {
                let (encoding, rate) = found?;
                let sound = file.get(body..file.len().min(body.saturating_add(size)))?;
                let mut hearing = Hearing::new(encoding, rate);
                hearing.push(sound, &mut Vec::new());
                return Some((hearing.open().is_some(), hearing.length(sound.len())));
            }
            _ => {}
        }
        at = body.checked_add(size)?.checked_add(size % 2)?;
    }
}
