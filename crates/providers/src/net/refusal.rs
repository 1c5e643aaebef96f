//! What a provider's refusal means: shall we ask again, and what should a person do?

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use offhook_stages::StageError;
use serde_json::Value;

/// As much of a provider's message is told.
const LONGEST_MESSAGE: usize = 400;

/// Reads a refusal: status, headers and body of an HTTP answer, or of a WebSocket's handshake.
///
/// Statuses that say "the same again will be refused again" give [`StageError::Refused`]; rate limits and overload
/// [`StageError::Busy`]; the rest [`StageError::Broken`]. A 429 that speaks of quota or billing is a refusal: waiting
/// doesn't help.
#[must_use]
pub fn http_failure(stage: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> StageError {
    let stage = stage.to_owned();
    let message = message_of(body, headers);
    let what = match status.canonical_reason() {
        Some(reason) => format!("{} {reason}: {message}", status.as_u16()),
        None => format!("{}: {message}", status.as_u16()),
    };
    match status.as_u16() {
        429 | 401 | 402 | 403 if is_quota(&message, status) => {
            let hint = "the account has no credit or quota left: add some, or let another provider go first";
            StageError::Refused { stage, what, hint: hint.to_owned() }
        }
        // Google's way of refusing a key.
        400 if says_bad_key(&message) => {
            StageError::Refused { stage, what, hint: "the key is missing, wrong or revoked".to_owned() }
        }
        401 => StageError::Refused { stage, what, hint: "the key is missing, wrong or revoked".to_owned() },
        403 => StageError::Refused {
            stage,
            what,
            hint: "the key is valid, but may not use this: look at its permissions, project and region"
                .to_owned(),
        },
        404 => StageError::Refused {
            stage,
            what,
            hint:
                "the address or the model's id is wrong, or the model was retired: see `base_url` and `model`"
                    .to_owned(),
        },
        408 | 409 | 425 | 429 | 498 | 503 | 504 | 529 => {
            let told = || serde_json::from_slice(body).ok().and_then(|body| told_wait(&body));
            StageError::Busy { stage, what, retry_after: retry_after(headers).or_else(told) }
        }
        405 | 407 | 410 => {
            let hint = "the address is wrong, or a proxy is in the way: see `base_url`".to_owned();
            StageError::Refused { stage, what, hint }
        }
        400..=499 => StageError::Declined { stage, what },
        300..=399 => {
            let to = headers.get("location").and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            let hint =
                "redirects are not followed, for they would carry the key elsewhere: correct `base_url`";
            StageError::Refused { stage, what: format!("{what} (to {to})"), hint: hint.to_owned() }
        }
        _ => StageError::Broken { stage, what },
    }
}

/// An error that came inside of a stream that had begun well: by its type and code.
#[must_use]
pub fn stream_failure(stage: &str, error: &Value) -> StageError {
    let text = |name: &str| match error.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    // Google names what others call a type a status.
    let kind = if text("type").is_empty() { text("status") } else { text("type") };
    let code = text("code");
    let bare = || error.as_str().map_or_else(|| error.to_string(), str::to_owned);
    let message = shortened(&message_in(error).unwrap_or_else(bare));
    let what = match (kind.is_empty(), code.is_empty()) {
        (true, true) => message,
        (false, true) => format!("{kind}: {message}"),
        (true, false) => format!("{code}: {message}"),
        (false, false) => format!("{kind} ({code}): {message}"),
    };
    let stage = stage.to_owned();
    let all = format!("{kind} {code}").to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| all.contains(word));
    if is_quota(&all, StatusCode::TOO_MANY_REQUESTS) {
        let hint = "the account has no credit or quota left".to_owned();
        StageError::Refused { stage, what, hint }
    } else if says(&[
        "overloaded",
        "rate_limit",
        "capacity",
        "timeout",
        "503",
        "529",
        "429",
        "unavailable",
        "exhausted",
    ]) {
        StageError::Busy { stage, what, retry_after: told_wait(error) }
    } else if says(&[
        "authentication",
        "api_key",
        "permission",
        "not_found",
        "billing",
        "model_not",
        "401",
        "402",
        "403",
        "404",
    ]) {
        let hint =
            "the provider does not serve this key or model: look at the agent's settings for it".to_owned();
        StageError::Refused { stage, what, hint }
    } else if says(&["invalid_", "400", "413", "422", "content_filter", "tool_use_failed", "context_length"])
    {
        StageError::Declined { stage, what }
    } else {
        StageError::Broken { stage, what }
    }
}

