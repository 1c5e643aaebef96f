//! OpenAI's `/v1/realtime`: speech to speech, and streamed transcription; those who speak it differently; and Gemini Live.

mod flavour;
mod items;
mod live;
mod response;
mod session;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::hearing::{Hearing, Noticed};
use crate::http::Refusal;
use crate::quirk::Quirk;
use crate::refusal::{Why, openai};
use crate::route::Query;
use crate::script::tokens;
use crate::socket::{Out, Outbox, Protocol};
use crate::state::State;
pub(crate) use flavour::Flavour;
use items::{Item, Items};
pub(crate) use live::Live;
use response::Response;
use session::{Refused, Session, invalid};

/// A session lasts no longer.
const SESSION: Duration = Duration::from_secs(3_600);
/// Less sound than this can't be committed.
const LEAST: Duration = Duration::from_millis(100);
/// The caller's words come so long after the response, where they come late.
const LATE: Duration = Duration::from_millis(50);

/// A socket.
#[derive(Debug)]
pub(crate) struct Realtime {
    state: Arc<State>,
    flavour: Flavour,
    session: Session,
    hearing: Hearing,
    /// Where the sound that isn't committed yet begins.
    committed: Duration,
    utterances: usize,
    items: Items,
    /// The item that the next commit makes.
    pending: Option<String>,
    response: Option<Response>,
    responses: u64,
    ids: u64,
    events: u64,
    expired: bool,
}

impl Realtime {
    pub(crate) fn open(flavour: Flavour, query: &Query, state: &Arc<State>) -> Result<Self, Refusal> {
        let model = query.get("model").filter(|model| !model.is_empty());
        if model.is_none() && !query.is("intent", "transcription") {
            return Err(openai(
                Why::BadRequest,
                "You must provide a model parameter.",
                Some("model"),
                Some("missing_model"),
            ));
        }
        if let Some(model) = model.filter(|model| !state.knows(model)) {
            return Err(openai(
                Why::NoSuchModel,
                &format!("The model `{model}` does not exist."),
                None,
                None,
            ));
        }
        let session = Session::new(model, flavour);
        let (encoding, rate) = session.input();
        Ok(Self {
            state: Arc::clone(state),
            flavour,
            session,
            hearing: Hearing::new(encoding, rate),
            committed: Duration::ZERO,
            utterances: 0,
            items: Items::default(),
            pending: None,
            response: None,
            responses: 0,
            ids: 0,
            events: 0,
            expired: false,
        })
    }

    fn item_id(&mut self) -> String {
        self.ids += 1;
        format!("item_{}", self.ids)
    }

    /// Numbers an event.
    fn event(&mut self, mut value: Value) -> Value {
        self.events += 1;
        value["event_id"] = format!("event_{}", self.events).into();
        value
    }

    fn tell(&mut self, value: Value, out: &mut Outbox) {
        if let Some(value) = self.flavour.event(value) {
            let value = self.event(value);
            out.say(value);
        }
    }

    fn tell_at(&mut self, at: Duration, tag: u64, value: Value, out: &mut Outbox) {
        if let Some(value) = self.flavour.event(value) {
            let value = self.event(value);
            out.at(at, tag, Out::Json(value));
        }
    }

    fn refuse(&mut self, refused: &Refused, cause: &Value, out: &mut Outbox) {
        let error = json!({"type": "invalid_request_error", "code": refused.code, "message": refused.message,
                           "param": refused.param, "event_id": cause});
        self.tell(json!({"type": "error", "error": error}), out);
    }

