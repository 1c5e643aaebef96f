//! All calls of this server that run, or did so lately, and how new ones are placed.

mod back;
mod call_record;
pub(crate) mod config;
mod consent;
mod document;
mod expected;
mod follow;
mod index;
pub(crate) mod live_call;
mod observer;
pub(crate) mod outcome;
mod place;
mod resumed;
mod seat;
mod story;
mod test_call;
mod tools;
mod within;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use offhook_conversation::{Control, EndReason};
use offhook_media_line::CallConfig;
use offhook_objects::Objects;
use offhook_script::Transport;
use offhook_session::{Interceptor, Setup, control};
use offhook_stage_api::Interruptible;
use offhook_stages::CallInfo;
use offhook_store::{Document, Receipt, Store};
use offhook_telemetry::Telemetry;
use offhook_twilio::calls::{AnsweredBy, CallStatus, CallUpdate};
use offhook_twilio::twiml::RelayOptions;

use crate::agents::{Agent, Provider};
use crate::checkpoints::Checkpoints;
use crate::keeper::{Keeper, Written};
use crate::metrics::{CallMetrics, Kept, Providers};
use crate::outbox::Outbox;
use crate::prices::Prices;
use crate::record::Recorder;
use crate::rest::Rest;
use crate::routing::{self, Limits, Load, Spent};
use crate::serve::address::PublicBase;
use crate::serve::metrics::ToolCalls;
use crate::stored::RecordingConfig;
use crate::tenants::{Scope, Tenant, Tenants};
use call_record::About;
use config::{OnMachine, OutboundConfig};
use expected::Expecting;
pub(crate) use expected::{Expected, SessionOfApp};
use index::CallIndex;
use live_call::{Bus, LiveCall};

pub(crate) use observer::CallObserver;
pub(crate) use place::{NotPlaced, Order};
pub(crate) use test_call::{BEGINS_WITHIN, TestCall};
pub(crate) use tools::transfer_document;
pub(crate) use within::Within;

/// An agent with the configuration of its calls.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) agent: Agent,
    pub(crate) call: Arc<CallConfig>,
    /// How Twilio hears and speaks in its calls of text.
    pub(crate) relay: RelayOptions,
}

/// Who answers, who may be asked for, and what it costs.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    pub(crate) first: Arc<Served>,
    pub(crate) others: BTreeMap<String, Arc<Served>>,
    /// Their names, by what the configuration calls them: a file, for instance.
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) prices: Arc<Prices>,
}

impl Roster {
    /// The agents' names; the first answers.
    pub(crate) fn names(&self) -> Vec<String> {
        std::iter::once(&self.first.agent.name).chain(self.others.keys()).cloned().collect()
    }

    /// The agent that answers, in words.
    pub(crate) fn about(&self) -> String {
        format!("{} ({:?})", self.first.agent.name, self.first.agent.stages)
    }
}

/// A call as its socket announces it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced<'a> {
    pub(crate) sid: &'a str,
    pub(crate) parameters: &'a BTreeMap<String, String>,
}

/// Parameters of a stream that are ours, not the agent's.
const OURS: [&str; 1] = [crate::serve::TOKEN];

/// Knows all calls.
#[derive(Debug)]
pub(crate) struct CallRegistry {
    config: OutboundConfig,
    rest: Option<Rest>,
    tenants: Tenants,
    roster: ArcSwap<Roster>,
    keeper: Option<Keeper>,
    /// Where what calls need to go on after a crash is written, if it is.
    checkpoints: Option<Arc<Checkpoints>>,
    /// Where the documents of calls are kept, if they are.
    pub(crate) store: Option<Store>,
    /// Where the files of calls that are over go, if they go anywhere.
    objects: Arc<OnceLock<Objects>>,
    /// Calls are exported as traces, if they are.
    pub(crate) telemetry: Option<Telemetry>,
    /// Whether and how calls' sound is recorded, where no route says otherwise.
    recording: RecordingConfig,
    index: Mutex<CallIndex>,
    metrics: Arc<CallMetrics>,
    expecting: Mutex<Expecting>,
    /// What tools were asked, and what came of it.
    pub(crate) tool_calls: ToolCalls,
    spent: Spent,
    /// What all calls together may take.
    limits: Limits,
    outbox: Option<Outbox>,
    bus: Bus,
    /// The gain in dB that each voice needed in earlier calls, by the voice's name.
    gains: Mutex<BTreeMap<String, f32>>,
}

