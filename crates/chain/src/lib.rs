//! Chains: several providers of a kind as one stage. When one fails, is slow or says nothing, the next takes over, and the
//! caller hears one answer, once.
//!
//! A chain is itself an [`Llm`](offhook_stages::Llm), [`Tts`](offhook_stages::Tts) or [`Stt`](offhook_stages::Stt), made of [`Link`]s in the order in which
//! they are tried. Each link has [`Deadlines`] and a [`Health`] that all calls share: a circuit breaker keeps calls
//! away from a provider that fails, and lets one of them try it again from time to time.
//!
//! Within a call, a chain is one future that runs its links' futures inside of itself: dropping it drops all. The first link
//! is started with the call, the others when they are needed; one that ended is started again when it is asked next.
//!
//! Caches belong around each link, not around the chain: what a second voice said in the first one's place must not be
//! kept under the first one's name.
#![forbid(unsafe_code)]

mod chain;
mod config;
mod health;
mod latency;
mod links;
mod llm;
mod overlap;
mod per_language;
mod providers;
mod race;
mod stt;
mod tries;
mod tts;

use std::sync::Arc;

pub use chain::Chain;
pub use config::{BreakerConfig, Deadlines, LinkConfig};
pub use health::{Circuit, Health, LinkTotals};
pub use latency::Latencies;
pub use llm::{GO_ON, LlmChain};
pub use per_language::PerLanguageTts;
pub use stt::SttChain;
pub use tts::TtsChain;

/// One stage of a chain, with what it is allowed. Clones share the stage and its health.
#[derive(Debug)]
pub struct Link<S: ?Sized> {
    /// The stage.
    pub stage: Arc<S>,
    /// How long it may take.
    pub deadlines: Deadlines,
    /// After how long without a sign of life the next link is asked too; the first to answer is taken. `None`: only when
    /// this one has failed. Not used by speech-to-text, where one link listens at a time.
    pub hedge_after: Option<std::time::Duration>,
    /// How it fares, over all calls.
    pub health: Arc<Health>,
}

impl<S: ?Sized> Clone for Link<S> {
    fn clone(&self) -> Self {
        Self {
            stage: Arc::clone(&self.stage),
            deadlines: self.deadlines,
            hedge_after: self.hedge_after,
            health: Arc::clone(&self.health),
        }
    }
}

impl<S: ?Sized> Link<S> {
    /// A link by its configuration; `usual` is what holds where that says nothing: [`Deadlines::LLM`], [`Deadlines::TTS`] or
    /// [`Deadlines::STT`].
    #[must_use]
    pub fn new(stage: Arc<S>, usual: Deadlines, config: &LinkConfig) -> Self {
        Self {
            stage,
            deadlines: Deadlines {
                first: config.first.unwrap_or(usual.first),
                gap: config.gap.unwrap_or(usual.gap),
            },
            hedge_after: config.hedge_after,
            health: Arc::new(Health::new(config.breaker)),
        }
    }
}

/// Sleeps until then; for ever if there is no such time.
async fn sleep_until(when: Option<tokio::time::Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
