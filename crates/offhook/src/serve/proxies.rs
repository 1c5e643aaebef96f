//! Proxies in front of this server: which are believed, and what they say of a request.

use std::net::IpAddr;

use hyper::header::{FORWARDED, HeaderMap};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

/// An address, or a network of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(IpNet);

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Self).map_err(|_| {
            format!("`{text}` is no address and no network: write them like 10.1.2.3 or 10.0.0.0/8")
        })
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether every address is in it.
    pub(crate) fn is_everybody(self) -> bool {
        self.0.prefix_len() == 0
    }

    /// This machine, and networks that nobody reaches from outside (RFC 1918, RFC 4193, link-local).
    pub(crate) fn private() -> Vec<Self> {
        let all = [
            "127.0.0.0/8",
            "::1/128",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "fc00::/7",
            "fe80::/10",
        ];
        all.iter().filter_map(|text| Self::parse(text).ok()).collect()
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a proxy says of a request that it passes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) scheme: Option<String>,
    /// With its port, unless that is the scheme's own.
    pub(crate) host: Option<String>,
    /// Who asked the proxy: every proxy adds one.
    pub(crate) clients: Vec<IpAddr>,
}

impl Passed {
    /// `Forwarded` (RFC 7239), else the `X-Forwarded-*` headers. Of several elements the first is what the client used.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        if let Some(forwarded) = header(headers, FORWARDED.as_str()) {
            return Self::forwarded(forwarded);
        }
        let first = |name: &str| {
            let first = header(headers, name)?.split(',').next()?.trim();
            (!first.is_empty()).then(|| first.to_owned())
        };
        let scheme = first("x-forwarded-proto").map(|scheme| scheme.to_ascii_lowercase());
        let host = first("x-forwarded-host").map(|host| {
            let usual = if scheme.as_deref() == Some("https") { "443" } else { "80" };
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
            match first("x-forwarded-port") {
                Some(port) if !has_port && port != usual && port.parse::<u16>().is_ok() => {
                    format!("{host}:{port}")
                }
                _ => host,
            }
        });
        let clients = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let clients = clients.flat_map(|list| list.split(',')).filter_map(address).collect();
        Self { scheme, host, clients }
    }

    fn forwarded(text: &str) -> Self {
        let mut passed = Self::default();
        for (number, element) in text.split(',').enumerate() {
            for pair in element.split(';') {
                let Some((name, value)) = pair.trim().split_once('=') else { continue };
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "proto" if number == 0 => passed.scheme = Some(value.to_ascii_lowercase()),
                    "host" if number == 0 && !value.is_empty() => passed.host = Some(value.to_owned()),
                    "for" => passed.clients.extend(address(value)),
                    _ => {}
                }
            }
        }
        passed
    }

    /// Who is behind the proxies: the last that isn't a trusted one itself.
    pub(crate) fn client(&self, trusts: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        self.clients.iter().rev().copied().find(|client| !trusts(*client))
    }
}

/// An address, maybe with a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    bare.parse().ok()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Passed {
        let pairs = pairs.iter();
        Passed::read(&pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
    }

    #[test]
    fn both_kinds_of_headers_are_read() {
        let host = |pairs: &[(&'static str, &str)]| {
            let passed = read(pairs);
            (passed.scheme.unwrap_or_default(), passed.host.unwrap_or_default())
        };
        let x = ("x-forwarded-host", "a.example, b");
        let https = ("x-forwarded-proto", "https");
        assert_eq!(host(&[x, https]), ("https".into(), "a.example".into()));
        assert_eq!(host(&[x, https, ("x-forwarded-port", "443")]).1, "a.example");
        assert_eq!(host(&[x, https, ("x-forwarded-port", "8443")]).1, "a.example:8443");
        assert_eq!(host(&[x, ("x-forwarded-port", "x")]).1, "a.example");
        let rfc = r#"for=192.0.2.43;proto=https;host="a.example:8443", for="[2001:db8::17]:4711";host=evil"#;
        let passed = read(&[("forwarded", rfc), x]);
        assert_eq!(
            (passed.host.as_deref(), passed.scheme.as_deref()),
            (Some("a.example:8443"), Some("https"))
        );
        assert_eq!(passed.clients.len(), 2);
        assert_eq!(host(&[]), (String::new(), String::new()));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_a_proxy_says_makes_it_panic(
            forwarded in r#"[-a-z0-9.:;=,\[\]" ]{0,60}"#,
            list in r"[0-9a-f.:,\[\] ]{0,60}",
            any in "[ -~]{0,40}",
        ) {
            const X: [&str; 4] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port"];
            for text in [&forwarded, &list, &any] {
                let _client = read(&[("forwarded", text)]).client(|_| false);
                let passed = read(&X.map(|name| (name, text.as_str())));
                let _client = passed.client(|_| false);
                proptest::prop_assert!(passed.host.is_none_or(|host| !host.is_empty()));
            }
        }
    }

    #[test]
    fn the_client_is_the_last_that_is_no_proxy() {
        let private = Network::private();
        let trusts = |address| private.iter().any(|network| network.contains(address));
        let client = |list: &str| read(&[("x-forwarded-for", list)]).client(trusts);
        assert_eq!(client("198.51.100.1, 203.0.113.7:1234, 10.0.0.2"), "203.0.113.7".parse().ok());
        assert_eq!(client("10.0.0.2"), None);
        assert!(trusts("::ffff:10.1.1.1".parse().unwrap()) && !trusts("8.8.8.8".parse().unwrap()));
        assert!(Network::parse("10.0.0.0/33").is_err() && Network::parse("10.0.0.1").is_ok());
    }
}
