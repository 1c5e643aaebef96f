//! Speech-to-text providers one after the other.

mod fallback;
mod ring;

use offhook_stage_api::{SttCommand, SttEvent};

use crate::Chain;
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Stt, Tx};

/// Speech-to-text providers in the order in which they are tried, as one.
///
/// One listens at a time. When it fails, or the final transcript of a pause is due for too long, the next is given the sound of the
/// open turn, up to 30 s of it, and what was asked about it; it hears that faster than it was spoken, and a provider that can't
/// take it so fast must keep it. After the turn, the first link that is well listens again. When all have failed,
/// the call is notified once, and they are tried again after 0.5 s, then 1 s, up to 4 s.
pub type SttChain = Chain<dyn Stt>;

impl Stt for SttChain {
    fn name(&self) -> &str {
        self.joined_name()
    }

    fn wants_audio(&self) -> bool {
        self.links().iter().any(|link| link.stage.wants_audio())
    }

    fn sends_partials(&self) -> bool {
        self.links().iter().all(|link| link.stage.sends_partials())
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
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let fallback = fallback::SttFallback::new(self.share(), call, events);
        Box::pin(async move {
            // Nobody reads what was heard: the call is over.
            let _over = fallback.serve(commands).await;
            Ok(())
        })
    }
}
