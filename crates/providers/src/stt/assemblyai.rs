//! AssemblyAI's streaming recogniser, version 3 of the protocol.
//!
//! Source: <https://www.assemblyai.com/docs/api-reference/streaming-api/streaming-api>.

use std::collections::{BTreeMap, BTreeSet};
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
use super::{PATIENCE, Terms, broken, for_language, read, refused, what_of, with_query};
use crate::net::dial::Dial;
use crate::net::{Deadlines, Secret};

const STAGE: &str = "assemblyai";

/// Settings of AssemblyAI's recogniser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AssemblyAiConfig {
    /// Where it is. Default `wss://streaming.assemblyai.com/v3/ws`.
    pub url: String,
    /// The model; the provider refuses a session that names none. Default `universal-streaming-english`.
    pub model: String,
    /// Other models for other languages: `{ es = "universal-streaming-multilingual" }`, by BCP 47 tag or its first part. For
    /// agents that switch.
    pub models: BTreeMap<String, String>,
    /// Punctuated second editions of finals, where the model makes them. Default false.
    pub format_turns: bool,
    /// How sure it must be that a turn is over, 0 to 1, for models that weigh that. Default: the provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_of_turn_confidence_threshold: Option<f32>,
    /// Silence before a turn may end, in milliseconds. Default: the provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_turn_silence_ms: Option<u32>,
    /// Silence that ends a turn whatever was said, in milliseconds. Default: the provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_turn_silence_ms: Option<u32>,
    /// Ask for a final transcript at each pause. Default true; without it its own judgement of turns counts.
    pub force_at_pause: bool,
    /// Words and names to listen for, besides those that the agent expects.
    pub keyterms: Vec<String>,
    /// Send key terms that the agent expects in the midst of the call. Default true.
    pub live_keyterms: bool,
    /// The provider ends, and no longer bills, a session that hears nothing for so long, in seconds, 5 to 3600. Default 60.
    pub inactivity_timeout_s: u32,
    /// Any other parameters of the address.
    pub parameters: BTreeMap<String, String>,
    /// Sound in one message, in milliseconds, 60 to 1000. Default 60.
    pub batch_ms: u32,
    /// How long a final transcript is waited for at a pause; then the latest partial is taken. Default 1.2 s.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// Deadlines of the connection.
    pub deadlines: Deadlines,
}

impl Default for AssemblyAiConfig {
    fn default() -> Self {
        Self {
            url: "wss://streaming.assemblyai.com/v3/ws".to_owned(),
            model: "universal-streaming-english".to_owned(),
            models: BTreeMap::new(),
            format_turns: false,
            end_of_turn_confidence_threshold: None,
            min_turn_silence_ms: None,
            max_turn_silence_ms: None,
            force_at_pause: true,
            keyterms: Vec::new(),
            live_keyterms: true,
            inactivity_timeout_s: 60,
            parameters: BTreeMap::new(),
            batch_ms: 60,
            patience: PATIENCE,
            deadlines: Deadlines::default(),
        }
    }
}

/// The stage.
#[derive(Clone, Debug)]
pub(crate) struct AssemblyAi {
    config: AssemblyAiConfig,
    key: Option<Secret>,
    dial: Dial,
}

impl AssemblyAi {
    pub(crate) fn new(config: AssemblyAiConfig, key: Option<Secret>) -> Self {
        Self { config, key, dial: Dial::default() }
    }
}

impl Stt for AssemblyAi {
    fn name(&self) -> &str {
        STAGE
    }

    fn sends_partials(&self) -> bool {
        true
    }

    fn warm(&self, call: &CallInfo) -> BoxFuture<()> {
        open_ahead(Line::new(self.config.clone(), self.key.clone(), &call.language), self.dial.clone())
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
        let line = Line::new(self.config.clone(), self.key.clone(), &call.language);
        Box::pin(serve(line, self.dial.clone(), call, commands, events))
    }
}

