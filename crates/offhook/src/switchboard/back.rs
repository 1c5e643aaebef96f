//! A caller who was to be handed over, and whom nobody took: back to the agent, who knows what was said before.

use std::sync::Arc;
use std::time::Duration;

use offhook_call::{CallConfig, EndReason};
use offhook_stage_api::tools::TRANSFER;
use offhook_stage_api::{Party, Turn};

use super::Switchboard;
use super::live::Live;

/// A caller comes back so often; beyond, nobody will ever take them.
const MOST: u32 = 5;
/// Twilio may ask what is next before the stream's end was dealt with: so long that is waited for.
const LEFT_WITHIN: Duration = Duration::from_secs(2);

/// What is known of transfers that nobody took.
#[derive(Clone, Debug, Default)]
pub(super) struct Returns {
    count: u32,
    /// The number that was called last, and what the agent is told of it.
    last: Option<(String, &'static str)>,
    /// The conversation of the stream that was left, if it is known to the letter.
    turns: Vec<Turn>,
    /// The time of the call that the streams before have taken.
    pub(super) before: Duration,
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

impl Live {
    /// Nobody took the transfer. False if the agent can't have the caller back: the call is over, or this was so too often.
    pub(crate) fn come_back(&self, became: &str) -> bool {
        let mut facts = self.facts();
        if facts.over || facts.returns.count >= MOST {
            return false;
        }
        let number = facts.transferred_to.take().unwrap_or_default();
        let since = facts.first_stream.map_or(Duration::ZERO, |first| first.elapsed());
        facts.returns.count += 1;
        facts.returns.last = Some((number, in_words(became)));
        facts.returns.before = since;
        true
    }

    /// Keeps the conversation, in case that nobody takes the caller.
    pub(crate) fn remember(&self, turns: Vec<Turn>) {
        let mut facts = self.facts();
        if facts.ended == Some(EndReason::Transferred) {
            facts.returns.turns = turns;
        }
    }

    /// Makes what a stream is served with fit one that isn't the call's first.
    pub(super) fn go_on_from(&self, config: &mut Arc<CallConfig>) {
        let before = self.before();
        if before.is_empty() {
            return;
        }
        let taken = self.facts().returns.before;
        let config = Arc::make_mut(config);
        config.context.before = before;
        config.patience.longest_call = config.patience.longest_call.saturating_sub(taken);
    }

    /// Under what name a stream is recorded: the call's later ones beside its first.
    pub(super) fn recorded_as(&self, sid: &str) -> String {
        match self.facts().returns.count {
            0 => sid.to_owned(),
            count => format!("{sid}_{}", count + 1),
        }
    }

    /// The conversation before this stream, and that nobody took the transfer. Empty for a call's first stream.
    fn before(&self) -> Vec<Turn> {
        let facts = self.facts();
        let Some((number, why)) = &facts.returns.last else { return Vec::new() };
        let turn = |who, text: String, interrupted| Turn { who, text, interrupted, began_ms: 0, ended_ms: 0 };
        let mut turns: Vec<Turn> = if facts.returns.turns.is_empty() {
            let who = |line: &str| if line == "caller" { Party::Caller } else { Party::Agent };
            facts
                .transcript
                .iter()
                .map(|line| turn(who(line.who), line.text.clone(), line.interrupted))
                .collect()
        } else {
            let old = facts.returns.turns.iter();
            old.map(|old| turn(old.who, old.text.clone(), old.interrupted)).collect()
        };
        let mut tools = turns.iter().rev().filter(|turn| turn.who == Party::Tool);
        let asked =
            tools.find_map(|turn| turn.text.strip_prefix(TRANSFER)).is_some_and(|rest| rest.starts_with('('));
        if !asked {
            // The application wanted it, not the agent.
            let arguments = serde_json::json!({ "to": number });
            turns.push(turn(Party::Tool, format!("{TRANSFER}({arguments})"), false));
        }
        turns.push(turn(Party::Tool, format!("{TRANSFER} failed: {why}"), false));
        turns
    }
}

impl Switchboard {
    /// Waits until the stream that the caller was taken from is left, but not for long.
    pub(crate) async fn until_left(&self, live: &Live) {
        let left = async {
            while live.facts().talking {
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
    use offhook_call::{CallEvent, UtteranceKind};
    use offhook_stage_api::id::UtteranceId;
    use offhook_twilio::calls::CallStatus;

    use super::super::live::tests::about;
    use super::*;

    fn texts(turns: &[Turn]) -> Vec<&str> {
        turns.iter().map(|turn| turn.text.as_str()).collect()
    }

    #[test]
    fn who_comes_back_is_known_and_it_is_told_why() {
        let live = Live::new(about(None), Some("CA1".into()), CallStatus::InProgress);
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
        live.facts().transferred_to = Some("+14155550191".into());
        assert!(live.come_back("no-answer"));
        let told = "transfer_call failed: nobody answered. The caller is back with you";
        assert_eq!(texts(&live.before()), [&text, r#"transfer_call({"to":"+14155550191"})"#, told]);
        assert_eq!(live.recorded_as("CA1"), "CA1_2");
        // What the agent itself asked for stands there already, and so do the results of its tools.
        live.facts().ended = Some(EndReason::Transferred);
        let turn = |text: &str| Turn {
            who: Party::Tool,
            text: text.into(),
            interrupted: false,
            began_ms: 7,
            ended_ms: 8,
        };
        live.remember(vec![turn("look_up({})"), turn("look_up: 4"), turn("transfer_call({})")]);
        assert!(live.come_back("busy"));
        let told = "transfer_call failed: the line was busy. The caller is back with you";
        assert_eq!(texts(&live.before()), ["look_up({})", "look_up: 4", "transfer_call({})", told]);
    }

    #[test]
    fn nobody_comes_back_for_ever() {
        let live = Live::new(about(None), None, CallStatus::InProgress);
        assert_eq!((0..10).filter(|_| live.come_back("busy")).count(), MOST as usize);
        let live = Live::new(about(None), None, CallStatus::InProgress);
        live.conclude();
        assert!(!live.come_back("busy"));
    }
}
