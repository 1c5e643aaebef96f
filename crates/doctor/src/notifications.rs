//! What Twilio itself noted about a call: `GET /2010-04-01/Accounts/{AC}/Calls/{CA}/Notifications.json`
//! ("Call Notifications subresource", twilio.com/docs/voice/api/call-notification-resource).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use offhook_twilio::api::{ApiError, Wanted};
use offhook_twilio::calls::CallResource;
use offhook_twilio::{AccountSid, CallSid};
use serde::{Deserialize, Serialize};

use crate::dial::{self, Target, Way};
use crate::limits::Limits;

/// Twilio's API.
pub const API_BASE: &str = "https://api.twilio.com";
const PATIENCE: Duration = Duration::from_secs(20);
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// Who asks. `Debug` doesn't show the secret.
#[derive(Clone)]
pub struct Credentials {
    /// Whose calls.
    pub account: AccountSid,
    /// The account's SID, or that of an API key (`SK…`).
    pub user: String,
    /// The auth token, or the key's secret.
    pub secret: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, •)", self.account)
    }
}

/// A note of Twilio's, with what it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// When, as Twilio writes it.
    pub date: String,
    /// Twilio's code.
    pub code: u32,
    /// It only warns.
    pub warning: bool,
    /// What was requested, if it was a request.
    pub url: Option<String>,
    /// Twilio's own text, decoded.
    pub text: String,
    /// What the code means, if it is known here.
    pub meaning: Option<&'static str>,
    /// What to do.
    pub fix: Option<&'static str>,
}

/// Why there are no notes.
#[derive(Debug, thiserror::Error)]
pub enum NotesError {
    /// The base URL is none.
    #[error("`{0}` is no http or https URL")]
    Url(String),
    /// No connection, or it broke.
    #[error("Twilio's API can't be reached: {0}")]
    Unreachable(String),
    /// Twilio refuses.
    #[error("{0}")]
    Refused(#[from] ApiError),
    /// The answer isn't Twilio's.
    #[error("the answer is not what Twilio's API sends: {0}")]
    Shape(String),
}

#[derive(Deserialize)]
struct Page {
    notifications: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    message_date: Option<String>,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    log: Option<String>,
    #[serde(default)]
    message_text: Option<String>,
    #[serde(default)]
    request_url: Option<String>,
}

/// Asks for a call's notes, oldest first.
///
/// # Errors
/// If the API can't be reached, or refuses.
pub async fn fetch(base: &str, credentials: &Credentials, call: &CallSid) -> Result<Vec<Note>, NotesError> {
    let path = format!("/Calls/{call}/Notifications.json?PageSize=1000");
    read(&get(base, credentials, &path).await?)
}

/// Asks how a call stands: Twilio may list nothing for one that it doesn't know.
///
/// # Errors
/// If the API can't be reached, or refuses; also if there is no such call.
pub async fn look(base: &str, credentials: &Credentials, call: &CallSid) -> Result<CallResource, NotesError> {
    let body = get(base, credentials, &format!("/Calls/{call}.json")).await?;
    serde_json::from_slice(&body).map_err(|error| NotesError::Shape(error.to_string()))
}

async fn get(base: &str, credentials: &Credentials, path: &str) -> Result<Bytes, NotesError> {
    tokio::time::timeout(PATIENCE, ask(base, credentials, path)).await.unwrap_or_else(|_| {
        Err(NotesError::Unreachable(format!("no answer within {} s", PATIENCE.as_secs())))
    })
}

async fn ask(base: &str, credentials: &Credentials, path: &str) -> Result<Bytes, NotesError> {
    let url = format!("{}/2010-04-01/Accounts/{}{path}", base.trim_end_matches('/'), credentials.account);
    let target = Target::parse(&url).ok_or_else(|| NotesError::Url(base.to_owned()))?;
    let way = Way { roots: &[], limits: &Limits::default() };
    let connection =
        dial::open(&target, target.tls, way).await.map_err(|failed| NotesError::Unreachable(failed.what))?;
    let broken = |error: hyper::Error| NotesError::Unreachable(error.to_string());
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection.wire)).await.map_err(broken)?;
    let driver = tokio::spawn(driver);
    let login = STANDARD.encode(format!("{}:{}", credentials.user, credentials.secret));
    let request = Request::get(target.path.as_str())
        .header("host", &target.authority)
        .header("user-agent", concat!("offhook/", env!("CARGO_PKG_VERSION")))
        .header("accept", "application/json")
        .header("authorization", format!("Basic {login}"))
        .body(Empty::<Bytes>::new())
        .map_err(|error| NotesError::Url(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST_BODY)
        .collect()
        .await
        .map_err(|error| NotesError::Unreachable(error.to_string()))?
        .to_bytes();
    driver.abort();
    if !status.is_success() {
        return Err(ApiError::read(status.as_u16(), &body, None, Wanted::Other).into());
    }
    Ok(body)
}

