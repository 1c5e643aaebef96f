//! A caller who was to be handed over, and whom nobody took: back to the agent, who knows what was said before.

use std::sync::Arc;
use std::time::Duration;

use offhook_conversation::EndReason;
use offhook_media_line::CallConfig;
use offhook_stage_api::tools::TRANSFER;
use offhook_stage_api::{Content, Delivery, Entry, ToolResult};

use super::CallRegistry;
use super::call_record::Line;
use super::live_call::LiveCall;

/// A caller comes back so often; beyond, nobody will ever take them.
const MOST: u32 = 5;
/// Twilio may ask what is next before the stream's end was dealt with: so long that is waited for.
const LEFT_WITHIN: Duration = Duration::from_secs(2);
/// A call that goes on may last so long at least.
const LEFT_AT_LEAST: Duration = Duration::from_secs(60);

/// What is known of transfers that nobody took.
#[derive(Clone, Debug, Default)]
pub(super) struct Returns {
    count: u32,
    /// The number that was called last, and what the agent is told of it.
    last: Option<(String, &'static str)>,
    /// The conversation of the stream that was left, if it is known to the letter.
    history: Vec<Entry>,
    /// The call was left in the middle: an earlier process ended, or the call's own code broke.
    cut_off: bool,
    /// How often it was.
    cut_offs: u32,
    /// The time of the call that the streams before have taken.
    pub(super) before: Duration,
}

impl Returns {
    /// The begin of the stream that runs, on the call's clock, in milliseconds.
    pub(super) fn before_ms(&self) -> u64 {
        super::live_call::millis(self.before)
    }
}

/// What became of a transfer that was not taken, by Twilio's `DialCallStatus`, in words for the agent.
const fn in_words(became: &str) -> &'static str {
    match became.as_bytes() {
        b"busy" => "the line was busy. The caller is back with you",
        b"no-answer" => "nobody answered. The caller is back with you",
        b"canceled" => "the call was called off. The caller is back with you",
        _ => "the number could not be reached. The caller is back with you",
    }
}

impl LiveCall {
    /// Nobody took the transfer. False if the agent can't have the caller back: the call is over, or this was so too often.
    pub(crate) fn come_back(&self, became: &str) -> bool {
        let mut record = self.record();
        if record.over || record.returns.count >= MOST {
            return false;
        }
        let number = record.transferred_to.take().unwrap_or_default();
        let since = record.first_stream.map_or(Duration::ZERO, |first| first.elapsed());
        record.returns.count += 1;
        record.returns.cut_off = false;
        record.returns.last = Some((number, in_words(became)));
        record.returns.before = since;
        true
    }

    /// The call was left in the middle, `before` after its begin. Gives how often that was so.
    pub(super) fn was_cut_off(&self, before: Duration) -> u32 {
        let mut record = self.record();
        let returns = &mut record.returns;
        returns.count += 1;
        returns.cut_offs += 1;
        returns.cut_off = true;
        returns.before = before;
        returns.cut_offs
    }

    /// How often it was left so.
    pub(super) fn cut_offs(&self) -> u32 {
        self.record().returns.cut_offs
    }

    /// Whether it was, and may go on.
    pub(crate) fn is_cut_off(&self) -> bool {
        let record = self.record();
        record.returns.cut_off && record.returns.cut_offs <= MOST && !record.over && !record.talking
    }

    /// Keeps the conversation, in case that nobody takes the caller.
    pub(crate) fn remember(&self, history: Vec<Entry>) {
        let mut record = self.record();
        if record.ended == Some(EndReason::Transferred) {
            record.returns.history = history;
        }
    }

    /// Makes what a stream is served with fit one that isn't the call's first.
    pub(super) fn go_on_from(&self, config: &mut Arc<CallConfig>) {
        let (taken, cut_off) = {
            let record = self.record();
            (record.returns.before, record.returns.cut_off)
        };
        let before = if cut_off { self.said_before() } else { self.before() };
        if before.is_empty() {
            return;
        }
        let config = Arc::make_mut(config);
        let conversation = config.conversation_mut();
        conversation.history.before = before;
        conversation.history.cut_off = cut_off;
        // A clock that was set meanwhile, or a call that was nearly over, ends nobody in mid-sentence.
        let left = conversation.timeouts.longest_call.saturating_sub(taken);
        conversation.timeouts.longest_call = left.max(LEFT_AT_LEAST);
    }

    fn said_before(&self) -> Vec<Entry> {
        self.record().transcript.iter().map(|line| Entry::at(said(line), 0)).collect()
    }

    /// Under what name a stream is recorded: the call's later ones beside its first.
    pub(super) fn recorded_as(&self, sid: &str) -> String {
        let before = self.expected().map_or(0, |expected| expected.number);
        let returns = self.record().returns.count;
        match returns + before {
            0 => sid.to_owned(),
            count => format!("{sid}_{}", count + 1),
        }
    }