impl CallRegistry {
    pub(crate) fn new(
        config: OutboundConfig,
        rest: Option<Rest>,
        roster: Roster,
        keeper: Option<Keeper>,
        (store, telemetry): (Option<Store>, Option<Telemetry>),
        recording: RecordingConfig,
    ) -> Self {
        Self {
            config,
            rest,
            tenants: Tenants::default(),
            roster: ArcSwap::from_pointee(roster),
            keeper,
            checkpoints: None,
            store,
            objects: Arc::default(),
            telemetry,
            recording,
            index: Mutex::default(),
            expecting: Mutex::default(),
            tool_calls: ToolCalls::default(),
            spent: Spent::default(),
            limits: Limits::default(),
            outbox: None,
            bus: Bus::default(),
            gains: Mutex::default(),
            metrics: Arc::default(),
        }
    }

    /// The same, with somebody who is told of calls.
    pub(crate) fn telling(mut self, outbox: Option<Outbox>) -> Self {
        self.outbox = outbox;
        self
    }

    /// The same, with tenants, and with what all calls together may take.
    pub(crate) fn with_tenants(mut self, tenants: Tenants, limits: Limits) -> Self {
        (self.tenants, self.limits) = (tenants, limits);
        self
    }

    /// The tenant of this name, if it is more than a word in a route.
    pub(crate) fn tenant(&self, name: &str) -> Option<&Tenant> {
        self.tenants.get(name)
    }

    /// Whom a tenant, or, without a name, the operator may call, and how.
    pub(crate) fn outbound(&self, tenant: &str) -> &OutboundConfig {
        self.tenants.get(tenant).map_or(&self.config, |tenant| &tenant.outbound)
    }

    /// Twilio's API, with a tenant's account, if it has one, else with the server's own.
    pub(crate) fn rest(&self, tenant: &str) -> Option<&Rest> {
        self.tenants.get(tenant).and_then(|tenant| tenant.rest.as_ref()).or(self.rest.as_ref())
    }

    /// Who writes a tenant's calls, if they are written.
    pub(crate) fn keeper(&self, tenant: &str) -> Option<&Keeper> {
        match self.tenants.get(tenant) {
            Some(tenant) => tenant.keeper.as_ref(),
            None => self.keeper.as_ref(),
        }
    }

    /// The folders with calls that may be reached.
    fn folders(&self, scope: &Scope) -> Vec<&std::path::Path> {
        match scope {
            Scope::Operator => self.keeper.iter().chain(self.tenants.keepers()).map(Keeper::folder).collect(),
            // Of a tenant that is but a word in a route there are no tokens, so there is no such scope.
            Scope::Tenant(name) => self.keeper(name).map(Keeper::folder).into_iter().collect(),
        }
    }

    /// The same, with a place for what calls need to go on after a crash.
    pub(crate) fn resumable(mut self, checkpoints: Option<Checkpoints>) -> Self {
        self.checkpoints = checkpoints.map(Arc::new);
        self
    }

    /// Files of calls that are over go there from now on.
    pub(crate) fn move_to(&self, objects: Option<Objects>) {
        if let Some(objects) = objects {
            self.objects.get_or_init(|| objects);
        }
    }

    /// Where they go, if they go anywhere.
    pub(crate) fn objects(&self) -> Option<&Objects> {
        self.objects.get()
    }

    /// What became of what is kept, for `/metrics`.
    pub(crate) fn kept(&self) -> Kept {
        let (store, telemetry) = (self.store.clone(), self.telemetry.clone());
        Kept { store, objects: Arc::clone(&self.objects), telemetry }
    }

