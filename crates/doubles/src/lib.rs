//! Doubles of speech and language providers on one port: they speak the providers' protocols, refuse what the providers would
//! refuse, take as long as they take, and fail to order.
//!
//! A double understands nothing: recognisers tell utterances by energy and give them the texts of a [`Script`], each word when
//! its sound has arrived ([`Utterance`]); models answer by its rules, voices hum (or speak by a [`Speaker`]). Everything that is drawn is drawn by a seed.
//!
//! | address | as |
//! | --- | --- |
//! | `…/chat/completions`, `…/audio/speech`, `…/audio/transcriptions`, `…/models` | OpenAI and servers like it |
//! | `…/inference` | whisper.cpp |
//! | `/v1/messages` | Anthropic |
//! | `/v1/listen`, `/v2/listen`, `/v1/speak` | Deepgram Nova, Flux, Aura |
//! | `/v3/ws` | AssemblyAI universal streaming |
//! | `/` (WebSocket) | vosk-server |
//! | `/v1/text-to-speech/{voice}/stream`, `…/stream/with-timestamps`, `…/stream-input`, `…/multi-stream-input` | ElevenLabs |
//! | `/tts/websocket` | Cartesia |
//! | `/v1/realtime` | OpenAI Realtime |
//! | `/_doubles/fault`, `/_doubles/seen` | control: set faults, look at requests |
//!
//! Times are tokio's, so that a test that pauses the clock reaches a limit of ten seconds at once; over
//! [`Doubles::connect`], without a network between, also with the clock running by itself.
#![forbid(unsafe_code)]

mod config;
mod control;
mod fault;
mod hearing;
mod http;
mod latency;
mod llm;
mod quirk;
mod realtime;
mod refusal;
mod route;
mod script;
mod seen;
mod server;
mod socket;
mod speaker;
mod state;
mod stt;
mod syllables;
#[cfg(test)]
mod tests;
mod tts;

pub use config::{DoublesConfig, Key};
pub use fault::{Fault, FaultFile, FaultRule, Moment, Stage};
pub use latency::{Latencies, Pace, Spread};
pub use quirk::Quirk;
pub use script::{Rule, Script, ToolCall, Utterance};
pub use seen::{End, Seen};
pub use server::{Doubles, StartError};
pub use speaker::{Hum, Speaker, Speech, SpokenWord};
