//! Recognisers one after the other.

mod ear;
mod ring;

use std::sync::Arc;

use offhook_stage_api::{SttCommand, SttEvent};

use super::{Link, name_of};
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Stt, Tx};

/// Recognisers in the order in which they are tried, as one.
///
/// One listens at a time. When it fails, or owes the final transcript of a pause for too long, the next is given the sound of the
/// open turn, up to 30 s of it, and what was asked about it; it hears that faster than it was spoken, and whoever can't
/// take it so fast must keep it. After the turn, the first link that is well listens again. When all have failed,
/// the call is told once, and they are tried again after 0.5 s, then 1 s, up to 4 s.
#[derive(Clone, Debug)]
pub struct SttChain {
    links: Arc<[Link<dyn Stt>]>,
    name: String,
}

impl SttChain {
    /// A chain of these links.
    ///
    /// # Errors
    /// If there are none.
    pub fn new(links: Vec<Link<dyn Stt>>) -> Result<Self, StageError> {
        let name = name_of(&links, "stt", Stt::name)?;
        Ok(Self { links: links.into(), name })
    }

    /// The links, for metrics.
    #[must_use]
    pub fn links(&self) -> &[Link<dyn Stt>] {
        &self.links
    }
}

impl Stt for SttChain {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants_audio(&self) -> bool {
        self.links.iter().any(|link| link.stage.wants_audio())
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let ear = ear::Ear::new(Arc::clone(&self.links), call, events);
        Box::pin(async move {
            // Nobody reads what was heard: the call is over.
            let _over = ear.serve(commands).await;
            Ok(())
        })
    }
}
