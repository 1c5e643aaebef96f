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
    Array(Sender<T>),
    Rare(flume::Sender<Box<T>>),
}

#[derive(Debug)]
pub(super) enum Receiving<T> {
    Array(Receiver<T>, Arc<Older<T>>),
    Rare(flume::Receiver<Box<T>>),
}

impl<T> Clone for Sending<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Array(items) => Self::Array(items.clone()),
            Self::Rare(items) => Self::Rare(items.clone()),
        }
    }
}

impl<T> Clone for Receiving<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Array(items, older) => Self::Array(items.clone(), Arc::clone(older)),
            Self::Rare(items) => Self::Rare(items.clone()),
        }
    }
}

impl<T> Sending<T> {
    pub(super) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        match self {
            Self::Array(items) => items.try_send(item),
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
            Self::Array(items, older) => {
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
            Self::Array(items, _) => loop {
                match self.try_recv() {
                    Ok(item) => return Some(item),
                    Err(TryRecvError::Disconnected) => return None,
                    Err(TryRecvError::Empty) => {
                        let mut arrival = Select::new();
                        arrival.recv(items);
                        arrival.ready();
                    }
                }
            },
            Self::Rare(items) => items.recv().ok().map(|item| *item),
        }
    }

    pub(super) fn recv_timeout(&self, patience: std::time::Duration) -> Result<T, RecvTimeoutError> {
        match self {
            Self::Array(items, _) => loop {
                match self.try_recv() {
                    Ok(item) => return Ok(item),
                    Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                    Err(TryRecvError::Empty) => {
                        let mut arrival = Select::new();
                        arrival.recv(items);
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

impl<T: MayDrop> Receiving<T> {
    /// Makes room for one item: drops the oldest that may be dropped, and keeps those before it, in their order. Returns whether
    /// one was dropped.
    pub(super) fn make_room(&self) -> bool {
        let Self::Array(items, older) = self else { return false };
        let mut older = locked(older);
        let bound = items.capacity().unwrap_or(0);
        while older.len() < bound
            && let Ok(oldest) = items.try_recv()
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
