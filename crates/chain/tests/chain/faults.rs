//! Ways to fail.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use offhook_chain::{Deadlines, Link, LinkConfig};
use offhook_stage_api::{FailureKind, StageFailure};
use offhook_stages::{CallInfo, StageError};
use proptest::prelude::*;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It says that this request failed.
    Failed(FailureKind),
    /// Its run ends with an error.
    Ended,
    /// Its run ends as if the call were over.
    Left,
    /// Its run panics.
    Panicked,
    /// Nothing more comes.
    Hung,
}

pub(crate) const FAULTS: [Fault; 7] = [
    Fault::Failed(FailureKind::Broken),
    Fault::Failed(FailureKind::Refused),
    Fault::Failed(FailureKind::Busy),
    Fault::Ended,
    Fault::Left,
    Fault::Panicked,
    Fault::Hung,
];

/// A fault after so many pieces of the answer, if any.
pub(crate) type Plan = Option<(usize, Fault)>;

pub(crate) fn plan(pieces: usize) -> impl Strategy<Value = Plan> {
    proptest::option::weighted(0.7, (0..=pieces, proptest::sample::select(FAULTS.to_vec())))
}

pub(crate) fn failure(kind: FailureKind) -> StageFailure {
    StageFailure { stage: "fake".into(), message: "as planned".into(), kind, retry_after_ms: None }
}

/// What a run does about a fault that it can't just say: `None` if it hangs.
pub(crate) fn end(fault: Fault) -> Option<Result<(), StageError>> {
    match fault {
        Fault::Ended => Some(Err(StageError::Broken { stage: "fake".into(), what: "as planned".into() })),
        Fault::Left => Some(Ok(())),
        Fault::Panicked => panic!("as planned"),
        Fault::Failed(_) | Fault::Hung => None,
    }
}

pub(crate) fn link<S: ?Sized>(stage: Arc<S>, usual: Deadlines, hedge_after: Option<u64>) -> Link<S> {
    let hedge_after = hedge_after.map(Duration::from_millis);
    Link::new(stage, usual, &LinkConfig { hedge_after, ..LinkConfig::default() })
}

pub(crate) fn call_info() -> CallInfo {
    CallInfo { call: "CA1".into(), language: "en-US".into(), ..CallInfo::default() }
}

/// Runs a test where time is a variable.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(test)
}
