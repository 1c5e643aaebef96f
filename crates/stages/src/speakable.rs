//! A voice that is given speakable text, and whose words' times are reported for the text as it was written.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use offhook_speakable::Speakable;
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{AudioChunk, SpeakRequest, TimedWord, TtsCommand, TtsEvent};

use crate::{BoxFuture, CallInfo, Distance, Rx, StageError, Tts, Tx, WhenFull, bounded};

/// As the session's queues are.
const QUEUE: usize = 256;
/// Segments kept in mind; a call has few at a time.
const MOST_SEGMENTS: usize = 512;

/// Makes text speakable before a voice gets it.
#[derive(Clone)]
pub struct SpeakableTts {
    voice: Arc<dyn Tts>,
}

impl std::fmt::Debug for SpeakableTts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SpeakableTts({}/{})", self.voice.name(), self.voice.voice())
    }
}

impl SpeakableTts {
    /// Stands before a voice.
    #[must_use]
    pub fn new(voice: Arc<dyn Tts>) -> Self {
        Self { voice }
    }
}

impl Tts for SpeakableTts {
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
        let (voice_events, from_voice) = bounded(QUEUE, WhenFull::PushBack);
        let language = Arc::clone(&call.language);
        let voice = self.voice.run(call, voice_commands, voice_events);
        Box::pin(async move {
            tokio::pin!(voice);
            let mut to_voice = Some(to_voice);
            let mut task = SpeakableTask::default();
            loop {
                tokio::select! {
                    // A voice that ended has said what it had to say; what it left in its queue comes first.
                    biased;
                    Some(event) = from_voice.recv() => {
                        if task.pass(event, &events).await.is_err() {
                            return Ok(());
                        }
                    }
                    command = commands.recv(), if to_voice.is_some() => match command {
                        None => to_voice = None,
                        Some(command) => {
                            let command = task.prepare(command, &language);
                            if task.pass_silent(&events).await.is_err() {
                                return Ok(());
                            }
                            if let (Some(to_voice), Some(command)) = (&to_voice, command)
                                && let Err(refused) = to_voice.offer(command)
                                && task.refuse(refused, &events).await.is_err()
                            {
                                return Ok(());
                            }
                        }
                    },
                    outcome = &mut voice => {
                        while let Ok(event) = from_voice.try_recv() {
                            if task.pass(event, &events).await.is_err() {
                                break;
                            }
                        }
                        return outcome;
                    }
                }
            }
        })
    }
}

/// What one call is having spoken otherwise than it was written.
#[derive(Default)]
struct SpeakableTask {
    open: VecDeque<((UtteranceId, SegmentId), Timing)>,
    /// What the voice was given and hasn't finished.
    pending: VecDeque<(UtteranceId, SegmentId)>,
    /// Segments that say nothing: done when those before them are. The voice never sees them.
    silent: VecDeque<(UtteranceId, SegmentId)>,
}

impl SpeakableTask {
    /// What the voice gets; nothing of a text that says nothing.
    fn prepare(&mut self, command: TtsCommand, language: &str) -> Option<TtsCommand> {
        let request = match command {
            TtsCommand::Speak(request) => request,
            TtsCommand::Cancel { utterance } => {
                self.pending.retain(|id| id.0 != utterance);
                self.silent.retain(|id| id.0 != utterance);
                return Some(command);
            }
        };
        let id = (request.utterance, request.segment);
        let speakable = Speakable::new(&request.text, request.language.as_deref().unwrap_or(language));
        if speakable.spoken.is_empty() {
            self.silent.push_back(id);
            return None;
        }
        if self.pending.len() >= MOST_SEGMENTS {
            self.pending.pop_front();
        }
        self.pending.push_back(id);
        if speakable.is_verbatim() {
            return Some(TtsCommand::Speak(request));
        }
        if self.open.len() >= MOST_SEGMENTS {
            self.open.pop_front();
        }
        let text = speakable.spoken.clone();
        let timing = Timing { written: request.text, speakable, at: 0, pending: None };
        self.open.push_back((id, timing));
        Some(TtsCommand::Speak(SpeakRequest { text, ..request }))
    }

    /// Reports silent segments as done, with 20 ms of silence for sound, once nothing before them of their utterance is spoken.
    async fn pass_silent(&mut self, events: &Tx<TtsEvent>) -> Result<(), crate::queue::Closed> {
        while let Some((utterance, segment)) = self.next_silent() {
            let chunk = AudioChunk::Mulaw(Arc::from([0xFF_u8; 160]));
            events.send(TtsEvent::Audio { utterance, segment, chunk }).await?;
            events.send(TtsEvent::Done { utterance, segment }).await?;
        }
        Ok(())
    }

