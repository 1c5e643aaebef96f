//! Sound that was spoken before: greetings, check-ins, fillers and an agent's usual sentences repeat from call to call.
//!
//! [`CachedTts`] stands before any voice. What was spoken to its end is kept by voice and text, the least lately used
//! thrown away when there is too much, and played at once when it is wanted again. The store is shared by all calls; it is
//! looked into once a sentence, never in a frame's path. Sound is brought to the telephone's 8 kHz before it is kept.
#![forbid(unsafe_code)]

mod narrow;
mod store;

use std::collections::HashMap;
use std::sync::Arc;

use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{AudioChunk, SpeakRequest, TtsCommand, TtsEvent};

use narrow::Narrow;
use offhook_stages::{
    BoxFuture, CallInfo, Distance, Rx, StageError, Tts, Tx, WhenFull, bounded, stops_short,
};
use store::{CachedAudio, Key};
pub use store::{SpokenStore, SpokenTotals};

/// Longer texts don't repeat.
const LONGEST_TEXT: usize = 300;
/// As the session's queues are.
const QUEUE: usize = 256;

/// A voice that remembers what it said.
#[derive(Clone)]
pub struct CachedTts {
    voice: Arc<dyn Tts>,
    store: Arc<SpokenStore>,
}

impl std::fmt::Debug for CachedTts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CachedTts({}/{})", self.voice.name(), self.voice.voice())
    }
}

impl CachedTts {
    /// Puts a store before a voice.
    #[must_use]
    pub fn new(voice: Arc<dyn Tts>, store: Arc<SpokenStore>) -> Self {
        Self { voice, store }
    }
}

impl Tts for CachedTts {
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
        let voice = self.voice.run(call.clone(), voice_commands, voice_events);
        let mut task = CacheTask {
            prefix: format!("{}/{}", self.voice.name(), self.voice.voice()),
            language: Arc::clone(&call.language),
            store: Arc::clone(&self.store),
            open: HashMap::new(),
            narrow: Narrow::default(),
        };
        Box::pin(async move {
            tokio::pin!(voice);
            let mut to_voice = Some(to_voice);
            loop {
                tokio::select! {
                    // A voice that ended has said what it had to say; what it left in its queue comes first.
                    biased;
                    Some(event) = from_voice.recv() => {
                        for event in task.take(event) {
                            if events.send(event).await.is_err() {
                                return Ok(());
                            }
                        }
                    }
                    command = commands.recv(), if to_voice.is_some() => match command {
                        None => to_voice = None,
                        Some(command) => {
                            for event in task.recall(&command) {
                                if events.send(event).await.is_err() {
                                    return Ok(());
                                }
                            }
                            if let Some(to_voice) = to_voice.as_ref().filter(|_| task.is_for_voice(&command))
                                && to_voice.offer(command.clone()).is_err()
                                && let Some(event) = task.refuse(&command)
                                && events.send(event).await.is_err()
                            {
                                return Ok(());
                            }
                        }
                    },
                    outcome = &mut voice => {
                        while let Ok(event) = from_voice.try_recv() {
                            for event in task.take(event) {
                                if events.send(event).await.is_err() {
                                    return outcome;
                                }
                            }
                        }
                        return outcome;
                    }
                }
            }
        })
    }
}

/// What one call is having spoken.
struct CacheTask {
    /// Names the voice in keys.
    prefix: String,
    /// The language of texts that name none.
    language: Arc<str>,
    store: Arc<SpokenStore>,
    /// Segments that the voice is at, and what has come of them.
    open: HashMap<(UtteranceId, SegmentId), Open>,
    narrow: Narrow,
}

/// A segment that the voice is at.
struct Open {
    /// `None`: it isn't kept.
    key: Option<Key>,
    text: String,
    language: Arc<str>,
    spoken: CachedAudio,
}

impl Open {
    /// Whether a chain would take it for the whole text.
    fn is_whole(&self) -> bool {
        let sound = self.spoken.chunks.iter().map(AudioChunk::duration).sum();
        !stops_short(&self.text, &self.language, sound)
    }
}

