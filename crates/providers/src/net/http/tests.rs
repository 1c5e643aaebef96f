use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers one connection's request, and gives the request.
async fn serve(listener: TcpListener, answer: &[u8]) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 4_096];
        let length = stream.read(&mut piece).await.unwrap();
        seen.extend_from_slice(&piece[..length]);
    }
    stream.write_all(answer).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn a_proxy_is_asked_and_told_who_we_are() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://me:secret@{}", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    let proxies = Arc::new(Matcher::builder().all(proxy).build());
    let http = Http::through("x", Deadlines::default(), proxies);
    let request = Request::get("http://api.example/v1").body(Full::default()).unwrap();
    let mut answer = http.send(request).await.unwrap();
    assert_eq!(&answer.bytes(10).await.unwrap()[..], b"ok");
    let seen = server.await.unwrap().to_lowercase();
    assert!(
        seen.starts_with("get http://api.example/v1 ") && seen.contains("proxy-authorization: basic "),
        "{seen}"
    );
}

#[tokio::test]
async fn a_tunnel_is_asked_for_and_its_refusal_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = vec![0; 4_096];
        let length = stream.read(&mut seen).await.unwrap();
        stream.write_all(refusal).await.unwrap();
        String::from_utf8_lossy(&seen[..length]).into_owned()
    });
    let proxies = Arc::new(Matcher::builder().all(proxy).build());
    let http = Http::through("x", Deadlines::default(), proxies);
    let request = Request::get("https://api.example/v1").body(Full::default()).unwrap();
    let error = http.send(request).await.unwrap_err();
    assert!(error.to_string().contains("its proxy"), "{error}");
    assert!(server.await.unwrap().starts_with("CONNECT api.example:443 HTTP/1.1"));
}

#[tokio::test]
async fn a_compressed_answer_is_read() {
    use std::io::Write as _;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"{\"a\":1}").unwrap();
    let mut whole = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n".to_vec();
    whole.extend(gzip.finish().unwrap());
    let server = tokio::spawn(async move { serve(listener, &whole).await });
    let http = Http::new("x", Deadlines::default());
    let mut answer = http.send(Request::get(url).body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(&answer.bytes(100).await.unwrap()[..], b"{\"a\":1}");
    assert!(server.await.unwrap().contains("accept-encoding: gzip"));
    assert!(http.distance().round_trip > Duration::ZERO);
}

#[test]
fn paths_are_joined_and_queries_kept() {
    assert_eq!(join("https://a.example/v1/", "/chat/completions"), "https://a.example/v1/chat/completions");
    assert_eq!(join("https://a.example/d?api-version=1", "chat"), "https://a.example/d/chat?api-version=1");
}

#[test]
fn a_key_with_a_line_break_is_refused_without_being_shown() {
    let headers = [("authorization".to_owned(), "Bearer sk-secret\r\nx: y".to_owned())];
    let error = post_json("x", "http://a.example/", &headers, &serde_json::Value::Null).unwrap_err();
    assert!(!error.to_string().contains("sk-secret"), "{error}");
}

/// A server whose first connection answers one request, and is closed when the next has been read, as servers do that tire of
/// a connection without saying so; later ones answer `again`, or nothing. Gives how many connections there were.
async fn closes_silently(listener: TcpListener, again: bool) -> usize {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let mut piece = [0; 4_096];
    for connection in 1.. {
        let accepted = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
        let Ok(Ok((mut stream, _))) = accepted else { return connection - 1 };
        if stream.read(&mut piece).await.unwrap() == 0 {
            continue;
        }
        if connection == 1 || again {
            stream.write_all(answer).await.unwrap();
        }
        if connection == 1 {
            assert!(stream.read(&mut piece).await.unwrap() > 0, "the connection was kept open");
        }
    }
    0
}

