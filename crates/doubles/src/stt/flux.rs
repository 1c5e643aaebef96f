//! Deepgram Flux's `/v2/listen`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::nova::encoding;
use super::recogniser::{Recogniser, Word, join, seconds};
use crate::hearing::Noticed;
use crate::http::Refusal;
use crate::quirk::Quirk;
use crate::refusal::{Vendor, Why};
use crate::route::Query;
use crate::socket::{Out, Outbox, Protocol};
use crate::state::State;

/// Updates come after so much more sound.
const UPDATE: Duration = Duration::from_millis(250);
/// Silence of a speculative end, and of an end, at least.
const EAGER: Duration = Duration::from_millis(220);
const END: Duration = Duration::from_millis(300);
const ID: &str = "550e8400-e29b-41d4-a716-446655440000";
/// Parameters of `/v1/listen` that don't exist here.
const OF_V1: [&str; 8] = [
    "interim_results",
    "endpointing",
    "smart_format",
    "punctuate",
    "language",
    "channels",
    "vad_events",
    "utterance_end_ms",
];

fn bad(message: &str) -> Refusal {
    Vendor::Deepgram.refuse(Why::BadRequest, message)
}

/// A socket.
#[derive(Debug)]
pub(crate) struct Flux {
    ear: Recogniser,
    /// Silence that ends a turn: the service's time to decide.
    end: Duration,
    natural: bool,
    eager: bool,
    timeout: Duration,
    turn: u64,
    sequence: u64,
    window: Duration,
    last_update: Duration,
    /// Whether the open turn's first word was sent, and how many there were last.
    began: bool,
    updated: usize,
    /// Whether the open turn was said to end soon; how often.
    maybe: bool,
    eager_count: u32,
    closing: bool,
}

impl Flux {
    pub(crate) fn open(query: &Query, state: &Arc<State>) -> Result<Self, Refusal> {
        let model = query.get("model").unwrap_or("");
        if !model.starts_with("flux-general-") {
            return Err(bad("model must be a Flux model"));
        }
        if !state.knows(model) {
            return Err(Vendor::Deepgram
                .refuse(Why::NoSuchModel, "Project does not have access to the requested model."));
        }
        if let Some(name) = OF_V1.iter().find(|name| query.get(name).is_some()) {
            return Err(bad(&format!("{name} is not a parameter of /v2/listen")));
        }
        let (encoding, rate) = encoding(query)?;
        let threshold = |name: &str, usual: f64, least: f64, most: f64| {
            let value = query.number(name, usual).map_err(|what| bad(&what))?;
            let fits = (least..=most).contains(&value);
            fits.then_some(value).ok_or_else(|| bad(&format!("{name} must be between {least} and {most}")))
        };
        let end = threshold("eot_threshold", 0.7, 0.5, 1.0)?;
        let eager = query
            .get("eager_eot_threshold")
            .map(|_| threshold("eager_eot_threshold", 0.5, 0.3, 0.9))
            .transpose()?;
        if eager.is_some_and(|eager| eager > end) {
            return Err(bad("eager_eot_threshold must not be above eot_threshold"));
        }
        let timeout = threshold("eot_timeout_ms", 5_000.0, 500.0, 60_000.0)?;
        Ok(Self {
            ear: Recogniser::new(state, encoding, rate),
            end: state.draw(state.config.latency.stt.first).max(END),
            natural: end < 1.0,
            eager: eager.is_some(),
            timeout: Duration::from_secs_f64(timeout / 1_000.0),
            turn: 0,
            sequence: 0,
            window: Duration::ZERO,
            last_update: Duration::ZERO,
            began: false,
            updated: 0,
            maybe: false,
            eager_count: 0,
            closing: false,
        })
    }

    fn tell(
        &mut self,
        event: &str,
        words: &[Word],
        confidence: f64,
        trigger: Option<&str>,
        out: &mut Outbox,
    ) {
        self.sequence += 1;
        let listed: Vec<Value> = words
            .iter()
            .map(|word| json!({"word": word.text, "confidence": 0.98, "start": seconds(word.start), "end": seconds(word.end)}))
            .collect();
        let mut value = json!({
            "type": "TurnInfo", "request_id": ID, "sequence_id": self.sequence, "event": event, "turn_index": self.turn,
            "audio_window_start": seconds(self.window), "audio_window_end": seconds(self.ear.hearing.position()),
            "transcript": join(words), "words": listed, "end_of_turn_confidence": confidence,
        });
        // In order: nothing passes an end that is on its way.
        let at = out.busy_until(1).unwrap_or_default().max(out.now());
        match trigger {
            None => out.at(at, 0, Out::Json(value)),
            Some(trigger) => {
                value["trigger"] = trigger.into();
                let at = if trigger == "manual" { self.ear.final_at(at, words) } else { at };
                out.last_at(at, 1, value);
            }
        }
    }

    /// Every message has the request's id and its own number.
    fn number(&mut self, mut value: Value) -> Value {
        self.sequence += 1;
        value["request_id"] = ID.into();
        value["sequence_id"] = self.sequence.into();
        value
    }

