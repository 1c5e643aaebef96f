//! Bounded queues between a call and its stages.
//!
//! Live audio has its room from the beginning, so that nothing is allocated while it flows; what carries meaning is rare,
//! and takes room as it comes, up to the bound: an idle call's queues are empty.
//!
//! A [`crossbeam_channel`] carries sound, a [`flume`] channel what is rare: ten of them idle in each call, and crossbeam's take a
//! kilobyte each. A [`Notifier`] beside them lets the async reader wait. Both ends can be used from a task or from an OS thread. When
//! full, a queue does what its [`WhenFull`] says, and counts.

mod channel;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use crossbeam_channel::{RecvTimeoutError, TryRecvError, TrySendError};
use tokio::sync::Notify;

use crate::notifier::Notifier;
use channel::{Receiving, Sending};

/// What [`Tx::offer`] does when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Drops the oldest item that [may be dropped](MayDrop) and counts it: for live audio. Order is kept.
    DropOldest,
    /// Refuses the new item and gives it back: for what carries meaning.
    PushBack,
}

/// Whether an item may be lost when its reader can't keep up.
pub trait MayDrop {
    /// True for live audio, false for what carries meaning.
    fn may_drop(&self) -> bool {
        false
    }
}

impl MayDrop for offhook_stage_api::TurnCommand {
    fn may_drop(&self) -> bool {
        matches!(self, Self::Audio { .. })
    }
}

impl MayDrop for offhook_stage_api::SttCommand {
    fn may_drop(&self) -> bool {
        matches!(self, Self::Audio { .. })
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// The receiver is gone.
    closed: AtomicBool,
    dropped: AtomicU64,
    refused: AtomicU64,
    items: Arc<Notifier>,
    space: Notify,
}

/// The sending end.
#[derive(Debug)]
pub struct Tx<T> {
    items: Sending<T>,
    shared: Arc<Shared>,
}

impl<T> Clone for Tx<T> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), shared: Arc::clone(&self.shared) }
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct Rx<T> {
    items: Receiving<T>,
    shared: Arc<Shared>,
}

/// The other end is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other end of the queue is gone")]
pub struct Closed;

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError<T> {
    /// No room; try again when there is.
    #[error("the queue is full")]
    Full(T),
    /// The receiver is gone.
    #[error("the receiver is gone")]
    Closed(T),
}

/// A queue for at most `capacity` items.
#[must_use]
pub fn bounded<T>(capacity: usize, when_full: WhenFull) -> (Tx<T>, Rx<T>) {
    bounded_with(capacity, when_full, Arc::default())
}

/// The same, for one of several queues that have one reader: whatever comes in any of them wakes it.
#[must_use]
pub fn bounded_with<T>(capacity: usize, when_full: WhenFull, arrivals: Arc<Notifier>) -> (Tx<T>, Rx<T>) {
    let capacity = capacity.max(1);
    let (sender, receiver) = match when_full {
        WhenFull::DropOldest => channel::array(capacity),
        WhenFull::PushBack => channel::rare(capacity),
    };
    let shared = Arc::new(Shared { items: arrivals, ..Shared::default() });
    (Tx { items: sender, shared: Arc::clone(&shared) }, Rx { items: receiver, shared })
}

impl<T: MayDrop> Tx<T> {
    /// Hands over an item without waiting; when full, by the queue's policy.
    ///
    /// # Errors
    /// The item itself, if the receiver is gone or there is no room that the policy can make.
    pub fn offer_by_policy(&self, item: T) -> Result<(), OfferError<T>> {
        match self.offer(item) {
            Err(OfferError::Full(item)) if matches!(self.items, Sending::Array(_)) => {
                if self.items.make_room() {
                    self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                }
                self.offer(item)
            }
            done => done,
        }
    }
}

