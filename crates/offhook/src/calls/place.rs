//! Placing a call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use offhook_twilio::calls::{CallStatus, MachineDetection, NewCall, PhoneNumber};
use serde::Deserialize;

use super::CallRegistry;
use super::call_record::About;
use super::config::{Detection, OnMachine};
use super::live_call::LiveCall;
use crate::rest::RestError;
use crate::serve::address::PublicBase;
use crate::tenants::Scope;

/// Longest goal, in characters, and most parameters.
pub(super) const LONGEST_GOAL: usize = 4_000;
pub(super) const MOST_PARAMETERS: usize = 50;
/// Twilio ends the call so much after we would: a farewell's time.
const GRACE: Duration = Duration::from_secs(30);

/// A call that is wanted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) to: PhoneNumber,
    pub(crate) from: Option<PhoneNumber>,
    pub(crate) agent: Option<String>,
    pub(crate) goal: Option<String>,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) machine_detection: Option<Detection>,
    pub(crate) on_machine: Option<OnMachine>,
    pub(crate) ring_for_s: Option<u64>,
    pub(crate) longest_s: Option<u64>,
}

/// Why a call was not placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPlaced {
    /// The order can't be carried out as it is.
    #[error("{0}")]
    Wrong(String),
    /// The number may not be called.
    #[error("{0} may not be called: `allow` in [outbound] doesn't have it")]
    NotAllowed(PhoneNumber),
    /// The server isn't set up for it.
    #[error("{0}")]
    NotReady(String),
    /// A limit is reached.
    #[error("no call is placed now: `{0}` in [limits] is reached")]
    Limit(&'static str),
    /// Twilio.
    #[error(transparent)]
    Twilio(#[from] RestError),
}

impl CallRegistry {
    /// Places a call. `base` is where Twilio reaches us.
    pub(crate) async fn place(
        self: &Arc<Self>,
        order: Order,
        scope: &Scope,
        base: &PublicBase,
    ) -> Result<Arc<LiveCall>, NotPlaced> {
        let Some(rest) = self.rest(scope.tenant()) else {
            return Err(NotPlaced::NotReady(
                "this server has no access to Twilio's API: set `account_sid` in [twilio] (or TWILIO_ACCOUNT_SID), and an API \
                 key or the auth token"
                    .into(),
            ));
        };
        if base.is_local() && !rest.is_local() {
            return Err(NotPlaced::NotReady(
                "Twilio can't reach this server, so nobody would talk: set `public_url` to where it is reached from the internet"
                    .into(),
            ));
        }
        let (new, live) = self.prepare(order, scope, base)?;
        if let Some(bound) = self.limit_reached(scope.tenant(), &live.about.to) {
            return Err(NotPlaced::Limit(bound));
        }
        self.index().add(&live);
        let is_known = |sid: &str| self.call(sid).is_some();
        let follow = || drop(tokio::spawn(Arc::clone(self).see_to_end(Arc::clone(&live), new.clone())));
        match rest.place(&new, is_known).await {
            Ok(placed) => {
                follow();
                if self.index().bind(&live.about.reference, &placed.sid).is_none() {
                    tracing::warn!(call = placed.sid, "Twilio told another SID before for this call");
                }
                if let Some(status) = CallStatus::parse(&placed.status) {
                    // A callback may have come first, and knows more.
                    let mut record = live.record();
                    if record.status == CallStatus::Queued {
                        record.status = status;
                    }
                }
                Ok(live)
            }
            // Its first callback came meanwhile.
            Err(_) if live.sid().is_some() => {
                follow();
                Ok(live)
            }
            Err(error) => {
                if matches!(error, RestError::Unclear { .. }) {
                    follow();
                } else {
                    live.record().status = CallStatus::Failed;
                    live.conclude();
                }
                Err(error.into())
            }
        }
    }

    fn prepare(
        &self,
        order: Order,
        scope: &Scope,
        base: &PublicBase,
    ) -> Result<(NewCall, Arc<LiveCall>), NotPlaced> {
        let wrong = |what: String| Err(NotPlaced::Wrong(what));
        let config = self.outbound(scope.tenant());
        // Who may not be asked for is told before who may not be called: the first is about the order itself.
        let names = self.agents_of(scope);
        let agent = order.agent.unwrap_or_else(|| names.first().cloned().unwrap_or_default());
        let Some(served) = self.agent_of(scope, &agent) else {
            return wrong(format!(
                "there is no agent `{agent}` here, only {}; see `agents` in [outbound]",
                names.join(", ")
            ));
        };
        if !config.allows(&order.to) {
            return Err(NotPlaced::NotAllowed(order.to));
        }
        // The account's other numbers are other tenants'.
        let shares =
            scope.only().is_some_and(|name| self.tenant(name).is_none_or(|tenant| tenant.rest.is_none()));
        if shares && order.from.as_ref().is_some_and(|from| config.from.as_ref() != Some(from)) {
            return wrong(
                "calls are placed from the number in [tenant.outbound]: give no other `from`".into(),
            );
        }
        let Some(from) = order.from.or_else(|| config.from.clone()) else {
            return wrong("no calling number: give `from`, or set it in [outbound]".into());
        };
        if order.goal.as_ref().is_some_and(|goal| goal.chars().count() > LONGEST_GOAL) {
            return wrong(format!("the goal is longer than {LONGEST_GOAL} characters"));
        }
        if order.parameters.len() > MOST_PARAMETERS {
            return wrong(format!("there are more than {MOST_PARAMETERS} parameters"));
        }
        let ring_for = order.ring_for_s.map_or(config.ring_for, Duration::from_secs);
        if !(Duration::from_secs(5)..=Duration::from_secs(600)).contains(&ring_for) {
            return wrong("`ring_for_s` must be 5 to 600".into());
        }
        let longest = order.longest_s.map_or(config.longest, Duration::from_secs);
        if !(Duration::from_secs(10)..=Duration::from_secs(4 * 3_600)).contains(&longest) {
            return wrong("`longest_s` must be 10 to 14400, which is Twilio's limit of 4 h".into());
        }
        let Some(reference) = reference() else {
            return Err(NotPlaced::NotReady("the system has no randomness to give".into()));
        };
        let url = |path: &str| base.url(&format!("{path}?ref={reference}"));
        let on_machine = order.on_machine.unwrap_or_else(|| config.on_machine.clone());
        let machine = match order.machine_detection.unwrap_or(config.machine_detection) {
            Detection::Off => None,
            detection => Some(MachineDetection {
                wait_for_end: detection == Detection::WaitForEnd,
                callback: url("/amd"),
            }),
        };
        let new = NewCall {
            to: order.to.clone(),
            from: from.clone(),
            url: url("/voice"),
            status_callback: url("/status"),
            ring_for,
            time_limit: Some(longest + GRACE),
            machine,
        };
        let about = About {
            reference,
            direction: "outbound",
            agent,
            to: order.to.to_string(),
            from: from.to_string(),
            goal: order
                .goal
                .filter(|goal| !goal.trim().is_empty())
                .map(Into::into)
                .or_else(|| served.agent.goal.clone()),
            parameters: Arc::new(order.parameters),
            awaits_beep: new.machine.is_some() && matches!(on_machine, OnMachine::LeaveMessage(_)),
            on_machine,
            longest: Some(longest),
            tenant: scope.tenant().to_owned(),
            since: SystemTime::now(),
        };
        Ok((
            new,
            Arc::new(
                LiveCall::new(about, None, CallStatus::Queued)
                    .priced(&self.prices(scope.tenant()))
                    .on(&self.bus)
                    .documented(self.makes_documents()),
            ),
        ))
    }
}

/// 128 bits that nobody can guess.
pub(super) fn reference() -> Option<String> {
    crate::serve::random().ok()
}
