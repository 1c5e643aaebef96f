//! Shortening what lies far back.

use offhook_stage_api::{Content, Entry};

/// Entries at the end that are never touched: what was just said.
const KEPT: usize = 4;
/// Characters kept of what the caller said in an entry, and of what the agent said.
const CALLER_CHARS: usize = 160;
const AGENT_CHARS: usize = 60;

/// If the entries' text is longer than `most_chars`: how many of the oldest (of the first `movable`) become one summary, and the
/// summary. Down to half the limit, so that this is rare. A call of a tool and its result stay together. A summary is shortened like
/// the rest; the oldest lines go first when even the summary is too long.
pub(super) fn roll_up<'a>(
    entries: impl Iterator<Item = &'a Entry> + Clone,
    movable: usize,
    most_chars: usize,
) -> Option<(usize, Entry)> {
    let total: usize = entries.clone().map(chars).sum();
    let len = entries.clone().count();
    if total <= most_chars {
        return None;
    }
    let most = movable.min(len.saturating_sub(KEPT));
    let (mut rest, mut count) = (total, 0);
    for entry in entries.clone().take(most) {
        if count >= 2 && rest <= most_chars / 2 {
            break;
        }
        rest -= chars(entry);
        count += 1;
    }
    // No call is parted from its result.
    while count > 0 && splits_a_call(&entries, count) {
        count -= 1;
    }
    if count < 2 {
        return None;
    }
    let old = entries.take(count);
    let began_ms = old.clone().next().map_or(0, |entry| entry.began_ms);
    let ended_ms = old.clone().last().map_or(0, |entry| entry.ended_ms);
    let mut lines: Vec<String> = old.filter_map(line).collect();
    let room = most_chars / 4;
    let length = |line: &String| line.chars().count() + 1;
    let mut long: usize = lines.iter().map(length).sum();
    let mut first = 0;
    while first + 1 < lines.len() && long > room {
        long -= lines.get(first).map_or(0, length);
        first += 1;
    }
    let text = lines.split_off(first).join("\n");
    Some((count, Entry { content: Content::Summary { text }, began_ms, ended_ms }))
}

fn splits_a_call<'a>(entries: &(impl Iterator<Item = &'a Entry> + Clone), count: usize) -> bool {
    let calls = entries.clone().take(count).filter_map(|entry| match &entry.content {
        Content::ToolCall(call) => Some(&call.id),
        _ => None,
    });
    calls.into_iter().any(|id| {
        let answers =
            |entry: &Entry| matches!(&entry.content, Content::ToolResult(result) if result.id == *id);
        !entries.clone().take(count).any(answers)
    })
}

fn chars(entry: &Entry) -> usize {
    match &entry.content {
        Content::Caller { text }
        | Content::Agent { text, .. }
        | Content::Note { text }
        | Content::Summary { text } => text.chars().count(),
        Content::TransferFailed { to, why } => to.len() + why.chars().count(),
        Content::ToolCall(call) => call.name.len() + call.arguments.to_string().chars().count(),
        Content::ToolResult(result) => match &result.outcome {
            Ok(text) | Err(text) => text.chars().count(),
        },
        Content::Digits { digits } => digits.reveal().len(),
    }
}

fn line(entry: &Entry) -> Option<String> {
    Some(match &entry.content {
        Content::Summary { text } => text.clone(),
        Content::Caller { text } => format!("Caller: {}", shortened(text, CALLER_CHARS)),
        Content::Agent { text, .. } => format!("Agent: {}", shortened(text, AGENT_CHARS)),
        Content::ToolCall(call) => {
            format!("Tool {}: {}", call.name, shortened(&call.arguments.to_string(), AGENT_CHARS))
        }
        Content::ToolResult(result) => match &result.outcome {
            Ok(text) => format!("Result of {}: {}", result.name, shortened(text, CALLER_CHARS)),
            Err(why) => format!("{} failed: {}", result.name, shortened(why, CALLER_CHARS)),
        },
        Content::Digits { digits } => format!("Caller keyed {} digits", digits.reveal().len()),
        Content::TransferFailed { .. } | Content::Note { .. } => {
            shortened(&entry.content.note()?, CALLER_CHARS)
        }
    })
}

/// At most so many characters, cut between words.
fn shortened(text: &str, most: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= most {
        return text;
    }
    let cut: String = text.chars().take(most).collect();
    let words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    format!("{words} …")
}

#[cfg(test)]
mod tests {
    use offhook_stage_api::{Delivery, ToolCall, ToolResult};

    use super::*;

    fn said(n: u64, text: String) -> Entry {
        let content = if n.is_multiple_of(2) {
            Content::Caller { text }
        } else {
            Content::Agent { text, delivery: Delivery::Heard }
        };
        Entry { content, began_ms: n * 10, ended_ms: n * 10 + 1 }
    }

    fn roll(entries: &mut Vec<Entry>, most: usize) {
        if let Some((count, summary)) = roll_up(entries.iter(), entries.len(), most) {
            entries.splice(..count, [summary]);
        }
    }

    #[test]
    fn what_lies_far_back_gets_short_and_the_rest_stays() {
        let mut entries = Vec::new();
        for n in 0..200u64 {
            entries.push(said(n, format!("turn {n} {}", "wörd ".repeat(30))));
            let last = entries.last().cloned();
            roll(&mut entries, 4_000);
            assert!(entries.iter().map(chars).sum::<usize>() <= 4_000 + 200);
            assert_eq!(entries.last().cloned(), last);
            let summary = |entry: &Entry| matches!(entry.content, Content::Summary { .. });
            assert!(!entries.iter().skip(1).any(summary));
            assert!(entries.windows(2).all(|pair| pair[0].ended_ms <= pair[1].began_ms));
        }
        assert!(matches!(&entries[0].content, Content::Summary { text } if text.contains("Caller: turn 1")));
    }

    #[test]
    fn a_call_and_its_result_stay_together() {
        let call = ToolCall { id: "c1".into(), name: "find".into(), arguments: serde_json::json!({"q": 1}) };
        let result = ToolResult { id: "c1".into(), name: "find".into(), outcome: Ok("x".repeat(900)) };
        let mut entries = vec![
            said(0, "a".repeat(900)),
            said(1, "b".repeat(900)),
            Entry::at(Content::ToolCall(call), 20),
            said(3, "One moment.".into()),
            Entry::at(Content::ToolResult(result), 40),
            said(5, "It is seven.".into()),
            said(6, "Thanks".into()),
            said(7, "Bye".into()),
        ];
        roll(&mut entries, 1_000);
        let parted = (0..entries.len()).any(|count| {
            let call = entries[..count].iter().any(|entry| matches!(entry.content, Content::ToolCall(_)));
            let result = entries[count..].iter().any(|entry| matches!(entry.content, Content::ToolResult(_)));
            call && result && matches!(entries[0].content, Content::Summary { .. }) && count == 1
        });
        assert!(!parted, "{entries:?}");
        assert!(matches!(entries[0].content, Content::Summary { .. }));
    }
}