    fn end_turn(&mut self, trigger: &str, out: &mut Outbox) {
        let words = self.ear.spoken();
        if self.maybe && self.eager_count == 1 && self.ear.state.has(Quirk::EagerTwice) {
            self.tell("TurnResumed", &words, 0.3, None, out);
            self.tell("EagerEndOfTurn", &words, 0.6, None, out);
        }
        let words = self.ear.finish(trigger == "manual");
        let began = std::mem::take(&mut self.began);
        if !words.is_empty() && !began {
            self.tell("StartOfTurn", &words, 0.02, None, out);
        }
        (self.maybe, self.eager_count, self.updated) = (false, 0, 0);
        if !words.is_empty() || began {
            self.tell("EndOfTurn", &words, 0.86, Some(trigger), out);
            self.turn += 1;
        }
        self.window = self.ear.hearing.position();
    }

    fn notice(&mut self, event: Noticed, out: &mut Outbox) {
        match event {
            Noticed::Started { .. } => {}
            Noticed::Speaking { .. } => {
                if self.maybe {
                    self.maybe = false;
                    let words = self.ear.so_far();
                    self.tell("TurnResumed", &words, 0.1, None, out);
                }
                self.update(true, out);
            }
            Noticed::Silent { silence, .. } => {
                if self.ear.state.has(Quirk::TurnStall) || self.ear.hearing.open().is_none() {
                    return;
                }
                self.update(false, out);
                if self.eager && self.began && !self.maybe && silence >= EAGER {
                    (self.maybe, self.eager_count) = (true, self.eager_count + 1);
                    let words = self.ear.so_far();
                    self.tell("EagerEndOfTurn", &words, 0.55, None, out);
                }
                if self.natural && silence >= self.end {
                    self.end_turn("model", out);
                } else if silence >= self.timeout {
                    self.end_turn("timeout", out);
                }
            }
        }
    }

    /// Words are what begins a turn, not sound. Further ones come as they are recognised, and from time to time.
    fn update(&mut self, speaking: bool, out: &mut Outbox) {
        let words = self.ear.so_far();
        let now = self.ear.hearing.position();
        let due = speaking && now >= self.last_update + UPDATE;
        if words.is_empty() || !(words.len() > self.updated || due) {
            return;
        }
        (self.last_update, self.updated) = (now, words.len());
        if std::mem::take(&mut self.maybe) {
            self.tell("TurnResumed", &words, 0.1, None, out);
        }
        let event = if std::mem::replace(&mut self.began, true) { "Update" } else { "StartOfTurn" };
        self.tell(event, &words, 0.05, None, out);
    }

    fn error(&mut self, code: &str, description: &str, close: u16, out: &mut Outbox) {
        self.closing = true;
        self.sequence += 1;
        out.fail(
            json!({"type": "Error", "sequence_id": self.sequence, "code": code, "description": description}),
            close,
            code,
        );
    }
}

impl Protocol for Flux {
    fn open(&mut self, out: &mut Outbox) {
        out.say(json!({"type": "Connected", "request_id": ID, "sequence_id": 0}));
    }

    fn text(&mut self, text: &str, out: &mut Outbox) {
        if self.closing {
            return;
        }
        let message = serde_json::from_str::<Value>(text).unwrap_or_default();
        match message["type"].as_str() {
            Some("ForceEndTurn") if self.ear.hearing.open().is_some() => self.end_turn("manual", out),
            Some("ForceEndTurn") => {
                let numbered = self
                    .number(json!({"type": "Warning", "code": "FORCE_END_TURN_NO_ACTIVE_TURN",
                                                  "description": "There is no active turn to end."}));
                out.say(numbered);
            }
            Some("Configure") => {
                let thresholds = &message["thresholds"];
                if let Some(end) = thresholds["eot_threshold"].as_f64() {
                    self.natural = end < 1.0;
                }
                if let Some(ms) = thresholds["eot_timeout_ms"].as_u64() {
                    self.timeout = Duration::from_millis(ms);
                }
                self.eager |= !thresholds["eager_eot_threshold"].is_null();
                let numbered = self.number(json!({"type": "ConfigureSuccess", "thresholds": thresholds,
                                                  "keyterms": message["keyterms"]}));
                out.say(numbered);
            }
            Some("CloseStream") => {
                self.closing = true;
                if self.ear.hearing.open().is_some() {
                    self.end_turn("manual", out);
                }
                let at = out.busy_until(1).unwrap_or_default().max(out.now());
                out.close_at(at, 1000, "");
            }
            _ => self.error("UNPARSABLE_CLIENT_MESSAGE", "The message could not be understood.", 1008, out),
        }
    }

    fn binary(&mut self, bytes: &Bytes, out: &mut Outbox) {
        if self.closing {
            return;
        }
        let mut noticed = Vec::new();
        // Judged piece by piece, so that an end within a long message is seen where it is.
        for piece in bytes.chunks(80) {
            self.ear.hearing.push(piece, &mut noticed);
            for event in noticed.drain(..) {
                self.notice(event, out);
            }
        }
    }

    fn failure(&self) -> (Value, u16) {
        let value = json!({"type": "Error", "sequence_id": self.sequence + 1, "code": "INTERNAL_SERVER_ERROR", "description": "internal"});
        (value, 1011)
    }
}
