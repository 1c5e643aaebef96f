//! AssemblyAI's universal streaming, `/v3/ws`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::recogniser::{Recogniser, Word, bare, join};
use crate::hearing::{Encoding, Noticed};
use crate::http::Refusal;
use crate::refusal::{Vendor, Why};
use crate::route::Query;
use crate::socket::{Out, Outbox, Protocol};
use crate::state::State;

/// The models there are; one must be named.
const MODELS: [&str; 7] = [
    "universal-streaming-english",
    "universal-streaming-multilingual",
    "u3-rt-pro",
    "universal-3-5-pro",
    "universal-3-6",
    "universal-3-6-pro",
    "whisper-rt",
];
/// Lengths of sound that a message may have.
const LENGTHS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(1_000));
/// How far sound may run ahead of time. The service's own bound is not published.
const AHEAD: Duration = Duration::from_secs(10);
/// Partial turns come after so much more sound.
const PARTIAL: Duration = Duration::from_millis(250);
/// A session's end, as told at its begin: epoch seconds.
const EXPIRES: u64 = 1_795_190_400;

/// A socket.
#[derive(Debug)]
pub(crate) struct AssemblyAi {
    ear: Recogniser,
    /// Why the session is refused, with its close code.
    wrong: Option<(u16, &'static str)>,
    format: bool,
    announces: bool,
    end: Duration,
    inactivity: Option<Duration>,
    alive: Duration,
    turn: u64,
    last_partial: Duration,
    /// Words in the last partial turn.
    partial_words: usize,
    closing: bool,
}

impl AssemblyAi {
    pub(crate) fn open(query: &Query, allowed: bool, state: &Arc<State>) -> Result<Self, Refusal> {
        let bad = |message: &str| Vendor::AssemblyAi.refuse(Why::BadRequest, message);
        let rate = query.number("sample_rate", 0.0).map_err(|what| bad(&what))?;
        if !(8_000.0..=48_000.0).contains(&rate) {
            return Err(bad("sample_rate is required"));
        }
        let encoding = match query.get("encoding").unwrap_or("pcm_s16le") {
            "pcm_s16le" => Encoding::Linear16,
            "pcm_mulaw" => Encoding::Mulaw,
            _ => return Err(bad("encoding is not supported")),
        };
        let model = query.get("speech_model").unwrap_or("");
        let wrong = match (allowed, model) {
            (false, _) => {
                Some((1008, "Unauthorized Connection: Missing Authorization header or invalid API key"))
            }
            (_, "") => Some((3006, "Missing required parameter: speech_model")),
            (_, model) if !MODELS.contains(&model) => {
                Some((3006, "Invalid value for parameter: speech_model"))
            }
            _ => None,
        };
        let silence = query.number("min_turn_silence", 400.0).map_err(|what| bad(&what))?;
        let inactivity = match query.get("inactivity_timeout") {
            None => None,
            Some(_) => Some(query.number("inactivity_timeout", 0.0).map_err(|what| bad(&what))?),
        };
        if inactivity.is_some_and(|seconds| !(5.0..=3_600.0).contains(&seconds)) {
            return Err(bad("inactivity_timeout must be between 5 and 3600"));
        }
        let think = state.draw(state.config.latency.stt.first);
        Ok(Self {
            ear: Recogniser::new(state, encoding, rate as u32),
            wrong,
            format: query.is("format_turns", "true"),
            announces: model.starts_with("u3") || model.starts_with("universal-3"),
            end: Duration::from_secs_f64(silence.clamp(0.0, 60_000.0) / 1_000.0).max(think),
            inactivity: inactivity.map(Duration::from_secs_f64),
            alive: Duration::ZERO,
            turn: 0,
            last_partial: Duration::ZERO,
            partial_words: 0,
            closing: wrong.is_some(),
        })
    }

    /// A turn: of words that aren't settled yet, `settled` are.
    fn turn(&self, words: &[Word], settled: usize, end: bool, formatted: bool) -> Value {
        let spell = |word: &Word| if formatted { word.text.clone() } else { word.bare() };
        let listed: Vec<Value> = words
            .iter()
            .enumerate()
            .map(|(nth, word)| {
                json!({"text": spell(word), "start": word.start.as_millis() as u64, "end": word.end.as_millis() as u64,
                       "confidence": 0.98, "word_is_final": nth < settled})
            })
            .collect();
        let transcript = join(words.get(..settled).unwrap_or(words));
        json!({
            "type": "Turn", "turn_order": self.turn, "turn_is_formatted": formatted, "end_of_turn": end,
            "transcript": if formatted { transcript } else { bare(&transcript) },
            "end_of_turn_confidence": if end { 0.71 } else { 0.03 }, "words": listed,
        })
    }