/// What the server says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Heard {
    Begin {},
    Turn(Turn),
    Termination {},
    Error {
        #[serde(default)]
        error_code: Option<f64>,
        #[serde(default)]
        error: String,
    },
    Warning {
        #[serde(default)]
        warning: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Turn {
    turn_order: f64,
    end_of_turn: bool,
    transcript: String,
    words: Vec<HeardWord>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HeardWord {
    text: String,
    start: f64,
    end: f64,
    confidence: Option<f32>,
    word_is_final: bool,
}

/// One call's conversation with the server.
pub(super) struct Line {
    config: AssemblyAiConfig,
    key: Option<Secret>,
    /// The model for the language that is spoken.
    model: String,
    /// It is another than the session's.
    outdated: bool,
    terms: Terms,
    /// A final transcript was asked for.
    forced: bool,
    /// Turns of earlier connections: their numbers begin anew with each.
    turns_before: u64,
    /// Turns of this connection that have ended.
    ended: BTreeSet<u64>,
    /// What it told of before it closed: the code may be missing, and is then the connection's.
    trouble: Option<(Option<u16>, String)>,
}

impl Line {
    pub(super) fn new(config: AssemblyAiConfig, key: Option<Secret>, language: &str) -> Self {
        let terms = Terms::new(&config.keyterms);
        let model = for_language(&config.models, language).unwrap_or(&config.model).to_owned();
        Self {
            config,
            key,
            model,
            outdated: false,
            terms,
            forced: false,
            turns_before: 0,
            ended: BTreeSet::new(),
            trouble: None,
        }
    }

    fn on_turn(&mut self, turn: Turn, state: &mut CallState) {
        let order = u64::from(turn.turn_order as u32);
        // The transcript may lack words that aren't certain yet; the words have them.
        let uncertain = !turn.end_of_turn && turn.words.iter().any(|word| !word.word_is_final);
        let text = if uncertain {
            turn.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
        } else {
            turn.transcript
        };
        let words: Vec<Word> = turn
            .words
            .iter()
            .map(|word| Word {
                from: state.line.at_millis(word.start),
                until: state.line.at_millis(word.end),
                text: word.text.clone(),
            })
            .collect();
        // It doesn't tell how far it has heard: at the end of a turn all, else to the last word.
        let end = state.line.end();
        let last = words.last().map(|word| word.until);
        let piece = Piece {
            id: self.turns_before + order,
            from: words.first().map_or(end, |word| word.from),
            until: last.unwrap_or(end),
            covers: if turn.end_of_turn { end } else { last.unwrap_or_default() },
            text: text.trim().to_owned(),
            confidence: turn.words.iter().filter_map(|word| word.confidence).min_by(f32::total_cmp),
            words,
        };
        if !turn.end_of_turn {
            state.turns.partial(piece);
            return;
        }
        state.turns.settled(piece, true);
        let first = self.ended.insert(order);
        // Two editions of the same end are one end; one that we forced says nothing about the turn.
        if first && !std::mem::take(&mut self.forced) {
            state.turns.tell(SttEvent::EndOfTurn);
        }
        while self.ended.len() > 8 {
            self.ended.pop_first();
        }
    }
}

impl Dialect for Line {
    fn stage(&self) -> &str {
        STAGE
    }

    fn habits(&self) -> Habits {
        let batch = usize::try_from(self.config.batch_ms / 20).unwrap_or(3).clamp(3, 50);
        Habits {
            // Messages of less than 50 ms, and sound that comes faster than speech, end the session.
            pace: Pace { batch, least: 3, rate: 1.0, burst: Duration::from_millis(200) },
            deadlines: self.config.deadlines,
            patience: self.config.patience,
            idle: Some(Duration::from_secs(4)),
            chatty: false,
            greets: true,
        }
    }

    fn open(&mut self) -> Result<Place, StageError> {
        let config = &self.config;
        let mut query = vec![("sample_rate", "8000".to_owned()), ("encoding", "pcm_mulaw".to_owned())];
        let mut set = |name, value: Option<String>| query.extend(value.map(|value| (name, value)));
        set("speech_model", Some(self.model.clone()).filter(|model| !model.is_empty()));
        set("format_turns", Some(config.format_turns.to_string()));
        let threshold = config.end_of_turn_confidence_threshold.map(|threshold| threshold.to_string());
        set("end_of_turn_confidence_threshold", threshold);
        set("min_turn_silence", config.min_turn_silence_ms.map(|silence| silence.to_string()));
        set("max_turn_silence", config.max_turn_silence_ms.map(|silence| silence.to_string()));
        set("inactivity_timeout", Some(config.inactivity_timeout_s.clamp(5, 3_600).to_string()));
        if !self.terms.now.is_empty() {
            set("keyterms_prompt", Some(json!(self.terms.now).to_string()));
        }
        self.turns_before += self.ended.last().map_or(0, |last| last + 2);
        self.ended.clear();
        (self.forced, self.outdated, self.trouble) = (false, false, None);
        let key = self.key.as_ref().map(|key| ("authorization", key.expose().to_owned()));
        Ok(Place {
            url: with_query(&config.url, &query, &config.parameters),
            headers: key.into_iter().collect(),
        })
    }

    fn on_text(&mut self, text: &str, state: &mut CallState) -> Result<Then, StageError> {
        match read(STAGE, text) {
            Some(Heard::Begin {}) => return Ok(Then::Ready),
            Some(Heard::Turn(turn)) => self.on_turn(turn, state),
            Some(Heard::Termination {}) => return Ok(Then::Done),
            Some(Heard::Error { error_code, error }) => {
                self.trouble = Some((error_code.map(|code| code as u16), error));
                return Ok(Then::Done);
            }
            Some(Heard::Warning { warning }) => tracing::debug!(warning, "AssemblyAI warns"),
            Some(Heard::Other) | None => {}
        }
        Ok(Then::Go)
    }

    fn force(&mut self) -> Option<String> {
        self.forced = self.config.force_at_pause;
        self.forced.then(|| r#"{"type":"ForceEndpoint"}"#.to_owned())
    }

    fn expect(&mut self, expectation: &Expectation) -> Option<String> {
        let changed = self.terms.expect(expectation) && self.config.live_keyterms;
        if let Some(tag) = &expectation.language {
            let model = for_language(&self.config.models, tag).unwrap_or(&self.config.model);
            if *model != self.model {
                self.model = model.to_owned();
                self.outdated = true;
            }
        }
        // A new session's address has the terms.
        (changed && !self.outdated)
            .then(|| json!({ "type": "UpdateConfiguration", "keyterms_prompt": self.terms.now }).to_string())
    }

    fn is_outdated(&self) -> bool {
        self.outdated
    }

    fn idle(&mut self) -> Option<Say> {
        Some(Say::Text(r#"{"type":"KeepAlive"}"#.to_owned()))
    }

    fn goodbye(&mut self) -> Option<String> {
        Some(r#"{"type":"Terminate"}"#.to_owned())
    }

    fn ended(&mut self, code: Option<u16>, error: StageError) -> Ended {
        let told = self.trouble.is_some();
        let (code, what) = match self.trouble.take() {
            Some((Some(code), what)) => (Some(code), format!("{code}: {what}")),
            Some((None, what)) => (code, what),
            None => (code, what_of(&error)),
        };
        Ended::Failed(match code {
            // A session lasts three hours at most.
            Some(3008) => return Ended::Reopen,
            Some(1008) => refused(STAGE, what, "check the key, and the account's balance"),
            Some(3006) => refused(STAGE, what, "check `model` and `parameters`"),
            Some(3007) => refused(STAGE, what, "set `batch_ms` to 60 or more"),
            Some(3009 | 1013) => StageError::Busy { stage: STAGE.to_owned(), what, retry_after: None },
            Some(_) => broken(STAGE, what),
            None if told => broken(STAGE, what),
            None => error,
        })
    }
}
