//! A provider's protocol, as the loop needs it.

use offhook_stages::StageError;
use tokio::time::Instant;

use crate::net::ws::Message;
use crate::tts::segment::Said;

/// What a message from the provider means.
#[derive(Debug)]
pub(in crate::tts) enum Heard {
    /// Of the segment in this context; dropped when there is no such segment any more.
    Of(u32, Said),
    /// Of the segment that is being spoken: the provider doesn't name it.
    Current(Said),
    /// This segment can't be spoken; without a name: the one that is being spoken.
    Failed(Option<u32>, StageError),
}

/// A provider's protocol over one connection: no I/O, no clock.
pub(in crate::tts) trait Dialect: Send {
    /// Where to connect.
    fn url(&self) -> String;
    /// The headers that carry the key.
    fn headers(&self) -> Vec<(&'static str, String)>;
    /// A new connection is there: what was known of the old one is void.
    fn opened(&mut self);
    /// Whether another segment may be sent now. Becomes true by a message, or the connection is replaced.
    fn ready(&self) -> bool;
    /// Whether the connection is better replaced before another segment is sent.
    fn worn(&mut self, _now: Instant) -> bool {
        false
    }
    /// Has a text spoken, to its end, in a new context.
    fn speak(&mut self, context: u32, text: &str, now: Instant) -> Vec<String>;
    /// Stops these contexts, which are all that are open.
    fn cancel(&mut self, contexts: &[u32]) -> Vec<String>;
    /// The last message.
    fn farewell(&self) -> Option<String>;
    /// Reads a message.
    ///
    /// # Errors
    /// The connection is of no more use.
    fn read(&mut self, message: &Message) -> Result<Vec<Heard>, StageError>;
}
