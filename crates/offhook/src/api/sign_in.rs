//! `[sign_in]`: people whom a proxy has signed in, such as oauth2-proxy, Pomerium or Authelia with OpenID Connect.
//!
//! The proxy names the person in a header of its own. Only from the proxies that are listed here is it believed, and only for the API
//! and the console: webhooks and sockets are judged by signatures and tickets, because proxies let them pass without signing anyone in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hyper::header::{HeaderMap, HeaderName};
use serde::Deserialize;

use crate::config::Config;
use crate::serve::proxies::Network;
use crate::tenants::Scope;

/// What browsers say of who had a request sent; pages can't change it.
const SENT_BY: &str = "sec-fetch-site";
/// Longer names are nobody's.
const LONGEST_NAME: usize = 320;

/// `[sign_in]`: who may use the console and the API without a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignInConfig {
    /// Header in which the proxy names the person. Default `X-Auth-Request-Email`.
    pub(crate) header: String,
    /// Proxies that are believed: addresses or networks. Default: none, so nobody is signed in by a header.
    pub(crate) proxies: Vec<Network>,
    /// People who may do what the operator's token may: names as the header has them, `*@example.com` for all of a domain, `*` for
    /// everybody whom the proxy lets through.
    pub(crate) operators: Vec<String>,
}

impl Default for SignInConfig {
    fn default() -> Self {
        Self { header: "X-Auth-Request-Email".to_owned(), proxies: Vec::new(), operators: Vec::new() }
    }
}

/// What a request says of who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Person {
    /// No proxy that is believed names anybody.
    Nobody,
    /// Signed in, but in no list.
    Unlisted(String),
    /// May see what is in this scope.
    Listed(String, Scope),
}

/// Who may, as it was configured.
#[derive(Clone, Debug, Default)]
pub(super) struct SignIn {
    header: Option<HeaderName>,
    proxies: Vec<Network>,
    /// By name or pattern, in small letters.
    people: BTreeMap<String, Scope>,
}

impl SignIn {
    pub(super) fn new(config: &Config) -> Self {
        let (own, tenants) = (&config.sign_in, config.tenants.iter());
        let operators = own.operators.iter().map(|name| (name.to_ascii_lowercase(), Scope::Operator));
        let of_tenants = tenants.flat_map(|tenant| {
            let scope = Scope::Tenant(tenant.name.as_str().into());
            tenant.users.iter().map(move |name| (name.to_ascii_lowercase(), scope.clone()))
        });
        Self {
            header: own.header.parse().ok(),
            proxies: own.proxies.clone(),
            people: operators.chain(of_tenants).collect(),
        }
    }

    /// Whether anybody can be signed in.
    pub(super) fn is_on(&self) -> bool {
        !self.proxies.is_empty() && !self.people.is_empty()
    }

    /// Whether anybody can be signed in for this scope.
    pub(super) fn has(&self, scope: &Scope) -> bool {
        self.is_on() && self.people.values().any(|of| of == scope)
    }

