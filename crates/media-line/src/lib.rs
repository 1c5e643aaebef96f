//! The telephone under a conversation: the caller's frames become speech events, the agent's text becomes frames, and what of them was
//! heard is known to the word. Over Twilio Media Streams, without I/O.
//!
//! - `inbound`: gaps filled, conditioned, voice activity, keys in the sound
//! - `caller`: all of these as speech, keys and silence
//! - `echo`: whether the line returns the agent's own voice
//! - `voice`: text cut into pieces for text-to-speech, and its sound
//! - `playout`: the ledger of what was sent and what of it was heard; marks, pacing, ducking
//! - `outbound`: the voice's sound becomes μ-law
//! - `line`: all of them as a [`Line`](offhook_conversation::line::Line)
#![forbid(unsafe_code)]

mod caller;
pub mod config;
mod echo;
mod histogram;
mod inbound;
mod line;
mod outbound;
mod playout;
mod totals;
mod voice;
mod wire;

use std::sync::Arc;

use offhook_conversation::Call;

pub use config::{CallConfig, CallMode};
pub use histogram::Histogram;
pub use inbound::InboundTotals;
pub use line::MediaLine;
pub use playout::PlayoutTotals;
pub use totals::LineTotals;
pub use wire::{MarkName, MediaInput, MediaWire};

/// A call over Media Streams.
pub type MediaCall = Call<MediaLine>;

/// A call over Media Streams that hasn't begun. Calls of the same kind may share a configuration.
#[must_use]
pub fn media_call(config: impl Into<Arc<CallConfig>>) -> MediaCall {
    let config = config.into();
    let conversation = Arc::clone(&config.conversation);
    let passive = config.mode == CallMode::Echo;
    Call::on(MediaLine::new(config), conversation, passive)
}
