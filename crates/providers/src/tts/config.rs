//! An agent's `[tts]` table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::net::Deadlines;

/// `[tts]`: who speaks. `provider` chooses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "snake_case")]
pub enum TtsConfig {
    /// ElevenLabs over its WebSocket: word times, one connection a call.
    Elevenlabs(ElevenlabsConfig),
    /// ElevenLabs over HTTP: for models that its WebSocket doesn't serve.
    ElevenlabsHttp(ElevenlabsHttpConfig),
    /// `/audio/speech` of OpenAI, Groq, Kokoro-FastAPI, Speaches and others.
    Openai(OpenaiConfig),
    /// Deepgram Aura over its WebSocket.
    Deepgram(AuraConfig),
    /// Cartesia over its WebSocket: word times.
    Cartesia(CartesiaConfig),
}

/// The voice for a language: that of the tag, that of the language, or the usual one.
pub(super) fn voice_for<'a>(usual: &'a str, voices: &'a BTreeMap<String, String>, language: &str) -> &'a str {
    let named = |wanted: &str| {
        voices.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(wanted)).map(|(_, voice)| voice)
    };
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    named(language).or_else(|| named(primary)).map_or(usual, String::as_str)
}

/// Deadlines of voices: a caller waits for them.
pub(super) fn deadlines() -> Deadlines {
    let seconds = std::time::Duration::from_secs;
    Deadlines { connect: seconds(3), first: seconds(3), gap: seconds(5) }
}

const fn yes() -> bool {
    true
}

const fn one() -> usize {
    1
}

fn elevenlabs() -> String {
    "https://api.elevenlabs.io".to_owned()
}

fn deepgram() -> String {
    "wss://api.deepgram.com".to_owned()
}

fn cartesia() -> String {
    "wss://api.cartesia.ai".to_owned()
}

fn cartesia_version() -> String {
    "2026-03-01".to_owned()
}

fn openai() -> String {
    "https://api.openai.com/v1".to_owned()
}

/// How an ElevenLabs voice sounds. What isn't set isn't sent: the voice's own settings count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VoiceSettings {
    /// 0 to 1: how even it sounds.
    pub stability: Option<f64>,
    /// 0 to 1: how close it keeps to the recorded voice.
    pub similarity_boost: Option<f64>,
    /// 0 to 1: exaggeration; costs time.
    pub style: Option<f64>,
    /// Closer to the voice, but slower.
    pub use_speaker_boost: Option<bool>,
    /// 0.7 to 1.2.
    pub speed: Option<f64>,
}

impl VoiceSettings {
    fn to_json(&self) -> Option<Value> {
        let mut fields = Map::new();
        let numbers = [
            ("stability", self.stability),
            ("similarity_boost", self.similarity_boost),
            ("style", self.style),
            ("speed", self.speed),
        ];
        for (name, value) in numbers {
            fields.extend(value.map(|value| (name.to_owned(), json!(value))));
        }
        fields.extend(self.use_speaker_boost.map(|value| ("use_speaker_boost".to_owned(), json!(value))));
        (!fields.is_empty()).then_some(Value::Object(fields))
    }
}

/// `provider = "elevenlabs"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElevenlabsConfig {
    /// The model's id, e.g. `eleven_flash_v2_5`. No default: providers retire models.
    pub model: String,
    /// The voice's id.
    pub voice: String,
    /// Other voices for other languages: BCP 47 tag or language, and the voice's id.
    #[serde(default)]
    pub voices: BTreeMap<String, String>,
    /// How it sounds.
    #[serde(default)]
    pub settings: VoiceSettings,
    /// Tells the model the call's language (only models of several languages take it). Default false: it finds out.
    #[serde(default)]
    pub send_language: bool,
    /// Whether the provider keeps texts and sound. Default true; false needs an enterprise plan.
    #[serde(default = "yes")]
    pub logging: bool,
    /// Where it is. Default `https://api.elevenlabs.io`; there are addresses for the US, the EU, India and Singapore.
    #[serde(default = "elevenlabs")]
    pub base_url: String,
    /// The name in logs, metrics and costs. Default `elevenlabs`.
    #[serde(default)]
    pub name: Option<String>,
    /// Leaves out silence of more than 80 ms before an utterance's first word. Default true.
    #[serde(default = "yes")]
    pub trim_silence: bool,
    /// Writes out numbers, dates and the like, and drops markup, before the voice gets the text. Default true.
    #[serde(default = "yes")]
    pub speakable: bool,
    /// Sentences asked for ahead of the one that comes. Default 1.
    #[serde(default = "one")]
    pub ahead: usize,
    /// Bounds beyond which a sentence is given up. Defaults: 3 s to connect, 3 s to its first sound, 5 s between sounds.
    #[serde(default = "deadlines")]
    pub deadlines: Deadlines,
}

