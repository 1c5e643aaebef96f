//! `offhook serve`: answers calls.

pub(crate) mod address;
mod announce;
mod app_webhook;
mod args;
mod callbacks;
mod drain;
mod failing;
mod failures;
pub(crate) mod http;
mod life;
mod limits;
pub(crate) mod metrics;
pub(crate) mod overload;
mod page;
mod panics;
mod progress;
pub(crate) mod proxies;
mod reconnect;
mod relay;
mod retention;
mod roster;
mod route;
pub(crate) mod routes;
mod signals;
#[allow(clippy::result_large_err, reason = "one answer a request, and most are no errors")]
pub(crate) mod signed;
mod socket;
mod systemd;
mod tokens;
mod voice;
mod watched;
mod workers;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use offhook_providers::net::trace;
use offhook_store::Store;
use offhook_telemetry::{Settings as TraceSettings, Telemetry};
use tokio::net::TcpListener;

use crate::api::Api;
use crate::calls::CallRegistry;
use crate::checkpoints::Checkpoints;
use crate::config::Config;
use crate::keeper::Keeper;
use crate::outbox::Outbox;
use crate::rest::Rest;
use crate::tenants::{Signers, Tenants};
pub(crate) use args::ServeArgs;
use drain::Ended;
use failures::Failures;
use http::{Connections, HttpConfig};
use life::{Life, Phase};
use metrics::{Metrics, MetricsAccess};
use offhook_media_line::MediaLine;
use offhook_relay_line::RelayLine;
use overload::Overload;
use progress::InProgress;
use reconnect::Reconnects;
pub(crate) use roster::relay_options;
use signals::Signals;
use tokens::Tokens;
pub(crate) use tokens::random;
pub(crate) use voice::TOKEN;
use watched::Watched;
use workers::Workers;

/// So long is waited at the end for the disk, and for workers.
const LAST_RECORDS: Duration = Duration::from_secs(10);

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    agent: String,
    pub(crate) registry: Arc<CallRegistry>,
    pub(crate) api: Option<Api>,
    pub(crate) public_url: Option<String>,
    keys: ArcSwap<Signers>,
    failures: Failures,
    pub(crate) tokens: Tokens,
    pub(crate) routing: route::Routing,
    reconnects: Reconnects<RelayLine>,
    /// The same for Media Streams.
    streams: Reconnects<MediaLine>,
    pub(crate) overload: Overload,
    pub(crate) metrics: Metrics,
    metrics_access: MetricsAccess,
    show: bool,
    pub(crate) life: Arc<Life>,
    calls: InProgress,
    /// Whether the console is served.
    console: bool,
    /// The API's token, if this process made it: for programs on this machine, while no credentials are asked for.
    own_token: Option<String>,
    http: HttpConfig,
    pub(crate) tls: Option<Arc<http::Tls>>,
    connections: Arc<Connections>,
    /// Whether only this machine reaches the server.
    is_loopback: bool,
}

impl Shared {
    /// Whether no credentials are asked for.
    pub(crate) fn is_open(&self) -> bool {
        self.keys.load().is_empty()
    }

    /// Whether this machine's programs are served without being asked for credentials.
    pub(crate) fn is_open_here(&self) -> bool {
        self.is_loopback && self.keys.load().is_empty()
    }
}

/// What HTTP requests are answered with.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) shared: Arc<Shared>,
    workers: Workers,
}

/// Runs until it is told to stop.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let descriptors = limits::raise_descriptors();
    panics::log();
    let config = args.config()?;
    let listen = args.address(&config)?;
    let how = config.how_to_keep()?;
    let keeper = config.record.as_deref().map(|folder| Keeper::start(folder, how)).transpose()?;
    let count = config.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let store = config.store.start(config.record.as_deref(), listen)?;
    let traces = TraceSettings::from_environment(|name| std::env::var(name).ok());
    let telemetry = traces.map(Telemetry::start).transpose()?;
    if telemetry.is_some() {
        crate::logging::name_traces();
    }
    let (checkpoints, left) = match config.resume_folder(listen.port(), |name| std::env::var_os(name)) {
        Some(folder) => {
            Checkpoints::start(&folder, config.store.keys()?).map(|(on, left)| (Some(on), left))?
        }
        None => (None, Vec::new()),
    };
    let kept = (keeper, store, telemetry, checkpoints);
    let shared = Arc::new(shared(args, &config, (listen, descriptors), kept, count)?);
    if let Some(telemetry) = shared.registry.telemetry.clone() {
        let calls = Arc::downgrade(&shared.registry);
        trace::install(move |call| {
            let parent = calls.upgrade().and_then(|calls| calls.call(call)?.traceparent());
            Some(telemetry.traceparent(call, parent.as_deref()))
        });
    }
    shared.registry.move_to(crate::objects::start(&config, &shared.registry)?);
    if let Some(store) = &shared.registry.store {
        let calls = Arc::downgrade(&shared.registry);
        retention::start(&shared.registry, store, retention::rules(&config))?;
        store.watch(move || calls.upgrade().map(|calls| calls.in_progress()).unwrap_or_default());
    }
    let workers = Workers::start(count, &shared)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let loader = roster::Loader::start()?;
    limits::give_way();
    let edge = Arc::new(Edge { shared: Arc::clone(&shared), workers });
    let ended = runtime.block_on(serve(args, (listen, &config), (&edge, left), &loader));
    // Workers first: calls that are cut write their records when they are dropped.
    edge.workers.stop(LAST_RECORDS);
    let whole = shared.registry.settle(LAST_RECORDS);
    if let Some(telemetry) = &shared.registry.telemetry {
        telemetry.flush(LAST_RECORDS);
    }
    runtime.shutdown_background();
    Ok(match ended? {
        Ended::Whole if whole => ExitCode::SUCCESS,
        Ended::Whole | Ended::Cut(0) => ExitCode::FAILURE,
        Ended::Cut(calls) => {
            tracing::warn!(calls, "calls were ended by the server");
            ExitCode::from(3)
        }
    })
}

