//! ConversationRelay messages ("Getting and sending WebSocket messages",
//! twilio.com/docs/voice/conversationrelay/websocket-messages): text both ways; Twilio hears and speaks.
//!
//! A message's kind is its `type`; those of Media Streams have an `event`. The two share no address, because neither can be told
//! from the other before its first message.

pub mod engine;
mod handoff;
mod inbound;
mod outbound;

pub use handoff::{Handoff, SessionStatus};
pub use inbound::{Inbound, Info, LONGEST_MESSAGE, MessageError, SetupMessage, parse};
pub use outbound::{Outbound, OutboundError, Play, RelayDigits, Text, parse_outbound};

/// So many messages in a row that can't be used end the session: Twilio closes the socket with code 1007 and tells of error
/// 64105.
pub const MOST_BAD_IN_A_ROW: u32 = 10;
