//! One worker per core: an OS thread with a single-threaded runtime that owns its calls from `start` to end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use futures_util::FutureExt;
use offhook_session::StageSet;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc;

use super::Shared;
use super::address::PublicBase;
use super::http::Wire;
use super::socket::{self, Carries};

/// Sockets waiting for a worker; more are refused.
const WAITING: usize = 1_024;

/// An upgraded socket.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) stream: Wire,
    /// Read already.
    pub(crate) read: Bytes,
    pub(crate) base: Option<PublicBase>,
    pub(crate) carries: Carries,
}

/// What workers do.
enum Work {
    Serve(Box<Upgraded>, LoadGuard),
    /// Opens connections to providers, where they will be used.
    Warm(StageSet, String),
    /// Ends, with all that it still has.
    Stop,
}

/// All workers.
#[derive(Debug)]
pub(crate) struct Workers {
    all: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    work: mpsc::Sender<Work>,
    load: Arc<AtomicUsize>,
    /// Closes when the worker has ended.
    ended: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Workers {
    pub(crate) fn start(count: usize, shared: &Arc<Shared>) -> anyhow::Result<Self> {
        let all =
            (0..count.max(1)).map(|index| Worker::start(index, shared)).collect::<anyhow::Result<_>>()?;
        Ok(Self { all })
    }

    fn idlest(&self) -> Option<&Worker> {
        self.all.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed))
    }

    /// Gives a socket to the worker that has the fewest. False if it has no room.
    pub(crate) fn hand_over(&self, upgraded: Upgraded) -> bool {
        let Some(worker) = self.idlest() else { return false };
        let guard = LoadGuard::new(&worker.load);
        worker.work.try_send(Work::Serve(Box::new(upgraded), guard)).is_ok()
    }

    /// Ends all workers; waits for them, but not for ever.
    pub(crate) fn stop(&self, within: Duration) {
        let until = Instant::now() + within;
        for worker in &self.all {
            // One that is so busy is not waited for in vain: the time is bounded.
            let _busy = worker.work.try_send(Work::Stop).is_err();
        }
        for worker in &self.all {
            let ended = worker.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let left = until.saturating_duration_since(Instant::now());
            if ended.recv_timeout(left) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                tracing::warn!("a worker did not end in time");
            }
        }
    }

    /// Has the connections to providers opened that a call will need in a moment.
    pub(crate) fn warm(&self, stages: StageSet, language: String) {
        // A worker with so much to do has no time for this.
        let _refused =
            self.idlest().is_some_and(|worker| worker.work.try_send(Work::Warm(stages, language)).is_err());
    }
}

impl Worker {
    fn start(index: usize, shared: &Arc<Shared>) -> anyhow::Result<Self> {
        let (work, queue) = mpsc::channel(WAITING);
        let shared = Arc::clone(shared);
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let (ending, ended) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let made = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
                let (runtime, made) =
                    made.map_or_else(|error| (None, Err(error)), |made| (Some(made), Ok(())));
                // Whoever starts a worker waits for this.
                let _heard = ready.send(made);
                if let Some(runtime) = runtime {
                    serve(index, &runtime, queue, &shared);
                    // Calls that are left are dropped here, and write their records.
                    drop(runtime);
                }
                drop(ending);
            })
            .context("a worker could not be started")?;
        started.recv().context("a worker did not start")?.context("a worker has no runtime")?;
        Ok(Self { work, load: Arc::default(), ended: Mutex::new(ended) })
    }
}

/// Counts a socket for as long as it lasts.
#[derive(Debug)]
pub(crate) struct LoadGuard(Arc<AtomicUsize>);

impl LoadGuard {
    fn new(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Works until the server is gone. A fault in the loop itself is survived with all calls: they are tasks of their own.
fn serve(index: usize, runtime: &LocalRuntime, mut queue: mpsc::Receiver<Work>, shared: &Arc<Shared>) {
    let watched = Arc::clone(shared);
    runtime.spawn_local(async move { watched.overload.watch(index).await });
    loop {
        let round = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                while let Some(work) = queue.recv().await.filter(|work| !matches!(work, Work::Stop)) {
                    begin(work, shared);
                }
            });
        }));
        if round.is_ok() {
            return;
        }
        shared.metrics.panics.inc();
        tracing::error!(worker = index, "a worker broke, and goes on");
    }
}

fn begin(work: Work, shared: &Arc<Shared>) {
    match work {
        Work::Stop => {}
        Work::Warm(stages, language) => {
            drop(tokio::task::spawn_local(async move { stages.warm(&language).await }));
        }
        Work::Serve(upgraded, guard) => match upgraded.stream.enter() {
            Ok(stream) => {
                let rest = (upgraded.base, upgraded.carries);
                // Boxed, for the socket keeps this task's memory as long as it keeps a waker of it: all the call.
                let serve = Box::pin(socket::serve(stream, upgraded.read, Arc::clone(shared), rest, guard));
                let shared = Arc::clone(shared);
                tokio::task::spawn_local(async move {
                    // A call that runs is looked after by itself.
                    if AssertUnwindSafe(serve).catch_unwind().await.is_err() {
                        shared.metrics.panics.inc();
                        tracing::error!("a stream could not begin: its code broke");
                    }
                });
            }
            Err(error) => tracing::warn!(%error, "a socket was lost before it was served"),
        },
    }
}
