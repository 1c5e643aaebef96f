//! Speech-to-text by PocketSphinx, with the grammar that the agent declares.
//!
//! Two passes: while the caller talks a decoder follows live and gives partial transcripts; at each pause the whole
//! turn is decoded again, normalised as a whole, for the final one. Decoders are heavy, so there are only as many as
//! the pool has threads; when all are busy a call goes without partials, and its final waits its turn.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use offhook_audio::{FRAME_SAMPLES, MulawFrame, SamplePos};
use offhook_stage_api::{Expectation, SttCommand, SttEvent, Transcript};
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Stt, Tx};

use super::pool::NativePool;
use super::sphinx_ffi::{Decoder, Hypothesis};

/// Where the models are, and how the recogniser is set.
#[derive(Clone, Debug)]
pub struct SphinxOptions {
    /// Acoustic model, for 16 kHz.
    pub model: PathBuf,
    /// Pronunciations.
    pub dictionary: PathBuf,
    /// Sound kept before and after the speech that our own voice activity found: 300 ms.
    pub margin_ms: u64,
    /// Finals with less confidence than this are taken for no words at all.
    pub least_confidence: f32,
}

impl Default for SphinxOptions {
    fn default() -> Self {
        let share = PathBuf::from("/usr/share/pocketsphinx/model/en-us");
        Self {
            model: share.join("en-us"),
            dictionary: share.join("cmudict-en-us.dict"),
            margin_ms: 300,
            least_confidence: 0.4,
        }
    }
}

/// No silence removal, because our own voice activity trims better. The final pass takes the utterance's own cepstral
/// mean; the seed is for the live pass only, which starts without one: a rough guess for the telephone's band, not tuned.
/// Beams are wide, which costs little with small grammars.
const SETTINGS: &[(&str, &str)] = &[
    ("-remove_silence", "no"),
    ("-remove_noise", "yes"),
    ("-cmn", "batch"),
    ("-cmninit", "41,-5,-11,12,-3,-1,-5,2,-8,-2,-3,-1,-6"),
    ("-beam", "1e-60"),
    ("-wbeam", "1e-40"),
    ("-pbeam", "1e-60"),
    ("-bestpath", "no"),
];

/// What was recognised in one utterance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recognised {
    /// The words; empty if none of the grammar's.
    pub text: String,
    /// 0 to 1: how well the sound fits the words.
    pub confidence: f32,
    /// The words form a whole sentence of the grammar.
    pub complete: bool,
}

/// The speech-to-text stage.
#[derive(Clone, Debug)]
pub struct PocketSphinx {
    options: Arc<SphinxOptions>,
    pool: NativePool,
}

thread_local! {
    /// Each thread of the pool makes its decoder when it first needs one.
    static DECODER: RefCell<Option<Decoder>> = const { RefCell::new(None) };
}

impl PocketSphinx {
    /// Checks that library and model are there, by making a first decoder.
    ///
    /// # Errors
    /// If something is missing; the error names the package to install.
    pub fn new(options: SphinxOptions, pool: NativePool) -> Result<Self, StageError> {
        let stage = Self { options: Arc::new(options), pool };
        // Made here, so that it is known before the first call, and used by this thread for tools and tests.
        stage.with_decoder(|_| Ok(()))?;
        // The pool's threads make theirs now, so that no caller's first words wait for it.
        for _ in 0..stage.pool.threads() {
            let early = stage.clone();
            stage.pool.run(move || {
                if let Err(error) = early.with_decoder(|_| Ok(())) {
                    tracing::warn!(%error, "a recogniser could not be made");
                }
            });
        }
        Ok(stage)
    }

    /// Recognises a whole utterance of 8 kHz sound on this thread: for tools and tests. Calls use the stage.
    ///
    /// # Errors
    /// If the grammar isn't accepted.
    pub fn recognise(&self, samples: &[i16], expectation: &Expectation) -> Result<Recognised, StageError> {
        self.with_decoder(|decoder| {
            decoder.use_grammar(expectation)?;
            decoder.start();
            let wide = upsample(samples, 0);
            decoder.feed(&wide, true);
            let partial = decoder.hypothesis();
            decoder.end();
            let whole = decoder.hypothesis();
            Ok(judge(whole, partial, wide.len(), self.options.least_confidence))
        })
    }

