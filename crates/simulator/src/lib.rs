//! Twilio's side of a call, simulated: fetches TwiML, streams audio, plays out, returns marks, measures.
//!
//! - [`place`] runs one call against any Media Streams or ConversationRelay server, over real sockets, in real time
//! - [`load`] runs many calls at once, and measures what their callers would notice
//! - [`Messages`] writes what Twilio sends; no I/O
//! - [`relay_messages`] are the same for ConversationRelay
//! - [`Playout`] is Twilio's outbound buffer: plays, returns marks, clears; no I/O
//! - [`Script`] is the caller: says lines when it is their time; no I/O
#![forbid(unsafe_code)]

mod http;
mod line;
pub mod load;
mod messages;
mod notify;
mod place;
mod playout;
mod relay;
mod report;
mod script;
mod trust;
mod way;

pub use messages::Messages;
pub use place::{CallPlan, PlaceError, Progress, place, place_typed};
pub use playout::{Gap, Playout, Tick};
pub use relay::messages as relay_messages;
pub use report::{CallReport, Reply, Spoken, Talkspurt, has_voice};
pub use script::{Line, Say, Script, When};
pub use trust::trust;
