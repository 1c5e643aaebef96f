//! A call's links as running futures, inside of the chain's own.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use offhook_stages::queue::OfferError;
use offhook_stages::{BoxFuture, CallInfo, Notifier, Rx, StageError, Tx, WhenFull, bounded, bounded_with};

/// Commands and events with meaning, as the session's queues have.
pub(crate) const QUEUE: usize = 256;

/// Begins a link's run.
pub(crate) type Start<C, E> =
    Box<dyn Fn(CallInfo, Rx<C>, Tx<E>) -> BoxFuture<Result<(), StageError>> + Send + Sync>;

/// What a link did.
#[derive(Debug)]
pub(crate) enum Did<E> {
    /// It said something.
    Said(E),
    /// Its run is over, and with it all that was asked of it.
    Ended(StageError),
}

struct Running<C, E> {
    /// `None`: nothing more will be asked.
    to: Option<Tx<C>>,
    from: Rx<E>,
    run: BoxFuture<Result<(), StageError>>,
    outcome: Option<Result<(), StageError>>,
}

struct Slot<C, E> {
    name: String,
    start: Start<C, E>,
    running: Option<Running<C, E>>,
}

/// The links of one call's chain. Dropping it ends them all.
pub(crate) struct Links<C, E> {
    call: CallInfo,
    slots: Vec<Slot<C, E>>,
    arrivals: Arc<Notifier>,
}

impl<C, E> Links<C, E> {
    pub(crate) fn new(call: CallInfo, starts: impl Iterator<Item = (String, Start<C, E>)>) -> Self {
        let slots = starts.map(|(name, start)| Slot { name, start, running: None }).collect();
        Self { call, slots, arrivals: Arc::default() }
    }

    pub(crate) fn is_running(&self, link: usize) -> bool {
        self.slots.get(link).is_some_and(|slot| slot.running.is_some())
    }

    /// Whether any link runs.
    pub(crate) fn any(&self) -> bool {
        self.slots.iter().any(|slot| slot.running.is_some())
    }

    /// Starts a link unless it runs.
    pub(crate) fn start(&mut self, link: usize, room: usize, when_full: WhenFull) {
        let Some(slot) = self.slots.get_mut(link).filter(|slot| slot.running.is_none()) else { return };
        let (to, commands) = bounded(room, when_full);
        let (events, from) = bounded_with(QUEUE, WhenFull::PushBack, Arc::clone(&self.arrivals));
        let run = (slot.start)(self.call.clone(), commands, events);
        slot.running = Some(Running { to: Some(to), from, run, outcome: None });
    }

    /// The queue to a link, if it runs.
    pub(crate) fn queue(&self, link: usize) -> Option<&Tx<C>> {
        self.slots.get(link)?.running.as_ref()?.to.as_ref()
    }

    /// Gives a link a command; starts it if need be.
    ///
    /// # Errors
    /// If it doesn't take it: it has stopped reading.
    pub(crate) fn ask(&mut self, link: usize, command: C) -> Result<(), StageError> {
        self.start(link, QUEUE, WhenFull::PushBack);
        match self.queue(link).map(|to| to.offer(command)) {
            Some(Ok(())) => Ok(()),
            Some(Err(OfferError::Full(_) | OfferError::Closed(_))) | None => {
                self.stop(link);
                let what = "it has stopped taking requests".to_owned();
                Err(StageError::Broken { stage: self.name(link), what })
            }
        }
    }

    /// Gives a running link a command that it may miss.
    pub(crate) fn notify(&self, link: usize, command: C) {
        if let Some(to) = self.queue(link) {
            // One that doesn't read will be found out by its deadline.
            let _missed = to.offer(command);
        }
    }

    /// Ends a link at once.
    pub(crate) fn stop(&mut self, link: usize) {
        if let Some(slot) = self.slots.get_mut(link) {
            slot.running = None;
        }
    }

    /// Closes a link's queue: nothing more will be asked; its run ends when it has answered.
    pub(crate) fn close(&mut self, link: usize) {
        if let Some(running) = self.slots.get_mut(link).and_then(|slot| slot.running.as_mut()) {
            running.to = None;
        }
    }

    pub(crate) fn name(&self, link: usize) -> String {
        self.slots.get(link).map(|slot| slot.name.clone()).unwrap_or_default()
    }

    /// What a link did next; for ever nothing if none runs. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> (usize, Did<E>) {
        let look = |context: &mut Context<'_>| loop {
            if let Some(found) = self.look() {
                return Poll::Ready(found);
            }
            self.poll_runs(context);
            if let Some(found) = self.look() {
                return Poll::Ready(found);
            }
            if self.arrivals.poll(context).is_pending() {
                return Poll::Pending;
            }
        };
        poll_fn(look).await
    }

    fn poll_runs(&mut self, context: &mut Context<'_>) {
        for slot in &mut self.slots {
            let Some(running) = slot.running.as_mut().filter(|running| running.outcome.is_none()) else {
                continue;
            };
            // A provider's bug costs this link, not the call.
            let polled = catch_unwind(AssertUnwindSafe(|| running.run.as_mut().poll(context)));
            running.outcome = match polled {
                Ok(Poll::Ready(outcome)) => Some(outcome),
                Ok(Poll::Pending) => None,
                Err(_) => {
                    let what = "it panicked, which is a fault of this program".to_owned();
                    Some(Err(StageError::Broken { stage: slot.name.clone(), what }))
                }
            };
        }
    }

    /// What has come; from a link that ended, first what it left in its queue.
    fn look(&mut self) -> Option<(usize, Did<E>)> {
        for (link, slot) in self.slots.iter_mut().enumerate() {
            let Some(running) = &mut slot.running else { continue };
            if let Ok(event) = running.from.try_recv() {
                return Some((link, Did::Said(event)));
            }
            if let Some(outcome) = running.outcome.take() {
                let early = || {
                    let what = "it ended before the call did".to_owned();
                    StageError::Broken { stage: slot.name.clone(), what }
                };
                let error = outcome.err().unwrap_or_else(early);
                slot.running = None;
                return Some((link, Did::Ended(error)));
            }
        }
        None
    }
}
