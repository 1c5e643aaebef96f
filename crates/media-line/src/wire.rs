//! What comes and goes over the wire of a Media Streams call.

use std::collections::VecDeque;

use offhook_audio::MulawFrame;
use offhook_conversation::Output;
use offhook_stage_api::{Generation, Key, StageFailure, SttEvent, TtsEvent};

/// Something that comes from Twilio, or from the stages that only a line of sound has.
#[derive(Debug)]
pub enum MediaInput<'a> {
    /// The caller's voice: G.711 μ-law octets at 8 kHz, any number of them.
    Media {
        /// Twilio's `media.timestamp`: presentation time in milliseconds since the stream's start, if there is one.
        timestamp_ms: Option<u64>,
        /// The octets.
        payload: &'a [u8],
    },
    /// Twilio returned this mark: played, or cleared.
    Mark(&'a str),
    /// The caller pressed a key.
    Dtmf(Key),
    /// From the speech-to-text stage.
    Stt(SttEvent),
    /// From the text-to-speech stage.
    Tts(TtsEvent),
    /// The text-to-speech stage has ended, and won't speak any more.
    TtsEnded(StageFailure),
    /// The connection broke without a word. Twilio may connect the call again.
    Lost,
    /// Another stream carries the call: its sound and timestamps begin again.
    Back,
}

/// Something for Twilio.
#[derive(Clone, Debug)]
pub enum MediaWire {
    /// Send 20 ms of sound to the caller.
    Media(MulawFrame),
    /// The same, but keep the sound off tapes and logs: it is of keys.
    HiddenMedia(MulawFrame),
    /// Send a mark, so that Twilio reports when all sound before it was played.
    Mark(MarkName),
    /// Have Twilio drop all sound that it has not played.
    Clear,
}

impl MediaWire {
    /// A frame of sound. `hidden`: of something that must not stand on the tape.
    pub(crate) const fn sound(frame: MulawFrame, hidden: bool) -> Self {
        if hidden { Self::HiddenMedia(frame) } else { Self::Media(frame) }
    }
}

/// What a line gives out, oldest first.
pub(crate) type Outputs = VecDeque<Output<MediaWire>>;

/// Names a place in the outbound sound: the generation that it belongs to, and a count.
///
/// On the wire `g2-17`: generation 2, seventeenth mark of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarkName {
    /// How many `clear`s were sent before it.
    pub generation: Generation,
    /// Counts all marks of the call.
    pub number: u32,
}

impl MarkName {
    /// Reads the wire form; `None` for a mark that is not ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (generation, number) = name.strip_prefix('g')?.split_once('-')?;
        Some(Self { generation: Generation(generation.parse().ok()?), number: number.parse().ok()? })
    }
}

impl std::fmt::Display for MarkName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "g{}-{}", self.generation.0, self.number)
    }
}
