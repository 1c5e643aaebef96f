//! Calls of a process that has ended: they go on where they were heard.
//!
//! With a folder for records, what was said is written after every turn. A server that starts finds the calls that its predecessor left
//! in the middle; Twilio, whose streams are gone, asks what is next, and each is connected again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use offhook_twilio::calls::CallStatus;
use serde::{Deserialize, Serialize};

use super::CallRegistry;
use super::call_record::{About, Line, unix};
use super::config::OnMachine;
use super::live_call::LiveCall;

/// Twilio asks what is next within seconds: a call that was left longer ago has ended otherwise.
const LEFT_WITHIN: Duration = Duration::from_secs(120);
/// What is read of a file at most: a transcript's longest.
const LONGEST: u64 = 4 * 1024 * 1024;

/// What a call needs to go on.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    sid: String,
    agent: String,
    #[serde(default)]
    tenant: String,
    outbound: bool,
    to: String,
    from: String,
    goal: Option<String>,
    parameters: BTreeMap<String, String>,
    /// Seconds since 1970.
    since: u64,
    transcript: Vec<Said>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Said {
    caller: bool,
    text: String,
    interrupted: bool,
}

impl LiveCall {
    /// What the call needs to go on in another process.
    pub(super) fn to_be_resumed(&self) -> Option<(String, Vec<u8>)> {
        let tenant = self.tenant();
        let record = self.record();
        let about = &self.about;
        let sid = record.sid.clone()?;
        let said = |line: &Line| Said {
            caller: line.who == "caller",
            text: line.text.clone(),
            interrupted: line.interrupted,
        };
        let kept = Kept {
            sid: sid.clone(),
            agent: about.agent.clone(),
            tenant,
            outbound: about.direction != "inbound",
            to: about.to.clone(),
            from: about.from.clone(),
            goal: about.goal.as_deref().map(str::to_owned),
            parameters: BTreeMap::clone(&about.parameters),
            since: unix(about.since),
            transcript: record.transcript.iter().map(said).collect(),
        };
        drop(record);
        Some((sid, serde_json::to_vec(&kept).ok()?))
    }
}

impl CallRegistry {
    /// Takes in the calls that an earlier process has left in the middle. Gives their `CallSid`s.
    pub(crate) fn resume(&self) -> Vec<String> {
        let mut resumed = Vec::new();
        for keeper in self.keeper.iter().chain(self.tenants.keepers()) {
            for path in keeper.left_in_the_middle() {
                match read(&path) {
                    Some(kept) => {
                        tracing::info!(call = %kept.sid, "the call was left in the middle: it goes on if Twilio connects it again");
                        resumed.push(kept.sid.clone());
                        let live = Arc::new(self.live_again(kept));
                        self.index().add(&live);
                    }
                    None => keeper.forget(path),
                }
            }
        }
        resumed
    }

    fn live_again(&self, kept: Kept) -> LiveCall {
        let about = About {
            reference: String::new(),
            direction: if kept.outbound { "outbound" } else { "inbound" },
            agent: kept.agent,
            to: kept.to,
            from: kept.from,
            goal: kept.goal.map(Into::into),
            parameters: Arc::new(kept.parameters),
            on_machine: OnMachine::GoOn,
            awaits_beep: false,
            longest: None,
            tenant: kept.tenant,
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(kept.since),
        };
        let prices = self.prices(&about.tenant);
        let live =
            LiveCall::new(about, Some(kept.sid), CallStatus::InProgress).priced(&prices).on(self.bus());
        for line in kept.transcript {
            let who = if line.caller { "caller" } else { "agent" };
            live.record().say(0, who, line.text, line.interrupted);
        }
        live.was_cut_off();
        live
    }
}

/// `None`: too old, or no such file.
fn read(path: &Path) -> Option<Kept> {
    let metadata = std::fs::metadata(path).ok()?;
    let fresh = metadata.modified().ok()?.elapsed().is_ok_and(|age| age < LEFT_WITHIN);
    let whole = fresh && metadata.is_file() && metadata.len() < LONGEST;
    serde_json::from_slice(&whole.then(|| std::fs::read(path).ok())??).ok()
}