/// When to try again: `retry-after-ms`, or `retry-after` in seconds (fractions allowed) or as a date (RFC 9110, 10.2.3).
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text =
        |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok()).map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(ms / 1_000.0).ok();
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// When to try again, as an error's body says: Google's `retryDelay` (`"34s"`), or in words, as OpenAI and Groq have it ("Please try
/// again in 1m2.5s").
fn told_wait(error: &Value) -> Option<Duration> {
    let inner = error.get("error").filter(|inner| inner.is_object()).unwrap_or(error);
    let details = inner.get("details").and_then(Value::as_array).into_iter().flatten();
    let delay = details.filter_map(|detail| detail.get("retryDelay")?.as_str()).find_map(length);
    delay.or_else(|| {
        let message = message_in(error)?;
        let (_, after) = message.split_once("try again in ")?;
        length(after.split_whitespace().next()?.trim_end_matches('.'))
    })
}

/// A length of time as Go writes it: `1m2.5s`, `350ms`, `34s`. At most a day.
fn length(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(end);
        let after = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, next) = unit.split_at(after);
        let each = match unit {
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * each;
        rest = next;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| *wait <= Duration::from_secs(86_400))
}

fn says_bad_key(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("api key not valid")
        || message.contains("api_key_invalid")
        || message.contains("api key expired")
}

fn is_quota(message: &str, status: StatusCode) -> bool {
    let message = message.to_ascii_lowercase();
    status == StatusCode::PAYMENT_REQUIRED
        || ["insufficient_quota", "quota_exceeded", "exceeded your current quota", "spend_limit", "billing"]
            .iter()
            .any(|words| message.contains(words))
}

/// The message in an error's body: the shapes of all providers that we know, else the body's beginning.
fn message_of(body: &[u8], headers: &HeaderMap) -> String {
    let found = serde_json::from_slice::<Value>(body).ok().and_then(|body| {
        let code = body.pointer("/error/code").or_else(|| body.pointer("/error/details/error_code"));
        let code = code.or_else(|| body.get("err_code")).or_else(|| body.pointer("/detail/status"));
        let message = message_in(&body)?;
        Some(match code.and_then(Value::as_str).filter(|code| !message.contains(code)) {
            Some(code) => format!("{message} ({code})"),
            None => message,
        })
    });
    // Deepgram tells it in a header as well, and only there when it refuses a WebSocket.
    let header = || headers.get("dg-error").and_then(|error| error.to_str().ok()).map(str::to_owned);
    let message = found.or_else(header).unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        if text.trim_start().starts_with('<') { html_title(&text) } else { text.trim().to_owned() }
    });
    if message.is_empty() { "no reason given".to_owned() } else { shortened(&message) }
}

fn message_in(body: &Value) -> Option<String> {
    let object = |value: &Value| {
        let message = value.get("message").or_else(|| value.get("error")).or_else(|| value.get("msg"));
        message.and_then(Value::as_str).map(str::to_owned)
    };
    let any = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => items.first().and_then(object),
        other => object(other),
    };
    let named = ["error", "detail", "message", "err_msg", "reason"];
    named.iter().find_map(|name| body.get(name).and_then(any))
}

/// A gateway's page: its title tells enough.
fn html_title(page: &str) -> String {
    let title = page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    title.map_or_else(|| "an HTML page".to_owned(), |(title, _)| format!("an HTML page, “{}”", title.trim()))
}

