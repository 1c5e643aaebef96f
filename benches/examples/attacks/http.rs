//! Requests of every wrong shape: request lines, headers, lengths, chunks, and requests within requests.

use std::rc::Rc;

use crate::target::{Answer, Target, no_fault, refused};
use crate::{Attack, attack};

const LAYER: &str = "http";

type Judge = fn(&Answer) -> Result<(), String>;

/// Nothing of the API's is granted, however the request is wrapped.
fn no_secret(answer: &Answer) -> Result<(), String> {
    no_fault(answer)?;
    if answer.text.contains("\"calls\":") || answer.text.contains("offhook_calls") {
        return Err(format!("the API answered to a stranger: {}", answer.text));
    }
    Ok(())
}

fn one(name: impl Into<String>, request: impl Into<Vec<u8>>, judge: Judge) -> Attack {
    let request = request.into();
    attack(LAYER, name, move |target: Rc<Target>| {
        let request = request.clone();
        async move { judge(&target.told(&request).await?) }
    })
}

pub(crate) fn all() -> Vec<Attack> {
    [smuggled(), lines(), paths(), headers(), chunks()].into_iter().flatten().collect()
}

/// Two lengths, or one that can be read in two ways, with a request behind.
fn smuggled() -> Vec<Attack> {
    let lengths = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4\r\nContent-Length: 4",
        "Content-Length: 4, 5",
        "Content-Length: +4",
        "Content-Length: -4",
        "Content-Length: 0x4",
        "Content-Length: 4 4",
        "Content-Length: 4.0",
        "Content-Length: 1e3",
        "Content-Length:",
        "Content-Length: 18446744073709551616",
        "Content-Length: 18446744073709551615",
        "Content-Length: 9223372036854775807",
        "Content-Length: 00000000000000000000000000000004",
        "Content-Length : 4",
        " Content-Length: 4",
        "Content-Length\t: 4",
        "Content-Length:\u{b}4",
        "Content_Length: 4",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: CHUNKED",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\r\n : chunked",
        "Transfer-Encoding: chu\r\n nked",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\0Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding",
        "Expect: 100-continue\r\nContent-Length: 4",
        "Expect: 200-ok\r\nContent-Length: 4",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ];
    let within = "0\r\n\r\nGET /calls HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    lengths
        .iter()
        .map(|lengths| {
            let request = format!("POST /voice HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n{within}");
            one(format!("smuggled by {:?}", lengths), request, no_secret)
        })
        .collect()
}

/// Request lines.
fn lines() -> Vec<Attack> {
    let lines: [(&str, Judge); 34] = [
        ("GET /calls", refused),
        ("GET /calls HTTP/0.9", refused),
        ("GET /calls HTTP/1.2", refused),
        ("GET /calls HTTP/2.0", refused),
        ("GET /calls HTTP/3", refused),
        ("GET /calls HTTP/1.1 HTTP/1.1", refused),
        ("GET  /calls HTTP/1.1", refused),
        ("GET\t/calls\tHTTP/1.1", refused),
        (" GET /calls HTTP/1.1", refused),
        ("GET /calls HTTP/1.0", no_secret),
        ("get /calls HTTP/1.1", no_secret),
        ("GET http://evil.example/calls HTTP/1.1", no_secret),
        ("GET https://user:word@evil.example:443/calls HTTP/1.1", no_secret),
        ("GET //evil.example/calls HTTP/1.1", no_secret),
        ("GET ftp://evil.example/ HTTP/1.1", no_secret),
        ("GET calls HTTP/1.1", refused),
        ("GET ?calls HTTP/1.1", refused),
        ("GET * HTTP/1.1", refused),
        ("OPTIONS * HTTP/1.1", no_secret),
        ("CONNECT evil.example:443 HTTP/1.1", refused),
        ("CONNECT /calls HTTP/1.1", refused),
        ("TRACE / HTTP/1.1", refused),
        ("TRACK / HTTP/1.1", refused),
        ("PRI * HTTP/2.0", refused),
        ("DEBUG / HTTP/1.1", refused),
        ("PROPFIND / HTTP/1.1", refused),
        ("PUT /calls HTTP/1.1", refused),
        ("PATCH /calls HTTP/1.1", refused),
        ("DELETE /voice HTTP/1.1", refused),
        ("HEAD /calls HTTP/1.1", no_secret),
        ("G\u{e9}T /calls HTTP/1.1", refused),
        ("GET /calls\0 HTTP/1.1", refused),
        ("GET /calls HTTP/1.1\rX", refused),
        ("\r\n\r\nGET /calls HTTP/1.1", no_secret),
    ];
    let mut all: Vec<Attack> = lines
        .into_iter()
        .map(|(line, judge)| one(format!("{line:?}"), format!("{line}\r\nHost: x\r\n\r\n"), judge))
        .collect();
    for (name, line) in [
        ("a method of 10 kB", format!("{} / HTTP/1.1", "A".repeat(10_000))),
        ("a path of 15 kB", format!("GET /{} HTTP/1.1", "a".repeat(15_000))),
        ("a path of 1 MB", format!("GET /{} HTTP/1.1", "a".repeat(1_000_000))),
        ("a query of 15 kB", format!("GET /voice?{} HTTP/1.1", "a&".repeat(7_500))),
        ("a query of escapes", format!("GET /voice?{} HTTP/1.1", "%41".repeat(1_600))),
    ] {
        all.push(one(name, format!("{line}\r\nHost: x\r\n\r\n"), refused));
    }
    all
}

