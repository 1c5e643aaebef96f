//! The conversation so far, as the caller heard it.
//!
//! It grows with the call, and a model's price and delay grow with it. So past a limit its older half is rolled up into one
//! turn that says shortly what was said: the caller's words before the agent's, of which the model knows more anyway.

mod roll_up;

use crate::config::ContextConfig;
use offhook_stage_api::CallTime;
use offhook_stage_api::{Party, Turn};

/// Turns, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    config: ContextConfig,
    turns: Vec<Turn>,
}

impl Context {
    /// Begins with what was said before, if anything was.
    pub(crate) fn new(mut config: ContextConfig) -> Self {
        let mut turns = std::mem::take(&mut config.before);
        roll_up::roll_up(&mut turns, config.most_chars);
        Self { config, turns }
    }

    pub(crate) fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// Adds a turn. Nothing said is no turn; of two interrupted halves nothing is joined.
    pub(crate) fn push(
        &mut self,
        who: Party,
        text: String,
        interrupted: bool,
        (began, ended): (CallTime, CallTime),
    ) {
        if text.trim().is_empty() {
            return;
        }
        self.turns.push(Turn { who, text, interrupted, began_ms: ms(began), ended_ms: ms(ended.max(began)) });
        roll_up::roll_up(&mut self.turns, self.config.most_chars);
    }

    /// A late transcript: the caller's latest turn was really this.
    pub(crate) fn correct_caller(&mut self, text: &str) {
        match self.turns.iter_mut().rfind(|turn| turn.who == Party::Caller) {
            Some(turn) => text.clone_into(&mut turn.text),
            None => {
                self.push(Party::Caller, text.to_owned(), false, (CallTime::ZERO, CallTime::ZERO));
            }
        }
    }

    /// The agent's latest turn was interrupted after these words, if nothing came behind it and it `is_longer`.
    pub(crate) fn cut_agent(&mut self, heard: &str, is_longer: impl Fn(&str) -> bool) {
        let last = self.turns.last_mut().filter(|turn| turn.who == Party::Agent && is_longer(&turn.text));
        if let Some(turn) = last.filter(|_| !heard.is_empty()) {
            heard.clone_into(&mut turn.text);
            turn.interrupted = true;
        }
    }

    /// The turns with one more at the end.
    pub(crate) fn with(&self, who: Party, text: &str, (began, ended): (CallTime, CallTime)) -> Vec<Turn> {
        let mut turns = self.turns.clone();
        if !text.trim().is_empty() {
            turns.push(Turn {
                who,
                text: text.to_owned(),
                interrupted: false,
                began_ms: ms(began),
                ended_ms: ms(ended.max(began)),
            });
        }
        turns
    }
}

fn ms(time: CallTime) -> u64 {
    crate::hearing::ms(time)
}
