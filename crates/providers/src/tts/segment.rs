//! A segment that is being spoken.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offhook_audio::{FRAME_SAMPLES, MULAW_SILENCE};
use offhook_stage_api::{AudioChunk, SpeakRequest, TimedWord, TtsEvent};
use offhook_stages::StageError;

use super::sound::{Format, Sound};

/// What a provider's message says of a segment.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// Its next bytes of sound.
    Sound(Vec<u8>),
    /// Its next words, timed from its first sample.
    Words(Vec<TimedWord>),
    /// Its next characters, timed from the first sample of the sound that came (or comes) with them.
    Letters(Letters),
    /// All was said.
    End,
}

/// Characters and when they sound.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Letters {
    /// The characters (strings, as some are more than one code point), start and end in milliseconds.
    pub(super) timed: Vec<(String, f64, f64)>,
    /// Whether times count from the segment's beginning, not from that of the message's sound.
    pub(super) from_beginning: bool,
}

/// Decodes a message's sound.
pub(super) fn decode(stage: &str, sound: &str) -> Result<Vec<u8>, StageError> {
    STANDARD.decode(sound.trim()).map_err(|error| StageError::Garbage {
        stage: stage.to_owned(),
        what: format!("sound that is not in base64: {error}"),
    })
}

/// What is told of a text in which there is nothing to say: a frame of silence, as a voice without a sound counts as failed.
pub(super) fn nothing_to_say(request: &SpeakRequest) -> [TtsEvent; 2] {
    let (utterance, segment) = (request.utterance, request.segment);
    let chunk = AudioChunk::Mulaw([MULAW_SILENCE; FRAME_SAMPLES].as_slice().into());
    [TtsEvent::Audio { utterance, segment, chunk }, TtsEvent::Done { utterance, segment }]
}

/// A segment, from request to its last sound.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) request: SpeakRequest,
    sound: Sound,
    /// Words whose times aren't final: it isn't known yet how much silence is left out.
    words: Vec<TimedWord>,
    /// A word whose end may still come.
    word: Option<(String, f64, f64)>,
    /// Length of what was received before the latest message's sound.
    before: Duration,
    /// Sound was given to the call.
    pub(super) sounded: bool,
    spoken: Duration,
}

impl Segment {
    pub(super) fn new(stage: &str, request: SpeakRequest, format: Format, trim: bool) -> Self {
        let sound = Sound::new(stage, format, trim);
        let (before, spoken) = (Duration::ZERO, Duration::ZERO);
        Self { request, sound, words: Vec::new(), word: None, before, sounded: false, spoken }
    }

    /// Length of the sound given to the call.
    pub(super) fn spoken(&self) -> Duration {
        self.spoken
    }

    /// What the call is to be told of this.
    pub(super) fn say(&mut self, said: Said) -> Result<Vec<TtsEvent>, StageError> {
        let mut events = Vec::new();
        match said {
            Said::Sound(bytes) => {
                self.before = self.sound.received();
                let chunk = self.sound.push(&bytes)?;
                self.give(chunk, &mut events);
            }
            Said::Words(words) => self.words.extend(words),
            Said::Letters(letters) => self.read(letters),
            Said::End => {
                let chunk = self.sound.finish()?;
                self.give(chunk, &mut events);
                self.end_word();
                self.time_words(&mut events);
                let SpeakRequest { utterance, segment, .. } = self.request;
                events.push(TtsEvent::Done { utterance, segment });
                return Ok(events);
            }
        }
        self.time_words(&mut events);
        Ok(events)
    }

    fn give(&mut self, chunk: Option<AudioChunk>, events: &mut Vec<TtsEvent>) {
        let Some(chunk) = chunk else { return };
        self.sounded = true;
        self.spoken += chunk.duration();
        let SpeakRequest { utterance, segment, .. } = self.request;
        events.push(TtsEvent::Audio { utterance, segment, chunk });
    }

    fn time_words(&mut self, events: &mut Vec<TtsEvent>) {
        let Some(cut) = self.sound.trimmed().filter(|_| !self.words.is_empty()) else { return };
        let cut = u32::try_from(cut.as_millis()).unwrap_or(u32::MAX);
        let mut words = std::mem::take(&mut self.words);
        for word in &mut words {
            word.start_ms = word.start_ms.saturating_sub(cut);
            word.end_ms = word.end_ms.saturating_sub(cut);
        }
        let SpeakRequest { utterance, segment, .. } = self.request;
        events.push(TtsEvent::Words { utterance, segment, words });
    }

    fn read(&mut self, letters: Letters) {
        let before = if letters.from_beginning { 0.0 } else { self.before.as_secs_f64() * 1_000.0 };
        for (letter, start, end) in letters.timed {
            if letter.trim().is_empty() {
                self.end_word();
                continue;
            }
            let (word, _, until) =
                self.word.get_or_insert_with(|| (String::new(), before + start, before + end));
            word.push_str(&letter);
            *until = until.max(before + end);
        }
    }

    fn end_word(&mut self) {
        let Some((word, start, end)) = self.word.take() else { return };
        self.words.push(TimedWord { word, start_ms: millis(start), end_ms: millis(end) });
    }
}

/// A time as providers tell it, in whole milliseconds: none is negative or without end.
pub(super) fn millis(time: f64) -> u32 {
    time.clamp(0.0, 86_400_000.0).round() as u32
}
