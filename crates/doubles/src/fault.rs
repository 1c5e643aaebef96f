//! Faults to order: what goes wrong, on which request, at which moment.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Speech-to-text.
    Stt,
    /// Language models.
    Llm,
    /// Text-to-speech.
    Tts,
    /// Speech-to-speech.
    Realtime,
}

/// What goes wrong. In TOML: `fault = "cut"`, or with details `fault = { close = { code = 1011, reason = "…" } }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The connection is closed without an answer, as when a host goes away.
    Refuse,
    /// The request is taken and never answered.
    Hang,
    /// 401, with the body that this provider sends for a wrong key.
    Unauthorized,
    /// The account is used up: 402, 429 or 401, whatever this provider says then. Not to be tried again.
    Quota,
    /// 429.
    RateLimited {
        /// `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
        /// `retry-after-ms`, as OpenAI and its kin send it beside the other.
        #[serde(default)]
        retry_after_ms: Option<u64>,
    },
    /// 500, with this provider's body.
    ServerError,
    /// 503 with a page of HTML, as gateways in front of providers send it.
    Unavailable,
    /// 529, Anthropic's overload.
    Overloaded,
    /// From its moment on, one byte every so often.
    Drip {
        /// Time between two bytes.
        #[serde(with = "humantime_serde")]
        every: Duration,
    },
    /// The connection breaks. With the moment `during`: in the middle of an event, and of its JSON.
    Cut,
    /// Nothing more is sent; the connection stays open.
    Stall,
    /// An event's JSON is only half there; the rest goes on.
    BrokenJson,
    /// HTTP only: the right body, declared as a page of HTML.
    WrongContentType,
    /// MP3 instead of the sound that was asked for.
    Mp3,
    /// A WAV header before headerless sound.
    WavHeader,
    /// An answer in form, without any sound.
    EmptyAudio,
    /// One byte too many at the end: half a sample, where samples have two.
    OddBytes,
    /// An event is sent twice; without a moment, all are.
    Duplicate,
    /// An error event inside an answer that began well.
    ErrorEvent,
    /// What marks the end (`[DONE]`, `isFinal`, `Flushed`, the final transcript) never comes.
    NoTerminator,
    /// WebSocket: closed with this code and reason. 1006 is a broken connection. HTTP: like `cut`.
    Close {
        /// The close code.
        code: u16,
        /// The reason.
        #[serde(default)]
        reason: String,
    },
    /// Every byte by itself: chunks, or WebSocket fragments, of one byte.
    Split,
}

/// When in an answer. Events are counted from 1; of WebSockets every message that the double sends is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before this event.
    Before(u64),
    /// In the middle of this event.
    During(u64),
    /// After this event.
    After(u64),
}

/// A fault and whom it strikes. What is left out, restricts nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Only requests of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Only requests whose path contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only the n-th of them, counted from 1 since the rule was set. A WebSocket is one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Only so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Only with this probability, 0 to 1, drawn by the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// When. Without it: at the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// What.
    pub fault: Fault,
}

impl FaultRule {
    /// Strikes every request of a kind.
    #[must_use]
    pub fn always(stage: Stage, fault: Fault) -> Self {
        Self { stage: Some(stage), path: None, nth: None, times: None, probability: None, at: None, fault }
    }

    /// The same, only the n-th of them.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { nth: Some(nth), ..self }
    }

    /// The same, at this moment.
    #[must_use]
    pub fn at(self, at: Moment) -> Self {
        Self { at: Some(at), ..self }
    }
}

/// The contents of a file of faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultFile {
    /// The rules; of several that fit, the first strikes.
    #[serde(default)]
    pub faults: Vec<FaultRule>,
}

/// A fault that strikes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Struck {
    pub(crate) fault: Fault,
    pub(crate) at: Option<Moment>,
}

impl Struck {
    /// Whether it strikes before this event.
    pub(crate) fn before(&self, event: u64) -> bool {
        matches!(self.at.unwrap_or(Moment::Before(1)), Moment::Before(at) if at == event)
    }

    /// Whether it strikes in the middle of this event.
    pub(crate) fn during(&self, event: u64) -> bool {
        self.at == Some(Moment::During(event))
    }

    /// Whether it strikes after this event.
    pub(crate) fn after(&self, event: u64) -> bool {
        self.at == Some(Moment::After(event))
    }

