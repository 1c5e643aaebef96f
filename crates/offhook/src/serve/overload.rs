//! Whether new calls can be served well: told by how late the workers' clocks ring, not by a count of calls.
//!
//! A worker that is asked to wake up in 50 ms and wakes later is as late with every frame. When even the least late worker is
//! over the limit, new calls are sent elsewhere or told so; calls in progress are untouched. Lateness counts only of a worker
//! that is at work itself: one that is late and idle has noisy neighbours, and fewer calls would help nobody.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use offhook_twilio::twiml::{Response, Verb};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use tokio::time::Instant;

/// `[overload]`: what becomes of new calls when there are too many.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OverloadConfig {
    /// Over this lateness of every worker new calls aren't taken. Default 15 ms.
    #[serde(with = "humantime_serde")]
    pub(crate) late: Duration,
    /// What the caller is told, by Twilio's voice; then Twilio hangs up.
    pub(crate) say: String,
    /// Another server's webhook, which gets the call instead.
    pub(crate) redirect: Option<String>,
}

impl Default for OverloadConfig {
    fn default() -> Self {
        Self {
            late: Duration::from_millis(15),
            say: "All our lines are busy. Please call again in a few minutes.".to_owned(),
            redirect: None,
        }
    }
}

/// How often a worker looks at its clock.
const BEAT: Duration = Duration::from_millis(50);

/// Watches all workers.
#[derive(Debug)]
pub(crate) struct Overload {
    config: OverloadConfig,
    /// Of each worker, in microseconds.
    lateness: Vec<AtomicU32>,
    /// How often each worker has looked at its clock.
    beats: Vec<AtomicU64>,
    turned_away: AtomicU64,
}

impl Overload {
    pub(crate) fn new(config: OverloadConfig, workers: usize) -> Self {
        let lateness = (0..workers.max(1)).map(|_| AtomicU32::new(0)).collect();
        let beats = (0..workers.max(1)).map(|_| AtomicU64::new(0)).collect();
        Self { config, lateness, beats, turned_away: AtomicU64::new(0) }
    }

    /// Watches the clock of the worker that this runs on; never ends.
    pub(crate) async fn watch(&self, worker: usize) {
        let Some(gauge) = self.lateness.get(worker) else { return };
        let mut due = Instant::now();
        let (mut before, mut worked) = (due, processor_time());
        loop {
            due += BEAT;
            tokio::time::sleep_until(due).await;
            if let Some(beats) = self.beats.get(worker) {
                beats.fetch_add(1, Ordering::Relaxed);
            }
            let now = Instant::now();
            let (span, work) = (now.saturating_duration_since(before), processor_time());
            let busy = is_busy(work.saturating_sub(worked), span);
            (before, worked) = (now, work);
            let late = if busy { now } else { due };
            let late = u32::try_from(late.saturating_duration_since(due).as_micros()).unwrap_or(u32::MAX);
            // One long stall, as of a voice that is loaded, is no overload: it counts as a beat twice over the limit.
            let late = late.min(2 * u32::try_from(self.config.late.as_micros()).unwrap_or(u32::MAX / 2));
            gauge.store(smoothed(gauge.load(Ordering::Relaxed), late), Ordering::Relaxed);
            // A worker that stood still for a while is not late twenty times.
            due = due.max(now - BEAT.min(now - due));
        }
    }

    /// The lateness of the worker that is least late.
    pub(crate) fn lateness(&self) -> Duration {
        self.all_lateness().min().unwrap_or_default()
    }

    /// How often each worker has looked at its clock: one that stands still doesn't.
    pub(crate) fn beats(&self) -> Vec<u64> {
        self.beats.iter().map(|beats| beats.load(Ordering::Relaxed)).collect()
    }

    /// The lateness of each worker.
    pub(crate) fn all_lateness(&self) -> impl Iterator<Item = Duration> {
        self.lateness.iter().map(|gauge| Duration::from_micros(gauge.load(Ordering::Relaxed).into()))
    }

    /// Calls turned away so far.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// What to answer a new call with, if it can't be taken.
    pub(crate) fn answer(&self) -> Option<Response> {
        let late = self.lateness();
        if late <= self.config.late {
            return None;
        }
        let count = self.turned_away.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(
            lateness = ?late,
            count,
            "a call was turned away: this machine is at its limit. More cores, or `redirect` in [overload], help"
        );
        Some(self.elsewhere())
    }

    /// Sends a new call to another server if there is one; else it is told that all lines are busy.
    pub(crate) fn elsewhere(&self) -> Response {
        let response = Response::default();
        match &self.config.redirect {
            Some(url) => response.then(Verb::Redirect(url.clone())),
            None => response.then(Verb::Say(self.config.say.clone())).then(Verb::Hangup),
        }
    }
}

/// The processor's time that this thread has had.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Whether a worker had so much to do that this is why it is late.
fn is_busy(worked: Duration, span: Duration) -> bool {
    worked >= span / 2
}

/// Rises by a quarter of what is new, falls by an eighth: one late beat is no overload, several in a row are.
const fn smoothed(before: u32, now: u32) -> u32 {
    if now > before { before + (now - before) / 4 } else { before - (before - now) / 8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_late_beats_are_an_overload_and_it_passes() {
        let mut lateness = 0;
        let mut beats = |late: u32, count: u32| {
            (0..count).for_each(|_| lateness = smoothed(lateness, late));
            lateness
        };
        assert!(beats(20_000, 3) < 15_000);
        assert!(beats(20_000, 3) > 15_000);
        assert!(beats(500, 20) < 3_000);
    }

    #[test]
    fn new_calls_are_turned_away_only_when_every_worker_is_late() {
        let overload = Overload::new(OverloadConfig::default(), 2);
        overload.lateness[0].store(40_000, Ordering::Relaxed);
        assert!(overload.answer().is_none());
        overload.lateness[1].store(30_000, Ordering::Relaxed);
        let told = overload.answer().unwrap().to_xml();
        assert!(told.contains("<Say>All our lines are busy") && told.contains("<Hangup/>"), "{told}");
        let elsewhere = OverloadConfig {
            redirect: Some("https://b.example/voice?x=1&y=2".into()),
            ..OverloadConfig::default()
        };
        let overload = Overload::new(elsewhere, 1);
        overload.lateness[0].store(30_000, Ordering::Relaxed);
        let told = overload.answer().unwrap().to_xml();
        assert!(told.contains("<Redirect>https://b.example/voice?x=1&amp;y=2</Redirect>"), "{told}");
    }

    #[test]
    fn only_own_work_is_a_reason() {
        let ms = Duration::from_millis;
        assert!(is_busy(ms(40), ms(70)) && is_busy(ms(300), ms(300)));
        assert!(!is_busy(ms(2), ms(90)), "3 % load on a noisy host");
        assert!(processor_time() <= processor_time());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_on_time_is_not_late() {
        let overload = Overload::new(OverloadConfig::default(), 1);
        let watching = tokio::time::timeout(Duration::from_secs(5), overload.watch(0));
        assert!(watching.await.is_err());
        assert!(overload.lateness() <= Duration::from_millis(1));
    }
}
