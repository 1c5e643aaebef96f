//! The agent's voice: each word of it is a value of samples, so that what is played tells which words it has.

use offhook_stage_api::{AudioChunk, SpeakRequest, TimedWord, TtsEvent, UtteranceId};

use super::state::{Event, Media, Word};
use crate::world::play::World;
use crate::world::scene::End;
use crate::world::stages::failure;

/// The agent's voice takes so many samples for a character.
const CHARACTER: u64 = 500;

/// So many values of samples tell words apart: all but those of silence.
const CODES: usize = 252;

fn octet_of(code: usize) -> u8 {
    let value = code % CODES + 1;
    (if value < 127 { value } else { value + 1 }) as u8
}

impl Media {
    pub(super) fn words_in(&self, frame: &[u8]) -> Vec<(UtteranceId, usize, u64)> {
        let mut all: Vec<(UtteranceId, usize, u64)> = Vec::new();
        // The frame's ends may be faded.
        for octet in frame[40..120].iter().step_by(8) {
            let Some(&(id, place)) = self.code_of(*octet) else { continue };
            match all.iter_mut().find(|(known, at, _)| *known == id && *at == place) {
                Some((_, _, count)) => *count += 16,
                None => all.push((id, place, 16)),
            }
        }
        all
    }

    fn code_of(&self, octet: u8) -> Option<&(UtteranceId, usize)> {
        let value = match usize::from(octet) {
            0 | 127 | 255 => return None,
            octet @ 1..127 => octet - 1,
            octet => octet - 2,
        };
        let newest = self.codes.len().checked_sub(1)?;
        self.codes.get(newest.checked_sub((newest + CODES - value) % CODES)?)
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
    let mut octets = Vec::new();
    let mut timed = Vec::new();
    let words: Vec<&str> = request.text.split_whitespace().collect();
    for (place, word) in words.iter().enumerate() {
        let space = u64::from(place + 1 < words.len());
        let samples = (word.chars().count() as u64 + space) * CHARACTER;
        let start_ms = (octets.len() / 8) as u32;
        octets.resize(octets.len() + samples as usize, octet_of(world.side.codes.len()));
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