impl ElevenlabsConfig {
    pub(super) fn voice_settings(&self) -> Option<Value> {
        self.settings.to_json()
    }

    pub(super) fn language_code(&self, language: &str) -> Option<String> {
        language_code(self.send_language, language)
    }
}

/// ISO 639-1, if it is to be sent.
fn language_code(send: bool, language: &str) -> Option<String> {
    let primary = language.split(['-', '_']).next().filter(|primary| send && !primary.is_empty())?;
    Some(primary.to_lowercase())
}

/// `provider = "elevenlabs_http"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElevenlabsHttpConfig {
    /// The model's id, e.g. `eleven_v3`. No default: providers retire models.
    pub model: String,
    /// The voice's id.
    pub voice: String,
    /// Other voices for other languages: BCP 47 tag or language, and the voice's id.
    #[serde(default)]
    pub voices: BTreeMap<String, String>,
    /// How it sounds.
    #[serde(default)]
    pub settings: VoiceSettings,
    /// Tells the model the call's language (only models of several languages take it). Default false: it finds out.
    #[serde(default)]
    pub send_language: bool,
    /// Asks for the times of words, so that it is known what the caller heard. Default true.
    #[serde(default = "yes")]
    pub timestamps: bool,
    /// Tells the model the sentence before, for its intonation. Default true; some models refuse it.
    #[serde(default = "yes")]
    pub stitch: bool,
    /// Whether the provider keeps texts and sound. Default true; false needs an enterprise plan.
    #[serde(default = "yes")]
    pub logging: bool,
    /// Where it is. Default `https://api.elevenlabs.io`.
    #[serde(default = "elevenlabs")]
    pub base_url: String,
    /// The name in logs, metrics and costs. Default `elevenlabs_http`.
    #[serde(default)]
    pub name: Option<String>,
    /// Leaves out silence of more than 80 ms before an utterance's first word. Default true.
    #[serde(default = "yes")]
    pub trim_silence: bool,
    /// Writes out numbers, dates and the like, and drops markup, before the voice gets the text. Default true.
    #[serde(default = "yes")]
    pub speakable: bool,
    /// Sentences asked for ahead of the one that comes: 0 or 1. Default 1.
    #[serde(default = "one")]
    pub ahead: usize,
    /// Bounds beyond which a sentence is given up. Defaults: 3 s to connect, 3 s to its first sound, 5 s between sounds.
    #[serde(default = "deadlines")]
    pub deadlines: Deadlines,
}

impl ElevenlabsHttpConfig {
    pub(super) fn voice_settings(&self) -> Option<Value> {
        self.settings.to_json()
    }

    pub(super) fn language_code(&self, language: &str) -> Option<String> {
        language_code(self.send_language, language)
    }
}

/// What `/audio/speech` is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpeechFormat {
    /// Bare linear samples.
    #[default]
    Pcm,
    /// WAV, whose header tells its rate.
    Wav,
}

/// A rate that can be converted.
fn any_rate<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let rate = u32::deserialize(deserializer)?;
    if super::sound::RATES.contains(&rate) {
        return Ok(rate);
    }
    Err(serde::de::Error::custom(format!("sample_rate is {rate} Hz: a voice's sound has 4000 to 192000")))
}

const fn pcm_rate() -> u32 {
    24_000
}

