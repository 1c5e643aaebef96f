//! A call whose client plays Twilio: the console's, or a test's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use offhook_twilio::calls::CallStatus;
use serde::Deserialize;

use super::CallRegistry;
use super::call_record::About;
use super::config::OnMachine;
use super::live_call::LiveCall;
use super::place::{LONGEST_GOAL, MOST_PARAMETERS, reference};
use crate::tenants::Scope;

/// A stream that does not begin within this never will: the tokens are too old by then.
pub(crate) const BEGINS_WITHIN: Duration = Duration::from_secs(90);
/// Longest name of a party, and of a parameter and its value.
const LONGEST_NAME: usize = 256;

/// A call that a client wants to play.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TestCall {
    /// Who answers; else who answers all calls.
    agent: Option<String>,
    from: Option<String>,
    to: Option<String>,
    goal: Option<String>,
    parameters: BTreeMap<String, String>,
}

impl CallRegistry {
    /// Makes the call known: its agent and parameters are settled before its webhook asks.
    ///
    /// # Errors
    /// What is wrong with the wish.
    pub(crate) fn announce(&self, wish: TestCall, scope: &Scope) -> Result<Arc<LiveCall>, String> {
        let names = self.agents_of(scope);
        let agent = wish.agent.unwrap_or_else(|| names.first().cloned().unwrap_or_default());
        let served = self
            .agent_of(scope, &agent)
            .ok_or_else(|| format!("there is no agent `{agent}` here, only {}", names.join(", ")))?;
        if wish.goal.as_ref().is_some_and(|goal| goal.chars().count() > LONGEST_GOAL) {
            return Err(format!("the goal is longer than {LONGEST_GOAL} characters"));
        }
        if wish.parameters.len() > MOST_PARAMETERS {
            return Err(format!("there are more than {MOST_PARAMETERS} parameters"));
        }
        let parties = [&wish.from, &wish.to].into_iter().flatten();
        let texts = wish.parameters.iter().flat_map(|(name, value)| [name, value]).chain(parties);
        if texts.into_iter().any(|text| text.chars().count() > LONGEST_NAME) {
            return Err(format!("a number or a parameter is longer than {LONGEST_NAME} characters"));
        }
        let random = || reference().ok_or("the system has no randomness to give");
        let about = About {
            reference: random()?,
            direction: "inbound",
            agent,
            to: wish.to.unwrap_or_else(|| "+14155550101".to_owned()),
            from: wish.from.unwrap_or_else(|| "+14155550100".to_owned()),
            goal: wish
                .goal
                .filter(|goal| !goal.trim().is_empty())
                .map(Into::into)
                .or_else(|| served.agent.goal.clone()),
            parameters: Arc::new(wish.parameters),
            on_machine: OnMachine::GoOn,
            awaits_beep: false,
            longest: None,
            tenant: scope.tenant().to_owned(),
            since: SystemTime::now(),
        };
        let live = LiveCall::new(about, Some(format!("CA{}", random()?)), CallStatus::Queued);
        let live = Arc::new(live.priced(&self.prices(scope.tenant())).on(self.bus()));
        self.index().add(&live);
        Ok(live)
    }

    /// Gives a test call up whose stream never began.
    pub(crate) fn give_up(&self, live: &LiveCall) {
        let began = live.record().began();
        if !began && !live.is_over() {
            live.record().status = CallStatus::Canceled;
            live.conclude();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_with_a_typo_is_refused() {
        assert!(serde_json::from_str::<TestCall>(r#"{"agnt":"pizza"}"#).is_err());
        let wish: TestCall = serde_json::from_str(r#"{"parameters":{"name":"Ann"}}"#).unwrap();
        assert_eq!(wish.parameters["name"], "Ann");
    }
}
