//! Text-to-speech by flite: clearly synthetic, fully intelligible on a telephone, 1 to 2 % of real time.

use std::sync::{Arc, OnceLock};

use offhook_audio::SampleRate;
use offhook_speakable::{LONGEST_PIECE, pieces};
use offhook_stage_api::{AudioChunk, SpeakRequest, TimedWord, TtsCommand, TtsEvent};
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Tts, Tx};

use super::flite_ffi::Engine;
use super::pool::NativePool;

/// flite's voices, all of Carnegie Mellon's making.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Voice {
    /// A Scottish man, 16 kHz.
    Awb,
    /// An American man, diphones, 8 kHz.
    Kal,
    /// The same at 16 kHz.
    Kal16,
    /// An American man, 16 kHz.
    Rms,
    /// An American woman, 16 kHz: the best of them.
    #[default]
    Slt,
}

impl Voice {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Awb => "awb",
            Self::Kal => "kal",
            Self::Kal16 => "kal16",
            Self::Rms => "rms",
            Self::Slt => "slt",
        }
    }

    /// The voice of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Awb, Self::Kal, Self::Kal16, Self::Rms, Self::Slt]
            .into_iter()
            .find(|voice| voice.name() == name)
    }
}

/// A spoken text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SynthResult {
    /// Samples per second.
    pub rate: u32,
    /// The sound, mono.
    pub samples: Vec<i16>,
    /// When each word of the text is spoken.
    pub words: Vec<TimedWord>,
}

impl SynthResult {
    /// Goes on with another text's sound.
    fn append(&mut self, other: Self) {
        let per_ms = (self.rate as usize / 1_000).max(1);
        let offset = u32::try_from(self.samples.len() / per_ms).unwrap_or(u32::MAX);
        self.samples.extend(other.samples);
        self.words.extend(other.words.into_iter().map(|word| TimedWord {
            start_ms: word.start_ms.saturating_add(offset),
            end_ms: word.end_ms.saturating_add(offset),
            ..word
        }));
    }
}

/// Silence left before the first and after the last sound.
const LEAD_MS: usize = 10;
const TAIL_MS: usize = 90;

/// The text-to-speech stage.
#[derive(Clone)]
pub struct Flite {
    voice: Voice,
    engine: Arc<Engine>,
    pool: NativePool,
}

impl std::fmt::Debug for Flite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flite").field("voice", &self.voice).finish_non_exhaustive()
    }
}

impl Flite {
    /// Loads the library and the voice.
    ///
    /// # Errors
    /// If a library is missing; the error names the package to install.
    pub fn new(voice: Voice, pool: NativePool) -> Result<Self, StageError> {
        // A voice exists once in a process, however many stages use it.
        static ENGINES: [OnceLock<Arc<Engine>>; 5] = [const { OnceLock::new() }; 5];
        let slot = ENGINES.get(voice as usize);
        let engine = match slot.and_then(OnceLock::get) {
            Some(engine) => Arc::clone(engine),
            None => {
                let new = Arc::new(Engine::load(voice)?);
                // The first words take longest, for all of the lexicon comes from the disk: they are spoken to nobody.
                new.speak("Hello, how are you?")?;
                slot.map_or(&new, |slot| slot.get_or_init(|| Arc::clone(&new))).clone()
            }
        };
        Ok(Self { voice, engine, pool })
    }

    /// Speaks a text on this thread: for tools and tests. Calls use the stage.
    ///
    /// # Errors
    /// If the engine fails.
    pub fn speak(&self, text: &str) -> Result<SynthResult, StageError> {
        let mut whole: Option<SynthResult> = None;
        // A long text costs flite stack and memory, up to the end of the process: it gets what a caller could follow.
        for piece in pieces(text, LONGEST_PIECE) {
            let mut spoken = self.engine.speak(piece)?;
            trim(&mut spoken);
            spell_as_written(&mut spoken.words, piece);
            match &mut whole {
                Some(whole) => whole.append(spoken),
                None => whole = Some(spoken),
            }
        }
        whole.map_or_else(|| self.engine.speak(""), Ok)
    }
}