impl CacheTask {
    fn key(&self, request: &SpeakRequest) -> Option<Key> {
        let language = request.language.as_ref().unwrap_or(&self.language);
        let prefix = || format!("{}/{language}", self.prefix);
        (request.text.len() <= LONGEST_TEXT).then(|| Key::new(&prefix(), &request.text))
    }

    /// The sound of a request, if it is known and no earlier segment of its utterance is still with the voice: segments come
    /// in order.
    fn recall(&mut self, command: &TtsCommand) -> Vec<TtsEvent> {
        let TtsCommand::Speak(request) = command else { return Vec::new() };
        let (utterance, segment) = (request.utterance, request.segment);
        let key = self.key(request);
        let waits = self.open.keys().any(|(open, _)| *open == utterance);
        let known = key.as_ref().filter(|_| !waits).and_then(|key| self.store.get(key));
        let Some(spoken) = known else {
            let language = request.language.as_ref().unwrap_or(&self.language);
            let (text, language) = (request.text.clone(), Arc::clone(language));
            let open = Open { key, text, language, spoken: CachedAudio::default() };
            self.open.insert((utterance, segment), open);
            return Vec::new();
        };
        let mut events = Vec::with_capacity(spoken.chunks.len() + 2);
        if !spoken.words.is_empty() {
            events.push(TtsEvent::Words { utterance, segment, words: spoken.words.clone() });
        }
        events.extend(spoken.chunks.iter().cloned().map(|chunk| TtsEvent::Audio {
            utterance,
            segment,
            chunk,
        }));
        events.push(TtsEvent::Done { utterance, segment });
        events
    }

    /// Whether the voice must see a command: what wasn't recalled, and cancellations of what it is at.
    fn is_for_voice(&mut self, command: &TtsCommand) -> bool {
        match command {
            TtsCommand::Speak(request) => self.open.contains_key(&(request.utterance, request.segment)),
            TtsCommand::Cancel { utterance } => {
                let before = self.open.len();
                self.open.retain(|(open, _), _| open != utterance);
                self.open.len() != before
            }
        }
    }

    /// The voice has stopped taking requests.
    fn refuse(&mut self, command: &TtsCommand) -> Option<TtsEvent> {
        let TtsCommand::Speak(request) = command else { return None };
        let (utterance, segment) = (request.utterance, request.segment);
        self.open.remove(&(utterance, segment));
        let stage = self.prefix.split('/').next().unwrap_or_default().to_owned();
        let what = "it has stopped taking requests".to_owned();
        let failure = StageError::Broken { stage, what }.to_failure();
        Some(TtsEvent::Failed { utterance, segment, failure })
    }

    /// What the voice says, at 8 kHz; takes note of it.
    fn take(&mut self, event: TtsEvent) -> impl Iterator<Item = TtsEvent> + use<> {
        let (rest, event) = self.narrow.convert(event);
        rest.iter().chain(std::iter::once(&event)).for_each(|event| self.note(event));
        rest.into_iter().chain(std::iter::once(event))
    }

    /// Takes note of what the voice says, and keeps what it has said to its end.
    fn note(&mut self, event: &TtsEvent) {
        match event {
            TtsEvent::Audio { chunk, .. } => {
                if let Some(open) = self.open.get_mut(&event.of()).filter(|open| open.key.is_some()) {
                    open.spoken.chunks.push(chunk.clone());
                }
            }
            TtsEvent::Words { words, .. } => {
                if let Some(open) = self.open.get_mut(&event.of()).filter(|open| open.key.is_some()) {
                    open.spoken.words.extend(words.iter().cloned());
                }
            }
            TtsEvent::Done { .. } => {
                let Some(open) = self.open.remove(&event.of()).filter(Open::is_whole) else { return };
                if let Some(key) = open.key {
                    self.store.put(key, open.spoken);
                }
            }
            TtsEvent::Failed { .. } => {
                self.open.remove(&event.of());
            }
        }
    }
}
