//! The agent's voice: each word of it is a pattern of signs, so that what is played tells which words it has, at any level.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use offhook_stage_api::{AudioChunk, SpeakRequest, TimedWord, TtsEvent, UtteranceId};

use super::state::{Event, Media, Word};
use crate::world::play::World;
use crate::world::scene::End;
use crate::world::stages::failure;

/// The agent's voice takes so many samples for a character.
const CHARACTER: u64 = 500;

/// So many words are told apart.
const CODES: usize = 252;

/// A word's samples repeat so many signs.
const PERIOD: usize = 16;

/// Loud enough that its signs survive any gain, and a fade.
const AMPLITUDE: i16 = 8_000;

/// The signs of each word, bit by bit: none is another one turned, none has a shorter period.
static SIGNS: LazyLock<Vec<u16>> = LazyLock::new(|| {
    let least = |signs: u16| (1..PERIOD as u32).all(|by| signs < signs.rotate_left(by));
    // Widely spread over all that there are.
    (0..=u16::MAX).filter(|signs| least(*signs)).step_by(16).take(CODES).collect()
});

/// Which word has these signs, wherever one begins to read.
static CODE_OF: LazyLock<BTreeMap<u16, usize>> =
    LazyLock::new(|| SIGNS.iter().enumerate().map(|(code, signs)| (*signs, code)).collect());

/// The samples of a word.
fn octets_of(code: usize, samples: usize) -> impl Iterator<Item = u8> {
    let signs = SIGNS[code % CODES];
    let of = |positive| offhook_mulaw::encode(if positive { AMPLITUDE } else { -AMPLITUDE });
    let (plus, minus) = (of(true), of(false));
    (0..samples).map(move |at| if signs >> (at % PERIOD) & 1 == 1 { plus } else { minus })
}

/// The word whose signs stand twice, one behind the other, from the `at`th bit on.
fn code_at(signs: [u128; 2], at: usize) -> Option<usize> {
    let window = match at {
        0..64 => (signs[0] >> at) as u32,
        _ => (signs[1] >> (at - 64)) as u32,
    };
    let (first, second) = (window as u16, (window >> PERIOD) as u16);
    let least = (0..PERIOD as u32).map(|by| first.rotate_left(by)).min()?;
    if first == second { CODE_OF.get(&least).copied() } else { None }
}

impl Media {
    pub(super) fn words_in(&self, frame: &[u8; 160]) -> Vec<(UtteranceId, usize, u64)> {
        // The signs of samples 0 to 127, and of 64 to 159.
        let signs = |octets: &[u8]| {
            octets.iter().enumerate().fold(0u128, |all, (at, octet)| all | u128::from(octet >> 7) << at)
        };
        let signs = [signs(&frame[..128]), signs(&frame[64..])];
        let mut all: Vec<(UtteranceId, usize, u64)> = Vec::new();
        for at in (40..120).step_by(8) {
            // Around it; or, where words meet, after it or before it.
            let code = [at - PERIOD, at, at - 2 * PERIOD].into_iter().find_map(|from| code_at(signs, from));
            let Some(&(id, place)) = code.and_then(|code| self.word_of(code)) else { continue };
            match all.iter_mut().find(|(known, at, _)| *known == id && *at == place) {
                Some((_, _, count)) => *count += 16,
                None => all.push((id, place, 16)),
            }
        }
        all
    }

    /// The newest word of this code.
    fn word_of(&self, code: usize) -> Option<&(UtteranceId, usize)> {
        let newest = self.codes.len().checked_sub(1)?;
        self.codes.get(newest.checked_sub((newest + CODES - code) % CODES)?)
    }
}

/// The voice speaks a piece, after what it speaks of the utterance already.
pub(super) fn speak(world: &mut World<Media>, request: &SpeakRequest) {
    let nth = world.side.pieces;
    world.side.pieces += 1;
    let take = world.scene.voice.get(nth).cloned().unwrap_or_default();
    let (utterance, segment) = (request.utterance, request.segment);
    let free = world.side.voice_free.get(&utterance).copied().unwrap_or(0);
    let known = world.side.words.entry(utterance).or_default().len();
    let mut octets: Vec<u8> = Vec::new();
    let mut timed = Vec::new();
    let words: Vec<&str> = request.text.split_whitespace().collect();
    for (place, word) in words.iter().enumerate() {
        let space = u64::from(place + 1 < words.len());
        let samples = (word.chars().count() as u64 + space) * CHARACTER;
        let start_ms = (octets.len() / 8) as u32;
        octets.extend(octets_of(world.side.codes.len(), samples as usize));
        world.side.codes.push((utterance, known + place));
        timed.push(TimedWord { word: (*word).to_owned(), start_ms, end_ms: (octets.len() / 8) as u32 });
        let word = Word { samples, sent: 0, at_once: Vec::new(), played: Vec::new() };
        world.side.words.get_mut(&utterance).unwrap().push(word);
    }
    let chunks: Vec<Vec<u8>> = octets.chunks(2_000).map(<[u8]>::to_vec).collect();
    let begin = free.max(world.now).saturating_add(take.first_ms * 1_000);
    let mut at = begin;
    let mut events = Vec::new();
    if world.scene.setup.word_times {
        events.push((at, TtsEvent::Words { utterance, segment, words: timed }));
    }
    let count = match take.end {
        End::Whole => usize::MAX,
        End::Fails(after) | End::Stalls(after) => after,
    };
    for chunk in chunks.iter().take(count) {
        let audio = TtsEvent::Audio { utterance, segment, chunk: AudioChunk::Mulaw(chunk.clone().into()) };
        events.push((at, audio));
        at = at.saturating_add(chunk.len() as u64 * 125 * 100 / take.speed);
    }
    let end = match take.end {
        End::Whole => Some(TtsEvent::Done { utterance, segment }),
        End::Fails(_) => {
            let failure = failure("voice");
            Some(TtsEvent::Failed { utterance, segment, failure })
        }
        End::Stalls(_) => None,
    };
    if take.end != End::Whole || take.speed < 150 || world.side.mute {
        world.books.voice_trouble();
    }
    if take.end != End::Whole || world.side.mute || free == u64::MAX {
        world.side.broken.push(utterance);
    }
    world.books.voice_takes(begin.saturating_sub(world.now));
    world.side.voice_free.insert(utterance, if end.is_none() { u64::MAX } else { at });
    events.extend(end.map(|event| (at, event)));
    if free != u64::MAX {
        for (at, event) in events {
            world.side_later(at, Event::Tts(event));
        }
    }
}
