//! `[[tenant]]`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use offhook_twilio::calls::PhoneNumber;
use offhook_twilio::signature::{AuthToken, Keys};
use serde::Deserialize;

use super::Signers;
use crate::config::{Config, secret};
use crate::prices::Prices;
use crate::rest::Account;
use crate::routing::Limits;

/// Tokens that are shorter can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// `[[tenant]]`: its token opens the API for its own calls alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantTable {
    /// Its name, as routes and the routing webhook have it: small letters, digits, `-` and `_`.
    pub(crate) name: String,
    /// Environment variable that holds its token for the API. Without a token it has no access to the API.
    pub(crate) token_env: Option<String>,
    /// File that holds the token; comes before the variable.
    pub(crate) token_file: Option<PathBuf>,
    /// Requests with the token a second at most; as many again at once. Default 20.
    #[serde(default = "usual_rate")]
    pub(crate) requests_per_second: f64,
    /// People whom the proxy of `[sign_in]` has signed in: they may do what the token may. `*@example.com` is a whole domain.
    #[serde(default)]
    pub(crate) users: Vec<String>,
    /// Agents that may be asked for with its token, besides those of its routes. The first answers its calls that no route takes.
    #[serde(default)]
    pub(crate) agents: Vec<String>,
    /// Folder for its tapes and records. Default: `tenants/NAME` in the server's `record`, if that is set.
    pub(crate) record: Option<PathBuf>,
    /// Its calls are deleted so long after they began. Default: as the server's, `keep_for` in `[store]`.
    #[serde(default, with = "humantime_serde")]
    pub(crate) keep_for: Option<Duration>,
    /// Octets that its calls' files may take in its folder and in the bucket; beyond, its oldest calls are deleted. Default: no limit.
    pub(crate) keep_bytes: Option<u64>,
    /// Its own account at Twilio: webhooks that it signs are this tenant's, and its calls are placed with it.
    pub(crate) twilio: Option<TenantTwilio>,
    /// Calls that it places, and whom it hands callers to.
    #[serde(default)]
    pub(crate) outbound: TenantOutbound,
    /// What its calls may take together. Default: no bounds but the server's.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// What providers take of it. Default: the server's `[prices]`.
    pub(crate) prices: Option<Prices>,
}

/// `[tenant.twilio]`: an account.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantTwilio {
    pub(crate) account_sid: String,
    /// Environment variable that holds its auth token.
    pub(crate) auth_token_env: Option<String>,
    /// File that holds it; comes before the variable.
    pub(crate) auth_token_file: Option<PathBuf>,
    /// Where Twilio's API is. Default `https://api.twilio.com`.
    pub(crate) api_base: Option<String>,
}

/// `[tenant.outbound]`: the rest is the server's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TenantOutbound {
    /// The number that calls, if the request names none.
    pub(crate) from: Option<PhoneNumber>,
    /// Beginnings of numbers that may be called and transferred to. Default: none may.
    pub(crate) allow: Vec<String>,
    /// Calls placed a second at most. Default 1.
    pub(crate) calls_per_second: f64,
}

impl Default for TenantOutbound {
    fn default() -> Self {
        Self { from: None, allow: Vec::new(), calls_per_second: 1.0 }
    }
}

const fn usual_rate() -> f64 {
    20.0
}

impl TenantTable {
    /// Where its calls are written, if they are.
    pub(crate) fn folder(&self, record: Option<&Path>) -> Option<PathBuf> {
        self.record.clone().or_else(|| Some(record?.join("tenants").join(&self.name)))
    }

    /// Its token for the API.
    ///
    /// # Errors
    /// It is too short, or its file can't be read.
    pub(crate) fn token(&self) -> anyhow::Result<Option<String>> {
        let named = self.token_env.is_some() || self.token_file.is_some();
        let token = secret(self.token_file.as_deref(), self.token_env.as_deref().unwrap_or(""))?;
        let token = token.map(|token| token.trim().to_owned());
        anyhow::ensure!(token.is_some() || !named, "the token of the tenant `{}` isn't there", self.name);
        anyhow::ensure!(
            token.as_ref().is_none_or(|token| token.len() >= SHORTEST_TOKEN),
            "the token of the tenant `{}` has less than {SHORTEST_TOKEN} characters",
            self.name
        );
        Ok(token)
    }

    /// What Twilio may have signed with for its account.
    fn keys(&self) -> anyhow::Result<Keys> {
        Ok(Keys::new(self.auth_token()?.into_iter().collect(), Vec::new()))
    }

    fn auth_token(&self) -> anyhow::Result<Option<AuthToken>> {
        let Some(twilio) = &self.twilio else { return Ok(None) };
        let variable = twilio.auth_token_env.as_deref().unwrap_or("");
        let token = secret(twilio.auth_token_file.as_deref(), variable)?;
        let missing = || {
            format!(
                "the account of the tenant `{}` has no auth token: set `auth_token_file` or `auth_token_env`",
                self.name
            )
        };
        Ok(Some(AuthToken::new(&token.with_context(missing)?)))
    }