/// What outlives calls.
type Kept = (Option<Keeper>, Option<Store>, Option<Telemetry>, Option<Checkpoints>);

fn shared(
    args: &ServeArgs,
    config: &Config,
    (listen, descriptors): (SocketAddr, usize),
    (keeper, store, telemetry, checkpoints): Kept,
    workers: usize,
) -> anyhow::Result<Shared> {
    let roster = roster::load(config, args.transport())?;
    let about = roster.about();
    let rest = config.account()?.map(|account| Rest::new(&account));
    let keys = config.signers()?;
    let api_token = config.api_token()?;
    let of_tenants = config.tenant_tokens()?;
    // Who works on this machine alone needs no token of their own to use the console.
    let wants_own = config.console && api_token.is_none() && listen.ip().is_loopback() && keys.is_empty();
    let own_token = if wants_own { Some(tokens::random()?) } else { None };
    let token = api_token.or_else(|| own_token.clone());
    let api = Api::new(token.as_deref(), &of_tenants, config);
    let outbox = Outbox::start(&config.events, &config.store.redact)?;
    let registry = CallRegistry::new(
        config.outbound.clone(),
        rest,
        roster,
        keeper,
        (store, telemetry),
        config.recording.clone(),
    )
    .telling(outbox)
    .with_tenants(Tenants::start(config)?, config.limits.clone())
    .resumable(checkpoints);
    let tool_calls = registry.tool_calls.clone();
    Ok(Shared {
        console: config.console && api.is_some(),
        api,
        public_url: config.public_url.clone(),
        tokens: Tokens::new(config.secret()?.as_deref())?,
        routing: route::Routing::new(config),
        reconnects: Reconnects::default(),
        streams: Reconnects::default(),
        overload: Overload::new(config.overload.clone(), workers),
        metrics: Metrics::new(&registry).with_tools(&tool_calls),
        metrics_access: MetricsAccess::new(config)?,
        show: args.show,
        life: Arc::default(),
        calls: InProgress::default(),
        connections: Arc::new(Connections::new(&config.http, descriptors)),
        tls: config.http.tls.clone().map(http::Tls::new).transpose()?.map(Arc::new),
        http: config.http.clone(),
        is_loopback: listen.ip().is_loopback(),
        own_token,
        keys: ArcSwap::from_pointee(keys),
        failures: Failures::default(),
        agent: about,
        registry: Arc::new(registry),
    })
}

/// Takes in the calls that an earlier process has left in the middle. What Twilio doesn't connect again has ended.
fn resume(shared: &Arc<Shared>, left: &[Vec<u8>]) {
    let resumed = shared.registry.resume(left);
    if resumed.is_empty() {
        return;
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        tokio::time::sleep(2 * reconnect::BACK_WITHIN).await;
        for live in resumed.iter().filter_map(|sid| shared.registry.call(sid)) {
            shared.registry.end_cut_off(&live, 1);
        }
    });
}

/// Listens, to the end of the server's life.
async fn serve(
    args: &ServeArgs,
    (listen, config): (SocketAddr, &Config),
    (edge, left): (&Arc<Edge>, Vec<Vec<u8>>),
    loader: &roster::Loader,
) -> anyhow::Result<Ended> {
    let mut signals = Signals::register()?;
    resume(&edge.shared, &left);
    let listener = match systemd::inherited()? {
        Some(listener) => listener,
        None => TcpListener::bind(listen).await.with_context(|| {
            format!(
                "can't listen on {listen}; is another server running there? --listen or PORT takes another port"
            )
        })?,
    };
    let own = match config.metrics.listen {
        Some(listen) => {
            let listener = TcpListener::bind(listen).await;
            Some(listener.with_context(|| format!("can't listen on {listen}, `listen` in [metrics]"))?)
        }
        None => None,
    };
    let shared = &edge.shared;
    announce::announce(listener.local_addr()?, shared);
    systemd::ready();
    let life = async {
        let mut files = Watched::new(args.clone());
        // Files, and what MCP servers offer.
        let changed = async || {
            tokio::select! {
                () = files.changed(loader) => {}
                () = crate::agents::tools_changed() => {}
            }
        };
        drain::until_stop(&mut signals, changed, async || roster::reload(args, shared, loader).await).await;
        let who = (&*shared.life, &shared.calls, &*shared.registry);
        let ended = drain::drain(config.drain, who, &mut signals).await;
        shared.life.advance(Phase::Ending);
        ended
    };
    let watchdog = async {
        tokio::select! {
            () = systemd::watchdog(&shared.overload) => {}
            () = shared.life.until(Phase::Ending) => {}
        }
    };
    let certificate = async {
        if let Some(tls) = &shared.tls {
            tokio::select! {
                () = tls.watch() => {}
                () = shared.life.until(Phase::Ending) => {}
            }
        }
    };
    let scrapes = async {
        if let Some(listener) = &own {
            http::accept(listener, edge, http::Serves::Operator).await;
        }
    };
    let failing = async {
        tokio::select! {
            () = failing::watch(shared) => {}
            () = shared.life.until(Phase::Ending) => {}
        }
    };
    let everybody = http::accept(&listener, edge, http::Serves::Everybody);
    let ((), (), (), (), (), ended) = tokio::join!(everybody, scrapes, watchdog, certificate, failing, life);
    Ok(ended)
}
