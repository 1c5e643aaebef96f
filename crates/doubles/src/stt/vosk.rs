//! vosk-server's WebSocket.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::recogniser::{Recogniser, Word, bare, join, seconds};
use crate::hearing::{Encoding, Noticed};
use crate::socket::{Outbox, Protocol};
use crate::state::State;

/// Silence that ends an utterance.
const END: Duration = Duration::from_millis(500);

/// A socket.
#[derive(Debug)]
pub(crate) struct Vosk {
    ear: Recogniser,
    words: bool,
}

impl Vosk {
    pub(crate) fn open(state: &Arc<State>) -> Self {
        Self { ear: Recogniser::new(state, Encoding::Linear16, 16_000), words: true }
    }

    fn result(&self, words: &[Word]) -> Value {
        let mut value = json!({"text": bare(&join(words))});
        if self.words && !words.is_empty() {
            let listed = words.iter().map(|word| {
                json!({"conf": 0.98, "start": seconds(word.start), "end": seconds(word.end), "word": word.bare()})
            });
            value["result"] = listed.collect();
        }
        value
    }

    fn finish(&mut self, over: bool, out: &mut Outbox) {
        let words = self.ear.finish(over);
        out.last_at(out.now(), 1, self.result(&words));
    }
}

impl Protocol for Vosk {
    fn text(&mut self, text: &str, out: &mut Outbox) {
        // Compared to the letter, spaces and all, as the server does.
        match text {
            "{\"eof\" : 1}" => {
                self.finish(true, out);
                out.close_at(out.now(), 1000, "");
            }
            "{\"reset\" : 1}" => self.finish(true, out),
            _ if text.contains("config") => {
                let config = serde_json::from_str::<Value>(text).unwrap_or_default();
                let rate = config["config"]["sample_rate"].as_f64().unwrap_or(16_000.0);
                self.words = config["config"]["words"].as_bool().unwrap_or(self.words);
                self.ear = Recogniser::new(&self.ear.state, Encoding::Linear16, rate as u32);
            }
            // Taken for sound, on which the recogniser's binding breaks.
            _ => out.close_at(out.now(), 1011, ""),
        }
    }

    fn binary(&mut self, bytes: &Bytes, out: &mut Outbox) {
        let mut noticed = Vec::new();
        self.ear.hearing.push(bytes, &mut noticed);
        let over =
            noticed.iter().any(|event| matches!(event, Noticed::Silent { silence, .. } if *silence >= END));
        if over {
            self.finish(false, out);
        } else {
            out.say(json!({"partial": bare(&join(&self.ear.so_far()))}));
        }
    }

    fn failure(&self) -> (Value, u16) {
        (json!({"error": "internal error"}), 1011)
    }
}
