//! A call's stages as running tasks, and the queues to and from them.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use offhook_stage_api::{
    FailureKind, LlmCommand, LlmEvent, StageFailure, SttCommand, SttEvent, TtsCommand, TtsEvent, TurnCommand,
    TurnEvent, TurnQuestion,
};
use offhook_stages::scope::{InCall, Scope, within};
use offhook_stages::{
    BoxFuture, CallInfo, Llm, Notifier, Rx, StageError, Stt, Tts, TurnModel, Tx, WhenFull, bounded,
    bounded_with,
};
use tokio::task::JoinHandle;

use crate::interceptor::{Intercepted, Interceptor};

/// The stages of an agent, shared by its calls.
#[derive(Clone)]
pub struct StageSet {
    /// Speech-to-text.
    pub stt: Arc<dyn Stt>,
    /// Judges whether the caller is done, where there is one.
    pub turn: Option<Arc<dyn TurnModel>>,
    /// The language model or script.
    pub llm: Arc<dyn Llm>,
    /// Text-to-speech.
    pub tts: Arc<dyn Tts>,
}

impl StageSet {
    /// Whether anybody listens to the caller's sound.
    #[must_use]
    pub fn listen(&self) -> bool {
        self.stt.wants_audio() || self.turn.is_some()
    }

    /// Whether the speech-to-text stage sends words while they are spoken.
    #[must_use]
    pub fn hear_at_once(&self) -> bool {
        self.stt.sends_partials()
    }

    /// Opens what connections it can, ahead of a call that begins in this language (BCP 47).
    pub async fn warm(&self, language: &str) {
        let call = CallInfo { language: language.into(), ..CallInfo::default() };
        tokio::join!(self.stt.warm(&call), self.llm.warm(&call), self.tts.warm(&call));
    }
}

impl std::fmt::Debug for StageSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StageSet({}, {}, {})", self.stt.name(), self.llm.name(), self.tts.name())
    }
}

/// 2 s of audio: a recogniser further behind than that gets what is newest. Its room is taken from the beginning, 184
/// octets a frame.
const AUDIO_QUEUE: usize = 100;
/// Commands and events with meaning are few; more than this means that somebody doesn't read.
const QUEUE: usize = 256;
/// Every stage ends once.
const ENDS: usize = 4;

/// Stages end when they are dropped, which takes no time.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// What a stage said, or that it has ended.
#[derive(Debug)]
pub enum StageEvent {
    Stt(SttEvent),
    Turn(TurnEvent),
    Llm(LlmEvent),
    LlmEnded(StageFailure),
    Tts(TtsEvent),
    TtsEnded(StageFailure),
}

/// A language model or script at work.
struct LlmTask {
    commands: Tx<LlmCommand>,
    events: Rx<LlmEvent>,
    interceptor: Option<Arc<dyn Interceptor>>,
}

/// A turn model at work.
struct TurnTask {
    commands: Tx<TurnCommand>,
    events: Rx<TurnEvent>,
}

/// What only calls of sound have.
struct SoundTasks {
    to_stt: Tx<SttCommand>,
    from_stt: Rx<SttEvent>,
    /// Does speech-to-text listen at all?
    hears: bool,
    turn: Option<TurnTask>,
    to_tts: Tx<TtsCommand>,
    from_tts: Rx<TtsEvent>,
}

/// A call's running stages.
pub(crate) struct Running {
    llm: LlmTask,
    sound: Option<Box<SoundTasks>>,
    ends: Rx<StageEvent>,
    /// A stage has ended; what it said before comes first.
    ended: Cell<Option<StageEvent>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts stages.
struct Starter<'a> {
    call: &'a CallInfo,
    notifier: &'a Arc<Notifier>,
    ends: Tx<StageEvent>,
    tasks: Vec<JoinHandle<()>>,
}

impl Starter<'_> {
    fn events<T>(&self) -> (Tx<T>, Rx<T>) {
        bounded_with(QUEUE, WhenFull::PushBack, Arc::clone(self.notifier))
    }

    /// Runs a stage to its end, which is reported: whatever it was, for a call goes on and has to know.
    fn spawn(&mut self, name: &str, run: impl FnOnce() -> Serving, ended: Ended) {
        let call = Arc::clone(&self.call.call);
        let scope = Scope { call: Arc::clone(&call), agent: self.call.facts.agent.as_str().into() };
        let end = End { call, stage: name.into(), ended, ends: self.ends.clone() };
        // What it panics with may hold what was said: it is named and no more, here as in the task.
        match catch_unwind(AssertUnwindSafe(|| within(scope.clone(), run))) {
            Err(_panic) => end.of(None),
            Ok(serving) => self.tasks.push(tokio::spawn(InCall::new(scope, async move {
                end.of(AssertUnwindSafe(serving).catch_unwind().await.ok());
            }))),
        }
    }
}