    /// What calls' files are encrypted by, if they are.
    fn file_keys(&self) -> Option<&offhook_store::Keys> {
        self.keeper.iter().chain(self.tenants.keepers()).find_map(Keeper::keys)
    }

    /// Tells the application of a call.
    pub(crate) fn tell(&self, kind: &str, live: &LiveCall, data: &serde_json::Value) {
        if let Some(outbox) = &self.outbox {
            outbox.tell(kind, (live.sid().as_deref(), &live.tenant()), data);
        }
    }

    /// Tells the application of the server itself.
    pub(crate) fn tell_of_server(&self, kind: &str, data: &serde_json::Value) {
        if let Some(outbox) = &self.outbox {
            outbox.tell(kind, (None, ""), data);
        }
    }

    /// Events that arrived, and that were given up and written down.
    pub(crate) fn events_told(&self) -> (u64, u64) {
        self.outbox.as_ref().map_or((0, 0), Outbox::counted)
    }

    /// All providers as they are now, each with its agent's name.
    pub(crate) fn providers(&self) -> Vec<(String, Provider)> {
        let roster = self.roster.load();
        let all = std::iter::once(&roster.first).chain(roster.others.values());
        let of = |served: &Arc<Served>| {
            let name = served.agent.name.clone();
            let providers = served.agent.providers.iter().cloned();
            providers.map(move |provider| (name.clone(), provider)).collect::<Vec<_>>()
        };
        all.flat_map(of).collect()
    }

    /// Those who listen to all calls.
    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    /// What is going on besides this call, and was spent today; of a tenant, or, without a name, of all. Calls that are about to begin
    /// count, and what those that go on have taken so far.
    pub(crate) fn load(&self, tenant: &str, (sid, party): (&str, &str), now: SystemTime) -> Load {
        let mut load = Load { today: self.spent.today(tenant, now), ..Load::default() };
        let counts = |of: &str| tenant.is_empty() || of == tenant;
        for live in self.calls().iter().filter(|live| live.is_counted() && counts(&live.tenant())) {
            load.calls += 1;
            load.of_caller += usize::from(live.about.party() == party);
            load.today.length += live.length();
            load.today.money += live.summary_for_record().cost.map_or(0.0, |cost| cost.total);
        }
        let expecting = self.expecting.lock().unwrap_or_else(PoisonError::into_inner).lately();
        for (other, expected) in expecting {
            if other != sid && counts(&expected.facts.tenant) && self.call(&other).is_none() {
                load.calls += 1;
                load.of_caller += usize::from(expected.facts.from == party);
            }
        }
        load
    }

    /// Calls that begin from now on are served so.
    pub(crate) fn replace(&self, roster: Roster) {
        self.roster.store(Arc::new(roster));
    }

    /// What happened in calls.
    pub(crate) fn metrics(&self) -> &CallMetrics {
        &self.metrics
    }

    /// The agents as they are now, each with its providers.
    pub(crate) fn watch_providers(&self, providers: &Providers) {
        let roster = self.roster.load();
        let all = std::iter::once(&roster.first).chain(roster.others.values());
        providers.replace(all.map(|served| (served.agent.name.as_str(), &*served.agent.providers)));
    }

    /// Where calls are written, if they are.
    pub(crate) fn folder(&self) -> Option<&std::path::Path> {
        self.keeper.as_ref().map(Keeper::folder)
    }

    /// What the disk did not take of what calls need to go on.
    pub(crate) fn checkpoint_failures(&self) -> u64 {
        self.checkpoints.as_ref().map_or(0, |checkpoints| checkpoints.failures())
    }

    /// What was written of calls, if anything is.
    pub(crate) fn written(&self) -> Option<&Written> {
        self.keeper.as_ref().map(Keeper::written)
    }

