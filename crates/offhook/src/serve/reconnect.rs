//! Calls between one socket and the next.
//!
//! Twilio asks what is next when a call's socket was lost, and connects it again. It may do so before our side has noticed: a connection that breaks
//! without a word looks open for minutes. So a call that is back either waits here, or the session that still holds it
//! is asked to hand it over.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use offhook_session::{Detached, Leave, Observer, SessionLine};
use tokio::sync::oneshot;

use crate::calls::CallObserver;

/// Twilio asks what is next after about a second; a call that isn't back by then has ended otherwise.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(30);
/// A session that is asked to leave does so at once, unless its worker is stuck.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(2);
/// Calls without a session at most; beyond, the call ends.
const MOST: usize = 1_000;

/// The calls on one kind of line, by their `CallSid`.
#[derive(Debug)]
pub(crate) struct Reconnects<L: SessionLine>(Mutex<Calls<L>>);

#[derive(Debug)]
struct Calls<L: SessionLine> {
    by_sid: BTreeMap<String, Place<L>>,
    waiting: usize,
    leases: u64,
}

#[derive(Debug)]
enum Place<L: SessionLine> {
    /// A session holds it.
    Leased {
        lease: Lease,
        leave: Option<oneshot::Sender<Leave>>,
        successor: Option<oneshot::Sender<Call<L>>>,
    },
    /// It waits for one.
    Waiting(Call<L>, Instant),
}

type Call<L> = Box<Detached<L, CallObserver>>;

/// Names the session that holds a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease(u64);

/// What became of a call whose session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    /// It waits for another session.
    Waiting,
    /// Another session holds it.
    Leased,
    /// It is over.
    Over,
}

impl<L: SessionLine> Default for Reconnects<L> {
    fn default() -> Self {
        Self(Mutex::new(Calls { by_sid: BTreeMap::new(), waiting: 0, leases: 0 }))
    }
}

impl<L: SessionLine> Reconnects<L>
where
    CallObserver: Observer<L>,
{
    fn calls(&self) -> MutexGuard<'_, Calls<L>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call, if it was cut off; its session is asked to let go of it if it still has it.
    pub(crate) async fn take(&self, sid: &str) -> Option<Detached<L, CallObserver>> {
        let handed_over = {
            let mut calls = self.calls();
            match calls.by_sid.get_mut(sid)? {
                Place::Waiting(..) => return calls.take_waiting(sid).map(|call| *call),
                Place::Leased { leave, successor, .. } => {
                    // Of several that ask, the latest gets it.
                    let (sender, receiver) = oneshot::channel();
                    *successor = Some(sender);
                    notify(leave, Leave::ForAnother);
                    receiver
                }
            }
        };
        let handed_over = tokio::time::timeout(HANDED_OVER_WITHIN, handed_over).await;
        handed_over.ok()?.ok().map(|call| *call)
    }

    /// A session leads the call, or it waits for one.
    pub(crate) fn has(&self, sid: &str) -> bool {
        self.calls().by_sid.contains_key(sid)
    }

    /// A session holds this call from now on. Gives its lease, and what makes it leave.
    pub(crate) fn acquire(&self, sid: &str) -> (Lease, oneshot::Receiver<Leave>) {
        let (sender, receiver) = oneshot::channel();
        let mut calls = self.calls();
        calls.leases += 1;
        let lease = Lease(calls.leases);
        let waiting = calls.take_waiting(sid);
        let place = Place::Leased { lease, leave: Some(sender), successor: None };
        // Of two sessions of one call the newer is right.
        if let Some(Place::Leased { mut leave, .. }) = calls.by_sid.insert(sid.to_owned(), place) {
            notify(&mut leave, Leave::Over);
        }
        drop(calls);
        if let Some(waiting) = waiting {
            waiting.give_up();
        }
        (lease, receiver)
    }

    /// A session has ended, and its call may go on.
    pub(crate) fn release(&self, sid: &str, lease: Lease, call: Option<Detached<L, CallObserver>>) -> Became {
        let mut calls = self.calls();
        let successor = match calls.by_sid.get_mut(sid) {
            Some(Place::Leased { lease: holder, successor, .. }) if *holder == lease => successor.take(),
            _ => {
                drop(calls);
                if let Some(call) = call {
                    call.give_up();
                }
                return Became::Leased;
            }
        };
        calls.by_sid.remove(sid);
        let Some(mut call) = call.map(Box::new) else { return Became::Over };
        if let Some(successor) = successor {
            match successor.send(call) {
                Ok(()) => return Became::Leased,
                // It waits no longer.
                Err(back) => call = back,
            }
        }
        if calls.waiting < MOST {
            calls.waiting += 1;
            calls.by_sid.insert(sid.to_owned(), Place::Waiting(call, Instant::now()));
            return Became::Waiting;
        }
        drop(calls);
        tracing::warn!(call = sid, "a call that lost its connection was given up: {MOST} wait already");
        call.give_up();
        Became::Over
    }

    /// The call is over. True if it was waiting; a session that holds it reports by itself when it has left.
    pub(crate) fn give_up(&self, sid: &str) -> bool {
        let mut calls = self.calls();
        if let Some(Place::Leased { leave, .. }) = calls.by_sid.get_mut(sid) {
            notify(leave, Leave::Over);
            return false;
        }
        let waiting = calls.take_waiting(sid);
        drop(calls);
        waiting.map(|call| call.give_up()).is_some()
    }

    /// Gives up a call that has been here too long; one that has come and gone since stays. True if it was given up.
    pub(crate) fn give_up_late(&self, sid: &str) -> bool {
        let late =
            |place: &Place<L>| matches!(place, Place::Waiting(_, since) if since.elapsed() >= BACK_WITHIN);
        let is_late = self.calls().by_sid.get(sid).is_some_and(late);
        is_late && self.give_up(sid)
    }
}

impl<L: SessionLine> Calls<L> {
    fn take_waiting(&mut self, sid: &str) -> Option<Call<L>> {
        if !matches!(self.by_sid.get(sid), Some(Place::Waiting(..))) {
            return None;
        }
        self.waiting -= 1;
        match self.by_sid.remove(sid) {
            Some(Place::Waiting(call, _)) => Some(call),
            _ => None,
        }
    }
}

fn notify(leave: &mut Option<oneshot::Sender<Leave>>, what: Leave) {
    if let Some(leave) = leave.take() {
        // A session that is leaving by itself doesn't listen any more.
        let _heard = leave.send(what);
    }
}
