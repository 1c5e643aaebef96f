//! What a day's calls were like, in figures.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::database::{Database, StoreError, Value};
use crate::query::{Conditions, Filter};
use crate::seal::Keys;

/// The worst calls that are named.
const WORST: usize = 10;
const HOUR_MS: i64 = 3_600_000;

/// Figures of the calls that a filter finds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Calls.
    pub calls: u64,
    /// By direction.
    pub directions: BTreeMap<String, u64>,
    /// By agent.
    pub agents: BTreeMap<String, u64>,
    /// By what came of their goals.
    pub verdicts: BTreeMap<String, u64>,
    /// By why they ended.
    pub ends: BTreeMap<String, u64>,
    /// All of them together, in milliseconds.
    pub duration_ms: u64,
    /// Milestones of replies, in their order.
    pub stages: Vec<Stage>,
    /// Replies by how long their first sound took: bounds in milliseconds, counts.
    pub answer_times: Vec<(u64, u64)>,
    /// Times that the agent was interrupted.
    pub interruptions: u64,
    /// Times that it stopped speaking for what was no interruption, and went on.
    pub false_interruptions: u64,
    /// Words that bridged a wait.
    pub fillers: u64,
    /// Apologies for waits and failures.
    pub apologies: u64,
    /// Things that went wrong.
    pub errors: u64,
    /// Requests to providers, and those that failed, by provider.
    pub providers: BTreeMap<String, Provider>,
    /// What it cost, in the currency of the prices.
    pub cost: f64,
    /// By hour: its begin in milliseconds since 1970, calls, and the 95th percentile of their slowest answers.
    pub hours: Vec<Hour>,
    /// The worst calls, the worst first.
    pub worst: Vec<Worst>,
}

/// How long a step took, of all replies: milliseconds after the end of the caller's speech.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// `transcript`, `decided`, `requested`, `first_text`, `first_audio`, `first_frame`.
    pub name: String,
    /// Replies that had it.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: u64,
    /// 95 % of them took no longer.
    pub p95_ms: u64,
}

/// What was used of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Provider {
    /// Requests.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
    /// What they cost.
    pub cost: f64,
}

/// An hour's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hour {
    /// Its begin, in milliseconds since 1970.
    pub at_ms: i64,
    /// Calls that began in it.
    pub calls: u64,
    /// 95 % of the answers of 95 % of them took no longer.
    pub p95_ms: Option<u64>,
}

/// A bad call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Worst {
    /// Its id.
    pub id: String,
    /// What makes it bad, in words.
    pub why: Vec<String>,
}

fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

fn unsigned(value: Option<&Value>) -> u64 {
    value.and_then(Value::int).and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}

const STAGES: [&str; 6] = ["transcript", "decided", "requested", "first_text", "first_audio", "first_frame"];
/// Upper bounds of the answer times, in milliseconds; the last has all the rest.
const BOUNDS: [u64; 12] = [250, 500, 750, 1_000, 1_250, 1_500, 1_750, 2_000, 2_500, 3_000, 4_000, u64::MAX];

/// Sums the calls up that a filter finds.
pub(crate) fn report(
    database: &mut dyn Database,
    filter: &Filter,
    keys: Option<&Keys>,
) -> Result<Report, StoreError> {
    let conditions = filter.conditions(database.dialect(), keys)?;
    let mut report = Report::default();
    calls(database, &conditions, &mut report)?;
    stages(database, &conditions, &mut report)?;
    providers(database, &conditions, &mut report)?;
    Ok(report)
}

fn calls(
    database: &mut dyn Database,
    conditions: &Conditions,
    report: &mut Report,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT id, started_ms, duration_ms, agent, direction, verdict, ended, status, state, interruptions, \
         false_interruptions, fillers, apologies, errors, answer_p95_ms, cost FROM calls{}",
        conditions.clause()
    );
    let mut hours: BTreeMap<i64, (u64, Vec<u64>)> = BTreeMap::new();
    let mut bad = Vec::new();
    for row in database.query(&sql, &conditions.values)? {
        let text = |at: usize| row.get(at).and_then(Value::text).map(str::to_owned);
        let number = |at: usize| unsigned(row.get(at));
        report.calls += 1;
        report.duration_ms += number(2);
        *report.agents.entry(text(3).unwrap_or_default()).or_default() += 1;
        *report.directions.entry(text(4).unwrap_or_default()).or_default() += 1;
        if let Some(verdict) = text(5) {
            *report.verdicts.entry(verdict).or_default() += 1;
        }
        let end = text(6).or_else(|| text(7)).unwrap_or_default();
        *report.ends.entry(end.clone()).or_default() += 1;
        report.interruptions += number(9);
        report.false_interruptions += number(10);
        report.fillers += number(11);
        report.apologies += number(12);
        report.errors += number(13);
        report.cost += row.get(15).and_then(Value::real).unwrap_or(0.0);
        let hour = row.get(1).and_then(Value::int).unwrap_or(0).div_euclid(HOUR_MS) * HOUR_MS;
        let hour = hours.entry(hour).or_default();
        hour.0 += 1;
        let slow = row.get(14).and_then(Value::int).and_then(|ms| u64::try_from(ms).ok());
        hour.1.extend(slow);
        let facts = Facts {
            state: text(8).unwrap_or_default(),
            end,
            verdict: text(5),
            errors: number(13),
            apologies: number(12),
            false_interruptions: number(10),
            slow: slow.unwrap_or(0),
        };
        let (badness, why) = facts.judge();
        if badness > 0 {
            bad.push((badness, Worst { id: text(0).unwrap_or_default(), why }));
        }
    }
    report.cost = (report.cost * 1e6).round() / 1e6;
    report.hours = hours
        .into_iter()
        .map(|(at_ms, (calls, mut slow))| {
            slow.sort_unstable();
            Hour { at_ms, calls, p95_ms: percentile(&slow, 95) }
        })
        .collect();
    bad.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.id.cmp(&b.id)));
    report.worst = bad.into_iter().take(WORST).map(|(_, worst)| worst).collect();
    Ok(())
}

