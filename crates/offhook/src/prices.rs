//! What calls cost: what they used of each provider, times what the configuration says of its prices.

use std::collections::BTreeMap;

use anyhow::bail;
use offhook_stages::Usage;
use serde::{Deserialize, Serialize};

/// `[prices]`: by the provider's name in logs and records, in a currency of your own choice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Prices(BTreeMap<String, Price>);

/// `[prices.NAME]`: what a provider takes. What isn't set costs nothing: nobody's prices are built in, they change too often.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Price {
    /// For a minute of sound, heard or spoken.
    pub(crate) per_minute: f64,
    /// For a million tokens read, without those from the provider's cache.
    pub(crate) per_million_input_tokens: f64,
    /// For a million tokens read from the provider's cache.
    pub(crate) per_million_cached_tokens: f64,
    /// For a million tokens written.
    pub(crate) per_million_output_tokens: f64,
    /// For a thousand characters spoken.
    pub(crate) per_thousand_characters: f64,
}

/// What a call cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Of all providers that have a price.
    pub(crate) total: f64,
    /// Of each.
    pub(crate) by_provider: BTreeMap<String, f64>,
    /// Providers that were used, but have no price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unpriced: Vec<String>,
}

impl Price {
    fn of(&self, usage: &Usage) -> f64 {
        // Counts of a call are far below 2^53.
        let sum = usage.audio_ms as f64 / 60_000.0 * self.per_minute
            + usage.input_tokens as f64 / 1e6 * self.per_million_input_tokens
            + usage.cached_tokens as f64 / 1e6 * self.per_million_cached_tokens
            + usage.output_tokens as f64 / 1e6 * self.per_million_output_tokens
            + usage.characters as f64 / 1e3 * self.per_thousand_characters;
        rounded(sum)
    }

    fn all(&self) -> [f64; 5] {
        [
            self.per_minute,
            self.per_million_input_tokens,
            self.per_million_cached_tokens,
            self.per_million_output_tokens,
            self.per_thousand_characters,
        ]
    }
}

/// To a millionth: records are for people too.
fn rounded(sum: f64) -> f64 {
    (sum * 1e6).round() / 1e6
}

impl Prices {
    /// Refuses what is no price.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (name, price) in &self.0 {
            if price.all().iter().any(|price| !price.is_finite() || *price < 0.0) {
                bail!("a price in [prices.{name}] is no amount of money: it must be 0 or more");
            }
        }
        Ok(())
    }

    /// What this costs; `None` if there are no prices at all.
    pub(crate) fn cost(&self, usage: &BTreeMap<String, Usage>) -> Option<Cost> {
        if self.0.is_empty() {
            return None;
        }
        let mut cost = Cost::default();
        for (name, usage) in usage {
            match self.0.get(name) {
                Some(price) => {
                    cost.by_provider.insert(name.clone(), price.of(usage));
                }
                None => cost.unpriced.push(name.clone()),
            }
        }
        cost.total = rounded(cost.by_provider.values().sum());
        Some(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_multiplied_by_its_price() {
        let prices: Prices = toml::from_str(
            "[ears]\nper_minute = 0.006\n[brain]\nper_million_input_tokens = 1.0\n\
             per_million_cached_tokens = 0.1\nper_million_output_tokens = 5.0\n[mouth]\n\
             per_thousand_characters = 0.05",
        )
        .unwrap();
        prices.check().unwrap();
        let used = [
            ("ears", Usage { audio_ms: 90_000, ..Usage::default() }),
            (
                "brain",
                Usage {
                    input_tokens: 10_000,
                    cached_tokens: 50_000,
                    output_tokens: 1_000,
                    ..Usage::default()
                },
            ),
            ("mouth", Usage { characters: 2_000, audio_ms: 60_000, ..Usage::default() }),
            ("other", Usage { characters: 1, ..Usage::default() }),
        ];
        let cost = prices.cost(&used.map(|(name, usage)| (name.to_owned(), usage)).into()).unwrap();
        insta::assert_snapshot!(
            serde_json::to_string(&cost).unwrap(),
            @r#"{"total":0.129,"by_provider":{"brain":0.02,"ears":0.009,"mouth":0.1},"unpriced":["other"]}"#
        );
        assert_eq!(Prices::default().cost(&BTreeMap::new()), None);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        let prices: Prices = toml::from_str("[x]\nper_minute = -1.0").unwrap();
        assert!(prices.check().unwrap_err().to_string().contains("prices.x"));
        assert!(toml::from_str::<Prices>("[x]\nper_hour = 1.0").is_err());
    }
}
