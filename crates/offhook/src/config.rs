//! `offhook.toml`: one file for a server. Unknown keys are refused with the line and the nearest right key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use offhook_media_line::CallConfig;
use offhook_twilio::signature::{AuthToken, Keys, SharedKey};
use offhook_twilio::twiml::{RelayOptions, TranscriptionProvider, TtsProvider};
use serde::Deserialize;

use crate::api::{ApiConfig, SignInConfig};
use crate::calls::config::OutboundConfig;
use crate::keeper::How;
use crate::objects::ObjectsConfig;
use crate::outbox::EventsConfig;
use crate::prices::Prices;
use crate::rest::Account;
use crate::routing::{AskConfig, Limits, RouteTable};
use crate::serve::http::HttpConfig;
use crate::serve::metrics::MetricsConfig;
use crate::serve::overload::OverloadConfig;
use crate::stored::{RecordingConfig, StoreConfig};
use crate::tenants::TenantTable;

/// The example that `--help` speaks of; a test holds it to be valid and to tell the defaults.
#[cfg(test)]
pub(crate) const EXAMPLE: &str = include_str!("../offhook.example.toml");

/// The file that is read if none is named.
pub(crate) const FOUND: &str = "offhook.toml";

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where to listen. Default `0.0.0.0:5000` with an auth token, `127.0.0.1:5000` without.
    pub(crate) listen: Option<SocketAddr>,
    /// The address under which Twilio reaches this server, e.g. `https://voice.example.com`. Without it the
    /// forwarded headers tell.
    pub(crate) public_url: Option<String>,
    /// Who answers: a shipped agent's name, or a file. Default `pizza`.
    pub(crate) agent: String,
    /// Folder for tapes and records of calls. Without it nothing is kept.
    pub(crate) record: Option<PathBuf>,
    /// Folder for what calls need to go on when their server crashes or is restarted; it is deleted when they are over. Default:
    /// `record`; else what systemd gives the service (`STATE_DIRECTORY`), or a folder in `XDG_RUNTIME_DIR`, which is memory. Empty:
    /// nothing is written, and calls end with their process.
    pub(crate) resume: Option<PathBuf>,
    /// The console, a page at `/console/`, is served. Default true; it needs the API's token, or, on a server that only this machine
    /// reaches and that checks no signatures, the one that it is started with.
    pub(crate) console: bool,
    /// `[store]`: where the documents of calls are kept.
    pub(crate) store: StoreConfig,
    /// `[recording]`: whether calls' sound is kept.
    pub(crate) recording: RecordingConfig,
    /// `[objects]`: a bucket for the files of calls that are over.
    pub(crate) objects: ObjectsConfig,
    /// Tapes are packed: a fifth of the room. Default true.
    pub(crate) compress: bool,
    /// Worker threads. Default: one per core.
    pub(crate) workers: Option<usize>,
    /// How long calls in progress have to end when the server is told to stop. Default 30 min.
    #[serde(with = "humantime_serde")]
    pub(crate) drain: Duration,
    /// `[twilio]`: the account.
    pub(crate) twilio: TwilioConfig,
    /// `[metrics]`: where counters are read, and by whom.
    pub(crate) metrics: MetricsConfig,
    /// `[http]`: bounds of what may be open, and whom to believe.
    pub(crate) http: HttpConfig,
    /// `[overload]`: what becomes of new calls when there are too many.
    pub(crate) overload: OverloadConfig,
    /// `[outbound]`: calls that this server places, and whom it hands callers to.
    pub(crate) outbound: OutboundConfig,
    /// `[api]`: who may place calls and reach into them.
    pub(crate) api: ApiConfig,
    /// `[[route]]`: who answers which calls. Default: `agent` answers all.
    #[serde(rename = "route")]
    pub(crate) routes: Vec<RouteTable>,
    /// `[sign_in]`: people whom a proxy has signed in.
    pub(crate) sign_in: SignInConfig,
    /// `[[tenant]]`: whom calls are answered for, each apart from the others. Default: nobody, all calls are the operator's.
    #[serde(rename = "tenant")]
    pub(crate) tenants: Vec<TenantTable>,
    /// `[routing]`: an application that chooses who answers.
    pub(crate) routing: AskConfig,
    /// `[limits]`: what all calls together may take.
    pub(crate) limits: Limits,
    /// `[events]`: who is told of calls.
    pub(crate) events: EventsConfig,
    /// `[prices]`: what providers take, so that the records of calls tell their cost. Default: none.
    pub(crate) prices: Prices,
    /// `[conversation_relay]`: how Twilio hears and speaks, for agents whose calls it carries as text.
    pub(crate) conversation_relay: RelayOptions,
    /// `[call]`: how calls behave.
    pub(crate) call: CallConfig,
}

