//! Deepgram Flux: a recogniser that finds the ends of turns by what is said. Version 2 of Deepgram's protocol.
//!
//! Source: <https://developers.deepgram.com/reference/speech-to-text/listen-flux>.

use std::collections::BTreeMap;
use std::time::Duration;

use offhook_stage_api::{Expectation, SttCommand, SttEvent};
use offhook_stages::{BoxFuture, CallInfo, Distance, Rx, StageError, Stt, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ahead::open_ahead;
use super::dialect::{CallState, Dialect, Ended, Habits, Place, Say, Then};
use super::live::serve;
use super::outbox::Pace;
use super::piece::{Piece, Word};
use super::{PATIENCE, Terms, primary, read, refused, what_of, with_query};
use crate::net::dial::Dial;
use crate::net::{Deadlines, Secret};

const STAGE: &str = "deepgram_flux";

/// What a turn's first words may have begun before the message that tells of them: 800 ms.
const ONSET: u64 = 6_400;

/// Settings of Deepgram Flux.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FluxConfig {
    /// Where it is. Default `wss://api.deepgram.com/v2/listen`.
    pub url: String,
    /// The model, e.g. `flux-general-en`. It must be set.
    pub model: String,
    /// How sure it must be that a turn is over, 0.5 to 1. Default 0.7; at 1 it never is.
    pub eot_threshold: f32,
    /// How sure it must be that a turn is probably over, 0.3 to 0.9, not above `eot_threshold`: replies are begun then. Default
    /// 0.5; 0: it doesn't say.
    pub eager_eot_threshold: f32,
    /// Silence that ends a turn whatever was said, in milliseconds, 500 to 60 000. Default 5000.
    pub eot_timeout_ms: u32,
    /// Languages to listen for, for a model of many: BCP 47 tags. The one that the agent expects is told when it changes.
    pub language_hints: Vec<String>,
    /// Words and names to listen for, besides those that the agent expects.
    pub keyterms: Vec<String>,
    /// End its turn at each pause. Its judgement of turns is lost so; finals come sooner. Default false.
    pub force_at_pause: bool,
    /// A pause is taken for settled once it has heard so much of the silence, in milliseconds. Default 240.
    pub settle_ms: u32,
    /// Any other parameters of the address.
    pub parameters: BTreeMap<String, String>,
    /// How long a final transcript is waited for at a pause; then the latest partial is taken. Default 1.2 s.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// Deadlines of the connection.
    pub deadlines: Deadlines,
}

impl Default for FluxConfig {
    fn default() -> Self {
        Self {
            url: "wss://api.deepgram.com/v2/listen".to_owned(),
            model: String::new(),
            eot_threshold: 0.7,
            eager_eot_threshold: 0.5,
            eot_timeout_ms: 5_000,
            language_hints: Vec::new(),
            keyterms: Vec::new(),
            force_at_pause: false,
            settle_ms: 240,
            parameters: BTreeMap::new(),
            patience: PATIENCE,
            deadlines: Deadlines::default(),
        }
    }
}

/// The stage.
#[derive(Clone, Debug)]
pub(crate) struct Flux {
    config: FluxConfig,
    key: Option<Secret>,
    dial: Dial,
}

impl Flux {
    pub(crate) fn new(config: FluxConfig, key: Option<Secret>) -> Self {
        Self { config, key, dial: Dial::default() }
    }
}

impl Stt for Flux {
    fn name(&self) -> &str {
        STAGE
    }

    fn sends_partials(&self) -> bool {
        true
    }

    fn warm(&self, _call: &CallInfo) -> BoxFuture<()> {
        open_ahead(Line::new(self.config.clone(), self.key.clone()), self.dial.clone())
    }

    fn distance(&self) -> Distance {
        self.dial.distance()
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let line = Line::new(self.config.clone(), self.key.clone());
        Box::pin(serve(line, self.dial.clone(), call, commands, events))
    }
}