fn shortened(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_stage_api::FailureKind;

    fn read(status: u16, body: &str) -> StageError {
        http_failure("x", StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn the_shapes_of_all_providers_are_read() {
        for (body, message) in [
            (
                r#"{"error":{"message":"Rate limit","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
                "Rate limit (rate_limit_exceeded)",
            ),
            (r#"{"error":{"code":503,"message":"Loading model"}}"#, "Loading model"),
            (r#"{"error":"no 'file' field in the request"}"#, "no 'file' field in the request"),
            (r#"{"detail":{"status":"quota","message":"m"}}"#, "m (quota)"),
            (r#"{"detail":"Model 'x' is not installed locally"}"#, "Model 'x' is not installed locally"),
            (r#"{"detail":[{"loc":["a"],"msg":"field required"}]}"#, "field required"),
            (r#"{"object":"error","message":"bad","code":400}"#, "bad"),
            (
                r#"{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials."}"#,
                "Invalid credentials. (INVALID_AUTH)",
            ),
            ("<html><head><title>502 Bad Gateway</title></head>", "an HTML page, “502 Bad Gateway”"),
            ("", "no reason given"),
            ("upstream\n  is gone", "upstream is gone"),
        ] {
            assert_eq!(message_of(body.as_bytes(), &HeaderMap::new()), message);
        }
    }

    #[test]
    fn a_quota_is_no_rate_limit() {
        let limit = read(429, r#"{"error":{"message":"Slow down","code":"rate_limit_exceeded"}}"#);
        let quota = read(429, r#"{"error":{"message":"No money","code":"insufficient_quota"}}"#);
        assert_eq!((limit.kind(), quota.kind()), (FailureKind::Busy, FailureKind::Refused));
        assert_eq!(read(529, "").kind(), FailureKind::Busy);
        assert_eq!(read(500, "").kind(), FailureKind::Broken);
        for status in [401, 402, 403, 404] {
            assert_eq!(read(status, "").kind(), FailureKind::Refused);
        }
        let google = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#;
        assert_eq!(read(400, google).kind(), FailureKind::Refused);
        for status in [400, 413, 415, 422] {
            assert_eq!(read(status, "").kind(), FailureKind::Declined, "one request's own fault");
        }
    }

    #[test]
    fn waits_are_read_in_every_form() {
        let after = |name: &'static str, value: &'static str| {
            retry_after(&HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]))
        };
        assert_eq!(after("retry-after", "1.5"), Some(Duration::from_millis(1_500)));
        assert_eq!(after("retry-after-ms", "20"), Some(Duration::from_millis(20)));
        assert_eq!(after("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("retry-after", "soon"), None);
        assert_eq!(after("retry-after", "-3"), None);
        let told = |status: u16, body: &str| match read(status, body) {
            StageError::Busy { retry_after, .. } => retry_after,
            other => panic!("{other}"),
        };
        let google = r#"{"error":{"code":429,"message":"Slow down","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.Help"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.07s"}]}}"#;
        assert_eq!(told(429, google), Some(Duration::from_millis(34_070)));
        for (words, wait) in
            [("20s", Some(20_000)), ("1m2.5s", Some(62_500)), ("350ms", Some(350)), ("a while", None)]
        {
            let body = format!(
                r#"{{"error":{{"message":"Rate limit reached. Please try again in {words}. Visit x."}}}}"#
            );
            assert_eq!(told(429, &body), wait.map(Duration::from_millis), "{words}");
        }
    }

    #[test]
    fn errors_inside_streams_are_told_apart() {
        let kind = |text: &str| stream_failure("x", &serde_json::from_str(text).unwrap()).kind();
        assert_eq!(kind(r#"{"type":"overloaded_error","message":"Overloaded"}"#), FailureKind::Busy);
        assert_eq!(kind(r#"{"type":"invalid_request_error","message":"m"}"#), FailureKind::Declined);
        assert_eq!(
            kind(r#"{"type":"invalid_request_error","code":"invalid_api_key"}"#),
            FailureKind::Refused
        );
        assert_eq!(kind(r#"{"code":503,"message":"m","status":"UNAVAILABLE"}"#), FailureKind::Busy);
        assert_eq!(kind(r#"{"code":400,"message":"m","status":"INVALID_ARGUMENT"}"#), FailureKind::Declined);
        assert_eq!(kind(r#"{"message":"m","type":"server_error","code":null}"#), FailureKind::Broken);
        assert_eq!(kind(r#""just text""#), FailureKind::Broken);
    }
}