/// What a call is judged by.
struct Facts {
    state: String,
    end: String,
    verdict: Option<String>,
    errors: u64,
    apologies: u64,
    false_interruptions: u64,
    slow: u64,
}

impl Facts {
    /// How bad it was, and why: what cut the caller off weighs most, then what they waited for.
    fn judge(&self) -> (u64, Vec<String>) {
        let mut all = Vec::new();
        let mut add = |weight: u64, why: String| {
            if weight > 0 {
                all.push((weight, why));
            }
        };
        if self.state == "lost" {
            add(1_000, "its server ended without a word".to_owned());
        }
        if matches!(self.end.as_str(), "voice_failed" | "no_media" | "failed") {
            add(800, format!("it ended by {}", self.end));
        }
        if self.verdict.as_deref() == Some("failed") {
            add(300, "its goal was missed".to_owned());
        }
        add(self.errors.min(10) * 60, format!("{} errors", self.errors));
        add(self.apologies.min(10) * 50, format!("{} apologies", self.apologies));
        add(self.slow.saturating_sub(1_500) / 10, format!("answers took {} ms (95 %)", self.slow));
        add(
            self.false_interruptions.min(10) * 15,
            format!("{} false interruptions", self.false_interruptions),
        );
        all.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        (all.iter().map(|(weight, _)| weight).sum(), all.into_iter().map(|(_, why)| why).collect())
    }
}

fn stages(
    database: &mut dyn Database,
    conditions: &Conditions,
    report: &mut Report,
) -> Result<(), StoreError> {
    let columns: Vec<String> = STAGES.iter().map(|name| format!("t.{name}_ms")).collect();
    let clause = conditions.clause();
    let and = if clause.is_empty() { " WHERE" } else { " AND" };
    let sql = format!(
        "SELECT {} FROM turns t JOIN calls ON calls.seq = t.call_seq{clause}{and} t.first_frame_ms IS NOT NULL",
        columns.join(", ")
    );
    let mut all: [Vec<u64>; STAGES.len()] = Default::default();
    for row in database.query(&sql, &conditions.values)? {
        for (values, value) in all.iter_mut().zip(&row) {
            values.extend(value.int().and_then(|value| u64::try_from(value).ok()));
        }
    }
    for (name, values) in STAGES.iter().zip(&mut all) {
        values.sort_unstable();
        if let (Some(p50_ms), Some(p95_ms)) = (percentile(values, 50), percentile(values, 95)) {
            report.stages.push(Stage {
                name: (*name).to_owned(),
                count: values.len() as u64,
                p50_ms,
                p95_ms,
            });
        }
    }
    let answers = all.last().map(Vec::as_slice).unwrap_or_default();
    let mut below = 0;
    for bound in BOUNDS {
        let up_to = answers.partition_point(|ms| *ms <= bound);
        report.answer_times.push((bound, (up_to - below) as u64));
        below = up_to;
    }
    Ok(())
}

fn providers(
    database: &mut dyn Database,
    conditions: &Conditions,
    report: &mut Report,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT p.provider, p.requests, p.failures, p.cost FROM providers p JOIN calls ON calls.seq = p.call_seq{}",
        conditions.clause()
    );
    for row in database.query(&sql, &conditions.values)? {
        let name = row.first().and_then(Value::text).unwrap_or_default().to_owned();
        let provider = report.providers.entry(name).or_default();
        provider.requests += unsigned(row.get(1));
        provider.failures += unsigned(row.get(2));
        provider.cost += row.get(3).and_then(Value::real).unwrap_or(0.0);
    }
    Ok(())
}
