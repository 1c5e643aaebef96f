//! One-time tokens that bind a socket to the webhook that announced it.
//!
//! A captured signature can be replayed, because Twilio signs a stream's URL without time or nonce. So the TwiML carries
//! a token that nobody can guess, good for one stream of one call, for a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long Twilio may take from fetching the TwiML to `start`.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// Tokens kept at most; beyond, the oldest go.
const MOST: usize = 20_000;

/// Tokens given out and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, (String, Instant)>>);

impl Tokens {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A token for this call; `None` if the system has no randomness to give.
    pub(crate) fn issue(&self, call: &str) -> Option<String> {
        let mut bytes = [0u8; 24];
        getrandom::fill(&mut bytes).ok()?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let now = Instant::now();
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST {
            tokens.retain(|_, (_, until)| *until > now);
            if tokens.len() >= MOST
                && let Some(oldest) =
                    tokens.iter().min_by_key(|(_, (_, until))| *until).map(|(token, _)| token.clone())
            {
                tokens.remove(&oldest);
            }
        }
        tokens.insert(token.clone(), (call.to_owned(), now + GOOD_FOR));
        Some(token)
    }

    /// Uses a token up.
    pub(crate) fn redeem(&self, token: &str, call: &str) -> Result<(), &'static str> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match tokens.remove(token) {
            None => Err("its token is unknown or was used before"),
            Some((_, until)) if until < Instant::now() => Err("its token is older than a minute"),
            Some((bound, _)) if bound != call => Err("its token belongs to another call"),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_once_for_its_call() {
        let tokens = Tokens::new();
        let token = tokens.issue("CA1").unwrap();
        assert!(tokens.redeem("guess", "CA1").is_err());
        assert_eq!(tokens.redeem(&token, "CA1"), Ok(()));
        assert!(tokens.redeem(&token, "CA1").is_err());
        let stolen = tokens.issue("CA1").unwrap();
        assert!(tokens.redeem(&stolen, "CA2").is_err());
    }
}
