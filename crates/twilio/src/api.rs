//! What Twilio's REST API says when it refuses, in plain words, and whether the request may be sent again
//! (twilio.com/docs/api/errors, twilio.com/docs/usage/twilios-response).

use std::time::Duration;

use serde::Deserialize;

/// What a request wanted: tells whether it is safe to send it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Something was to be created: sent twice it may be there twice.
    Create,
    /// Something was to be read, changed to a state, or ended: sent twice it is the same.
    Other,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same request will be refused again.
    Mend,
    /// It was never processed: send it again, after this if Twilio told, else after a second or so, at random, and longer
    /// each time.
    Again(Option<Duration>),
    /// It may have been processed: look whether it was, before it is sent again.
    Look,
    /// What was wanted is so already.
    Done,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}: {fix}", code_in_words(*.code))]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// Twilio's code, if it told one.
    pub code: Option<u32>,
    /// What happened.
    pub what: String,
    /// What to do.
    pub fix: &'static str,
    /// Whether to try again.
    pub next: Next,
}

fn code_in_words(code: Option<u32>) -> String {
    code.map_or(String::new(), |code| format!(" (Twilio's {code})"))
}

/// As Twilio writes it.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    code: Option<u32>,
    #[serde(default)]
    message: Option<String>,
}

/// Code, what happened, what to do.
const CODES: &[(u32, &str, &str)] = &[
    (
        20_003,
        "Twilio doesn't know the credentials, or they don't allow this",
        "check account SID, auth token or API key, their region, and stray blanks",
    ),
    (20_004, "this can't be done with this resource", "check the URL and the method"),
    (20_005, "the account is not active", "look at the account in Twilio's console"),
    (20_008, "test credentials can't do this", "use the account's live credentials"),
    (20_404, "there is no such thing", "check the SID; case counts, and an empty one makes a wrong URL"),
    (20_422, "a parameter is malformed", "fix it; nothing was done"),
    (20_429, "too many requests at once", "send them more slowly"),
    (
        20_500,
        "Twilio had a fault of its own",
        "look whether the request was carried out before sending it again",
    ),
    (20_503, "Twilio is not available", "try again later"),
    (21_201, "no number to call was given", "give `To`"),
    (21_202, "the number is a premium one", "call another number"),
    (21_203, "the account may not call abroad", "allow it in the console"),
    (21_205, "the webhook's URL is not valid", "give an absolute http(s) URL that Twilio can reach"),
    (21_206, "the keys to send are not valid", "use 0-9, *, # and w"),
    (21_208, "the timeout is not valid", "give whole seconds, 600 at most"),
    (21_209, "a callback's method is not valid", "use GET or POST"),
    (21_210, "the calling number is not the account's", "call from a number of this account, or verify it"),
    (
        21_211,
        "the number to call is not valid",
        "write it with + and the country's code, such as +14155550100",
    ),
    (21_212, "the calling number is not valid", "write it with + and the country's code"),
    (21_213, "no calling number was given", "give `From`"),
    (21_214, "the number to call can't be reached", "check it; it may be out of service"),
    (
        21_215,
        "the account may not call this country",
        "allow it under Voice Geographic Permissions in the console",
    ),
    (21_216, "Twilio blocks calls to this number", "complete the account's profile, or ask Twilio's support"),
    (21_217, "the number doesn't look like one", "write it with + and the country's code"),
    (21_218, "the application's SID is not valid", "check it"),
    (
        21_219,
        "a trial account may only call verified numbers",
        "verify the number in the console, or upgrade the account",
    ),
    (
        21_220,
        "the call is over, or not in a state in which this can be done",
        "nothing, if it was to be ended",
    ),
    (21_234, "a value of the answering-machine detection is out of range", "check the settings"),
    (21_609, "the status callback's URL is not valid", "give an absolute http(s) URL that Twilio can reach"),
    (
        70_051,
        "the API key is restricted, and doesn't allow this",
        "give the key the permission that Twilio names",
    ),
];

/// Longest message of Twilio's that is repeated.
const LONGEST: usize = 300;

impl ApiError {
    /// Reads an answer that is no success. A body that isn't Twilio's, a proxy's say, is passed over.
    #[must_use]
    pub fn read(status: u16, body: &[u8], retry_after: Option<Duration>, wanted: Wanted) -> Self {
        let body: Option<Body> = serde_json::from_slice(body).ok();
        let code = body.as_ref().and_then(|body| body.code);
        let known = code.and_then(|code| {
            CODES.binary_search_by_key(&code, |(code, ..)| *code).ok().and_then(|place| CODES.get(place))
        });
        let said =
            body.and_then(|body| body.message).map(|said| said.chars().take(LONGEST).collect::<String>());
        let (what, fix) = match (known, said) {
            (Some((_, what, fix)), _) => ((*what).to_owned(), *fix),
            (None, Some(said)) => (format!("Twilio refused: {said}"), "see twilio.com/docs/api/errors"),
            (None, None) => (format!("Twilio's API answered {status}"), by_status(status)),
        };
        let next = match (code, status) {
            (Some(21_220), _) => Next::Done,
            (Some(20_429), _) | (_, 429) => Next::Again(retry_after),
            (_, 500..=599) if wanted == Wanted::Create => Next::Look,
            (_, 500..=599) => Next::Again(retry_after),
            _ => Next::Mend,
        };
        Self { status, code, what, fix, next }
    }
}

const fn by_status(status: u16) -> &'static str {
    match status {
        401 | 403 => "check the credentials, and what stands between us and Twilio",
        404 => "check the API's address",
        429 => "send requests more slowly",
        500..=599 => "look at status.twilio.com; try again later",
        _ => "check the API's address, and what stands between us and Twilio",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn refusals_are_told_in_words() {
        let body = br#"{"code":21219,"message":"The number +14155550100 is unverified.","more_info":"https://www.twilio.com/docs/errors/21219","status":400}"#;
        let error = ApiError::read(400, body, None, Wanted::Create);
        insta::assert_snapshot!(error, @"a trial account may only call verified numbers (Twilio's 21219): verify the number in the console, or upgrade the account");
        assert_eq!(error.next, Next::Mend);
        let unknown =
            ApiError::read(400, br#"{"code":99999,"message":"Something new."}"#, None, Wanted::Other);
        insta::assert_snapshot!(unknown, @"Twilio refused: Something new. (Twilio's 99999): see twilio.com/docs/api/errors");
        let proxy = ApiError::read(502, b"<html>Bad gateway</html>", None, Wanted::Other);
        insta::assert_snapshot!(proxy, @"Twilio's API answered 502: look at status.twilio.com; try again later");
    }

    #[test]
    fn a_call_is_never_placed_twice_blindly() {
        let again = Next::Again(Some(Duration::from_secs(2)));
        let after = Some(Duration::from_secs(2));
        let next = |status, body: &[u8], wanted| ApiError::read(status, body, after, wanted).next;
        assert_eq!(next(500, br#"{"code":20500}"#, Wanted::Create), Next::Look);
        assert_eq!(next(503, b"", Wanted::Create), Next::Look);
        assert_eq!(next(503, b"", Wanted::Other), again);
        // Never processed: safe, whatever was wanted.
        assert_eq!(next(429, br#"{"code":20429}"#, Wanted::Create), again);
        // The call that was to be ended is over.
        assert_eq!(next(400, br#"{"code":21220}"#, Wanted::Other), Next::Done);
        assert_eq!(next(401, br#"{"code":20003}"#, Wanted::Other), Next::Mend);
    }
}
