//! `[store]`: where the documents of calls are kept.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use offhook_recording::Form;
use offhook_store::{Keys, Location, Redaction, Settings, Store};
use serde::Deserialize;

use crate::keeper::How;

/// `[store]`: where the documents of calls are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreConfig {
    /// The database: `sqlite:FILE` or `postgres://…`. Default: `calls.db` in the folder `record`, if that is set.
    pub(crate) url: Option<String>,
    /// Environment variable that holds the database's address; comes before `url`. Default `OFFHOOK_STORE_URL`.
    pub(crate) url_env: String,
    /// Folder where documents wait while the database is away. Default: `spool` beside SQLite's file, or in the folder `record`.
    pub(crate) spool: Option<PathBuf>,
    /// Octets that may wait there. Default 256 MiB.
    pub(crate) spool_bytes: u64,
    /// This server's name, if several have one database. Default: the machine's name and the port.
    pub(crate) server: Option<String>,
    /// Environment variable that holds the keys that documents are encrypted by: 32 octets in base64, the newest first, separated by
    /// commas. Default `OFFHOOK_STORE_KEY`; without a key nothing is encrypted.
    pub(crate) key_env: String,
    /// Calls are deleted so long after they began. Default: never.
    #[serde(with = "humantime_serde")]
    pub(crate) keep_for: Option<Duration>,
    /// Octets that calls' tapes, records and sound may take in the folder `record`; beyond, the oldest calls are deleted, with their
    /// documents. Default: no limit.
    pub(crate) keep_bytes: Option<u64>,
    /// `[store.redact]`: what is taken out before anything is written.
    pub(crate) redact: Redaction,
}

/// `[recording]`: whether calls' sound is kept, in the folder `record`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RecordingConfig {
    /// `none`, `wav` (G.711 μ-law, 0.96 MB a minute) or `flac` (the same sound, about half). Stereo: caller left, agent right. Default
    /// `none`.
    pub(crate) form: RecordingForm,
    /// Said to the caller when the call begins, such as "This call is recorded."; nothing interrupts it, and no sound is recorded before
    /// it was heard to its end. Default: nothing is said.
    pub(crate) notice: Option<String>,
}

/// In what form a call's sound is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordingForm {
    #[default]
    None,
    Wav,
    Flac,
}

impl RecordingForm {
    pub(crate) const fn form(self) -> Option<Form> {
        match self {
            Self::None => None,
            Self::Wav => Some(Form::Wav),
            Self::Flac => Some(Form::Flac),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: None,
            url_env: "OFFHOOK_STORE_URL".to_owned(),
            spool: None,
            spool_bytes: 256 * 1024 * 1024,
            server: None,
            key_env: "OFFHOOK_STORE_KEY".to_owned(),
            keep_for: None,
            keep_bytes: None,
            redact: Redaction::default(),
        }
    }
}

impl StoreConfig {
    /// Where it is, if there is one.
    pub(crate) fn location(&self, record: Option<&Path>) -> anyhow::Result<Option<Location>> {
        let from_environment = std::env::var(&self.url_env).ok().filter(|url| !url.trim().is_empty());
        match from_environment.or_else(|| self.url.clone()) {
            Some(url) => Ok(Some(Location::parse(url.trim()).context("[store]")?)),
            None => Ok(record.map(|folder| Location::Sqlite(folder.join("calls.db")))),
        }
    }

    /// What documents are encrypted by, if they are.
    pub(crate) fn keys(&self) -> anyhow::Result<Option<Keys>> {
        let keys = std::env::var(&self.key_env).ok().filter(|keys| !keys.trim().is_empty());
        keys.map(|keys| Keys::parse(&keys)).transpose().with_context(|| self.key_env.clone())
    }

    fn spool(&self, location: &Location, record: Option<&Path>) -> PathBuf {
        let beside = match location {
            Location::Sqlite(path) => path.parent().map(Path::to_owned),
            Location::Postgres(_) => None,
        };
        let folder = || record.map(Path::to_owned).or(beside).unwrap_or_default().join("spool");
        self.spool.clone().unwrap_or_else(folder)
    }

    /// The redaction and the keys go for all files of calls.
    pub(crate) fn how_to_keep(&self, packs: bool) -> anyhow::Result<How> {
        Ok(How { packs, keys: self.keys()?, redaction: self.redact.clone() })
    }

    /// Starts the store, if there is to be one. `listen`: where this server listens.
    pub(crate) fn start(&self, record: Option<&Path>, listen: SocketAddr) -> anyhow::Result<Option<Store>> {
        let Some(location) = self.location(record)? else { return Ok(None) };
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let server = self.server.clone().unwrap_or_else(|| format!("{}:{}", machine.trim(), listen.port()));
        let settings = Settings {
            spool: self.spool(&location, record),
            spool_bytes: self.spool_bytes,
            server,
            redaction: self.redact.clone(),
            keys: self.keys()?,
            location,
        };
        Ok(Some(Store::start(settings).context("the store of calls can't be used")?))
    }
}
