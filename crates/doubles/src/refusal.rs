//! How each provider says no.

use serde_json::json;

use crate::fault::Fault;
use crate::http::Refusal;

/// Whose protocol an address speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Vendor {
    /// OpenAI and the servers that speak like it.
    OpenAi,
    Anthropic,
    Gemini,
    Deepgram,
    ElevenLabs,
    AssemblyAi,
    Cartesia,
    Cohere,
    /// Local servers without keys: vosk, whisper.cpp.
    Local,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    BadKey,
    Quota,
    RateLimited,
    Overloaded,
    ServerError,
    NoSuchModel,
    BadRequest,
}

impl Vendor {
    /// A refusal in this provider's words.
    pub(crate) fn refuse(self, why: Why, message: &str) -> Refusal {
        match self {
            Self::OpenAi | Self::Local => openai(why, message, None, None),
            Self::Anthropic => anthropic(why, message),
            Self::Gemini => gemini(why, message),
            Self::Deepgram => deepgram(why, message),
            Self::ElevenLabs => elevenlabs(why, message),
            Self::AssemblyAi => plain(status(why), &json!({"error": message})),
            Self::Cartesia => cartesia(why, message),
            Self::Cohere => plain(
                if why == Why::Quota { 402 } else { status(why) },
                &json!({"id": "double", "message": message}),
            ),
        }
    }

    /// The refusal that a fault orders, if it orders one.
    pub(crate) fn fault(self, fault: &Fault) -> Option<Refusal> {
        Some(match fault {
            Fault::Unauthorized => self.refuse(Why::BadKey, "Incorrect API key provided."),
            Fault::Quota => self.refuse(Why::Quota, "You exceeded your current quota, please check your plan."),
            Fault::ServerError => self.refuse(Why::ServerError, "The server had an error processing your request."),
            Fault::Overloaded => Refusal { status: 529, ..self.refuse(Why::Overloaded, "Overloaded") },
            Fault::RateLimited { retry_after, retry_after_ms } => {
                let mut refusal = self.refuse(Why::RateLimited, "Rate limit reached.");
                let headers = [("retry-after", retry_after), ("retry-after-ms", retry_after_ms)];
                let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.to_string())));
                refusal.headers.extend(headers);
                refusal
            }
            Fault::Unavailable => Refusal {
                status: 503,
                headers: Vec::new(),
                content_type: "text/html; charset=utf-8",
                body: "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n\
                       <center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n"
                    .to_owned(),
            },
            _ => return None,
        })
    }
}

const fn status(why: Why) -> u16 {
    match why {
        Why::BadKey => 401,
        Why::Quota => 402,
        Why::RateLimited => 429,
        Why::Overloaded => 529,
        Why::ServerError => 500,
        Why::NoSuchModel => 404,
        Why::BadRequest => 400,
    }
}

fn plain(status: u16, body: &serde_json::Value) -> Refusal {
    Refusal { status, headers: Vec::new(), content_type: "application/json", body: body.to_string() }
}

/// OpenAI's shape, with the parameter and the code where they are known better than by the reason.
pub(crate) fn openai(why: Why, message: &str, param: Option<&str>, code: Option<&str>) -> Refusal {
    let (status, kind, usual) = match why {
        Why::BadKey => (401, "invalid_request_error", Some("invalid_api_key")),
        Why::Quota => (429, "insufficient_quota", Some("insufficient_quota")),
        Why::RateLimited => (429, "requests", Some("rate_limit_exceeded")),
        Why::Overloaded => (503, "server_error", None),
        Why::ServerError => (500, "server_error", None),
        Why::NoSuchModel => (404, "invalid_request_error", Some("model_not_found")),
        Why::BadRequest => (400, "invalid_request_error", None),
    };
    plain(
        status,
        &json!({"error": {"message": message, "type": kind, "param": param, "code": code.or(usual)}}),
    )
}

fn anthropic(why: Why, message: &str) -> Refusal {
    let kind = match why {
        Why::BadKey => "authentication_error",
        Why::Quota => "billing_error",
        Why::RateLimited => "rate_limit_error",
        Why::Overloaded => "overloaded_error",
        Why::ServerError => "api_error",
        Why::NoSuchModel => "not_found_error",
        Why::BadRequest => "invalid_request_error",
    };
    let body =
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_double"});
    let mut refusal = plain(status(why), &body);
    refusal.headers.push(("request-id", "req_double".to_owned()));
    refusal
}

/// Google's shape. A wrong key is a bad request.
fn gemini(why: Why, message: &str) -> Refusal {
    let (status, name, message) = match why {
        Why::BadKey => (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
        Why::Quota | Why::RateLimited => (429, "RESOURCE_EXHAUSTED", message),
        Why::Overloaded => (503, "UNAVAILABLE", message),
        Why::ServerError => (500, "INTERNAL", message),
        Why::NoSuchModel => (404, "NOT_FOUND", message),
        Why::BadRequest => (400, "INVALID_ARGUMENT", message),
    };
    plain(status, &json!({"error": {"code": status, "message": message, "status": name}}))
}

fn deepgram(why: Why, message: &str) -> Refusal {
    let code = match why {
        Why::BadKey => "INVALID_AUTH",
        Why::Quota => "ASR_PAYMENT_REQUIRED",
        Why::RateLimited => "TOO_MANY_REQUESTS",
        Why::Overloaded | Why::ServerError => "INTERNAL_SERVER_ERROR",
        Why::NoSuchModel => "INSUFFICIENT_PERMISSIONS",
        Why::BadRequest => "INVALID_QUERY_PARAMETER",
    };
    let status = if why == Why::NoSuchModel { 403 } else { status(why) };
    let id = "7a0f1c52-0000-4000-8000-0d0b1e5d0b1e";
    let mut refusal = plain(status, &json!({"err_code": code, "err_msg": message, "request_id": id}));
    refusal.headers.extend([("dg-error", message.to_owned()), ("dg-request-id", id.to_owned())]);
    refusal
}

fn elevenlabs(why: Why, message: &str) -> Refusal {
    let (status, code) = match why {
        Why::BadKey => (401, "invalid_api_key"),
        Why::Quota => (401, "quota_exceeded"),
        Why::RateLimited => (429, "too_many_concurrent_requests"),
        Why::Overloaded => (429, "system_busy"),
        Why::ServerError => (500, "internal_server_error"),
        Why::NoSuchModel => (404, "model_not_found"),
        Why::BadRequest => (400, "invalid_request"),
    };
    plain(status, &json!({"detail": {"status": code, "message": message}}))
}

fn cartesia(why: Why, message: &str) -> Refusal {
    let code = match why {
        Why::BadKey => "unauthorized",
        Why::Quota => "quota_exceeded",
        Why::RateLimited => "concurrency_limited",
        Why::Overloaded | Why::ServerError => "internal_error",
        Why::NoSuchModel => "model_not_found",
        Why::BadRequest => "invalid_request",
    };
    plain(
        status(why),
        &json!({"error_code": code, "title": code, "message": message, "request_id": "req_double"}),
    )
}