    /// Listens, and finds turns if it is told to.
    fn append(&mut self, audio: &Value, out: &mut Outbox) -> Result<(), Refused> {
        let bytes = audio.as_str().and_then(|audio| STANDARD.decode(audio).ok());
        let bytes =
            bytes.ok_or_else(|| invalid("Invalid 'audio'. Expected base64-encoded audio bytes.", "audio"))?;
        let mut noticed = Vec::new();
        for piece in bytes.chunks(160) {
            self.hearing.push(piece, &mut noticed);
            for event in noticed.drain(..) {
                let Some(detection) = self.session.detection() else { continue };
                match event {
                    Noticed::Started { at } => {
                        let item = self.item_id();
                        self.pending = Some(item.clone());
                        self.tell(json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": at.as_millis() as u64,
                                         "item_id": item}), out);
                        if detection.interrupt {
                            self.cancel("turn_detected", out);
                        }
                    }
                    Noticed::Silent { end, silence }
                        if silence >= detection.silence && self.hearing.open().is_some() =>
                    {
                        let item = self.pending.clone();
                        self.tell(json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": end.as_millis() as u64,
                                         "item_id": item}), out);
                        self.commit(out, detection.create);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Makes an item of what was heard, and answers it if it should.
    fn commit(&mut self, out: &mut Outbox, answer: bool) {
        let spoken = self.hearing.open().is_some();
        self.hearing.close();
        self.committed = self.hearing.position();
        let text = if spoken {
            self.state.config.script.utterance(self.utterances).0.to_owned()
        } else {
            String::new()
        };
        self.utterances += usize::from(spoken);
        let id = self.pending.take().unwrap_or_else(|| self.item_id());
        let previous = self.items.last_id();
        self.tell(
            json!({"type": "input_audio_buffer.committed", "previous_item_id": previous, "item_id": id}),
            out,
        );
        let value = json!({"id": id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
                           "content": [{"type": "input_audio", "transcript": null}]});
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.tell(json!({"type": kind, "previous_item_id": previous, "item": value}), out);
        }
        let mut item = Item::new(id.clone(), value);
        item.value["content"] = json!([{"type": "input_audio", "transcript": text}]);
        self.items.add(item);
        let free = self.response.as_ref().is_none_or(|response| response.ends <= out.now());
        if answer && free {
            self.respond(out);
        }
        if self.session.transcribes() {
            let late = self.state.has(Quirk::LateTranscript);
            let ends = self.response.as_ref().filter(|_| late).map(|response| response.ends + LATE);
            let at = ends.unwrap_or(out.now() + self.state.draw(self.state.config.latency.stt.first));
            self.transcribe(&id, &text, at, out);
        }
    }

    fn transcribe(&mut self, id: &str, text: &str, at: Duration, out: &mut Outbox) {
        let place = |kind: &str| json!({"type": format!("conversation.item.input_audio_transcription.{kind}"), "item_id": id, "content_index": 0});
        // Azure has whatever model is deployed there by that name.
        if self.flavour == Flavour::Azure && !self.state.knows(self.session.transcriber()) {
            let mut failed = place("failed");
            let message = format!("Input transcription failed for item '{id}'.");
            failed["error"] = json!({"type": "server_error", "code": "DeploymentNotFound", "message": message, "param": null});
            return self.tell_at(at, 1, failed, out);
        }
        for token in tokens(text) {
            let mut delta = place("delta");
            delta["delta"] = token.into();
            self.tell_at(at, 1, delta, out);
        }
        let mut done = place("completed");
        done["transcript"] = text.into();
        done["usage"] = json!({"type": "duration", "seconds": 2});
        let done = self.event(done);
        out.last_at(at, 1, done);
    }

