//! What the server says, and what follows from it.

use offhook_stage_api::{FailureKind, ReplyReason};
use offhook_stages::StageError;
use serde_json::Value;
use tokio::time::Instant;

use super::reply::Reply;
use super::session::Session;
use super::wire::{self, Heard, Item, Response, Tokens, Trouble};
use crate::net::stream_failure;
use crate::sniff::{self, Asked, sniff};

/// Errors that say that what we asked for had already happened, or that there was nothing to do. Each has ended sessions of
/// clients that took it for more.
const HARMLESS: [&str; 4] = [
    "response_cancel_not_active",
    "item_delete_invalid_item_id",
    "item_truncate_invalid_item_id",
    "input_audio_buffer_commit_empty",
];
/// Errors after which nothing of the session will work.
const FATAL: [&str; 5] =
    ["invalid_api_key", "insufficient_quota", "model_not_found", "account_deactivated", "billing_not_active"];

impl Session {
    /// Takes a message that could not be read: it is passed over.
    pub(super) fn on_unreadable(&self, error: &serde_json::Error) {
        let (stage, kind, column) = (&self.config.name, error.classify(), error.column());
        tracing::warn!(stage, ?kind, column, "a message could not be read, and is passed over");
    }

    /// Takes what the server said.
    ///
    /// # Errors
    /// [`StageError::Broken`] if the session has come to its end and another may be opened; else nothing more can be had here.
    pub(super) fn on_heard(&mut self, heard: Heard, now: Instant) -> Result<(), StageError> {
        match heard {
            Heard::SessionUpdated { session } => self.on_settings(&session)?,
            Heard::Committed { item_id } => self.input.on_committed(item_id),
            Heard::CallerDelta { item_id, delta } => self.input.on_delta(&item_id, &delta),
            Heard::CallerDone { item_id, transcript, usage } => {
                if let Ok(tokens) = serde_json::from_value::<Tokens>(usage) {
                    tokens.add_to(&mut self.transcription);
                }
                self.transcription.requests += 1;
                self.input.on_transcript(&item_id, Some(transcript));
            }
            Heard::CallerFailed { item_id } => {
                self.transcription.requests += 1;
                self.transcription.failures += 1;
                self.input.on_transcript(&item_id, None);
            }
            Heard::Created { response } => {
                self.sign(now);
                self.on_created(&response.id);
            }
            Heard::ItemAdded { response_id, item } => {
                self.sign(now);
                if let Some(reply) = self.by_response(&response_id) {
                    reply.made(&item);
                }
            }
            Heard::ItemDone { response_id, item } => {
                self.sign(now);
                self.on_item(&response_id, &item);
            }
            Heard::Words { response_id, delta } => {
                self.sign(now);
                self.on_words(&response_id, &delta, true);
            }
            Heard::Text { response_id, delta } => {
                self.sign(now);
                self.on_words(&response_id, &delta, false);
            }
            Heard::Sound { response_id, item_id, content_index, delta } => {
                self.sign(now);
                // Casts of floats saturate.
                self.on_sound(&response_id, (&item_id, content_index as u32), &delta)?;
            }
            Heard::Done { response, usage } => {
                if let Some(tokens) = usage {
                    tokens.add_to(&mut self.usage);
                }
                self.on_done(&response, now)?;
            }
            Heard::Error { error } => self.on_error(&error, now)?,
            Heard::Used { usage } => usage.add_to(&mut self.usage),
            Heard::Other => {}
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn on_text(&mut self, text: &str, now: Instant) -> Result<(), StageError> {
        match crate::net::lenient::read(text) {
            Ok(heard) => self.on_heard(heard, now),
            Err(error) => {
                self.on_unreadable(&error);
                Ok(())
            }
        }
    }

    fn on_settings(&mut self, session: &Value) -> Result<(), StageError> {
        self.settled_by = None;
        if wire::is_mulaw(session) {
            return Ok(());
        }
        let what =
            "it doesn't take or give μ-law at 8 kHz (`audio/pcmu`), whatever it is asked for".to_owned();
        Err(StageError::Garbage { stage: self.config.name.clone(), what })
    }

    fn on_created(&mut self, response: &str) {
        let Some(id) = self.active.as_ref().and_then(|active| active.reply) else { return };
        if let Some(reply) = self.reply(id).filter(|reply| reply.response.is_none()) {
            reply.response = Some(response.to_owned());
        }
    }

    fn on_words(&mut self, response: &str, delta: &str, aloud: bool) {
        let mut out = Vec::new();
        if let Some(reply) = self.by_response(response) {
            reply.text(delta, aloud, &mut out);
        }
        self.llm.append(&mut out);
    }

    fn on_sound(&mut self, response: &str, item: (&str, u32), delta: &str) -> Result<(), StageError> {
        let Some(octets) = wire::sound(delta) else { return Ok(()) };
        let stage = self.config.name.clone();
        let mut out = Vec::new();
        let Some(reply) = self.by_response(response) else { return Ok(()) };
        if reply.unwanted || reply.cut || reply.over {
            return Ok(());
        }
        reply.sounds(item.0, item.1, &octets);
        reply.space_sentence(&mut out);
        let judgement = judge(&stage, reply, sniff::ENOUGH);
        self.usage.audio_ms += octets.len() as u64 / 8;
        self.llm.append(&mut out);
        judgement
    }

    fn on_item(&mut self, response: &str, item: &Item) {
        let mut out = Vec::new();
        let mut called = None;
        if let Some(reply) = self.by_response(response) {
            reply.made(item);
            if item.is_call()
                && let Some(arguments) = item.arguments()
                && reply.tool(item, arguments, &mut out)
            {
                called = Some(reply.id);
            }
        }
        self.llm.append(&mut out);
        if let Some(reply) = called {
            self.called(reply, &item.call_id, &item.name);
        }
    }

    fn on_done(&mut self, response: &Response, now: Instant) -> Result<(), StageError> {
        if let Some(tokens) = &response.usage {
            tokens.add_to(&mut self.usage);
        }
        self.on_created(&response.id);
        let stage = self.config.name.clone();
        let Some(reply) = self.by_response(&response.id) else {
            self.free();
            return Ok(());
        };
        let id = reply.id;
        let mut say = Vec::new();
        if reply.unwanted {
            response.output.iter().for_each(|item| reply.made(item));
            reply.unmake(&mut say);
        } else if reply.cut || reply.over {
            reply.cut_rest(&response.output, &mut say);
        }
        let judgement = judge(&stage, reply, 1);
        reply.output.finish(now);
        self.say.append(&mut say);
        if self.active.as_ref().is_none_or(|active| active.reply.is_none_or(|active| active == id)) {
            self.free();
        }
        judgement?;
        for item in &response.output {
            self.on_item(&response.id, item);
        }
        self.on_end(&response.id, response)
    }

    fn on_end(&mut self, id: &str, response: &Response) -> Result<(), StageError> {
        let stage = self.config.name.clone();
        let Some(reply) = self.by_response(id) else { return Ok(()) };
        let (id, empty) = (reply.id, reply.is_empty());
        let may_be_empty = reply.request.reason == ReplyReason::Tool;
        let details = response.status_details.as_ref();
        let reason = details.and_then(|details| details.reason.as_deref()).unwrap_or("no reason told");
        let error = match response.status.as_str() {
            "failed" => {
                let error = details.and_then(|details| details.error.as_ref());
                let broken = || StageError::Broken { stage: stage.clone(), what: "it failed".to_owned() };
                error.map_or_else(broken, |error| stream_failure(&stage, error))
            }
            "cancelled" if empty => StageError::Broken { stage, what: format!("it gave up: {reason}") },
            "incomplete" if empty => {
                StageError::Garbage { stage, what: format!("an answer cut short before it began: {reason}") }
            }
            "cancelled" | "incomplete" => return self.complete(id),
            _ if empty && !may_be_empty => {
                StageError::Garbage { stage, what: "an answer without a word".to_owned() }
            }
            _ => return self.complete(id),
        };
        self.failed(id, &error);
        let code = details.and_then(|details| details.error.as_ref()?.get("code")?.as_str());
        if error.kind() == FailureKind::Refused && code.is_some_and(|code| FATAL.contains(&code)) {
            return Err(error);
        }
        Ok(())
    }

    fn complete(&mut self, id: offhook_stage_api::id::ReplyId) -> Result<(), StageError> {
        let mut out = Vec::new();
        if let Some(reply) = self.reply(id) {
            reply.end(&mut out);
        }
        self.llm.append(&mut out);
        Ok(())
    }

    fn on_error(&mut self, error: &Trouble, now: Instant) -> Result<(), StageError> {
        let stage = self.config.name.clone();
        let code = error.code();
        if code == "session_expired" {
            let what = "the session came to the end of its time".to_owned();
            return Err(StageError::Broken { stage, what });
        }
        let failure = || stream_failure(&stage, &error.rest);
        let cause = error.event_id.as_deref().unwrap_or("");
        let numbered = |name: &str| cause.strip_prefix(name).and_then(|number| number.parse::<u64>().ok());
        if cause == wire::SETTINGS {
            return Err(match failure() {
                refused @ StageError::Refused { .. } => refused,
                other => {
                    let hint = "correct the agent's settings of the session".to_owned();
                    StageError::Refused { stage: stage.clone(), what: other.to_string(), hint }
                }
            });
        }
        if FATAL.contains(&code) {
            return Err(failure());
        }
        if let Some(commit) = numbered("commit_") {
            self.input.on_commit_refused(commit);
        } else if let Some(reply) = numbered("reply_").and_then(|number| u32::try_from(number).ok()) {
            let reply = offhook_stage_api::id::ReplyId(reply);
            if code == "conversation_already_has_active_response" {
                self.busy(reply, now);
            } else {
                self.free();
                self.failed(reply, &failure());
            }
            return Ok(());
        }
        if !HARMLESS.contains(&code) {
            // The message may quote what was said.
            let param = error.rest.get("param").and_then(Value::as_str).unwrap_or("");
            tracing::warn!(stage, code, param, "the provider refused something, and goes on");
        }
        Ok(())
    }
}

/// Looks at a reply's first octets, once there are enough.
fn judge(stage: &str, reply: &mut Reply, enough: usize) -> Result<(), StageError> {
    let Some(first) = reply.output.unjudged().filter(|first| first.len() >= enough) else { return Ok(()) };
    let first = first.get(..sniff::ENOUGH).unwrap_or(first);
    sniff(stage, Asked::Mulaw, first)?;
    reply.output.judged();
    Ok(())
}