impl<T> Tx<T> {
    /// Hands over an item without waiting.
    ///
    /// # Errors
    /// The item itself, if there is no room or the receiver is gone.
    pub fn offer(&self, item: T) -> Result<(), OfferError<T>> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(OfferError::Closed(item));
        }
        match self.items.try_send(item) {
            Ok(()) => {
                self.shared.items.notify();
                Ok(())
            }
            Err(TrySendError::Full(item)) => {
                self.shared.refused.fetch_add(1, Ordering::Relaxed);
                Err(OfferError::Full(item))
            }
            Err(TrySendError::Disconnected(item)) => Err(OfferError::Closed(item)),
        }
    }

    /// Hands over an item, waiting for room.
    ///
    /// # Errors
    /// If the receiver is gone.
    pub fn send(&self, item: T) -> Handover<'_, T> {
        Handover { queue: self, state: HandoverState::Offering(Some(item)) }
    }

    async fn send_when_there_is_room(&self, item: T) -> Result<(), Closed> {
        let mut item = item;
        loop {
            let room = self.shared.space.notified();
            match self.offer(item) {
                Ok(()) => return Ok(()),
                Err(OfferError::Closed(_)) => return Err(Closed),
                Err(OfferError::Full(back)) => item = back,
            }
            room.await;
        }
    }

    /// Hands over an item from an OS thread, waiting for room.
    ///
    /// # Errors
    /// If the receiver is gone.
    pub fn send_blocking(&self, item: T) -> Result<(), Closed> {
        let mut item = item;
        loop {
            match self.offer(item) {
                Ok(()) => return Ok(()),
                Err(OfferError::Closed(_)) => return Err(Closed),
                Err(OfferError::Full(back)) => item = back,
            }
            // Whoever fills a queue is far ahead of its reader.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Whether the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// How many items were dropped for want of room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// How often an item found no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }
}

/// An item on its way into a queue. Every stage keeps the room of its largest wait for as long as a call lasts: so this is small, and
/// what only a full queue needs is made when one is full.
#[must_use = "an item is handed over when this is awaited"]
pub struct Handover<'a, T> {
    queue: &'a Tx<T>,
    state: HandoverState<'a, T>,
}

enum HandoverState<'a, T> {
    /// `None` once it was handed over.
    Offering(Option<T>),
    Waiting(Pin<Box<dyn Future<Output = Result<(), Closed>> + Send + 'a>>),
}

impl<T> Unpin for Handover<'_, T> {}

impl<T> std::fmt::Debug for Handover<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handover")
    }
}

impl<T: Send> Future for Handover<'_, T> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        if let HandoverState::Offering(item) = &mut self.state {
            let Some(item) = item.take() else { return Poll::Ready(Ok(())) };
            match queue.offer(item) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(OfferError::Closed(_)) => return Poll::Ready(Err(Closed)),
                Err(OfferError::Full(item)) => {
                    self.state = HandoverState::Waiting(Box::pin(queue.send_when_there_is_room(item)));
                }
            }
        }
        match &mut self.state {
            HandoverState::Waiting(waiting) => waiting.as_mut().poll(context),
            HandoverState::Offering(_) => Poll::Ready(Ok(())),
        }
    }
}

impl<T> Drop for Tx<T> {
    fn drop(&mut self) {
        // Disconnect first, then wake: a sleeping async reader looks again and sees the end.
        drop(std::mem::replace(&mut self.items, Sending::Gone));
        self.shared.items.notify();
    }
}

impl<T> Rx<T> {
    /// What is notified when an item comes, or when the last sender goes.
    #[must_use]
    pub fn notifier(&self) -> &Arc<Notifier> {
        &self.shared.items
    }

    /// The next item; `None` when the sender is gone and everything was read.
    pub fn recv(&self) -> impl Future<Output = Option<T>> + use<'_, T> {
        // No `async fn`: it would keep room for items while it waits, in each of a call's stages.
        std::future::poll_fn(|context| {
            loop {
                match self.try_recv() {
                    Ok(item) => return Poll::Ready(Some(item)),
                    Err(TryRecvError::Disconnected) => return Poll::Ready(None),
                    Err(TryRecvError::Empty) => std::task::ready!(self.shared.items.poll(context)),
                }
            }
        })
    }

    /// The next item on an OS thread; `None` when the sender is gone and everything was read.
    #[must_use]
    pub fn recv_blocking(&self) -> Option<T> {
        let item = self.items.recv();
        self.shared.space.notify_one();
        item
    }

    /// The next item on an OS thread, if it comes within `patience`.
    ///
    /// # Errors
    /// Timeout or disconnection.
    pub fn recv_timeout(&self, patience: std::time::Duration) -> Result<T, RecvTimeoutError> {
        let item = self.items.recv_timeout(patience)?;
        self.shared.space.notify_one();
        Ok(item)
    }

    /// The next item if there is one.
    ///
    /// # Errors
    /// Empty, or empty and disconnected.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let item = self.items.try_recv()?;
        self.shared.space.notify_one();
        Ok(item)
    }
}

impl<T> Drop for Rx<T> {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        while self.items.try_recv().is_ok() {}
        self.shared.space.notify_waiters();
        self.shared.space.notify_one();
    }
}

#[cfg(test)]
mod tests;