/// `[twilio]`: the account.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TwilioConfig {
    /// Environment variable that holds the auth token. Default `TWILIO_AUTH_TOKEN`.
    pub(crate) auth_token_env: String,
    /// File that holds the auth token; comes before the variable. Several, a line each, are valid at once: the new one first
    /// while it takes the old one's place.
    pub(crate) auth_token_file: Option<PathBuf>,
    /// SharedKeys that webhooks are signed with instead (HMAC-SHA256). Default: none.
    pub(crate) shared_keys: Vec<SharedKeyConfig>,
    /// The account's SID, to use Twilio's API with; else `TWILIO_ACCOUNT_SID`. Without one no calls are placed.
    pub(crate) account_sid: Option<String>,
    /// An API key's SID; else `TWILIO_API_KEY`. Without one the auth token opens the API.
    pub(crate) api_key: Option<String>,
    /// Environment variable that holds the API key's secret. Default `TWILIO_API_SECRET`.
    pub(crate) api_secret_env: String,
    /// File that holds the API key's secret; comes before the variable.
    pub(crate) api_secret_file: Option<PathBuf>,
    /// Where Twilio's API is. Default `https://api.twilio.com`; regions have their own.
    pub(crate) api_base: String,
}

/// `[[twilio.shared_keys]]`: a SharedKey of Twilio's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SharedKeyConfig {
    /// Its name: `webhooks_sharedkey_…`.
    pub(crate) id: String,
    /// Environment variable that holds its secret.
    pub(crate) secret_env: Option<String>,
    /// File that holds its secret; comes before the variable.
    pub(crate) secret_file: Option<PathBuf>,
}

impl Default for TwilioConfig {
    fn default() -> Self {
        Self {
            auth_token_env: "TWILIO_AUTH_TOKEN".to_owned(),
            auth_token_file: None,
            shared_keys: Vec::new(),
            account_sid: None,
            api_key: None,
            api_secret_env: "TWILIO_API_SECRET".to_owned(),
            api_secret_file: None,
            api_base: "https://api.twilio.com".to_owned(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: None,
            public_url: None,
            agent: "pizza".to_owned(),
            record: None,
            resume: None,
            console: true,
            store: StoreConfig::default(),
            recording: RecordingConfig::default(),
            objects: ObjectsConfig::default(),
            compress: true,
            workers: None,
            drain: Duration::from_secs(30 * 60),
            twilio: TwilioConfig::default(),
            metrics: MetricsConfig::default(),
            http: HttpConfig::default(),
            overload: OverloadConfig::default(),
            outbound: OutboundConfig::default(),
            api: ApiConfig::default(),
            sign_in: SignInConfig::default(),
            routes: Vec::new(),
            tenants: Vec::new(),
            routing: AskConfig::default(),
            limits: Limits::default(),
            events: EventsConfig::default(),
            prices: Prices::default(),
            conversation_relay: RelayOptions {
                tts_provider: Some(TtsProvider::Google),
                transcription_provider: Some(TranscriptionProvider::Deepgram),
                ..RelayOptions::default()
            },
            call: CallConfig::default(),
        }
    }
}

impl Config {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = crate::input::text(path).with_context(|| format!("can't read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a valid configuration", path.display()))
    }

    /// Reads this file; without one `offhook.toml` in this folder, if it is there.
    pub(crate) fn found(path: Option<&Path>) -> anyhow::Result<Self> {
        let default = Path::new(FOUND);
        match path {
            Some(path) => Self::read(path),
            None if default.exists() => Self::read(default),
            None => Ok(Self::default()),
        }
    }

