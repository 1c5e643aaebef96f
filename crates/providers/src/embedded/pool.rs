//! A bounded pool of OS threads for native work.
//!
//! Jobs that don't find room are refused at once and counted: the caller decides what that means.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_channel::{Sender, TrySendError};

type Job = Box<dyn FnOnce() + Send + 'static>;

/// Jobs of all pools of this process that wait or run, followers apart.
static JOBS: AtomicUsize = AtomicUsize::new(0);

/// So many jobs wait or run in this process. A test on virtual time holds its clock meanwhile: native work is done by
/// threads whose time is real.
#[must_use]
pub fn native_jobs() -> usize {
    JOBS.load(Ordering::Acquire)
}

/// Counts a job for as long as it exists.
struct Counted;

impl Counted {
    fn new() -> Self {
        JOBS.fetch_add(1, Ordering::AcqRel);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        JOBS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Threads for native work. Clones share them; the threads end with the last clone.
#[derive(Clone, Debug)]
pub struct NativePool {
    jobs: Sender<Job>,
    busy: Arc<AtomicUsize>,
    refused: Arc<AtomicU64>,
    threads: usize,
}

impl NativePool {
    /// A pool of so many threads, with room for `waiting` jobs. At least one of each.
    #[must_use]
    pub fn new(name: &str, threads: usize, waiting: usize) -> Self {
        let threads = threads.max(1);
        let (jobs, queue) = crossbeam_channel::bounded::<Job>(waiting.max(1));
        let busy = Arc::new(AtomicUsize::new(0));
        for index in 0..threads {
            let (queue, busy) = (queue.clone(), Arc::clone(&busy));
            let spawned = std::thread::Builder::new().name(format!("{name}-{index}")).spawn(move || {
                while let Ok(job) = queue.recv() {
                    busy.fetch_add(1, Ordering::Relaxed);
                    // One call's failing job must not take the thread from the others.
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                        tracing::error!("a native job failed; the call that wanted it goes without");
                    }
                    busy.fetch_sub(1, Ordering::Relaxed);
                }
            });
            if let Err(error) = spawned {
                tracing::error!(%error, "a native thread could not be started");
            }
        }
        Self { jobs, busy, refused: Arc::default(), threads }
    }

    /// As many threads as suit this machine: one per core, at least three.
    #[must_use]
    pub fn for_this_machine(name: &str) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self::new(name, cores.max(3), 256)
    }

    /// Hands over a job; false if there is no room.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) -> bool {
        let counted = Counted::new();
        self.follow(move || {
            job();
            drop(counted);
        })
    }

    /// Hands over a job that waits for a call's sound as it comes; false if there is no room. [`native_jobs`] doesn't count it.
    pub(super) fn follow(&self, job: impl FnOnce() + Send + 'static) -> bool {
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    /// All threads.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.threads
    }

    /// Threads without work.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.threads.saturating_sub(self.busy.load(Ordering::Relaxed) + self.jobs.len())
    }

    /// Jobs that found no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
