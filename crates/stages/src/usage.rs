//! What a call used of each provider: the ground of its costs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What was used of one provider. Counts are as the provider reports them where it does, else our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Requests, or sessions where one connection serves the call.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
    /// Sound sent or received, in milliseconds.
    pub audio_ms: u64,
    /// Tokens read, without those read from the provider's cache.
    pub input_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Characters spoken.
    pub characters: u64,
}

impl Usage {
    /// Adds sound.
    pub fn add_audio(&mut self, length: Duration) {
        self.audio_ms += u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    }
}

/// Collects what one call uses; clones share it. Not for every frame: stages add up what they use, and write it down at the
/// end of a request or a segment.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<BTreeMap<String, Usage>>>);

impl Meter {
    /// Changes what is written down of this provider.
    pub fn add(&self, provider: &str, change: impl FnOnce(&mut Usage)) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match used.get_mut(provider) {
            Some(usage) => change(usage),
            None => change(used.entry(provider.to_owned()).or_default()),
        }
    }

    /// What was used so far, by provider.
    #[must_use]
    pub fn read(&self) -> BTreeMap<String, Usage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_add_to_the_same_bill() {
        let meter = Meter::default();
        let other = meter.clone();
        meter.add("a", |usage| usage.characters += 2);
        other.add("a", |usage| usage.add_audio(Duration::from_secs(1)));
        let expected = Usage { characters: 2, audio_ms: 1_000, ..Usage::default() };
        assert_eq!(meter.read().get("a"), Some(&expected));
    }
}
