//! `X-Twilio-Signature` ("Security", twilio.com/docs/usage/security#validating-requests).
//!
//! HMAC-SHA1, keyed with the account's auth token, over the URL as Twilio knows it and, for a posted form, its
//! parameters sorted by name; base64. Because ports and slashes get lost on the way, a few spellings of the URL are
//! tried, all derived from one; every comparison takes the same time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
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
        let computed = hex(&Sha256::digest(if body.is_empty() { b"{}" } else { body }));
        if !equal(&computed, &hash.to_lowercase()) {
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

/// The URL with and without its scheme's port, and with `'` as URL parsers write it.
fn spellings(url: &str) -> Vec<String> {
    let mut all = vec![url.to_owned()];
    if let Some((scheme, rest)) = url.split_once("://") {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let user_end = authority.rfind('@').map_or(0, |at| at + 1);
        let (user, host) = authority.split_at(user_end);
        let port = if scheme == "https" || scheme == "wss" { "443" } else { "80" };
        let bare = match host.rsplit_once(':') {
            Some((name, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        if bare == host {
            all.push(format!("{scheme}://{user}{host}:{port}{path}"));
        } else {
            all.push(format!("{scheme}://{user}{bare}{path}"));
        }
    }
    let escaped: Vec<String> =
        all.iter().filter(|url| url.contains('\'')).map(|url| url.replace('\'', "%27")).collect();
    all.extend(escaped);
    all
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
    fn the_token_is_not_shown() {
        assert_eq!(format!("{:?}", token()), "AuthToken(•)");
    }
}
