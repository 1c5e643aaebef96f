//! The log: never waited for, one line an event, and no kind of event more often than somebody can read.
//!
//! `OFFHOOK_LOG` says what is logged (`warn,offhook=info` without it), `--log-format` or `OFFHOOK_LOG_FORMAT` in what form. Lines
//! go through a queue to a thread that writes them: when nobody reads, lines are dropped and counted, and calls go on.

mod line;

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use line::OneLine;
pub(crate) use line::{name_traces, serves};

/// Lines that may wait to be written.
const WAITING: usize = 8_192;
/// Events of a kind at once, and a second.
const BURST: f64 = 200.0;
const PER_SECOND: f64 = 50.0;

/// In what form the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: an object a line
    Json,
}

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();
static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

/// Lines that were dropped, because nobody read the log fast enough.
pub(crate) fn dropped() -> u64 {
    DROPPED.get().map_or(0, |dropped| u64::try_from(dropped.dropped_lines()).unwrap_or(u64::MAX))
}

/// Events that were left out, because there were too many of their kind.
pub(crate) fn suppressed() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}

/// Starts logging. What is still in the queue is written when the guard is dropped.
pub(crate) fn start(format: Format) -> WorkerGuard {
    let filter = tracing_subscriber::EnvFilter::try_from_env("OFFHOOK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,offhook=info"));
    let (queue, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING)
        .thread_name("log")
        .finish(io::stderr());
    // Logging starts once.
    let _first = DROPPED.set(queue.error_counter()).is_ok();
    let limit = RateLimit { kinds: Mutex::default(), writer: queue.clone(), format };
    let writer = OneLine(queue, format);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Text => {
            let layer = tracing_subscriber::fmt::layer()
                .with_ansi(io::stderr().is_terminal())
                .with_target(false)
                .with_writer(writer);
            registry.with(layer.with_filter(limit)).init();
        }
        Format::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer);
            registry.with(layer.with_filter(limit)).init();
        }
    }
    // At this level the WebSocket's library logs what goes over the wire: keys in handshakes, and the digits that callers key.
    log::set_max_level(log::max_level().min(log::LevelFilter::Debug));
    guard
}

/// Lets so many events of each kind through. A kind is the place in the program that they come from. What is asked for by
/// level, debug and below, is not limited.
struct RateLimit {
    kinds: Mutex<HashMap<Identifier, Kind>>,
    writer: NonBlocking,
    format: Format,
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    left: f64,
    since: Instant,
    out: u64,
}

impl Kind {
    const fn new(now: Instant) -> Self {
        Self { left: BURST, since: now, out: 0 }
    }

    /// Whether one more may go through; if so, how many did not since the last.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let gained = now.saturating_duration_since(self.since).as_secs_f64() * PER_SECOND;
        self.left = (self.left + gained).min(BURST);
        self.since = now;
        if self.left < 1.0 {
            self.out += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.out))
    }
}

impl RateLimit {
    fn lets_through(&self, metadata: &Metadata<'_>) -> bool {
        if *metadata.level() > Level::INFO {
            return true;
        }
        let now = Instant::now();
        let taken = {
            let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
            kinds.entry(metadata.callsite()).or_insert_with(|| Kind::new(now)).take(now)
        };
        match taken {
            None => {
                SUPPRESSED.fetch_add(1, Ordering::Relaxed);
                false
            }
            Some(0) => true,
            Some(out) => {
                self.tell(out, metadata);
                true
            }
        }
    }

    fn tell(&self, out: u64, metadata: &Metadata<'_>) {
        let kind = format!("{}:{}", metadata.file().unwrap_or(""), metadata.line().unwrap_or(0));
        let message = "events of one kind were left out";
        let line = match self.format {
            Format::Text => format!(" WARN {message} kind=\"{kind}\" count={out}\n"),
            Format::Json => {
                let line =
                    serde_json::json!({"level": "WARN", "message": message, "kind": kind, "count": out});
                format!("{line}\n")
            }
        };
        // The queue takes it or counts it.
        let _taken = self.writer.clone().write(line.as_bytes()).is_ok();
    }
}

impl<S> Filter<S> for RateLimit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.lets_through(event.metadata())
    }
}

impl std::fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimit").field("format", &self.format).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_kind_is_let_through_so_often_and_it_is_told_how_many_were_not() {
        let begin = Instant::now();
        let mut kind = Kind::new(begin);
        assert_eq!((0..1_000).filter(|_| kind.take(begin).is_some()).count(), 200);
        assert_eq!(kind.take(begin + Duration::from_secs(1)), Some(800));
        assert_eq!(kind.take(begin + Duration::from_secs(1)), Some(0));
    }

    /// A writer that nobody reads.
    struct Stuck(Arc<Mutex<()>>);

    impl Write for Stuck {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            drop(self.0.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_log_that_is_not_read() {
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let (mut queue, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(10)
            .finish(Stuck(Arc::clone(&gate)));
        let counter = queue.error_counter();
        for _ in 0..100 {
            queue.write_all(b"line\n").unwrap();
        }
        assert!(counter.dropped_lines() >= 88, "{}", counter.dropped_lines());
        drop(held);
        drop(guard);
    }
}
