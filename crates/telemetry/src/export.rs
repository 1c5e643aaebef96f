//! The queue, the thread, OTLP. Nobody waits for it: what there is no room for is counted and dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use hyper_rustls::HttpsConnectorBuilder;
use offhook_store::Document;
use opentelemetry::trace::TraceId;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};

use crate::ids::{self, Parent};
use crate::spans::{Content, spans};

/// Calls that may wait.
const WAITING: usize = 4_096;
/// Spans in a request at most, as the SDK has it.
const BATCH: usize = 512;
/// A request is tried so often, and given up after so long.
const TRIES: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why traces can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The environment variables.
    #[error("traces can't be exported, see OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(String),
    /// The system.
    #[error("the thread that exports traces can't be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What is exported, from the environment variables of OpenTelemetry's SDKs.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether spans tell what was said (`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`).
    pub content: Content,
    /// The share of calls that is traced, 0 to 1 (`OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`).
    pub share: f64,
    /// A call that came with a `traceparent` is traced if that says so (`parentbased_…`, the default).
    pub parent_based: bool,
    /// How spans are sent (`OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, `OTEL_EXPORTER_OTLP_PROTOCOL`).
    pub protocol: Protocol,
}

/// How spans are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`
    #[default]
    Http,
    /// `http/json`
    HttpJson,
    /// `grpc`
    Grpc,
}

impl Settings {
    /// Reads the environment. `None` if no traces are wanted: no endpoint is set, or they are switched off.
    #[must_use]
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is = |name: &str, wanted: &str| {
            get(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
        };
        let set = |name: &str| get(name).is_some_and(|value| !value.trim().is_empty());
        let wanted = set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        if !wanted || is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        let sampler = get("OTEL_TRACES_SAMPLER").unwrap_or_default();
        let ratio = || {
            get("OTEL_TRACES_SAMPLER_ARG").and_then(|share| share.trim().parse::<f64>().ok()).unwrap_or(1.0)
        };
        let share = match sampler.trim().trim_start_matches("parentbased_") {
            "always_off" => 0.0,
            "traceidratio" => ratio().clamp(0.0, 1.0),
            _ => 1.0,
        };
        let named = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]
            .into_iter()
            .find(|name| set(name));
        let protocol = match named.and_then(&get).unwrap_or_default().trim() {
            "grpc" => Protocol::Grpc,
            "http/json" => Protocol::HttpJson,
            _ => Protocol::Http,
        };
        let parent_based = sampler.trim().is_empty() || sampler.trim().starts_with("parentbased_");
        let content = if is("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true") {
            Content::On
        } else {
            Content::Off
        };
        Some(Self { content, share, parent_based, protocol })
    }

    /// Whether a call is traced: the same for each of its parts, and for whoever samples by the trace id too. `parent`: the
    /// `traceparent` that it came with, if it had one.
    #[must_use]
    pub fn samples(&self, call: &str, parent: Option<&str>) -> bool {
        match parent.filter(|_| self.parent_based).and_then(Parent::parse) {
            Some(parent) => parent.sampled,
            None => samples(self.share, ids::trace(call)),
        }
    }
}

fn samples(share: f64, trace: TraceId) -> bool {
    // As the SDK's sampler by ratio: the lower 63 bits below a bound.
    let bytes = trace.to_bytes();
    let mut low = [0; 8];
    low.copy_from_slice(&bytes[8..]);
    share >= 1.0 || ((u64::from_be_bytes(low) >> 1) as f64) < share * 2f64.powi(63)
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Spans that were taken.
    pub exported: AtomicU64,
    /// Spans that were not, after all tries.
    pub failed: AtomicU64,
    /// Calls that there was no room for.
    pub dropped: AtomicU64,
}

type Make = Box<dyn FnOnce() -> Option<Document> + Send>;

enum Job {
    Call(Make),
    Flush(Sender<()>),
}

/// Exports calls as traces; clones are the same.
#[derive(Clone, Debug)]
pub struct Telemetry {
    jobs: Sender<Job>,
    settings: Settings,
    counters: Arc<Counters>,
}

