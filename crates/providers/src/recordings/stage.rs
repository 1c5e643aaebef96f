//! A voice that also plays recordings.

use std::sync::Arc;
use std::time::Duration;

use offhook_audio::SampleRate;
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{
    AudioChunk, FailureKind, Recording, SpeakRequest, StageFailure, TtsCommand, TtsEvent,
};
use offhook_stages::queue::OfferError;
use offhook_stages::{BoxFuture, CallInfo, Distance, Rx, StageError, Tts, Tx, WhenFull, bounded};
use tokio::time::{Instant, sleep_until};

/// As the session's queues are.
const QUEUE: usize = 256;
/// A recording is given so far ahead of its playing, and no farther: it may be played a thousand times.
const LEAD: Duration = Duration::from_secs(5);
/// So much is given at once: half a second.
const PIECE: usize = 4_000;

/// A voice, and recordings that are played in its place.
#[derive(Clone, Debug)]
pub struct PlayingTts {
    voice: Arc<dyn Tts>,
}

impl PlayingTts {
    /// Puts recordings beside a voice.
    #[must_use]
    pub const fn new(voice: Arc<dyn Tts>) -> Self {
        Self { voice }
    }
}

/// A recording that is being played.
struct Playing {
    utterance: UtteranceId,
    segment: SegmentId,
    samples: Arc<[i16]>,
    rate: SampleRate,
    /// Where it is, in samples.
    at: usize,
    /// How often it is still to be played, this time included.
    times: u32,
    began: Instant,
    /// So much was given.
    given: Duration,
}

impl Playing {
    fn new(request: &SpeakRequest, recording: &Recording) -> Result<Self, TtsEvent> {
        let (utterance, segment) = (request.utterance, request.segment);
        let (rate, samples) = match &recording.sound {
            Some(AudioChunk::Pcm { rate, samples }) if !samples.is_empty() => (*rate, Arc::clone(samples)),
            Some(AudioChunk::Mulaw(octets)) if !octets.is_empty() => {
                (SampleRate::HZ_8000, octets.iter().map(|octet| offhook_mulaw::decode(*octet)).collect())
            }
            _ => {
                let failure = failure(FailureKind::Garbage, "a recording without sound can't be played");
                return Err(TtsEvent::Failed { utterance, segment, failure });
            }
        };
        let (began, given) = (Instant::now(), Duration::ZERO);
        Ok(Self { utterance, segment, samples, rate, at: 0, times: recording.times, began, given })
    }

    /// When the next piece is due: all of the lead at once, then as it is heard.
    fn due(&self) -> Instant {
        self.began + self.given.saturating_sub(LEAD)
    }

    /// The next piece; `None` when it is over.
    fn next(&mut self) -> Option<TtsEvent> {
        if self.at >= self.samples.len() {
            self.at = 0;
            self.times -= 1;
        }
        if self.times == 0 {
            return None;
        }
        let until = (self.at + PIECE).min(self.samples.len());
        let samples: Arc<[i16]> = self.samples.get(self.at..until)?.into();
        self.at = until;
        let chunk = AudioChunk::Pcm { rate: self.rate, samples };
        self.given += chunk.duration();
        Some(TtsEvent::Audio { utterance: self.utterance, segment: self.segment, chunk })
    }
}

impl Tts for PlayingTts {
    fn name(&self) -> &str {
        self.voice.name()
    }

    fn voice(&self) -> &str {
        self.voice.voice()
    }

    fn warm(&self, call: &CallInfo) -> BoxFuture<()> {
        self.voice.warm(call)
    }

    fn distance(&self) -> Distance {
        self.voice.distance()
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let (to_voice, voice_commands) = bounded(QUEUE, WhenFull::PushBack);
        let voice = self.voice.run(call, voice_commands, events.clone());
        Box::pin(async move {
            tokio::pin!(voice);
            let mut to_voice = Some(to_voice);
            let mut playing: Vec<Playing> = Vec::new();
            loop {
                let due = playing.iter().map(Playing::due).min();
                tokio::select! {
                    biased;
                    outcome = &mut voice => return outcome,
                    command = commands.recv(), if to_voice.is_some() => match command {
                        None => to_voice = None,
                        Some(TtsCommand::Speak(request)) if request.recording.is_some() => {
                            let Some(recording) = &request.recording else { continue };
                            match Playing::new(&request, recording) {
                                Ok(one) => playing.push(one),
                                Err(failed) => if events.send(failed).await.is_err() {
                                    return Ok(());
                                },
                            }
                        }
                        Some(command) => {
                            if let TtsCommand::Cancel { utterance } = &command {
                                playing.retain(|one| one.utterance != *utterance);
                            }
                            if let Some(failed) = to_voice.as_ref().and_then(|voice| offer(voice, command))
                                && events.send(failed).await.is_err()
                            {
                                return Ok(());
                            }
                        }
                    },
                    () = at(due) => {
                        let Some(index) = playing.iter().position(|one| Some(one.due()) == due) else { continue };
                        let Some(one) = playing.get_mut(index) else { continue };
                        let event = one.next().unwrap_or_else(|| {
                            let over = playing.swap_remove(index);
                            TtsEvent::Done { utterance: over.utterance, segment: over.segment }
                        });
                        if events.send(event).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
        })
    }
}

/// Hands a command to the voice. Gives what the call gets for what it doesn't take.
fn offer(voice: &Tx<TtsCommand>, command: TtsCommand) -> Option<TtsEvent> {
    let (OfferError::Full(refused) | OfferError::Closed(refused)) = voice.offer(command).err()?;
    let TtsCommand::Speak(SpeakRequest { utterance, segment, .. }) = refused else { return None };
    let failure = failure(FailureKind::Broken, "the voice takes no more requests");
    Some(TtsEvent::Failed { utterance, segment, failure })
}

fn failure(kind: FailureKind, message: &str) -> StageFailure {
    StageFailure { stage: "play".to_owned(), message: message.to_owned(), kind, retry_after_ms: None }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
