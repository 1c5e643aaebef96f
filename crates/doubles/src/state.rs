//! What all requests share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::DoublesConfig;
use crate::fault::{Plan, Stage, Struck};
use crate::latency::Spread;
use crate::quirk::Quirk;
use crate::seen::Record;
use crate::speaker::Speaker;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: DoublesConfig,
    pub(crate) speaker: Arc<dyn Speaker>,
    pub(crate) record: Arc<Record>,
    chance: Mutex<Chance>,
    uploads: AtomicUsize,
}

#[derive(Debug)]
struct Chance {
    plan: Plan,
    random: fastrand::Rng,
}

impl State {
    pub(crate) fn new(config: DoublesConfig, speaker: Arc<dyn Speaker>) -> Arc<Self> {
        let chance =
            Chance { plan: Plan::new(&config.faults), random: fastrand::Rng::with_seed(config.seed) };
        let (chance, uploads) = (Mutex::new(chance), AtomicUsize::new(0));
        Arc::new(Self { config, speaker, record: Record::new(), chance, uploads })
    }

    fn chance(&self) -> MutexGuard<'_, Chance> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the faults.
    pub(crate) fn faults<T>(&self, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(&mut self.chance().plan)
    }

    /// Which fault strikes a request.
    pub(crate) fn strike(&self, stage: Stage, path: &str) -> Option<Struck> {
        let chance = &mut *self.chance();
        chance.plan.strike(stage, path, &mut chance.random)
    }

    /// Draws a time.
    pub(crate) fn draw(&self, spread: Spread) -> Duration {
        spread.draw(&mut self.chance().random)
    }

    /// Which upload this is, from 0.
    pub(crate) fn upload(&self) -> usize {
        self.uploads.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.config.quirks.contains(&quirk)
    }

    /// Whether a model of this name exists.
    pub(crate) fn knows(&self, model: &str) -> bool {
        self.config.models.is_empty() || self.config.models.iter().any(|known| known == model)
    }
}
