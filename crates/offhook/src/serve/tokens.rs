//! One-time tokens that bind a socket to the webhook that announced it.
//!
//! A captured signature can be replayed, because Twilio signs a stream's URL without time or nonce. So the TwiML carries
//! a token, good for one stream of one call, for a minute. It is signed, not stored: a restarted server takes those of the one
//! before, and webhooks that are replayed push none out. Only tokens that were used are remembered, until they are too old.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How long Twilio may take from fetching the TwiML to `start`.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// By so much clocks may differ: of another process, or set meanwhile.
const SKEW: Duration = Duration::from_secs(60);
/// Used tokens remembered at most: as many streams as begin in a minute.
const MOST: usize = 20_000;
/// Process, its time, time of day, nonce; then the signature.
const SIGNED: usize = 8 + 8 + 8 + 8;
const MAC: usize = 16;

/// Makes and redeems tokens.
pub(crate) struct Tokens {
    key: Hmac<Sha256>,
    /// Tells this process from the one before it.
    process: [u8; 8],
    began: Instant,
    used: Mutex<HashMap<[u8; MAC], Instant>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(•)")
    }
}

/// 128 bits that nobody can guess, in letters and digits.
///
/// # Errors
/// If the system has no randomness to give.
pub(crate) fn random() -> anyhow::Result<String> {
    let mut octets = [0u8; 16];
    getrandom::fill(&mut octets)?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect())
}

