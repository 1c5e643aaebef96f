//! How adapters reach their providers: HTTP and WebSockets over rustls, deadlines at every wait, refusals read and told
//! in words, keys kept out of everything that is told.

mod ahead;
mod connect;
pub mod dial;
mod http;
pub mod identity;
mod inflate;
pub(crate) mod lenient;
mod refusal;
mod secret;
pub mod sse;
mod tls;
pub mod trace;
pub mod ws;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::http::{Answer, Http, join, post_json};
pub use refusal::{http_failure, retry_after, stream_failure};
pub use secret::Secret;
pub use tls::{certificates, config as tls_config, trust};

/// How long to wait for a provider. A chain of stages has its own, shorter ones; these are the bounds beyond which an
/// adapter gives up by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deadlines {
    /// For a connection, TLS and a WebSocket's handshake included. Default 3 s.
    #[serde(with = "humantime_serde")]
    pub connect: Duration,
    /// From a request to its answer's first octet. Default 8 s.
    #[serde(with = "humantime_serde")]
    pub first: Duration,
    /// Between pieces of an answer. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub gap: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), first: Duration::from_secs(8), gap: Duration::from_secs(10) }
    }
}
