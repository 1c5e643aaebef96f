//! Words as a caller would say them: for test calls whose caller types.

use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use hyper::StatusCode;
use offhook_providers::embedded::{Flite, NativePool, Voice};
use serde::Deserialize;

use super::calls::{body, parse, wrong};
use super::refusal;
use crate::call::speak::sound;
use crate::serve::http::{Answer, typed};

/// Longest text, in characters: half a minute.
const LONGEST: usize = 500;
/// A digit or a sign is spoken as a word.
const SPELLED: usize = 6;

/// The embedded voice, loaded when it is first asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Speaker(Arc<OnceLock<Result<Flite, String>>>);

impl Speaker {
    fn speak(&self, text: &str) -> Result<Vec<u8>, String> {
        let load = || {
            Flite::new(Voice::default(), NativePool::new("typed", 1, 16)).map_err(|error| error.to_string())
        };
        let voice = self.0.get_or_init(load).as_ref().map_err(Clone::clone)?;
        sound(voice, text).map_err(|error| format!("{error:#}"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    text: String,
}

/// `POST /speech`: G.711 μ-law at 8 kHz, bare (`audio/basic`, RFC 2046).
pub(super) async fn speak(request: Request, speaker: &Speaker) -> Result<Answer, Answer> {
    let Words { text } = parse(&body(request).await?)?;
    if text.trim().is_empty() || spoken_length(&text) > LONGEST {
        let message =
            format!("`text` must have 1 to {LONGEST} characters; a digit or a sign counts as {SPELLED}");
        return Err(wrong(&message));
    }
    let speaker = speaker.clone();
    // The C library works for some milliseconds: not on the thread that answers everybody.
    let spoken = tokio::task::spawn_blocking(move || speaker.speak(&text)).await;
    match spoken {
        Ok(Ok(octets)) => Ok(typed(StatusCode::OK, "audio/basic", octets)),
        Ok(Err(why)) => Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "no_voice", &why)),
        Err(_) => Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, "broken", "the voice broke")),
    }
}

/// How long a text is when it is spoken, in characters.
fn spoken_length(text: &str) -> usize {
    let as_it_is = |c: char| c.is_alphabetic() || c.is_whitespace() || ".,;:?!'-".contains(c);
    text.chars().map(|c| if as_it_is(c) { 1 } else { SPELLED }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spoken_as_a_word_counts_as_one() {
        assert_eq!(spoken_length("Two large pizzas, please."), 25);
        assert!(spoken_length(&"0".repeat(100)) > LONGEST && spoken_length(&"$1.".repeat(50)) > LONGEST);
    }
}
