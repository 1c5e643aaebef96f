//! A call's stages as running tasks, and the queues to and from them.

use std::sync::Arc;
use std::time::Duration;

use offhook_call::Output;
use offhook_stage_api::{
    LlmCommand, LlmEvent, StageFailure, SttCommand, SttEvent, ToolCall, ToolResult, TtsCommand, TtsEvent,
    TurnCommand, TurnEvent,
};
use offhook_stages::{
    BoxFuture, CallInfo, Llm, Notifier, Rx, StageError, Stt, Tts, TurnModel, Tx, WhenFull, bounded,
    bounded_with,
};
use tokio::task::JoinHandle;

/// The stages of an agent, shared by its calls.
#[derive(Clone)]
pub struct StageSet {
    /// Hears.
    pub stt: Arc<dyn Stt>,
    /// Judges whether the caller is done, where there is one.
    pub turn: Option<Arc<dyn TurnModel>>,
    /// Thinks.
    pub llm: Arc<dyn Llm>,
    /// Speaks.
    pub tts: Arc<dyn Tts>,
}

impl StageSet {
    /// Whether anybody listens to the caller's sound.
    #[must_use]
    pub fn listen(&self) -> bool {
        self.stt.wants_audio() || self.turn.is_some()
    }

    /// Opens what connections it can, ahead of a call.
    pub async fn warm(&self) {
        tokio::join!(self.stt.warm(), self.llm.warm(), self.tts.warm());
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

/// Stages end when they are dropped, which takes no time.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// What a stage or a tool said.
pub(crate) enum StageEvent {
    Stt(SttEvent),
    Turn(TurnEvent),
    Llm(LlmEvent),
    Tts(TtsEvent),
    Tool(ToolResult),
}

/// What became of an output.
pub(crate) enum Dispatched {
    Taken,
    /// The stage doesn't take it; the call must be told this.
    Refused(StageEvent),
    /// Not a stage's: a tool is wanted.
    Tool(ToolCall),
    /// Not a stage's: nobody waits for this tool any more.
    CancelTool(String),
    /// Not a stage's: the call is to end.
    HangUp,
}

/// A call's running stages.
pub(crate) struct Running {
    to_stt: Tx<SttCommand>,
    to_turn: Option<Tx<TurnCommand>>,
    to_llm: Tx<LlmCommand>,
    to_tts: Tx<TtsCommand>,
    from_stt: Rx<SttEvent>,
    from_turn: Rx<TurnEvent>,
    from_llm: Rx<LlmEvent>,
    from_tts: Rx<TtsEvent>,
    /// Does the recogniser listen at all?
    hears: bool,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts the stages; what they say wakes it by the notifier.
    pub(crate) fn start(set: &StageSet, call: &CallInfo, notifier: &Arc<Notifier>) -> Self {
        let hears = set.stt.wants_audio();
        // One that doesn't listen gets onsets and pauses only.
        let (to_stt, stt_commands) = match hears {
            true => bounded(AUDIO_QUEUE, WhenFull::DropOldest),
            false => bounded(QUEUE, WhenFull::PushBack),
        };
        let (to_llm, llm_commands) = bounded(QUEUE, WhenFull::PushBack);
        let (to_tts, tts_commands) = bounded(QUEUE, WhenFull::PushBack);
        let (stt_events, from_stt) = bounded_with(QUEUE, WhenFull::PushBack, Arc::clone(notifier));
        let (llm_events, from_llm) = bounded_with(QUEUE, WhenFull::PushBack, Arc::clone(notifier));
        let (tts_events, from_tts) = bounded_with(QUEUE, WhenFull::PushBack, Arc::clone(notifier));
        let (turn_events, from_turn) = bounded_with(QUEUE, WhenFull::PushBack, Arc::clone(notifier));
        let stt_failed = stt_events.clone();
        let stt = set.stt.run(call.clone(), stt_commands, stt_events);
        let llm = set.llm.run(call.clone(), llm_commands, llm_events);
        let tts = set.tts.run(call.clone(), tts_commands, tts_events);
        let mut tasks = vec![
            spawn(call, stt, move |failure| {
                // A queue that is full tells the call soon enough that nobody reads.
                let _full = stt_failed.offer(SttEvent::Failed(failure));
            }),
            spawn(call, llm, |_| {}),
            spawn(call, tts, |_| {}),
        ];
        let to_turn = set.turn.as_ref().map(|model| {
            let (to_turn, commands) = bounded(AUDIO_QUEUE, WhenFull::DropOldest);
            // Without answers the call decides as if there were no model.
            tasks.push(spawn(call, model.run(call.clone(), commands, turn_events), |_| {}));
            to_turn
        });
        Self { to_stt, to_turn, to_llm, to_tts, from_stt, from_turn, from_llm, from_tts, hears, tasks }
    }

    /// The next thing that a stage has said, if there is one.
    pub(crate) fn next(&self) -> Option<StageEvent> {
        let stt = || self.from_stt.try_recv().map(StageEvent::Stt);
        let turn = |_| self.from_turn.try_recv().map(StageEvent::Turn);
        let llm = |_| self.from_llm.try_recv().map(StageEvent::Llm);
        let tts = |_| self.from_tts.try_recv().map(StageEvent::Tts);
        stt().or_else(turn).or_else(llm).or_else(tts).ok()
    }

    /// Hands a command to its stage.
    ///
    /// Audio is dropped, oldest first, when the recogniser can't keep up. A stage that doesn't take a command with
    /// meaning has stopped reading: what the command wanted has failed, and the call is told so.
    pub(crate) fn dispatch(&self, output: Output) -> Dispatched {
        match output {
            Output::Stt(command) => {
                if let (Some(to_turn), SttCommand::Audio { at, frame }) = (&self.to_turn, &command) {
                    let _newest_counts =
                        to_turn.offer_by_policy(TurnCommand::Audio { at: *at, frame: *frame });
                }
                if !self.hears && matches!(command, SttCommand::Audio { .. }) {
                    return Dispatched::Taken;
                }
                // Dropped audio is counted by the queue.
                let _counted = self.to_stt.offer_by_policy(command);
                Dispatched::Taken
            }
            Output::Turn(question) => {
                if let Some(to_turn) = &self.to_turn {
                    let _newest_counts = to_turn.offer_by_policy(TurnCommand::Judge(question));
                }
                Dispatched::Taken
            }
            Output::Llm(command) => {
                let reply = match &command {
                    LlmCommand::Respond(request) => Some(request.reply),
                    _ => None,
                };
                let refused = self.to_llm.offer(command).is_err();
                let failed = |reply| StageEvent::Llm(LlmEvent::Failed { reply, failure: stopped("llm") });
                reply.filter(|_| refused).map(failed).map_or(Dispatched::Taken, Dispatched::Refused)
            }
            Output::Tts(command) => {
                let speak = match &command {
                    TtsCommand::Speak(request) => Some((request.utterance, request.segment)),
                    TtsCommand::Cancel { .. } => None,
                };
                let refused = self.to_tts.offer(command).is_err();
                let failed = |(utterance, segment)| {
                    StageEvent::Tts(TtsEvent::Failed { utterance, segment, failure: stopped("tts") })
                };
                speak.filter(|_| refused).map(failed).map_or(Dispatched::Taken, Dispatched::Refused)
            }
            Output::HangUp => Dispatched::HangUp,
            Output::Tool(call) => Dispatched::Tool(call),
            Output::CancelTool { id } => Dispatched::CancelTool(id),
            // Sound went to the socket, events to the observer.
            Output::Media(_)
            | Output::HiddenMedia(_)
            | Output::Mark(_)
            | Output::Clear
            | Output::Event(_) => Dispatched::Taken,
        }
    }

    /// Audio frames that the recogniser could not take.
    pub(crate) fn dropped_audio(&self) -> u64 {
        self.to_stt.dropped()
    }

    /// Commands that a stage had no room for.
    pub(crate) fn refused_commands(&self) -> u64 {
        self.to_llm.refused() + self.to_tts.refused()
    }
}

impl Running {
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

fn stopped(stage: &str) -> StageFailure {
    let what = "it has stopped taking requests".to_owned();
    StageError::Broken { stage: stage.to_owned(), what }.to_failure()
}

fn spawn(
    call: &CallInfo,
    run: BoxFuture<Result<(), StageError>>,
    failed: impl FnOnce(StageFailure) + Send + 'static,
) -> JoinHandle<()> {
    let call = Arc::clone(&call.call);
    tokio::spawn(async move {
        if let Err(error) = run.await {
            tracing::error!(%call, %error, "a stage ended");
            failed(error.to_failure());
        }
    })
}
