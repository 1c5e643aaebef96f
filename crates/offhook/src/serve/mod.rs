//! `offhook serve`: answers calls.

pub(crate) mod address;
mod callbacks;
pub(crate) mod http;
mod metrics;
pub(crate) mod overload;
mod parking;
mod relay;
pub(crate) mod routes;
mod socket;
mod tokens;
mod voice;
mod workers;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use offhook_script::Transport;
use offhook_twilio::signature::AuthToken;
use offhook_twilio::twiml::RelayOptions;
use tokio::net::TcpListener;

use crate::agents::{self, Agent};
use crate::api::Api;
use crate::config::Config;
use crate::console::say;
use crate::record::Keeper;
use crate::rest::Rest;
use crate::switchboard::{Served, Switchboard};
use metrics::Metrics;
use overload::Overload;
use parking::Parking;
use tokens::Tokens;
pub(crate) use voice::TOKEN;
use workers::Workers;

/// `offhook serve`
#[derive(Clone, Debug, Default, clap::Args)]
#[command(
    after_help = "Examples:\n  offhook serve\n  offhook serve --agent booking --listen 127.0.0.1:8080\n  \
                        offhook serve --config offhook.toml --record calls\n\n\
                        Routes: POST|GET /voice (TwiML), GET /media-stream (WebSocket), GET /healthz, GET /readyz, GET /metrics"
)]
pub(crate) struct ServeArgs {
    /// Configuration file; `offhook.toml` in this folder is read if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Port to listen on
    #[arg(long, env = "PORT", value_name = "PORT")]
    port: Option<u16>,
    /// Who answers: pizza, booking, echo, or an agent's file
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// What carries the calls; else as the agent's file says
    #[arg(long, value_enum, value_name = "NAME")]
    transport: Option<Carrier>,
    /// Worker threads; else one per core
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Folder for tapes and records of calls
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// Pack the tapes with zstd
    #[arg(long)]
    compress: bool,
    /// Show both sides of every conversation
    #[arg(long)]
    show: bool,
}

/// What carries the calls.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Carrier {
    /// Sound: Offhook hears and speaks
    MediaStreams,
    /// Text: Twilio hears and speaks
    ConversationRelay,
}

impl From<Carrier> for Transport {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::MediaStreams => Self::MediaStreams,
            Carrier::ConversationRelay => Self::ConversationRelay,
        }
    }
}

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    agent: String,
    pub(crate) switchboard: Arc<Switchboard>,
    pub(crate) api: Option<Api>,
    pub(crate) public_url: Option<String>,
    auth_token: Option<AuthToken>,
    tokens: Tokens,
    parking: Parking,
    overload: Overload,
    metrics: Metrics,
    show: bool,
    stopping: AtomicBool,
    calls: AtomicU64,
}

impl ServeArgs {
    fn resolve(self) -> anyhow::Result<(Config, SocketAddr, bool)> {
        let default = PathBuf::from("offhook.toml");
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None if default.exists() => Config::read(&default)?,
            None => Config::default(),
        };
        if let Some(agent) = self.agent {
            config.agent = agent;
        }
        config.workers = self.workers.or(config.workers);
        config.record = self.record.or(config.record);
        config.compress |= self.compress;
        let open = config.auth_token()?.is_some();
        let host = IpAddr::V4(if open { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST });
        let listen = match (self.listen, self.port, config.listen) {
            (Some(listen), ..) => listen,
            (None, Some(port), listen) => SocketAddr::new(listen.map_or(host, |listen| listen.ip()), port),
            (None, None, Some(listen)) => listen,
            (None, None, None) => SocketAddr::new(host, 5000),
        };
        Ok((config, listen, self.show))
    }
}

