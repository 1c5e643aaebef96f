//! Who may have signed, and whether they did.

use std::cell::Cell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::url::Spellings;
use super::{AuthToken, Params, joined};

/// Octets hashed for one request before no further spelling is tried. Twilio's forms have 1 to 2 kB: all spellings fit.
const MOST_HASHED: usize = 32 * 1024;

/// A SharedKey of Twilio's: its name, and its secret, which was shown once, when it was made. `Debug` doesn't show it.
#[derive(Clone)]
pub struct SharedKey {
    id: String,
    secret: String,
}

impl SharedKey {
    /// From its name (`webhooks_sharedkey_…`) and secret; surrounding white space is taken off.
    #[must_use]
    pub fn new(id: &str, secret: &str) -> Self {
        Self { id: id.trim().to_owned(), secret: secret.trim().to_owned() }
    }
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedKey({}, •)", self.id)
    }
}

/// Why a signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none.
    #[error("it has no X-Twilio-Signature")]
    Missing,
    /// It can't be one: it has another length, or isn't base64.
    #[error("its signature is none of the algorithm it names")]
    Shape,
    /// `X-Twilio-Webhooks-Signature-Settings` names an algorithm that isn't known.
    #[error("it names an algorithm that isn't known")]
    Algorithm,
    /// It is signed with a key that isn't configured.
    #[error("it is signed with a key that isn't configured")]
    UnknownKey,
    /// The body is not the one that was signed.
    #[error("its body isn't the one that was signed")]
    Body,
    /// It is another request's signature, or another key's.
    #[error("its signature is not for this URL and this key")]
    Wrong,
}

/// What a request shows for a signature, read before anything else of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    given: Given,
    /// The SharedKey's name.
    key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl Signed {
    /// Reads the headers `X-Twilio-Signature` and `X-Twilio-Webhooks-Signature-Settings`.
    ///
    /// # Errors
    /// If there is no signature, or it can't be one.
    pub fn read(signature: Option<&str>, settings: Option<&str>) -> Result<Self, Refused> {
        let signature = signature.filter(|signature| !signature.is_empty()).ok_or(Refused::Missing)?;
        let setting = |wanted: &str| {
            let pairs = settings.unwrap_or("").split(',').filter_map(|pair| pair.split_once('='));
            let mut found = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
            found.next().map(|(_, value)| value.trim())
        };
        let algorithm = setting("algorithm");
        // Without an algorithm it is the auth token's, as ever.
        let key = algorithm.and_then(|_| setting("key")).map(str::to_owned);
        let given = match algorithm {
            None => Given::Sha1(decoded(signature)?),
            Some(algorithm) if algorithm.eq_ignore_ascii_case("HMAC_SHA1") => {
                Given::Sha1(decoded(signature)?)
            }
            Some(algorithm) if algorithm.eq_ignore_ascii_case("HMAC_SHA256") => {
                Given::Sha256(decoded(signature)?)
            }
            Some(_) => return Err(Refused::Algorithm),
        };
        Ok(Self { given, key })
    }
}

fn decoded<const N: usize>(text: &str) -> Result<[u8; N], Refused> {
    if text.len() != N.div_ceil(3) * 4 {
        return Err(Refused::Shape);
    }
    STANDARD.decode(text).ok().and_then(|octets| octets.try_into().ok()).ok_or(Refused::Shape)
}

/// All keys that may have signed; several of a kind while one is exchanged for another.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    tokens: Vec<AuthToken>,
    shared: Vec<SharedKey>,
}

impl Keys {
    /// Of auth tokens and SharedKeys.
    #[must_use]
    pub const fn new(tokens: Vec<AuthToken>, shared: Vec<SharedKey>) -> Self {
        Self { tokens, shared }
    }

