//! What is known of a call: from its beginning, and as it goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use offhook_conversation::{EndReason, ReplyTiming};
use offhook_session::ControlSender;
use offhook_twilio::calls::{AnsweredBy, CallStatus};
use serde::Serialize;

use super::back::Returns;
use super::config::OnMachine;
use super::outcome::Outcome;
use super::story::Story;

/// Lines kept of a transcript, and timings of replies; the oldest go.
const MOST_LINES: usize = 1_000;
pub(super) const MOST_TIMINGS: usize = 200;

/// What is known of a call from its beginning.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct About {
    /// Ours, and nobody can guess it: ties Twilio's requests to the call.
    #[serde(skip)]
    pub(crate) reference: String,
    pub(crate) direction: &'static str,
    pub(crate) agent: String,
    pub(crate) to: String,
    pub(crate) from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<Arc<str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parameters: Arc<BTreeMap<String, String>>,
    #[serde(skip)]
    pub(crate) on_machine: OnMachine,
    /// Twilio judges whether a machine answers, and one is to be left a message.
    #[serde(skip)]
    pub(crate) awaits_beep: bool,
    #[serde(skip)]
    pub(crate) longest: Option<Duration>,
    /// Whose it is from its beginning; of a call that comes in, its routing tells.
    #[serde(skip)]
    pub(crate) tenant: String,
    /// Seconds since 1970.
    #[serde(serialize_with = "as_unix")]
    pub(crate) since: SystemTime,
}

impl About {
    /// The number at the other end.
    pub(crate) fn party(&self) -> &str {
        if self.direction == "inbound" { &self.from } else { &self.to }
    }
}

/// Seconds since 1970.
pub(super) fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn as_unix<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(unix(*time))
}

/// One thing said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) t_ms: u64,
    pub(crate) who: &'static str,
    pub(crate) text: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) interrupted: bool,
}

/// What changes while it lasts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CallRecord {
    pub(crate) sid: Option<String>,
    pub(crate) status: CallStatus,
    /// A stream runs: somebody can be talked to.
    pub(crate) talking: bool,
    /// The keys that the caller pressed after their latest words were a yes, or were none.
    #[serde(skip)]
    pub(crate) agreed_by_key: Option<bool>,
    /// BCP 47 tag of the language that is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answered_by: Option<AnsweredBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<EndReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_s: Option<u64>,
    /// Why the network refused (`SipResponseCode`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sip_code: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) troubles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transferred_to: Option<String>,
    /// What the end of the call carries along for what comes after it.
    #[serde(skip)]
    pub(crate) handoff: Option<serde_json::Value>,
    pub(crate) transcript: Vec<Line>,
    pub(crate) replies: Vec<ReplyTiming>,
    /// The newest status callback: they may come out of order.
    #[serde(skip)]
    pub(super) sequence: Option<u64>,
    #[serde(skip)]
    pub(super) control: Option<ControlSender>,
    #[serde(skip)]
    pub(super) was_cut: bool,
    #[serde(skip)]
    pub(super) first_stream: Option<Instant>,
    #[serde(skip)]
    pub(super) returns: Returns,
    /// For the call's document.
    #[serde(skip)]
    pub(super) story: Story,
    #[serde(skip)]
    pub(super) ended_at: Option<SystemTime>,
    #[serde(skip)]
    pub(crate) over: bool,
}

impl CallRecord {
    /// Of a call of which nothing else is known yet.
    pub(super) fn new(sid: Option<String>, status: CallStatus) -> Self {
        Self {
            sid,
            status,
            talking: false,
            agreed_by_key: None,
            language: None,
            answered_by: None,
            ended: None,
            outcome: None,
            duration_s: None,
            sip_code: None,
            troubles: Vec::new(),
            transferred_to: None,
            handoff: None,
            transcript: Vec::new(),
            replies: Vec::new(),
            sequence: None,
            control: None,
            was_cut: false,
            first_stream: None,
            returns: Returns::default(),
            story: Story::default(),
            ended_at: None,
            over: false,
        }
    }

    /// Whether a stream ever began.
    pub(super) const fn began(&self) -> bool {
        self.first_stream.is_some()
    }

    /// Adds a line to the transcript, unless it is empty.
    pub(super) fn say(&mut self, t_ms: u64, who: &'static str, text: String, interrupted: bool) {
        if !text.trim().is_empty() {
            push(&mut self.transcript, Line { t_ms, who, text, interrupted }, MOST_LINES);
        }
    }
}

/// Adds to a list that keeps the newest so many.
pub(super) fn push<T>(list: &mut Vec<T>, item: T, most: usize) {
    if list.len() >= most {
        list.remove(0);
    }
    list.push(item);
}
