//! The last link of every chain of models: a few plain sentences, so that a call ends politely when nobody can think.

use std::sync::Arc;

use offhook_stage_api::tools::END_CALL;
use offhook_stage_api::{Content, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, ToolCall};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Tx};
use serde_json::json;

use super::file::LastWordsTable;

/// Says that it can't think: once in the hope that the trouble passes, then goodbye.
#[derive(Clone, Debug)]
pub(crate) struct LastWords {
    words: Arc<LastWordsTable>,
    /// The number that gets the call at the end.
    transfer: Option<String>,
}

impl LastWords {
    pub(crate) fn new(words: LastWordsTable, transfer: Option<String>) -> Self {
        Self { words: Arc::new(words), transfer }
    }

    /// What is said, and whether the call ends with it. Goes by what was heard, so that it needs no memory.
    fn answer(&self, request: &ReplyRequest) -> (String, bool) {
        if request.reason == ReplyReason::Greeting {
            return (self.words.greeting.clone(), false);
        }
        let latest = request.history.iter().rev().find_map(|entry| match &entry.content {
            Content::Agent { text, .. } => Some(text),
            _ => None,
        });
        let words = &self.words;
        let spoken = request.language.as_deref().and_then(|tag| words.languages.get(tag));
        let (again, goodbye) =
            spoken.map_or((&words.again, &words.goodbye), |words| (&words.again, &words.goodbye));
        let tried = latest.is_some_and(|text| text.contains(again.trim()));
        if tried { (goodbye.clone(), true) } else { (again.clone(), false) }
    }
}

impl Llm for LastWords {
    fn name(&self) -> &str {
        "last-words"
    }

    fn run(
        &self,
        _call: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let this = self.clone();
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let LlmCommand::Respond(request) = command else { continue };
                let reply = request.reply;
                let (delta, over) = this.answer(&request);
                let mut out = vec![LlmEvent::Text { reply, delta }];
                if over {
                    let call = match &this.transfer {
                        Some(number) => ToolCall::transfer(number),
                        None => {
                            ToolCall { id: String::new(), name: END_CALL.to_owned(), arguments: json!({}) }
                        }
                    };
                    out.push(LlmEvent::Tool { reply, call });
                }
                out.push(LlmEvent::Done { reply });
                for event in out {
                    if events.send(event).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use offhook_stage_api::id::ReplyId;
    use offhook_stage_api::{Delivery, Entry, ToolUse};

    use super::*;

    #[test]
    fn the_trouble_may_pass_once() {
        let last = LastWords::new(LastWordsTable::default(), None);
        let turn =
            |text: &str| Entry::at(Content::Agent { text: text.to_owned(), delivery: Delivery::Heard }, 0);
        let ask = |history: Vec<Entry>| {
            let reason = ReplyReason::Caller { text: "hi".to_owned(), confidence: None };
            last.answer(&ReplyRequest {
                reply: ReplyId(1),
                reason,
                history,
                language: None,
                tools: ToolUse::Auto,
                speculative: false,
            })
        };
        let (first, over) = ask(vec![turn("Hello.")]);
        assert!(!over && first == LastWordsTable::default().again);
        assert!(ask(vec![turn("Hello."), turn(&first)]).1);
        assert!(!ask(vec![turn(&first), turn("It works again.")]).1);
    }
}
