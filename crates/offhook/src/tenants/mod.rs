//! Tenants: whoever the server's operator answers calls for. Each has its own token, account, agents, folder, prices and limits, and
//! none reaches another's calls.
//!
//! - `config`: `[[tenant]]`
//! - `scope`: how far a request reaches
//! - `signers`: whose key signed a webhook

mod config;
mod scope;
mod signers;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use config::TenantTable;
pub(crate) use scope::Scope;
pub(crate) use signers::Signers;

use crate::calls::config::OutboundConfig;
use crate::config::Config;
use crate::keeper::Keeper;
use crate::prices::Prices;
use crate::rest::Rest;
use crate::routing::Limits;

/// A tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// Names, or files, of the agents that it may ask for; the first answers its calls that no route takes.
    pub(crate) agents: Vec<String>,
    /// Where its calls are written, if they are.
    pub(crate) keeper: Option<Keeper>,
    /// Its own account at Twilio, if it has one.
    pub(crate) rest: Option<Rest>,
    pub(crate) outbound: OutboundConfig,
    pub(crate) limits: Limits,
    /// Its own prices, if it has any.
    pub(crate) prices: Option<Arc<Prices>>,
}

/// All tenants, by name.
#[derive(Debug, Default)]
pub(crate) struct Tenants(BTreeMap<String, Tenant>);

impl Tenants {
    /// Makes them ready.
    ///
    /// # Errors
    /// A folder can't be written in, or an account's token isn't there.
    pub(crate) fn start(config: &Config) -> anyhow::Result<Self> {
        let how = config.how_to_keep()?;
        let tenant = |table: &TenantTable| {
            let folder = table.folder(config.record.as_deref());
            let keeper = folder.map(|folder| Keeper::start(&folder, how.clone())).transpose()?;
            let of_routes = config
                .routes
                .iter()
                .filter(|route| route.then.tenant.as_deref() == Some(table.name.as_str()));
            let of_routes = of_routes.filter_map(|route| route.then.agent.clone());
            let tenant = Tenant {
                agents: table.agents.iter().cloned().chain(of_routes).collect(),
                keeper,
                rest: table.account()?.map(|account| Rest::new(&account)),
                outbound: OutboundConfig {
                    from: table.outbound.from.clone(),
                    allow: table.outbound.allow.clone(),
                    calls_per_second: table.outbound.calls_per_second,
                    agents: Vec::new(),
                    lost_transfer: None,
                    ..config.outbound.clone()
                },
                limits: table.limits.clone(),
                prices: table.prices.clone().map(Arc::new),
            };
            Ok((table.name.clone(), tenant))
        };
        Ok(Self(config.tenants.iter().map(tenant).collect::<anyhow::Result<_>>()?))
    }

    /// The tenant of this name; `None` if there is none, or if it is but a word in a route.
    pub(crate) fn get(&self, name: &str) -> Option<&Tenant> {
        self.0.get(name)
    }

    /// Those who write, but for the server's own.
    pub(crate) fn keepers(&self) -> impl Iterator<Item = &Keeper> {
        self.0.values().filter_map(|tenant| tenant.keeper.as_ref())
    }

    /// Waits until everything that is kept of their calls is written, but not for ever. False if it was not.
    pub(crate) fn settle(&self, within: Duration) -> bool {
        // Each of them, even if one isn't done.
        self.keepers().filter(|keeper| !keeper.settle(within)).count() == 0
    }
}

/// All folders that calls are written in: the server's own, and the tenants'.
pub(crate) fn folders(config: &Config, record: Option<&Path>) -> Vec<std::path::PathBuf> {
    let own = record.map(Path::to_owned);
    own.into_iter().chain(config.tenants.iter().filter_map(|table| table.folder(record))).collect()
}