impl Tokens {
    /// Signed by a key that is made from a secret which outlives this process. Without one tokens are good until a restart.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub(crate) fn new(secret: Option<&str>) -> anyhow::Result<Self> {
        let mut process = [0; 8];
        getrandom::fill(&mut process)?;
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let key = Hmac::new_from_slice(secret.map_or(&random[..], str::as_bytes))?;
        let key = Self::keyed(key, b"offhook: token of a stream, 1")?;
        Ok(Self { key, process, began: Instant::now(), used: Mutex::default() })
    }

    fn keyed(key: Hmac<Sha256>, purpose: &[u8]) -> anyhow::Result<Hmac<Sha256>> {
        Ok(Hmac::new_from_slice(&key.chain_update(purpose).finalize().into_bytes())?)
    }

    fn mac(&self, signed: &[u8], call: &str) -> Hmac<Sha256> {
        self.key.clone().chain_update(signed).chain_update(call)
    }

    /// Marks text that goes through others' hands as this server's own: an address that it is to ask, for instance.
    pub(super) fn seal(&self, text: &str) -> String {
        let mac = self.mac(b"a sealed text", text).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(mac)
    }

    /// Whether text is marked so.
    pub(super) fn is_sealed(&self, text: &str, seal: &str) -> bool {
        let seal = URL_SAFE_NO_PAD.decode(seal).unwrap_or_default();
        self.mac(b"a sealed text", text).verify_slice(&seal).is_ok()
    }

    /// A token for this call; `None` if the system has no randomness to give.
    pub(crate) fn issue(&self, call: &str) -> Option<String> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.issue_at(call, self.began.elapsed(), since)
    }

    fn issue_at(&self, call: &str, up: Duration, unix: Duration) -> Option<String> {
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).ok()?;
        let mut token = Vec::with_capacity(SIGNED + MAC);
        token.extend_from_slice(&self.process);
        token.extend_from_slice(&up.as_secs().to_be_bytes());
        token.extend_from_slice(&unix.as_secs().to_be_bytes());
        token.extend_from_slice(&nonce);
        let mac = self.mac(&token, call).finalize().into_bytes();
        token.extend(mac.into_iter().take(MAC));
        Some(URL_SAFE_NO_PAD.encode(token))
    }

    /// Uses a token up.
    pub(crate) fn redeem(&self, token: &str, call: &str) -> Result<(), &'static str> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.redeem_at(token, call, self.began.elapsed(), since)
    }

    /// Whether a token was made for this call, used or not.
    pub(crate) fn is_of(&self, token: &str, call: &str) -> bool {
        let token = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        let Some((signed, mac)) = token.split_at_checked(SIGNED) else { return false };
        mac.len() == MAC && self.mac(signed, call).verify_truncated_left(mac).is_ok()
    }

    fn redeem_at(&self, token: &str, call: &str, up: Duration, unix: Duration) -> Result<(), &'static str> {
        let token = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        let unknown = "its token is none of this server's, or another call's";
        let Some((signed, mac)) = token.split_at_checked(SIGNED) else { return Err(unknown) };
        let mac: [u8; MAC] = mac.try_into().map_err(|_| unknown)?;
        self.mac(signed, call).verify_truncated_left(&mac).map_err(|_| unknown)?;
        let seconds = |at: usize| {
            let octets = signed.get(at..at + 8).and_then(|octets| octets.try_into().ok());
            Duration::from_secs(octets.map_or(0, u64::from_be_bytes))
        };
        // Of its own tokens a process knows the age, whatever becomes of the clock on the wall.
        let in_time = if signed.starts_with(&self.process) {
            up.saturating_sub(seconds(8)) <= GOOD_FOR
        } else {
            unix.saturating_sub(seconds(16)) <= GOOD_FOR + SKEW && seconds(16) <= unix + SKEW
        };
        if !in_time {
            return Err("its token is older than a minute");
        }
        self.use_up(mac)
    }

    fn use_up(&self, mac: [u8; MAC]) -> Result<(), &'static str> {
        let now = Instant::now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MOST {
            used.retain(|_, at| now.saturating_duration_since(*at) <= GOOD_FOR + 2 * SKEW);
        }
        if used.len() >= MOST {
            return Err("more streams begin than tokens can be remembered");
        }
        if used.insert(mac, now).is_some() { Err("its token was used before") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn a_used_token_still_tells_whose_it_is() {
        let tokens = Tokens::new(None).unwrap();
        let token = tokens.issue("CA1").unwrap();
        tokens.redeem(&token, "CA1").unwrap();
        assert!(tokens.redeem(&token, "CA1").is_err());
        assert!(tokens.is_of(&token, "CA1") && !tokens.is_of(&token, "CA2"));
        assert!(!tokens.is_of("", "CA1") && !tokens.is_of(&token[..20], "CA1"));
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_good_once_for_its_call() {
        let tokens = Tokens::new(None).unwrap();
        let token = tokens.issue("CA1").unwrap();
        assert!(tokens.redeem("guess", "CA1").is_err() && tokens.redeem("", "CA1").is_err());
        assert!(tokens.redeem(&token, "CA2").is_err(), "another call's");
        assert_eq!(tokens.redeem(&token, "CA1"), Ok(()));
        assert_eq!(tokens.redeem(&token, "CA1"), Err("its token was used before"));
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert!(tokens.redeem(std::str::from_utf8(&forged).unwrap(), "CA1").is_err());
        }
        assert!(!format!("{tokens:?}").contains(&token));
    }

    #[test]
    fn only_what_was_sealed_here_is_taken() {
        let (ours, others) = (Tokens::new(None).unwrap(), Tokens::new(Some("x")).unwrap());
        let seal = ours.seal("https://app.example/next");
        assert!(ours.is_sealed("https://app.example/next", &seal));
        assert!(!ours.is_sealed("https://app.example/other", &seal) && !ours.is_sealed("", ""));
        assert!(!others.is_sealed("https://app.example/next", &seal));
    }

    #[test]
    fn a_restarted_server_takes_the_tokens_of_the_one_before() {
        let before = Tokens::new(Some("secret")).unwrap();
        let token = before.issue_at("CA1", seconds(900), UNIX).unwrap();
        let after = Tokens::new(Some("secret")).unwrap();
        assert_eq!(after.redeem_at(&token, "CA1", seconds(1), UNIX + seconds(20)), Ok(()));
        let late = before.issue_at("CA1", seconds(900), UNIX).unwrap();
        assert!(after.redeem_at(&late, "CA1", seconds(1), UNIX + seconds(600)).is_err());
        assert!(Tokens::new(Some("other")).unwrap().redeem_at(&late, "CA1", seconds(1), UNIX).is_err());
        assert!(Tokens::new(None).unwrap().redeem_at(&late, "CA1", seconds(1), UNIX).is_err());
    }

    #[test]
    fn a_clock_that_is_set_ends_no_token() {
        let tokens = Tokens::new(None).unwrap();
        let issue = || tokens.issue_at("CA1", seconds(10), UNIX).unwrap();
        for unix in [UNIX + seconds(86_400), UNIX - seconds(86_400)] {
            assert_eq!(tokens.redeem_at(&issue(), "CA1", seconds(12), unix), Ok(()));
        }
        assert!(tokens.redeem_at(&issue(), "CA1", seconds(71), UNIX).is_err());
    }

    #[test]
    fn webhooks_that_are_replayed_push_nothing_out() {
        let tokens = Tokens::new(None).unwrap();
        let first = tokens.issue("CA1").unwrap();
        for _ in 0..2 * MOST {
            tokens.issue("CA2").unwrap();
        }
        assert_eq!(tokens.redeem(&first, "CA1"), Ok(()));
        assert_eq!(tokens.used.lock().unwrap().len(), 1);
    }
}
