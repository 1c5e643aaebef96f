//! Under which address Twilio reaches us: what it signed, and where the stream's URL must point.

use std::sync::Arc;

use hyper::header::{HOST, HeaderMap};
use hyper::http::Extensions;

use super::http::Conn;
use super::proxies::Passed;

/// Longest name of a host, with its port (RFC 1035).
const LONGEST_HOST: usize = 262;

/// A base URL without a slash at its end: `https://voice.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicBase(String);

impl PublicBase {
    /// From the configuration, else from what a trusted proxy says, else from the request itself. `None` without any.
    pub(crate) fn find(
        configured: Option<&str>,
        headers: &HeaderMap,
        (by_proxy, is_tls): (bool, bool),
    ) -> Option<Self> {
        if let Some(url) = configured {
            return Some(Self(url.trim_end_matches('/').to_owned()));
        }
        let passed = if by_proxy { Passed::read(headers) } else { Passed::default() };
        let own = || headers.get(HOST)?.to_str().ok().map(|host| host.trim().to_owned());
        let host = passed.host.or_else(own).filter(|host| !host.is_empty() && host.len() <= LONGEST_HOST)?;
        if host.contains(['/', '?', '#', '"', '<', '>', ' ', '\\', '@']) {
            return None;
        }
        let scheme = passed.scheme.filter(|scheme| scheme == "https" || scheme == "http");
        let own = if is_tls { "https" } else { "http" };
        let scheme = scheme.unwrap_or_else(|| own.to_owned());
        Some(Self(format!("{scheme}://{host}")))
    }

    /// As [`find`](Self::find), for a request of a connection: whether its peer is a proxy is known.
    pub(crate) fn of(configured: Option<&str>, headers: &HeaderMap, extensions: &Extensions) -> Option<Self> {
        let conn = extensions.get::<Arc<Conn>>().map_or((false, false), |conn| (conn.is_proxy, conn.is_tls));
        Self::find(configured, headers, conn)
    }

    /// Whether it is this machine's own, which nobody else can reach.
    pub(crate) fn is_local(&self) -> bool {
        crate::rest::is_local(&self.0)
    }

    /// The URL of a request's path and query.
    pub(crate) fn url(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.0)
    }

    /// The stream's URL: always `wss`, because Twilio knows no other.
    pub(crate) fn stream_url(&self, path: &str) -> String {
        let rest = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        format!("wss://{rest}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn configuration_comes_before_proxy_before_host() {
        let all = headers(&[
            ("host", "127.0.0.1:5000"),
            ("x-forwarded-host", "a.example, b"),
            ("x-forwarded-proto", "https"),
        ]);
        let find = |configured, headers: &HeaderMap| {
            PublicBase::find(configured, headers, (true, false)).map(|base| base.0)
        };
        assert_eq!(find(Some("https://c.example/"), &all).as_deref(), Some("https://c.example"));
        assert_eq!(find(None, &all).as_deref(), Some("https://a.example"));
        assert_eq!(find(None, &headers(&[("host", "h:1")])).as_deref(), Some("http://h:1"));
        assert_eq!(find(None, &headers(&[("host", "h\"><x")])), None);
        let direct = PublicBase::find(None, &all, (false, false)).unwrap();
        assert_eq!(direct.0, "http://127.0.0.1:5000", "a stranger's headers are not believed");
        let own = PublicBase::find(None, &all, (false, true)).unwrap();
        assert_eq!(own.0, "https://127.0.0.1:5000", "TLS of one's own");
        assert_eq!(PublicBase("http://h:1".into()).stream_url("/media-stream"), "wss://h:1/media-stream");
    }
}
