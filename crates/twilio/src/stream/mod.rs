//! Media Streams messages ("Media Streams - WebSocket Messages", twilio.com/docs/voice/media-streams/websocket-messages).

mod inbound;
mod outbound;

pub use inbound::{Inbound, LONGEST_MESSAGE, MediaIn, MessageError, StartMessage, parse};
pub use outbound::{Outbound, OutboundError, parse_outbound, write_clear, write_mark, write_media};
