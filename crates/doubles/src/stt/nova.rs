//! Deepgram Nova's `/v1/listen`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::recogniser::{Recogniser, Word, bare, seconds};
use crate::hearing::{Encoding, Noticed};
use crate::http::Refusal;
use crate::quirk::Quirk;
use crate::refusal::{Vendor, Why};
use crate::route::Query;
use crate::socket::{Out, Outbox, Protocol};
use crate::state::State;

/// Without sound or KeepAlive for so long, the socket is closed.
const IDLE: Duration = Duration::from_secs(10);
/// Interim results come after so much more sound.
const INTERIM: Duration = Duration::from_millis(250);
/// With `endpointing=false` segments still end, without `speech_final`.
const SEGMENT: Duration = Duration::from_millis(1_000);
/// With less sound than this since the last final, Finalize is not answered.
const FINALIZABLE: Duration = Duration::from_millis(100);
const ID: &str = "7a0f1c52-0000-4000-8000-0d0b1e5d0b1e";

fn bad(message: &str) -> Refusal {
    Vendor::Deepgram.refuse(Why::BadRequest, message)
}

/// The encoding that a query asks for. Both parts are needed for sound without a header.
pub(super) fn encoding(query: &Query) -> Result<(Encoding, u32), Refusal> {
    let (name, rate) = match (query.get("encoding"), query.get("sample_rate")) {
        (Some(name), Some(rate)) => (name, rate),
        (None, None) => {
            return Err(bad(
                "This double takes headerless sound alone: encoding and sample_rate are needed.",
            ));
        }
        _ => return Err(bad("encoding and sample_rate must be given together.")),
    };
    let encoding = match name {
        "mulaw" => Encoding::Mulaw,
        "alaw" => Encoding::Alaw,
        "linear16" => Encoding::Linear16,
        other => return Err(bad(&format!("encoding {other} is not supported"))),
    };
    let rate = rate.parse().ok().filter(|rate| (8_000..=48_000).contains(rate));
    Ok((encoding, rate.ok_or_else(|| bad("sample_rate must be between 8000 and 48000"))?))
}

/// A socket.
#[derive(Debug)]
pub(crate) struct Nova {
    ear: Recogniser,
    model: String,
    interim: bool,
    vad_events: bool,
    punctuate: bool,
    endpointing: Option<Duration>,
    utterance_end: Option<Duration>,
    /// Where the next result begins.
    since: Duration,
    last_interim: Duration,
    /// Words in the last interim result.
    interim_words: usize,
    /// The end of the last final's last word, until `UtteranceEnd` tells of it.
    said: Option<Duration>,
    heard: bool,
    alive: Duration,
    closing: bool,
}

impl Nova {
    pub(crate) fn open(query: &Query, state: &Arc<State>) -> Result<Self, Refusal> {
        let model = query.get("model").unwrap_or("base-general").to_owned();
        if model.starts_with("flux") {
            return Err(bad("Flux models are served at /v2/listen."));
        }
        if !state.knows(&model) {
            return Err(Vendor::Deepgram
                .refuse(Why::NoSuchModel, "Project does not have access to the requested model."));
        }
        let (encoding, rate) = encoding(query)?;
        let interim = query.is("interim_results", "true");
        let endpointing = match query.get("endpointing") {
            Some("false") => None,
            Some("true") => Some(10.0),
            _ => Some(query.number("endpointing", 10.0).map_err(|what| bad(&what))?),
        };
        let utterance_end = match query.get("utterance_end_ms") {
            None => None,
            Some(_) if !interim => return Err(bad("utterance_end_ms needs interim_results=true")),
            Some(_) => Some(query.number("utterance_end_ms", 0.0).map_err(|what| bad(&what))?),
        };
        if utterance_end.is_some_and(|ms| !(1_000.0..=5_000.0).contains(&ms)) {
            return Err(bad("utterance_end_ms must be between 1000 and 5000"));
        }
        if query.get("keyterm").is_some() && !model.starts_with("nova-3") {
            return Err(bad("Keyterms are only supported with the Nova 3 models."));
        }
        if query.get("keywords").is_some() && model.starts_with("nova-3") {
            return Err(bad("Keywords are not supported for Nova-3. Please use `keyterm` instead."));
        }
        let ms = |ms: f64| Duration::from_secs_f64(ms.clamp(0.0, 60_000.0) / 1_000.0);
        Ok(Self {
            ear: Recogniser::new(state, encoding, rate),
            model,
            interim,
            vad_events: query.is("vad_events", "true"),
            punctuate: query.is("punctuate", "true") || query.is("smart_format", "true"),
            endpointing: endpointing.map(ms),
            utterance_end: utterance_end.map(ms),
            since: Duration::ZERO,
            last_interim: Duration::ZERO,
            interim_words: 0,
            said: None,
            heard: false,
            alive: Duration::ZERO,
            closing: false,
        })
    }

