//! One call's links of a chain, with the account of who was asked, who failed, and how long each may take.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::{LlmCommand, LlmEvent, StageFailure, SttCommand, SttEvent, TtsCommand, TtsEvent};
use offhook_stages::{BoxFuture, CallInfo, Distance, Llm, Rx, StageError, Stt, Tts, Tx, WhenFull};

use crate::Link;
use crate::health::{Asked, Circuit};
use crate::links::{Links, QUEUE, Start};

/// What chains need to know of a kind of stage: speech-to-text, language models, text-to-speech.
pub trait Provider: Send + Sync + 'static {
    /// What it is asked.
    type Command: Send + 'static;
    /// What it answers.
    type Event: Send + 'static;
    /// The kind, as in the configuration.
    const KIND: &'static str;

    /// Its name in configuration, logs and metrics.
    fn provider_name(&self) -> &str;

    /// How far it is.
    fn provider_distance(&self) -> Distance;

    /// Begins to serve one call.
    fn start(
        &self,
        call: CallInfo,
        commands: Rx<Self::Command>,
        events: Tx<Self::Event>,
    ) -> BoxFuture<Result<(), StageError>>;
}

macro_rules! provider {
    ($stage:ident, $kind:literal, $command:ty, $event:ty) => {
        impl Provider for dyn $stage {
            type Command = $command;
            type Event = $event;
            const KIND: &'static str = $kind;

            fn provider_name(&self) -> &str {
                self.name()
            }

            fn provider_distance(&self) -> Distance {
                self.distance()
            }

            fn start(
                &self,
                call: CallInfo,
                commands: Rx<$command>,
                events: Tx<$event>,
            ) -> BoxFuture<Result<(), StageError>> {
                self.run(call, commands, events)
            }
        }
    };
}

provider!(Llm, "llm", LlmCommand, LlmEvent);
provider!(Tts, "tts", TtsCommand, TtsEvent);
provider!(Stt, "stt", SttCommand, SttEvent);

/// One call's links of a chain.
pub(crate) struct Providers<S: Provider + ?Sized> {
    pub(crate) set: Arc<[Link<S>]>,
    pub(crate) links: Links<S::Command, S::Event>,
    /// The links that have answered something in this call: their connections are there.
    met: Vec<bool>,
    call: Arc<str>,
}

/// The longest way that is waited for beyond a deadline.
const FARTHEST: Duration = Duration::from_millis(2_500);

impl<S: Provider + ?Sized> Providers<S> {
    pub(crate) fn new(set: Arc<[Link<S>]>, call: CallInfo) -> Self {
        let id = Arc::clone(&call.call);
        let starts = set.iter().map(|link| {
            let stage = Arc::clone(&link.stage);
            let start: Start<S::Command, S::Event> =
                Box::new(move |call, commands, events| stage.start(call, commands, events));
            (link.stage.provider_name().to_owned(), start)
        });
        let links = Links::new(call, starts);
        let met = vec![false; set.len()];
        Self { set, links, met, call: id }
    }

    /// Connects the first link that is well, while the phone is still being answered.
    pub(crate) fn start_first(&mut self) {
        if let Some(first) = self.set.iter().position(|link| link.health.circuit() != Circuit::Open) {
            self.links.start(first, QUEUE, WhenFull::PushBack);
        }
    }

    /// How long a link may go without a sign of life, before it has begun to answer or after. The way to a provider that is far
    /// comes on top: its first answer takes a round trip more, and in a call that it hasn't answered yet, the connection too.
    pub(crate) fn limit(&self, at: usize, has_begun: bool) -> Duration {
        let Some(link) = self.set.get(at) else { return Duration::ZERO };
        if has_begun {
            return link.deadlines.gap;
        }
        let far = link.stage.provider_distance();
        let met = self.met.get(at).is_some_and(|met| *met);
        let way = if met { far.round_trip } else { far.round_trip + far.connect };
        link.deadlines.first + way.min(FARTHEST)
    }

    /// A link has said something: it is connected.
    pub(crate) fn meet(&mut self, link: usize) {
        if let Some(met) = self.met.get_mut(link) {
            *met = true;
        }
    }

    pub(crate) fn count(&self, link: usize, why: Asked) {
        if let Some(link) = self.set.get(link) {
            link.health.asked(why);
        }
    }

    pub(crate) fn count_success(&self, link: usize) {
        if let Some(link) = self.set.get(link) {
            link.health.succeeded();
        }
    }

    /// A link has begun to answer, so long after it was asked.
    pub(crate) fn count_begun(&self, link: usize, took: Duration) {
        if let Some(link) = self.set.get(link) {
            link.health.began_after(took);
        }
    }

    pub(crate) fn count_won_hedge(&self, link: usize) {
        if let Some(link) = self.set.get(link) {
            link.health.won_hedge();
        }
    }

    pub(crate) fn count_failure(&self, link: usize, failure: &StageFailure) {
        tracing::warn!(call = %self.call, stage = S::KIND, %failure, "a link of a chain failed");
        if let Some(link) = self.set.get(link) {
            link.health.failed(failure);
        }
    }

    /// Stops a link that is too late with `what`, whatever it hangs on.
    pub(crate) fn stop_late(&mut self, link: usize, what: &'static str, limit: Duration) -> StageFailure {
        self.links.stop(link);
        StageError::TooSlow { stage: self.links.name(link), what, limit }.to_failure()
    }
}
