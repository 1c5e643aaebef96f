//! What is measured, of one call and of all.

use std::time::Duration;

use serde::Serialize;

use super::LoadPlan;

/// What one call noticed, in the window.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Frames sent and sound received.
    pub frames_sent: u64,
    /// Octets of the agent's voice.
    pub octets_received: u64,
    /// Messages received.
    pub messages: u64,
    /// Of each frame, with an echo: microseconds from its sending to its return.
    pub round_trips_us: Vec<u32>,
    /// Of each turn: milliseconds from the end of speech to the agent's first sound.
    pub responses_ms: Vec<u32>,
    /// Turns that were not answered before the next.
    pub unanswered: u64,
    /// Holes in the agent's voice.
    pub gaps: u64,
    /// How late our own frames left, in microseconds.
    pub own_lateness_us: Vec<u32>,
    /// From `start` to the first sound, in milliseconds.
    pub first_sound_ms: Option<u32>,
}

/// What the server cost, in the window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ServerCost {
    /// Share of a core, 1.0 is one whole.
    pub cores: f64,
    /// Resident memory at the end, in bytes.
    pub resident: u64,
}

/// What callers bear.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// With an echo: what 99 of 100 frames may take there and back.
    pub round_trip: Duration,
    /// What 99 of 100 answers may take from the end of speech.
    pub answer: Duration,
}

/// Percentiles of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// The median.
    pub p50: f64,
    /// 95 of 100 are no greater.
    pub p95: f64,
    /// 99 of 100 are no greater.
    pub p99: f64,
    /// 999 of 1 000 are no greater.
    pub p999: f64,
    /// The greatest.
    pub most: f64,
}

impl Spread {
    fn of(values: &mut [u32], unit: f64) -> Self {
        values.sort_unstable();
        let at = |share: f64| {
            let place = (values.len().saturating_sub(1) as f64 * share).round() as usize;
            values.get(place).map_or(0.0, |value| f64::from(*value) / unit)
        };
        Self {
            count: values.len(),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            most: at(1.0),
        }
    }
}

/// What all calls together noticed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LoadReport {
    /// Calls wanted.
    pub calls: usize,
    /// Seconds measured.
    pub seconds: f64,
    /// Calls that failed, or ended before the window did.
    pub failed: usize,
    /// Why, the first few.
    pub failures: Vec<String>,
    /// Frames sent.
    pub frames_sent: u64,
    /// Octets of the agents' voices.
    pub octets_received: u64,
    /// Messages received.
    pub messages: u64,
    /// With an echo: milliseconds there and back.
    pub round_trip_ms: Spread,
    /// Milliseconds from the end of speech to the first sound.
    pub response_ms: Spread,
    /// Milliseconds from `start` to the first sound.
    pub first_sound_ms: Spread,
    /// Turns without an answer.
    pub unanswered: u64,
    /// Holes in agents' voices.
    pub gaps: u64,
    /// How late our own frames left, in milliseconds.
    pub own_lateness_ms: Spread,
    /// What the server cost, if it was watched.
    pub server: Option<ServerCost>,
    #[serde(skip)]
    all: Figures,
    #[serde(skip)]
    first: Vec<u32>,
}

/// Reasons kept.
const MOST_REASONS: usize = 5;

impl LoadReport {
    pub(crate) fn new(plan: &LoadPlan) -> Self {
        Self { calls: plan.calls, seconds: plan.window.as_secs_f64(), ..Self::default() }
    }

    pub(crate) fn add(&mut self, call: Figures) {
        self.frames_sent += call.frames_sent;
        self.octets_received += call.octets_received;
        self.messages += call.messages;
        self.unanswered += call.unanswered;
        self.gaps += call.gaps;
        self.first.extend(call.first_sound_ms);
        self.all.round_trips_us.extend(call.round_trips_us);
        self.all.responses_ms.extend(call.responses_ms);
        self.all.own_lateness_us.extend(call.own_lateness_us);
    }

    pub(crate) fn fail(&mut self, why: String) {
        self.failed += 1;
        if self.failures.len() < MOST_REASONS && !self.failures.contains(&why) {
            self.failures.push(why);
        }
    }

    pub(crate) fn conclude(&mut self) {
        self.round_trip_ms = Spread::of(&mut self.all.round_trips_us, 1_000.0);
        self.response_ms = Spread::of(&mut self.all.responses_ms, 1.0);
        self.own_lateness_ms = Spread::of(&mut self.all.own_lateness_us, 1_000.0);
        self.first_sound_ms = Spread::of(&mut self.first, 1.0);
        self.all = Figures::default();
        self.first = Vec::new();
    }

    /// The first thing that no caller should have to bear; `None` if there is none.
    #[must_use]
    pub fn broken(&self, limits: Limits) -> Option<String> {
        if self.failed > 0 {
            return Some(format!("{} calls failed", self.failed));
        }
        if self.gaps > 0 {
            return Some(format!("{} gaps in what callers heard", self.gaps));
        }
        if self.unanswered > 0 {
            return Some(format!("{} turns were not answered", self.unanswered));
        }
        if over(self.response_ms, limits.answer) {
            return Some(format!("answers took {:.0} ms (p99)", self.response_ms.p99));
        }
        over(self.round_trip_ms, limits.round_trip)
            .then(|| format!("frames took {:.1} ms there and back (p99)", self.round_trip_ms.p99))
    }
}

/// More than 1 of 100 took longer.
fn over(spread: Spread, limit: Duration) -> bool {
    spread.count > 0 && spread.p99 > limit.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_late_breaks_the_objective() {
        let limits = Limits { round_trip: Duration::from_millis(20), answer: Duration::from_secs(2) };
        let of = |p99| Spread { count: 100, p99, ..Spread::default() };
        assert_eq!(LoadReport::default().broken(limits), None);
        let late = LoadReport { response_ms: of(2_001.0), ..LoadReport::default() };
        assert_eq!(late.broken(limits).as_deref(), Some("answers took 2001 ms (p99)"));
        let late = LoadReport { round_trip_ms: of(20.1), ..LoadReport::default() };
        assert_eq!(late.broken(limits).as_deref(), Some("frames took 20.1 ms there and back (p99)"));
        let in_time =
            LoadReport { response_ms: of(2_000.0), round_trip_ms: of(20.0), ..LoadReport::default() };
        assert_eq!(in_time.broken(limits), None);
    }
}
