//! What the doubles are told.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::fault::FaultRule;
use crate::latency::Latencies;
use crate::quirk::Quirk;
use crate::script::Script;

/// Configuration of the doubles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DoublesConfig {
    /// Address to listen on; port 0 takes a free one. Default 127.0.0.1, a free port.
    pub listen: SocketAddr,
    /// The one key that is right. None: any key is, but the header that this provider wants must be there.
    pub key: Option<Key>,
    /// Models that exist; a request for another is refused. Empty: all exist.
    pub models: Vec<String>,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// How long things take. Default: no time at all.
    pub latency: Latencies,
    /// What is said.
    pub script: Script,
    /// What goes wrong.
    pub faults: Vec<FaultRule>,
    /// Oddities of real servers that are not faults.
    pub quirks: Vec<Quirk>,
}

impl Default for DoublesConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
            key: None,
            models: Vec::new(),
            seed: 1,
            latency: Latencies::INSTANT,
            script: Script::default(),
            faults: Vec::new(),
            quirks: Vec::new(),
        }
    }
}

/// A key. `Debug` doesn't show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// Takes a key.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    pub(crate) fn is(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(•••)")
    }
}