    /// Reads text.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut config: Self =
            toml::from_str(text).map_err(|error| anyhow::anyhow!(offhook_script::toml_error(&error)))?;
        if let Some(message) = config.conversation_relay.hints_message() {
            config.call.conversation_mut().hints_message = Some(message);
        }
        if let Some(url) = &config.public_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            bail!("`public_url` must begin with https:// (or http:// for tests), not `{url}`");
        }
        config.prices.check()?;
        config.tenants.iter().filter_map(|tenant| tenant.prices.as_ref()).try_for_each(Prices::check)?;
        Ok(config)
    }

    /// Where what calls need to go on is written, if it is. `port`: of this server.
    pub(crate) fn resume_folder(
        &self,
        port: u16,
        environment: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Option<PathBuf> {
        if let Some(folder) = &self.resume {
            return Some(folder.clone()).filter(|folder| !folder.as_os_str().is_empty());
        }
        let given = |name: &str| environment(name).filter(|folder| !folder.is_empty());
        // Of several that systemd gives, the first.
        let of_service = || given("STATE_DIRECTORY").and_then(|all| std::env::split_paths(&all).next());
        let of_session = || Some(PathBuf::from(given("XDG_RUNTIME_DIR")?).join(format!("offhook-{port}")));
        self.record.clone().or_else(of_service).or_else(of_session)
    }

    /// Everything that no server can be right with.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(what.to_owned());
            }
        };
        must(self.workers != Some(0), "`workers` must be 1 or more");
        if let Some(url) = &self.public_url {
            let (_, host) = url.trim_end_matches('/').split_once("://").unwrap_or(("", url));
            let bare = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
            must(
                bare,
                "`public_url` must be an address without path, query and user, like https://voice.example.com",
            );
        }
        let turn = &self.call.conversation.turn;
        let in_order = turn.min_silence <= turn.max_silence;
        must(in_order, "`min_silence` in [call.turn] must not be above `max_silence`");
        must(!self.overload.late.is_zero(), "`late` in [overload] must be more than 0");
        let redirects = self.overload.redirect.as_deref();
        let to_web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        must(redirects.is_none_or(to_web), "`redirect` in [overload] must begin with https://");
        let positive = |rate: f64| rate.is_finite() && rate > 0.0;
        must(positive(self.api.requests_per_second), "`requests_per_second` in [api] must be more than 0");
        must(
            positive(self.outbound.calls_per_second),
            "`calls_per_second` in [outbound] must be more than 0",
        );
        must(self.http.connections > 0, "`connections` in [http] must be 1 or more");
        must(self.http.connections_per_peer > 0, "`connections_per_peer` in [http] must be 1 or more");
        let day = Duration::from_secs(24 * 3_600);
        must(self.drain <= day, "`drain` must not be more than a day: Twilio's calls last 24 h at most");
        must(
            self.recording.form.form().is_none() || self.record.is_some(),
            "`form` in [recording] needs `record`, the folder that recordings go to",
        );
        must(
            self.objects.url.is_none() || self.record.is_some(),
            "`url` in [objects] needs `record`, the folder that calls are written in before they are uploaded",
        );
        must(
            self.store.keep_bytes.is_none() || self.record.is_some(),
            "`keep_bytes` in [store] needs `record`, the folder whose size it bounds",
        );
        let port = |address: Option<SocketAddr>| address.filter(|address| address.port() != 0);
        let same = port(self.listen).is_some() && port(self.listen) == port(self.metrics.listen);
        let dialled = self.outbound.lost_transfer.as_deref();
        must(
            dialled.is_none_or(|to| offhook_twilio::calls::PhoneNumber::parse(to).is_ok()),
            "`lost_transfer` in [outbound] must be a number like +14155550101, or a SIP address",
        );
        must(!same, "`listen` in [metrics] must be another address than `listen`");
        faults.extend(self.faults_of_tenants());
        faults.extend(self.faults_of_sign_in());
        faults
    }

    /// How files of calls are written.
    pub(crate) fn how_to_keep(&self) -> anyhow::Result<How> {
        self.store.how_to_keep(self.compress)
    }

    /// The token that opens the counters.
    pub(crate) fn metrics_token(&self) -> anyhow::Result<Option<String>> {
        let token = secret(self.metrics.token_file.as_deref(), &self.metrics.token_env)?;
        Ok(token.map(|token| token.trim().to_owned()))
    }

    /// Something secret that outlives this process: what a restarted server knows again.
    pub(crate) fn secret(&self) -> anyhow::Result<Option<String>> {
        let twilio = self.auth_tokens()?.into_iter().next().map(|token| token.expose().to_owned());
        let shared = || {
            let key = self.twilio.shared_keys.first()?;
            secret(key.secret_file.as_deref(), key.secret_env.as_deref().unwrap_or("")).ok().flatten()
        };
        let own = twilio.or_else(shared);
        Ok(match own {
            Some(own) => Some(own),
            None => self.api_token()?,
        })
    }

    /// The auth tokens from file or environment; the first is the account's own.
    pub(crate) fn auth_tokens(&self) -> anyhow::Result<Vec<AuthToken>> {
        let tokens = secret(self.twilio.auth_token_file.as_deref(), &self.twilio.auth_token_env)?;
        let tokens = tokens.unwrap_or_default();
        Ok(tokens
            .split([',', ' ', '\t', '\r', '\n'])
            .filter(|token| !token.is_empty())
            .map(AuthToken::new)
            .collect())
    }

    /// What Twilio may have signed with.
    pub(crate) fn keys(&self) -> anyhow::Result<Keys> {
        let shared = self.twilio.shared_keys.iter().map(|key| {
            let variable = key.secret_env.as_deref().unwrap_or("");
            let secret = secret(key.secret_file.as_deref(), variable)?;
            let secret = secret.with_context(|| {
                format!("the shared key {} has no secret: set `secret_file` or `secret_env`", key.id)
            })?;
            Ok(SharedKey::new(&key.id, &secret))
        });
        Ok(Keys::new(self.auth_tokens()?, shared.collect::<anyhow::Result<_>>()?))
    }

    /// The account, if Twilio's API may be used.
    pub(crate) fn account(&self) -> anyhow::Result<Option<Account>> {
        let set = |given: &Option<String>, variable: &str| {
            let value = given.clone().or_else(|| std::env::var(variable).ok());
            value.filter(|value| !value.trim().is_empty())
        };
        let Some(sid) = set(&self.twilio.account_sid, "TWILIO_ACCOUNT_SID") else { return Ok(None) };
        let key = set(&self.twilio.api_key, "TWILIO_API_KEY");
        let secret = secret(self.twilio.api_secret_file.as_deref(), &self.twilio.api_secret_env)?;
        let pair = match (&key, &secret) {
            (Some(key), Some(secret)) => Some((key.as_str(), secret.as_str())),
            (None, _) => None,
            (Some(_), None) => {
                bail!(
                    "there is an API key but no secret: set {} or `api_secret_file`",
                    self.twilio.api_secret_env
                )
            }
        };
        let token = self.auth_tokens()?.into_iter().next();
        if pair.is_none() && token.is_none() {
            return Ok(None);
        }
        Account::new(&sid, pair, token.as_ref(), &self.twilio.api_base).map(Some)
    }

    /// The token that opens our own API.
    pub(crate) fn api_token(&self) -> anyhow::Result<Option<String>> {
        let token =
            secret(self.api.token_file.as_deref(), &self.api.token_env)?.map(|token| token.trim().to_owned());
        match token {
            Some(token) if token.len() < 16 => {
                bail!("the API's token has less than 16 characters: `openssl rand -hex 24` makes a good one")
            }
            token => Ok(token),
        }
    }
}

