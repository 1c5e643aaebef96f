//! What a link is allowed, as configured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a link may be silent while an answer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the request to the first sign of an answer. For speech-to-text: from the end of speech to its final transcript.
    pub first: Duration,
    /// Between one piece of the answer and the next. Not used by speech-to-text: providers may be silent while they listen.
    pub gap: Duration,
}

impl Deadlines {
    /// The language model: 2.5 s, then 2.5 s between pieces. The slowest twentieth of requests to current models takes 1.4 to
    /// 2.5 s. The call says a filler after 1.5 s and gives up 5 s later: two links may fail by the clock, and the third has
    /// 1.5 s left.
    pub const LLM: Self = Self { first: Duration::from_millis(2_500), gap: Duration::from_millis(2_500) };
    /// The voice: 0.8 s, then 1 s between chunks. Voices begin within 80 to 450 ms, and an answer has its first words about 0.9 s
    /// after the caller's: a second voice can still be heard within 2 s. A silence of a second within a sentence is as good
    /// as its end.
    pub const TTS: Self = Self { first: Duration::from_millis(800), gap: Duration::from_secs(1) };
    /// Speech-to-text: 1.5 s. Streaming providers give a final transcript 0.25 to 1 s after the end of speech, or their best
    /// Speech-to-text: 1.5 s. Streaming providers give a final transcript 0.25 to 1 s after the end of speech, or their best
    /// guess after 1.2 s; the call waits 2 s at most, and corrects itself when words come later.
    pub const STT: Self = Self { first: Duration::from_millis(1_500), gap: Duration::from_secs(10) };
    /// A recogniser that gets whole recordings by HTTP: 2.5 s from the end of speech.
    pub const STT_UPLOAD: Self = Self { first: Duration::from_millis(2_500), gap: Duration::from_secs(10) };
}

/// One link of a chain, as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkConfig {
    /// How long the first sign of an answer may take. Default: 2.5 s for the language model, 0.8 s for the voice, 1.5 s from the
    /// end of speech for speech-to-text.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub first: Option<Duration>,
    /// How long the next piece may take. Default: 2.5 s for the language model, 1 s for the voice.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub gap: Option<Duration>,
    /// After how long the next link is asked too, if this one is only slow: the first answer is taken, the other cancelled.
    /// Costs a second request each time. Default: never. For a voice `600ms` is a good value, for a language model `1200ms`.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub hedge_after: Option<Duration>,
    /// When the link is passed over.
    pub breaker: BreakerConfig,
}

/// When a link that fails is passed over, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// So many failures with no success between them, within `window`, and the link is passed over. One refusal (wrong key, no
    /// credit) is enough. Default 3.
    pub failures: u32,
    /// Failures further back than this are forgotten. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// How long it is passed over until one request tries it again; twice as long each time that this fails too.
    /// Default 15 s.
    #[serde(with = "humantime_serde")]
    pub rest: Duration,
    /// The longest such time, and the longest that a provider's `Retry-After` is obeyed for. Default 2 min.
    #[serde(with = "humantime_serde")]
    pub longest_rest: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 3,
            window: Duration::from_secs(60),
            rest: Duration::from_secs(15),
            longest_rest: Duration::from_secs(120),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_configured_in_words_and_typos_are_refused() {
        let text = "first = '900ms'\nhedge_after = '600ms'\n[breaker]\nrest = '5s'";
        let config: LinkConfig = toml::from_str(text).unwrap();
        assert_eq!(config.first, Some(Duration::from_millis(900)));
        assert_eq!((config.gap, config.hedge_after), (None, Some(Duration::from_millis(600))));
        assert_eq!(
            config.breaker,
            BreakerConfig { rest: Duration::from_secs(5), ..BreakerConfig::default() }
        );
        let back: LinkConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(back, config);
        assert!(toml::from_str::<LinkConfig>("frist = '1s'").is_err());
    }
}