    /// Judges a request that came from this address.
    pub(super) fn person(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Person {
        let (Some(header), Some(peer)) = (&self.header, peer) else { return Person::Nobody };
        if !self.is_on() || !self.proxies.iter().any(|proxy| proxy.contains(peer)) || !is_own_page(headers) {
            return Person::Nobody;
        }
        let mut named = headers.get_all(header).iter();
        // Two names: the proxy has added its own to what a stranger sent, and nobody knows which is which.
        let (Some(name), None) = (named.next(), named.next()) else { return Person::Nobody };
        let name = name.to_str().unwrap_or("").trim();
        if name.is_empty() || name.len() > LONGEST_NAME || name.contains(',') {
            return Person::Nobody;
        }
        match self.scope(&name.to_ascii_lowercase()) {
            Some(scope) => Person::Listed(name.to_owned(), scope.clone()),
            None => Person::Unlisted(name.to_owned()),
        }
    }

    /// By the name itself, else by its domain, else as anybody.
    fn scope(&self, name: &str) -> Option<&Scope> {
        // A name with a star is no pattern of ours.
        let exact = (!name.contains('*')).then(|| self.people.get(name)).flatten();
        let domain = || {
            let (person, domain) = name.rsplit_once('@')?;
            (!person.is_empty()).then(|| self.people.get(&format!("*@{domain}"))).flatten()
        };
        exact.or_else(domain).or_else(|| self.people.get("*"))
    }
}

/// Whether no page of another site had a browser send this: the proxy knows a browser by a cookie, which goes with such requests, too.
fn is_own_page(headers: &HeaderMap) -> bool {
    headers.get(SENT_BY).is_none_or(|by| by == "same-origin" || by == "none")
}

impl Config {
    /// What nobody can be signed in by, or the wrong ones could.
    pub(crate) fn faults_of_sign_in(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let own = &self.sign_in;
        let reserved = ["authorization", "cookie", "host", "origin", "forwarded"];
        let header = own.header.to_ascii_lowercase();
        if header.parse::<HeaderName>().is_err() || reserved.contains(&header.as_str()) {
            faults.push(format!("`header` in [sign_in] can't be `{}`", own.header));
        }
        if own.proxies.iter().any(|proxy| proxy.is_everybody()) {
            faults.push("`proxies` in [sign_in] believes everybody: name the proxy's own address".to_owned());
        }
        let of_tenants = self.tenants.iter().flat_map(|tenant| &tenant.users);
        let mut people: Vec<String> =
            own.operators.iter().chain(of_tenants).map(|name| name.to_ascii_lowercase()).collect();
        if people.is_empty() != own.proxies.is_empty() {
            faults.push(
                "[sign_in] needs both `proxies` that are believed and people: `operators`, or `users` of a [[tenant]]"
                    .to_owned(),
            );
        }
        for name in &people {
            let pattern = name.strip_prefix("*@").unwrap_or(if name == "*" { "all" } else { name });
            if pattern.is_empty() || pattern.contains(['*', ',', ' ']) {
                faults.push(format!("`{name}` is no person: write a name, `*@example.com`, or `*`"));
            }
        }
        people.sort_unstable();
        let twice = people.iter().zip(people.iter().skip(1)).filter(|(one, next)| one == next);
        faults.extend(twice.map(|(name, _)| format!("`{name}` is listed twice: whose calls may they see?")));
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.1.2.3";

    fn sign_in(text: &str) -> SignIn {
        SignIn::new(&Config::parse(text).unwrap())
    }

    fn listed() -> SignIn {
        sign_in(
            "[sign_in]\nproxies = [\"10.1.2.3\"]\noperators = [\"Ann@example.com\", \"*@ops.example.com\"]\n\
             [[tenant]]\nname = \"blue\"\nusers = [\"bob@example.com\", \"*@blue.example\"]\n",
        )
    }

    fn asked(sign_in: &SignIn, peer: &str, pairs: &[(&'static str, &str)]) -> Person {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        sign_in.person(&headers, peer.parse().ok())
    }

    fn scope(name: &str) -> Option<Scope> {
        match asked(&listed(), PROXY, &[("x-auth-request-email", name)]) {
            Person::Listed(_, scope) => Some(scope),
            Person::Unlisted(_) | Person::Nobody => None,
        }
    }

    #[test]
    fn people_see_what_they_are_listed_for() {
        let blue = || Some(Scope::Tenant("blue".into()));
        assert_eq!(scope("ann@example.com"), Some(Scope::Operator));
        assert_eq!(scope("ANN@Example.com"), Some(Scope::Operator));
        assert_eq!(scope("x@ops.example.com"), Some(Scope::Operator));
        assert_eq!((scope("bob@example.com"), scope("eve@blue.example")), (blue(), blue()));
        for nobody in [
            "eve@example.com",
            "@ops.example.com",
            "*@ops.example.com.evil",
            "ann@example.com,eve@example.com",
            "*",
            "x@evil.ops.example.com",
            "",
            &"a".repeat(400),
        ] {
            assert_eq!(scope(nobody), None, "{nobody}");
        }
        let unlisted = asked(&listed(), PROXY, &[("x-auth-request-email", "eve@example.com")]);
        assert_eq!(unlisted, Person::Unlisted("eve@example.com".into()));
        let all = sign_in(
            "[sign_in]\nproxies = [\"10.0.0.0/8\"]\nheader = \"X-Forwarded-User\"\noperators = [\"*\"]\n",
        );
        assert_eq!(
            asked(&all, PROXY, &[("x-forwarded-user", "carl")]),
            Person::Listed("carl".into(), Scope::Operator)
        );
    }

    #[test]
    fn a_header_counts_from_the_proxy_alone() {
        let ann = ("x-auth-request-email", "ann@example.com");
        for peer in ["10.1.2.4", "127.0.0.1", "::1", "8.8.8.8"] {
            assert_eq!(asked(&listed(), peer, &[ann]), Person::Nobody, "{peer}");
        }
        // As an address of IPv6 that means the same.
        assert!(matches!(asked(&listed(), "::ffff:10.1.2.3", &[ann]), Person::Listed(..)));
        let twice = [ann, ("x-auth-request-email", "bob@example.com")];
        assert_eq!(asked(&listed(), PROXY, &twice), Person::Nobody);
        assert_eq!(asked(&listed(), PROXY, &[("x-forwarded-email", "ann@example.com")]), Person::Nobody);
        // Nothing is on unless it is configured.
        let off = sign_in("[http]\ntrusted_proxies = [\"10.0.0.0/8\"]\n");
        assert!(asked(&off, PROXY, &[ann]) == Person::Nobody && !off.is_on());
    }

    #[test]
    fn another_sites_page_can_use_nobodys_cookie() {
        let ann = ("x-auth-request-email", "ann@example.com");
        for by in ["cross-site", "same-site"] {
            assert_eq!(asked(&listed(), PROXY, &[ann, ("sec-fetch-site", by)]), Person::Nobody, "{by}");
        }
        for by in ["same-origin", "none"] {
            assert!(matches!(asked(&listed(), PROXY, &[ann, ("sec-fetch-site", by)]), Person::Listed(..)));
        }
    }

    #[test]
    fn what_would_let_the_wrong_ones_in_is_refused() {
        let faults = |text: &str| Config::parse(text).unwrap().faults_of_sign_in().join("\n");
        assert_eq!(faults(""), "");
        for (text, word) in [
            ("[sign_in]\nproxies = [\"0.0.0.0/0\"]\noperators = [\"a\"]\n", "believes everybody"),
            ("[sign_in]\nproxies = [\"10.0.0.1\"]\n", "needs both"),
            ("[sign_in]\noperators = [\"a\"]\n", "needs both"),
            ("[[tenant]]\nname = \"blue\"\nusers = [\"a\"]\n", "needs both"),
            ("[sign_in]\nheader = \"Cookie\"\n", "can't be `Cookie`"),
            ("[sign_in]\nheader = \"a b\"\n", "can't be `a b`"),
            ("[sign_in]\nproxies = [\"10.0.0.1\"]\noperators = [\"a*\", \"*@\"]\n", "`*@` is no person"),
            (
                "[sign_in]\nproxies = [\"10.0.0.1\"]\noperators = [\"A@x\"]\n[[tenant]]\nname = \"blue\"\nusers = [\"a@x\"]\n",
                "`a@x` is listed twice",
            ),
        ] {
            assert!(faults(text).contains(word), "{text}: {}", faults(text));
        }
    }
}
