//! Voices one after the other.

mod open;
mod spoken;
mod utterances;

use offhook_stage_api::{TtsCommand, TtsEvent};

use crate::Chain;
use crate::race::serve;
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Tts, Tx};

/// Voices in the order in which they are tried, as one.
///
/// An utterance goes to the first link that is well, and stays with it: voices differ. When it fails, the next speaks what is
/// left, from the first word that wasn't spoken, as far as the words' times, or the length of the sound, show. A
/// segment of which a voice gives no sound, or far less than it takes to speak it, counts as failed.
pub type TtsChain = Chain<dyn Tts>;

impl Tts for TtsChain {
    fn name(&self) -> &str {
        self.joined_name()
    }

    /// The first link's.
    fn voice(&self) -> &str {
        self.links().first().map_or("", |link| link.stage.voice())
    }

    /// The first link's connections; the others are rarely needed.
    fn warm(&self, call: &CallInfo) -> BoxFuture<()> {
        match self.links().first() {
            Some(link) => link.stage.warm(call),
            None => Box::pin(std::future::ready(())),
        }
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let utterances = utterances::Utterances::new(self.share(), call, events);
        Box::pin(async move {
            // Nobody listens to what the chain says: the call is over.
            let _over = serve(utterances, commands).await;
            Ok(())
        })
    }
}