    fn results(&self, words: &[Word], is_final: bool, speech_final: bool, from_finalize: bool) -> Value {
        let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        let transcript = if self.punctuate { text } else { bare(&text) };
        let words: Vec<Value> = words
            .iter()
            .map(|word| {
                let mut value = json!({"word": word.bare(), "start": seconds(word.start), "end": seconds(word.end), "confidence": 0.98});
                if self.punctuate {
                    value["punctuated_word"] = word.text.clone().into();
                }
                value
            })
            .collect();
        let confidence = if words.is_empty() { 0.0 } else { 0.98 };
        json!({
            "type": "Results", "channel_index": [0, 1], "start": seconds(self.since),
            "duration": seconds(self.ear.hearing.position().saturating_sub(self.since)),
            "is_final": is_final, "speech_final": speech_final, "from_finalize": from_finalize,
            "channel": {"alternatives": [{"transcript": transcript, "confidence": confidence, "words": words}]},
            "metadata": {"request_id": ID, "model_uuid": "c5a1c5a1-0000-4000-8000-0d0b1e5d0b1e",
                         "model_info": {"name": format!("general-{}", self.model), "version": "2025-04-17", "arch": self.model}},
        })
    }

    /// Sends the finals of an utterance, and returns when the last of them goes out.
    fn finals(&mut self, speech_final: bool, from_finalize: bool, out: &mut Outbox) -> Duration {
        let state = Arc::clone(&self.ear.state);
        let words = self.ear.finish(from_finalize || self.closing);
        self.said = words.last().map(|word| word.end).or(self.said);
        let at = self.ear.final_at(out.now(), &words);
        let speech_final = speech_final && !state.has(Quirk::NoSpeechFinal);
        let apart = state.has(Quirk::EmptySpeechFinal) && speech_final && !from_finalize;
        let segments =
            if state.has(Quirk::SplitFinals) { words.len().div_ceil(3).max(1) } else { words.len().max(1) };
        let mut pieces: Vec<&[Word]> = words.chunks(segments).collect();
        if pieces.is_empty() || apart {
            pieces.push(&[]);
        }
        let last = pieces.len() - 1;
        for (nth, piece) in pieces.into_iter().enumerate() {
            let value = self.results(piece, true, speech_final && nth == last, from_finalize);
            match nth == last {
                true => out.last_at(at, 1, value),
                false => out.at(at, 1, Out::Json(value)),
            }
            self.since = piece.last().map_or(self.since, |word| word.end);
        }
        self.since = self.ear.hearing.position();
        (self.last_interim, self.interim_words) = (self.since, 0);
        at
    }

