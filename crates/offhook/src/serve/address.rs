//! Under which address Twilio reaches us: what it signed, and where the stream's URL must point.

use hyper::header::{HOST, HeaderMap};

/// A base URL without a slash at its end: `https://voice.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicBase(String);

impl PublicBase {
    /// From the configuration, else from what the proxy says, else from the request itself. `None` without any.
    pub(crate) fn find(configured: Option<&str>, headers: &HeaderMap) -> Option<Self> {
        if let Some(url) = configured {
            return Some(Self(url.trim_end_matches('/').to_owned()));
        }
        let header = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            // The first of several is the one that the client used.
            value.split(',').next().map(|first| first.trim().to_owned()).filter(|first| !first.is_empty())
        };
        let host = header("x-forwarded-host").or_else(|| header(HOST.as_str()))?;
        if host.contains(['/', '?', '#', '"', '<', '>', ' ', '\\', '@']) {
            return None;
        }
        let scheme = header("x-forwarded-proto").filter(|scheme| scheme == "https" || scheme == "http");
        let scheme = scheme.unwrap_or_else(|| "http".to_owned());
        Some(Self(format!("{scheme}://{host}")))
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
        let find = |configured, headers: &HeaderMap| PublicBase::find(configured, headers).map(|base| base.0);
        assert_eq!(find(Some("https://c.example/"), &all).as_deref(), Some("https://c.example"));
        assert_eq!(find(None, &all).as_deref(), Some("https://a.example"));
        assert_eq!(find(None, &headers(&[("host", "h:1")])).as_deref(), Some("http://h:1"));
        assert_eq!(find(None, &headers(&[("host", "h\"><x")])), None);
        assert_eq!(PublicBase("http://h:1".into()).stream_url("/media-stream"), "wss://h:1/media-stream");
    }
}
