//! Text-to-speech over the network: [ElevenLabs](TtsConfig::Elevenlabs), [Deepgram Aura](TtsConfig::Deepgram) and
//! [Cartesia](TtsConfig::Cartesia) over WebSockets that stay open for a call,
//! [ElevenLabs](TtsConfig::ElevenlabsHttp) and [OpenAI's `/audio/speech`](TtsConfig::Openai) over HTTP.
//!
//! All speak segment by segment: each has its own request or context, so that its sound is told apart from others' to the
//! sample, and one that is cancelled is dropped by its name.

mod aura;
mod cartesia;
mod config;
mod elevenlabs_http;
mod elevenlabs_ws;
mod fetch;
mod layout;
mod live;
mod openai_speech;
mod segment;
mod sound;
mod trim;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use offhook_audio::SampleRate;
use offhook_stage_api::{TtsCommand, TtsEvent};
use offhook_stages::speakable::SpeakableTts;
use offhook_stages::{BoxFuture, CallInfo, Distance, Rx, StageError, Tts, Tx};

pub(crate) use layout::Layout;
pub(crate) use sound::RATES;

pub use config::{
    AuraConfig, CartesiaConfig, ElevenlabsConfig, ElevenlabsHttpConfig, OpenaiConfig, SpeechFormat,
    TtsConfig, VoiceSettings,
};

use crate::net::dial::Dial;
use crate::net::{Deadlines, Http, Secret};
use config::voice_for;
use fetch::{Asking, Fetch};
use live::Live;
use sound::Format;

/// How a voice behaves, whoever it is.
#[derive(Clone, Debug)]
struct Manner {
    name: String,
    deadlines: Deadlines,
    trim_silence: bool,
    ahead: usize,
}

/// A voice, ready to serve calls.
struct NetworkTts {
    /// Names voice and manner of speaking: equal texts sound equal.
    voice: String,
    manner: Manner,
    kind: Kind,
    dial: Dial,
}

enum Kind {
    Elevenlabs(ElevenlabsConfig, Option<Secret>),
    Aura(AuraConfig, Option<Secret>),
    Cartesia(CartesiaConfig, Option<Secret>),
    Http { asking: Arc<dyn Asking>, http: Box<Http>, format: Format },
}

impl TtsConfig {
    /// Makes the voice. `key` is what the application read for it; servers of one's own may need none.
    #[must_use]
    pub fn build(self, key: Option<Secret>) -> Arc<dyn Tts> {
        let key = key.filter(|key| !key.is_empty());
        let voice = self.label();
        let (manner, speakable) = self.manner();
        let http = Box::new(Http::new(&manner.name, manner.deadlines).repeating());
        let name = manner.name.clone();
        let kind = match self {
            Self::Elevenlabs(config) => Kind::Elevenlabs(config, key),
            Self::Deepgram(config) => Kind::Aura(config, key),
            Self::Cartesia(config) => Kind::Cartesia(config, key),
            Self::ElevenlabsHttp(config) => {
                let asking = Arc::new(elevenlabs_http::ElevenlabsHttp { name, config, key });
                Kind::Http { asking, http, format: Format::Mulaw }
            }
            Self::Openai(config) => {
                let rate = SampleRate::new(config.sample_rate).unwrap_or(SampleRate::HZ_24000);
                let format = match config.format {
                    SpeechFormat::Pcm => Format::Pcm(rate),
                    SpeechFormat::Wav => Format::Wav,
                };
                let asking = Arc::new(openai_speech::OpenaiSpeech { name, config, key });
                Kind::Http { asking, http, format }
            }
        };
        let voice: Arc<dyn Tts> = Arc::new(NetworkTts { voice, manner, kind, dial: Dial::default() });
        if speakable { Arc::new(SpeakableTts::new(voice)) } else { voice }
    }

    /// Names the voice and all that changes its sound: whatever is configured.
    fn label(&self) -> String {
        let voice = match self {
            Self::Elevenlabs(config) => &config.voice,
            Self::ElevenlabsHttp(config) => &config.voice,
            Self::Openai(config) => &config.voice,
            Self::Deepgram(config) => &config.voice,
            Self::Cartesia(config) => &config.voice,
        };
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(self).unwrap_or_default().hash(&mut hasher);
        format!("{voice}#{:016x}", hasher.finish())
    }

    fn manner(&self) -> (Manner, bool) {
        macro_rules! of {
            ($config:expr, $name:literal) => {{
                let name = $config.name.clone().unwrap_or_else(|| $name.to_owned());
                let (deadlines, trim_silence, ahead) =
                    ($config.deadlines, $config.trim_silence, $config.ahead);
                (Manner { name, deadlines, trim_silence, ahead }, $config.speakable)
            }};
        }
        match self {
            Self::Elevenlabs(config) => of!(config, "elevenlabs"),
            Self::ElevenlabsHttp(config) => of!(config, "elevenlabs_http"),
            Self::Openai(config) => of!(config, "openai"),
            Self::Deepgram(config) => of!(config, "deepgram_tts"),
            Self::Cartesia(config) => of!(config, "cartesia"),
        }
    }
}

