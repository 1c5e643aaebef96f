//! One worker per core: an OS thread with a single-threaded runtime that owns its connections from handshake to end.

use std::net::TcpStream as StdTcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

use super::metrics::Metrics;
use super::{Shared, http};

/// Connections waiting for a worker; more are refused, which the peer sees as a reset.
const WAITING: usize = 1_024;

/// All workers.
#[derive(Debug)]
pub(crate) struct Workers {
    all: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    sockets: mpsc::Sender<StdTcpStream>,
    load: Arc<AtomicUsize>,
}

impl Workers {
    pub(crate) fn start(count: usize, shared: &Arc<Shared>) -> anyhow::Result<Self> {
        let all =
            (0..count.max(1)).map(|index| Worker::start(index, shared)).collect::<anyhow::Result<_>>()?;
        Ok(Self { all })
    }

    /// Gives a connection to the worker that has the fewest.
    pub(crate) fn hand_over(&self, socket: TcpStream, metrics: &Metrics) {
        let Some(worker) = self.all.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed)) else {
            return;
        };
        let socket = match socket.into_std() {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "a connection was lost before it was served");
                return;
            }
        };
        worker.load.fetch_add(1, Ordering::Relaxed);
        if worker.sockets.try_send(socket).is_err() {
            worker.load.fetch_sub(1, Ordering::Relaxed);
            metrics.connections_refused.inc();
            tracing::warn!("a connection was refused: {WAITING} are waiting already");
        }
    }
}

impl Worker {
    fn start(index: usize, shared: &Arc<Shared>) -> anyhow::Result<Self> {
        let (sockets, mut queue) = mpsc::channel::<StdTcpStream>(WAITING);
        let load = Arc::new(AtomicUsize::new(0));
        let (shared, counted) = (Arc::clone(shared), Arc::clone(&load));
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let made = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
                let (runtime, made) =
                    made.map_or_else(|error| (None, Err(error)), |made| (Some(made), Ok(())));
                // Whoever starts a worker waits for this.
                let _heard = ready.send(made);
                let Some(runtime) = runtime else { return };
                runtime.block_on(async move {
                    let watched = Arc::clone(&shared);
                    tokio::task::spawn_local(async move { watched.overload.watch(index).await });
                    while let Some(socket) = queue.recv().await {
                        let guard = LoadGuard(Arc::clone(&counted));
                        tokio::task::spawn_local(serve(socket, Arc::clone(&shared), guard));
                    }
                });
            })
            .context("a worker could not be started")?;
        started.recv().context("a worker did not start")?.context("a worker has no runtime")?;
        Ok(Self { sockets, load })
    }
}

/// Counts a connection for as long as it lasts.
#[derive(Debug)]
pub(crate) struct LoadGuard(Arc<AtomicUsize>);

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(socket: StdTcpStream, shared: Arc<Shared>, guard: LoadGuard) {
    let socket = match TcpStream::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(%error, "a connection was lost before it was served");
            return;
        }
    };
    // 20 ms frames must not wait for more data.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY can't be set");
    }
    let guard = std::rc::Rc::new(guard);
    let service = service_fn(move |request| {
        let (shared, guard) = (Arc::clone(&shared), std::rc::Rc::clone(&guard));
        async move { http::route(request, shared, guard).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(std::time::Duration::from_secs(10))
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended");
    }
}
