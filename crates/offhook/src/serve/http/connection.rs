//! One connection: its head, its time limits, its end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt;

use super::super::life::{Life, Phase};
use super::registry::Place;
use super::stall::Stall;

/// A request's head must be here within this, and a kept-alive connection must ask again.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Longest head, in octets: Twilio's have about 1 kB.
const LONGEST_HEAD: usize = 16 * 1024;
/// Most headers.
const MOST_HEADERS: usize = 64;

/// Serves a connection to its end, or to the end of what it is asking when the server ends.
pub(crate) async fn serve<S>(stream: S, place: Place, router: Router, life: Arc<Life>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let conn = Arc::clone(&place.conn);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&conn));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(Stall::new(stream)), service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            outcome = &mut connection => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "a connection ended");
                }
                return;
            }
            () = place.conn.must_go() => {
                tracing::debug!("a connection was closed: there are too many");
                return;
            }
            () = life.until(Phase::Ending), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    use super::super::body::collect;
    use super::super::registry::{Conn, Connections, HttpConfig};
    use super::*;

    fn open(life: &Arc<Life>) -> (DuplexStream, Arc<Connections>) {
        let router = Router::new().route("/", get(|| async { "here" })).route(
            "/body",
            post(|request: Request<axum::body::Body>| async {
                collect(request.into_body(), 100)
                    .await
                    .map_or_else(|error| error.to_string(), |_| "whole".into())
            }),
        );
        let connections = Arc::new(Connections::new(&HttpConfig::default(), 1_000));
        let place = connections.enter(Conn::new("192.0.2.1".parse().unwrap(), false)).unwrap();
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(serve(ours, place, router, Arc::clone(life)));
        (theirs, connections)
    }

    async fn told(stream: &mut DuplexStream) -> (String, Duration) {
        let begun = Instant::now();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        (all, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn heads_bodies_and_idle_connections_have_their_time() {
        let life = Arc::new(Life::default());
        for half in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\nA: "] {
            let (mut stream, _open) = open(&life);
            stream.write_all(half.as_bytes()).await.unwrap();
            let (_, after) = told(&mut stream).await;
            assert!(after <= HEAD_WITHIN + Duration::from_secs(1), "{half:?}: {after:?}");
        }
        let (mut stream, _open) = open(&life);
        stream.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf").await.unwrap();
        let (answer, after) = told(&mut stream).await;
        assert!(answer.ends_with("within 10s") && after < Duration::from_secs(21), "{after:?} {answer}");
        // One that asked, and then nothing more.
        let (mut stream, _open) = open(&life);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let (answer, after) = told(&mut stream).await;
        assert!(answer.ends_with("here") && after <= HEAD_WITHIN + Duration::from_secs(1), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn heads_are_bounded() {
        let life = Arc::new(Life::default());
        for head in [
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000)),
            format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(100)),
        ] {
            let (mut stream, _open) = open(&life);
            stream.write_all(head.as_bytes()).await.unwrap();
            let (answer, _) = told(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_must_go_is_gone_and_one_that_waits_ends_with_the_server() {
        let life = Arc::new(Life::default());
        let (mut stream, connections) = open(&life);
        stream.write_all(b"GET / HT").await.unwrap();
        tokio::task::yield_now().await;
        life.advance(Phase::Ending);
        let (_, after) = told(&mut stream).await;
        assert!(after < HEAD_WITHIN + Duration::from_secs(1), "{after:?}");
        drop(connections);
    }
}
