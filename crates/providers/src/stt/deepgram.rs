//! Deepgram's streaming recogniser, version 1 of the protocol.
//!
//! Source: <https://developers.deepgram.com/reference/speech-to-text/listen-streaming>.

use std::collections::BTreeMap;
use std::time::Duration;

use offhook_stage_api::{Expectation, SttCommand, SttEvent};
use offhook_stages::{BoxFuture, CallInfo, Distance, Rx, StageError, Stt, Tx};
use serde::{Deserialize, Serialize};

use super::ahead::open_ahead;
use super::dialect::{CallState, Dialect, Ended, Habits, Place, Say, Then};
use super::live::serve;
use super::outbox::Pace;
use super::piece::{Piece, Word};
use super::{PATIENCE, Terms, for_language, language, read, refused, what_of, with_query};
use crate::net::dial::Dial;
use crate::net::{Deadlines, Secret};

const STAGE: &str = "deepgram";

/// The language by which the provider hears several at once.
const MULTI: &str = "multi";
/// In milliseconds: two weeks.
const LONGEST_SESSION: u64 = 1_209_600_000;

/// Settings of Deepgram's recogniser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeepgramConfig {
    /// Where it is. Default `wss://api.deepgram.com/v1/listen`; there are hosts for regions, and servers of one's own.
    pub url: String,
    /// The model. Default `nova-3`; empty: the provider's own choice, `base-general`, which refuses key terms.
    pub model: String,
    /// BCP 47 tag, or `multi`. Default: the agent's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What the provider calls a language, where that isn't its tag: `{ "es-ES" = "es" }`. By tag, or by its first part. For
    /// agents that switch; with `language = "multi"` nothing is switched.
    pub languages: BTreeMap<String, String>,
    /// Silence after which the provider closes a segment by itself, in milliseconds. Default 300; 0: never. The call asks
    /// for a final transcript at each pause anyway.
    pub endpointing_ms: u32,
    /// Gap between words after which an utterance is over whatever the noise, in milliseconds, 1000 at least. Default 1000.
    pub utterance_end_ms: u32,
    /// Take the provider's end of speech for the end of the turn. It goes by silence alone, without regard to the words, so
    /// the default is false: the call decides.
    pub ends_turns: bool,
    /// Punctuation and capitals. Default true.
    pub punctuate: bool,
    /// Numbers as digits. Default true.
    pub numerals: bool,
    /// Dates, amounts and addresses as they are written; may hold text back. Default false.
    pub smart_format: bool,
    /// Words and names to listen for, besides those that the agent expects.
    pub keyterms: Vec<String>,
    /// Send key terms that the agent expects in the midst of the call. Default true.
    pub live_keyterms: bool,
    /// Keep the sound out of the provider's training. Default false.
    pub mip_opt_out: bool,
    /// Any other parameters of the address.
    pub parameters: BTreeMap<String, String>,
    /// Sound in one message, in milliseconds. Default 40.
    pub batch_ms: u32,
    /// How long a final transcript is waited for at a pause; then the latest partial is taken. Default 1.2 s.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// Deadlines of the connection.
    pub deadlines: Deadlines,
}

impl Default for DeepgramConfig {
    fn default() -> Self {
        Self {
            url: "wss://api.deepgram.com/v1/listen".to_owned(),
            model: "nova-3".to_owned(),
            language: None,
            languages: BTreeMap::new(),
            endpointing_ms: 300,
            utterance_end_ms: 1_000,
            ends_turns: false,
            punctuate: true,
            numerals: true,
            smart_format: false,
            keyterms: Vec::new(),
            live_keyterms: true,
            mip_opt_out: false,
            parameters: BTreeMap::new(),
            batch_ms: 40,
            patience: PATIENCE,
            deadlines: Deadlines::default(),
        }
    }
}

/// The stage.
#[derive(Clone, Debug)]
pub(crate) struct Deepgram {
    config: DeepgramConfig,
    key: Option<Secret>,
    dial: Dial,
}

impl Deepgram {
    pub(crate) fn new(config: DeepgramConfig, key: Option<Secret>) -> Self {
        Self { config, key, dial: Dial::default() }
    }
}

impl Stt for Deepgram {
    fn name(&self) -> &str {
        STAGE
    }

