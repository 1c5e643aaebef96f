//! The stream's WebSocket handshake, as Twilio makes it: HTTP/1.1, no Origin, no subprotocol, no extension, no redirect.

use offhook_twilio::signature::{AuthToken, sign};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::causes::{self, Cause};
use crate::dial::{self, Failed, Target, Way, Wire};

/// Longest head of an answer.
const LONGEST_HEAD: usize = 16 * 1024;

/// An open stream.
pub(crate) type Socket = WebSocketStream<Box<dyn Wire>>;

/// A handshake to make.
#[derive(Clone, Debug)]
pub(crate) struct Plan<'a> {
    /// As the document has it, without its query.
    pub(crate) url: String,
    /// What was after `?`.
    pub(crate) query: Option<String>,
    /// Connect without TLS all the same: the server is being tested on this machine.
    pub(crate) plain: bool,
    pub(crate) token: Option<&'a AuthToken>,
    pub(crate) way: Way<'a>,
    /// Who Twilio says it is: Media Streams and ConversationRelay differ.
    pub(crate) agent: &'static str,
}

/// What one handshake differs in from Twilio's.
#[derive(Clone, Copy, Debug, Default)]
struct Odd<'a> {
    query: Option<&'a str>,
    origin: bool,
    signature: Option<&'a str>,
}

/// Opens the stream. When it is refused, tries what would be accepted, to name the cause.
pub(crate) async fn open(plan: &Plan<'_>) -> Result<Socket, Failed> {
    let refused = match attempt(plan, Odd::default()).await {
        Ok(socket) => return Ok(socket),
        Err(failed) => failed,
    };
    let generic = [
        &causes::UPGRADE_NOT_FOUND,
        &causes::UPGRADE_FORBIDDEN,
        &causes::UPGRADE_STATUS,
        &causes::UPGRADE_CLOSED,
        &causes::UPGRADE_EATEN,
    ];
    if !generic.contains(&refused.cause) {
        return Err(refused);
    }
    if let Some(query) = &plan.query
        && attempt(plan, Odd { query: Some(query), ..Odd::default() }).await.is_ok()
    {
        let what = format!("{}; with the query that Twilio drops it is accepted", refused.what);
        return Err(Failed::new(&causes::STREAM_QUERY_NEEDED, what));
    }
    if attempt(plan, Odd { origin: true, ..Odd::default() }).await.is_ok() {
        let what = format!("{}; with an Origin header it is accepted", refused.what);
        return Err(Failed::new(&causes::UPGRADE_ORIGIN, what));
    }
    if let (Some(token), Some((_, rest))) = (plan.token, plan.url.split_once("://")) {
        for scheme in ["https", "http", "ws"] {
            let signature = sign(token, &format!("{scheme}://{rest}"), &[]);
            if attempt(plan, Odd { signature: Some(&signature), ..Odd::default() }).await.is_ok() {
                let what =
                    format!("{}; signed over {scheme}:// instead of wss:// it is accepted", refused.what);
                return Err(Failed::new(&causes::UPGRADE_OTHER_URL, what));
            }
        }
    }
    Err(refused)
}

/// Whether the server takes a stream that was signed by somebody else.
pub(crate) async fn takes_forged(plan: &Plan<'_>) -> bool {
    let forged = sign(&AuthToken::new("not the token"), &plan.url, &[]);
    attempt(plan, Odd { signature: Some(&forged), ..Odd::default() }).await.is_ok()
}

async fn attempt(plan: &Plan<'_>, odd: Odd<'_>) -> Result<Socket, Failed> {
    let target = Target::parse(&plan.url)
        .ok_or_else(|| Failed::new(&causes::STREAM_URL_BROKEN, format!("`{}` is no URL", plan.url)))?;
    let connection = dial::open(&target, !plan.plain, plan.way).await?;
    let within = plan.way.limits.handshake;
    tokio::time::timeout(within, shake(plan, &target, odd, connection.wire)).await.unwrap_or_else(|_| {
        let what = format!("{} gave no answer to the handshake within {within:?}", plan.url);
        Err(Failed::new(&causes::UPGRADE_SILENT, what))
    })
}