/// What the server says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Heard {
    Connected {},
    TurnInfo(TurnInfo),
    ConfigureSuccess {},
    ConfigureFailure {
        #[serde(default)]
        code: String,
    },
    Warning {
        #[serde(default)]
        code: String,
    },
    Error {
        #[serde(default)]
        code: String,
        #[serde(default)]
        description: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TurnInfo {
    event: String,
    turn_index: f64,
    audio_window_start: f64,
    audio_window_end: f64,
    transcript: String,
    words: Vec<HeardWord>,
    trigger: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HeardWord {
    word: String,
    confidence: Option<f32>,
    start: Option<f64>,
    end: Option<f64>,
}

/// One call's conversation with the server.
pub(super) struct Line {
    config: FluxConfig,
    key: Option<Secret>,
    terms: Terms,
    hints: Vec<String>,
    /// A turn of the server's is open; where its first words may have begun.
    open: Option<u64>,
    /// Turns of earlier connections: its numbers begin anew with each.
    turns_before: u64,
    turns: u64,
    /// A change of settings is on its way; only one may be.
    configuring: bool,
    /// What was sent last: key terms and languages.
    told: (Vec<String>, Vec<String>),
}

impl Line {
    pub(super) fn new(config: FluxConfig, key: Option<Secret>) -> Self {
        let (terms, hints) = (Terms::new(&config.keyterms), config.language_hints.clone());
        let told = Default::default();
        Self { config, key, terms, hints, open: None, turns_before: 0, turns: 0, configuring: false, told }
    }

    fn on_turn(&mut self, info: &TurnInfo, state: &mut CallState) {
        let covers = state.line.at_seconds(info.audio_window_end);
        let window = state.line.at_seconds(info.audio_window_start);
        if info.event == "StartOfTurn" || (self.open.is_none() && !info.transcript.is_empty()) {
            self.open.get_or_insert(covers.saturating_sub(ONSET).max(window));
        }
        let timed = info.words.iter().all(|word| word.start.is_some() && word.end.is_some());
        let words: Vec<Word> = if timed { info.words.iter() } else { [].iter() }
            .map(|word| Word {
                from: state.line.at_seconds(word.start.unwrap_or_default()),
                until: state.line.at_seconds(word.end.unwrap_or_default()),
                text: word.word.clone(),
            })
            .collect();
        let index = u64::from(info.turn_index as u32);
        self.turns = self.turns.max(index + 1);
        let piece = Piece {
            id: self.turns_before + index,
            from: words.first().map_or_else(|| self.open.unwrap_or(window), |word| word.from),
            until: words.last().map_or(covers, |word| word.until),
            covers,
            text: info.transcript.trim().to_owned(),
            confidence: info.words.iter().filter_map(|word| word.confidence).min_by(f32::total_cmp),
            words,
        };
        match info.event.as_str() {
            "EndOfTurn" => {
                self.open = None;
                state.turns.settled(piece, true);
                // One that we forced says nothing about the turn.
                if info.trigger.as_deref() != Some("manual") {
                    state.turns.tell(SttEvent::EndOfTurn);
                }
            }
            "EagerEndOfTurn" => {
                state.turns.partial(piece);
                state.turns.settle();
                state.turns.tell(SttEvent::EagerEndOfTurn);
            }
            event => {
                if event == "TurnResumed" {
                    state.turns.tell(SttEvent::TurnResumed);
                }
                // Between turns it reports too, and has nothing to say.
                if self.open.is_some() {
                    state.turns.partial(piece);
                }
                let silence = u64::from(self.config.settle_ms) * 8;
                state.turns.settle_before(covers.saturating_sub(silence));
            }
        }
    }

    fn configure(&mut self) -> Option<String> {
        let wanted = (self.terms.now.clone(), self.hints.clone());
        if self.configuring || wanted == self.told {
            return None;
        }
        let mut message = json!({ "type": "Configure" });
        if wanted.0 != self.told.0 {
            message["keyterms"] = json!(wanted.0);
        }
        if wanted.1 != self.told.1 {
            message["language_hints"] = json!(wanted.1);
        }
        self.told = wanted;
        self.configuring = true;
        Some(message.to_string())
    }

    fn configured(&mut self, state: &mut CallState) {
        self.configuring = false;
        state.say.extend(self.configure().map(Say::Text));
    }
}

impl Dialect for Line {
    fn stage(&self) -> &str {
        STAGE
    }

    fn habits(&self) -> Habits {
        Habits {
            // 80 ms to a message; faster than speech only to make good for the time of connecting.
            pace: Pace { batch: 4, least: 1, rate: 1.1, burst: Duration::from_millis(300) },
            deadlines: self.config.deadlines,
            patience: self.config.patience,
            // Without sound it ends no turn, and forgets about the connection.
            idle: Some(Duration::from_millis(500)),
            chatty: true,
            greets: true,
        }
    }

    fn open(&mut self) -> Result<Place, StageError> {
        let config = &self.config;
        if config.model.is_empty() {
            return Err(StageError::Unavailable {
                stage: STAGE.to_owned(),
                what: "no model is set".to_owned(),
                hint: "set `model`, for instance to \"flux-general-en\"".to_owned(),
            });
        }
        let mut query = vec![("model", config.model.clone()), ("encoding", "mulaw".to_owned())];
        let mut set = |name, value: String| query.push((name, value));
        set("sample_rate", "8000".to_owned());
        set("eot_threshold", config.eot_threshold.to_string());
        if config.eager_eot_threshold > 0.0 {
            set("eager_eot_threshold", config.eager_eot_threshold.to_string());
        }
        set("eot_timeout_ms", config.eot_timeout_ms.to_string());
        for hint in &self.hints {
            set("language_hint", hint.clone());
        }
        for term in &self.terms.now {
            set("keyterm", term.clone());
        }
        self.told = (self.terms.now.clone(), self.hints.clone());
        self.turns_before += std::mem::take(&mut self.turns);
        (self.open, self.configuring) = (None, false);
        let key = self.key.as_ref().map(|key| ("authorization", format!("Token {}", key.expose())));
        Ok(Place {
            url: with_query(&config.url, &query, &config.parameters),
            headers: key.into_iter().collect(),
        })
    }

    fn on_text(&mut self, text: &str, state: &mut CallState) -> Result<Then, StageError> {
        match read(STAGE, text) {
            Some(Heard::Connected {}) => return Ok(Then::Ready),
            Some(Heard::TurnInfo(info)) => self.on_turn(&info, state),
            Some(Heard::ConfigureSuccess {}) => self.configured(state),
            Some(Heard::ConfigureFailure { code }) => {
                tracing::warn!(code, "Deepgram Flux doesn't take what the agent expects");
                self.configured(state);
            }
            Some(Heard::Warning { code }) => tracing::debug!(code, "Deepgram Flux warns"),
            Some(Heard::Error { code, description }) => {
                return Err(super::broken(STAGE, format!("{code}: {description}")));
            }
            Some(Heard::Other) | None => {}
        }
        Ok(Then::Go)
    }

    fn force(&mut self) -> Option<String> {
        self.config.force_at_pause.then(|| r#"{"type":"ForceEndTurn"}"#.to_owned())
    }

    fn turn_ended(&mut self) -> Option<String> {
        // Else the next turn's words would be added to this one's.
        self.open.is_some().then(|| r#"{"type":"ForceEndTurn"}"#.to_owned())
    }

    fn expect(&mut self, expectation: &Expectation) -> Option<String> {
        self.terms.expect(expectation);
        // A model of one language takes no hints.
        if let Some(language) =
            expectation.language.as_deref().filter(|_| !self.config.language_hints.is_empty())
        {
            self.hints = vec![primary(language).to_owned()];
        }
        self.configure()
    }

    fn idle(&mut self) -> Option<Say> {
        Some(Say::Silence(4_000))
    }

    fn stalls_after(&self) -> Option<Duration> {
        let timeout = Duration::from_millis(u64::from(self.config.eot_timeout_ms));
        self.open.map(|_| (timeout * 2).max(Duration::from_secs(3)))
    }

    fn goodbye(&mut self) -> Option<String> {
        Some(r#"{"type":"CloseStream"}"#.to_owned())
    }

    fn ended(&mut self, code: Option<u16>, error: StageError) -> Ended {
        Ended::Failed(match code {
            Some(1008) => refused(STAGE, what_of(&error), "check `url`, `model` and `parameters`"),
            _ => error,
        })
    }
}
