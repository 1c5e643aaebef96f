//! The open HTTP connections: how many there may be, and which has to go for a new one.
//!
//! Upgraded sockets are no longer counted here. At the limit the oldest connection goes that has shown no credentials, so
//! strangers who hold connections open keep nobody out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use tokio::sync::Notify;

/// `[http]`: bounds of what may be open.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpConfig {
    /// HTTP connections open at most, calls' sockets not counted; over it, the oldest goes that has no right to stay.
    /// Default 1024.
    pub(crate) connections: usize,
    /// Of one address; proxies that are trusted are not bounded. Default 128.
    pub(crate) connections_per_peer: usize,
    /// Proxies whose `Forwarded` and `X-Forwarded-*` headers are believed: addresses or networks, such as `10.0.0.0/8`.
    /// Default: this machine and private networks.
    pub(crate) trusted_proxies: Vec<super::super::proxies::Network>,
    /// TLS of its own. Default: none, a proxy terminates it.
    pub(crate) tls: Option<super::tls::TlsConfig>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connections: 1_024,
            connections_per_peer: 128,
            trusted_proxies: super::super::proxies::Network::private(),
            tls: None,
        }
    }
}

impl HttpConfig {
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) peer: IpAddr,
    /// Its peer may speak for others.
    pub(crate) is_proxy: bool,
    /// It is under TLS.
    pub(crate) is_tls: bool,
    known: AtomicBool,
    close: Notify,
}

impl Conn {
    pub(crate) fn new(peer: IpAddr, is_proxy: bool) -> Self {
        Self { peer, is_proxy, is_tls: false, known: AtomicBool::new(false), close: Notify::new() }
    }

    pub(crate) const fn over_tls(mut self, is_tls: bool) -> Self {
        self.is_tls = is_tls;
        self
    }

    /// Its requests have shown credentials: it is not closed in favour of others.
    pub(crate) fn is_known(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Waits until it has to go.
    pub(crate) async fn must_go(&self) {
        self.close.notified().await;
    }
}

/// All open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    most_per_peer: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Oldest first.
    all: BTreeMap<u64, Arc<Conn>>,
    per_peer: BTreeMap<IpAddr, usize>,
    next: u64,
}

/// Counts a connection for as long as it lasts.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    number: u64,
    pub(crate) conn: Arc<Conn>,
}

impl Connections {
    /// Within the bounds of the configuration, and of the descriptors that this process may have: calls need some too.
    pub(crate) fn new(config: &HttpConfig, descriptors: usize) -> Self {
        Self {
            most: config.connections.min(descriptors / 3).max(1),
            most_per_peer: config.connections_per_peer.max(1),
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection; another may have to go for it. `None` if there is none.
    pub(crate) fn enter(self: &Arc<Self>, conn: Conn) -> Option<Place> {
        let conn = Arc::new(conn);
        let mut open = self.open();
        let of_peer = open.per_peer.get(&network(conn.peer)).copied().unwrap_or(0);
        let crowded = !conn.is_proxy && of_peer >= self.most_per_peer;
        if crowded || open.all.len() >= self.most {
            let may_go = |other: &&Arc<Conn>| {
                !other.known.load(Ordering::Relaxed)
                    && (!crowded || network(other.peer) == network(conn.peer))
            };
            let (number, oldest) =
                open.all.iter().find(|(_, other)| may_go(other)).map(|(n, other)| (*n, Arc::clone(other)))?;
            open.remove(number);
            oldest.close.notify_one();
        }
        let number = open.next;
        open.next += 1;
        open.all.insert(number, Arc::clone(&conn));
        *open.per_peer.entry(network(conn.peer)).or_default() += 1;
        Some(Place { connections: Arc::clone(self), number, conn })
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.open().all.len()
    }
}

impl Open {
    fn remove(&mut self, number: u64) {
        let Some(conn) = self.all.remove(&number) else { return };
        let peer = network(conn.peer);
        if let Some(count) = self.per_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.per_peer.remove(&peer);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().remove(self.number);
    }
}

/// Whoever has an IPv6 address has 2⁶⁴ of them.
pub(crate) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(most: usize, most_per_peer: usize) -> Arc<Connections> {
        let config =
            HttpConfig { connections: most, connections_per_peer: most_per_peer, ..HttpConfig::default() };
        Arc::new(Connections::new(&config, 100_000))
    }

    fn conn(peer: &str) -> Conn {
        Conn::new(peer.parse().unwrap(), false)
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_stranger_goes_for_a_new_connection() {
        let connections = connections(3, 10);
        let known = connections.enter(conn("192.0.2.1")).unwrap();
        known.conn.is_known();
        let stranger = connections.enter(conn("192.0.2.2")).unwrap();
        let other = connections.enter(conn("192.0.2.3")).unwrap();
        let new = connections.enter(conn("192.0.2.4")).unwrap();
        stranger.conn.must_go().await;
        assert_eq!(connections.count(), 3);
        drop(stranger);
        assert_eq!(connections.count(), 3, "it was taken off before");
        other.conn.is_known();
        new.conn.is_known();
        assert!(connections.enter(conn("192.0.2.5")).is_none());
        drop(new);
        assert!(connections.enter(conn("192.0.2.5")).is_some());
        drop((known, other));
        assert_eq!((connections.count(), connections.open().per_peer.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_peer_pushes_out_only_itself() {
        let connections = connections(10, 2);
        let elsewhere = connections.enter(conn("192.0.2.9")).unwrap();
        let first = connections.enter(conn("2001:db8::1")).unwrap();
        let _second = connections.enter(conn("2001:db8::2")).unwrap();
        let _third = connections.enter(conn("2001:db8::3")).unwrap();
        first.conn.must_go().await;
        assert_eq!(connections.count(), 3);
        let goes = tokio::time::timeout(std::time::Duration::from_secs(1), elsewhere.conn.must_go());
        assert!(goes.await.is_err());
        let proxy = || Conn::new("127.0.0.1".parse().unwrap(), true);
        let many: Vec<Place> = (0..7).filter_map(|_| connections.enter(proxy())).collect();
        assert_eq!(many.len(), 7);
    }
}
