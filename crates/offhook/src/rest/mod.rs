//! Twilio's REST API, as far as calls need it: place, look at, change, end.
//!
//! What is refused because there were too many requests at once was never carried out, and is sent again after a while, at
//! random. What was to be changed or read is sent again after a fault of Twilio's, too. A call is never placed a second time: after
//! a fault or a silence it is looked for among the account's calls, and taken over if it is there (Twilio has no idempotency
//! keys for calls).

mod account;
mod look;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use offhook_providers::net::{Deadlines, Http, retry_after};
use offhook_stages::StageError;
use offhook_twilio::CallSid;
use offhook_twilio::api::{ApiError, Next, Wanted};
use offhook_twilio::calls::{CallResource, CallUpdate, NewCall};
use offhook_twilio::webhook::WebhookForm;

pub(crate) use account::{Account, is_local};

/// Longest answer read. A page of calls has some 50 kB.
const LONGEST: usize = 512 * 1024;
/// A request is sent so often at most.
const ATTEMPTS: u32 = 4;
/// First wait before another attempt; doubled each time, and spread by half at random.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// No wait is longer, whatever Twilio asks for: a person waits for the answer.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RestError {
    /// Twilio said no.
    #[error("{0}")]
    Refused(ApiError),
    /// Twilio can't be reached, or its answer can't be read.
    #[error("Twilio's API could not be asked: {0}")]
    Unreachable(String),
    /// The call is named by something that Twilio never gave it.
    #[error("`{0}` is no SID that Twilio gives, so Twilio is not asked about it")]
    NoSid(String),
    /// The call may have been placed, and may not.
    #[error(
        "{why}; whether the call was placed can't be told, so it is not placed again. Look in Twilio's console, or wait for the \
         status callback"
    )]
    Unclear {
        /// What happened.
        why: String,
    },
}

/// The API, for one account. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    http: Http,
    base: String,
    credentials: HeaderValue,
}

impl Rest {
    /// Whether it is a stand-in on this machine, for tests.
    pub(crate) fn is_local(&self) -> bool {
        is_local(&self.base)
    }

    /// For this account.
    pub(crate) fn new(account: &Account) -> Self {
        let deadlines = Deadlines { first: Duration::from_secs(15), ..Deadlines::default() };
        Self {
            http: Http::new("twilio", deadlines),
            base: format!(
                "{}/2010-04-01/Accounts/{}",
                account.api_base.trim_end_matches('/'),
                account.sid.as_str()
            ),
            credentials: account.credentials.clone(),
        }
    }

    /// Places a call, once. `is_known` tells calls that are somebody else's.
    pub(crate) async fn place(
        &self,
        call: &NewCall,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<CallResource, RestError> {
        let since = std::time::SystemTime::now();
        let form = call.form();
        match self.ask(Method::POST, "/Calls.json", Some(&form), Wanted::Create).await {
            Ok(body) => match read(&body) {
                Ok(placed) => Ok(placed),
                Err(why) => self.look_for(call, since, &is_known, why).await,
            },
            Err(RestError::Refused(error)) if error.next == Next::Look => {
                self.look_for(call, since, &is_known, error.to_string()).await
            }
            Err(RestError::Unreachable(why)) => self.look_for(call, since, &is_known, why).await,
            Err(error) => Err(error),
        }
    }

    /// How a call stands. May lag behind by some seconds.
    pub(crate) async fn fetch(&self, sid: &str) -> Result<CallResource, RestError> {
        let body = self.ask(Method::GET, &path(sid)?, None, Wanted::Other).await?;
        read(&body).map_err(RestError::Unreachable)
    }

    /// Changes a call in progress. That a call which is to end is over already is no error.
    pub(crate) async fn update(&self, sid: &str, update: &CallUpdate) -> Result<(), RestError> {
        let path = path(sid)?;
        match self.ask(Method::POST, &path, Some(&update.form()), Wanted::Other).await {
            Err(RestError::Refused(error)) if error.next == Next::Done && *update == CallUpdate::End => {
                Ok(())
            }
            outcome => outcome.map(|_| ()),
        }
    }

    /// Asks, again and again where that does no harm.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        form: Option<&WebhookForm>,
        wanted: Wanted,
    ) -> Result<Bytes, RestError> {
        let mut attempt = 1;
        loop {
            let error = match self.ask_once(method.clone(), path, form, wanted).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let told = match &error {
                RestError::Refused(ApiError { next: Next::Again(after), .. }) => *after,
                RestError::Unreachable(_) if wanted == Wanted::Other => None,
                _ => return Err(error),
            };
            if attempt >= ATTEMPTS {
                return Err(error);
            }
            let wait = told.unwrap_or(FIRST_WAIT * 2u32.pow(attempt - 1)).min(LONGEST_WAIT);
            let wait = spread(wait);
            tracing::info!(%error, attempt, ?wait, "Twilio's API is asked again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn ask_once(
        &self,
        method: Method,
        path: &str,
        form: Option<&WebhookForm>,
        wanted: Wanted,
    ) -> Result<Bytes, RestError> {
        let body = form.map(WebhookForm::encode).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, self.credentials.clone())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("offhook/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| {
                RestError::Unreachable(format!(
                    "`{}` is no address: {error}; see `api_base` in [twilio]",
                    self.base
                ))
            })?;
        let lost = |error: StageError| RestError::Unreachable(error.to_string());
        let mut answer = self.http.exchange(request).await.map_err(lost)?;
        let status = answer.status();
        let id = answer.header("twilio-request-id").unwrap_or("-").to_owned();
        tracing::debug!(path, %status, request = id, "Twilio's API answered");
        if status.is_success() {
            return answer.bytes(LONGEST).await.map_err(lost);
        }
        let after = retry_after(answer.headers());
        // The status alone tells enough, if no more can be had.
        let body = answer.bytes(LONGEST).await.unwrap_or_default();
        Err(RestError::Refused(ApiError::read(status.as_u16(), &body, after, wanted)))
    }
}

/// A call's path. SIDs come from outside: nothing else may get into an address that is asked with our credentials.
fn path(sid: &str) -> Result<String, RestError> {
    let right = CallSid::parse(sid).is_ok_and(|sid| sid.is_twilios());
    if right {
        Ok(format!("/Calls/{sid}.json"))
    } else {
        Err(RestError::NoSid(sid.chars().take(80).collect()))
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("Twilio's API answered something else than a call: {error}"))
}

/// Between half and one and a half of it, so that those who were refused together don't come back together.
fn spread(wait: Duration) -> Duration {
    let mut byte = [128u8];
    // Without randomness it is just not spread.
    let _unspread = getrandom::fill(&mut byte);
    wait.mul_f64(0.5 + f64::from(byte[0]) / 256.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_twilios_sids_get_into_a_path() {
        let sid = "CA0123456789abcdef0123456789abcdef";
        assert_eq!(path(sid).unwrap(), format!("/Calls/{sid}.json"));
        for sid in [
            "../../Messages",
            "CA1",
            "",
            "CA0123456789abcdef0123456789abcde/",
            "MZ0123456789abcdef0123456789abcdef",
        ] {
            assert!(matches!(path(sid), Err(RestError::NoSid(_))), "{sid}");
        }
    }
}
