//! Every address that this server answers at, in one table.

use axum::routing::MethodFilter;

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
    /// Twilio asks what an application of an agent's is to be asked.
    App,
    /// Twilio asks what to do when a session with an application has ended.
    AfterApp,
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
    Server,
    CheckAgent,
    TestCall,
    Speak,
    Listen,
    Tape,
    TapeSound,
    WhatIf,
    Place,
    List,
    Show,
    End,
    Say,
    TakeOver,
    Transfer,
    Press,
    Events,
    /// Calls that were kept.
    History,
    Document,
    Delete,
    DeleteNumber,
    AllEvents,
    Recording,
    Report,
}

#[cfg(test)]
impl Does {
    /// Whether it needs the API's token.
    pub(crate) const fn is_api(self) -> bool {
        matches!(
            self,
            Self::Place
                | Self::List
                | Self::Server
                | Self::CheckAgent
                | Self::TestCall
                | Self::Speak
                | Self::Listen
                | Self::Tape
                | Self::TapeSound
                | Self::WhatIf
                | Self::Show
                | Self::End
                | Self::Say
                | Self::TakeOver
                | Self::Transfer
                | Self::Press
                | Self::Events
                | Self::History
                | Self::Document
                | Self::Delete
                | Self::DeleteNumber
                | Self::AllEvents
                | Self::Recording
                | Self::Report
        )
    }
}

/// An address.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) methods: MethodFilter,
    /// `{sid}` stands for a call's SID.
    pub(crate) path: &'static str,
    pub(crate) does: Does,
}

const fn route(methods: MethodFilter, path: &'static str, does: Does) -> Route {
    Route { methods, path, does }
}

const GET: MethodFilter = MethodFilter::GET;
const POST: MethodFilter = MethodFilter::POST;
/// Webhooks may be set to either in Twilio's console.
const EITHER: MethodFilter = GET.or(POST);

/// Where the stream's WebSocket is.
pub(crate) const STREAM_PATH: &str = "/media-stream";

/// Where ConversationRelay's WebSocket is.
pub(crate) const RELAY_PATH: &str = "/conversation-relay";
/// What Twilio asks when a session of text has ended.
pub(crate) const AFTER_RELAY_PATH: &str = "/after-relay";

/// What Twilio asks in the place of an application's own addresses.
pub(crate) const APP_PATH: &str = "/app";
/// What Twilio asks when a session with an application has ended.
pub(crate) const AFTER_APP_PATH: &str = "/after-app";

/// All of them.
pub(crate) static ROUTES: &[Route] = &[
    route(EITHER, "/voice", Does::Voice),
    route(EITHER, "/after-stream", Does::AfterStream),
    route(EITHER, "/after-transfer", Does::AfterTransfer),
    route(EITHER, "/status", Does::Status),
    route(EITHER, "/amd", Does::AnsweredBy),
    route(EITHER, "/stream-status", Does::StreamStatus),
    route(EITHER, AFTER_RELAY_PATH, Does::AfterRelay),
    route(EITHER, APP_PATH, Does::App),
    route(EITHER, AFTER_APP_PATH, Does::AfterApp),
    route(GET, STREAM_PATH, Does::Stream),
    route(GET, RELAY_PATH, Does::Relay),
    route(GET, "/healthz", Does::Healthy),
    route(GET, "/readyz", Does::Ready),
    route(GET, "/metrics", Does::Metrics),
    route(GET, "/openapi.json", Does::OpenApi),
    route(GET, "/server", Does::Server),
    route(POST, "/agents/check", Does::CheckAgent),
    route(POST, "/speech", Does::Speak),
    route(POST, "/calls", Does::Place),
    route(GET, "/calls", Does::List),
    route(POST, "/calls/test", Does::TestCall),
    route(GET, "/calls/{sid}", Does::Show),
    route(MethodFilter::DELETE, "/calls/{sid}", Does::End),
    route(POST, "/calls/{sid}/say", Does::Say),
    route(POST, "/calls/{sid}/take-over", Does::TakeOver),
    route(POST, "/calls/{sid}/transfer", Does::Transfer),
    route(POST, "/calls/{sid}/dtmf", Does::Press),
    route(GET, "/calls/{sid}/events", Does::Events),
    route(GET, "/events", Does::AllEvents),
    route(GET, "/calls/{sid}/listen", Does::Listen),
    route(GET, "/v1/tapes/{sid}", Does::Tape),
    route(GET, "/v1/tapes/{sid}/sound", Does::TapeSound),
    route(POST, "/v1/tapes/{sid}/what-if", Does::WhatIf),
    route(GET, "/v1/history", Does::History),
    route(GET, "/v1/history/{sid}", Does::Document),
    route(MethodFilter::DELETE, "/v1/history/{sid}", Does::Delete),
    route(POST, "/v1/deletions", Does::DeleteNumber),
    route(GET, "/v1/history/{sid}/recording", Does::Recording),
    route(GET, "/v1/report", Does::Report),
];
