//! What a provider wants back with a tool's result and the call's history has no room for: thoughts, signed or encrypted, that led to
//! the tool call. It is kept for one call, by one link: nobody else can read it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// Tool calls whose thoughts are kept; providers want those since the caller last spoke.
const MOST_KEPT: usize = 32;
/// Octets of thoughts that are kept for one tool call.
const LONGEST: usize = 256 * 1024;

/// What is kept, by the ids of tool calls. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<VecDeque<(String, Value)>>>);

impl Memory {
    /// Keeps what belongs to this tool call.
    pub(crate) fn keep(&self, call: &str, value: Value) {
        if value.to_string().len() > LONGEST {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(id, _)| id != call);
        if kept.len() >= MOST_KEPT {
            kept.pop_front();
        }
        kept.push_back((call.to_owned(), value));
    }

    /// What was kept for this tool call.
    pub(crate) fn of(&self, call: &str) -> Option<Value> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(id, _)| id == call).map(|(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_and_the_longest_never_kept() {
        let memory = Memory::default();
        for nth in 0..=MOST_KEPT {
            memory.keep(&nth.to_string(), Value::from(nth));
        }
        memory.keep("long", "x".repeat(LONGEST).into());
        assert_eq!((memory.of("0"), memory.of("1")), (None, Some(Value::from(1))));
        assert_eq!(memory.of("long"), None);
    }
}
