//! Calls of a process that has ended, or whose own code broke: they go on where they were heard.
//!
//! What was said is written after every turn ([`Checkpoints`]). A server that starts finds the calls
//! that its predecessor left in the middle; Twilio, whose streams are gone, asks what is next, and each is connected again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use offhook_twilio::calls::CallStatus;
use serde::{Deserialize, Serialize};

use super::CallRegistry;
use super::call_record::{About, Line, unix};
use super::config::OnMachine;
use super::live_call::LiveCall;
use crate::checkpoints::Checkpoints;

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
    /// What the agent's texts are filled with; applications get them as parameters.
    parameters: BTreeMap<String, String>,
    language: Option<String>,
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
    /// Writes what the call needs to go on in another process, as it stands now. Nothing of one that isn't to be recorded.
    pub(super) fn checkpoint(&self, checkpoints: &Checkpoints) {
        if self.is_recorded()
            && !self.is_over()
            && let Some((sid, bytes)) = self.to_be_resumed()
        {
            checkpoints.save(&sid, bytes);
        }
    }

    /// What the call needs to go on in another process.
    fn to_be_resumed(&self) -> Option<(String, Vec<u8>)> {
        let (variables, tenant) = (self.variables(), self.tenant());
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
            parameters: variables,
            language: record.language.clone(),
            since: unix(about.since),
            transcript: record.transcript.iter().map(said).collect(),
        };
        drop(record);
        Some((sid, serde_json::to_vec(&kept).ok()?))
    }
}

impl CallRegistry {
    /// Takes in calls that an earlier process has left in the middle. Gives their `CallSid`s.
    pub(crate) fn resume(&self, left: &[Vec<u8>]) -> Vec<String> {
        let mut resumed = Vec::new();
        for kept in left.iter().filter_map(|bytes| serde_json::from_slice::<Kept>(bytes).ok()) {
            tracing::info!(call = %kept.sid, "the call was left in the middle: it goes on if Twilio connects it again");
            crate::logging::serves(&kept.sid, &kept.agent);
            resumed.push(kept.sid.clone());
            let live = Arc::new(self.live_again(kept));
            self.index().add(&live);
        }
        resumed
    }

    /// The call's own code broke, and with it its stream: what was said is known, and it goes on if Twilio connects it again. Gives
    /// how often that was so.
    pub(crate) fn broke(&self, live: &LiveCall) -> u32 {
        live.record().troubles.push("a fault of this program broke off the call's stream".to_owned());
        live.stop_talking();
        let before = live.length();
        live.was_cut_off(before)
    }

    /// Ends a call that was cut off for the `count`th time, and is not back.
    pub(crate) fn end_cut_off(&self, live: &LiveCall, count: u32) {
        if live.is_cut_off() && live.cut_offs() == count {
            self.conclude(live);
        }
    }

    fn live_again(&self, kept: Kept) -> LiveCall {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(kept.since);
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
            since,
        };
        let prices = self.prices(&about.tenant);
        let live =
            LiveCall::new(about, Some(kept.sid), CallStatus::InProgress).priced(&prices).on(self.bus());
        for line in kept.transcript {
            let who = if line.caller { "caller" } else { "agent" };
            live.record().say(0, who, line.text, line.interrupted);
        }
        live.record().language = kept.language;
        live.was_cut_off(since.elapsed().unwrap_or_default());
        live
    }
}

#[cfg(test)]
mod tests {
    use super::super::live_call::tests::about;
    use super::*;

    #[test]
    fn a_call_goes_on_after_its_code_broke_and_only_so_often() {
        let live = LiveCall::new(about(None), Some("CA1".into()), CallStatus::InProgress);
        assert!(!live.is_cut_off());
        live.record().say(0, "caller", "two pizzas".into(), false);
        live.record().talking = true;
        live.stop_talking();
        assert_eq!(live.was_cut_off(Duration::from_secs(9)), 1);
        assert!(live.is_cut_off());
        let mut config = Arc::default();
        live.go_on_from(&mut config);
        let history = &config.conversation.history;
        assert!(history.cut_off && history.before.len() == 1, "{history:?}");
        assert_eq!(live.recorded_as("CA1"), "CA1_2");
        for count in 2..=5 {
            assert_eq!(live.was_cut_off(Duration::ZERO), count);
            assert!(live.is_cut_off());
        }
        live.was_cut_off(Duration::ZERO);
        assert!(!live.is_cut_off(), "something breaks it each time");
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let parameters = Arc::new(BTreeMap::from([("name".to_owned(), "Ann".to_owned())]));
        let about = About { parameters, ..about(Some("book a table")) };
        let live = LiveCall::new(about, Some("CA1".into()), CallStatus::InProgress);
        live.record().say(0, "agent", "Hello Ann.".into(), true);
        live.record().language = Some("fr-FR".into());
        let (sid, bytes) = live.to_be_resumed().unwrap();
        let kept: Kept = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            (sid.as_str(), kept.sid.as_str(), kept.language.as_deref()),
            ("CA1", "CA1", Some("fr-FR"))
        );
        assert_eq!((kept.parameters["name"].as_str(), kept.outbound), ("Ann", true));
        assert!(kept.transcript[0].interrupted && !kept.transcript[0].caller);
    }
}
