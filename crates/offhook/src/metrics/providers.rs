//! How each provider fares, over all calls: requests, failures by kind, failovers, the breaker's position.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use offhook_chain::{Circuit, Health, Latencies, LinkTotals};
use offhook_stage_api::FailureKind;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::agents::Provider;

/// Name, meaning, and where it stands.
type Counter = (&'static str, &'static str, fn(&LinkTotals) -> u64);
/// Whose counters they are.
type Key = (String, &'static str, String);
type Failures = [(FailureKind, u64); 6];

/// All providers of all agents. Agents that were loaded again begin with new counters; what the old ones had is kept.
#[derive(Debug, Default)]
pub(crate) struct Providers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    now: Vec<(Key, Arc<Health>)>,
    /// Of agents that are replaced: calls that began before go on with them.
    before: Vec<(Key, Arc<Health>)>,
    /// Of those whose last call is over.
    past: BTreeMap<Key, Sum>,
}

/// Counters of one provider, wherever it stands.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    totals: LinkTotals,
    failures: [u64; 6],
    latencies: Latencies,
}

impl Sum {
    fn add(&mut self, health: &Health) {
        let (totals, failures): (LinkTotals, Failures) = (health.totals(), health.failures());
        self.latencies.add(&health.latencies());
        let sum = &mut self.totals;
        sum.asked += totals.asked;
        sum.answered += totals.answered;
        sum.took_over += totals.took_over;
        sum.hedged += totals.hedged;
        sum.hedges_won += totals.hedges_won;
        sum.opened += totals.opened;
        for (sum, (_, more)) in self.failures.iter_mut().zip(failures) {
            *sum += more;
        }
    }
}

/// A stage's name, by what a provider does.
fn stage(does: &str) -> &'static str {
    match does {
        "hears" => "stt",
        "thinks" => "llm",
        _ => "tts",
    }
}

impl Providers {
    /// These are the agents from now on, each with its providers.
    pub(crate) fn replace<'a>(&self, agents: impl Iterator<Item = (&'a str, &'a [Provider])>) {
        let all = agents.flat_map(|(agent, providers)| {
            providers.iter().map(move |provider| {
                let key = (agent.to_owned(), stage(provider.does), provider.name.clone());
                (key, Arc::clone(&provider.health))
            })
        });
        let all = all.collect();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = std::mem::replace(&mut state.now, all);
        state.before.extend(replaced);
        state.settle();
    }

    fn sums(&self) -> (BTreeMap<Key, Sum>, Vec<(Key, Circuit)>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle();
        let mut sums = state.past.clone();
        for (key, health) in state.now.iter().chain(&state.before) {
            sums.entry(key.clone()).or_default().add(health);
        }
        (sums, state.now.iter().map(|(key, health)| (key.clone(), health.circuit())).collect())
    }
}

impl State {
    /// Keeps the counters of what nobody uses any more, and lets go of the rest of it.
    fn settle(&mut self) {
        let past = &mut self.past;
        self.before.retain(|(key, health)| {
            let is_used = Arc::strong_count(health) > 1;
            if !is_used {
                past.entry(key.clone()).or_default().add(health);
            }
            is_used
        });
    }
}

impl Collector for Providers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (sums, circuits) = self.sums();
        let counters: [Counter; 6] = [
            ("provider_requests", "What providers were asked: replies, utterances, transcripts", |t| t.asked),
            ("provider_answers", "What providers did to the end", |t| t.answered),
            ("provider_takeovers", "Requests that came because another provider had failed", |t| t.took_over),
            ("provider_hedges", "Requests that came because another provider was slow", |t| t.hedged),
            ("provider_hedges_won", "Those of them that were answered first", |t| t.hedges_won),
            ("provider_breaker_opened", "How often a provider's circuit breaker opened", |t| t.opened),
        ];
        for (name, help, read) in counters {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for ((agent, stage, provider), sum) in &sums {
                let labels = [("agent", agent.as_str()), ("stage", stage), ("provider", provider.as_str())];
                ConstCounter::new(read(&sum.totals)).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "From a request to the beginning of its answer, while the provider had nothing else to do";
        let mut family = encoder.encode_descriptor(
            "provider_answer",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for ((agent, stage, provider), sum) in &sums {
            let labels = [("agent", agent.as_str()), ("stage", stage), ("provider", provider.as_str())];
            let bounds = Latencies::bounds().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(sum.latencies.buckets).collect();
            let (count, total) = (sum.latencies.count(), sum.latencies.sum.as_secs_f64());
            let mut one = family.encode_family(&labels)?;
            one.encode_histogram::<NoLabelSet>(total, count, &buckets, None)?;
        }
        let help = "Failures of providers, by kind";
        let mut family = encoder.encode_descriptor("provider_failures", help, None, MetricType::Counter)?;
        for ((agent, stage, provider), sum) in &sums {
            for (kind, count) in Health::KINDS.into_iter().zip(sum.failures) {
                let labels = [
                    ("agent", agent.as_str()),
                    ("stage", stage),
                    ("provider", provider.as_str()),
                    ("kind", kind.name()),
                ];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Position of a provider's circuit breaker: 1 for the one that it has";
        let mut family = encoder.encode_descriptor("provider_circuit", help, None, MetricType::Gauge)?;
        for ((agent, stage, provider), circuit) in &circuits {
            for (state, is) in [
                ("closed", *circuit == Circuit::Closed),
                ("half_open", *circuit == Circuit::HalfOpen),
                ("open", *circuit == Circuit::Open),
            ] {
                let labels = [
                    ("agent", agent.as_str()),
                    ("stage", stage),
                    ("provider", provider.as_str()),
                    ("state", state),
                ];
                ConstGauge::new(i64::from(is)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use offhook_chain::BreakerConfig;
    use offhook_stage_api::StageFailure;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    fn provider() -> Provider {
        let health = Arc::new(Health::new(BreakerConfig::default()));
        Provider { does: "thinks", name: "openai".into(), health }
    }

    #[test]
    fn a_reload_loses_no_count() {
        let providers = Arc::new(Providers::default());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&providers)));
        let page = || {
            let mut page = String::new();
            encode(&mut page, &registry).unwrap();
            page
        };
        let refused = StageFailure {
            stage: "openai".into(),
            message: "no".into(),
            kind: FailureKind::Refused,
            retry_after_ms: None,
        };
        let first = provider();
        providers.replace([("pizza", std::slice::from_ref(&first))].into_iter());
        first.health.failed(&refused);
        let labels = "agent=\"pizza\",stage=\"llm\",provider=\"openai\"";
        assert!(
            page().contains(&format!("provider_failures_total{{{labels},kind=\"refused\"}} 1\n")),
            "{}",
            page()
        );
        assert!(page().contains(&format!("provider_circuit{{{labels},state=\"open\"}} 1\n")), "{}", page());
        let second = provider();
        providers.replace([("pizza", std::slice::from_ref(&second))].into_iter());
        // A call that began before goes on.
        first.health.failed(&refused);
        second.health.succeeded();
        assert!(
            page().contains(&format!("provider_failures_total{{{labels},kind=\"refused\"}} 2\n")),
            "{}",
            page()
        );
        drop(first);
        let last = page();
        assert!(
            last.contains(&format!("provider_failures_total{{{labels},kind=\"refused\"}} 2\n")),
            "{last}"
        );
        assert!(last.contains(&format!("provider_answers_total{{{labels}}} 1\n")), "{last}");
        assert!(last.contains(&format!("provider_circuit{{{labels},state=\"closed\"}} 1\n")), "{last}");
        assert_eq!(providers.0.lock().unwrap().before.len(), 0);
    }
}