    /// The conversation before this stream, and that nobody took the transfer. Empty for a call's first stream.
    fn before(&self) -> Vec<Entry> {
        let record = self.record();
        let Some((number, why)) = &record.returns.last else { return Vec::new() };
        let now = |content| Entry::at(content, 0);
        let mut history: Vec<Entry> = if record.returns.history.is_empty() {
            record.transcript.iter().map(|line| now(said(line))).collect()
        } else {
            // Times are of the stream that was left.
            record.returns.history.iter().map(|entry| now(entry.content.clone())).collect()
        };
        let asked = history.iter().rev().find_map(|entry| match &entry.content {
            Content::ToolCall(call) if call.name == TRANSFER => Some(call.id.clone()),
            _ => None,
        });
        let answered = |id: &String| {
            let is =
                |entry: &Entry| matches!(&entry.content, Content::ToolResult(result) if result.id == *id);
            history.iter().any(is)
        };
        let failed = match asked.filter(|id| !answered(id)) {
            Some(id) => Content::ToolResult(ToolResult {
                id,
                name: TRANSFER.to_owned(),
                outcome: Err((*why).to_owned()),
            }),
            // The application wanted it, not the agent.
            None => Content::TransferFailed { to: number.clone(), why: (*why).to_owned() },
        };
        history.push(now(failed));
        history
    }
}

fn said(line: &Line) -> Content {
    let text = line.text.clone();
    let delivery = if line.interrupted { Delivery::Interrupted } else { Delivery::Heard };
    if line.who == "caller" { Content::Caller { text } } else { Content::Agent { text, delivery } }
}

impl CallRegistry {
    /// Waits until the stream that the caller was taken from is left, but not for long.
    pub(crate) async fn until_left(&self, live: &LiveCall) {
        let left = async {
            while live.record().talking {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(LEFT_WITHIN, left).await.is_err() {
            tracing::warn!(call = ?live.sid(), "a transfer is over, and the stream before it still isn't");
        }
    }
}

#[cfg(test)]
mod tests {
    use offhook_conversation::{CallEvent, UtteranceKind};
    use offhook_stage_api::ToolCall;
    use offhook_stage_api::id::UtteranceId;
    use offhook_twilio::calls::CallStatus;

    use super::super::live_call::tests::about;
    use super::*;

    fn contents(history: Vec<Entry>) -> Vec<Content> {
        history.into_iter().map(|entry| entry.content).collect()
    }

    #[test]
    fn who_comes_back_is_known_and_it_is_told_why() {
        let live = LiveCall::new(about(None), Some("CA1".into()), CallStatus::InProgress);
        assert!(live.before().is_empty());
        let text = "I will put you through.".to_owned();
        live.on_event(
            0,
            &CallEvent::Said {
                utterance: UtteranceId(1),
                what: UtteranceKind::Reply,
                heard: text.clone(),
                text: text.clone(),
                interrupted: false,
                timed: false,
            },
        );
        live.record().transferred_to = Some("+14155550191".into());
        assert!(live.come_back("no-answer"));
        let said = Content::Agent { text, delivery: Delivery::Heard };
        assert_eq!(
            contents(live.before()),
            [
                said,
                Content::TransferFailed {
                    to: "+14155550191".into(),
                    why: "nobody answered. The caller is back with you".into(),
                },
            ]
        );
        assert_eq!(live.recorded_as("CA1"), "CA1_2");
        // What the agent itself asked for stands there already, and gets its result.
        live.record().ended = Some(EndReason::Transferred);
        let call = |id: &str, name: &str| {
            let arguments = serde_json::json!({});
            Content::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments })
        };
        let result = |id: &str, name: &str, outcome| {
            Content::ToolResult(ToolResult { id: id.into(), name: name.into(), outcome })
        };
        let failed = |id| {
            let why = "the line was busy. The caller is back with you";
            result(id, TRANSFER, Err(why.to_owned()))
        };
        let mut before =
            vec![call("1", "look_up"), result("1", "look_up", Ok("4".into())), call("2", TRANSFER)];
        live.remember(before.iter().cloned().map(|content| Entry::at(content, 7)).collect());
        assert!(live.come_back("busy"));
        before.push(failed("2"));
        assert_eq!(contents(live.before()), before);
        // Asked for once more.
        before.push(call("3", TRANSFER));
        live.remember(before.iter().cloned().map(|content| Entry::at(content, 7)).collect());
        assert!(live.come_back("busy"));
        before.push(failed("3"));
        assert_eq!(contents(live.before()), before);
    }

    #[test]
    fn nobody_comes_back_for_ever() {
        let live = LiveCall::new(about(None), None, CallStatus::InProgress);
        assert_eq!((0..10).filter(|_| live.come_back("busy")).count(), MOST as usize);
        let live = LiveCall::new(about(None), None, CallStatus::InProgress);
        live.conclude();
        assert!(!live.come_back("busy"));
    }
}