async fn shake(
    plan: &Plan<'_>,
    target: &Target,
    odd: Odd<'_>,
    mut wire: Box<dyn Wire>,
) -> Result<Socket, Failed> {
    let key = generate_key();
    let mut path = target.path.clone();
    if let Some(query) = odd.query {
        path = format!("{path}?{query}");
    }
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nuser-agent: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n",
        target.authority, plan.agent
    );
    if odd.origin {
        request.push_str(&format!("origin: https://{}\r\n", target.authority));
    }
    match (odd.signature, plan.token) {
        (Some(signature), _) => request.push_str(&format!("x-twilio-signature: {signature}\r\n")),
        (None, Some(token)) => {
            request.push_str(&format!("x-twilio-signature: {}\r\n", sign(token, &plan.url, &[])));
        }
        (None, None) => {}
    }
    request.push_str("\r\n");
    let closed = |why: &str| Failed::new(&causes::UPGRADE_CLOSED, format!("{}: {why}", plan.url));
    if let Err(error) = wire.write_all(request.as_bytes()).await {
        return Err(closed(&format!("the connection broke while the handshake was sent: {error}")));
    }
    let mut read = Vec::new();
    loop {
        if read.starts_with(b"HTTP/1") && read.windows(4).any(|four| four == b"\r\n\r\n") {
            break;
        }
        if read.len() >= 9 && !read.starts_with(b"HTTP/1") {
            return Err(not_http(plan, &read));
        }
        let mut buffer = [0; 2048];
        let count = match wire.read(&mut buffer).await {
            Ok(count) => count,
            Err(error) => return Err(closed(&format!("the connection broke before an answer: {error}"))),
        };
        if count == 0 && read.is_empty() {
            return Err(closed("the server closed the connection without an answer"));
        }
        if count == 0 || read.len() > LONGEST_HEAD {
            return Err(not_http(plan, &read));
        }
        read.extend(buffer.iter().take(count));
    }
    let rest = judge(plan, &key, &read)?;
    Ok(WebSocketStream::from_partially_read(wire, rest, Role::Client, None).await)
}

fn not_http(plan: &Plan<'_>, read: &[u8]) -> Failed {
    // A frame of HTTP/2 is a length, a type (SETTINGS 4, GOAWAY 7) and flags (RFC 9113, 4.1).
    if let [0, 0, _, 4 | 7, ..] = read {
        return Failed::new(&causes::HTTP2_ONLY, format!("{} answers in HTTP/2", plan.url));
    }
    let start: String = String::from_utf8_lossy(read).chars().take(40).collect();
    Failed::new(&causes::NOT_HTTP, format!("{} answers with no HTTP/1.1: {start:?}", plan.url))
}

/// Judges the answer's head; gives what came behind it.
fn judge(plan: &Plan<'_>, key: &str, read: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = head.parse(read) else {
        return Err(not_http(plan, read));
    };
    let rest = read.get(length..).unwrap_or(&[]);
    let value = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).trim().to_owned())
    };
    let status = head.code.unwrap_or(0);
    let fail = |cause: &'static Cause, what: &str| Err(Failed::new(cause, format!("{} {what}", plan.url)));
    if status != 101 {
        let body = String::from_utf8_lossy(rest).to_ascii_lowercase();
        let location = value("location").map(|location| format!(" to {location}")).unwrap_or_default();
        let what = format!("answers the handshake with status {status}{location}");
        if body.contains("subprotocol") || body.contains("sec-websocket-protocol") {
            return fail(&causes::SUBPROTOCOL_DEMANDED, &format!("{what}, and names the subprotocol"));
        }
        if ["transport unknown", "engine.io", "socket.io"].iter().any(|word| body.contains(word)) {
            return fail(&causes::SOCKET_IO, &format!("{what}, in Socket.IO's words"));
        }
        // What libraries say to a request from which a proxy took `Upgrade`, whatever the status.
        let plain = ["websocket", "upgrade"].iter().any(|word| body.contains(word));
        let proxied = value("server").is_some_and(|server| server.to_ascii_lowercase().contains("nginx"));
        let eaten =
            (plain && matches!(status, 400 | 404 | 405 | 501)) || (proxied && body.contains("cannot get"));
        let cause = match status {
            _ if eaten => &causes::UPGRADE_EATEN,
            301 | 302 | 303 | 307 | 308 => &causes::UPGRADE_REDIRECT,
            401 | 403 | 407 => &causes::UPGRADE_FORBIDDEN,
            404 | 410 => &causes::UPGRADE_NOT_FOUND,
            // 405: the path is there, but for something else than a WebSocket.
            200..=299 | 405 | 426 => &causes::UPGRADE_EATEN,
            502..=504 | 521..=523 | 530 => &causes::UPGRADE_GATEWAY,
            _ => &causes::UPGRADE_STATUS,
        };
        return fail(cause, &what);
    }
    let has = |name: &str, token: &str| {
        value(name).is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    if !has("upgrade", "websocket") || !has("connection", "upgrade") {
        return fail(
            &causes::UPGRADE_HEADERS,
            "answers 101 without `Upgrade: websocket` and `Connection: Upgrade`",
        );
    }
    if value("sec-websocket-accept").as_deref() != Some(derive_accept_key(key.as_bytes()).as_str()) {
        return fail(&causes::ACCEPT_WRONG, "answers with a wrong Sec-WebSocket-Accept, or none");
    }
    if let Some(protocol) = value("sec-websocket-protocol") {
        return fail(&causes::SUBPROTOCOL_ANSWERED, &format!("answers with the subprotocol `{protocol}`"));
    }
    if let Some(extension) = value("sec-websocket-extensions") {
        return fail(&causes::EXTENSION_ANSWERED, &format!("answers with the extension `{extension}`"));
    }
    Ok(rest.to_vec())
}