    /// Its own account, if it has one.
    pub(super) fn account(&self) -> anyhow::Result<Option<Account>> {
        let Some(twilio) = &self.twilio else { return Ok(None) };
        let base = twilio.api_base.as_deref().unwrap_or("https://api.twilio.com");
        let account = Account::new(&twilio.account_sid, None, self.auth_token()?.as_ref(), base);
        account.map(Some).with_context(|| format!("the account of the tenant `{}`", self.name))
    }
}

impl Config {
    /// Who may have signed webhooks: the server's own account, and the tenants'.
    ///
    /// # Errors
    /// A secret can't be read, or two accounts have the same.
    pub(crate) fn signers(&self) -> anyhow::Result<Signers> {
        let tenants = self.tenants.iter().map(|table| Ok((Arc::from(table.name.as_str()), table.keys()?)));
        let signers = Signers::new(self.keys()?, tenants.collect::<anyhow::Result<_>>()?);
        let mut tokens: Vec<String> =
            self.auth_tokens()?.iter().map(|token| token.expose().to_owned()).collect();
        for table in &self.tenants {
            tokens.extend(table.auth_token()?.map(|token| token.expose().to_owned()));
        }
        let all = tokens.len();
        tokens.sort_unstable();
        tokens.dedup();
        anyhow::ensure!(
            tokens.len() == all,
            "two accounts of Twilio's have the same auth token: whose a call is can't be told"
        );
        anyhow::ensure!(
            self.tenants.is_empty() || !signers.is_empty(),
            "tenants are told apart by what signs requests, and no requests are signed: set TWILIO_AUTH_TOKEN, or [tenant.twilio]"
        );
        Ok(signers)
    }

    /// The tokens that open the API for one tenant each.
    ///
    /// # Errors
    /// A token isn't there, is too short, or is another's.
    pub(crate) fn tenant_tokens(&self) -> anyhow::Result<Vec<(Arc<str>, String)>> {
        let mut tokens = Vec::new();
        let own = self.api_token()?;
        for table in &self.tenants {
            let Some(token) = table.token()? else { continue };
            let taken = own.as_ref() == Some(&token) || tokens.iter().any(|(_, other)| *other == token);
            anyhow::ensure!(!taken, "the token of the tenant `{}` is another's, too", table.name);
            tokens.push((Arc::from(table.name.as_str()), token));
        }
        Ok(tokens)
    }

    /// What no tenants can be right with.
    pub(crate) fn faults_of_tenants(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut folders: Vec<PathBuf> = self.record.iter().cloned().collect();
        for (number, table) in self.tenants.iter().enumerate() {
            let name = &table.name;
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
            if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                faults.push(format!(
                    "`name` in [[tenant]] must be 1 to 64 small letters, digits, `-` and `_`, not `{name}`"
                ));
            }
            if self.tenants.iter().take(number).any(|other| other.name == *name) {
                faults.push(format!("there are two tenants named `{name}`"));
            }
            let positive = |rate: f64| rate.is_finite() && rate > 0.0;
            if !positive(table.requests_per_second) || !positive(table.outbound.calls_per_second) {
                faults.push(format!("the rates of the tenant `{name}` must be more than 0"));
            }
            if let Some(folder) = table.folder(self.record.as_deref()) {
                if folders.contains(&folder) {
                    faults.push(format!(
                        "the folder of the tenant `{name}` is another's, too: {}",
                        folder.display()
                    ));
                }
                folders.push(folder);
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_that_could_not_be_told_apart_are_refused() {
        let text = "record = \"calls\"\n[[tenant]]\nname = \"blue\"\n[[tenant]]\nname = \"blue\"\n[[tenant]]\nname = \
                    \"../red\"\nrequests_per_second = 0.0\n[[tenant]]\nname = \"green\"\nrecord = \"calls\"\n";
        let found = Config::parse(text).unwrap().faults().join("\n");
        for word in ["two tenants", "`../red`", "more than 0", "the folder of the tenant `green`"] {
            assert!(found.contains(word), "{word} is not in\n{found}");
        }
        let right = Config::parse(
            "record = \"calls\"\n[[tenant]]\nname = \"blue\"\nprices = { a = { per_minute = 1.0 } }\n",
        )
        .unwrap();
        assert_eq!(right.faults(), Vec::<String>::new());
        assert_eq!(right.tenants[0].folder(right.record.as_deref()), Some("calls/tenants/blue".into()));
        assert!(right.tenant_tokens().unwrap().is_empty());
        assert!(
            Config::parse("[[tenant]]\nname = \"a\"\ntoken = \"x\"\n").is_err(),
            "secrets don't stand in the file"
        );
    }
}