    fn next_silent(&mut self) -> Option<(UtteranceId, SegmentId)> {
        let waits = |id: &(UtteranceId, SegmentId)| self.pending.iter().any(|p| p.0 == id.0 && p.1 < id.1);
        let at = self.silent.iter().position(|id| !waits(id))?;
        self.silent.remove(at)
    }

    async fn pass(&mut self, event: TtsEvent, events: &Tx<TtsEvent>) -> Result<(), crate::queue::Closed> {
        match event {
            TtsEvent::Words { utterance, segment, words } => {
                let timing = self.open.iter_mut().find(|(id, _)| *id == (utterance, segment));
                let words = match timing {
                    Some((_, timing)) => words.into_iter().filter_map(|word| timing.word(&word)).collect(),
                    None => words,
                };
                if words.is_empty() {
                    return Ok(());
                }
                events.send(TtsEvent::Words { utterance, segment, words }).await
            }
            TtsEvent::Done { utterance, segment } | TtsEvent::Failed { utterance, segment, .. } => {
                let at = self.open.iter().position(|(id, _)| *id == (utterance, segment));
                let timing = at.and_then(|at| self.open.remove(at)).map(|(_, timing)| timing);
                if let Some((_, word)) = timing.and_then(|timing| timing.pending) {
                    events.send(TtsEvent::Words { utterance, segment, words: vec![word] }).await?;
                }
                self.pending.retain(|id| *id != (utterance, segment));
                events.send(event).await?;
                self.pass_silent(events).await
            }
            TtsEvent::Audio { .. } => events.send(event).await,
        }
    }

    /// The voice takes no more.
    async fn refuse(
        &mut self,
        refused: crate::queue::OfferError<TtsCommand>,
        events: &Tx<TtsEvent>,
    ) -> Result<(), crate::queue::Closed> {
        let (crate::queue::OfferError::Full(command) | crate::queue::OfferError::Closed(command)) = refused;
        let TtsCommand::Speak(request) = command else { return Ok(()) };
        let (utterance, segment) = (request.utterance, request.segment);
        let what = "it has stopped taking requests".to_owned();
        let failure = StageError::Broken { stage: "tts".to_owned(), what }.to_failure();
        self.pass(TtsEvent::Failed { utterance, segment, failure }, events).await
    }
}

/// Tells the times of spoken words as those of written ones.
struct Timing {
    written: String,
    speakable: Speakable,
    /// Spoken text before this was timed.
    at: usize,
    /// A written word that may go on: its bytes, and its times so far.
    pending: Option<(Range<usize>, TimedWord)>,
}

impl Timing {
    /// Takes the next spoken word; gives a written one when it is over.
    fn word(&mut self, word: &TimedWord) -> Option<TimedWord> {
        let rest = self.speakable.spoken.get(self.at..).unwrap_or_default();
        let bare = word.word.trim();
        let Some(found) = rest.find(bare).filter(|_| !bare.is_empty()) else {
            // The voice has its own idea of the word: it belongs to what is being said.
            let (_, pending) = self.pending.as_mut()?;
            pending.end_ms = pending.end_ms.max(word.end_ms);
            return None;
        };
        let spoken = self.at + found..self.at + found + bare.len();
        self.at = spoken.end;
        let range = whole_words(&self.written, self.speakable.written(spoken));
        match &mut self.pending {
            Some((before, timed)) if range.start < before.end => {
                timed.end_ms = timed.end_ms.max(word.end_ms);
                if range.end > before.end {
                    before.end = range.end;
                    timed.word = self.written.get(before.clone()).unwrap_or_default().to_owned();
                }
                None
            }
            pending => {
                let text = self.written.get(range.clone()).unwrap_or_default().to_owned();
                let next = (range, TimedWord { word: text, start_ms: word.start_ms, end_ms: word.end_ms });
                pending.replace(next).map(|(_, word)| word)
            }
        }
    }
}

/// Widens a range to whole words.
fn whole_words(text: &str, range: Range<usize>) -> Range<usize> {
    let before = text.get(..range.start).unwrap_or_default();
    let start = before
        .rfind(char::is_whitespace)
        .map_or(0, |at| at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
    let end = text
        .get(range.end..)
        .and_then(|after| after.find(char::is_whitespace))
        .map_or(text.len(), |length| range.end + length);
    start..end.max(start)
}