/// Reads Twilio's list.
///
/// # Errors
/// If it isn't one.
pub fn read(body: &[u8]) -> Result<Vec<Note>, NotesError> {
    let page: Page = serde_json::from_slice(body).map_err(|error| NotesError::Shape(error.to_string()))?;
    let mut notes: Vec<Note> = page.notifications.into_iter().map(explain).collect();
    // Twilio lists the newest first.
    notes.reverse();
    Ok(notes)
}

fn explain(raw: Raw) -> Note {
    let code = raw.error_code.and_then(|code| code.parse().ok()).unwrap_or(0);
    let known = offhook_twilio::errors::lookup(code);
    let cause = crate::causes::ALL.iter().find(|cause| cause.code == Some(code));
    Note {
        date: raw.message_date.unwrap_or_default(),
        code,
        // 0 is an error, 1 a warning.
        warning: raw.log.as_deref() == Some("1"),
        url: raw.request_url.filter(|url| !url.is_empty()),
        text: in_words(&raw.message_text.unwrap_or_default()),
        meaning: known.map(|error| error.meaning).or(cause.map(|cause| cause.effect)),
        fix: known.map(|error| error.fix).or(cause.map(|cause| cause.fix)),
    }
}

/// Twilio's texts are forms: `Msg=…&LogLevel=ERROR&…`. The message is in `Msg` or `parserMessage`.
fn in_words(text: &str) -> String {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode(&spaced)
    };
    let parts: Vec<String> = ["Msg=", "msg=", "parserMessage=", "ErrorMessage="]
        .iter()
        .filter_map(|key| text.split('&').find_map(|part| part.strip_prefix(key)))
        .map(decoded)
        .collect();
    if parts.is_empty() { text.to_owned() } else { parts.join(": ") }
}

fn percent_decode(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let two = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match two.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(octet) if *first == b'%' => {
                octets.push(octet);
                rest = tail.get(2..).unwrap_or(&[]);
            }
            _ => octets.push(*first),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_and_explained() {
        let body = br#"{"notifications":[
            {"error_code":"31920","log":"0","message_date":"Tue, 03 Nov 2026 10:00:02 +0000","message_text":"Msg=Stream+-+WebSocket+-+Handshake+Error&LogLevel=ERROR","request_url":""},
            {"error_code":"12100","log":"0","message_date":"Tue, 03 Nov 2026 10:00:01 +0000","message_text":"parserMessage=Error+on+line+1%3A+bad&Msg=Document+parse+failure","request_url":"https://h/voice"},
            {"error_code":"99999","log":"1","message_text":"something"}],"page":0}"#;
        let notes = read(body).unwrap();
        assert_eq!(notes.iter().map(|note| note.code).collect::<Vec<_>>(), [99999, 12100, 31920]);
        assert_eq!(notes[1].text, "Document parse failure: Error on line 1: bad");
        assert_eq!(notes[1].url.as_deref(), Some("https://h/voice"));
        assert!(notes[2].fix.is_some() && notes[0].meaning.is_none() && notes[0].warning);
        assert!(read(b"<html>").is_err());
    }
}
