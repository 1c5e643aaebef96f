//! Stages that tell when they get something, or when they give it, and otherwise do as little as they can.

use std::sync::Arc;
use std::time::Duration;

use offhook_conversation::{Deadline, Input, Output, Transport};
use offhook_session::Observer;
use offhook_stage_api::{
    AudioChunk, CallTime, LlmCommand, LlmEvent, SttCommand, SttEvent, Transcript, TtsCommand, TtsEvent,
};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Stt, Tts, Tx};

/// Called with each frame, in the recogniser's own task.
pub type OnFrame = Arc<dyn Fn(&[u8; 160]) + Send + Sync>;

/// A recogniser that tells each frame which it takes.
pub struct Ears {
    /// Told.
    pub on_frame: OnFrame,
    /// What it understands at each pause; nothing if there is nothing.
    pub words: Option<&'static str>,
}

impl std::fmt::Debug for Ears {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ears").field("words", &self.words).finish_non_exhaustive()
    }
}

impl Stt for Ears {
    fn name(&self) -> &str {
        "probe"
    }

    fn run(
        &self,
        _: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let (on_frame, words) = (Arc::clone(&self.on_frame), self.words);
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                match (command, words) {
                    (SttCommand::Audio { frame, .. }, _) => on_frame(&frame.0),
                    (SttCommand::SpeechPaused { from, until }, Some(words)) => {
                        let transcript = Transcript {
                            from: from.0,
                            until: until.0,
                            text: words.to_owned(),
                            ..Transcript::default()
                        };
                        let _call_is_over = events.send(SttEvent::Final(transcript)).await;
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

/// A model that always gives the same answer, or none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mind {
    /// It.
    pub answer: Option<&'static str>,
}

impl Llm for Mind {
    fn name(&self) -> &str {
        "probe"
    }

    fn run(
        &self,
        _: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let answer = self.answer;
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let (LlmCommand::Respond(request), Some(answer)) = (command, answer) else { continue };
                let reply = request.reply;
                let _call_is_over = events.send(LlmEvent::Text { reply, delta: answer.to_owned() }).await;
                let _call_is_over = events.send(LlmEvent::Done { reply }).await;
            }
            Ok(())
        })
    }
}

/// A voice that gives the same sound for each sentence, all of it at once.
pub struct Mouth {
    /// Told when it does.
    pub on_sound: Arc<dyn Fn() + Send + Sync>,
    /// μ-law.
    pub sound: Arc<[u8]>,
}

impl std::fmt::Debug for Mouth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mouth").field("octets", &self.sound.len()).finish_non_exhaustive()
    }
}

impl Tts for Mouth {
    fn name(&self) -> &str {
        "probe"
    }

    fn voice(&self) -> &str {
        ""
    }

    fn run(
        &self,
        _: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let (on_sound, sound) = (Arc::clone(&self.on_sound), Arc::clone(&self.sound));
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let TtsCommand::Speak(request) = command else { continue };
                let (utterance, segment) = (request.utterance, request.segment);
                let chunk = AudioChunk::Mulaw(Arc::clone(&sound));
                on_sound();
                let _call_is_over = events.send(TtsEvent::Audio { utterance, segment, chunk }).await;
                let _call_is_over = events.send(TtsEvent::Done { utterance, segment }).await;
            }
            Ok(())
        })
    }
}

/// A tone of 500 Hz in μ-law.
#[must_use]
pub fn tone(length: Duration) -> Arc<[u8]> {
    (0..length.as_millis() * 8).map(|n| if n % 16 < 8 { 0x20 } else { 0xA0 }).collect()
}

/// Doesn't look.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl<L: Transport> Observer<L> for Nobody {
    fn input(&mut self, _: CallTime, _: &Input<L::Input<'_>>, _: Option<Deadline>) {}
    fn output(&mut self, _: CallTime, _: &Output<L::Wire>) {}
}

/// One of the fixtures' callers, in frames; none if there is no such file.
#[must_use]
pub fn line(name: &str) -> Vec<[u8; 160]> {
    let path = format!("{}/../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let wav = std::fs::read(path).unwrap_or_default();
    let data = wav.windows(4).position(|four| four == b"data").map_or(wav.len(), |at| at + 8);
    wav.get(data..).unwrap_or_default().as_chunks().0.to_vec()
}

/// The value that this share of them, 0 to 1, doesn't exceed, of values in order; the default if there are none.
#[must_use]
pub fn quantile<T: Copy + Default>(sorted: &[T], share: f64) -> T {
    let place = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}
