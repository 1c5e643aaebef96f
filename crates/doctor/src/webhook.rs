//! The webhook's request as Twilio makes it, redirects included, and what its answer's head tells.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::HeaderMap;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use offhook_twilio::signature::{AuthToken, sign, signed_url};
use offhook_twilio::webhook::{WebhookForm, join_url};
use tokio::time::Instant;

use crate::causes;
use crate::dial::{self, Failed, Target, Way};
use crate::finding::{Check, Report};
use crate::limits::Limits;

/// Twilio follows so many redirects (error 11215).
const MOST_REDIRECTS: usize = 10;
/// Longest answer read.
const LONGEST_BODY: usize = 1024 * 1024;

/// How to sign a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signing<'a> {
    /// Not at all: there is no token.
    None,
    /// With the token, over the URL.
    Token(&'a AuthToken),
    /// With the token, over another spelling of the URL.
    As(&'a AuthToken, &'a str),
    /// With the token, over this URL and other parameters than are sent.
    With(&'a AuthToken, &'a str, &'a [(String, String)]),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Where it came from, after redirects.
    pub(crate) url: String,
    pub(crate) took: Duration,
    pub(crate) ends_soon: Option<String>,
    /// A redirect with this status made GET of POST.
    pub(crate) got_by: Option<u16>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Asks with the form, follows redirects, and measures.
pub(crate) async fn fetch(
    url: &str,
    method: Method,
    form: &WebhookForm,
    signing: Signing<'_>,
    way: Way<'_>,
) -> Result<Answer, Failed> {
    let began = Instant::now();
    let fetching = tokio::time::timeout(way.limits.webhook, follow(url, method, form, signing, way));
    let mut answer = fetching.await.map_err(|_| {
        Failed::new(&causes::TOO_SLOW, format!("no whole answer within {:?}", way.limits.webhook))
    })??;
    answer.took = began.elapsed();
    Ok(answer)
}

async fn follow(
    url: &str,
    mut method: Method,
    form: &WebhookForm,
    signing: Signing<'_>,
    way: Way<'_>,
) -> Result<Answer, Failed> {
    let mut url = url.to_owned();
    let mut got_by = None;
    for _ in 0..=MOST_REDIRECTS {
        let mut answer = ask(&url, &method, form, signing, way).await?;
        let next = match (answer.status, answer.header("location")) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => join_url(&url, location),
            _ => {
                answer.got_by = got_by;
                return Ok(answer);
            }
        };
        if matches!(answer.status, 301..=303) && method == Method::POST {
            method = Method::GET;
            got_by = Some(answer.status);
        }
        url = next;
    }
    Err(Failed::new(&causes::REDIRECTS, format!("more than {MOST_REDIRECTS} redirects, the last to {url}")))
}

async fn ask(
    url: &str,
    method: &Method,
    form: &WebhookForm,
    signing: Signing<'_>,
    way: Way<'_>,
) -> Result<Answer, Failed> {
    let target = Target::parse(url)
        .ok_or_else(|| Failed::new(&causes::URL_INVALID, format!("`{url}` is no URL of http or https")))?;
    let connection = dial::open(&target, target.tls, way).await?;
    let broken = |error: &hyper::Error| {
        let what = format!("{}: {error}", target.authority);
        Failed::new(if error.is_timeout() { &causes::TOO_SLOW } else { &causes::BROKEN_HTTP }, what)
    };
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(connection.wire))
        .await
        .map_err(|error| broken(&error))?;
    let driver = tokio::spawn(driver);
    let posted = *method == Method::POST;
    let mut path = target.path.clone();
    if !posted {
        let joint = if path.contains('?') { '&' } else { '?' };
        path = format!("{path}{joint}{}", form.encode());
    }
    let mut request = Request::builder()
        .method(method)
        .uri(path.as_str())
        .header("host", &target.authority)
        .header("user-agent", "TwilioProxy/1.1")
        .header("accept", "*/*");
    if let Some(login) = &target.login {
        request = request.header("authorization", format!("Basic {}", STANDARD.encode(login)));
    }
    if let Signing::Token(token) | Signing::As(token, _) | Signing::With(token, ..) = signing {
        let whole = match signing {
            Signing::As(_, spelling) | Signing::With(_, spelling, _) => spelling.to_owned(),
            _ if posted => signed_url(url),
            _ => signed_url(&join_url(url, &path)),
        };
        let params = match signing {
            Signing::With(.., params) => params,
            _ if posted => form.params(),
            _ => &[],
        };
        request = request.header("x-twilio-signature", sign(token, &whole, params));
    }
    let body = if posted {
        request = request.header("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
        Bytes::from(form.encode())
    } else {
        Bytes::new()
    };
    let request = request
        .body(Full::new(body))
        .map_err(|error| Failed::new(&causes::URL_INVALID, format!("`{url}`: {error}")))?;
    let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, LONGEST_BODY).collect().await.map_err(|error| {
        Failed::new(&causes::BROKEN_HTTP, format!("the answer breaks off, or is longer than 1 MB: {error}"))
    })?;
    driver.abort();
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.to_bytes(),
        url: url.to_owned(),
        took: Duration::ZERO,
        ends_soon: connection.ends_soon,
        got_by: None,
    })
}

