//! Which link is tried next for one piece of work.

use offhook_stage_api::{FailureKind, StageFailure};
use tokio::time::Instant;

use super::Link;

/// What was tried for one piece of work. Each link gets one try, and a second one, at the end, if its connection broke
/// while there was still time: a connection that was kept open may turn out to be dead.
#[derive(Clone, Debug)]
pub(super) struct Tries {
    links: Vec<Try>,
    began: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Try {
    count: u8,
    again: bool,
}

impl Tries {
    pub(super) fn new(links: usize) -> Self {
        Self { links: vec![Try::default(); links], began: Instant::now() }
    }

    /// The next link to ask: the first that is well, else the last that is left, well or not.
    pub(super) fn choose<S: ?Sized>(&mut self, links: &[Link<S>]) -> Option<usize> {
        let chosen = self.choose_spare(links);
        let chosen = chosen.or_else(|| self.links.iter().rposition(|tried| tried.count == 0));
        let chosen = chosen.or_else(|| self.links.iter().position(|tried| tried.again))?;
        self.note(chosen);
        Some(chosen)
    }

    /// Another link, only if it is well and wasn't asked yet: for a hedge.
    pub(super) fn choose_hedge<S: ?Sized>(&mut self, links: &[Link<S>]) -> Option<usize> {
        let chosen = self.choose_spare(links)?;
        self.note(chosen);
        Some(chosen)
    }

    /// Every link may be asked again.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.links.len());
    }

    /// Part of the work is done, by this link: the rest has all tries before it.
    pub(super) fn renew(&mut self, link: usize) {
        self.reset();
        self.note(link);
    }

    /// A link's try failed; `again`: it may have a second one.
    pub(super) fn failed(&mut self, link: usize, again: bool) {
        if let Some(tried) = self.links.get_mut(link) {
            tried.again = again && tried.count < 2;
        }
    }

    /// Whether there is time for a second try: the connection broke, and soon.
    pub(super) fn in_time<S: ?Sized>(&self, link: &Link<S>, failure: &StageFailure) -> bool {
        failure.kind == FailureKind::Broken && self.began.elapsed() < link.deadlines.first
    }

    /// Whether a link is left for a hedge, by its tries alone.
    pub(super) fn may_hedge(&self) -> bool {
        self.links.iter().any(|tried| tried.count == 0)
    }

    fn choose_spare<S: ?Sized>(&self, links: &[Link<S>]) -> Option<usize> {
        let untried = |(_, (tried, _)): &(usize, (&Try, &Link<S>))| tried.count == 0;
        let mut candidates = self.links.iter().zip(links).enumerate().filter(untried);
        candidates.find(|(_, (_, link))| link.health.admits()).map(|(at, _)| at)
    }

    fn note(&mut self, link: usize) {
        if let Some(tried) = self.links.get_mut(link) {
            tried.count = tried.count.saturating_add(1);
            tried.again = false;
        }
    }
}
