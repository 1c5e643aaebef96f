//! Calls between one socket and the next.
//!
//! Twilio asks what is next when a call's socket was lost, and connects it again. It may do so before our side has noticed: a connection that breaks
//! without a word looks open for minutes. So a call that is back is either parked here, or the session that still leads it
//! is told to hand it over.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use offhook_session::{Detached, Leave, Observer, SessionLine};
use tokio::sync::oneshot;

use crate::switchboard::Watched;

/// Twilio asks what is next after about a second; a call that isn't back by then has ended otherwise.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(30);
/// A session that is told to leave does so at once, unless its worker is stuck.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(2);
/// Calls without a session at most; beyond, the call ends.
const MOST: usize = 1_000;

/// The calls on one kind of line, by their `CallSid`.
#[derive(Debug)]
pub(crate) struct Parking<L: SessionLine>(Mutex<Calls<L>>);

#[derive(Debug)]
struct Calls<L: SessionLine> {
    by_sid: BTreeMap<String, Place<L>>,
    parked: usize,
    badges: u64,
}

#[derive(Debug)]
enum Place<L: SessionLine> {
    /// A session leads it.
    Led { badge: Badge, leave: Option<oneshot::Sender<Leave>>, heir: Option<oneshot::Sender<Call<L>>> },
    /// It waits for one.
    Parked(Call<L>, Instant),
}

type Call<L> = Box<Detached<L, Watched>>;

/// Names the session that leads a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Badge(u64);

/// What became of a call whose session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    /// It waits for another session.
    Parked,
    /// Another session leads it.
    Led,
    /// It is over.
    Over,
}

impl<L: SessionLine> Default for Parking<L> {
    fn default() -> Self {
        Self(Mutex::new(Calls { by_sid: BTreeMap::new(), parked: 0, badges: 0 }))
    }
}

impl<L: SessionLine> Parking<L>
where
    Watched: Observer<L>,
{
    fn calls(&self) -> MutexGuard<'_, Calls<L>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call, if it was cut off; its session is told to let go of it if it still has it.
    pub(crate) async fn take(&self, sid: &str) -> Option<Detached<L, Watched>> {
        let handed_over = {
            let mut calls = self.calls();
            match calls.by_sid.get_mut(sid)? {
                Place::Parked(..) => return calls.unpark(sid).map(|call| *call),
                Place::Led { leave, heir, .. } => {
                    // Of several that ask, the latest gets it.
                    let (sender, receiver) = oneshot::channel();
                    *heir = Some(sender);
                    tell(leave, Leave::ForAnother);
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

    /// A session leads this call from now on. Gives its name, and what tells it to leave.
    pub(crate) fn lead(&self, sid: &str) -> (Badge, oneshot::Receiver<Leave>) {
        let (sender, receiver) = oneshot::channel();
        let mut calls = self.calls();
        calls.badges += 1;
        let badge = Badge(calls.badges);
        let parked = calls.unpark(sid);
        let place = Place::Led { badge, leave: Some(sender), heir: None };
        // Of two sessions of one call the newer is right.
        if let Some(Place::Led { mut leave, .. }) = calls.by_sid.insert(sid.to_owned(), place) {
            tell(&mut leave, Leave::Over);
        }
        drop(calls);
        if let Some(parked) = parked {
            parked.give_up();
        }
        (badge, receiver)
    }

    /// A session has ended, and its call may go on.
    pub(crate) fn left(&self, sid: &str, badge: Badge, call: Option<Detached<L, Watched>>) -> Became {
        let mut calls = self.calls();
        let heir = match calls.by_sid.get_mut(sid) {
            Some(Place::Led { badge: leads, heir, .. }) if *leads == badge => heir.take(),
            _ => {
                drop(calls);
                if let Some(call) = call {
                    call.give_up();
                }
                return Became::Led;
            }
        };
        calls.by_sid.remove(sid);
        let Some(mut call) = call.map(Box::new) else { return Became::Over };
        if let Some(heir) = heir {
            match heir.send(call) {
                Ok(()) => return Became::Led,
                // It waits no longer.
                Err(back) => call = back,
            }
        }
        if calls.parked < MOST {
            calls.parked += 1;
            calls.by_sid.insert(sid.to_owned(), Place::Parked(call, Instant::now()));
            return Became::Parked;
        }
        drop(calls);
        tracing::warn!(call = sid, "a call that lost its connection was given up: {MOST} wait already");
        call.give_up();
        Became::Over
    }

    /// The call is over. True if it was parked; a session that leads it tells by itself when it has left.
    pub(crate) fn give_up(&self, sid: &str) -> bool {
        let mut calls = self.calls();
        if let Some(Place::Led { leave, .. }) = calls.by_sid.get_mut(sid) {
            tell(leave, Leave::Over);
            return false;
        }
        let parked = calls.unpark(sid);
        drop(calls);
        parked.map(|call| call.give_up()).is_some()
    }

    /// Gives up a call that has been here too long; one that has come and gone since stays. True if it was given up.
    pub(crate) fn give_up_late(&self, sid: &str) -> bool {
        let late =
            |place: &Place<L>| matches!(place, Place::Parked(_, since) if since.elapsed() >= BACK_WITHIN);
        let is_late = self.calls().by_sid.get(sid).is_some_and(late);
        is_late && self.give_up(sid)
    }
}

impl<L: SessionLine> Calls<L> {
    fn unpark(&mut self, sid: &str) -> Option<Call<L>> {
        if !matches!(self.by_sid.get(sid), Some(Place::Parked(..))) {
            return None;
        }
        self.parked -= 1;
        match self.by_sid.remove(sid) {
            Some(Place::Parked(call, _)) => Some(call),
            _ => None,
        }
    }
}

fn tell(leave: &mut Option<oneshot::Sender<Leave>>, what: Leave) {
    if let Some(leave) = leave.take() {
        // A session that is leaving by itself doesn't listen any more.
        let _heard = leave.send(what);
    }
}
