//! ConversationRelay under a conversation: Twilio hears and speaks, words come in, words go out. Without I/O.
//!
//! What Twilio decides here is taken as it comes: when the caller's turn is over, and when the agent is interrupted. What is left to
//! find out is what was heard: [`ledger`](self) of the pieces sent, played and cut.
#![forbid(unsafe_code)]

mod caller;
mod hints;
mod ledger;
mod line;
mod sending;
mod wire;

use std::sync::Arc;

use offhook_conversation::{Call, ConversationConfig};

pub use line::RelayLine;
pub use wire::{RelayInput, RelayWire};

/// A call over ConversationRelay.
pub type RelayCall = Call<RelayLine>;

/// A call over ConversationRelay that hasn't begun. [`Input::Start`](offhook_conversation::Input::Start) is the first session's setup;
/// the next ones after a [`RelayInput::Lost`] are [`RelayInput::Back`].
#[must_use]
pub fn relay_call(config: impl Into<Arc<ConversationConfig>>) -> RelayCall {
    let config = config.into();
    let line = RelayLine::new(&config.language).with_hints(config.hints_message.as_deref());
    Call::on(line, config, false)
}
