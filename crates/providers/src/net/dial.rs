//! Sockets opened ahead, while the telephone still rings, and how far their server is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use offhook_stages::{Distance, StageError};
use tokio::time::Instant;

use super::Deadlines;
use super::ws::Socket;

/// A socket that is opened ahead is kept so long: the call comes by then, and no provider closes a silent one sooner.
const KEPT: Duration = Duration::from_secs(8);
/// Sockets opened ahead that wait for their calls.
const MOST_KEPT: usize = 8;
/// A lost connection is opened again after up to so long: all calls of a server have lost theirs at once.
const SPREAD_MS: u64 = 250;

/// Headers of a socket's request.
pub type Headers = Vec<(&'static str, String)>;

/// How far a server is: smoothed, from the times that its connections took. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Distance>>);

impl Meter {
    /// A connection took so long: its first answer, and in all.
    pub fn took(&self, round_trip: Duration, connect: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let smooth = |old: Duration, new: Duration| if old.is_zero() { new } else { (old * 3 + new) / 4 };
        known.round_trip = smooth(known.round_trip, round_trip);
        known.connect = smooth(known.connect, connect);
    }

    /// What is known.
    #[must_use]
    pub fn distance(&self) -> Distance {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Kept {
    url: String,
    headers: Headers,
    since: Instant,
    socket: Box<Socket>,
}

/// Opens a stage's sockets. Clones share what was opened ahead.
#[derive(Clone, Default)]
pub struct Dial {
    meter: Meter,
    kept: Arc<Mutex<Vec<Kept>>>,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial").field("distance", &self.distance()).finish_non_exhaustive()
    }
}

impl Dial {
    /// A socket: one that was opened ahead, or a new one.
    ///
    /// # Errors
    /// As for [`Socket::connect`].
    pub async fn connect(
        &self,
        stage: &str,
        url: &str,
        headers: &[(&'static str, String)],
        deadlines: &Deadlines,
    ) -> Result<Socket, StageError> {
        if let Some(socket) = self.take(url, headers) {
            return Ok(*socket);
        }
        Socket::connect_measured(stage, url, headers, deadlines, &self.meter).await
    }

    /// As [`connect`](Self::connect), after one was lost: not at the same moment as all other calls.
    ///
    /// # Errors
    /// As for [`Socket::connect`].
    pub async fn reconnect(
        &self,
        stage: &str,
        url: &str,
        headers: &[(&'static str, String)],
        deadlines: &Deadlines,
        call: &str,
    ) -> Result<Socket, StageError> {
        tokio::time::sleep(jitter(call)).await;
        self.connect(stage, url, headers, deadlines).await
    }

    /// Opens a socket ahead, unless one waits. What goes wrong is told by the call that needs it.
    pub async fn open_ahead(&self, stage: &str, url: String, headers: Headers, deadlines: &Deadlines) {
        let opened = Socket::connect_measured(stage, &url, &headers, deadlines, &self.meter).await;
        let Ok(socket) = opened else { return };
        let since = Instant::now();
        let kept = Kept { url, headers, since, socket: Box::new(socket) };
        let mut all = self.lock();
        all.retain(|kept| kept.since.elapsed() < KEPT);
        if all.len() < MOST_KEPT {
            all.push(kept);
        }
        drop(all);
        // Nobody calls after all: the socket isn't held longer.
        let this = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            this.lock().retain(|kept| kept.since.elapsed() < KEPT);
        });
    }

    /// How far the server is.
    #[must_use]
    pub fn distance(&self) -> Distance {
        self.meter.distance()
    }

    fn take(&self, url: &str, headers: &[(&'static str, String)]) -> Option<Box<Socket>> {
        let mut all = self.lock();
        let fits = |kept: &Kept| kept.url == url && kept.headers == headers && kept.since.elapsed() < KEPT;
        while let Some(at) = all.iter().position(fits) {
            let mut socket = all.swap_remove(at).socket;
            if socket.is_alive() {
                return Some(socket);
            }
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment that is another for every call, and the same for each.
pub(crate) fn jitter(call: &str) -> Duration {
    let hash = call.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    Duration::from_millis((hash >> 32) % SPREAD_MS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_async;

    use super::*;

    #[test]
    fn distances_are_smoothed_and_calls_spread() {
        let meter = Meter::default();
        meter.took(Duration::from_millis(100), Duration::from_millis(300));
        meter.took(Duration::from_millis(500), Duration::from_millis(700));
        let known = meter.distance();
        assert_eq!(
            (known.round_trip, known.connect),
            (Duration::from_millis(200), Duration::from_millis(400))
        );
        let spread: BTreeSet<Duration> = (0..100).map(|call| jitter(&format!("CA{call:032}"))).collect();
        assert!(spread.len() > 60 && spread.iter().all(|wait| *wait < Duration::from_millis(SPREAD_MS)));
    }

    #[tokio::test]
    async fn a_socket_that_closed_meanwhile_is_not_taken_and_a_greeting_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v1", listener.local_addr().unwrap());
        let (dial, deadlines) = (Dial::default(), Deadlines::default());
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            accept_async(stream).await.unwrap().close(None).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_async(stream).await.unwrap();
            socket.send("hello".into()).await.unwrap();
            socket
        });
        dial.open_ahead("x", url.clone(), Vec::new(), &deadlines).await;
        // Until the farewell is there.
        while dial.lock().first_mut().is_some_and(|kept| kept.socket.is_alive()) {
            tokio::task::yield_now().await;
        }
        let mut socket = dial.connect("x", &url, &[], &deadlines).await.unwrap();
        let _server = server.await.unwrap();
        while socket.is_alive() && !socket.has_early() {
            tokio::task::yield_now().await;
        }
        assert_eq!(socket.recv().await.unwrap(), Some(crate::net::ws::Message::Text("hello".into())));
    }

    #[tokio::test]
    async fn a_socket_that_was_opened_ahead_is_taken_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v1", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut sockets = Vec::new();
            for _ in 0..2 {
                let (stream, _) = listener.accept().await.unwrap();
                sockets.push(accept_async(stream).await.unwrap());
            }
            // Text comes over the first.
            sockets[0].next().await.unwrap().unwrap().into_text().unwrap().to_string()
        });
        let (dial, deadlines) = (Dial::default(), Deadlines::default());
        dial.open_ahead("x", url.clone(), Vec::new(), &deadlines).await;
        assert!(dial.distance().connect > Duration::ZERO);
        assert!(dial.take(&url, &[("authorization", "other".to_owned())]).is_none(), "another key's");
        let mut first = dial.connect("x", &url, &[], &deadlines).await.unwrap();
        let _second = dial.connect("x", &url, &[], &deadlines).await.unwrap();
        first.send_text("hello".to_owned()).await.unwrap();
        assert_eq!(server.await.unwrap(), "hello");
    }
}
