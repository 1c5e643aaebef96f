//! What stands between a call and its model.

use offhook_stage_api::{LlmCommand, LlmEvent};

/// Sees each command on its way to a call's model, and may answer in the model's place: a person who takes the call over.
pub trait Interceptor: Send + Sync {
    /// Takes a command. Called on the call's worker; must not block.
    fn intercept(&self, command: LlmCommand) -> Intercepted;
}

/// What became of a command.
#[derive(Debug)]
pub enum Intercepted {
    /// The model gets this.
    Passed(LlmCommand),
    /// It knows nothing of it; the call gets these as if they were the model's.
    Answered(Vec<LlmEvent>),
}
