//! The sound of the open turn, for a link that takes over.

use std::collections::VecDeque;
use std::time::Duration;

use offhook_audio::{FRAME_SAMPLES, MulawFrame, SamplePos};
use offhook_stage_api::SttCommand;

/// Frames kept while nobody speaks: 1 s. Onsets are dated back by less.
const PRE_ROLL: usize = 50;
/// Frames kept of a turn: 30 s, 250 kB.
const MOST: usize = 1_500;
/// The onset is reported so many samples after it: 60 ms.
const ONSET_DELAY: u64 = 480;

/// The caller's turn, as far as the call has reported it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Its first onset.
    pub(super) from: SamplePos,
    /// From where to where a transcript was asked for, if the caller paused and hasn't gone on.
    pub(super) paused: Option<(SamplePos, SamplePos)>,
}

/// The newest sound.
#[derive(Debug, Default)]
pub(super) struct Ring {
    frames: VecDeque<(SamplePos, MulawFrame)>,
}

impl Ring {
    pub(super) fn push(&mut self, at: SamplePos, frame: MulawFrame, turn_is_open: bool) {
        let most = if turn_is_open { MOST } else { PRE_ROLL };
        while self.frames.len() >= most {
            self.frames.pop_front();
        }
        self.frames.push_back((at, frame));
    }

    /// The turn is over: most of it won't be asked for again.
    pub(super) fn end_turn(&mut self) {
        let old = self.frames.len().saturating_sub(PRE_ROLL);
        self.frames.drain(..old);
        self.frames.shrink_to(PRE_ROLL);
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn duration(&self) -> Duration {
        Duration::from_millis(20) * u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }

    /// What a link gets that takes over, in the order in which it would have come. A turn of which the beginning was
    /// forgotten begins where the sound does: transcripts of before stay as they are.
    pub(super) fn replay(&self, turn: Option<Turn>, with_sound: bool, mut send: impl FnMut(SttCommand)) {
        let oldest = self.frames.front().map_or(SamplePos(0), |(at, _)| *at);
        let from = turn.map(|turn| SamplePos(turn.from.0.max(oldest.0)));
        let mut onset = from;
        for (at, frame) in &self.frames {
            if let Some(from) = onset.filter(|from| at.0 >= from.0 + ONSET_DELAY) {
                onset = None;
                send(SttCommand::SpeechStarted { at: from });
            }
            if with_sound {
                send(SttCommand::Audio { at: *at, frame: *frame });
            }
        }
        if let Some(at) = onset {
            send(SttCommand::SpeechStarted { at });
        }
        if let (Some(from), Some((_, until))) = (from, turn.and_then(|turn| turn.paused)) {
            send(SttCommand::SpeechPaused { from, until });
        }
    }

    /// Whether a transcript up to `known` answers for a pause at `until`: providers end words up to half a second before voice
    /// activity does.
    pub(super) const fn covers(known: u64, until: SamplePos) -> bool {
        known + 25 * FRAME_SAMPLES as u64 >= until.0
    }
}