impl Telemetry {
    /// Starts the thread. Where to, how and by what name comes from the environment (`OTEL_EXPORTER_OTLP_*`, `OTEL_SERVICE_NAME`,
    /// `OTEL_RESOURCE_ATTRIBUTES`).
    ///
    /// # Errors
    /// If those can't be used.
    pub fn start(settings: Settings) -> Result<Self, SetupError> {
        let broken = |error: &dyn std::fmt::Display| SetupError::Exporter(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let exporter = match settings.protocol {
            Protocol::Http | Protocol::HttpJson => {
                let connector =
                    HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
                let client = HyperClient::new(connector, TIMEOUT, None);
                let form = match settings.protocol {
                    Protocol::HttpJson => opentelemetry_otlp::Protocol::HttpJson,
                    _ => opentelemetry_otlp::Protocol::HttpBinary,
                };
                SpanExporter::builder().with_http().with_protocol(form).with_http_client(client).build()
            }
            Protocol::Grpc => {
                // Its channel lives in the runtime.
                let _within = runtime.enter();
                let roots = ClientTlsConfig::new().with_enabled_roots();
                SpanExporter::builder().with_tonic().with_tls_config(roots).build()
            }
        };
        let mut exporter = exporter.map_err(|error| broken(&error))?;
        let named = std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty());
        let resource = Resource::builder();
        let resource = if named { resource } else { resource.with_service_name("offhook") };
        exporter.set_resource(&resource.build());
        let (jobs, queue) = bounded(WAITING);
        let counters = Arc::<Counters>::default();
        let (counted, content) = (Arc::clone(&counters), settings.content);
        std::thread::Builder::new().name("telemetry".into()).spawn(move || {
            run(&queue, content, &counted, |spans| {
                runtime.block_on(exporter.export(spans)).map_err(|error| error.to_string())
            });
        })?;
        Ok(Self { jobs, settings, counters })
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A call is over; never waits. `make` runs in the exporter's thread.
    pub fn put(
        &self,
        (call, parent): (&str, Option<&str>),
        make: impl FnOnce() -> Option<Document> + Send + 'static,
    ) {
        if self.settings.samples(call, parent) && self.jobs.try_send(Job::Call(Box::new(make))).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a call is traced.
    #[must_use]
    pub fn traces(&self, call: &str, parent: Option<&str>) -> bool {
        self.settings.samples(call, parent)
    }

    /// The `traceparent` of what is requested for a call.
    #[must_use]
    pub fn traceparent(&self, call: &str, parent: Option<&str>) -> String {
        ids::traceparent(call, self.settings.samples(call, parent))
    }

    /// Waits until everything is exported or given up, but not for ever.
    pub fn flush(&self, within: Duration) {
        let (done, wait) = bounded(1);
        if self.jobs.send_timeout(Job::Flush(done), within).is_ok() && wait.recv_timeout(within).is_err() {
            tracing::warn!("not all traces of the last calls were exported in time");
        }
    }
}

fn run(
    queue: &Receiver<Job>,
    content: Content,
    counters: &Counters,
    mut export: impl FnMut(Vec<SpanData>) -> Result<(), String>,
) {
    let mut told = false;
    for job in queue {
        let mut batch = Vec::new();
        let mut flushed = Vec::new();
        for job in std::iter::once(job).chain(queue.try_iter()) {
            match job {
                Job::Call(make) => batch.extend(make().map(|call| spans(&call, content)).unwrap_or_default()),
                Job::Flush(done) => flushed.push(done),
            }
            if batch.len() >= BATCH || !flushed.is_empty() {
                break;
            }
        }
        if !batch.is_empty() {
            let count = batch.len() as u64;
            let mut outcome = Ok(());
            for again in 0..TRIES {
                outcome = export(batch.clone());
                if outcome.is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100 << again));
            }
            match outcome {
                Ok(()) => {
                    told = false;
                    counters.exported.fetch_add(count, Ordering::Relaxed);
                }
                Err(error) => {
                    counters.failed.fetch_add(count, Ordering::Relaxed);
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(error, "traces can't be exported; calls go on, and so do tries");
                    }
                }
            }
        }
        for done in flushed {
            // Nobody may wait any more.
            let _unheard = done.try_send(()).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(all: &[(&str, &str)]) -> Option<Settings> {
        Settings::from_environment(|name| {
            all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_decides() {
        assert_eq!(settings(&[]), None);
        let to = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        assert_eq!(
            settings(&[to]),
            Some(Settings {
                content: Content::Off,
                share: 1.0,
                parent_based: true,
                protocol: Protocol::Http
            })
        );
        assert_eq!(settings(&[to, ("OTEL_SDK_DISABLED", "true")]), None);
        let grpc = settings(&[to, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap();
        assert_eq!(grpc.protocol, Protocol::Grpc);
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json");
        let http = settings(&[to, of_traces, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap();
        assert_eq!(http.protocol, Protocol::HttpJson, "that of traces comes first");
        let off = settings(&[to, ("OTEL_TRACES_SAMPLER", "parentbased_always_off")]).unwrap();
        let (yes, no) = (ids::traceparent("x", true), ids::traceparent("x", false));
        assert!(
            off.samples("CA1", Some(&yes)) && !off.samples("CA1", Some(&no)) && !off.samples("CA1", None)
        );
        let on = settings(&[to, ("OTEL_TRACES_SAMPLER", "always_on")]).unwrap();
        assert!(on.samples("CA1", Some(&no)), "which asks no parent");
        let half =
            [to, ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")];
        let half = settings(&half).unwrap();
        let sampled = (0..1_000).filter(|n| half.samples(&format!("CA{n}"), None)).count();
        assert!((400..600).contains(&sampled), "{sampled}");
        assert_eq!(
            settings(&[to, ("OTEL_TRACES_SAMPLER", "always_off")]).map(|settings| settings.share),
            Some(0.0)
        );
    }

    #[test]
    fn a_collector_that_fails_is_tried_again_and_counted() {
        let (jobs, queue) = bounded(10);
        for _ in 0..2 {
            jobs.send(Job::Call(Box::new(|| Some(crate::spans::tests::call())))).unwrap();
        }
        drop(jobs);
        let counters = Counters::default();
        let mut failures = 2;
        let mut taken = 0;
        run(&queue, Content::Off, &counters, |spans| {
            failures -= 1;
            if failures >= 0 {
                return Err("503".into());
            }
            taken += spans.len();
            Ok(())
        });
        assert_eq!((taken, counters.exported.load(Ordering::Relaxed)), (18, 18));
    }
}
