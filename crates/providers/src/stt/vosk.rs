//! A Vosk server: speech-to-text on a machine of one's own.
//!
//! Source: <https://github.com/alphacep/vosk-server>, `websocket/asr_server.py`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use offhook_stage_api::{Expectation, SttCommand, SttEvent};
use offhook_stages::{BoxFuture, CallInfo, Distance, Rx, StageError, Stt, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ahead::open_ahead;
use super::dialect::{CallState, Dialect, Habits, Place, Then};
use super::live::serve;
use super::outbox::Pace;
use super::piece::{Piece, Word};
use super::{PATIENCE, for_language, read};
use crate::net::Deadlines;
use crate::net::dial::Dial;

const STAGE: &str = "vosk";

/// Messages that may be on their way without an answer: each gets one.
const MOST_OPEN: usize = 10;
/// Words may have begun so long before the message that first tells of them: 600 ms.
const ONSET: u64 = 4_800;

/// Settings of a Vosk server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VoskConfig {
    /// Where it is. Default `ws://127.0.0.1:2700`.
    pub url: String,
    /// Servers for other languages, by BCP 47 tag or its first part: a server has one model. For agents that switch.
    pub urls: BTreeMap<String, String>,
    /// If there are any, it understands nothing but these phrases; `[unk]` among them stands for all others.
    pub phrases: Vec<String>,
    /// Sound in one message, in milliseconds. Default 100.
    pub batch_ms: u32,
    /// How long a final transcript is waited for at a pause; then the latest partial is taken. Default 1.2 s.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// Deadlines of the connection.
    pub deadlines: Deadlines,
}

impl Default for VoskConfig {
    fn default() -> Self {
        Self {
            url: "ws://127.0.0.1:2700".to_owned(),
            urls: BTreeMap::new(),
            phrases: Vec::new(),
            batch_ms: 100,
            patience: PATIENCE,
            deadlines: Deadlines::default(),
        }
    }
}

/// The stage.
#[derive(Clone, Debug)]
pub(crate) struct Vosk {
    config: VoskConfig,
    dial: Dial,
}

impl Vosk {
    pub(crate) fn new(config: VoskConfig) -> Self {
        Self { config, dial: Dial::default() }
    }
}

impl Stt for Vosk {
    fn name(&self) -> &str {
        STAGE
    }

    fn sends_partials(&self) -> bool {
        true
    }

    fn warm(&self, call: &CallInfo) -> BoxFuture<()> {
        open_ahead(Line::new(self.config.clone(), &call.language), self.dial.clone())
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
        let line = Line::new(self.config.clone(), &call.language);
        Box::pin(serve(line, self.dial.clone(), call, commands, events))
    }
}

/// What the server says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Heard {
    partial: Option<String>,
    text: Option<String>,
    result: Vec<HeardWord>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HeardWord {
    word: String,
    conf: Option<f32>,
    start: f64,
    end: f64,
}

/// One call's conversation with the server.
pub(super) struct Line {
    config: VoskConfig,
    /// The server for the language that is spoken.
    url: String,
    /// It is another than the session's.
    outdated: bool,
    /// Samples sent.
    sent: u64,
    /// What was sent and not answered: up to which sample, and whether a final transcript was asked for.
    open: VecDeque<(u64, bool)>,
    segment: u64,
    /// Where the segment's words may have begun, once there are any; not before the end of the segment before.
    began: Option<u64>,
    last_end: u64,
}

impl Line {
    pub(super) fn new(config: VoskConfig, language: &str) -> Self {
        let url = for_language(&config.urls, language).unwrap_or(&config.url).to_owned();
        let open = VecDeque::new();
        Self { config, url, outdated: false, sent: 0, open, segment: 0, began: None, last_end: 0 }
    }
}

impl Dialect for Line {
    fn stage(&self) -> &str {
        STAGE
    }

    fn habits(&self) -> Habits {
        let batch = usize::try_from(self.config.batch_ms / 20).unwrap_or(5).clamp(1, 50);
        Habits {
            pace: Pace { batch, least: 1, rate: 4.0, burst: Duration::from_secs(1) },
            deadlines: self.config.deadlines,
            patience: self.config.patience,
            idle: None,
            chatty: true,
            greets: false,
        }
    }

    fn open(&mut self) -> Result<Place, StageError> {
        (self.sent, self.began, self.last_end) = (0, None, 0);
        self.open.clear();
        self.outdated = false;
        Ok(Place { url: self.url.clone(), headers: Vec::new() })
    }

    fn hello(&mut self) -> Option<String> {
        let mut config = json!({ "sample_rate": 8_000, "words": true, "max_alternatives": 0 });
        if !self.config.phrases.is_empty() {
            config["phrase_list"] = json!(self.config.phrases);
        }
        Some(json!({ "config": config }).to_string())
    }

    fn sound(&mut self, mulaw: Vec<u8>) -> Bytes {
        self.sent += mulaw.len() as u64;
        self.open.push_back((self.sent, false));
        let mut samples = vec![0; mulaw.len()];
        offhook_mulaw::decode_slice(&mulaw, &mut samples);
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    fn takes_sound(&self) -> bool {
        self.open.len() < MOST_OPEN
    }

    fn on_text(&mut self, text: &str, state: &mut CallState) -> Result<Then, StageError> {
        let Some(heard) = read::<Heard>(STAGE, text) else { return Ok(Then::Go) };
        let (covers, answers) = self.open.pop_front().unwrap_or((self.sent, false));
        let covers = state.line.place(covers);
        let earliest = covers.saturating_sub(ONSET).max(self.last_end);
        let is_final = heard.text.is_some();
        let text = heard.text.or(heard.partial).unwrap_or_default().trim().to_owned();
        if !text.is_empty() {
            self.began.get_or_insert(earliest);
        }
        let words: Vec<Word> = heard
            .result
            .iter()
            .map(|word| Word {
                from: state.line.at_seconds(word.start),
                until: state.line.at_seconds(word.end),
                text: word.word.clone(),
            })
            .collect();
        // Some ports count from the beginning of the segment: times that can't be are none.
        let plausible =
            words.iter().all(|word| word.until <= covers + 800 && word.until + 800 >= self.last_end);
        let words = if plausible { words } else { Vec::new() };
        let piece = Piece {
            id: self.segment,
            from: words.first().map_or(self.began.unwrap_or(earliest), |word| word.from),
            until: words.last().map_or(covers, |word| word.until),
            covers,
            text,
            confidence: heard.result.iter().filter_map(|word| word.conf).min_by(f32::total_cmp),
            words,
        };
        if !is_final {
            state.turns.partial(piece);
            return Ok(Then::Go);
        }
        self.segment += 1;
        (self.began, self.last_end) = (None, covers);
        state.turns.settled(piece, answers);
        Ok(Then::Go)
    }

    fn force(&mut self) -> Option<String> {
        self.open.push_back((self.sent, true));
        // The server compares literally, spaces and all.
        Some(r#"{"reset" : 1}"#.to_owned())
    }

    fn expect(&mut self, expectation: &Expectation) -> Option<String> {
        if let Some(tag) = &expectation.language {
            let url = for_language(&self.config.urls, tag).unwrap_or(&self.config.url);
            if *url != self.url {
                self.url = url.to_owned();
                self.outdated = true;
            }
        }
        None
    }

    fn is_outdated(&self) -> bool {
        self.outdated
    }

    fn goodbye(&mut self) -> Option<String> {
        Some(r#"{"eof" : 1}"#.to_owned())
    }
}