    fn with_decoder<T>(
        &self,
        work: impl FnOnce(&mut Decoder) -> Result<T, StageError>,
    ) -> Result<T, StageError> {
        DECODER.with_borrow_mut(|slot| {
            let decoder = match slot {
                Some(decoder) => decoder,
                None => slot.insert(Decoder::load(&self.options.model, &self.options.dictionary, SETTINGS)?),
            };
            work(decoder)
        })
    }

    /// Follows an utterance while it lasts, on a thread of the pool.
    fn follow(
        &self,
        expectation: Arc<Expectation>,
        from: u64,
        sound: Receiver<Vec<i16>>,
        events: Tx<SttEvent>,
    ) -> bool {
        let stage = self.clone();
        self.pool.follow(move || {
            let outcome = stage.with_decoder(|decoder| {
                decoder.use_grammar(&expectation)?;
                decoder.start();
                let (mut last, mut said, mut until, mut since) = (0, String::new(), from, 0);
                while let Ok(chunk) = sound.recv() {
                    decoder.feed(&upsample(&chunk, last), false);
                    last = chunk.last().copied().unwrap_or(last);
                    until += chunk.len() as u64;
                    since += chunk.len();
                    if since < 6 * FRAME_SAMPLES {
                        continue;
                    }
                    since = 0;
                    if let Some(now) = decoder.hypothesis().filter(|now| now.text != said) {
                        said.clone_from(&now.text);
                        let transcript = Transcript { from, until, text: now.text, ..Transcript::default() };
                        // A partial that finds no room is soon out of date anyway.
                        let _dropped = events.offer(SttEvent::Partial(transcript));
                    }
                }
                decoder.end();
                Ok(())
            });
            if let Err(error) = outcome {
                tracing::warn!(%error, "no partial transcripts");
            }
        })
    }
}

/// 8 to 16 kHz by linear interpolation: for this recogniser as good as a sharp filter.
fn upsample(samples: &[i16], before: i16) -> Vec<i16> {
    let mut wide = Vec::with_capacity(samples.len() * 2);
    let mut last = before;
    for &sample in samples {
        wide.push(((i32::from(last) + i32::from(sample)) / 2) as i16);
        wide.push(sample);
        last = sample;
    }
    wide
}

/// From the paths' scores to words with a confidence.
fn judge(
    whole: Option<Hypothesis>,
    partial: Option<Hypothesis>,
    wide_samples: usize,
    least: f32,
) -> Recognised {
    let complete = whole.is_some();
    let Some(best) = whole.or(partial) else { return Recognised::default() };
    // PocketSphinx counts 100 frames a second.
    let frames = (wide_samples / 160).max(1) as f32;
    let per_frame = best.score as f32 / frames;
    let confidence = confidence(per_frame) * if complete { 1.0 } else { 0.5 };
    if confidence < least {
        return Recognised { confidence, ..Recognised::default() };
    }
    Recognised { text: best.text, confidence, complete }
}

/// A path's score per frame as confidence. Words of the grammar give 0.55 to 1, other speech 0.45 and less.
fn confidence(per_frame: f32) -> f32 {
    ((per_frame + 60.0) / 40.0).clamp(0.0, 1.0)
}

impl Stt for PocketSphinx {
    fn name(&self) -> &str {
        "pocketsphinx"
    }

    fn run(
        &self,
        _call: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let mut listener = Listener {
            stage: self.clone(),
            events,
            expectation: Arc::default(),
            sound: Vec::new(),
            start: 0,
            turn_from: None,
            live: None,
            told: false,
        };
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                listener.on_command(command).await;
            }
            Ok(())
        })
    }
}

/// Sound kept while nobody speaks: 600 ms.
const PRE_ROLL: usize = 8 * 600;
/// Longest turn that is decoded as a whole: 30 s.
const LONGEST_TURN: usize = 8_000 * 30;

/// One call's ear.
struct Listener {
    stage: PocketSphinx,
    events: Tx<SttEvent>,
    expectation: Arc<Expectation>,
    /// The newest sound, from `start` on.
    sound: Vec<i16>,
    start: u64,
    /// First sample of the turn's sound, margin included.
    turn_from: Option<u64>,
    live: Option<Sender<Vec<i16>>>,
    told: bool,
}

