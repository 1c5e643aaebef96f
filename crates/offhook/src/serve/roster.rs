//! The agents of a configuration, loaded; and loaded again while the server runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use offhook_script::Transport;
use offhook_twilio::twiml::RelayOptions;

use super::args::ServeArgs;
use super::{Shared, systemd};
use crate::agents::{self, Agent};
use crate::calls::{Roster, Served};
use crate::config::Config;
use crate::routing::RouteTable;

/// Loads the agents of a configuration.
pub(super) fn load(config: &Config, transport: Option<Transport>) -> anyhow::Result<Roster> {
    let load = |name: &str| {
        let mut agent = agents::load(name, transport)?;
        let of = |route: &&RouteTable| route.then.agent.as_deref().unwrap_or(&config.agent) == name;
        let voices =
            config.routes.iter().filter(of).filter_map(|route| route.then.voice.as_deref()).collect();
        if agent.transport == Transport::MediaStreams {
            agent.voices = agents::in_voices(name, transport, &voices)?;
        }
        Ok::<_, anyhow::Error>(agent)
    };
    let first = served(load(&config.agent)?, config)?;
    let mut others = BTreeMap::new();
    let of_routes = config.routes.iter().filter_map(|route| route.then.agent.as_ref());
    let mut aliases = BTreeMap::from([(config.agent.clone(), first.agent.name.clone())]);
    let of_tenants = config.tenants.iter().flat_map(|tenant| &tenant.agents);
    for name in config.outbound.agents.iter().chain(of_routes).chain(of_tenants) {
        if *name == first.agent.name || others.contains_key(name) || aliases.contains_key(name) {
            continue;
        }
        let other = load(name)?;
        aliases.insert(name.clone(), other.name.clone());
        others.insert(other.name.clone(), Arc::new(served(other, config)?));
    }
    Ok(Roster { first: Arc::new(first), others, aliases, prices: Arc::new(config.prices.clone()) })
}

/// An agent, and how its calls behave.
fn served(agent: Agent, config: &Config) -> anyhow::Result<Served> {
    let call = Arc::new(agent.call_config(&config.call));
    let relay = relay_options(&config.conversation_relay, &agent.language)?;
    Ok(Served { agent, call, relay })
}

/// What the configuration leaves open: keys and voices are told of, and the language is the agent's.
pub(crate) fn relay_options(configured: &RelayOptions, language: &str) -> anyhow::Result<RelayOptions> {
    let mut options = configured.clone();
    options.language.get_or_insert_with(|| language.to_owned());
    options.dtmf_detection.get_or_insert(true);
    options.partial_prompts.get_or_insert(true);
    if options.events.is_empty() {
        options.events = ["speaker-events", "tokens-played"].map(str::to_owned).to_vec();
    }
    options.check().context("[conversation_relay] is not valid")?;
    Ok(options)
}

/// Reads the configuration again: agents, prices and keys are new for calls that begin from now on. What is wrong leaves
/// everything as it was.
pub(super) async fn reload(args: &ServeArgs, shared: &Arc<Shared>, loader: &Loader) {
    systemd::reloading();
    let args = args.clone();
    let (loaded, wait) = tokio::sync::oneshot::channel();
    loader.run(move || {
        let load = || {
            let config = args.config()?;
            let keys = config.signers()?;
            let api = (config.api_token()?, config.tenant_tokens()?);
            Ok::<_, anyhow::Error>((load(&config, args.transport())?, keys, (api, config)))
        };
        // The server may have ended meanwhile.
        let _unheard = loaded.send(load()).is_err();
    });
    match wait.await {
        Ok(Ok((roster, keys, _))) if keys.is_empty() != shared.keys.load().is_empty() => {
            drop(roster);
            tracing::error!(
                "nothing was read again: whether signatures are checked changes only with a restart"
            );
        }
        Ok(Ok((roster, keys, ((own, of_tenants), config)))) => {
            tracing::info!(agents = ?roster.names(), "agents, prices and keys were read again");
            shared.registry.replace(roster);
            shared.registry.watch_providers(&shared.metrics.providers);
            shared.keys.store(Arc::new(keys));
            if let Some(tls) = &shared.tls {
                tls.renew();
            }
            if let Some(api) = &shared.api {
                api.renew(own.as_deref(), &of_tenants, &config);
            }
        }
        Ok(Err(error)) => tracing::error!("nothing was read again, for it is not right: {error:#}"),
        Err(_) => tracing::error!("nothing was read again: loading the agents broke"),
    }
    systemd::ready();
}

type Job = Box<dyn FnOnce() + Send>;

/// A thread that loads: requests need not wait for it, and what it starts, such as voices, has the priority of workers.
#[derive(Debug)]
pub(super) struct Loader(std::sync::mpsc::Sender<Job>);

impl Loader {
    pub(super) fn start() -> anyhow::Result<Self> {
        let (jobs, queue) = std::sync::mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("loader".into())
            .spawn(move || {
                for job in queue {
                    // What breaks has been logged, and nobody gets what it was to give.
                    let _broke = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err();
                }
            })
            .context("the loader could not be started")?;
        Ok(Self(jobs))
    }

    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The thread lives as long as this.
        let _gone = self.0.send(Box::new(job)).is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voices_that_routes_name_are_there_before_the_first_call() {
        let load_with = |voice: &str| {
            let text = format!("agent = \"booking\"\n[[route]]\nto = [\"+1\"]\nvoice = \"{voice}\"\n");
            load(&toml::from_str::<Config>(&text).unwrap(), None)
        };
        let roster = load_with("awb").unwrap();
        let agent = &roster.first.agent;
        assert_ne!(agent.voices["awb"].voice(), agent.stages.tts.voice());
        let error = format!("{:#}", load_with("nobody").unwrap_err());
        assert!(error.contains("voice `nobody`"), "{error}");
    }
}
