//! How long the doctor waits for what: as long as Twilio, where Twilio tells.

use std::time::Duration;

/// How long is waited for what, and what is late.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a TCP connection. Twilio gives it two tries of 5 s (error 11205).
    pub connect: Duration,
    /// For the TLS handshake.
    pub tls: Duration,
    /// For a webhook's whole answer, redirects included ("Connection Overrides").
    pub webhook: Duration,
    /// A caller hears ringing while the webhook is waited for; more than this is told.
    pub slow_webhook: Duration,
    /// For the answer to a WebSocket handshake. Twilio's own limit is not published.
    pub handshake: Duration,
    /// For a greeting, before the caller speaks.
    pub greeting: Duration,
    /// A greeting that lasts so long without a pause is spoken over.
    pub long_greeting: Duration,
    /// For an answer to the caller.
    pub answer: Duration,
    /// Once the agent was spoken over, for it to stop.
    pub stop_talking: Duration,
    /// For the server to close after `stop`.
    pub close: Duration,
    /// A greeting that begins later than this is told: callers say “hello?”.
    pub late_greeting: Duration,
    /// An answer that begins later than this is told: callers repeat themselves, or give up.
    pub late_answer: Duration,
    /// For the rest of a text that was begun (ConversationRelay).
    pub rest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            tls: Duration::from_secs(10),
            webhook: Duration::from_secs(15),
            slow_webhook: Duration::from_secs(3),
            handshake: Duration::from_secs(10),
            greeting: Duration::from_secs(10),
            long_greeting: Duration::from_secs(15),
            answer: Duration::from_secs(10),
            stop_talking: Duration::from_secs(3),
            close: Duration::from_secs(4),
            late_greeting: Duration::from_secs(3),
            late_answer: Duration::from_secs(5),
            rest: Duration::from_secs(5),
        }
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
