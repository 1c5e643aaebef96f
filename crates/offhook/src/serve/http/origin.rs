//! Web pages have no business here: what a browser sends for a foreign page is refused.
//!
//! A page that is open in a browser on this machine reaches a server that listens on this machine alone. It can't hide its
//! `Origin`; and one that has its own name point here (DNS rebinding) can't hide that name in `Host`.

use hyper::header::{HOST, HeaderMap, ORIGIN};

use super::super::proxies::Passed;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Another site's page asks.
    Origin,
    /// It was meant for another host.
    Host,
}

/// Judges a request's headers. `public` is the address of the configuration; `open`: no credentials are asked for, and
/// only this machine reaches the server.
pub(super) fn judge(headers: &HeaderMap, public: Option<&str>, open: bool) -> Result<(), Foreign> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let of_public = |name: &str| public.is_some_and(|url| authority(url).eq_ignore_ascii_case(name));
    if let Some(origin) = headers.get(ORIGIN) {
        let origin = authority(origin.to_str().unwrap_or(""));
        let passed = Passed::read(headers).host;
        let ours = [Some(host), passed.as_deref()].into_iter().flatten();
        let same = ours.filter(|host| !host.is_empty()).any(|host| host.eq_ignore_ascii_case(origin));
        if !same && !of_public(origin) {
            return Err(Foreign::Origin);
        }
    }
    if !open || host.is_empty() || is_this_machine(host) || of_public(host) {
        return Ok(());
    }
    // A tunnel passes on the name that it is known by, and says so. A page could claim the same, but not for a WebSocket.
    let passed_on = ["forwarded", "x-forwarded-for", "x-forwarded-proto"];
    let by_tunnel = passed_on.iter().any(|name| headers.contains_key(*name));
    if by_tunnel && !headers.contains_key(ORIGIN) { Ok(()) } else { Err(Foreign::Host) }
}

/// Host and port of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let address = name.parse::<std::net::IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(&'static str, &str)], public: Option<&str>, open: bool) -> Result<(), Foreign> {
        let pairs = pairs.iter();
        let headers: HeaderMap =
            pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        judge(&headers, public, open)
    }

    #[test]
    fn foreign_pages_are_refused() {
        let here = ("host", "127.0.0.1:5000");
        for origin in ["https://evil.example", "null", "http://127.0.0.1:5001", "http://localhost:5000", ""] {
            assert_eq!(judged(&[here, ("origin", origin)], None, false), Err(Foreign::Origin), "{origin}");
        }
        assert_eq!(judged(&[here, ("origin", "http://127.0.0.1:5000")], None, true), Ok(()));
        let public = Some("https://voice.example.com/x");
        assert_eq!(judged(&[here, ("origin", "https://voice.example.com")], public, true), Ok(()));
    }

    #[test]
    fn an_open_server_is_asked_only_by_its_own_names() {
        for host in ["localhost:5000", "127.0.0.1", "[::1]:5000", "LOCALHOST.", "a.localhost"] {
            assert_eq!(judged(&[("host", host)], None, true), Ok(()), "{host}");
        }
        for host in ["evil.example:5000", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1"] {
            assert_eq!(judged(&[("host", host)], None, true), Err(Foreign::Host), "{host}");
            assert_eq!(judged(&[("host", host)], None, false), Ok(()), "{host}: signatures are checked");
        }
        let tunnel = [("host", "abc.ngrok.app"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(judged(&tunnel, None, true), Ok(()));
        let page = [tunnel[0], tunnel[1], ("origin", "http://abc.ngrok.app")];
        assert_eq!(judged(&page, None, true), Err(Foreign::Host));
        assert_eq!(judged(&[("host", "v.example")], Some("https://v.example"), true), Ok(()));
    }
}
