//! `offhook.toml`: one file for a server. Unknown keys are refused with the line and the nearest right key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use offhook_call::CallConfig;
use offhook_twilio::signature::AuthToken;
use serde::Deserialize;

use crate::serve::overload::OverloadConfig;

/// The example that `--help` speaks of; a test holds it to be valid and to tell the defaults.
#[cfg(test)]
pub(crate) const EXAMPLE: &str = include_str!("../offhook.example.toml");

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
    /// Tapes are packed with zstd. Default false.
    pub(crate) compress: bool,
    /// Worker threads. Default: one per core.
    pub(crate) workers: Option<usize>,
    /// `[twilio]`: the account.
    pub(crate) twilio: TwilioConfig,
    /// `[overload]`: what becomes of new calls when there are too many.
    pub(crate) overload: OverloadConfig,
    /// `[call]`: how calls behave.
    pub(crate) call: CallConfig,
}

/// `[twilio]`: the account.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TwilioConfig {
    /// Environment variable that holds the auth token. Default `TWILIO_AUTH_TOKEN`.
    pub(crate) auth_token_env: String,
    /// File that holds the auth token; comes before the variable.
    pub(crate) auth_token_file: Option<PathBuf>,
}

impl Default for TwilioConfig {
    fn default() -> Self {
        Self { auth_token_env: "TWILIO_AUTH_TOKEN".to_owned(), auth_token_file: None }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: None,
            public_url: None,
            agent: "pizza".to_owned(),
            record: None,
            compress: false,
            workers: None,
            twilio: TwilioConfig::default(),
            overload: OverloadConfig::default(),
            call: CallConfig::default(),
        }
    }
}

impl Config {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a valid configuration", path.display()))
    }

    /// Reads text.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self =
            toml::from_str(text).map_err(|error| anyhow::anyhow!(offhook_stages::toml_error(&error)))?;
        if let Some(url) = &config.public_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            bail!("`public_url` must begin with https:// (or http:// for tests), not `{url}`");
        }
        Ok(config)
    }

    /// The auth token from file or environment.
    pub(crate) fn auth_token(&self) -> anyhow::Result<Option<AuthToken>> {
        let token = match &self.twilio.auth_token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("can't read the auth token's file {}", path.display()))?;
                Some(text)
            }
            None => std::env::var(&self.twilio.auth_token_env).ok(),
        };
        Ok(token.filter(|token| !token.trim().is_empty()).map(|token| AuthToken::new(&token)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let error = Config::parse("agent = \"pizza\"\n[call.turn]\nflor = \"300ms\"\n").unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("line 3") && text.contains("did you mean `floor`?"), "{text}");
        assert!(Config::parse("public_url = \"voice.example.com\"").is_err());
    }
}
