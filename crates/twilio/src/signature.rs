//! `X-Twilio-Signature` ("Security", twilio.com/docs/usage/security#validating-requests).
//!
//! HMAC-SHA1, keyed with the account's auth token, over the URL as Twilio knows it and, for a posted form, its
//! parameters sorted by name; base64. Because ports and slashes get lost on the way, a few spellings of the URL are
//! tried, all derived from one; every comparison takes the same time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The account's auth token. `Debug` doesn't show it.
#[derive(Clone)]
pub struct AuthToken(String);

impl AuthToken {
    /// From its text; surrounding white space, as files have it, is taken off.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(token.trim().to_owned())
    }

    /// The token itself, to ask Twilio's API with. Keep it out of logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthToken(•)")
    }
}

/// Form parameters, decoded, in any order; empty values and repeated names included.
pub type Params = [(String, String)];

/// The signature of a request to `url` with these form parameters.
#[must_use]
pub fn sign(token: &AuthToken, url: &str, params: &Params) -> String {
    // A repeated name counts once with each distinct value, sorted.
    let mut sorted: Vec<&(String, String)> = params.iter().collect();
    sorted.sort();
    sorted.dedup();
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.0.as_bytes()) else {
        return String::new(); // HMAC takes keys of any length
    };
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Whether Twilio signed a webhook request: `url` as in the console or the TwiML, `params` of a posted form (none for
/// GET), `body` for anything posted that isn't a form.
#[must_use]
pub fn is_valid(token: &AuthToken, signature: &str, url: &str, params: &Params, body: Option<&[u8]>) -> bool {
    if let Some(hash) = query_value(url, "bodySHA256") {
        let Some(body) = body else { return false };
        // Of an empty body Twilio's libraries hash either nothing or `{}`.
        let hashed: &[&[u8]] = if body.is_empty() { &[b"", b"{}"] } else { &[body] };
        let hash = hash.to_lowercase();
        if !hashed.iter().fold(false, |found, body| found | equal(&hex(&Sha256::digest(body)), &hash)) {
            return false;
        }
        return matches_any(token, signature, &spellings(url), &[]);
    }
    matches_any(token, signature, &spellings(url), params)
}

/// Whether Twilio signed a WebSocket upgrade. `url` as in the TwiML; signed with scheme `wss`, no parameters. A `/` at
/// the path's end may have come or gone on the way.
#[must_use]
pub fn is_valid_upgrade(token: &AuthToken, signature: &str, url: &str) -> bool {
    let url = match url.split_once("://") {
        Some((_, rest)) => format!("wss://{rest}"),
        None => return false,
    };
    let mut candidates = spellings(&url);
    let (path, query) = url.split_once('?').map_or((url.as_str(), None), |(path, query)| (path, Some(query)));
    let other = match path.strip_suffix('/') {
        Some(without) => without.to_owned(),
        None => format!("{path}/"),
    };
    let other = query.map_or_else(|| other.clone(), |query| format!("{other}?{query}"));
    candidates.extend(spellings(&other));
    if matches_any(token, signature, &candidates, &[]) {
        return true;
    }
    // ConversationRelay's URLs may have a query; Twilio's SDK signs it as if it were a form.
    let Some(query) = query else { return false };
    let params: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    matches_any(token, signature, &spellings(path), &params)
}

fn matches_any(token: &AuthToken, signature: &str, urls: &[String], params: &Params) -> bool {
    urls.iter().fold(false, |found, url| found | equal(&sign(token, url, params), signature))
}

fn equal(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// The URL as a voice webhook's signature has it, according to "Security": without user and password, without the port where
/// it is https, and without the fragment, which is never sent. Twilio's libraries accept other spellings too, because this has
/// varied.
#[must_use]
pub fn signed_url(url: &str) -> String {
    let url = url.split('#').next().unwrap_or(url);
    let Some(parts) = Parts::of(url) else { return url.to_owned() };
    let port = if parts.scheme == "https" { "" } else { parts.port };
    format!("{}://{}{port}{}", parts.scheme, parts.host, parts.rest)
}

/// A URL's parts, as they are written.
struct Parts<'a> {
    scheme: &'a str,
    /// With its `@`.
    user: &'a str,
    host: &'a str,
    /// With its `:`.
    port: &'a str,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        // A colon within brackets belongs to an IPv6 address.
        let name = host.rfind(']').map_or(0, |at| at + 1);
        let port = host.get(name..).and_then(|rest| rest.find(':')).map_or(host.len(), |at| name + at);
        let (host, port) = host.split_at(port);
        Some(Self { scheme, user, host, port, rest })
    }
}

