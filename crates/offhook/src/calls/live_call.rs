//! One call, as the outside sees it: where it stands, what was said, what came of it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use offhook_conversation::{CallEvent, Control};
use offhook_script::Transport;
use offhook_session::{ControlError, ControlSender};
use offhook_stages::{CallFacts, Meter, Usage};
use offhook_twilio::calls::{AnsweredBy, CallStatus};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::back::Returns;
use super::call_record::{About, CallRecord, MOST_TIMINGS, push, unix};
use super::expected::Expected;
use super::outcome::Outcome;
use super::seat::Seat;
use crate::prices::{Cost, Prices};
use crate::record::Summary;

/// Events that a slow reader may lag behind by; beyond, it is told how many it missed.
const EVENTS: usize = 512;

/// Frames of sound that a slow listener may lag behind by: 5 s of both voices.
const SOUND: usize = 512;

/// A call. Shared by the API, the webhooks and the call's own worker.
#[derive(Debug)]
pub(crate) struct LiveCall {
    pub(crate) about: About,
    pub(crate) meter: Meter,
    /// Who answers the caller.
    pub(crate) seat: Arc<Seat>,
    prices: Arc<Prices>,
    record: Mutex<CallRecord>,
    /// Counts the documents made of it.
    pub(super) rev: AtomicU64,
    /// What serves it, where that was decided for this call alone.
    expected: ArcSwapOption<Expected>,
    /// Those who listen to all calls.
    bus: Bus,
    /// Has its room, 28 KiB, once somebody listens: few calls are ever listened to.
    events: OnceLock<broadcast::Sender<Told>>,
    /// The same, for those who listen to the call itself.
    sound: OnceLock<broadcast::Sender<Told>>,
}

/// Those who listen to all calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bus(Arc<OnceLock<broadcast::Sender<Told>>>);

impl Bus {
    /// Everything that happens to any call from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Told> {
        self.0.get_or_init(|| broadcast::channel(EVENTS).0).subscribe()
    }

    fn tell(&self, name: &'static str, live: &LiveCall, data: &impl Serialize) {
        let listeners = self.0.get().filter(|listeners| listeners.receiver_count() > 0);
        if let Some(listeners) = listeners {
            let tenant = live.tenant();
            let event = json!({ "call": live.sid(), "tenant": tenant, "data": data }).to_string();
            // Nobody may listen any more.
            let _unheard = listeners.send(Told { name, data: event.into(), tenant: tenant.into() });
        }
    }
}

/// An event for whoever listens.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) name: &'static str,
    pub(crate) data: Arc<str>,
    /// Whose call it is of, where all calls are listened to.
    pub(crate) tenant: Arc<str>,
}

impl LiveCall {
    pub(crate) fn new(about: About, sid: Option<String>, status: CallStatus) -> Self {
        let (meter, prices) = (Meter::default(), Arc::default());
        Self {
            about,
            meter,
            seat: Arc::default(),
            prices,
            record: Mutex::new(CallRecord::new(sid, status)),
            rev: AtomicU64::new(0),
            expected: ArcSwapOption::empty(),
            bus: Bus::default(),
            events: OnceLock::new(),
            sound: OnceLock::new(),
        }
    }

    /// The same, for those who listen to all calls.
    pub(crate) fn on(mut self, bus: &Bus) -> Self {
        self.bus = bus.clone();
        self
    }

    /// Whose call it is; empty where there are no tenants.
    pub(crate) fn tenant(&self) -> String {
        // A call that was placed, or announced, is whose token asked for it, however it is routed.
        if !self.about.tenant.is_empty() {
            return self.about.tenant.clone();
        }
        self.expected().map(|expected| expected.facts.tenant.clone()).unwrap_or_default()
    }

    /// Whether tape and record of it are kept, where any are.
    pub(crate) fn is_recorded(&self) -> bool {
        self.expected().and_then(|expected| expected.decision.as_ref()?.record).unwrap_or(true)
    }