impl Listener {
    async fn on_command(&mut self, command: SttCommand) {
        match command {
            SttCommand::Audio { at, frame } => self.on_audio(at, &frame),
            SttCommand::SpeechStarted { at } => self.on_start(at),
            SttCommand::SpeechPaused { from, until } => self.on_pause(from, until).await,
            SttCommand::TurnEnded { until } => {
                self.live = None;
                self.turn_from = None;
                self.forget(until.0);
            }
            SttCommand::Expect(expectation) => self.expectation = expectation,
        }
    }

    fn on_audio(&mut self, at: SamplePos, frame: &MulawFrame) {
        if at.0 != self.start + self.sound.len() as u64 {
            // Some was dropped on the way, or the time line jumped.
            self.sound.clear();
            self.start = at.0;
        }
        let pcm = frame.decode();
        self.sound.extend_from_slice(&pcm.0);
        if let Some(live) = &self.live
            && live.try_send(pcm.0.to_vec()).is_err()
        {
            self.live = None; // it can't keep up: the final pass will do
        }
        if self.turn_from.is_none() && self.sound.len() > PRE_ROLL * 2 {
            self.forget(self.start + (self.sound.len() - PRE_ROLL) as u64);
        } else if self.sound.len() > LONGEST_TURN {
            self.forget(self.start + (self.sound.len() - LONGEST_TURN) as u64);
        }
    }

    fn forget(&mut self, before: u64) {
        let count = usize::try_from(before.saturating_sub(self.start)).unwrap_or(0).min(self.sound.len());
        self.sound.drain(..count);
        self.start += count as u64;
    }

    fn on_start(&mut self, at: SamplePos) {
        let from = at.0.saturating_sub(self.stage.options.margin_ms * 8).max(self.start);
        self.turn_from.get_or_insert(from);
        if self.expectation.grammar.is_none() {
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!(
                    "the agent declares no grammar; this recogniser understands nothing without one"
                );
            }
            return;
        }
        // One thread stays free for finals.
        if self.stage.pool.idle() < 2 {
            return;
        }
        let (sender, receiver) = crossbeam_channel::bounded(256);
        let so_far =
            self.sound.get(usize::try_from(from - self.start).unwrap_or(0)..).unwrap_or(&[]).to_vec();
        if sender.try_send(so_far).is_ok()
            && self.stage.follow(Arc::clone(&self.expectation), at.0, receiver, self.events.clone())
        {
            self.live = Some(sender);
        }
    }

    async fn on_pause(&mut self, from: SamplePos, until: SamplePos) {
        self.live = None;
        if self.expectation.grammar.is_none() {
            let transcript = Transcript { from: from.0, until: until.0, ..Transcript::default() };
            let _gone = self.events.send(SttEvent::Final(transcript)).await;
            return;
        }
        let margin = self.stage.options.margin_ms * 8;
        let first = self.turn_from.unwrap_or(from.0).max(self.start);
        let end = (until.0 + margin).min(self.start + self.sound.len() as u64);
        let place = |at: u64| usize::try_from(at.saturating_sub(self.start)).unwrap_or(0);
        let mut sound = self.sound.get(place(first)..place(end)).unwrap_or(&[]).to_vec();
        // What hasn't sounded yet is silence: waiting for it would cost its length.
        let missing = usize::try_from((until.0 + margin).saturating_sub(end)).unwrap_or(0);
        sound.resize(sound.len() + missing, 0);
        let (stage, expectation, events) =
            (self.stage.clone(), Arc::clone(&self.expectation), self.events.clone());
        let empty = Transcript { from: from.0, until: until.0, ..Transcript::default() };
        let fallback = empty.clone();
        let taken = self.stage.pool.run(move || {
            let transcript = match stage.recognise(&sound, &expectation) {
                Ok(heard) => Transcript {
                    confidence: Some(heard.confidence),
                    complete: (!heard.text.is_empty()).then_some(heard.complete),
                    text: heard.text,
                    ..empty
                },
                Err(error) => {
                    tracing::warn!(%error, "nothing could be recognised");
                    empty
                }
            };
            let _gone = events.send_blocking(SttEvent::Final(transcript));
        });
        if !taken {
            tracing::warn!("the native pool is full: an utterance was not recognised");
            let _gone = self.events.send(SttEvent::Final(fallback)).await;
        }
    }
}
