//! A recording that is played in the place of words.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::AudioChunk;

/// A recording that the agent plays in the place of words: what an application that speaks ConversationRelay names by `play`.
///
/// Tapes keep where it came from, without what may be secret of its address; its sound stands on them as a voice's does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Its address, without a query.
    pub source: Arc<str>,
    /// How often it is played: at least once.
    pub times: u32,
    /// Its whole address, for lines on which another fetches it.
    #[serde(skip)]
    pub url: Arc<str>,
    /// Its sound, where it is played by this side; on tapes there is none.
    #[serde(skip)]
    pub sound: Option<AudioChunk>,
}

impl Recording {
    /// A recording at this address, whose sound isn't there yet.
    #[must_use]
    pub fn at(url: &str, times: u32) -> Self {
        let source = url.split(['?', '#']).next().unwrap_or(url);
        // A name and password in front of the host are no part of the place.
        let source = match source.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
                let host = host.rsplit('@').next().unwrap_or(host);
                format!("{scheme}://{host}/{path}")
            }
            None => source.to_owned(),
        };
        Self { source: source.into(), times: times.max(1), url: url.into(), sound: None }
    }
}

impl Hash for Recording {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.source, self.times).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tapes_keep_nothing_secret_of_it() {
        let mut recording = Recording::at("https://user:pass@cdn.example.com/hold.mp3?token=secret#x", 0);
        recording.sound = Some(AudioChunk::Mulaw(vec![1; 8].into()));
        let text = serde_json::to_string(&recording).unwrap();
        assert_eq!(text, r#"{"source":"https://cdn.example.com/hold.mp3","times":1}"#);
    }
}
