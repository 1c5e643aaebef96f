//! The agent: what stands in a language model's place.

use offhook_stage_api::{Content, Entry, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, ToolCall};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Tx};

const NUMBERS: [&str; 8] = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
const DAYS: [&str; 10] = [
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "today", "tomorrow", "tonight",
];

/// Asks for a day and a number of people, books a table, and hangs up. Keeps nothing: all that it knows is in the history of
/// each request, as the caller heard it.
pub(crate) struct Booking;

impl Llm for Booking {
    fn name(&self) -> &str {
        "booking"
    }

    fn run(
        &self,
        _call: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let LlmCommand::Respond(request) = command else { continue };
                for event in answer(&request) {
                    if events.send(event).await.is_err() {
                        return Ok(()); // the call is over
                    }
                }
            }
            Ok(())
        })
    }
}

fn answer(request: &ReplyRequest) -> Vec<LlmEvent> {
    let reply = request.reply;
    let words: Vec<String> = request.history.iter().filter_map(said).flat_map(|text| split(&text)).collect();
    let day = words.iter().rev().find(|word| DAYS.contains(&word.as_str()));
    let people = words.iter().rev().find_map(|word| {
        let spelled = NUMBERS.iter().position(|number| number == word).map(|at| at + 1);
        spelled.or_else(|| word.parse().ok())
    });
    let (delta, over) = match (day, people) {
        _ if request.reason == ReplyReason::Greeting => {
            ("Blue Door restaurant, good day. For which day, and for how many people?".to_owned(), false)
        }
        (None, _) => ("For which day, please?".to_owned(), false),
        (_, None) => ("For how many people? You can also press a key.".to_owned(), false),
        (Some(day), Some(people)) => (format!("A table for {people}, {day}. It is booked. Goodbye!"), true),
    };
    let mut events = vec![LlmEvent::Text { reply, delta }];
    if over {
        events.push(LlmEvent::Tool { reply, call: ToolCall::end_call() });
    }
    events.push(LlmEvent::Done { reply });
    events
}

/// What the caller said or keyed.
fn said(entry: &Entry) -> Option<String> {
    match &entry.content {
        Content::Caller { text } => Some(text.to_lowercase()),
        Content::Digits { digits } => Some(digits.reveal().to_owned()),
        _ => None,
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use offhook_stage_api::{ReplyId, ToolUse};

    use super::*;

    fn asked(said: &[&str]) -> String {
        let turn = |text: &&str| Entry::at(Content::Caller { text: (*text).to_owned() }, 0);
        let reason = ReplyReason::Caller { text: said.last().unwrap().to_string(), confidence: None };
        let request = ReplyRequest {
            reply: ReplyId(1),
            reason,
            history: said.iter().map(turn).collect(),
            language: None,
            tools: ToolUse::Auto,
            speculative: false,
        };
        format!("{:?}", answer(&request))
    }

    #[test]
    fn it_asks_for_what_it_lacks_and_books() {
        assert!(asked(&["Two people."]).contains("which day"));
        assert!(asked(&["On Friday."]).contains("how many"));
        let booked = asked(&["Two people.", "No, three. On Friday."]);
        assert!(booked.contains("A table for 3, friday.") && booked.contains("end_call"), "{booked}");
    }
}