/// Paths that would be others.
fn paths() -> Vec<Attack> {
    [
        "/../calls",
        "/./calls",
        "/voice/../calls",
        "/voice/..%2fcalls",
        "/%2e%2e/calls",
        "/%252e%252e/calls",
        "/..;/calls",
        "/voice;/../calls",
        "/%63alls",
        "/CALLS",
        "/calls/",
        "//calls",
        "/calls%00",
        "/calls%0d%0aX:%20y",
        "/calls%20",
        "/\\calls",
        "/console/../calls",
        "/console/%2e%2e/%2e%2e/etc/passwd",
        "/console/....//....//etc/passwd",
        "/v1/tapes/..%2f..%2fetc%2fpasswd",
        "/v1/history/%2e%2e%2f",
        "/_doubles/fault",
        "/.git/config",
        "/.env",
        "/%ff%fe",
        "/\u{202e}calls",
        "/calls#fragment",
        "/calls?token=a",
        "/calls/CA00000000000000000000000000000001/events",
        "/metrics",
        "/metrics/",
        "/v1/report",
        "/events",
        "/server",
    ]
    .into_iter()
    .map(|path| one(format!("the path {path}"), format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"), no_secret))
    .collect()
}

/// Headers.
fn headers() -> Vec<Attack> {
    let mut all = Vec::new();
    let long = |name: &str, length: usize| format!("{name}: {}", "a".repeat(length));
    for (name, headers, judge) in [
        ("no host", String::new(), no_secret as Judge),
        ("two hosts", "Host: a\r\nHost: b".to_owned(), no_secret),
        ("an empty host", "Host:".to_owned(), no_secret),
        ("a host with a path", "Host: a/../b".to_owned(), no_secret),
        ("a host of 10 kB", long("Host", 10_000), no_secret),
        ("a host with quotes", "Host: a\"><script>".to_owned(), no_secret),
        ("a header of 15 kB", long("A", 15_000), no_secret),
        ("a header of 1 MB", long("A", 1_000_000), refused),
        ("a name of 10 kB", format!("{}: b", "a".repeat(10_000)), no_secret),
        ("65 headers", "A: b\r\n".repeat(65), refused),
        ("10 000 headers", "A: b\r\n".repeat(10_000), refused),
        ("1 000 cookies", format!("Cookie: {}", "a=b; ".repeat(1_000)), no_secret),
        ("a header without a colon", "Abc".to_owned(), refused),
        ("a header without a name", ": b".to_owned(), refused),
        ("a name with a blank", "A b: c".to_owned(), refused),
        ("a name with a zero", "A\0: b".to_owned(), refused),
        ("a folded header", "A: b\r\n c".to_owned(), refused),
        ("a value with a return", "A: b\rc".to_owned(), refused),
        ("a value of controls", "A: \u{1}\u{2}\u{7f}".to_owned(), refused),
        ("a value that is no UTF-8", "A: \u{ff}".to_owned(), no_secret),
        ("two tokens", "Authorization: Bearer a\r\nAuthorization: Bearer b".to_owned(), no_secret),
        ("an empty token", "Authorization: Bearer ".to_owned(), no_secret),
        ("no token at all", "Authorization:".to_owned(), no_secret),
        ("a token of 10 kB", long("Authorization", 10_000), no_secret),
        ("a basic token", "Authorization: Basic YTpi".to_owned(), no_secret),
        ("a foreign origin", "Origin: https://evil.example".to_owned(), refused),
        ("the origin null", "Origin: null".to_owned(), refused),
        ("an origin of its own host", "Origin: http://x.evil.example".to_owned(), refused),
        ("another method in a header", "X-HTTP-Method-Override: DELETE".to_owned(), no_secret),
        ("another path in a header", "X-Original-URL: /calls\r\nX-Rewrite-URL: /calls".to_owned(), no_secret),
        ("ranges", format!("Range: bytes={}0-1", "0-1,".repeat(2_000)), no_secret),
        ("encodings", format!("Accept-Encoding: {}", "gzip,".repeat(2_000)), no_secret),
        ("a request id of 10 kB", long("X-Request-Id", 10_000), no_secret),
        ("a trace of nonsense", "Traceparent: 00-zz-zz-zz".to_owned(), no_secret),
    ] {
        let host = if headers.contains("Host") || name == "no host" { "" } else { "Host: x\r\n" };
        let end = if headers.is_empty() || headers.ends_with("\r\n") { "\r\n" } else { "\r\n\r\n" };
        all.push(one(name, format!("GET /calls HTTP/1.1\r\n{host}{headers}{end}"), judge));
    }
    all
}

/// Chunked bodies.
fn chunks() -> Vec<Attack> {
    let signature = format!("X-Twilio-Signature: {}=\r\n", "A".repeat(27));
    [
        ("a size without end", format!("{}\r\n", "f".repeat(64))),
        ("a size of 2^64", "10000000000000000\r\na".to_owned()),
        ("a size below zero", "-1\r\na\r\n".to_owned()),
        ("a size of letters", "xyz\r\na\r\n".to_owned()),
        ("a size with 0x", "0x4\r\na=bc\r\n0\r\n\r\n".to_owned()),
        ("an empty size", "\r\na\r\n".to_owned()),
        ("extensions of 64 kB", format!("1;{}\r\na\r\n0\r\n\r\n", "a=b;".repeat(16_000))),
        ("extensions on each of 16 000", "1;a=b\r\na\r\n".repeat(16_000)),
        ("an extension that never ends", format!("1;{}", "a".repeat(200_000))),
        ("a chunk without its end", "3\r\na=bX\r\n".to_owned()),
        ("a bare newline", "3\na=b\n0\n\n".to_owned()),
        ("10 000 trailers", format!("0\r\n{}\r\n", "A: b\r\n".repeat(10_000))),
        ("a trailer of 1 MB", format!("0\r\nA: {}\r\n\r\n", "a".repeat(1_000_000))),
        ("a length as trailer", "0\r\nContent-Length: 5\r\n\r\n".to_owned()),
        ("20 000 single octets", format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(20_000))),
        ("1 MB at once", format!("100000\r\n{}\r\n0\r\n\r\n", "a".repeat(1_048_576))),
        ("no chunk at all", "0\r\n\r\n".to_owned()),
        ("zeros before each size", "00000000000000000001\r\na\r\n".repeat(1_000)),
    ]
    .into_iter()
    .map(|(name, body)| {
        let head =
            format!("POST /voice HTTP/1.1\r\nHost: x\r\n{signature}Transfer-Encoding: chunked\r\n\r\n");
        one(format!("chunked: {name}"), format!("{head}{body}"), refused)
    })
    .collect()
}