    fn listen(&mut self, bytes: &Bytes, out: &mut Outbox) {
        let mut noticed = Vec::new();
        // Piece by piece, so that what lies within a long message is seen where it is.
        for piece in bytes.chunks(80) {
            self.ear.hearing.push(piece, &mut noticed);
            for event in noticed.drain(..) {
                self.notice(event, out);
            }
        }
        let over = |end: &Duration| {
            self.utterance_end.is_some_and(|wait| self.ear.hearing.position() >= *end + wait)
        };
        if let Some(end) = self.said.filter(over) {
            self.said = None;
            out.say(json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": seconds(end)}));
        }
    }

    fn notice(&mut self, event: Noticed, out: &mut Outbox) {
        match event {
            Noticed::Started { at } => {
                self.said = None;
                if self.vad_events {
                    out.say(json!({"type": "SpeechStarted", "channel": [0, 1], "timestamp": seconds(at)}));
                }
            }
            Noticed::Speaking { .. } => self.interim(true, out),
            Noticed::Silent { silence, .. } => {
                let enough = self.endpointing.map_or(SEGMENT, |wait| wait.max(Duration::from_millis(100)));
                if silence >= enough && self.ear.hearing.open().is_some() {
                    self.finals(self.endpointing.is_some(), false, out);
                } else {
                    self.interim(false, out);
                }
            }
        }
    }

    /// Sends an interim result if there is another word, or if it is time for one while the caller speaks.
    fn interim(&mut self, speaking: bool, out: &mut Outbox) {
        if !self.interim {
            return;
        }
        let words = self.ear.so_far();
        let now = self.ear.hearing.position();
        let due = speaking && now >= self.last_interim + INTERIM;
        if words.len() > self.interim_words || (due && !words.is_empty()) {
            (self.last_interim, self.interim_words) = (now, words.len());
            // Never before a final that is on its way.
            let at = out.busy_until(1).unwrap_or_default().max(out.now());
            out.at(at, 0, Out::Json(self.results(&words, false, false, false)));
        }
    }

    fn finish(&mut self, out: &mut Outbox) {
        self.closing = true;
        let mut at = out.busy_until(1).unwrap_or(out.now());
        if self.ear.hearing.open().is_some() {
            at = at.max(self.finals(true, false, out));
        }
        let duration = seconds(self.ear.hearing.position());
        let value = json!({"type": "Metadata", "transaction_key": "deprecated", "request_id": ID, "sha256": "0d0b1e",
                           "created": "2026-11-20T10:11:12.123Z", "duration": duration, "channels": 1});
        out.at(at, 1, Out::Json(value));
        out.close_at(at, 1000, "");
    }
}

impl Protocol for Nova {
    fn text(&mut self, text: &str, out: &mut Outbox) {
        if self.closing {
            return;
        }
        let message = serde_json::from_str::<Value>(text).unwrap_or_default();
        match message["type"].as_str() {
            // It keeps alive, but it is not the first sound that must come.
            Some("KeepAlive") if self.heard => self.alive = out.now(),
            Some("KeepAlive") => {}
            Some("Finalize") => {
                let pending = self.ear.hearing.position().saturating_sub(self.since);
                let answered = pending >= FINALIZABLE && !self.ear.state.has(Quirk::NoFinalizeAnswer);
                if answered {
                    self.finals(true, true, out);
                }
            }
            Some("CloseStream") => self.finish(out),
            Some("Configure") => {
                out.say(
                    json!({"type": "ConfigureSuccess", "request_id": ID, "keyterms": message["keyterms"]}),
                );
            }
            _ => out
                .say(json!({"type": "Error", "variant": "SchemaError", "message": "unknown message type",
                                "description": "Could not deserialize the last text message."})),
        }
    }

    fn binary(&mut self, bytes: &Bytes, out: &mut Outbox) {
        if self.closing {
            return;
        }
        if bytes.is_empty() {
            self.finish(out);
        } else if bytes.starts_with(b"{\"type\"") {
            self.closing = true;
            out.close_at(out.now(), 1008, "DATA-0000: the payload could not be decoded as audio");
        } else {
            (self.heard, self.alive) = (true, out.now());
            self.listen(bytes, out);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        (!self.closing).then_some(self.alive + IDLE)
    }

    fn expired(&mut self, out: &mut Outbox) {
        self.closing = true;
        let reason =
            "Deepgram did not receive audio data or a text message within the timeout window. See NET-0001.";
        out.close_at(out.now(), 1011, reason);
    }

    fn failure(&self) -> (Value, u16) {
        (
            json!({"type": "Error", "variant": "InternalError", "description": "NET-0000", "message": "internal"}),
            1011,
        )
    }
}