    /// Whether this event is meant, for faults that change an event.
    pub(crate) fn this(&self, event: u64) -> bool {
        match self.at {
            None => event == 1,
            Some(Moment::Before(at) | Moment::During(at) | Moment::After(at)) => at == event,
        }
    }

    /// Whether this event or one before it is meant, for faults that last.
    pub(crate) fn since(&self, event: u64) -> bool {
        match self.at {
            None => true,
            Some(Moment::Before(at) | Moment::During(at)) => event >= at,
            Some(Moment::After(at)) => event > at,
        }
    }
}

/// The rules, and how often each was met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    rules: Vec<(FaultRule, Met)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Met {
    requests: u64,
    struck: u64,
}

impl Plan {
    pub(crate) fn new(rules: &[FaultRule]) -> Self {
        Self { rules: rules.iter().map(|rule| (rule.clone(), Met::default())).collect() }
    }

    pub(crate) fn add(&mut self, rule: FaultRule) {
        self.rules.push((rule, Met::default()));
    }

    /// Forgets all rules of a stage alone, or all.
    pub(crate) fn clear(&mut self, stage: Option<Stage>) {
        self.rules.retain(|(rule, _)| stage.is_some() && rule.stage != stage);
    }

    pub(crate) fn rules(&self) -> Vec<FaultRule> {
        self.rules.iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// Which fault strikes this request.
    pub(crate) fn strike(&mut self, stage: Stage, path: &str, random: &mut fastrand::Rng) -> Option<Struck> {
        let mut found = None;
        for (rule, met) in &mut self.rules {
            let meant = rule.stage.is_none_or(|wanted| wanted == stage)
                && rule.path.as_deref().is_none_or(|part| path.contains(part));
            if !meant {
                continue;
            }
            // Counted even if another rule strikes first, so that `nth` means the same whatever else is set.
            met.requests += 1;
            let due = rule.nth.is_none_or(|nth| nth == met.requests)
                && rule.times.is_none_or(|times| met.struck < times)
                && rule.probability.is_none_or(|probability| random.f64() < probability);
            if due && found.is_none() {
                met.struck += 1;
                found = Some(Struck { fault: rule.fault.clone(), at: rule.at });
            }
        }
        found
    }
}

/// What a first frame of MP3 looks like: MPEG-1 layer III, 128 kbit/s, 44.1 kHz, of silence.
pub(crate) fn mp3() -> Vec<u8> {
    let mut frame = vec![0; 417];
    for (place, byte) in frame.iter_mut().zip([0xFF, 0xFB, 0x90, 0x64]) {
        *place = byte;
    }
    frame.repeat(8)
}

/// A WAV header as streaming servers send it, with the size left open; mono, signed 16 bit.
pub(crate) fn wav_header(rate: u32) -> Vec<u8> {
    let mut header = b"RIFF\xFF\xFF\xFF\xFFWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    header.extend(rate.to_le_bytes());
    header.extend((rate * 2).to_le_bytes());
    header.extend(b"\x02\0\x10\0data\xFF\xFF\xFF\xFF");
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_it_in_plain_words() {
        let file: FaultFile = toml::from_str(
            r#"
            [[faults]]
            stage = "llm"
            nth = 2
            at = { during = 3 }
            fault = "cut"

            [[faults]]
            path = "/v1/listen"
            probability = 0.5
            fault = { close = { code = 1011, reason = "NET-0001" } }

            [[faults]]
            fault = { rate_limited = { retry_after_ms = 250 } }

            [[faults]]
            fault = { drip = { every = "1s" } }
            "#,
        )
        .unwrap();
        assert_eq!(file.faults.len(), 4);
        let again: FaultFile = toml::from_str(&toml::to_string(&file).unwrap()).unwrap();
        assert_eq!(again, file);
        assert!(toml::from_str::<FaultFile>("[[faults]]\nfault = \"explode\"").is_err());
        assert!(toml::from_str::<FaultFile>("[[faults]]\nfault = \"cut\"\nwhen = 3").is_err());
    }

    #[test]
    fn the_nth_request_is_struck_and_no_other() {
        let mut plan = Plan::new(&[FaultRule::always(Stage::Llm, Fault::Cut).nth(2)]);
        let mut random = fastrand::Rng::with_seed(1);
        let mut strike = |stage| plan.strike(stage, "/", &mut random).is_some();
        assert_eq!(
            [Stage::Llm, Stage::Tts, Stage::Llm, Stage::Llm].map(&mut strike),
            [false, false, true, false]
        );
    }
}
