//! What is known of the telephone's side, and what happens there later.

use std::collections::BTreeMap;

use offhook_media_line::MediaWire;
use offhook_stage_api::{SttEvent, TtsEvent, UtteranceId};

use crate::world::scene::Ear;

/// Sound comes in messages of so many frames.
pub(super) const FRAMES: usize = 3;
pub(super) const MESSAGE_US: u64 = FRAMES as u64 * 20_000;

pub enum Event {
    /// The caller makes this sound: what of what is said, and whether it is the last of it.
    Speaks {
        speech: bool,
        saying: usize,
        last: bool,
    },
    /// It arrives.
    Sound {
        speech: bool,
        saying: usize,
        last: bool,
    },
    Idle,
    /// The caller presses a key.
    Keys(char),
    /// So many frames without speech.
    Silence(usize),
    Key(char),
    Stt(SttEvent),
    Tts(TtsEvent),
    Arrives(MediaWire),
    /// All before the mark was played, if nothing was cleared since.
    Played {
        name: String,
        generation: u32,
    },
    Mark(String),
}

/// A word of the agent's voice.
#[derive(Clone, Debug)]
pub struct Word {
    pub samples: u64,
    pub sent: u64,
    /// As it would be played if nothing was ever late: from when (µs), and samples.
    pub at_once: Vec<(u64, u64)>,
    /// Played or to be played: from when (µs), and samples.
    pub played: Vec<(u64, u64)>,
}

/// The telephone's side.
pub struct Media {
    pub(super) voice_frame: [u8; FRAMES * 160],
    /// Samples of the caller's sound that have arrived.
    pub(super) fed: u64,
    pub(super) caller_free: u64,
    pub(super) sayings: Vec<Saying>,
    pub(super) heard_sayings: usize,
    pub(super) deaf: bool,
    pub(super) mute: bool,
    pub(super) pieces: usize,
    /// When the voice is free for more of an utterance; `u64::MAX`: never.
    pub(super) voice_free: BTreeMap<UtteranceId, u64>,
    /// Which word a value of a sample stands for.
    pub(super) codes: Vec<(UtteranceId, usize)>,
    pub words: BTreeMap<UtteranceId, Vec<Word>>,
    /// Utterances of which a piece was not spoken whole.
    pub broken: Vec<UtteranceId>,
    pub(super) play_end: u64,
    /// When all that was sent would have been played, if nothing was ever late.
    pub(super) sent_end: u64,
    /// When the latest sound that was sent is at Twilio, and has begun to be played.
    pub(super) on_its_way: u64,
    pub(super) generation: u32,
    pub(super) marks: usize,
    pub hidden_frames: usize,
}

/// What the caller says.
pub(super) struct Saying {
    pub(super) text: Option<&'static str>,
    pub(super) ear: Ear,
    /// Where its sound began on the caller's time line.
    pub(super) from: Option<u64>,
    pub(super) next_partial: u64,
    pub(super) latest: u64,
    pub(super) length_us: u64,
}