impl Tts for NetworkTts {
    fn name(&self) -> &str {
        &self.manner.name
    }

    fn voice(&self) -> &str {
        &self.voice
    }

    fn distance(&self) -> Distance {
        match &self.kind {
            Kind::Http { http, .. } => http.distance(),
            _ => self.dial.distance(),
        }
    }

    fn warm(&self, call: &CallInfo) -> BoxFuture<()> {
        let place = match &self.kind {
            Kind::Http { asking, http, .. } => {
                let (http, request) = (http.clone(), asking.request("", None, &call.language));
                return Box::pin(async move {
                    if let Ok(request) = request {
                        http.open_ahead(request.uri()).await;
                    }
                });
            }
            Kind::Elevenlabs(config, key) => place(&self.elevenlabs(config, key, &call.language)),
            Kind::Aura(config, key) => place(&self.aura(config, key, &call.language)),
            Kind::Cartesia(config, key) => place(&self.cartesia(config, key, &call.language)),
        };
        let (dial, name, deadlines) = (self.dial.clone(), self.manner.name.clone(), self.manner.deadlines);
        Box::pin(async move { dial.open_ahead(&name, place.0, place.1, &deadlines).await })
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let (manner, dial) = (self.manner.clone(), self.dial.clone());
        let language = Arc::clone(&call.language);
        match &self.kind {
            Kind::Elevenlabs(config, key) => {
                let dialect = self.elevenlabs(config, key, &language);
                Box::pin(Live::new(dialect, manner, dial, Format::Mulaw, call, events).run(commands))
            }
            Kind::Aura(config, key) => {
                let dialect = self.aura(config, key, &language);
                Box::pin(Live::new(dialect, manner, dial, Format::Mulaw, call, events).run(commands))
            }
            Kind::Cartesia(config, key) => {
                let dialect = self.cartesia(config, key, &language);
                Box::pin(Live::new(dialect, manner, dial, Format::Mulaw, call, events).run(commands))
            }
            Kind::Http { asking, http, format } => {
                let (asking, http, format) = (Arc::clone(asking), (**http).clone(), *format);
                Box::pin(Fetch { asking, http, manner, format, call, events }.run(commands))
            }
        }
    }
}

impl NetworkTts {
    fn elevenlabs(
        &self,
        config: &ElevenlabsConfig,
        key: &Option<Secret>,
        language: &str,
    ) -> elevenlabs_ws::ElevenlabsWs {
        let voice = voice_for(&config.voice, &config.voices, language);
        elevenlabs_ws::ElevenlabsWs::new(&self.manner.name, config.clone(), voice, language, key.clone())
    }

    fn aura(&self, config: &AuraConfig, key: &Option<Secret>, language: &str) -> aura::Aura {
        let voice = voice_for(&config.voice, &config.voices, language);
        aura::Aura::new(&self.manner.name, config.clone(), voice, key.clone())
    }

    fn cartesia(&self, config: &CartesiaConfig, key: &Option<Secret>, language: &str) -> cartesia::Cartesia {
        let voice = voice_for(&config.voice, &config.voices, language);
        cartesia::Cartesia::new(&self.manner.name, config.clone(), voice, language, key.clone())
    }
}

/// Where a socket is opened.
fn place(dialect: &impl live::Dialect) -> (String, crate::net::dial::Headers) {
    (dialect.url(), dialect.headers())
}

/// A URL with a query.
fn query(base: &str, path: &str, pairs: &[(&str, &str)]) -> String {
    let mut url = crate::net::join(base, path);
    if !pairs.is_empty() {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish());
    }
    url
}

/// The same for a WebSocket; `http://` and `https://` will do as well.
fn socket_query(base: &str, path: &str, pairs: &[(&str, &str)]) -> String {
    match base.strip_prefix("http") {
        Some(rest) => query(&format!("ws{rest}"), path, pairs),
        None => query(base, path, pairs),
    }
}

/// Cuts a text into pieces of at most so many characters, at spaces where there are any.
fn pieces(text: &str, longest: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((end, _)) = rest.char_indices().nth(longest) {
        let head = rest.get(..end).unwrap_or(rest);
        let cut = head.rfind(char::is_whitespace).map_or(end, |at| at + 1).min(end);
        let (piece, after) = rest.split_at_checked(cut).unwrap_or((rest, ""));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests;