    /// What its instructions and greeting are filled with, and applications get as parameters.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let routed = self.expected().and_then(|expected| Some(expected.decision.as_ref()?.variables.clone()));
        let mut variables = routed.unwrap_or_default();
        variables.extend(self.about.parameters.iter().map(|(name, value)| (name.clone(), value.clone())));
        variables
    }

    /// Whether it is one of the calls at once: somebody talks, or it was placed and isn't answered yet.
    pub(super) fn is_counted(&self) -> bool {
        let record = self.record();
        record.talking || !record.over && record.first_stream.is_none()
    }

    /// How long its streams have lasted.
    pub(crate) fn length(&self) -> Duration {
        self.record().first_stream.map_or(Duration::ZERO, |first| first.elapsed())
    }

    /// This serves it from now on.
    pub(super) fn expect(&self, expected: Arc<Expected>) {
        self.expected.store(Some(expected));
    }

    /// What serves it, where that was decided for this call alone.
    pub(crate) fn expected(&self) -> Option<Arc<Expected>> {
        self.expected.load_full()
    }

    /// The `traceparent` that its webhook came with.
    pub(crate) fn traceparent(&self) -> Option<String> {
        let known = self.expected()?;
        Some(known.facts.traceparent.clone()).filter(|header| !header.is_empty())
    }

    /// Who and what it is.
    pub(super) fn call_facts(&self, agent: &str) -> Arc<CallFacts> {
        if let Some(expected) = self.expected() {
            return Arc::clone(&expected.facts);
        }
        let about = &self.about;
        Arc::new(CallFacts {
            from: about.from.clone(),
            to: about.to.clone(),
            direction: about.direction.to_owned(),
            agent: agent.to_owned(),
            tenant: about.tenant.clone(),
            ..CallFacts::default()
        })
    }

    /// The same. `documented`: documents are made of it.
    pub(crate) fn documented(self, documented: bool) -> Self {
        self.record().story.unwanted = !documented;
        self
    }

    /// The same, with prices to tell its cost by.
    pub(crate) fn priced(mut self, prices: &Arc<Prices>) -> Self {
        self.prices = Arc::clone(prices);
        self
    }

    /// What is known by now.
    pub(crate) fn record(&self) -> MutexGuard<'_, CallRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sid(&self) -> Option<String> {
        self.record().sid.clone()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.record().over
    }

    /// All of it, as the API shows it.
    pub(crate) fn snapshot(&self) -> Value {
        #[derive(Serialize)]
        struct Snapshot<'a> {
            #[serde(flatten)]
            about: &'a About,
            #[serde(flatten)]
            record: &'a CallRecord,
            #[serde(skip_serializing_if = "String::is_empty")]
            tenant: String,
            usage: BTreeMap<String, Usage>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            taken_over: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            cost: Option<Cost>,
        }
        let usage = self.meter.read();
        let cost = self.prices.cost(&usage);
        // Plain data can't fail.
        serde_json::to_value(Snapshot {
            about: &self.about,
            tenant: self.tenant(),
            record: &self.record(),
            usage,
            taken_over: self.seat.is_taken(),
            cost,
        })
        .unwrap_or_default()
    }

    /// What is to stand in the call's record once its stream has ended.
    pub(crate) fn summary_for_record(&self) -> Summary {
        let usage = self.meter.read();
        let record = self.record();
        Summary {
            language: record.language.clone(),
            goal: self.about.goal.as_deref().map(str::to_owned),
            outcome: record.outcome.clone().or_else(|| self.concluded(&record)),
            cost: self.prices.cost(&usage),
            usage,
        }
    }

    /// What can be said of a goal of which the agent reported nothing.
    fn concluded(&self, record: &CallRecord) -> Option<Outcome> {
        self.about.goal.as_ref()?;
        let machine = record.answered_by.is_some_and(AnsweredBy::is_machine);
        let spoken = record.transcript.iter().any(|line| line.who == "caller");
        Some(Outcome::concluded(record.status, machine, record.ended, spoken))
    }

    /// In short, for lists.
    pub(crate) fn summary(&self) -> Value {
        let tenant = self.tenant();
        let record = self.record();
        json!({
            "sid": record.sid, "tenant": tenant, "direction": self.about.direction, "agent": self.about.agent, "to": self.about.to,
            "from": self.about.from, "status": record.status, "talking": record.talking,
            "verdict": record.outcome.as_ref().map(|outcome| outcome.verdict), "since": unix(self.about.since),
            "last": record.transcript.last().map(|line| json!({ "who": line.who, "text": line.text })),
        })
    }

    /// Everything that happens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Told> {
        self.events.get_or_init(|| broadcast::channel(EVENTS).0).subscribe()
    }

    /// Both voices, from now on.
    pub(crate) fn listen_in(&self) -> broadcast::Receiver<Told> {
        self.sound.get_or_init(|| broadcast::channel(SOUND).0).subscribe()
    }

    /// Whether anybody listens to the call itself. Asked for each frame: no lock is taken.
    pub(crate) fn is_listened_to(&self) -> bool {
        self.sound.get().is_some_and(|sound| sound.receiver_count() > 0)
    }

    /// Something went over the wire.
    pub(crate) fn sounds(&self, name: &'static str, data: &impl Serialize) {
        if let Some(sound) = self.sound.get()
            && let Ok(data) = serde_json::to_string(data)
        {
            // The last listener may have gone.
            let _unheard = sound.send(Told { name, data: data.into(), tenant: Arc::default() }).is_err();
        }
    }

    pub(crate) fn tell(&self, name: &'static str, data: &impl Serialize) {
        self.bus.tell(name, self, data);
        if let Some(events) = self.events.get()
            && events.receiver_count() > 0
            && let Ok(data) = serde_json::to_string(data)
        {
            // Nobody may listen any more.
            let _unheard = events.send(Told { name, data: data.into(), tenant: Arc::default() });
        }
    }

    /// A person takes the model's seat, or gives it back.
    pub(crate) fn take_over(&self, taken: bool) {
        self.seat.take(taken);
        self.tell("taken_over", &json!({ "on": taken }));
    }

    /// Hands a wish to the call.
    pub(crate) fn wish(&self, control: Control) -> Result<(), ControlError> {
        let sender = self.record().control.clone();
        sender.ok_or(ControlError::Over)?.send(control)
    }

    /// Ends its stream now.
    pub(crate) fn cut(&self) {
        let mut record = self.record();
        if let Some(control) = &record.control {
            control.cut();
            record.was_cut = true;
        }
    }

    /// The server has ended its stream, in the middle of the conversation.
    pub(crate) fn was_cut(&self) -> bool {
        self.record().was_cut
    }

    /// What it cost so far.
    pub(super) fn cost(&self, usage: &BTreeMap<String, Usage>) -> Option<Cost> {
        self.prices.cost(usage)
    }

    /// Its stream has begun.
    pub(crate) fn begin(&self, control: ControlSender, over: Transport) {
        let name = self.recorded_as(&self.sid().unwrap_or_default());
        let mut record = self.record();
        let before = record.returns.before_ms();
        record.story.begin_leg(name, before, over);
        record.control = Some(control);
        record.talking = true;
        record.first_stream.get_or_insert_with(Instant::now);
        // Of the stream before, if there was one.
        record.ended = None;
        record.transferred_to = None;
        if !record.status.is_over() {
            record.status = CallStatus::InProgress;
        }
    }

    /// Takes an event of the call itself.
    pub(crate) fn on_event(&self, t_ms: u64, event: &CallEvent) {
        let t_ms = {
            let mut record = self.record();
            let before = record.returns.before_ms();
            let t_ms = t_ms.saturating_add(before);
            record.story.on_event(t_ms, before, event);
            match event {
                CallEvent::Digits { agrees, .. } => record.agreed_by_key = Some(agrees.0),
                CallEvent::TurnEnded(turn) => {
                    record.agreed_by_key = None;
                    record.say(turn.began_ms.saturating_add(before), "caller", turn.text.clone(), false);
                }
                CallEvent::Said { heard, interrupted, .. } => {
                    record.say(t_ms, "agent", heard.clone(), *interrupted)
                }
                CallEvent::ReplyTimed(timing) => push(&mut record.replies, *timing, MOST_TIMINGS),
                CallEvent::Trouble { message } => push(&mut record.troubles, message.clone(), MOST_TIMINGS),
                CallEvent::Ended { why } => record.ended = Some(*why),
                CallEvent::Language { language } => record.language = Some(language.clone()),
                _ => {}
            }
            t_ms
        };
        #[derive(Serialize)]
        struct At<'a> {
            t_ms: u64,
            #[serde(flatten)]
            event: &'a CallEvent,
        }
        self.tell("call", &At { t_ms, event });
    }

    /// Takes a status callback. False if a newer one came before it.
    pub(crate) fn on_status(&self, status: CallStatus, sequence: Option<u64>) -> bool {
        {
            let mut record = self.record();
            // Also without a number: a call that is talked on rings no more.
            let turns_back = record.status.is_over() && !status.is_over()
                || !status.is_over() && status.stage() < record.status.stage();
            if sequence.is_some() && sequence <= record.sequence || turns_back {
                return false;
            }
            record.sequence = sequence.or(record.sequence);
            record.status = status;
        }
        self.tell("status", &json!({ "status": status }));
        true
    }

    /// The agent reports. A later report takes an earlier one's place.
    pub(crate) fn report(&self, outcome: Outcome) {
        self.tell("outcome", &outcome);
        self.record().outcome = Some(outcome);
    }

    /// Its stream has ended.
    pub(crate) fn stop_talking(&self) {
        let mut record = self.record();
        record.control = None;
        record.talking = false;
        let until = record.first_stream.map_or(0, |first| millis(first.elapsed()));
        let ended = record.ended.as_ref().map(super::story::word);
        record.story.end_leg(until, ended);
    }

    /// Nothing follows: settles the outcome. False if that was done before.
    pub(crate) fn conclude(&self) -> bool {
        {
            let mut record = self.record();
            if record.over {
                return false;
            }
            record.over = true;
            record.ended_at = Some(SystemTime::now());
            record.returns = Returns::default();
            if !record.status.is_over() {
                record.status = CallStatus::Completed;
            }
            if record.outcome.is_none() {
                record.outcome = self.concluded(&record);
            }
        }
        self.tell("over", &self.settled());
        self.sounds("over", &json!({}));
        true
    }

    /// What came of it, in short.
    pub(crate) fn settled(&self) -> Value {
        let record = self.record();
        json!({ "status": record.status, "ended": record.ended, "outcome": record.outcome })
    }
}

