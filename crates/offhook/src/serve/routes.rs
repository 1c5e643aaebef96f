//! Every address that this server answers at, in one table.

use hyper::Method;

/// What is done at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Twilio asks what to do with a call.
    Voice,
    /// Twilio asks what to do when a stream has ended.
    AfterStream,
    /// Twilio asks what to do when a transfer is over.
    AfterTransfer,
    /// Twilio tells how a call goes.
    Status,
    /// Twilio tells who answered.
    AnsweredBy,
    /// Twilio tells what became of a stream.
    StreamStatus,
    /// Twilio asks what to do when a session of text has ended.
    AfterRelay,
    /// The WebSocket for sound.
    Stream,
    /// The WebSocket for text.
    Relay,
    /// Does the server run?
    Healthy,
    /// Does it take new calls?
    Ready,
    /// What is counted.
    Metrics,
    /// The API's description.
    OpenApi,
    /// The rest is the API; see [`crate::api`].
    Place,
    List,
    Show,
    End,
    Say,
    Transfer,
    Press,
    Events,
}

#[cfg(test)]
impl Does {
    /// Whether it needs the API's token.
    pub(crate) const fn is_api(self) -> bool {
        matches!(
            self,
            Self::Place
                | Self::List
                | Self::Show
                | Self::End
                | Self::Say
                | Self::Transfer
                | Self::Press
                | Self::Events
        )
    }
}

/// An address.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) methods: &'static [Method],
    /// `{sid}` stands for a call's SID.
    pub(crate) path: &'static str,
    pub(crate) does: Does,
}

const fn route(methods: &'static [Method], path: &'static str, does: Does) -> Route {
    Route { methods, path, does }
}

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
/// Webhooks may be set to either in Twilio's console.
const EITHER: &[Method] = &[Method::POST, Method::GET];

/// Where the stream's WebSocket is.
pub(crate) const STREAM_PATH: &str = "/media-stream";

/// Where ConversationRelay's WebSocket is.
pub(crate) const RELAY_PATH: &str = "/conversation-relay";
/// What Twilio asks when a session of text has ended.
pub(crate) const AFTER_RELAY_PATH: &str = "/after-relay";

/// All of them.
pub(crate) static ROUTES: &[Route] = &[
    route(EITHER, "/voice", Does::Voice),
    route(EITHER, "/after-stream", Does::AfterStream),
    route(EITHER, "/after-transfer", Does::AfterTransfer),
    route(EITHER, "/status", Does::Status),
    route(EITHER, "/amd", Does::AnsweredBy),
    route(EITHER, "/stream-status", Does::StreamStatus),
    route(EITHER, AFTER_RELAY_PATH, Does::AfterRelay),
    route(GET, STREAM_PATH, Does::Stream),
    route(GET, RELAY_PATH, Does::Relay),
    route(GET, "/healthz", Does::Healthy),
    route(GET, "/readyz", Does::Ready),
    route(GET, "/metrics", Does::Metrics),
    route(GET, "/openapi.json", Does::OpenApi),
    route(POST, "/calls", Does::Place),
    route(GET, "/calls", Does::List),
    route(GET, "/calls/{sid}", Does::Show),
    route(&[Method::DELETE], "/calls/{sid}", Does::End),
    route(POST, "/calls/{sid}/say", Does::Say),
    route(POST, "/calls/{sid}/transfer", Does::Transfer),
    route(POST, "/calls/{sid}/dtmf", Does::Press),
    route(GET, "/calls/{sid}/events", Does::Events),
];

/// What a request finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This, with the call's SID if the address has one.
    This(Does, String),
    /// The address takes other methods.
    WrongMethod,
    /// No such address.
    Nothing,
}

/// Finds what is at an address.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let mut found = Found::Nothing;
    for route in ROUTES {
        let Some(sid) = matches(route.path, path) else { continue };
        if route.methods.contains(method) {
            return Found::This(route.does, sid.to_owned());
        }
        found = Found::WrongMethod;
    }
    found
}

/// The SID in a path of this pattern; blank if the pattern has none.
fn matches<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once("{sid}") else { return (pattern == path).then_some("") };
    let sid = path.strip_prefix(before)?.strip_suffix(after)?;
    (!sid.is_empty() && sid.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(sid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_exactly() {
        let this = |does, sid: &str| Found::This(does, sid.to_owned());
        assert_eq!(find(&Method::POST, "/calls"), this(Does::Place, ""));
        assert_eq!(find(&Method::GET, "/calls"), this(Does::List, ""));
        assert_eq!(find(&Method::GET, "/calls/CA1"), this(Does::Show, "CA1"));
        assert_eq!(find(&Method::GET, "/calls/CA1/events"), this(Does::Events, "CA1"));
        assert_eq!(find(&Method::PUT, "/calls/CA1"), Found::WrongMethod);
        assert_eq!(find(&Method::GET, "/calls/"), Found::Nothing);
        assert_eq!(find(&Method::GET, "/calls/CA1/x"), Found::Nothing);
        assert_eq!(find(&Method::GET, "/calls/../say"), Found::Nothing);
        assert_eq!(find(&Method::GET, "/"), Found::Nothing);
    }
}