    /// Ends a turn; `asked`: by the client, who waits for it.
    fn end_turn(&mut self, asked: bool, out: &mut Outbox) {
        let words = self.ear.finish(asked);
        self.partial_words = 0;
        if words.is_empty() {
            return;
        }
        let before = out.busy_until(1).unwrap_or_default().max(out.now());
        let at = if asked { self.ear.final_at(before, &words) } else { before };
        // Models that punctuate at once have one final, the others a second, formatted one.
        let first_formatted = self.announces;
        let value = self.turn(&words, words.len(), true, first_formatted);
        if self.format && !first_formatted {
            out.at(at, 1, Out::Json(value));
            out.last_at(at, 1, self.turn(&words, words.len(), true, true));
        } else {
            out.last_at(at, 1, value);
        }
        self.turn += 1;
    }

    /// Sends the open turn if it has another word, or if it is time while the caller speaks.
    fn partial(&mut self, speaking: bool, out: &mut Outbox) {
        let words = self.ear.so_far();
        let now = self.ear.hearing.position();
        let due = speaking && now >= self.last_partial + PARTIAL;
        if !words.is_empty() && (words.len() > self.partial_words || due) {
            (self.last_partial, self.partial_words) = (now, words.len());
            let at = out.busy_until(1).unwrap_or_default().max(out.now());
            out.at(at, 0, Out::Json(self.turn(&words, words.len() - 1, false, false)));
        }
    }

    fn error(&mut self, code: u16, what: &str, out: &mut Outbox) {
        self.closing = true;
        out.fail(json!({"type": "Error", "error_code": code, "error": what}), code, what);
    }

    fn listen(&mut self, bytes: &Bytes, out: &mut Outbox) {
        let mut noticed = Vec::new();
        for piece in bytes.chunks(80) {
            self.ear.hearing.push(piece, &mut noticed);
            for event in noticed.drain(..) {
                match event {
                    Noticed::Started { at } if self.announces => {
                        out.say(json!({"type": "SpeechStarted", "timestamp": at.as_millis() as u64}));
                    }
                    Noticed::Speaking { .. } => self.partial(true, out),
                    Noticed::Silent { silence, .. } if silence >= self.end => self.end_turn(false, out),
                    Noticed::Silent { .. } => self.partial(false, out),
                    _ => {}
                }
            }
        }
    }
}

impl Protocol for AssemblyAi {
    fn open(&mut self, out: &mut Outbox) {
        match self.wrong {
            Some((code, what)) => self.error(code, what, out),
            None => out.say(
                json!({"type": "Begin", "id": "8f1c8f1c-0000-4000-8000-0d0b1e5d0b1e", "expires_at": EXPIRES}),
            ),
        }
    }

    fn text(&mut self, text: &str, out: &mut Outbox) {
        if self.closing {
            return;
        }
        self.alive = out.now();
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            self.error(3006, "Invalid JSON", out);
            return;
        };
        match message["type"].as_str() {
            Some("ForceEndpoint") => self.end_turn(true, out),
            Some("UpdateConfiguration") => {
                if let Some(ms) = message["min_turn_silence"].as_u64() {
                    self.end = Duration::from_millis(ms);
                }
            }
            Some("KeepAlive") => {}
            Some("Terminate") => {
                self.closing = true;
                self.end_turn(true, out);
                let at = out.busy_until(1).unwrap_or_default().max(out.now());
                let value = json!({"type": "Termination", "audio_duration_seconds": self.ear.hearing.position().as_secs(),
                                   "session_duration_seconds": out.now().as_secs()});
                out.at(at, 1, Out::Json(value));
                out.close_at(at, 1000, "");
            }
            _ => self.error(3006, "Invalid Message Type", out),
        }
    }

    fn binary(&mut self, bytes: &Bytes, out: &mut Outbox) {
        if self.closing {
            return;
        }
        self.alive = out.now();
        let length = self.ear.hearing.length(bytes.len());
        if length < LENGTHS.0 || length > LENGTHS.1 {
            let what = format!(
                "Input duration violation: {} ms. Expected between 50 and 1000 ms",
                length.as_millis()
            );
            self.error(3007, &what, out);
        } else if self.ear.hearing.position() + length > out.now() + AHEAD {
            self.error(3007, "Audio Transmission Rate Exceeded", out);
        } else {
            self.listen(bytes, out);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        self.inactivity.map(|wait| self.alive + wait).filter(|_| !self.closing)
    }

    fn expired(&mut self, out: &mut Outbox) {
        self.error(3008, "Session closed for inactivity", out);
    }

    fn failure(&self) -> (Value, u16) {
        (json!({"type": "Error", "error_code": 3005, "error": "An error occurred. Please retry."}), 3005)
    }
}