/// Judges status, content type and time. True if the body is worth reading.
pub(crate) fn judge(answer: &Answer, signed: bool, limits: &Limits, report: &mut Report) -> bool {
    if let Some(what) = &answer.ends_soon {
        report.add(Check::Connection, &causes::TLS_ENDS_SOON, what.clone());
    }
    if !(200..300).contains(&answer.status) {
        let (cause, hint) = status_cause(answer, signed);
        report.add(
            Check::Webhook,
            cause,
            format!("{} answers with status {}{hint}", answer.url, answer.status),
        );
        return false;
    }
    if answer.took > limits.slow_webhook {
        report.add(
            Check::Webhook,
            &causes::SLOW,
            format!("the answer took {:.1} s", answer.took.as_secs_f64()),
        );
    }
    if answer.body.is_empty() {
        let chunked = answer.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
        let cause = if chunked { &causes::EMPTY_CHUNKED } else { &causes::EMPTY_BODY };
        report.add(Check::Webhook, cause, "the answer has no body");
        return false;
    }
    let coding = answer.header("content-encoding").map_or("", str::trim);
    if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") {
        let what = format!("the answer says `content-encoding: {coding}`, though nobody asked for that");
        report.add(Check::Webhook, &causes::COMPRESSED, what);
        return false;
    }
    let mime = answer.header("content-type").unwrap_or("");
    let mime = mime.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match mime.as_str() {
        "text/xml" | "application/xml" | "text/html" | "text/plain" => true,
        "" => {
            report.add(Check::Webhook, &causes::NO_CONTENT_TYPE, "the answer has no content type");
            false
        }
        other => {
            let start: String = String::from_utf8_lossy(&answer.body).chars().take(40).collect();
            let what = format!("the answer is `{other}`, and begins with: {}", start.trim());
            report.add(Check::Webhook, &causes::CONTENT_TYPE, what);
            false
        }
    }
}

fn status_cause(answer: &Answer, signed: bool) -> (&'static causes::Cause, String) {
    let tunnel = answer.header("ngrok-error-code").map(|code| format!(" (the tunnel says {code})"));
    let hint = tunnel.unwrap_or_default();
    if hint.contains("ERR_NGROK") {
        return (&causes::GATEWAY, hint);
    }
    let body = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    let has = |text: &str| body.contains(text);
    if let Some(status) = answer.got_by.filter(|_| matches!(answer.status, 404 | 405)) {
        return (&causes::REDIRECT_TO_GET, format!(", asked by GET after a redirect with status {status}"));
    }
    let cause = match answer.status {
        419 => &causes::CSRF,
        403 if has("csrf") => &causes::CSRF,
        422 if has("authenticity") => &causes::CSRF,
        403 | 503 | 429 if answer.header("cf-mitigated").is_some() || has("just a moment...") => {
            &causes::BOT_CHECK
        }
        // Amazon's API Gateway says so for paths that it doesn't know.
        403 if has("missing authentication token") => &causes::NOT_FOUND,
        511 => &causes::AUTHENTICATION,
        300..=399 => &causes::REDIRECTS,
        400 | 401 | 403 if has("signature") && signed => &causes::SIGNATURE_REFUSED,
        400 | 401 | 403 if has("signature") => &causes::FORBIDDEN,
        401 | 407 => &causes::AUTHENTICATION,
        403 if signed => &causes::SIGNATURE_REFUSED,
        403 => &causes::FORBIDDEN,
        404 | 410 => &causes::NOT_FOUND,
        405 => &causes::WRONG_METHOD,
        502..=504 | 521..=523 | 530 => &causes::GATEWAY,
        500.. => &causes::SERVER_ERROR,
        _ => &causes::BAD_STATUS,
    };
    (cause, hint)
}