/// Takes off flite's silence before and after, and the words' times with it.
fn trim(spoken: &mut SynthResult) {
    let per_ms = spoken.rate as usize / 1_000;
    let loud = |sample: &i16| sample.unsigned_abs() > 200;
    let (Some(first), Some(last)) =
        (spoken.samples.iter().position(loud), spoken.samples.iter().rposition(loud))
    else {
        return;
    };
    let start = first.saturating_sub(LEAD_MS * per_ms);
    let end = (last + TAIL_MS * per_ms).min(spoken.samples.len());
    spoken.samples.truncate(end);
    spoken.samples.drain(..start);
    let cut_ms = u32::try_from(start / per_ms.max(1)).unwrap_or(0);
    for word in &mut spoken.words {
        word.start_ms = word.start_ms.saturating_sub(cut_ms);
        word.end_ms = word.end_ms.saturating_sub(cut_ms);
    }
}

/// flite drops punctuation from its tokens; the ledger wants the words as the text has them.
fn spell_as_written(words: &mut [TimedWord], text: &str) {
    if text.split_whitespace().count() == words.len() {
        for (word, written) in words.iter_mut().zip(text.split_whitespace()) {
            written.clone_into(&mut word.word);
        }
    }
}

impl Tts for Flite {
    fn name(&self) -> &str {
        "flite"
    }

    fn voice(&self) -> &str {
        self.voice.name()
    }

    fn run(
        &self,
        _call: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let stage = self.clone();
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                // A cancelled utterance's sound is dropped by the call; what is queued here is short.
                let TtsCommand::Speak(request) = command else { continue };
                stage.serve(request, &events).await?;
            }
            Ok(())
        })
    }
}

impl Flite {
    /// One segment: synthesised on the pool, one after the other, so that segments come in order.
    async fn serve(&self, request: SpeakRequest, events: &Tx<TtsEvent>) -> Result<(), StageError> {
        let (done, result) = tokio::sync::oneshot::channel();
        let (stage, text) = (self.clone(), request.text.clone());
        let taken = self.pool.run(move || {
            // The call may have ended meanwhile; then nobody waits for it.
            let _unheard = done.send(stage.speak(&text));
        });
        let (utterance, segment) = (request.utterance, request.segment);
        let busy = || StageError::Busy {
            stage: "flite".to_owned(),
            what: "the native pool is full".to_owned(),
            retry_after: None,
        };
        let spoken = if taken { result.await.unwrap_or_else(|_| Err(busy())) } else { Err(busy()) };
        let spoken = match spoken {
            Ok(spoken) => spoken,
            Err(error) => {
                let failed = TtsEvent::Failed { utterance, segment, failure: error.to_failure() };
                return events.send(failed).await.or(Ok(()));
            }
        };
        let rate = SampleRate::new(spoken.rate).unwrap_or(SampleRate::HZ_16000);
        let words = TtsEvent::Words { utterance, segment, words: spoken.words.clone() };
        let chunk = AudioChunk::Pcm { rate, samples: spoken.samples.as_slice().into() };
        for event in
            [words, TtsEvent::Audio { utterance, segment, chunk }, TtsEvent::Done { utterance, segment }]
        {
            if events.send(event).await.is_err() {
                break; // the call is over
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_of_two_pieces_is_one() {
        let word = |word: &str| TimedWord { word: word.to_owned(), start_ms: 10, end_ms: 20 };
        let mut spoken = SynthResult { rate: 8_000, samples: vec![1; 800], words: vec![word("a")] };
        spoken.append(SynthResult { rate: 8_000, samples: vec![2; 80], words: vec![word("b")] });
        assert_eq!(spoken.samples.len(), 880);
        assert_eq!(spoken.words.last().map(|word| (word.start_ms, word.end_ms)), Some((110, 120)));
    }
}