/// `provider = "openai"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenaiConfig {
    /// The model's id, e.g. `kokoro`. No default: providers retire models.
    pub model: String,
    /// The voice's name, e.g. `af_heart`.
    pub voice: String,
    /// Other voices for other languages: BCP 47 tag or language, and the voice's name.
    #[serde(default)]
    pub voices: BTreeMap<String, String>,
    /// How to speak, in words, for models that take it.
    #[serde(default)]
    pub instructions: Option<String>,
    /// 0.25 to 4. Default: not sent.
    #[serde(default)]
    pub speed: Option<f64>,
    /// What to ask for. Default `pcm`; Groq gives `wav`.
    #[serde(default)]
    pub format: SpeechFormat,
    /// The rate of `pcm`, in hertz: 4000 to 192000. Default 24000.
    #[serde(default = "pcm_rate", deserialize_with = "any_rate")]
    pub sample_rate: u32,
    /// Fields to add to each request, e.g. `sample_rate` for Speaches; they replace ours of the same name.
    #[serde(default)]
    pub body: BTreeMap<String, Value>,
    /// Fields of ours that this server refuses.
    #[serde(default)]
    pub without: Vec<String>,
    /// More headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Where the server is. Default `https://api.openai.com/v1`.
    #[serde(default = "openai")]
    pub base_url: String,
    /// The name in logs, metrics and costs. Default `openai`.
    #[serde(default)]
    pub name: Option<String>,
    /// Leaves out silence of more than 80 ms before an utterance's first word. Default true.
    #[serde(default = "yes")]
    pub trim_silence: bool,
    /// Writes out numbers, dates and the like, and drops markup, before the voice gets the text. Default true.
    #[serde(default = "yes")]
    pub speakable: bool,
    /// Sentences asked for ahead of the one that comes: 0 or 1. Default 1.
    #[serde(default = "one")]
    pub ahead: usize,
    /// Bounds beyond which a sentence is given up. Defaults: 3 s to connect, 3 s to its first sound, 5 s between sounds. A
    /// local server may need longer for its first sentence, until its model is loaded.
    #[serde(default = "deadlines")]
    pub deadlines: Deadlines,
}

/// `provider = "deepgram"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuraConfig {
    /// The voice's id, which is the model's as well, e.g. `aura-2-thalia-en`.
    pub voice: String,
    /// Other voices for other languages: BCP 47 tag or language, and the voice's id.
    #[serde(default)]
    pub voices: BTreeMap<String, String>,
    /// 0.7 to 1.5. Default: not sent.
    #[serde(default)]
    pub speed: Option<f64>,
    /// Opts out of the provider's model improvement programme. Default false.
    #[serde(default)]
    pub opt_out: bool,
    /// Where it is. Default `wss://api.deepgram.com`.
    #[serde(default = "deepgram")]
    pub base_url: String,
    /// The name in logs, metrics and costs. Default `deepgram_tts`: speech-to-text is charged by another measure.
    #[serde(default)]
    pub name: Option<String>,
    /// Leaves out silence of more than 80 ms before an utterance's first word. Default true.
    #[serde(default = "yes")]
    pub trim_silence: bool,
    /// Writes out numbers, dates and the like, and drops markup, before the voice gets the text. Default true.
    #[serde(default = "yes")]
    pub speakable: bool,
    /// Sentences sent ahead of the one that comes. Default 1.
    #[serde(default = "one")]
    pub ahead: usize,
    /// Bounds beyond which a sentence is given up. Defaults: 3 s to connect, 3 s to its first sound, 5 s between sounds.
    #[serde(default = "deadlines")]
    pub deadlines: Deadlines,
}

/// `provider = "cartesia"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CartesiaConfig {
    /// The model's id, e.g. `sonic-3.5`. No default: providers retire models.
    pub model: String,
    /// The voice's id.
    pub voice: String,
    /// Other voices for other languages: BCP 47 tag or language, and the voice's id.
    #[serde(default)]
    pub voices: BTreeMap<String, String>,
    /// 0.6 to 1.5. Default: not sent.
    #[serde(default)]
    pub speed: Option<f64>,
    /// 0.5 to 2. Default: not sent.
    #[serde(default)]
    pub volume: Option<f64>,
    /// `Cartesia-Version`. Default `2026-03-01`, from which on errors are structured.
    #[serde(default = "cartesia_version")]
    pub version: String,
    /// Where it is. Default `wss://api.cartesia.ai`.
    #[serde(default = "cartesia")]
    pub base_url: String,
    /// The name in logs, metrics and costs. Default `cartesia`.
    #[serde(default)]
    pub name: Option<String>,
    /// Leaves out silence of more than 80 ms before an utterance's first word. Default true.
    #[serde(default = "yes")]
    pub trim_silence: bool,
    /// Writes out numbers, dates and the like, and drops markup, before the voice gets the text. Default true.
    #[serde(default = "yes")]
    pub speakable: bool,
    /// Sentences sent ahead of the one that comes; each counts as a context of the plan's. Default 1.
    #[serde(default = "one")]
    pub ahead: usize,
    /// Bounds beyond which a sentence is given up. Defaults: 3 s to connect, 3 s to its first sound, 5 s between sounds.
    #[serde(default = "deadlines")]
    pub deadlines: Deadlines,
}