/// In milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::calls::config::OnMachine;

    pub(crate) fn about(goal: Option<&str>) -> About {
        About {
            reference: "r".into(),
            direction: "outbound",
            agent: "echo".into(),
            to: "+14155550100".into(),
            from: "+14155550101".into(),
            goal: goal.map(Into::into),
            parameters: Arc::default(),
            on_machine: OnMachine::HangUp,
            awaits_beep: false,
            longest: None,
            tenant: String::new(),
            since: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn callbacks_out_of_order_do_not_turn_back_the_call() {
        let live = LiveCall::new(about(None), None, CallStatus::Queued);
        assert!(live.on_status(CallStatus::InProgress, Some(2)));
        assert!(!live.on_status(CallStatus::Ringing, Some(1)));
        assert!(live.on_status(CallStatus::Completed, Some(3)));
        assert!(!live.on_status(CallStatus::InProgress, None));
        assert_eq!(live.record().status, CallStatus::Completed);
        // `ringing` (1) before `initiated` (0); and callbacks that come after the stream began.
        let live = LiveCall::new(about(None), None, CallStatus::Queued);
        assert!(live.on_status(CallStatus::Ringing, Some(1)));
        assert!(
            !live.on_status(CallStatus::Initiated, Some(0)) && !live.on_status(CallStatus::Initiated, None)
        );
        live.record().status = CallStatus::InProgress;
        assert!(!live.on_status(CallStatus::Ringing, Some(2)));
        assert_eq!(live.record().status, CallStatus::InProgress);
    }

    /// As Twilio was recorded to send them, by another project: read from `../shared/recordings` beside the repository, if it is there.
    #[test]
    fn recorded_callbacks_bring_the_call_to_its_end() {
        let folder = std::env::var("OFFHOOK_RECORDINGS")
            .unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recordings").to_owned());
        let path = format!("{folder}/thicket-conversationrelay/status-callbacks.out-of-order.jsonl");
        let Ok(lines) = std::fs::read_to_string(path) else {
            return eprintln!("skipped: 1 recording is not at ../shared/recordings");
        };
        let live = LiveCall::new(about(None), None, CallStatus::Queued);
        let mut stage = 0;
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let form = serde_json::from_str::<Value>(line).unwrap()["form"].clone();
            let status = CallStatus::parse(form["CallStatus"].as_str().unwrap()).unwrap();
            let number = form["SequenceNumber"].as_str().and_then(|text| text.parse().ok());
            let taken = live.on_status(status, number);
            assert_eq!(taken, status.stage() > stage, "{form}");
            stage = stage.max(status.stage());
        }
        assert_eq!(live.record().status, CallStatus::Completed);
    }

    #[test]
    fn a_call_on_which_nobody_spoke_was_not_answered() {
        let verdict = |spoken: bool| {
            let live = LiveCall::new(about(Some("book a table")), Some("CA1".into()), CallStatus::InProgress);
            live.record().say(0, "agent", "Hello?".to_owned(), false);
            if spoken {
                live.record().say(1, "caller", "No.".to_owned(), false);
            }
            live.record().ended = Some(offhook_conversation::EndReason::StreamStopped);
            live.on_status(CallStatus::Completed, Some(3));
            live.conclude();
            live.snapshot()["outcome"]["verdict"].clone()
        };
        assert_eq!((verdict(false), verdict(true)), (json!("no_answer"), json!("failed")));
    }

    #[test]
    fn a_slow_listener_is_told_what_it_missed() {
        let live = LiveCall::new(about(None), None, CallStatus::InProgress);
        let mut listener = live.listen();
        for number in 0..EVENTS + 3 {
            live.tell("status", &number);
        }
        assert!(matches!(listener.try_recv(), Err(broadcast::error::TryRecvError::Lagged(3))));
        assert_eq!(&*listener.try_recv().unwrap().data, "3");
    }

    #[test]
    fn a_call_with_a_goal_ends_with_a_verdict() {
        let live = LiveCall::new(about(Some("book a table")), Some("CA1".into()), CallStatus::Queued);
        live.on_status(CallStatus::Busy, Some(1));
        assert!(live.conclude() && !live.conclude());
        insta::assert_snapshot!(live.snapshot()["outcome"], @r#"{"evidence":"the line was busy","fields":{},"reported":false,"verdict":"no_answer"}"#);
        let plain = LiveCall::new(about(None), None, CallStatus::InProgress);
        plain.conclude();
        assert!(plain.record().outcome.is_none());
    }
}
