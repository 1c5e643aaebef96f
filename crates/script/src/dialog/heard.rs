//! What the history says of a dialog's state: what the caller heard, and what of theirs is unanswered.

use offhook_stage_api::tools::TRANSFER;
use offhook_stage_api::{Content, Delivery, Entry, ReplyReason};

use super::{Answer, Dialog};
use crate::words::tokens;

impl Dialog {
    /// The same state, knowing what the caller heard: `history` is the conversation as it reached the caller's ear. A
    /// caller who interrupts the read-back can't have agreed to what was not yet said.
    #[must_use]
    pub fn as_heard(&self, history: &[Entry]) -> Self {
        let mut same = self.clone();
        let before = history.iter().rev().skip_while(|entry| !is_agent(entry));
        let cut = before.take_while(|entry| is_agent(entry)).find_map(|entry| match &entry.content {
            Content::Agent { text, delivery: Delivery::Interrupted } => Some(text),
            _ => None,
        });
        same.cut_short = cut.is_some_and(|text| tokens(text).len() < needed(&self.said));
        let since = history.iter().rev().take_while(|entry| !matches!(entry.content, Content::Caller { .. }));
        let failed = since.into_iter().find_map(|entry| match &entry.content {
            Content::ToolResult(result) => Some(result.name == TRANSFER && result.outcome.is_err()),
            Content::TransferFailed { .. } => Some(true),
            _ => None,
        });
        same.is_back = failed == Some(true);
        same
    }

    /// Where the conversation stands after this history, which was held before this state was.
    #[must_use]
    pub fn carried_on(&self, history: &[Entry]) -> Self {
        let mut now = self.respond(&ReplyReason::Greeting).1;
        for (index, entry) in history.iter().enumerate() {
            if let Some(said) = said_by_caller(entry) {
                now = now.as_heard(history.get(..=index).unwrap_or(history)).respond(&said).1;
            }
        }
        now
    }

    /// The answer to a request, and the state that follows if it is heard. What the caller said and keyed since the agent's last
    /// words is heard in its order, each once.
    #[must_use]
    pub fn answer(&self, history: &[Entry], reason: &ReplyReason) -> (Answer, Self) {
        let now = self.as_heard(history);
        let entries = match reason {
            ReplyReason::Greeting | ReplyReason::Tool => Vec::new(),
            ReplyReason::Caller { .. } | ReplyReason::Digits(_) => self.unanswered(history),
        };
        let mut said: Vec<_> = entries.iter().filter_map(said_by_caller).collect();
        // The reason is in the history too; where it isn't, it came first, for something was said since.
        match said.iter_mut().rev().find(|said| is_same(said, reason)) {
            Some(said) => said.clone_from(reason),
            None => said.insert(0, reason.clone()),
        }
        let mut said = said.iter();
        let Some(first) = said.next() else { return now.respond(reason) };
        let (mut answer, mut next) = now.respond(first);
        for reason in said {
            let understood = (next.misses, next.unheard) <= (now.misses, now.unheard);
            let (later, after) = next.respond(reason);
            let missed = (after.misses, after.unheard) > (next.misses, next.unheard);
            // What isn't understood beside something that is asks for nothing.
            if !(understood && missed) {
                let tools = std::mem::take(&mut answer.tools);
                answer = later;
                answer.tools.splice(..0, tools);
                next = after;
            }
        }
        next.answered = entries;
        (answer, next)
    }

    /// What the caller said and keyed since the agent's last words. An answer of which not a word was heard leaves none, and was
    /// given all the same.
    fn unanswered(&self, history: &[Entry]) -> Vec<Entry> {
        let from = history.iter().rposition(is_agent).map_or(0, |at| at + 1);
        let since = history.iter().skip(from).filter(|entry| said_by_caller(entry).is_some());
        since.filter(|entry| !self.answered.contains(entry)).cloned().collect()
    }
}

const fn is_agent(entry: &Entry) -> bool {
    matches!(entry.content, Content::Agent { .. })
}

/// What the caller said or keyed, as a reason to answer.
fn said_by_caller(entry: &Entry) -> Option<ReplyReason> {
    match &entry.content {
        Content::Caller { text } => Some(ReplyReason::Caller { text: text.clone(), confidence: None }),
        Content::Digits { digits } => Some(ReplyReason::Digits(digits.clone())),
        _ => None,
    }
}

/// Whether both are the same words or keys.
fn is_same(said: &ReplyReason, reason: &ReplyReason) -> bool {
    match (said, reason) {
        (ReplyReason::Caller { text: said, .. }, ReplyReason::Caller { text, .. }) => {
            said.trim() == text.trim()
        }
        (said, reason) => said == reason,
    }
}

/// How many words of a read-back must be heard before a "yes" can mean it: all but the question at its end; of a single
/// sentence three quarters.
fn needed(said: &str) -> usize {
    match said.rsplit_once(". ") {
        Some((before, _)) => tokens(before).len(),
        None => tokens(said).len() * 3 / 4,
    }
}
