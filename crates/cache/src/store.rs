//! What was spoken, by voice and text.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use offhook_stage_api::{AudioChunk, TimedWord};

/// Names a spoken text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(String);

impl Key {
    pub(super) fn new(voice: &str, text: &str) -> Self {
        Self(format!("{voice}\n{text}"))
    }
}

/// A spoken text's sound and words, as they came.
#[derive(Clone, Debug, Default)]
pub(super) struct CachedAudio {
    pub(super) chunks: Vec<AudioChunk>,
    pub(super) words: Vec<TimedWord>,
}

impl CachedAudio {
    fn octets(&self) -> usize {
        let sound = self.chunks.iter().map(|chunk| match chunk {
            AudioChunk::Mulaw(octets) => octets.len(),
            AudioChunk::Pcm { samples, .. } => 2 * samples.len(),
        });
        sound.sum::<usize>() + self.words.len() * size_of::<TimedWord>()
    }
}

/// How the store has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpokenTotals {
    /// Texts that were found.
    pub hits: u64,
    /// Texts that weren't.
    pub misses: u64,
    /// Octets of sound held.
    pub octets: usize,
}

/// Audio of spoken texts, shared by all calls of a server. Holds so many octets at most; the least lately used go first.
#[derive(Debug)]
pub struct SpokenStore {
    most_octets: usize,
    texts: Mutex<(LruCache<Key, Arc<CachedAudio>>, usize)>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Default for SpokenStore {
    /// 32 MiB: some twenty minutes at 16 kHz.
    fn default() -> Self {
        Self::new(32 << 20)
    }
}

impl SpokenStore {
    /// An empty store for so many octets of sound.
    #[must_use]
    pub fn new(most_octets: usize) -> Self {
        let texts = Mutex::new((LruCache::unbounded(), 0));
        Self { most_octets, texts, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// How it has done so far.
    #[must_use]
    pub fn totals(&self) -> SpokenTotals {
        SpokenTotals {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            octets: self.texts.lock().unwrap_or_else(PoisonError::into_inner).1,
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<CachedAudio>> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let found = texts.0.get(key).cloned();
        let count = if found.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a text. Nothing spoken is nothing to keep: the voice may do better next time.
    pub(super) fn put(&self, key: Key, spoken: CachedAudio) {
        let octets = spoken.octets();
        if spoken.chunks.is_empty() || octets > self.most_octets {
            return;
        }
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = texts.0.put(key, Arc::new(spoken)) {
            texts.1 -= old.octets();
        }
        texts.1 += octets;
        while texts.1 > self.most_octets {
            let Some((_, oldest)) = texts.0.pop_lru() else { break };
            texts.1 -= oldest.octets();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(octets: usize) -> CachedAudio {
        CachedAudio { chunks: vec![AudioChunk::Mulaw(vec![0; octets].into())], words: Vec::new() }
    }

    #[test]
    fn the_least_lately_used_goes_first() {
        let store = SpokenStore::new(100);
        let key = |text| Key::new("v", text);
        store.put(key("a"), spoken(40));
        store.put(key("b"), spoken(40));
        assert!(store.get(&key("a")).is_some());
        store.put(key("c"), spoken(40));
        assert!(store.get(&key("b")).is_none());
        assert!(store.get(&key("a")).is_some() && store.get(&key("c")).is_some());
        store.put(key("c"), spoken(10));
        store.put(key("d"), spoken(500));
        store.put(key("e"), spoken(0));
        assert_eq!(store.totals(), SpokenTotals { hits: 3, misses: 1, octets: 50 });
    }
}