/// A stage at work.
type Serving = BoxFuture<Result<(), StageError>>;

/// Who is told that a stage has ended.
struct End {
    call: Arc<str>,
    stage: Box<str>,
    ended: Ended,
    ends: Tx<StageEvent>,
}

impl End {
    /// It has. `None`: it panicked.
    fn of(self, how: Option<Result<(), StageError>>) {
        let stage = self.stage.into_string();
        let failure = match how {
            Some(Ok(())) => broken(stage, "it has ended before the call"),
            Some(Err(error)) => error.to_failure(),
            None => broken(stage, "a fault of this program ended it"),
        };
        if !self.ends.is_closed() {
            tracing::error!(call = &*self.call, error = %failure, "a stage ended");
            // There is room for the end of each.
            let _told = (self.ended)(failure).map(|event| self.ends.offer(event));
        }
    }
}

/// What the call gets when a stage ends.
type Ended = fn(StageFailure) -> Option<StageEvent>;

impl Running {
    /// Starts the stages of a call of sound; what they say wakes it by the notifier.
    pub(crate) fn start(set: &StageSet, call: &CallInfo, notifier: &Arc<Notifier>) -> Self {
        let (mut starter, ends) = starter(call, notifier);
        let hears = set.stt.wants_audio();
        // One that doesn't listen gets onsets and pauses only.
        let (to_stt, commands) = match hears {
            true => bounded(AUDIO_QUEUE, WhenFull::DropOldest),
            false => bounded(QUEUE, WhenFull::PushBack),
        };
        let (events, from_stt) = starter.events();
        let (stt, info) = (Arc::clone(&set.stt), call.clone());
        starter.spawn(
            set.stt.name(),
            move || stt.run(info, commands, events),
            |failure| Some(StageEvent::Stt(SttEvent::Failed(failure))),
        );
        let llm = starter.llm(&set.llm);
        let (to_tts, commands) = bounded(QUEUE, WhenFull::PushBack);
        let (events, from_tts) = starter.events();
        let (tts, info) = (Arc::clone(&set.tts), call.clone());
        starter.spawn(
            set.tts.name(),
            move || tts.run(info, commands, events),
            |failure| Some(StageEvent::TtsEnded(failure)),
        );
        let turn = set.turn.as_ref().map(|model| {
            let (commands, to_turn) = bounded(AUDIO_QUEUE, WhenFull::DropOldest);
            let (from_turn, events) = starter.events();
            let (turn, info) = (Arc::clone(model), call.clone());
            // Without answers the call decides as if there were no model.
            starter.spawn(model.name(), move || turn.run(info, to_turn, from_turn), |_| None);
            TurnTask { commands, events }
        });
        let sound = SoundTasks { to_stt, from_stt, hears, turn, to_tts, from_tts };
        Self { llm, sound: Some(Box::new(sound)), ends, ended: Cell::new(None), tasks: starter.tasks }
    }

    /// Starts the one stage that a call of text needs.
    pub(crate) fn start_llm(llm: &Arc<dyn Llm>, call: &CallInfo, notifier: &Arc<Notifier>) -> Self {
        let (mut starter, ends) = starter(call, notifier);
        let llm = starter.llm(llm);
        Self { llm, sound: None, ends, ended: Cell::new(None), tasks: starter.tasks }
    }

    /// Lets somebody answer in the model's place.
    pub(crate) fn behind(mut self, interceptor: Option<Arc<dyn Interceptor>>) -> Self {
        self.llm.interceptor = interceptor;
        self
    }

    /// The next thing that a stage has said, if there is one.
    pub(crate) fn next(&self) -> Option<StageEvent> {
        if let Some(event) = self.said() {
            return Some(event);
        }
        if let Some(ended) = self.ended.take() {
            return Some(ended);
        }
        // It may have said something after it was asked, and before it ended.
        self.ended.set(Some(self.ends.try_recv().ok()?));
        self.said().or_else(|| self.ended.take())
    }

    fn said(&self) -> Option<StageEvent> {
        let llm = || self.llm.events.try_recv().map(StageEvent::Llm).ok();
        let Some(sound) = &self.sound else { return llm() };
        let stt = || sound.from_stt.try_recv().map(StageEvent::Stt).ok();
        let turn = || sound.turn.as_ref().and_then(|turn| turn.events.try_recv().map(StageEvent::Turn).ok());
        let tts = || sound.from_tts.try_recv().map(StageEvent::Tts).ok();
        stt().or_else(turn).or_else(llm).or_else(tts)
    }

