//! `/metrics`: what is counted, as Prometheus reads it (OpenMetrics text).
//!
//! Frames and messages of a call are added when it is over, everything else as it happens. With an API token the address wants
//! it too.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use offhook_session::relay::{RelayEnd, RelayError, RelayReport};
use offhook_session::{SessionEnd, SessionError, SessionReport};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::Shared;
use super::http::{Answer, text, typed};
use crate::api::Api;
use crate::calls::CallRegistry;
use crate::config::Config;
use crate::metrics::{Disk, Label, Pacing, Process, Providers};
use crate::tenants::Scope;

/// The type that OpenMetrics has.
const MIME: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const TRANSPORTS: [&str; 2] = ["media_streams", "conversation_relay"];

/// Calls of agents' tools, by tool and outcome.
pub(crate) type ToolCalls = Family<[(&'static str, String); 3], Counter>;
type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;

/// All counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<[(&'static str, &'static str); 2], Counter>,
    in_progress: Gauge,
    turned_away: Counter,
    pub(super) connections_refused: Counter,
    pub(super) accept_failures: Counter,
    pub(super) panics: Counter,
    log_dropped: Counter,
    log_suppressed: Counter,
    transcripts_cut: Counter,
    tape_octets: Counter,
    disk_failures: Counter,
    tapes_cut: Counter,
    events_told: Counter,
    events_lost: Counter,
    pub(super) signatures_refused: Counter,
    pub(crate) tokens_refused: Counter,
    lateness: Family<Label, Seconds>,
    frames_in: Counter,
    frames_concealed: Counter,
    frames_late: Counter,
    frames_out: Counter,
    underruns: Counter,
    clears: Counter,
    audio_dropped: Counter,
    commands_refused: Counter,
    messages_dropped: Counter,
    pacing: Arc<Pacing>,
    pub(super) providers: Arc<Providers>,
}

impl Metrics {
    /// The same, with what tools were asked.
    pub(super) fn with_tools(mut self, tools: &ToolCalls) -> Self {
        self.registry.register(
            "offhook_tool_calls",
            "Calls of agents' tools, by what came of them",
            tools.clone(),
        );
        self
    }

    pub(crate) fn new(registry: &CallRegistry) -> Self {
        let mut new = Self {
            registry: Registry::default(),
            calls: Family::default(),
            in_progress: Gauge::default(),
            turned_away: Counter::default(),
            connections_refused: Counter::default(),
            accept_failures: Counter::default(),
            panics: Counter::default(),
            log_dropped: Counter::default(),
            log_suppressed: Counter::default(),
            transcripts_cut: Counter::default(),
            tape_octets: Counter::default(),
            disk_failures: Counter::default(),
            tapes_cut: Counter::default(),
            events_told: Counter::default(),
            events_lost: Counter::default(),
            signatures_refused: Counter::default(),
            tokens_refused: Counter::default(),
            lateness: Family::default(),
            frames_in: Counter::default(),
            frames_concealed: Counter::default(),
            frames_late: Counter::default(),
            frames_out: Counter::default(),
            underruns: Counter::default(),
            clears: Counter::default(),
            audio_dropped: Counter::default(),
            commands_refused: Counter::default(),
            messages_dropped: Counter::default(),
            pacing: Arc::default(),
            providers: Arc::default(),
        };
        new.registry.register_collector(Box::new(Process::default()));
        let all = new.registry.sub_registry_with_prefix("offhook");
        registry.metrics().register(all);
        registry.watch_providers(&new.providers);
        all.register_collector(Box::new(Arc::clone(&new.providers)));
        all.register_collector(Box::new(Arc::clone(&new.pacing)));
        if let Some(folder) = registry.folder() {
            all.register_collector(Box::new(Disk(folder.to_owned())));
        }
        all.register_collector(Box::new(registry.kept()));
        let calls = "Streams and sessions that are over, by how they ended";
        let ends = ["stopped", "hung_up", "refused", "failed", "lost", "replaced"];
        for (end, transport) in ends.into_iter().flat_map(|end| TRANSPORTS.map(|transport| (end, transport)))
        {
            drop(new.calls.get_or_create(&[("end", end), ("transport", transport)]));
        }
        all.register("calls", calls, new.calls.clone());
        all.register("calls_in_progress", "Calls in progress", new.in_progress.clone());
        for (name, help, counter) in [
            ("calls_turned_away", "Calls not taken because every worker was late", &new.turned_away),
            ("connections_refused", "Connections for which there was no room", &new.connections_refused),
            (
                "accept_failures",
                "Connections that the system did not give, as when no file descriptors are left",
                &new.accept_failures,
            ),
            ("signatures_refused", "Webhooks and sockets that Twilio did not sign", &new.signatures_refused),
            ("tokens_refused", "Requests to the API without its token", &new.tokens_refused),
            ("log_lines_dropped", "Lines of the log that nobody read fast enough", &new.log_dropped),
            (
                "log_events_suppressed",
                "Events of the log that were too many of their kind",
                &new.log_suppressed,
            ),
            ("transcripts_cut", "Transcripts too long to be speech, cut short", &new.transcripts_cut),
            ("tape_bytes", "Octets of tapes", &new.tape_octets),
            ("disk_failures", "Tapes and records that the disk refused", &new.disk_failures),
            ("tapes_cut", "Tapes that ended before their calls, because the disk was behind", &new.tapes_cut),
            ("events_told", "Events that arrived at the application's webhook", &new.events_told),
            (
                "events_lost",
                "Events that were given up, and are in the file of dead letters",
                &new.events_lost,
            ),
            ("panics", "Faults of this program that were survived", &new.panics),
            ("frames_in", "Frames of 20 ms received", &new.frames_in),
            ("frames_concealed", "Frames that were missing and were filled in", &new.frames_concealed),
            ("frames_late", "Messages that came late or twice and were dropped", &new.frames_late),
            ("frames_out", "Frames of 20 ms sent", &new.frames_out),
            ("underruns", "Times that sound ran out during an utterance", &new.underruns),
            ("clears", "Times that Twilio was told to drop what it had not played", &new.clears),
            ("recogniser_frames_dropped", "Frames that a recogniser could not take", &new.audio_dropped),
            ("stage_commands_refused", "Commands that a stage had no room for", &new.commands_refused),
            ("messages_dropped", "Messages that could not be used", &new.messages_dropped),
        ] {
            all.register(name, help, counter.clone());
        }
        let late =
            "How late each busy worker wakes up, smoothed; over `late` in [overload] no calls are taken";
        all.register_with_unit("scheduler_lag", late, Unit::Seconds, new.lateness.clone());
        new
    }

    /// A call is over.
    pub(super) fn count(&self, report: &SessionReport) {
        let end = match &report.end {
            SessionEnd::Stopped => "stopped",
            SessionEnd::HungUp => "hung_up",
            SessionEnd::Lost(_) => "lost",
            SessionEnd::Replaced => "replaced",
            SessionEnd::Failed(SessionError::Refused(_)) => "refused",
            SessionEnd::Failed(_) => "failed",
        };
        self.calls.get_or_create(&[("end", end), ("transport", "media_streams")]).inc();
        let (inbound, playout) = (report.totals.inbound, report.totals.playout);
        self.frames_in.inc_by(inbound.frames);
        self.frames_concealed.inc_by(inbound.concealed);
        self.frames_late.inc_by(inbound.late);
        self.frames_out.inc_by(playout.frames);
        self.underruns.inc_by(playout.underruns);
        self.clears.inc_by(playout.clears);
        self.audio_dropped.inc_by(report.dropped_audio);
        self.commands_refused.inc_by(report.refused_commands);
        self.messages_dropped.inc_by(u64::from(report.bad_messages));
        self.pacing.add(&report.totals.pacing);
    }

    /// A session of text is over; its call may go on in another.
    pub(super) fn count_relay(&self, report: &RelayReport) {
        let end = match &report.end {
            RelayEnd::Stopped => "stopped",
            RelayEnd::Ended => "hung_up",
            RelayEnd::Failed(RelayError::Refused(_)) => "refused",
            RelayEnd::Failed(_) => "failed",
            RelayEnd::Lost(_) => "lost",
            RelayEnd::Replaced => "replaced",
        };
        self.calls.get_or_create(&[("end", end), ("transport", "conversation_relay")]).inc();
        self.messages_dropped.inc_by(u64::from(report.bad_messages));
    }

    fn render(&self, shared: &Shared) -> Result<String, std::fmt::Error> {
        let calls = shared.calls.now();
        self.in_progress.set(i64::try_from(calls).unwrap_or(i64::MAX));
        self.turned_away.inner().store(shared.overload.turned_away(), Ordering::Relaxed);
        for (worker, late) in shared.overload.all_lateness().enumerate() {
            self.lateness.get_or_create(&[("worker", worker.to_string())]).set(late.as_secs_f64());
        }
        let (told, lost) = shared.registry.events_told();
        let counters = [
            (&self.events_told, told),
            (&self.events_lost, lost),
            (&self.log_dropped, crate::logging::dropped()),
            (&self.log_suppressed, crate::logging::suppressed()),
            (&self.transcripts_cut, offhook_providers::stt::cut_transcripts()),
        ];
        for (counter, count) in counters {
            counter.inner().store(count, Ordering::Relaxed);
        }
        let mut failures = shared.registry.checkpoint_failures();
        if let Some(written) = shared.registry.written() {
            failures += written.failures.load(Ordering::Relaxed);
            let counters = [(&self.tape_octets, &written.tape_octets), (&self.tapes_cut, &written.tapes_cut)];
            for (counter, count) in counters {
                counter.inner().store(count.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        self.disk_failures.inner().store(failures, Ordering::Relaxed);
        let mut out = String::new();
        encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// `[metrics]`: where counters are read, and by whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MetricsConfig {
    /// An address of their own, with the health pages; then `/metrics` is nowhere else. Default: none.
    pub(crate) listen: Option<SocketAddr>,
    /// Environment variable that holds their token. Default `OFFHOOK_METRICS_TOKEN`. Without a token they want the API's, and
    /// nothing at an address of their own.
    pub(crate) token_env: String,
    /// File that holds the token; comes before the variable.
    pub(crate) token_file: Option<PathBuf>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: None, token_env: "OFFHOOK_METRICS_TOKEN".to_owned(), token_file: None }
    }
}

/// Who may read the counters. `Debug` doesn't show the token.
pub(crate) struct MetricsAccess {
    bearer: Option<String>,
    apart: bool,
    /// Nobody has set a token: the console's own is for the console.
    open: bool,
}

impl std::fmt::Debug for MetricsAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsAccess").field("apart", &self.apart).finish_non_exhaustive()
    }
}

impl MetricsAccess {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let bearer = config.metrics_token()?.map(|token| format!("Bearer {token}"));
        // Tenants are to learn nothing of each other.
        let open = config.api_token()?.is_none() && config.tenants.is_empty();
        Ok(Self { bearer, apart: config.metrics.listen.is_some(), open })
    }

    /// Whether they have an address of their own.
    pub(crate) const fn is_apart(&self) -> bool {
        self.apart
    }

    fn opens(&self, headers: &HeaderMap, api: Option<&Api>) -> bool {
        let given = headers.get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        let by_api = api.is_some_and(|api| api.opens(headers) == Some(Scope::Operator));
        match &self.bearer {
            Some(bearer) => bool::from(bearer.as_bytes().ct_eq(given)) || by_api,
            None => by_api || self.apart || self.open,
        }
    }
}

/// Answers a scrape.
pub(super) fn answer(headers: &HeaderMap, shared: &Shared) -> Answer {
    // The token that the server made for its console asks nobody on this machine for one.
    let api = shared.api.as_ref().filter(|_| shared.own_token.is_none());
    if !shared.metrics_access.opens(headers, api) {
        let hint = "send `Authorization: Bearer …` with the token of [metrics], or with the API's\n";
        return text(StatusCode::UNAUTHORIZED, hint);
    }
    match shared.metrics.render(shared) {
        Ok(page) => typed(StatusCode::OK, MIME, page),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the counters can't be written down\n"),
    }
}
