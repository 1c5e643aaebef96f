//! The listener: connections come in, as many as there is room for.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::Edge;
use super::super::life::Phase;
use super::connection::serve;
use super::registry::Conn;
use super::router::{Serves, router};
use super::wire::Wire;

/// After a refusal of the system, such as for want of descriptors, the next try waits so long.
const PAUSE: Duration = Duration::from_millis(50);
/// What is being answered when the server ends has so long.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Takes connections until the server ends.
pub(crate) async fn accept(listener: &TcpListener, edge: &Arc<Edge>, serves: Serves) {
    let router = router(edge, serves);
    let shared = &edge.shared;
    // Counters are for this machine, or a network of one's own.
    let tls = shared.tls.as_ref().filter(|_| serves == Serves::Everybody);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let peer = address.ip().to_canonical();
                    let conn = Conn::new(peer, shared.http.trusts(peer)).over_tls(tls.is_some());
                    let Some(place) = shared.connections.enter(conn) else {
                        shared.metrics.connections_refused.inc();
                        tracing::warn!(%peer, "a connection was refused: too many are open");
                        continue;
                    };
                    // Frames of 20 ms must not wait for more data.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY can't be set");
                    }
                    let (router, life, tls) = (router.clone(), Arc::clone(&shared.life), tls.cloned());
                    open.spawn(async move {
                        let Some(tls) = tls else {
                            return serve(Wire::plain(stream), place, router, life).await;
                        };
                        let wire = tokio::select! {
                            wire = tls.accept(stream) => wire,
                            () = place.conn.must_go() => None,
                        };
                        if let Some(wire) = wire {
                            serve(wire, place, router, life).await;
                        }
                    });
                }
                Err(error) => {
                    // Out of file descriptors, say: calls in progress go on, and so does the listener.
                    shared.metrics.accept_failures.inc();
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(ended) = open.join_next() => if ended.is_err() {
                shared.metrics.panics.inc();
            },
            () = shared.life.until(Phase::Ending) => break,
        }
    }
    let ended = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_ANSWERS, ended).await.is_err() {
        tracing::info!("connections that were still open are closed");
    }
}