    /// Hands a command to speech-to-text, and its sound to the turn model as well. The oldest sound is dropped and counted where
    /// somebody can't keep up.
    pub(crate) fn hear(&self, command: SttCommand) {
        let Some(sound) = &self.sound else { return };
        if let (Some(turn), SttCommand::Audio { at, frame }) = (&sound.turn, &command) {
            let _newest_counts = turn.commands.offer_by_policy(TurnCommand::Audio { at: *at, frame: *frame });
        }
        if sound.hears || !matches!(command, SttCommand::Audio { .. }) {
            let _counted = sound.to_stt.offer_by_policy(command);
        }
    }

    /// Hands a question to the turn model.
    pub(crate) fn judge(&self, question: TurnQuestion) {
        if let Some(turn) = self.sound.as_ref().and_then(|sound| sound.turn.as_ref()) {
            let _newest_counts = turn.commands.offer_by_policy(TurnCommand::Judge(question));
        }
    }

    /// Hands a command to the language model, or to who answers in its place. Returns events for the call: the answer, or that the
    /// command isn't taken: a stage that doesn't take one has stopped reading, and what the command wanted has failed.
    pub(crate) fn think(&self, command: LlmCommand) -> Vec<LlmEvent> {
        let command = match &self.llm.interceptor {
            None => command,
            Some(interceptor) => match interceptor.intercept(command) {
                Intercepted::Passed(command) => command,
                Intercepted::Answered(events) => return events,
            },
        };
        let reply = match &command {
            LlmCommand::Respond(request) => Some(request.reply),
            _ => None,
        };
        let refused = self.llm.commands.offer(command).is_err();
        let failed = |reply| LlmEvent::Failed { reply, failure: broken("llm".into(), STOPPED) };
        reply.filter(|_| refused).map(failed).into_iter().collect()
    }

    /// The same for text-to-speech.
    pub(crate) fn speak(&self, command: TtsCommand) -> Option<StageEvent> {
        let of = match &command {
            TtsCommand::Speak(request) => Some((request.utterance, request.segment)),
            TtsCommand::Cancel { .. } => None,
        };
        self.sound.as_ref()?.to_tts.offer(command).err()?;
        let (utterance, segment) = of?;
        let failure = broken("tts".into(), STOPPED);
        Some(StageEvent::Tts(TtsEvent::Failed { utterance, segment, failure }))
    }

    /// Audio frames that speech-to-text could not take.
    pub(crate) fn dropped_audio(&self) -> u64 {
        self.sound.as_ref().map_or(0, |sound| sound.to_stt.dropped())
    }

    /// Commands that a stage had no room for.
    pub(crate) fn refused_commands(&self) -> u64 {
        self.llm.commands.refused() + self.sound.as_ref().map_or(0, |sound| sound.to_tts.refused())
    }

    /// Ends the stages, and waits until they have.
    pub(crate) async fn end(&mut self) {
        let tasks = std::mem::take(&mut self.tasks);
        tasks.iter().for_each(JoinHandle::abort);
        let ended = async {
            for task in tasks {
                let _aborted = task.await;
            }
        };
        // One that hangs is left to itself.
        let _in_time = tokio::time::timeout(ENDS_WITHIN, ended).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn starter<'a>(call: &'a CallInfo, notifier: &'a Arc<Notifier>) -> (Starter<'a>, Rx<StageEvent>) {
    let (ends, ended) = bounded_with(ENDS, WhenFull::PushBack, Arc::clone(notifier));
    (Starter { call, notifier, ends, tasks: Vec::new() }, ended)
}

impl Starter<'_> {
    fn llm(&mut self, llm: &Arc<dyn Llm>) -> LlmTask {
        let (commands, to_llm) = bounded(QUEUE, WhenFull::PushBack);
        let (from_llm, events) = self.events();
        let (task, info) = (Arc::clone(llm), self.call.clone());
        self.spawn(
            llm.name(),
            move || task.run(info, to_llm, from_llm),
            |failure| Some(StageEvent::LlmEnded(failure)),
        );
        LlmTask { commands, events, interceptor: None }
    }
}

const STOPPED: &str = "it has stopped taking requests";

fn broken(stage: String, what: &str) -> StageFailure {
    StageFailure { stage, message: what.to_owned(), kind: FailureKind::Broken, retry_after_ms: None }
}
