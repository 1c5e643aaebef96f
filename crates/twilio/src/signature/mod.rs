//! `X-Twilio-Signature` ("Security", twilio.com/docs/usage/security#validating-requests).
//!
//! HMAC-SHA1, keyed with the account's auth token, over the URL as Twilio knows it and, for a posted form, its
//! parameters sorted by name; base64. Webhooks may be signed with a SharedKey and HMAC-SHA256 instead, which
//! `X-Twilio-Webhooks-Signature-Settings` says. Because ports and slashes get lost on the way, a few spellings of the URL are
//! tried, all derived from one; every comparison takes the same time, and what is hashed for one request is bounded.

mod keys;
mod url;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

pub use keys::{Keys, Refused, SharedKey, Signed};
pub use url::signed_url;

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
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.0.as_bytes()) else {
        return String::new(); // HMAC takes keys of any length
    };
    mac.update(url.as_bytes());
    mac.update(&joined(params));
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Names and values as they are signed: sorted, and a repeated name once with each distinct value.
fn joined(params: &Params) -> Vec<u8> {
    let mut sorted: Vec<&(String, String)> = params.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let length = sorted.iter().map(|(name, value)| name.len() + value.len()).sum();
    sorted.iter().fold(Vec::with_capacity(length), |mut all, (name, value)| {
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(value.as_bytes());
        all
    })
}

/// Whether Twilio signed a webhook request: `url` as in the console or the TwiML, `params` of a posted form (none for
/// GET), `body` for anything posted that isn't a form.
#[must_use]
pub fn is_valid(token: &AuthToken, signature: &str, url: &str, params: &Params, body: Option<&[u8]>) -> bool {
    let keys = Keys::new(vec![token.clone()], Vec::new());
    Signed::read(Some(signature), None).is_ok_and(|signed| keys.check(&signed, url, params, body).is_ok())
}

/// Whether Twilio signed a WebSocket upgrade. `url` as in the TwiML; signed with scheme `wss`, no parameters. A `/` at
/// the path's end may have come or gone on the way.
#[must_use]
pub fn is_valid_upgrade(token: &AuthToken, signature: &str, url: &str) -> bool {
    let keys = Keys::new(vec![token.clone()], Vec::new());
    Signed::read(Some(signature), None).is_ok_and(|signed| keys.check_upgrade(&signed, url).is_ok())
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
    fn shared_keys_sign_with_sha256() {
        let key = SharedKey::new("webhooks_sharedkey_01h", "shared-secret-0123456789");
        let keys = Keys::new(vec![token()], vec![SharedKey::new("old", "x"), key]);
        let settings = "key=webhooks_sharedkey_01h, Algorithm=hmac_sha256";
        let url = "https://voice.example.com/twilio/voice?tenant=7";
        let params = pairs(&[
            ("CallSid", "CA00000000000000000000000000000000"),
            ("From", "+14155550100"),
            ("To", "+14155550101"),
        ]);
        let check = |signature: &str, settings: &str| {
            let signed = Signed::read(Some(signature), Some(settings))?;
            keys.check(&signed, url, &params, None)
        };
        let right = "LN64KDmvYMvNUcUifw+3WOeIgk8a5742jN/kRtjdqFA=";
        assert_eq!(check(right, settings), Ok(()));
        assert_eq!(check(right, "key=another,algorithm=HMAC_SHA256"), Err(Refused::UnknownKey));
        assert_eq!(check(right, "key=old,algorithm=HMAC_SHA256"), Err(Refused::Wrong));
        assert_eq!(check(right, "algorithm=MD5"), Err(Refused::Algorithm));
        assert_eq!(check(right, ""), Err(Refused::Shape), "without settings it would be SHA-1's");
        let upgrade = Signed::read(Some("tHuWxC6pRcMvCwoZNB/H+EPNIGQo9Dlaxw+HmjQqPI4="), Some(settings));
        assert_eq!(keys.check_upgrade(&upgrade.unwrap(), "https://voice.example.com/cr"), Ok(()));
        assert!(!format!("{keys:?}").contains("shared-secret"));
    }

    #[test]
    fn several_tokens_are_valid_while_they_are_exchanged() {
        let keys = Keys::new(vec![AuthToken::new("new"), token()], Vec::new());
        let signed = Signed::read(Some("RSOYDt4T1cUTdK1PDd93/VVr8B8="), None).unwrap();
        assert_eq!(keys.check(&signed, URL, &params(&[]), None), Ok(()));
        assert_eq!(
            Keys::new(vec![AuthToken::new("new")], Vec::new()).check(&signed, URL, &params(&[]), None),
            Err(Refused::Wrong)
        );
        assert!(Keys::default().is_empty() && !keys.is_empty());
    }

    #[test]
    fn what_can_be_no_signature_is_refused_before_anything_is_hashed() {
        assert_eq!(Signed::read(None, None).unwrap_err(), Refused::Missing);
        assert_eq!(Signed::read(Some(""), None).unwrap_err(), Refused::Missing);
        for text in ["x", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "RSOYDt4T1cUTdK1PDd93/VVr8B8=x", "ü"] {
            assert_eq!(Signed::read(Some(text), None).unwrap_err(), Refused::Shape, "{text}");
        }
    }

    #[test]
    fn what_one_request_has_hashed_is_bounded() {
        let signed = Signed::read(Some("RSOYDt4T1cUTdK1PDd93/VVr8BA="), None).unwrap();
        let keys = Keys::new(vec![token()], Vec::new());
        let hashed = |url: &str, params: &Params| keys.work(&signed, url, params);
        assert!(hashed("https://example.com/voice", &params(&[])) < 1_000, "two spellings");
        let big: Vec<_> = (0..200).map(|n| (format!("n{n}"), "v".repeat(78))).collect();
        let nasty = "https://u:p@EXAMPLE.com:5000/a b?x='%20'&y=`\"<>";
        for (url, params) in [(URL, &big), (nasty, &big), (nasty, &params(&[]))] {
            let work = hashed(url, params);
            assert!(work <= 64 * 1024, "{url}: {work}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        assert_eq!(format!("{:?}", token()), "AuthToken(•)");
    }
}
