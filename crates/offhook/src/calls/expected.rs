//! Calls whose webhook was answered: what is known of them before their stream begins.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_stages::CallFacts;
use offhook_twilio::twiml::RelayAsked;

use super::Served;
use crate::routing::Decision;

/// Calls kept; of more, the oldest go.
const MOST: usize = 4_000;

/// A call whose webhook was answered has begun by then, or never will.
const BEGINS_WITHIN: Duration = Duration::from_secs(20);

/// What serves a call, as was decided when its webhook was answered.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) served: Arc<Served>,
    /// The agent that it was made of.
    pub(crate) template: Arc<Served>,
    pub(crate) facts: Arc<CallFacts>,
    /// Sessions of this call before it.
    pub(crate) number: u32,
    /// The application's session, if the words are an application's.
    pub(crate) session: Option<Box<SessionOfApp>>,
    /// How it was routed, if routing had anything to say.
    pub(crate) decision: Option<Box<Decision>>,
}

impl Expected {
    /// A call that this agent serves as it is.
    pub(crate) fn plain(served: Arc<Served>, facts: CallFacts, decision: Decision) -> Self {
        Self {
            template: Arc::clone(&served),
            served,
            facts: Arc::new(facts),
            number: 0,
            session: None,
            decision: (decision != Decision::default()).then(|| Box::new(decision)),
        }
    }
}

/// A session with an application.
#[derive(Debug)]
pub(crate) struct SessionOfApp {
    /// `VX` and 32 hexadecimal digits.
    pub(crate) id: String,
    pub(crate) asked: RelayAsked,
    pub(crate) began: Instant,
}

impl SessionOfApp {
    pub(crate) fn new(asked: RelayAsked) -> Self {
        Self { id: offhook_providers::relay_app::session_id(), asked, began: Instant::now() }
    }
}

/// The calls that are expected, by their `CallSid`.
#[derive(Debug, Default)]
pub(super) struct Expecting {
    by_sid: HashMap<String, (Arc<Expected>, Instant)>,
    order: VecDeque<String>,
}

impl Expecting {
    pub(super) fn add(&mut self, sid: &str, expected: Arc<Expected>) {
        if self.by_sid.insert(sid.to_owned(), (expected, Instant::now())).is_none() {
            self.order.push_back(sid.to_owned());
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_sid.remove(&oldest);
        }
    }

    pub(super) fn get(&self, sid: &str) -> Option<Arc<Expected>> {
        self.by_sid.get(sid).map(|(expected, _)| Arc::clone(expected))
    }

    /// Those that were answered just now, and may be about to begin.
    pub(super) fn lately(&self) -> Vec<(String, Arc<Expected>)> {
        let known = self.order.iter().rev().filter_map(|sid| self.by_sid.get_key_value(sid));
        let fresh = known.filter(|(_, (_, since))| since.elapsed() < BEGINS_WITHIN);
        fresh.map(|(sid, (expected, _))| (sid.clone(), Arc::clone(expected))).collect()
    }
}