/// As Twilio may have spelt the URL: with and without port and user, as it is written, as URL parsers write it, and with its
/// query taken apart and put together again. Twilio's libraries try the same.
fn spellings(url: &str) -> Vec<String> {
    let Some(Parts { scheme, user, host, port, rest }) = Parts::of(url) else { return vec![url.to_owned()] };
    let usual = if scheme == "https" || scheme == "wss" { ":443" } else { ":80" };
    let mut all = vec![url.to_owned()];
    let mut add = |spelling: String| {
        if !all.contains(&spelling) {
            all.push(spelling);
        }
    };
    let lower = host.to_ascii_lowercase();
    let parsed = normalised(rest);
    let mut rests = vec![rest.to_owned(), parsed.clone(), put_together(rest), put_together(&parsed)];
    // An address without a path is asked for as `/`.
    rests.extend(
        rest.strip_prefix('/').filter(|rest| rest.is_empty() || rest.starts_with('?')).map(str::to_owned),
    );
    for user in [user, ""] {
        for port in [port, "", usual] {
            for (host, rest) in rests.iter().flat_map(|rest| [(host, rest), (lower.as_str(), rest)]) {
                add(format!("{scheme}://{user}{host}{port}{rest}"));
            }
        }
    }
    all
}

/// Path and query as URL parsers write them (URL Standard, 4.1 and 1.3).
fn normalised(rest: &str) -> String {
    const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\'');
    const PATH: &AsciiSet = &QUERY.remove(b'\'').add(b'?').add(b'^').add(b'`').add(b'{').add(b'}');
    let rest = rest.split('#').next().unwrap_or(rest);
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let path = if path.is_empty() { "/" } else { path };
    let path = utf8_percent_encode(path, PATH).to_string();
    match query {
        Some(query) => format!("{path}?{}", utf8_percent_encode(query, QUERY)),
        None => path,
    }
}