    /// Adds an item that the client wrote.
    fn create(&mut self, item: &Value, out: &mut Outbox) -> Result<(), Refused> {
        let mut value = item.clone();
        match item["type"].as_str() {
            Some("message") => {
                let beta = self.flavour == Flavour::VoiceLive;
                let wanted = match item["role"].as_str() {
                    Some("user") => ["input_text", "input_audio"].as_slice(),
                    Some("assistant") if beta => &["text", "audio"],
                    Some("assistant") => &["output_text", "output_audio"],
                    Some("system") => &["input_text"],
                    _ => {
                        return Err(invalid(
                            "Invalid value. Supported values are: 'user', 'assistant', and 'system'.",
                            "item.role",
                        ));
                    }
                };
                let parts = item["content"].as_array().map(Vec::as_slice).unwrap_or_default();
                let fits = |part: &Value| part["type"].as_str().is_some_and(|kind| wanted.contains(&kind));
                if parts.is_empty() || !parts.iter().all(fits) {
                    let message = format!("Invalid value. Supported values are: '{}'.", wanted.join("', '"));
                    return Err(invalid(message, "item.content[0].type"));
                }
            }
            Some("function_call_output") if !self.items.called(&item["call_id"]) => {
                let message = format!("Tool call ID {} not found in conversation.", item["call_id"]);
                return Err(Refused {
                    code: "invalid_tool_call_id",
                    message,
                    param: Some("item.call_id".to_owned()),
                });
            }
            Some("function_call_output") if !item["output"].is_string() => {
                return Err(invalid("Invalid type for 'item.output': expected a string.", "item.output"));
            }
            Some("function_call_output" | "function_call") => {}
            _ => return Err(invalid("Invalid value for 'item.type'.", "item.type")),
        }
        let id = item["id"].as_str().map_or_else(|| self.item_id(), str::to_owned);
        value["id"] = id.as_str().into();
        let previous = self.items.last_id();
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.tell(json!({"type": kind, "previous_item_id": previous, "item": value}), out);
        }
        self.items.add(Item::new(id, value));
        Ok(())
    }

    fn obey(&mut self, message: &Value, out: &mut Outbox) -> Result<(), Refused> {
        let refused = |code, message: &str| Refused { code, message: message.to_owned(), param: None };
        let kind = message["type"].as_str().unwrap_or("");
        let buffered = self.hearing.position().saturating_sub(self.committed);
        match kind {
            "session.update" => {
                self.session.update(&message["session"], self.responses > 0)?;
                let (encoding, rate) = self.session.input();
                self.hearing.switch(encoding, rate);
                let value = self.session.value();
                self.tell(json!({"type": "session.updated", "session": value}), out);
            }
            "input_audio_buffer.append" => self.append(&message["audio"], out)?,
            "input_audio_buffer.commit" if buffered < LEAST => {
                let message = format!(
                    "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only \
                     has {:.2}ms of audio.",
                    buffered.as_secs_f64() * 1_000.0
                );
                return Err(refused("input_audio_buffer_commit_empty", &message));
            }
            "input_audio_buffer.commit" => self.commit(out, false),
            "input_audio_buffer.clear" => {
                self.hearing.close();
                self.committed = self.hearing.position();
                self.tell(json!({"type": "input_audio_buffer.cleared"}), out);
            }
            "conversation.item.create" => self.create(&message["item"], out)?,
            "conversation.item.retrieve" => {
                let missing =
                    || refused("item_retrieve_invalid_item_id", "Error retrieving item: it does not exist.");
                let item = self.items.find(&message["item_id"]).ok_or_else(missing)?.value.clone();
                self.tell(json!({"type": "conversation.item.retrieved", "item": item}), out);
            }
            "conversation.item.delete" => {
                if !self.items.remove(&message["item_id"]) {
                    return Err(refused(
                        "item_delete_invalid_item_id",
                        "Error deleting item: it does not exist.",
                    ));
                }
                self.tell(json!({"type": "conversation.item.deleted", "item_id": message["item_id"]}), out);
            }
            "conversation.item.truncate" => {
                let done =
                    self.items.truncate(&message["item_id"], message["audio_end_ms"].as_f64(), out.now())?;
                self.tell(done, out);
            }
            "response.create" if self.session.answers() => {
                if let Some(active) = self.response.as_ref().filter(|response| response.ends > out.now()) {
                    let message = format!(
                        "Conversation already has an active response in progress: {}. Wait until the response \
                                           is finished before creating a new one.",
                        active.id
                    );
                    return Err(refused("conversation_already_has_active_response", &message));
                }
                self.respond(out);
            }
            "response.cancel" => {
                if !self.cancel("client_cancelled", out) {
                    return Err(refused(
                        "response_cancel_not_active",
                        "Cancellation failed: no active response found",
                    ));
                }
            }
            _ => {
                let message = format!("Invalid value: '{kind}'. This is not an event that a client sends.");
                return Err(invalid(message, "type"));
            }
        }
        Ok(())
    }
}

impl Protocol for Realtime {
    fn open(&mut self, out: &mut Outbox) {
        let session = self.session.value();
        self.tell(json!({"type": "session.created", "session": session}), out);
        if self.flavour == Flavour::Xai {
            let conversation = json!({"id": "conv_double", "object": "realtime.conversation"});
            self.tell(json!({"type": "conversation.created", "conversation": conversation}), out);
            self.tell(json!({"type": "ping", "timestamp": 1_795_194_000_000_u64}), out);
        }
    }

    fn text(&mut self, text: &str, out: &mut Outbox) {
        let message = serde_json::from_str::<Value>(text).unwrap_or_default();
        if let Err(refused) = self.obey(&message, out) {
            self.refuse(&refused, &message["event_id"], out);
        }
    }

    fn binary(&mut self, _bytes: &Bytes, out: &mut Outbox) {
        self.refuse(&invalid("Events are JSON in text messages.", "type"), &Value::Null, out);
    }

    fn deadline(&self) -> Option<Duration> {
        (!self.expired).then_some(SESSION)
    }

    fn expired(&mut self, out: &mut Outbox) {
        self.expired = true;
        let message = "Your session hit the maximum duration of 60 minutes.";
        let error = json!({"type": "invalid_request_error", "code": "session_expired", "message": message, "param": null});
        let value = self.event(json!({"type": "error", "error": error}));
        out.fail(value, 1001, message);
    }

    fn failure(&self) -> (Value, u16) {
        let error = json!({"type": "server_error", "code": null, "param": null, "message": "The server had an error while processing your request."});
        (json!({"type": "error", "event_id": "event_0", "error": error}), 1011)
    }
}
