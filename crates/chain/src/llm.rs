//! Language models one after the other.

mod open;
mod replies;

use offhook_stage_api::{LlmCommand, LlmEvent};

use crate::Chain;
use crate::race::serve;
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Tx};

/// The note that ends the request for a continuation, after the agent's entry with what was already said.
pub const GO_ON: &str = "A fault cut your answer off there; the caller has heard all that stands there. Say only what comes after \
                         it. Repeat nothing of it, and don't mention the fault.";

/// Language models in the order in which they are tried, as one.
///
/// A reply goes to the first link that is well. If it fails before a sentence was passed on, the next gets the same request. If it
/// fails later, the next is asked to go on: its request's history ends with what was said, as an interrupted entry of the
/// agent's, and with [`GO_ON`] as a note. What its answer repeats of that is taken away. If nobody can go on, the
/// reply fails where its last whole sentence ended. A reply that has asked for tools is not gone on with: it
/// is done, the tools' results lead to the next.
pub type LlmChain = Chain<dyn Llm>;

impl Llm for LlmChain {
    fn name(&self) -> &str {
        self.joined_name()
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
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let replies = replies::Replies::new(self.share(), call, events);
        Box::pin(async move {
            // Nobody reads what the chain says: the call is over.
            let _over = serve(replies, commands).await;
            Ok(())
        })
    }
}