/// With its query's pairs decoded and encoded anew, as Node's `querystring` does it.
fn put_together(rest: &str) -> String {
    const VALUE: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'!')
        .remove(b'~')
        .remove(b'*')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')');
    let Some((path, query)) = rest.split_once('?').filter(|(_, query)| !query.is_empty()) else {
        return rest.to_owned();
    };
    let pairs: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| {
            format!("{}={}", utf8_percent_encode(&name, VALUE), utf8_percent_encode(&value, VALUE))
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

fn query_value<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    fn token() -> AuthToken {
        AuthToken::new("12345\n")
    }

    fn params(extra: &[(&str, &str)]) -> Vec<(String, String)> {
        let base = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ];
        let pairs = base.iter().chain(extra);
        pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn published_vectors_of_forms() {
        let p = params(&[]);
        let valid = |signature: &str, url: &str| is_valid(&token(), signature, url, &p, None);
        assert!(valid("RSOYDt4T1cUTdK1PDd93/VVr8B8=", URL));
        assert!(valid("Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", "http://mycompany.com:1234/myapp.php?foo=1&bar=2"));
        assert!(valid("kvajT1Ptam85bY51eRf/AJRuM3w=", URL), "signed with :443");
        assert!(
            valid("0ZXoZLH/DfblKGATFgpif+LLRf4=", "http://mycompany.com/myapp.php?foo=1&bar=2"),
            "signed with :80"
        );
        assert!(valid(
            "CukzLTc1tT5dXEDIHm/tKBanW10=",
            "https://user:pass@mycompany.com/myapp.php?foo=1&bar=2"
        ));
        assert!(valid(
            "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI=",
            "https://user:pass@mycompany.com/myapp.php?foo=1&bar=2"
        ));
        assert!(valid("2YRLlVAflCqxaNicjMpJcSTgzSs=", "https://user@mycompany.com/myapp.php?foo=1&bar=2"));
        assert!(valid("TfZzewPq8wqrGlMfyAud8+/IvJ0=", &format!("{URL}&Body=It's+amazing")));
        assert!(!valid("RSOYDt4T1cUTdK1PDd93/VVr8B9=", URL));
        assert!(!valid("", URL));
    }

    #[test]
    fn published_vectors_of_repeated_names() {
        let digits = [("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")];
        let repeated = pairs(&[&[("Sid", "CA123"), ("SidAccount", "AC123")], &digits[..]].concat());
        assert!(is_valid(&token(), "IK+Dwps556ElfBT0I3Rgjkr1wJU=", URL, &repeated, None));
        let sec = pairs(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675310"),
            ("Digits", "1234"),
            ("From", "+14158675310"),
            ("To", "+18005551212"),
        ]);
        let url = "https://example.com/myapp.php?foo=1&bar=2";
        assert!(is_valid(&token(), "L/OH5YylLD5NRKLltdqwSvS0BnU=", url, &sec, None));
    }

    #[test]
    fn published_vectors_of_json_bodies() {
        let body = br#"{"property": "value", "boolean": true}"#;
        let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
        let url = format!("{URL}&bodySHA256={hash}");
        assert!(is_valid(&token(), "a9nBmqA0ju/hNViExpshrM61xv4=", &url, &[], Some(body)));
        assert!(!is_valid(&token(), "a9nBmqA0ju/hNViExpshrM61xv4=", &url, &[], Some(b"{}")));
        let url = format!("https://mycompany.com/myapp.php?bodySHA256={hash}");
        assert!(is_valid(&token(), "y77kIzt2vzLz71DgmJGsen2scGs=", &url, &[], Some(body)));
        let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let url = format!("{URL}&bodySHA256={hash}");
        assert!(is_valid(&token(), "Ldidvp12m26NI7eqEvxnEpkd9Hc=", &url, &[], Some(b"")));
    }

    #[test]
    fn upgrades_are_signed_as_wss() {
        let valid = |signature: &str, url: &str| is_valid_upgrade(&token(), signature, url);
        assert!(valid("7PR3qMkpDyEJtMrVOY/LDyNq8J8=", "wss://example.com/media"));
        assert!(valid("7PR3qMkpDyEJtMrVOY/LDyNq8J8=", "https://example.com/media"), "our own base URL");
        assert!(valid("T+WBXwUXC0/CyoZ1DA+p9ilZORs=", "wss://example.com/media"), "slash came on the way");
        assert!(valid("zyyJQiPZXIGCLy3HYdHEfry0yDg=", "wss://example.com/media"), "signed with :443");
        assert!(valid("WhInc32piEQH5iWNct/7FHs5ew8=", "wss://example.com/"));
        assert!(valid("eCcxb4BtGXrZ1GDHP5XJwOHJ8To=", "wss://example.com/ws?token=abc123&foo=bar"));
        assert!(!valid("6HZQ7Cq/dSYDCAiy3qRA6PZfACI=", "wss://example.com/media"), "signed as https");
    }

    #[test]
    fn blank_values_and_text_of_all_kinds_count() {
        let blank = pairs(&[
            ("CallSid", "CA123"),
            ("CallerState", ""),
            ("From", "+14155550100"),
            ("To", "+14155550101"),
        ]);
        assert_eq!(sign(&token(), "https://example.com/voice", &blank), "1IfCOqcIvJlZwCNou1svsNynTrQ=");
        assert_eq!(
            sign(&token(), "https://example.com/voice?tenant=a%20b", &[]),
            "L4wnZZU0MF06veP8Wq98koWQP+o="
        );
        let text = pairs(&[("Body", "héllo & wörld"), ("From", "+1")]);
        assert_eq!(sign(&token(), "https://example.com/sms", &text), "uOlOlR9S4AtLrJ+Mrffh8W5doR4=");
    }

    #[test]
    fn what_twilio_leaves_out_is_not_signed() {
        assert_eq!(signed_url("https://user:pass@h.example:8443/v?a=1#rc=2"), "https://h.example/v?a=1");
        assert_eq!(signed_url("http://user:pass@h.example:5000/v"), "http://h.example:5000/v");
        assert_eq!(signed_url("https://[::1]:8443/v"), "https://[::1]/v");
        assert_eq!(signed_url("https://h.example"), "https://h.example");
        assert_eq!(signed_url("nonsense"), "nonsense");
    }

    #[test]
    fn the_token_is_not_shown() {
        assert_eq!(format!("{:?}", token()), "AuthToken(•)");
    }
}
