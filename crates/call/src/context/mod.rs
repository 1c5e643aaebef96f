//! The conversation so far, as the caller heard it.

use crate::CallTime;
use crate::config::ContextConfig;
use crate::stage::{Party, Turn};

/// Turns, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    config: ContextConfig,
    turns: Vec<Turn>,
}

impl Context {
    pub(crate) const fn new(config: ContextConfig) -> Self {
        Self { config, turns: Vec::new() }
    }

    pub(crate) fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// Adds a turn. Nothing said is no turn; of two interrupted halves nothing is joined.
    pub(crate) fn push(&mut self, who: Party, text: String, interrupted: bool, began: CallTime) {
        if text.trim().is_empty() {
            return;
        }
        let began_ms = began.since_start().as_millis() as u64;
        self.turns.push(Turn { who, text, interrupted, began_ms });
        self.roll_up();
    }

    /// A late transcript: the caller's latest turn was really this.
    pub(crate) fn correct_caller(&mut self, text: &str) {
        match self.turns.iter_mut().rfind(|turn| turn.who == Party::Caller) {
            Some(turn) => text.clone_into(&mut turn.text),
            None => self.push(Party::Caller, text.to_owned(), false, CallTime::ZERO),
        }
    }

    /// The turns with one more at the end.
    pub(crate) fn with(&self, who: Party, text: &str, began: CallTime) -> Vec<Turn> {
        let mut turns = self.turns.clone();
        if !text.trim().is_empty() {
            let began_ms = began.since_start().as_millis() as u64;
            turns.push(Turn { who, text: text.to_owned(), interrupted: false, began_ms });
        }
        turns
    }

    fn roll_up(&mut self) {
        let mut chars: usize = self.turns.iter().map(|turn| turn.text.len()).sum();
        let mut drop = 0;
        for turn in &self.turns {
            if chars <= self.config.most_chars || drop + 1 >= self.turns.len() {
                break;
            }
            chars -= turn.text.len();
            drop += 1;
        }
        self.turns.drain(..drop);
    }
}
