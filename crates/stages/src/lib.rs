//! The stage traits (speech-to-text, language model, text-to-speech), their queues, errors, usage and tools.
//!
//! A stage serves one call at a time per [`run`](Stt::run): a future between two bounded queues. Commands come in,
//! events go out, its return value is why it ended, and dropping it cancels it. Network stages do their work in the
//! future itself, on the call's own worker; native stages hand it to OS threads, which use the queues' blocking ends.
#![forbid(unsafe_code)]

mod error;
mod hold;
mod notifier;
pub mod queue;
pub mod scope;
mod short;
pub mod speakable;
pub mod tools;
mod usage;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use offhook_stage_api::{
    LlmCommand, LlmEvent, SttCommand, SttEvent, TtsCommand, TtsEvent, TurnCommand, TurnEvent,
};

pub use error::StageError;
pub use hold::{Hold, is_full_stop};
pub use notifier::Notifier;
pub use queue::{Rx, Tx, WhenFull, bounded, bounded_with};
pub use short::stops_short;
pub use tools::ToolSpec;
pub use usage::{Meter, Usage};

/// How far a stage's provider is, as measured. Zero: here, or not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distance {
    /// There and back.
    pub round_trip: std::time::Duration,
    /// What a new connection takes before anything can be asked.
    pub connect: std::time::Duration,
}

/// A boxed future, as object-safe async traits need it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// What a stage may know of the call it serves.
#[derive(Clone, Debug, Default)]
pub struct CallInfo {
    /// The call's id in logs: Twilio's `CallSid`.
    pub call: Arc<str>,
    /// BCP 47 tag of the language that the agent starts in.
    pub language: Arc<str>,
    /// What this call is to achieve, in words, if it has a goal: for the model's instructions.
    pub goal: Option<Arc<str>>,
    /// The stream's custom parameters, and those that the call was placed with.
    pub parameters: Arc<BTreeMap<String, String>>,
    /// What the engine says while the caller waits for something: said late, it is of no use, so that the voice that can say it first
    /// should.
    pub bridges: Arc<[String]>,
    /// Who and what the call is, as the telephone network and the configuration say.
    pub facts: Arc<CallFacts>,
    /// Where stages write down what they used.
    pub meter: Meter,
}

/// Who and what a call is: facts that no model can change. Text is empty where something isn't known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFacts {
    /// Twilio's `AccountSid`.
    pub account: String,
    /// Who calls: a number, a SIP address, or a name.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// `inbound`, `outbound-api`, …
    pub direction: String,
    /// Who diverted the call.
    pub forwarded_from: String,
    /// The caller's name, if the network gave one.
    pub caller_name: String,
    /// The call that this one is a leg of.
    pub parent: String,
    /// The agent that serves it.
    pub agent: String,
    /// Whose call it is, on a server of several tenants.
    pub tenant: String,
    /// The `traceparent` (W3C Trace Context) that its webhook came with.
    pub traceparent: String,
}

/// Speech-to-text.
pub trait Stt: Send + Sync + 'static {
    /// Name in config, logs and metrics: lower case.
    fn name(&self) -> &str;

    /// Whether it listens to the sound at all. One that doesn't is spared it, and the worker its waking.
    fn wants_audio(&self) -> bool {
        true
    }

    /// Whether it sends words while they are spoken ([`SttEvent::Partial`]): then sound without any is noise from the first moment on.
    /// `false`: that is learnt from its first partial transcript.
    fn sends_partials(&self) -> bool {
        false
    }

    /// Opens what connections it can ahead of the call, while the telephone still rings. The call reports what goes wrong.
    fn warm(&self, _call: &CallInfo) -> BoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    /// How far its provider is: any wait for an answer is so much longer.
    fn distance(&self) -> Distance {
        Distance::default()
    }

    /// Serves one call until `commands` ends.
    fn run(
        &self,
        call: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>>;
}

/// A turn model: judges from the caller's sound and words whether the turn is over. An agent needs none.
pub trait TurnModel: Send + Sync + 'static {
    /// Name in config, logs and metrics: lower case.
    fn name(&self) -> &str;

    /// Serves one call until `commands` ends. Answers that come after the floor of the wait (250 ms) still count, up to its
    /// ceiling.
    fn run(
        &self,
        call: CallInfo,
        commands: Rx<TurnCommand>,
        events: Tx<TurnEvent>,
    ) -> BoxFuture<Result<(), StageError>>;
}

/// The language model, or a script in its place.
pub trait Llm: Send + Sync + 'static {
    /// Name in config, logs and metrics: lower case.
    fn name(&self) -> &str;

    /// Opens what connections it can ahead of the call, while the telephone still rings. The call reports what goes wrong.
    fn warm(&self, _call: &CallInfo) -> BoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    /// How far its provider is: any wait for an answer is so much longer.
    fn distance(&self) -> Distance {
        Distance::default()
    }

    /// Serves one call until `commands` ends.
    fn run(
        &self,
        call: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>>;
}

/// Text-to-speech.
pub trait Tts: Send + Sync + 'static {
    /// Name in config, logs and metrics: lower case.
    fn name(&self) -> &str;

    /// Names the voice: audio may be cached under this and the text.
    fn voice(&self) -> &str;

    /// Opens what connections it can ahead of the call, while the telephone still rings. The call reports what goes wrong.
    fn warm(&self, _call: &CallInfo) -> BoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    /// How far its provider is: any wait for an answer is so much longer.
    fn distance(&self) -> Distance {
        Distance::default()
    }

    /// Serves one call until `commands` ends.
    fn run(
        &self,
        call: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>>;
}

impl std::fmt::Debug for dyn Llm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Debug for dyn Stt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Debug for dyn Tts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.name(), self.voice())
    }
}
