//! Who we are to Twilio's API.

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use offhook_twilio::AccountSid;
use offhook_twilio::signature::AuthToken;

/// An account, with what opens it: an API key where there is one, else the auth token.
#[derive(Clone)]
pub(crate) struct Account {
    /// Its name.
    pub(crate) sid: AccountSid,
    /// Where its API is: `https://api.twilio.com`, or a region's, or a test's.
    pub(crate) api_base: String,
    /// The header that opens it.
    pub(super) credentials: HeaderValue,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("sid", &self.sid)
            .field("api_base", &self.api_base)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// `key`: an API key's SID and secret.
    pub(crate) fn new(
        sid: &str,
        key: Option<(&str, &str)>,
        token: Option<&AuthToken>,
        api_base: &str,
    ) -> anyhow::Result<Self> {
        let sid = AccountSid::parse(sid.trim())
            .context("the account SID is not one; it begins with AC and stands in Twilio's console")?;
        if !sid.as_str().starts_with("AC") {
            bail!("`{sid}` is no account SID: those begin with AC (an API key's SID begins with SK)");
        }
        if !api_base.starts_with("https://") && !is_local(api_base) {
            bail!("`api_base` must begin with https://: credentials would go over the net for all to read");
        }
        let (user, password) = match (key, token) {
            (Some((key, secret)), _) => (key.trim(), secret.trim()),
            (None, Some(token)) => (sid.as_str(), token.expose()),
            (None, None) => bail!("to use Twilio's API, give an API key and its secret, or the auth token"),
        };
        let mut credentials =
            HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
                .context("the credentials can't be sent")?;
        credentials.set_sensitive(true);
        Ok(Self { sid, api_base: api_base.to_owned(), credentials })
    }
}

/// An address of this very machine: a test's.
pub(crate) fn is_local(url: &str) -> bool {
    url.strip_prefix("http://").is_some_and(|rest| {
        let host = rest.split(['/', ':']).next().unwrap_or("");
        host == "127.0.0.1" || host == "localhost"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_checked_and_never_shown() {
        let token = AuthToken::new("topsecret");
        let account = Account::new("AC1", None, Some(&token), "https://api.twilio.com").unwrap();
        assert_eq!(account.credentials.to_str().unwrap(), "Basic QUMxOnRvcHNlY3JldA==");
        let shown = format!("{account:?} {:?}", super::super::Rest::new(&account));
        assert!(!shown.contains("topsecret") && !shown.contains("QUMx"), "{shown}");
        let key = Some(("SK1", "s"));
        let account = Account::new("AC1", key, Some(&token), "http://127.0.0.1:1").unwrap();
        assert_eq!(account.credentials.to_str().unwrap(), "Basic U0sxOnM=");
        assert!(Account::new("SK1", key, None, "https://api.twilio.com").is_err());
        assert!(Account::new("AC1", None, None, "https://api.twilio.com").is_err());
        assert!(Account::new("AC1", key, None, "http://api.twilio.com").is_err());
        assert!(Account::new("AC1", key, None, "http://127.0.0.1.evil.example").is_err());
    }
}