/// A secret from its file, else from its environment variable; a blank one is none.
pub(crate) fn secret(file: Option<&Path>, variable: &str) -> anyhow::Result<Option<String>> {
    let secret = match file {
        Some(path) => {
            let text = crate::input::text(path)
                .with_context(|| format!("can't read the secret's file {}", path.display()))?;
            Some(text)
        }
        None => std::env::var(variable).ok(),
    };
    Ok(secret.filter(|secret| !secret.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_can_go_on_without_anything_configured() {
        let folder = |config: &Config, set: &'static [(&str, &str)]| {
            let environment =
                |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).into());
            config.resume_folder(5000, environment).map(|folder| folder.display().to_string())
        };
        let mut config = Config::default();
        assert_eq!(folder(&config, &[]), None);
        let session = &[("XDG_RUNTIME_DIR", "/run/user/7"), ("STATE_DIRECTORY", "")];
        assert_eq!(folder(&config, session).as_deref(), Some("/run/user/7/offhook-5000"));
        let service = &[("XDG_RUNTIME_DIR", "/run/user/7"), ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")];
        assert_eq!(folder(&config, service).as_deref(), Some("/var/lib/a"));
        config.record = Some("calls".into());
        assert_eq!(folder(&config, service).as_deref(), Some("calls"));
        config.resume = Some("elsewhere".into());
        assert_eq!(folder(&config, service).as_deref(), Some("elsewhere"));
        config.resume = Some("".into());
        assert_eq!(folder(&config, service), None);
    }

    #[test]
    fn the_example_is_valid_and_tells_the_defaults() {
        let example = Config::parse(EXAMPLE).unwrap();
        // All settings but the one that has no default are the defaults.
        let default = Config { public_url: example.public_url.clone(), ..Config::default() };
        assert_eq!(format!("{example:#?}"), format!("{default:#?}"));
    }

    #[test]
    fn commented_settings_of_the_example_are_valid_too() {
        let uncommented: String = EXAMPLE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        Config::parse(&uncommented).unwrap();
    }

    #[test]
    fn typos_are_named() {
        let error = Config::parse("agent = \"pizza\"\n[call.turn]\nmin_silense = \"300ms\"\n").unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("line 3") && text.contains("did you mean `min_silence`?"), "{text}");
        assert!(Config::parse("public_url = \"voice.example.com\"").is_err());
    }
}