    /// Whether there is none: nothing can be checked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.shared.is_empty()
    }

    /// Checks a webhook request: `url` as in the console or the TwiML, `params` of a posted form (none for GET), `body`
    /// for anything posted that isn't a form.
    ///
    /// # Errors
    /// If none of the keys signed it.
    pub fn check(
        &self,
        signed: &Signed,
        url: &str,
        params: &Params,
        body: Option<&[u8]>,
    ) -> Result<(), Refused> {
        let attempt = Attempt::new(self, signed)?;
        let Some(hash) = query_value(url, "bodySHA256") else {
            return attempt.any(Spellings::of(url), &joined(params));
        };
        let body = body.ok_or(Refused::Body)?;
        // Of an empty body Twilio's libraries hash either nothing or `{}`.
        let hashed: &[&[u8]] = if body.is_empty() { &[b"", b"{}"] } else { &[body] };
        let hash = hash.to_lowercase();
        if !hashed.iter().any(|body| equal(&hex(&Sha256::digest(body)), &hash)) {
            return Err(Refused::Body);
        }
        attempt.any(Spellings::of(url), &[])
    }

    /// Checks a WebSocket upgrade. `url` as in the TwiML; signed with scheme `wss`, no parameters. A `/` at the path's end
    /// may have come or gone on the way.
    ///
    /// # Errors
    /// If none of the keys signed it.
    pub fn check_upgrade(&self, signed: &Signed, url: &str) -> Result<(), Refused> {
        let attempt = Attempt::new(self, signed)?;
        let (_, rest) = url.split_once("://").ok_or(Refused::Wrong)?;
        let url = format!("wss://{rest}");
        let (path, query) =
            url.split_once('?').map_or((url.as_str(), None), |(path, query)| (path, Some(query)));
        let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
        let other = query.map_or_else(|| other.clone(), |query| format!("{other}?{query}"));
        let outcome = attempt.any(Spellings::of(&url).chain(Spellings::of(&other)), &[]);
        // ConversationRelay's URLs may have a query; Twilio's SDK signs it as if it were a form.
        let Some(query) = query.filter(|_| outcome.is_err()) else { return outcome };
        let params: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        attempt.any(Spellings::of(path), &joined(&params))
    }

    /// How many octets are hashed for a request.
    #[cfg(test)]
    pub(super) fn work(&self, signed: &Signed, url: &str, params: &Params) -> usize {
        let Ok(attempt) = Attempt::new(self, signed) else { return 0 };
        let _outcome = attempt.any(Spellings::of(url), &joined(params));
        attempt.hashed.get()
    }
}

/// One request's signature against all keys that come into question.
struct Attempt<'a> {
    signed: &'a Signed,
    keys: Vec<Keyed>,
    hashed: Cell<usize>,
}

/// HMAC, with a key taken in.
enum Keyed {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

impl<'a> Attempt<'a> {
    fn new(keys: &Keys, signed: &'a Signed) -> Result<Self, Refused> {
        let secrets: Vec<&str> = match &signed.key {
            Some(id) => {
                keys.shared.iter().filter(|key| key.id == *id).map(|key| key.secret.as_str()).collect()
            }
            None if matches!(signed.given, Given::Sha256(_)) => Vec::new(),
            None => keys.tokens.iter().map(AuthToken::expose).collect(),
        };
        let keyed = |secret: &&str| match &signed.given {
            Given::Sha1(_) => Hmac::new_from_slice(secret.as_bytes()).map(Keyed::Sha1).ok(),
            Given::Sha256(_) => Hmac::new_from_slice(secret.as_bytes()).map(Keyed::Sha256).ok(),
        };
        let keys: Vec<Keyed> = secrets.iter().filter_map(keyed).collect();
        if keys.is_empty() {
            return Err(Refused::UnknownKey);
        }
        Ok(Self { signed, keys, hashed: Cell::new(0) })
    }

    /// Whether any key signed any of these URLs, with these parameters behind it.
    fn any(&self, urls: impl Iterator<Item = String>, params: &[u8]) -> Result<(), Refused> {
        for url in urls {
            for key in &self.keys {
                if self.hashed.get() > MOST_HASHED {
                    return Err(Refused::Wrong);
                }
                self.hashed.set(self.hashed.get() + url.len() + params.len());
                if self.is(key, &url, params) {
                    return Ok(());
                }
            }
        }
        Err(Refused::Wrong)
    }

    fn is(&self, key: &Keyed, url: &str, params: &[u8]) -> bool {
        match (key, &self.signed.given) {
            (Keyed::Sha1(mac), Given::Sha1(given)) => {
                let mac = mac.clone().chain_update(url).chain_update(params).finalize().into_bytes();
                mac.as_slice().ct_eq(given).into()
            }
            (Keyed::Sha256(mac), Given::Sha256(given)) => {
                let mac = mac.clone().chain_update(url).chain_update(params).finalize().into_bytes();
                mac.as_slice().ct_eq(given).into()
            }
            _ => false,
        }
    }
}

fn query_value<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn equal(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
