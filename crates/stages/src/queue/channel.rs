//! How items travel, and how a full queue makes room.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, RecvTimeoutError, Select, Sender, TryRecvError, TrySendError};

use super::MayDrop;

/// What carries meaning and stood before sound that was dropped: older than all that the channel holds, so it is read first. Its
/// lock keeps a reader from the channel while items move here; senders take it only when the channel is full.
pub(super) type Older<T> = Mutex<VecDeque<T>>;

/// How items travel. What is rare is boxed, so that the room that a busy moment took is small.
#[derive(Debug)]
pub(super) enum Sending<T> {
    Array(Box<Live<T>>),
    Rare(flume::Sender<Box<T>>),
    /// Nothing will be sent any more.
    Gone,
}

/// The sending end of sound, and what takes the oldest away.
#[derive(Debug)]
pub(super) struct Live<T> {
    items: Sender<T>,
    oldest: Receiver<T>,
    older: Arc<Older<T>>,
}

#[derive(Debug)]
pub(super) enum Receiving<T> {
    Array(Box<(Receiver<T>, Arc<Older<T>>)>),
    Rare(flume::Receiver<Box<T>>),
}

/// For live audio, which has its room from the beginning.
pub(super) fn array<T>(capacity: usize) -> (Sending<T>, Receiving<T>) {
    let (items, receiver) = crossbeam_channel::bounded(capacity);
    let older = Arc::<Older<T>>::default();
    let live = Live { items, oldest: receiver.clone(), older: Arc::clone(&older) };
    (Sending::Array(Box::new(live)), Receiving::Array(Box::new((receiver, older))))
}

/// For what carries meaning.
pub(super) fn rare<T>(capacity: usize) -> (Sending<T>, Receiving<T>) {
    let (sender, receiver) = flume::bounded(capacity);
    (Sending::Rare(sender), Receiving::Rare(receiver))
}

impl<T> Clone for Sending<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Array(live) => Self::Array(Box::new(Live {
                items: live.items.clone(),
                oldest: live.oldest.clone(),
                older: Arc::clone(&live.older),
            })),
            Self::Rare(items) => Self::Rare(items.clone()),
            Self::Gone => Self::Gone,
        }
    }
}

impl<T> Sending<T> {
    pub(super) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        match self {
            Self::Array(live) => live.items.try_send(item),
            Self::Gone => Err(TrySendError::Disconnected(item)),
            Self::Rare(items) => items.try_send(Box::new(item)).map_err(|error| match error {
                flume::TrySendError::Full(item) => TrySendError::Full(*item),
                flume::TrySendError::Disconnected(item) => TrySendError::Disconnected(*item),
            }),
        }
    }
}

impl<T> Receiving<T> {
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        match self {
            Self::Array(live) => {
                let (items, older) = &**live;
                let mut older = locked(older);
                older.pop_front().map_or_else(|| items.try_recv(), Ok)
            }
            Self::Rare(items) => items.try_recv().map(|item| *item).map_err(|error| match error {
                flume::TryRecvError::Empty => TryRecvError::Empty,
                flume::TryRecvError::Disconnected => TryRecvError::Disconnected,
            }),
        }
    }

    pub(super) fn recv(&self) -> Option<T> {
        match self {
            Self::Array(live) => loop {
                match self.try_recv() {
                    Ok(item) => return Some(item),
                    Err(TryRecvError::Disconnected) => return None,
                    Err(TryRecvError::Empty) => {
                        let mut arrival = Select::new();
                        arrival.recv(&live.0);
                        arrival.ready();
                    }
                }
            },
            Self::Rare(items) => items.recv().ok().map(|item| *item),
        }
    }

    pub(super) fn recv_timeout(&self, patience: std::time::Duration) -> Result<T, RecvTimeoutError> {
        match self {
            Self::Array(live) => loop {
                match self.try_recv() {
                    Ok(item) => return Ok(item),
                    Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                    Err(TryRecvError::Empty) => {
                        let mut arrival = Select::new();
                        arrival.recv(&live.0);
                        arrival.ready_timeout(patience).map_err(|_| RecvTimeoutError::Timeout)?;
                    }
                }
            },
            Self::Rare(items) => {
                items.recv_timeout(patience).map(|item| *item).map_err(|error| match error {
                    flume::RecvTimeoutError::Timeout => RecvTimeoutError::Timeout,
                    flume::RecvTimeoutError::Disconnected => RecvTimeoutError::Disconnected,
                })
            }
        }
    }
}

impl<T: MayDrop> Sending<T> {
    /// Makes room for one item: drops the oldest that may be dropped, and keeps those before it, in their order. Returns whether
    /// one was dropped.
    pub(super) fn make_room(&self) -> bool {
        let Self::Array(live) = self else { return false };
        let mut older = locked(&live.older);
        let bound = live.oldest.capacity().unwrap_or(0);
        while older.len() < bound
            && let Ok(oldest) = live.oldest.try_recv()
        {
            if oldest.may_drop() {
                return true;
            }
            older.push_back(oldest);
        }
        false
    }
}

/// A panic of another thread leaves the items whole.
fn locked<T>(older: &Older<T>) -> MutexGuard<'_, VecDeque<T>> {
    older.lock().unwrap_or_else(PoisonError::into_inner)
}