    fn sends_partials(&self) -> bool {
        true
    }

    fn warm(&self, call: &CallInfo) -> BoxFuture<()> {
        open_ahead(Line::new(self.config.clone(), self.key.clone(), call), self.dial.clone())
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
        let line = Line::new(self.config.clone(), self.key.clone(), &call);
        Box::pin(serve(line, self.dial.clone(), call, commands, events))
    }
}

/// What the server says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Heard {
    Results(Results),
    UtteranceEnd {
        #[serde(default)]
        last_word_end: f64,
    },
    ConfigureFailure {
        #[serde(default)]
        code: String,
    },
    Error {
        #[serde(default, alias = "err_code")]
        variant: String,
        #[serde(default, alias = "err_msg")]
        description: String,
        #[serde(default)]
        message: Option<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Results {
    start: f64,
    duration: f64,
    is_final: bool,
    speech_final: bool,
    from_finalize: bool,
    channel: Channel,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Channel {
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Alternative {
    transcript: String,
    confidence: Option<f32>,
    words: Vec<HeardWord>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HeardWord {
    word: String,
    punctuated_word: Option<String>,
    start: f64,
    end: f64,
}

/// One call's conversation with the server.
pub(super) struct Line {
    config: DeepgramConfig,
    key: Option<Secret>,
    language: Option<String>,
    /// The language is another than the session's.
    outdated: bool,
    /// Segments of earlier sessions: where they begin is counted anew in each.
    segments_before: u64,
    terms: Terms,
    /// Words since the last end of an utterance.
    unended: bool,
    /// A change of settings was asked for, and not answered yet.
    configuring: bool,
}

impl Line {
    pub(super) fn new(config: DeepgramConfig, key: Option<Secret>, call: &CallInfo) -> Self {
        let language = language(config.language.as_deref(), call)
            .map(|tag| for_language(&config.languages, &tag).map_or(tag.clone(), str::to_owned));
        let terms = Terms::new(&config.keyterms);
        Self {
            config,
            key,
            language,
            outdated: false,
            segments_before: 0,
            terms,
            unended: false,
            configuring: false,
        }
    }

    fn on_results(&mut self, results: Results, state: &mut CallState) {
        let end = results.start + results.duration;
        let best = results.channel.alternatives.into_iter().next().unwrap_or_default();
        let words: Vec<Word> = best
            .words
            .into_iter()
            .map(|word| Word {
                from: state.line.at_seconds(word.start),
                until: state.line.at_seconds(word.end),
                text: word.punctuated_word.unwrap_or(word.word),
            })
            .collect();
        let covers = state.line.at_seconds(end);
        let has_words = !best.transcript.trim().is_empty();
        let piece = Piece {
            // Where it begins tells a segment from others; one that comes twice is one.
            id: self.segments_before + ((results.start * 1_000.0).round() as u64).min(LONGEST_SESSION),
            from: words.first().map_or_else(|| state.line.at_seconds(results.start), |word| word.from),
            until: words.last().map_or(covers, |word| word.until),
            covers,
            text: best.transcript.trim().to_owned(),
            confidence: best.confidence.filter(|_| has_words),
            words,
        };
        if !results.is_final && !results.speech_final {
            state.turns.partial(piece);
            return;
        }
        self.unended |= has_words;
        state.turns.settled(piece, results.from_finalize || results.speech_final);
        if results.speech_final && !results.from_finalize {
            self.utterance_ended(state);
        }
    }

    fn utterance_ended(&mut self, state: &mut CallState) {
        if std::mem::take(&mut self.unended) && self.config.ends_turns {
            state.turns.tell(SttEvent::EndOfTurn);
        }
    }
}

impl Dialect for Line {
    fn stage(&self) -> &str {
        STAGE
    }

    fn habits(&self) -> Habits {
        let batch = usize::try_from(self.config.batch_ms / 20).unwrap_or(1).clamp(1, 12);
        Habits {
            // It takes sound at up to one and a quarter of the speed of speech.
            pace: Pace { batch, least: 1, rate: 1.25, burst: Duration::from_millis(300) },
            deadlines: self.config.deadlines,
            patience: self.config.patience,
            // After 10 s without sound and without a word it closes.
            idle: Some(Duration::from_secs(4)),
            chatty: true,
            greets: false,
        }
    }

    fn open(&mut self) -> Result<Place, StageError> {
        let config = &self.config;
        let mut query = vec![("encoding", "mulaw".to_owned()), ("sample_rate", "8000".to_owned())];
        let mut set = |name, value: String| query.push((name, value));
        set("channels", "1".to_owned());
        set("interim_results", "true".to_owned());
        if !config.model.is_empty() {
            set("model", config.model.clone());
        }
        if let Some(language) = &self.language {
            set("language", language.clone());
        }
        let endpointing =
            if config.endpointing_ms == 0 { "false".to_owned() } else { config.endpointing_ms.to_string() };
        set("endpointing", endpointing);
        set("utterance_end_ms", config.utterance_end_ms.max(1_000).to_string());
        set("vad_events", "true".to_owned());
        set("punctuate", config.punctuate.to_string());
        set("numerals", config.numerals.to_string());
        set("smart_format", config.smart_format.to_string());
        if config.mip_opt_out {
            set("mip_opt_out", "true".to_owned());
        }
        for term in &self.terms.now {
            set("keyterm", term.clone());
        }
        (self.configuring, self.outdated) = (false, false);
        self.segments_before += LONGEST_SESSION + 1;
        let key = self.key.as_ref().map(|key| ("authorization", format!("Token {}", key.expose())));
        Ok(Place {
            url: with_query(&config.url, &query, &config.parameters),
            headers: key.into_iter().collect(),
        })
    }

    fn on_text(&mut self, text: &str, state: &mut CallState) -> Result<Then, StageError> {
        match read(STAGE, text) {
            Some(Heard::Results(results)) => self.on_results(results, state),
            Some(Heard::UtteranceEnd { last_word_end }) => {
                // A negative end means that there were no words.
                if last_word_end >= 0.0 {
                    self.utterance_ended(state);
                }
            }
            Some(Heard::ConfigureFailure { code }) => {
                tracing::warn!(code, "Deepgram doesn't take the key terms that the agent expects");
                self.configuring = false;
            }
            Some(Heard::Error { variant, description, message }) => {
                if self.configuring {
                    // This server doesn't know the message; it need not cost the call.
                    tracing::warn!(variant, "Deepgram doesn't take key terms in the midst of a call");
                    (self.configuring, self.config.live_keyterms) = (false, false);
                } else {
                    let what = format!("{variant}: {description} {}", message.unwrap_or_default());
                    return Err(super::broken(STAGE, what.trim().to_owned()));
                }
            }
            Some(Heard::Other) | None => {}
        }
        Ok(Then::Go)
    }

    fn force(&mut self) -> Option<String> {
        Some(r#"{"type":"Finalize"}"#.to_owned())
    }

    fn expect(&mut self, expectation: &Expectation) -> Option<String> {
        let changed = self.terms.expect(expectation);
        if let Some(tag) = expectation.language.as_deref().filter(|_| self.language.as_deref() != Some(MULTI))
        {
            let language = for_language(&self.config.languages, tag).unwrap_or(tag);
            if self.language.as_deref() != Some(language) {
                self.language = Some(language.to_owned());
                self.outdated = true;
            }
        }
        // The new session's address has the terms.
        if self.outdated || !changed || !self.config.live_keyterms {
            return None;
        }
        self.configuring = true;
        Some(serde_json::json!({ "type": "Configure", "keyterms": self.terms.now }).to_string())
    }

    fn is_outdated(&self) -> bool {
        self.outdated
    }

    fn idle(&mut self) -> Option<Say> {
        Some(Say::Text(r#"{"type":"KeepAlive"}"#.to_owned()))
    }

    fn goodbye(&mut self) -> Option<String> {
        Some(r#"{"type":"CloseStream"}"#.to_owned())
    }

    fn ended(&mut self, code: Option<u16>, error: StageError) -> Ended {
        // 1008: it can't decode the sound, and won't be able to on another connection.
        Ended::Failed(match code {
            Some(1008) => refused(STAGE, what_of(&error), "check `url`, `model` and `parameters`"),
            _ => error,
        })
    }
}
