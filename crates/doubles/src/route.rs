//! Which address is whose, and who may ask there.

use std::collections::HashMap;

use hyper::HeaderMap;
use hyper::http::request::Parts;

use crate::config::Key;
use crate::fault::Stage;
use crate::refusal::Vendor;

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    ChatCompletions,
    Models,
    Messages,
    Responses,
    GenerateContent,
    Listen,
    Flux,
    AssemblyAi,
    Vosk,
    Transcriptions,
    Speech,
    SpeakSocket,
    SpeakHttp,
    ElevenStream,
    ElevenTimed,
    ElevenInput,
    ElevenMulti,
    Cartesia,
    Realtime,
    VoiceLive,
    Live,
    Interactions,
    CohereChat,
}

/// Where a request belongs. Prefixes before `/chat/completions` and its like don't matter, for base URLs differ.
pub(crate) fn find(request: &Parts) -> Option<(Stage, Vendor, Endpoint)> {
    use {Endpoint as E, Stage as S, Vendor as V};
    let path = request.uri.path().trim_end_matches('/');
    let socket = request.headers.contains_key(hyper::header::UPGRADE);
    let voice = path.contains("/text-to-speech/");
    let tail = path.rsplit('/').next().unwrap_or("");
    Some(match (path, tail) {
        _ if path.ends_with("/chat/completions") => (S::Llm, V::OpenAi, E::ChatCompletions),
        _ if path.ends_with("/audio/transcriptions") => (S::Stt, V::OpenAi, E::Transcriptions),
        _ if path.ends_with("/audio/speech") => (S::Tts, V::OpenAi, E::Speech),
        (_, "inference") => (S::Stt, V::Local, E::Transcriptions),
        (_, "responses") => (S::Llm, V::OpenAi, E::Responses),
        _ if tail.ends_with(":streamGenerateContent") || tail.ends_with(":generateContent") => {
            (S::Llm, V::Gemini, E::GenerateContent)
        }
        (_, "interactions") => (S::Llm, V::Gemini, E::Interactions),
        (_, "chat") => (S::Llm, V::Cohere, E::CohereChat),
        (_, "models") => (S::Llm, V::OpenAi, E::Models),
        (_, "messages") => (S::Llm, V::Anthropic, E::Messages),
        ("/v1/listen", _) => (S::Stt, V::Deepgram, E::Listen),
        ("/v2/listen", _) => (S::Stt, V::Deepgram, E::Flux),
        ("/v3/ws", _) => (S::Stt, V::AssemblyAi, E::AssemblyAi),
        ("/v1/speak", _) if socket => (S::Tts, V::Deepgram, E::SpeakSocket),
        ("/v1/speak", _) => (S::Tts, V::Deepgram, E::SpeakHttp),
        (_, "stream") if voice => (S::Tts, V::ElevenLabs, E::ElevenStream),
        (_, "with-timestamps") if voice => (S::Tts, V::ElevenLabs, E::ElevenTimed),
        (_, "stream-input") if voice => (S::Tts, V::ElevenLabs, E::ElevenInput),
        (_, "multi-stream-input") if voice => (S::Tts, V::ElevenLabs, E::ElevenMulti),
        ("/tts/websocket", _) => (S::Tts, V::Cartesia, E::Cartesia),
        _ if tail.ends_with(".BidiGenerateContent") => (S::Realtime, V::Gemini, E::Live),
        _ if path.ends_with("/voice-live/realtime") => (S::Realtime, V::OpenAi, E::VoiceLive),
        (_, "realtime") => (S::Realtime, V::OpenAi, E::Realtime),
        ("", _) if socket => (S::Stt, V::Local, E::Vosk),
        _ => return None,
    })
}

impl Endpoint {
    /// Whether it is a WebSocket.
    pub(crate) const fn is_socket(self) -> bool {
        matches!(
            self,
            Self::Listen
                | Self::Flux
                | Self::AssemblyAi
                | Self::Vosk
                | Self::SpeakSocket
                | Self::ElevenInput
                | Self::ElevenMulti
                | Self::Cartesia
                | Self::Realtime
                | Self::VoiceLive
                | Self::Live
        )
    }
}

/// A query's members. A name that is given several times keeps its first value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(HashMap<String, String>);

impl Query {
    pub(crate) fn of(request: &Parts) -> Self {
        let mut members = HashMap::new();
        for (name, value) in form_urlencoded::parse(request.uri.query().unwrap_or("").as_bytes()) {
            members.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Self(members)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether it has this value. Case doesn't matter: some clients write `True`.
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
    }

    /// A number, or the usual value. The error names the member.
    pub(crate) fn number(&self, name: &str, usual: f64) -> Result<f64, String> {
        match self.get(name) {
            None => Ok(usual),
            Some(text) => text.parse().map_err(|_| format!("{name} must be a number")),
        }
    }
}

/// Whether a request shows the right key in the header that this provider wants.
pub(crate) fn allowed(vendor: Vendor, headers: &HeaderMap, query: &Query, key: Option<&Key>) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = |scheme: &str| {
        let (found, rest) = header("authorization")?.split_once(' ')?;
        found.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let shown = match vendor {
        Vendor::Local => return true,
        Vendor::Cohere => scheme("Bearer"),
        Vendor::OpenAi => scheme("Bearer").or_else(|| header("api-key")),
        Vendor::Gemini => header("x-goog-api-key").or_else(|| query.get("key")),
        Vendor::Anthropic => header("x-api-key").or_else(|| scheme("Bearer")),
        Vendor::Deepgram => scheme("Token").or_else(|| scheme("Bearer")),
        Vendor::ElevenLabs => header("xi-api-key"),
        // The key stands alone; with `Bearer` before it, it is another key.
        Vendor::AssemblyAi => header("authorization").or_else(|| query.get("token")),
        Vendor::Cartesia => header("x-api-key").or_else(|| scheme("Bearer")).or_else(|| query.get("api_key")),
    };
    let bare = vendor != Vendor::AssemblyAi || shown.is_some_and(|shown| !shown.contains(' '));
    shown.is_some_and(|shown| bare && !shown.is_empty() && key.is_none_or(|key| key.is(shown)))
}
