//! Providers that fail: when one's circuit breaker opens, the application is told, and when it is well again.
//!
//! Looked at once a second, beside the calls: a breaker that opens and closes in between is told, too, for it counts.

use std::collections::BTreeMap;
use std::time::Duration;

use offhook_chain::{Circuit, Health};
use serde_json::{Value, json};

use super::Shared;
use crate::agents::Provider;

/// Looked at so often.
const EVERY: Duration = Duration::from_secs(1);

/// Agent, what it does, name.
type Key = (String, &'static str, String);

/// What was known of all providers when they were last looked at.
#[derive(Debug, Default)]
struct Watched(BTreeMap<Key, Known>);

#[derive(Clone, Copy, Debug)]
struct Known {
    fails: bool,
    opened: u64,
}

impl Watched {
    /// What there is to tell since the last look: the event, and its data.
    fn look(&mut self, providers: &[(String, Provider)]) -> Vec<(&'static str, Value)> {
        let mut news = Vec::new();
        let mut now = BTreeMap::new();
        for (agent, provider) in providers {
            let key = (agent.clone(), provider.does, provider.name.clone());
            let fails = provider.health.circuit() != Circuit::Closed;
            let opened = provider.health.totals().opened;
            // Agents that were loaded again begin with new counters.
            let before = self.0.get(&key).copied().filter(|before| before.opened <= opened);
            let before = before.unwrap_or(Known { fails: false, opened: 0 });
            let about = || {
                json!({ "agent": agent, "does": provider.does, "provider": provider.name,
                        "failures": failures(&provider.health) })
            };
            if opened > before.opened && !before.fails {
                news.push(("provider_failing", about()));
            }
            let has_failed = before.fails || opened > before.opened;
            if has_failed && !fails {
                news.push(("provider_well", about()));
            }
            now.insert(key, Known { fails, opened });
        }
        self.0 = now;
        news
    }
}

/// Failures by kind, since the start; kinds that never came are left out.
fn failures(health: &Health) -> Value {
    let counted = health.failures().into_iter().filter(|(_, count)| *count > 0);
    let by_kind = counted.filter_map(|(kind, count)| Some((serde_json::to_value(kind).ok()?, count)));
    by_kind
        .filter_map(|(kind, count)| Some((kind.as_str()?.to_owned(), count)))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .collect()
}

/// Watches, for as long as it is polled.
pub(super) async fn watch(shared: &Shared) {
    let mut watched = Watched::default();
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        for (kind, about) in watched.look(&shared.registry.providers()) {
            tracing::warn!(kind, %about, "how a provider fares has changed");
            shared.registry.tell_of_server(kind, &about);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offhook_chain::BreakerConfig;
    use offhook_stage_api::{FailureKind, StageFailure};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_fails_is_told_once_and_so_is_its_recovery() {
        let health = Arc::new(Health::new(BreakerConfig::default()));
        let provider = Provider { does: "thinks", name: "luna".into(), health: Arc::clone(&health) };
        let all = [("pizza".to_owned(), provider)];
        let mut watched = Watched::default();
        assert!(watched.look(&all).is_empty());
        let failure = StageFailure {
            stage: "luna".into(),
            message: "no".into(),
            kind: FailureKind::Refused,
            retry_after_ms: None,
        };
        health.failed(&failure);
        let news = watched.look(&all);
        assert_eq!(news.len(), 1, "{news:?}");
        assert_eq!((news[0].0, &news[0].1["provider"]), ("provider_failing", &json!("luna")));
        assert_eq!(news[0].1["failures"], json!({"refused": 1}));
        assert!(watched.look(&all).is_empty());
        health.succeeded();
        assert_eq!(watched.look(&all)[0].0, "provider_well");
        // Between two looks.
        health.failed(&failure);
        health.succeeded();
        let kinds: Vec<_> = watched.look(&all).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["provider_failing", "provider_well"]);
        assert!(watched.look(&all).is_empty());
    }
}
