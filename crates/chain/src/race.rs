//! What races of providers have in common: links, attempts, deadlines, and the accounts of who failed.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::StageFailure;
use offhook_stages::{CallInfo, StageError, WhenFull};
use tokio::time::Instant;

use crate::Link;
use crate::health::{Asked, Circuit};
use crate::links::{Links, QUEUE, Start};
use crate::tries::Tries;

/// A link that was asked for a piece of work.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) link: usize,
    /// Its latest sign of life in this piece of work, or when it was asked.
    pub(crate) since: Instant,
    /// It has begun to answer.
    pub(crate) spoke: bool,
    pub(crate) hedge: bool,
}

impl Attempt {
    pub(crate) fn new(link: usize, hedge: bool) -> Self {
        Self { link, since: Instant::now(), spoke: false, hedge }
    }
}

/// One call's links of a chain, and how long each may take. `C` are its commands, `E` its events.
pub(crate) struct Race<S: ?Sized, C, E> {
    pub(crate) set: Arc<[Link<S>]>,
    pub(crate) links: Links<C, E>,
    /// The kind of stage, as in the configuration.
    kind: &'static str,
    call: Arc<str>,
}

impl<S: ?Sized, C, E> Race<S, C, E> {
    /// `start` makes a link's name and how its run begins.
    pub(crate) fn new(
        kind: &'static str,
        set: Arc<[Link<S>]>,
        call: CallInfo,
        start: impl Fn(&Arc<S>) -> (String, Start<C, E>),
    ) -> Self {
        let id = Arc::clone(&call.call);
        let links = Links::new(call, set.iter().map(|link| start(&link.stage)));
        Self { set, links, kind, call: id }
    }

    /// Connects the first link that is well, while the phone is still being answered.
    pub(crate) fn start_first(&mut self) {
        if let Some(first) = self.set.iter().position(|link| link.health.circuit() != Circuit::Open) {
            self.links.start(first, QUEUE, WhenFull::PushBack);
        }
    }

    /// How long an attempt may go without a sign of life.
    pub(crate) fn limit(&self, attempt: &Attempt) -> Duration {
        self.set.get(attempt.link).map_or(Duration::ZERO, |link| {
            if attempt.spoke { link.deadlines.gap } else { link.deadlines.first }
        })
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

    pub(crate) fn count_won_hedge(&self, link: usize) {
        if let Some(link) = self.set.get(link) {
            link.health.won_hedge();
        }
    }

    pub(crate) fn count_failure(&self, link: usize, failure: &StageFailure) {
        tracing::warn!(call = %self.call, stage = self.kind, %failure, "a link of a chain failed");
        if let Some(link) = self.set.get(link) {
            link.health.failed(failure);
        }
    }

    /// Whether a link that failed may have a second attempt at this piece of work.
    pub(crate) fn may_try_again(&self, link: usize, tries: &Tries, failure: &StageFailure) -> bool {
        self.set.get(link).is_some_and(|link| tries.in_time(link, failure))
    }

    /// Accounts for a link that could not even be asked.
    pub(crate) fn note_failure(&self, link: usize, tries: &mut Tries, failure: &StageFailure) {
        self.count_failure(link, failure);
        let again = self.may_try_again(link, tries, failure);
        tries.failed(link, again);
    }

    /// Stops a link that is too late with `what`, whatever it hangs on.
    pub(crate) fn stop_late(&mut self, link: usize, what: &'static str, limit: Duration) -> StageError {
        self.links.stop(link);
        StageError::TooSlow { stage: self.links.name(link), what, limit }
    }

    /// Why nothing is left to ask.
    pub(crate) fn no_link_left(&self) -> StageFailure {
        let what = "its chain has no link left".to_owned();
        StageError::Broken { stage: self.kind.to_owned(), what }.to_failure()
    }
}