/// Asks such a server twice; the second answer, and how many connections it took.
async fn asked_twice(method: Method, repeating: bool, again: bool) -> (Result<Answer, StageError>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = tokio::spawn(closes_silently(listener, again));
    let http = Http::new("x", Deadlines::default());
    let http = if repeating { http.repeating() } else { http };
    let request = || {
        let request = Request::builder().method(method.clone()).uri(&url);
        request.body(Full::new(Bytes::from_static(b"{}"))).unwrap()
    };
    let mut first = http.send(request()).await.unwrap();
    assert_eq!(&first.bytes(10).await.unwrap()[..], b"ok");
    let second = http.send(request()).await;
    (second, server.await.unwrap())
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let (answer, connections) = asked_twice(Method::POST, true, true).await;
    assert_eq!(&answer.unwrap().bytes(10).await.unwrap()[..], b"ok");
    assert_eq!(connections, 2);
    let (answer, _) = asked_twice(Method::GET, false, true).await;
    answer.unwrap();
}

#[tokio::test]
async fn what_a_server_may_have_acted_on_is_not_sent_again() {
    let (answer, connections) = asked_twice(Method::POST, false, true).await;
    assert!(matches!(answer, Err(StageError::Broken { .. })));
    assert_eq!(connections, 1);
}

#[tokio::test]
async fn a_server_that_closes_new_connections_too_is_given_up() {
    let (answer, connections) = asked_twice(Method::POST, true, false).await;
    assert!(matches!(answer, Err(StageError::Broken { .. })));
    assert_eq!(connections, 2);
}

#[tokio::test]
async fn a_connection_opened_ahead_carries_the_first_request_and_nothing_before() {
    for closed in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Uri = format!("http://{}/v1", listener.local_addr().unwrap()).parse().unwrap();
        let http = Http::new("x", Deadlines::default()).repeating();
        http.open_ahead(&url).await;
        http.open_ahead(&url).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut piece = [0; 4_096];
        let early = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut piece)).await;
        assert!(early.is_err(), "something came before the request");
        let server = tokio::spawn(async move {
            if closed {
                // The server has tired of it: the request comes over another.
                drop(stream);
                stream = listener.accept().await.unwrap().0;
            }
            assert!(stream.read(&mut piece).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            stream
        });
        let request = Request::post(&url).body(Full::new(Bytes::from_static(b"{}"))).unwrap();
        let mut answer = http.send(request).await.unwrap();
        assert_eq!(&answer.bytes(10).await.unwrap()[..], b"ok", "{closed}");
        server.await.unwrap();
    }
}

/// How a server of HTTP/2 meets the second request of its first connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meets {
    /// It takes no more requests, before that one came.
    GoneBefore,
    /// It goes away while the request waits.
    Goes,
    /// It refuses that request unread.
    Refuses,
}

#[tokio::test]
async fn requests_that_meet_the_leave_of_an_http2_server_are_sent_again() {
    for meets in [Meets::GoneBefore, Meets::Goes, Meets::Refuses] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Uri = format!("http://{}/v1", listener.local_addr().unwrap()).parse().unwrap();
        let server = tokio::spawn(async move {
            for number in 0..2 {
                let stream = listener.accept().await.unwrap().0;
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut asked = 0;
                while let Some(Ok((_, mut answer))) = connection.accept().await {
                    asked += 1;
                    if number == 0 && asked == 2 && meets == Meets::Goes {
                        connection.abrupt_shutdown(h2::Reason::NO_ERROR);
                        let _gone = std::future::poll_fn(|context| connection.poll_closed(context)).await;
                        break;
                    }
                    if number == 0 && asked == 2 {
                        answer.send_reset(h2::Reason::REFUSED_STREAM);
                        connection.graceful_shutdown();
                        continue;
                    }
                    let mut body = answer.send_response(::http::Response::new(()), false).unwrap();
                    body.send_data(Bytes::from_static(b"ok"), true).unwrap();
                    if number == 0 && meets == Meets::GoneBefore {
                        connection.graceful_shutdown();
                    }
                }
            }
        });
        let mut http = Http::new("x", Deadlines::default()).repeating();
        http.client = Client::builder(TokioExecutor::new()).http2_only(true).build(http.ahead.clone());
        for _ in 0..2 {
            let request = Request::post(&url).body(Full::new(Bytes::from_static(b"{}"))).unwrap();
            let mut answer = http.send(request).await.unwrap_or_else(|error| panic!("{meets:?}: {error}"));
            assert_eq!(&answer.bytes(10).await.unwrap()[..], b"ok", "{meets:?}");
        }
        server.abort();
    }
}
