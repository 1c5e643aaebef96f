//! The document of a call: everything that is kept of it but its sound and its tape. Version 1.
//!
//! All times within a call, `at_ms` and `until_ms`, are milliseconds since the call's first stream began, the later streams' too, and
//! say when something happened, not when it was found out. Latencies are milliseconds after the end of the caller's speech.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of documents that this release writes. Fields may be added within a version; readers ignore those that they
/// don't know.
pub const VERSION: u32 = 1;

/// Everything that is kept of a call but its sound and its tape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "The document of a call")]
pub struct Document {
    /// The version of this document's form: 1.
    pub version: u32,
    /// The call's id: Twilio's `CallSid`.
    pub id: String,
    /// Counts up with each newer state of the same call.
    pub rev: u64,
    /// Whether the call is over.
    pub state: State,
    /// The server that had the call, by its name in `[store]`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// Whose call it is, where a server answers for several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    /// The route by which its agent was chosen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
    /// The agent's name.
    pub agent: String,
    /// Who called.
    pub direction: Direction,
    /// What carried it.
    pub transport: Transport,
    /// The caller's number.
    pub from: String,
    /// The number that was called.
    pub to: String,
    /// When it was ordered or came in: RFC 3339, UTC.
    pub started_at: String,
    /// The same, in milliseconds since 1970.
    pub started_at_ms: i64,
    /// When its first stream began, in milliseconds since 1970: the zero of the times within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at_ms: Option<i64>,
    /// When it was over, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<i64>,
    /// From its first stream's begin to its last one's end, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// What Twilio says of it: `completed`, `busy`, `no-answer`, …
    pub status: String,
    /// Who answered, if Twilio judged that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// Why the telephone network refused it (SIP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_code: Option<u16>,
    /// Why its last stream ended: `stream_stopped` (the caller hung up), `agent_done`, `caller_silent`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// BCP 47 tag of the language that was spoken in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// What came of the goal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What the agent was given to know.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Whom the caller was handed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transferred_to: Option<String>,
    /// Its streams or sessions: one, and one more each time that a caller came back from a transfer.
    #[serde(default)]
    pub legs: Vec<Leg>,
    /// What was said, in order.
    #[serde(default)]
    pub turns: Vec<Turn>,
    /// Tools that were used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolUse>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Problem>,
    /// How long answers took.
    #[serde(default)]
    pub latency: Latency,
    /// What it used, by provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<String, Usage>,
    /// What that cost, if prices are configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Everything that happened, in order of its finding out.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Events that were left out because there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_left_out: u64,
    /// The `traceparent` (W3C Trace Context) that the call's webhook came with, if it had one: the trace links to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The call's trace, in hexadecimal, if it was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is not over, or nobody lives to say so.
    #[default]
    InProgress,
    /// It is over.
    Over,
    /// Its server ended without a word; the document has what was known some seconds before.
    Lost,
}

/// Who called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The other side.
    #[default]
    Inbound,
    /// We.
    Outbound,
}

/// What carries a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Sound.
    #[default]
    MediaStreams,
    /// Text.
    ConversationRelay,
}

/// What came of a goal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// `achieved`, `refused`, `no_answer`, `voicemail` or `failed`.
    pub verdict: String,
    /// What was learned, by name.
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
    /// The words of the call that prove it, or what happened.
    #[serde(default)]
    pub evidence: String,
    /// The agent said so itself; otherwise it was concluded from how the call went.
    #[serde(default)]
    pub reported: bool,
}

/// A stream or session of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leg {
    /// The name of its tape and recording.
    pub name: String,
    /// When it began.
    pub at_ms: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The person on the phone.
    #[default]
    Caller,
    /// The agent.
    Agent,
}

/// One thing said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Turn {
    /// By whom.
    pub who: Speaker,
    /// When it began.
    pub at_ms: u64,
    /// When it ended.
    pub until_ms: u64,
    /// What was heard: of the caller by us, of the agent by the caller.
    pub text: String,
    /// What the agent would have said, if it was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<String>,
    /// Of the agent's: `greeting`, `reply`, `filler`, `apology`, `check_in`, `farewell`, `announcement`, `keys`, `echo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The other side cut it short.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Of a reply: how long each step to its first sound took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// How long the steps to a reply's first sound took: milliseconds after the end of the caller's speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// Speech-to-text's final transcript came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_ms: Option<u64>,
    /// The end of the turn was decided.
    pub decided_ms: u64,
    /// The reply was requested; before `decided_ms` if on speculation.
    pub requested_ms: u64,
    /// The language model's first words came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_text_ms: Option<u64>,
    /// Text-to-speech's first sound came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_audio_ms: Option<u64>,
    /// The first sound went out.
    pub first_frame_ms: u64,
}

/// A tool that was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolUse {
    /// Its name.
    pub name: String,
    /// When it was asked for.
    pub at_ms: u64,
    /// How long it took; missing if it never came to an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// `asked` (nothing came back), `returned`, `failed`, `cancelled`.
    pub result: String,
}

/// Something that went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// When.
    pub at_ms: u64,
    /// What, and what was done about it.
    pub message: String,
}

/// How long answers took: milliseconds from the end of the caller's speech to the first sound of the reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Replies counted.
    pub replies: u64,
    /// Half of them took no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// 95 % of them took no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<u64>,
    /// The slowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<u64>,
}

impl Latency {
    /// Of these replies.
    #[must_use]
    pub fn of(turns: &[Turn]) -> Self {
        let mut all: Vec<u64> =
            turns.iter().filter_map(|turn| turn.answer.map(|answer| answer.first_frame_ms)).collect();
        all.sort_unstable();
        // The nearest rank.
        let at = |percent: usize| all.get((all.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Self {
            replies: u64::try_from(all.len()).unwrap_or(u64::MAX),
            p50_ms: at(50),
            p95_ms: at(95),
            max_ms: all.last().copied(),
        }
    }
}

/// What was used of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// Requests, or sessions where one connection serves the call.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
    /// Sound sent or received, in milliseconds.
    pub audio_ms: u64,
    /// Tokens read, without those read from the provider's cache.
    pub input_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Characters spoken.
    pub characters: u64,
}

/// What a call cost, in the currency of the configured prices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Of all providers that have a price.
    pub total: f64,
    /// Of each.
    #[serde(default)]
    pub by_provider: BTreeMap<String, f64>,
    /// Providers that were used, but have no price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpriced: Vec<String>,
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When it happened.
    pub at_ms: u64,
    /// What: `speech_started`, `turn_ended`, `speaking`, `said`, `barge_in`, `tool`, `ended`, …
    pub event: String,
    /// What else is known of it. Times in here are of the call's clock too.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// The JSON Schema of [`Document`] (draft 2020-12).
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_nearest_ranks() {
        let turn =
            |ms| Turn { answer: Some(Answer { first_frame_ms: ms, ..Answer::default() }), ..Turn::default() };
        let turns: Vec<Turn> = (1..=20).map(|n| turn(n * 100)).collect();
        let latency = Latency::of(&turns);
        assert_eq!((latency.p50_ms, latency.p95_ms, latency.max_ms), (Some(1_000), Some(1_900), Some(2_000)));
        assert_eq!(Latency::of(&[]), Latency::default());
    }

    /// `UPDATE=1 cargo test` writes it anew.
    #[test]
    fn the_schema_in_the_documentation_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/call-document.schema.json");
        let ours = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &ours).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), ours, "UPDATE=1 writes it");
    }
}