    fn index(&self) -> MutexGuard<'_, CallIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent of this name.
    pub(crate) fn agent(&self, name: &str) -> Option<Arc<Served>> {
        let roster = self.roster.load();
        let name = roster.aliases.get(name).map_or(name, String::as_str);
        if name == roster.first.agent.name {
            return Some(Arc::clone(&roster.first));
        }
        roster.others.get(name).cloned()
    }

    /// The names of the agents that may be asked for; the first answers where none is.
    pub(crate) fn agents_of(&self, scope: &Scope) -> Vec<String> {
        let Some(tenant) = scope.only() else { return self.roster.load().names() };
        let mut names = Vec::new();
        for served in self.tenants.get(tenant).into_iter().flat_map(|tenant| &tenant.agents) {
            let name = self.agent(served).map(|served| served.agent.name.clone());
            names.extend(name.filter(|name| !names.contains(name)));
        }
        names
    }

    /// The agent of this name, if it may be asked for.
    pub(crate) fn agent_of(&self, scope: &Scope, name: &str) -> Option<Arc<Served>> {
        let served = self.agent(name)?;
        let may = scope.only().is_none() || self.agents_of(scope).contains(&served.agent.name);
        may.then_some(served)
    }

    /// Which bound a tenant, or all together, have reached, if one more call is to be.
    pub(crate) fn limit_reached(&self, tenant: &str, party: &str) -> Option<&'static str> {
        let own = self.tenants.get(tenant).map(|of| (&of.limits, tenant));
        let now = SystemTime::now();
        let mut all = [(&self.limits, "")].into_iter().chain(own).filter(|(limits, _)| limits.any());
        all.find_map(|(limits, of)| limits.reached(&self.load(of, ("", party), now)))
    }

    /// Whether any agent's calls are carried so.
    pub(crate) fn carries(&self, transport: Transport) -> bool {
        let roster = self.roster.load();
        let mut all = std::iter::once(&roster.first).chain(roster.others.values());
        all.any(|served| served.agent.transport == transport)
    }

    /// A call's webhook was answered: this serves it once its stream begins.
    pub(crate) fn expect(&self, sid: &str, expected: Expected) -> Arc<Expected> {
        let expected = Arc::new(expected);
        let mut expecting = self.expecting.lock().unwrap_or_else(PoisonError::into_inner);
        expecting.add(sid, Arc::clone(&expected));
        drop(expecting);
        if let Some(live) = self.call(sid).filter(|live| !live.is_over()) {
            live.expect(Arc::clone(&expected));
        }
        expected
    }

    /// What was decided when the call's webhook was answered.
    pub(crate) fn expected(&self, sid: &str) -> Option<Arc<Expected>> {
        self.expecting.lock().unwrap_or_else(PoisonError::into_inner).get(sid)
    }

    /// The agent of a call that may not have begun.
    pub(crate) fn serves_call(&self, sid: &str) -> Arc<Served> {
        match self.expected(sid) {
            Some(expected) => Arc::clone(&expected.template),
            None => self.serves(self.call(sid).as_deref()),
        }
    }

    /// Who serves a call; one that comes in is the first's.
    pub(crate) fn serves(&self, live: Option<&LiveCall>) -> Arc<Served> {
        if let Some(expected) = live.and_then(LiveCall::expected) {
            return Arc::clone(&expected.served);
        }
        let asked_for = live.and_then(|live| self.agent(&live.about.agent));
        asked_for.unwrap_or_else(|| Arc::clone(&self.roster.load().first))
    }

    /// What providers take of a tenant.
    pub(super) fn prices(&self, tenant: &str) -> Arc<Prices> {
        let own = self.tenants.get(tenant).and_then(|tenant| tenant.prices.as_ref());
        own.map_or_else(|| Arc::clone(&self.roster.load().prices), Arc::clone)
    }

    /// How a call behaves.
    fn behaviour(&self, live: &LiveCall) -> Arc<CallConfig> {
        let mut config = Arc::clone(&self.serves(Some(live)).call);
        if let Some(longest) = live.about.longest {
            Arc::make_mut(&mut config).conversation_mut().timeouts.longest_call = longest;
        }
        if live.about.awaits_beep {
            Arc::make_mut(&mut config).conversation_mut().voicemail.expected = true;
        }
        let greeting = config.conversation.phrases.greeting.as_ref().filter(|text| text.contains('{'));
        if let Some(text) = greeting.map(|text| routing::filled(text, &live.variables())) {
            Arc::make_mut(&mut config).conversation_mut().phrases.greeting = Some(text);
        }
        let gains = self.gains.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gain) = gains.get(self.serves(Some(live)).agent.stages.tts.voice()) {
            Arc::make_mut(&mut config).playout.known_gain = Some(*gain);
        }
        drop(gains);
        live.go_on_from(&mut config);
        config
    }

    /// A call is over in which the agent's voice needed this gain, in dB: its next call begins with it.
    pub(crate) fn voice_needed(&self, sid: &str, gain: f32) {
        /// So many voices are remembered.
        const MOST: usize = 256;
        let served = self.serves(self.call(sid).as_deref());
        let mut gains = self.gains.lock().unwrap_or_else(PoisonError::into_inner);
        let voice = served.agent.stages.tts.voice();
        if let Some(known) = gains.get_mut(voice) {
            // A call that ended with another voice counts little.
            *known += (gain - *known) / 4.0;
        } else if gains.len() < MOST {
            gains.insert(voice.to_owned(), gain);
        }
    }

    /// The call of this `CallSid`.
    pub(crate) fn call(&self, sid: &str) -> Option<Arc<LiveCall>> {
        self.index().by_sid(sid)
    }

    /// The call that Twilio speaks of: by our reference where the request has one, which then gets its `CallSid`.
    pub(crate) fn spoken_of(&self, reference: Option<&str>, sid: &str) -> Option<Arc<LiveCall>> {
        match reference {
            Some(reference) => self.index().bind(reference, sid),
            None => self.index().by_sid(sid),
        }
    }

    /// All calls, newest first.
    pub(crate) fn calls(&self) -> Vec<Arc<LiveCall>> {
        self.index().all()
    }

    /// A stream or session begins: makes what to serve it with. `base` is where Twilio reaches us.
    ///
    /// # Errors
    /// If the call's agent is carried by the other transport.
    pub(crate) fn admit(
        self: &Arc<Self>,
        call: Announced<'_>,
        over: Transport,
        base: Option<&PublicBase>,
    ) -> Result<Setup, String> {
        let live = self.call(call.sid).filter(|live| !live.is_over()).unwrap_or_else(|| self.incoming(call));
        let served = self.serves(Some(&live));
        let agent = &served.agent;
        if agent.transport != over {
            return Err(format!(
                "the agent `{}` is not carried so: in its file, or by --transport, it is {:?}",
                agent.name, agent.transport
            ));
        }
        // A call that goes on speaks the language that it spoke.
        let language = live.record().language.get_or_insert_with(|| agent.language.clone()).clone();
        let mut setup = Setup::new(self.behaviour(&live), agent.stages.clone(), &language);
        let theirs = call.parameters.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
        let theirs = theirs.map(|(name, value)| (name.clone(), value.clone()));
        let parameters: BTreeMap<String, String> = theirs.chain(live.variables()).collect();
        setup.parameters = Arc::new(parameters);
        setup.goal.clone_from(&live.about.goal);
        setup.meter = live.meter.clone();
        setup.facts = live.call_facts(&agent.name);
        let (sender, receiver) = control();
        setup.control = Some(receiver);
        setup.interceptor = Some(Arc::clone(&live.seat) as Arc<dyn Interceptor>);
        let info = CallInfo {
            call: call.sid.into(),
            language: language.as_str().into(),
            parameters: Arc::clone(&setup.parameters),
            facts: Arc::clone(&setup.facts),
            ..CallInfo::default()
        };
        let (this, of) = (Arc::clone(self), (Arc::clone(&served), info));
        setup.tools = Some(Arc::new(tools::CallTools::new(this, Arc::clone(&live), base.cloned(), of)));
        crate::logging::serves(call.sid, &agent.name);
        let begins = live.length().is_zero();
        live.begin(sender, over);
        if let Some(checkpoints) = &self.checkpoints {
            live.checkpoint(checkpoints);
        }
        if live.is_recorded() {
            self.store_document(&live);
        }
        // A stream after the first goes on with a call that the application knows.
        if begins {
            self.tell("call_began", &live, &live.summary());
        }
        Ok(setup)
    }

    fn incoming(&self, call: Announced<'_>) -> Arc<LiveCall> {
        let parameter = |name: &str| call.parameters.get(name).cloned().unwrap_or_default();
        let expected = self.expected(call.sid);
        let first = match &expected {
            Some(expected) => Arc::clone(&expected.served),
            None => Arc::clone(&self.roster.load().first),
        };
        let routed_goal = expected
            .as_ref()
            .and_then(|expected| expected.decision.as_ref()?.goal.as_deref())
            .map(Into::into);
        let about = About {
            reference: String::new(),
            direction: "inbound",
            agent: first.agent.name.clone(),
            to: parameter("to"),
            from: parameter("from"),
            goal: routed_goal.or_else(|| first.agent.goal.clone()),
            parameters: Arc::default(),
            on_machine: OnMachine::GoOn,
            awaits_beep: false,
            longest: None,
            tenant: expected.as_ref().map(|expected| expected.facts.tenant.clone()).unwrap_or_default(),
            since: SystemTime::now(),
        };
        let prices = self.prices(&about.tenant);
        let live = LiveCall::new(about, Some(call.sid.to_owned()), CallStatus::InProgress);
        let live = Arc::new(live.priced(&prices).on(&self.bus).documented(self.makes_documents()));
        if let Some(expected) = expected {
            live.expect(expected);
        }
        self.index().add(&live);
        live
    }

    /// Watches the call, for its record and for whoever listens.
    pub(crate) fn watch(&self, sid: &str, over: Transport, show: bool) -> CallObserver {
        let live = self.call(sid);
        let served = self.serves(live.as_deref());
        let config = live.as_ref().map_or_else(|| Arc::clone(&served.call), |live| self.behaviour(live));
        let kept_as = live.as_ref().map_or_else(|| sid.to_owned(), |live| live.recorded_as(sid));
        let names = (kept_as.as_str(), served.agent.name.as_str());
        let routed = live
            .as_ref()
            .and_then(|live| live.expected())
            .and_then(|known| known.decision.as_ref()?.recording);
        let form = routed.unwrap_or(self.recording.form).form().filter(|_| over == Transport::MediaStreams);
        // Of a call that came back the caller knows already.
        let notice = self.recording.notice.clone().filter(|_| form.is_some() && kept_as == sid);
        let tenant = live.as_ref().map(|live| live.tenant()).unwrap_or_default();
        let kept = live.as_ref().is_none_or(|live| live.is_recorded());
        let keeper = self.keeper(&tenant).filter(|_| kept).cloned();
        let recorder = Recorder::new(over, keeper, names, &config, show).with_sound(form, notice);
        CallObserver::new(recorder, live, self.checkpoints.clone(), Arc::clone(&self.metrics))
    }

    /// The stream of this call has ended.
    pub(crate) fn hung_up(&self, sid: &str) {
        let Some(live) = self.call(sid) else { return };
        live.stop_talking();
        // A caller who was handed over is still on the line.
        if live.record().ended != Some(EndReason::Transferred) {
            self.conclude(&live);
        }
    }

    /// Nothing follows any more of this call.
    pub(crate) fn conclude(&self, live: &LiveCall) {
        let is_first = live.conclude();
        if is_first {
            self.account_for(live);
        }
        self.keep(live);
        if is_first {
            self.trace(live);
        }
    }

    /// Exports the call as a trace: once, when it is over.
    fn trace(&self, live: &LiveCall) {
        let Some(sid) = live.sid() else { return };
        if let (Some(telemetry), Some(live)) = (&self.telemetry, self.call(&sid)) {
            let redact = self.store.as_ref().map(Store::redaction).unwrap_or_default();
            let parent = live.traceparent();
            telemetry.put((&sid, parent.as_deref()), move || {
                let mut document = live.document()?;
                redact.apply(&mut document);
                Some(document)
            });
        }
    }

    /// A call is over: what it took is counted, and the application is told.
    fn account_for(&self, live: &LiveCall) {
        let money = live.summary_for_record().cost.map_or(0.0, |cost| cost.total);
        self.spent.add(&live.tenant(), live.length(), money, SystemTime::now());
        self.tell("call_ended", live, &live.snapshot());
    }

    /// Waits until everything that is kept of calls is written, but not for ever. False if it was not.
    pub(crate) fn settle(&self, within: Duration) -> bool {
        let stored = self.store.as_ref().is_none_or(|store| store.settle(within));
        if !stored {
            tracing::warn!("the store can't keep up: not all of the last calls are in it");
        }
        let kept = self.keeper.as_ref().is_none_or(|keeper| keeper.settle(within));
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.settle(within);
        }
        if let Some(outbox) = &self.outbox {
            outbox.settle(within);
        }
        let kept = self.tenants.settle(within) && kept;
        if let Some(objects) = self.objects()
            && !objects.settle(within)
        {
            tracing::warn!("not all files of the last calls were uploaded in time: the next server does it");
        }
        kept && stored
    }

    /// The server ends: all callers hear a goodbye, and their calls are ended.
    pub(crate) fn say_goodbye(&self) {
        for live in self.calls().iter().filter(|live| live.record().talking) {
            let text = self.serves(Some(live)).call.conversation.phrases.too_long.clone();
            // A call that is over needs none.
            let say = Control::Say { text, interruptible: Interruptible::No };
            let _over = live.wish(say).and_then(|()| live.wish(Control::HangUp)).is_err();
        }
    }

    /// The server ends: all streams are closed now.
    pub(crate) fn cut_calls(&self) {
        self.calls().iter().for_each(|live| live.cut());
    }

    /// Hands the call's document to the store, whose thread makes it.
    fn store_document(&self, live: &LiveCall) {
        if let (Some(store), Some(live)) = (&self.store, live.sid().and_then(|sid| self.call(&sid))) {
            let parent = live.traceparent();
            let traces =
                |sid: &String| self.telemetry.as_ref().is_some_and(|on| on.traces(sid, parent.as_deref()));
            let traced = live.sid().filter(traces);
            let trace_id = traced.as_deref().map(offhook_telemetry::trace_id);
            store.put(move || live.document().map(|document| Document { trace_id, ..document }));
        }
    }

    /// Whether anybody is given documents of calls.
    pub(super) const fn makes_documents(&self) -> bool {
        self.store.is_some() || self.telemetry.is_some()
    }

    /// The documents of calls in progress.
    pub(crate) fn in_progress(&self) -> Vec<Document> {
        self.calls().iter().filter(|live| live.record().talking).filter_map(|live| live.document()).collect()
    }

    /// What else is kept of deleted calls, as far as it may be reached: files, objects, events that never arrived. `number`: whose calls
    /// they were, if they were a number's. The receipt is complete then.
    pub(crate) async fn erase(&self, mut receipt: Receipt, scope: &Scope, number: Option<&str>) -> Receipt {
        self.forget(&mut receipt, scope);
        if let Some(outbox) = &self.outbox {
            match outbox.forget(&receipt.ids, number, scope.only()) {
                Ok(events) => receipt.events += events,
                Err(error) => receipt.failures.push(format!("{error:#}")),
            }
        }
        if let Some(objects) = self.objects() {
            crate::objects::delete(objects, &self.folders(scope), &mut receipt).await;
        }
        receipt
    }

    /// A call's sound, tape and files. Gives how many, and their octets.
    fn forget(&self, receipt: &mut Receipt, scope: &Scope) {
        for id in &receipt.ids {
            let mut index = self.index();
            if index.by_sid(id).is_some_and(|live| scope.sees(&live.tenant())) {
                index.forget(id);
                if let Some(checkpoints) = &self.checkpoints {
                    checkpoints.forget(id);
                }
            }
        }
        for folder in self.folders(scope) {
            crate::keeper::delete(folder, receipt);
        }
    }

    /// Writes what is known of a call that is over beside its record; nothing goes on.
    fn keep(&self, live: &LiveCall) {
        if let (Some(checkpoints), Some(sid)) = (&self.checkpoints, live.sid()) {
            checkpoints.forget(&sid);
        }
        if live.is_recorded() {
            self.store_document(live);
        }
        if let (Some(keeper), Some(sid), true) = (self.keeper(&live.tenant()), live.sid(), live.is_recorded())
            && let Ok(bytes) = serde_json::to_vec_pretty(&live.snapshot())
        {
            keeper.save_facts(&sid, bytes);
        }
    }

    /// Takes a status callback.
    pub(crate) fn on_status(
        &self,
        live: &LiveCall,
        status: CallStatus,
        sequence: Option<u64>,
        (duration_s, sip_code): (Option<u64>, Option<u16>),
    ) {
        {
            let mut record = live.record();
            record.duration_s = duration_s.or(record.duration_s);
            record.sip_code = sip_code.or(record.sip_code);
        }
        if live.on_status(status, sequence) && status.is_over() {
            // While its stream still runs, its end tells more.
            if live.record().talking {
                return;
            }
            return self.conclude(live);
        }
        if live.is_over() {
            self.keep(live);
        }
    }

    /// Twilio tells who answered: does what is to be done with a machine.
    pub(crate) async fn on_answered_by(&self, live: &LiveCall, who: AnsweredBy) {
        live.record().answered_by = Some(who);
        live.tell("answered_by", &serde_json::json!({ "answered_by": who }));
        if !who.is_machine() {
            return;
        }
        let outcome = match &live.about.on_machine {
            OnMachine::GoOn => Ok(()),
            OnMachine::LeaveMessage(text) if who != AnsweredBy::Fax => {
                let control = Control::LeaveMessage { text: text.clone(), beeped: who.greeting_is_over() };
                live.wish(control).map_err(|error| error.to_string())
            }
            _ => self.end(live).await,
        };
        if let Err(error) = outcome {
            tracing::warn!(call = ?live.sid(), %error, "a machine answered, but what was to be done could not be");
        }
    }

    /// Ends a call now.
    pub(crate) async fn end(&self, live: &LiveCall) -> Result<(), String> {
        let sid = live.sid().ok_or("Twilio has not told the call's SID yet")?;
        match self.rest(&live.tenant()) {
            Some(rest) => rest.update(&sid, &CallUpdate::End).await.map_err(|error| error.to_string()),
            None => live.wish(Control::HangUp).map_err(|error| error.to_string()),
        }
    }

    /// Asks Twilio how a call stands of which nothing was heard for long: callbacks get lost.
    pub(crate) async fn refresh(&self, live: &LiveCall) {
        let old = live.about.since.elapsed().is_ok_and(|age| age > Duration::from_secs(60));
        if old && !live.is_over() && !live.record().talking {
            self.ask_about(live).await;
        }
    }

    /// Asks Twilio how a call stands.
    async fn ask_about(&self, live: &LiveCall) {
        let (Some(rest), Some(sid)) = (self.rest(&live.tenant()), live.sid()) else { return };
        match rest.fetch(&sid).await {
            Ok(found) => {
                if let Some(status) = CallStatus::parse(&found.status) {
                    self.on_status(live, status, None, (None, None));
                }
            }
            Err(error) => tracing::info!(call = sid, %error, "how the call stands could not be asked"),
        }
    }
}