/// Runs until it is told to stop.
pub(crate) fn run(args: ServeArgs) -> anyhow::Result<()> {
    let transport = args.transport.map(Transport::from);
    let (config, listen, show) = args.resolve()?;
    let auth_token = config.auth_token()?;
    let agent = agents::load(&config.agent, transport)?;
    let keeper = config.record.as_deref().map(|folder| Keeper::start(folder, config.compress)).transpose()?;
    let about = format!("{} ({:?})", agent.name, agent.stages);
    let first = served(agent, &config)?;
    let mut others = BTreeMap::new();
    for name in &config.outbound.agents {
        let other = agents::load(name, transport)?;
        others.insert(other.name.clone(), served(other, &config)?);
    }
    let rest = config.account()?.map(|account| Rest::new(&account));
    let api =
        config.api_token()?.map(|token| Api::new(&token, &config.api, config.outbound.calls_per_second));
    let switchboard =
        Switchboard::new(config.outbound.clone(), rest, first, others, keeper, config.prices.clone());
    let count = config.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let shared = Arc::new(Shared {
        switchboard: Arc::new(switchboard),
        api,
        public_url: config.public_url.clone(),
        tokens: Tokens::new(),
        parking: Parking::default(),
        overload: Overload::new(config.overload, count),
        metrics: Metrics::new(),
        show,
        stopping: AtomicBool::new(false),
        calls: AtomicU64::new(0),
        auth_token,
        agent: about,
    });
    let workers = Workers::start(count, &shared)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(accept(listen, &shared, &workers))
}

/// An agent, and how its calls behave.
fn served(agent: Agent, config: &Config) -> anyhow::Result<Served> {
    let call = Arc::new(agent.call_config(&config.call));
    let relay = relay_options(&config.conversation_relay, &agent.language)?;
    Ok(Served { agent, call, relay })
}

/// What the configuration leaves open: keys and voices are told of, and the language is the agent's.
fn relay_options(configured: &RelayOptions, language: &str) -> anyhow::Result<RelayOptions> {
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

async fn accept(listen: SocketAddr, shared: &Arc<Shared>, workers: &Workers) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!(
            "can't listen on {listen}; is another server running there? --listen or PORT takes another port"
        )
    })?;
    announce(listener.local_addr()?, shared);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => workers.hand_over(socket, &shared.metrics),
                Err(error) => {
                    // Out of file descriptors, say: calls in progress go on, and so does the listener.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            () = told_to_stop() => break,
        }
    }
    shared.stopping.store(true, Ordering::Relaxed);
    drop(listener);
    say("stopping: no new calls; those in progress have 10 s to end");
    for _ in 0..100 {
        if shared.calls.load(Ordering::Relaxed) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    shared.switchboard.settle();
    Ok(())
}

/// Says in plain words what is served, and what is open.
fn announce(address: SocketAddr, shared: &Shared) {
    say(&format!("offhook {} listens on http://{address}", env!("CARGO_PKG_VERSION")));
    say(&format!("agent    {}", shared.agent));
    match &shared.public_url {
        Some(url) => say(&format!("webhook  {}/voice", url.trim_end_matches('/'))),
        None => {
            say(&format!("webhook  http://{address}/voice (as your tunnel or proxy is reached, with https)"))
        }
    }
    match (&shared.api, &shared.switchboard.rest) {
        (Some(_), Some(_)) => {
            say("api      calls can be placed, watched and reached into; see /openapi.json")
        }
        (Some(_), None) => say(
            "api      calls can be watched and reached into; without Twilio's credentials none are placed",
        ),
        (None, _) => {}
    }
    if shared.auth_token.is_some() {
        say("signed   only requests that Twilio signed with your auth token are served");
    } else {
        let reach = if address.ip().is_loopback() {
            "only programs on this machine, and what a tunnel lets in, can"
        } else {
            "EVERYBODY who reaches this address can"
        };
        say(&format!(
            "open     no auth token is set, so signatures are not checked: {reach} place calls here."
        ));
        say("         Set TWILIO_AUTH_TOKEN, or `auth_token_file` in offhook.toml, to serve only Twilio.");
    }
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}
