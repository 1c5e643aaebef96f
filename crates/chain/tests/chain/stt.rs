//! Chains of recognisers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use offhook_audio::{MulawFrame, SamplePos};
use offhook_chain::{Circuit, Deadlines, Link, SttChain};
use offhook_stage_api::{Expectation, SttCommand, SttEvent, Transcript};
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Stt, Tx, WhenFull, bounded};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use crate::faults::{FAULTS, Fault, Plan, call_info, end, failure, link, run};

/// A recogniser whose words are letters, one a frame. It keeps half a second of sound while nobody speaks, gives a final
/// transcript 300 ms after a pause, and fails as planned, a plan a run, after so many commands.
#[derive(Clone)]
struct Recogniser {
    plans: Arc<Mutex<VecDeque<Plan>>>,
    latency: Duration,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Recogniser {
    fn new(plans: &[Plan]) -> Self {
        let plans = Arc::new(Mutex::new(plans.iter().copied().collect()));
        Self { plans, latency: Duration::from_millis(300), seen: Arc::default() }
    }

    fn link(&self) -> Link<dyn Stt> {
        link(Arc::new(self.clone()), Deadlines::STT, None)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn note(&self, what: &str) {
        self.seen.lock().unwrap().push(what.to_owned());
    }
}

impl Stt for Recogniser {
    fn name(&self) -> &str {
        "fake"
    }

    fn run(
        &self,
        _: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let model = self.clone();
        Box::pin(async move {
            model.note("run");
            let plan = model.plans.lock().unwrap().pop_front().flatten();
            let (mut count, mut speaking) = (0, false);
            let mut sound: VecDeque<(u64, u8)> = VecDeque::new();
            let mut answer: Option<(Instant, u64, u64)> = None;
            loop {
                let due = answer.map_or_else(|| Instant::now() + Duration::from_secs(999), |(due, ..)| due);
                tokio::select! {
                    biased;
                    command = commands.recv() => {
                        if let Some((_, fault)) = plan.filter(|(after, _)| count >= *after) {
                            if let Fault::Failed(kind) = fault && plan.is_some_and(|(after, _)| after == count) {
                                events.send(SttEvent::Failed(failure(kind))).await.unwrap();
                            } else if let Some(outcome) = end(fault) {
                                return outcome;
                            }
                            count += 1;
                            answer = None;
                            if command.is_none() {
                                return Ok(());
                            }
                            continue;
                        }
                        count += 1;
                        match command {
                            None => return Ok(()),
                            Some(SttCommand::Audio { at, frame }) => {
                                sound.push_back((at.0, frame.0[0]));
                                if !speaking && sound.len() > 25 {
                                    sound.pop_front();
                                }
                            }
                            Some(SttCommand::SpeechStarted { .. }) => (speaking, answer) = (true, None),
                            Some(SttCommand::SpeechPaused { from, until }) => {
                                answer = Some((Instant::now() + model.latency, from.0, until.0));
                            }
                            Some(SttCommand::TurnEnded { .. }) => {
                                speaking = false;
                                model.note("turn ended");
                            }
                            Some(SttCommand::Expect(expectation)) => model.note(&expectation.keyterms.join(" ")),
                        }
                    }
                    () = tokio::time::sleep_until(due), if answer.is_some() => {
                        let Some((_, from, until)) = answer.take() else { continue };
                        let within = sound.iter().filter(|(at, _)| (from..until).contains(at));
                        let text = within.map(|(_, letter)| char::from(*letter)).collect();
                        let transcript = Transcript { from, until, text, ..Transcript::default() };
                        events.send(SttEvent::Final(transcript)).await.unwrap();
                    }
                }
            }
        })
    }
}

/// A caller, frame by frame, before a chain.
struct Line {
    to: Tx<SttCommand>,
    from: Rx<SttEvent>,
    task: tokio::task::JoinHandle<Result<(), StageError>>,
    at: u64,
    failures: usize,
}

impl Line {
    fn new(links: &[Link<dyn Stt>]) -> Self {
        let chain = SttChain::new(links.to_vec()).unwrap();
        let (to, commands) = bounded(100, WhenFull::DropOldest);
        let (events, from) = bounded(256, WhenFull::PushBack);
        let task = tokio::spawn(chain.run(call_info(), commands, events));
        Self { to, from, task, at: 0, failures: 0 }
    }

    fn tell(&self, command: SttCommand) {
        self.to.offer_by_policy(command).unwrap();
    }

    async fn frame(&mut self, letter: u8) {
        self.tell(SttCommand::Audio { at: SamplePos(self.at), frame: MulawFrame([letter; 160]) });
        self.at += 160;
        sleep(Duration::from_millis(20)).await;
    }

    /// Says a text; the onset is told 60 ms late, the pause 120 ms.
    async fn say(&mut self, text: &str, from: Option<SamplePos>) -> (SamplePos, SamplePos) {
        let onset = SamplePos(self.at);
        for (n, letter) in text.bytes().enumerate() {
            self.frame(letter).await;
            if n == 2 {
                self.tell(SttCommand::SpeechStarted { at: onset });
            }
        }
        let (from, until) = (from.unwrap_or(onset), SamplePos(self.at));
        for _ in 0..6 {
            self.frame(b' ').await;
        }
        self.tell(SttCommand::SpeechPaused { from, until });
        (from, until)
    }

    /// Waits for the final transcript of all up to there, and how long that takes.
    async fn heard(&mut self, until: SamplePos) -> Option<(String, Duration)> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            self.frame(b' ').await;
            while let Ok(event) = self.from.try_recv() {
                match event {
                    SttEvent::Final(transcript) if transcript.until == until.0 => {
                        return Some((transcript.text, began.elapsed()));
                    }
                    SttEvent::Failed(_) => self.failures += 1,
                    _ => {}
                }
            }
        }
        None
    }

    /// A turn: silence, speech with a pause in it, and its end when it was heard.
    async fn turn(&mut self, first: &str, second: &str) -> Option<(String, Duration)> {
        for _ in 0..60 {
            self.frame(b' ').await;
        }
        let (from, _) = self.say(first, None).await;
        let (_, until) = self.say(second, Some(from)).await;
        let heard = self.heard(until).await;
        self.tell(SttCommand::TurnEnded { until });
        heard
    }
}

const FIRST: &str = "abcdefghij";
const SECOND: &str = "klmnopqrst";
const BOTH: &str = "abcdefghij      klmnopqrst";

#[tokio::test(start_paused = true)]
async fn every_fault_at_every_moment_is_bridged_without_a_word_lost() {
    for fault in FAULTS {
        for after in (0..220).step_by(3) {
            let first = Recogniser::new(&[Some((after, fault)), Some((0, fault))]);
            let second = Recogniser::new(&[]);
            let mut line = Line::new(&[first.link(), second.link()]);
            for turn in 0..3 {
                let (text, took) = line.turn(FIRST, SECOND).await.unwrap();
                assert_eq!(text, BOTH, "{fault:?} after {after}, turn {turn}");
                assert!(took <= Duration::from_millis(2_100), "{took:?}");
            }
            assert_eq!(line.failures, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_turn_is_told_to_the_next_as_far_as_it_is_kept() {
    let first = Recogniser::new(&[Some((2_000, Fault::Hung))]);
    let second = Recogniser::new(&[]);
    let mut line = Line::new(&[first.link(), second.link()]);
    let long: String = (0..2_000u32).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    let heard = line.turn(&long, "z").await;
    let (text, took) = heard.unwrap();
    assert!(took < Duration::from_secs(10), "{took:?}");
    // 30 s at the hand-over, 1.5 s after the pause.
    assert!((1_400..1_500).contains(&text.len()), "{}", text.len());
    assert!(format!("{long}      z").ends_with(&text));
}

#[tokio::test(start_paused = true)]
async fn the_first_listens_again_after_its_rest_and_knows_what_is_expected() {
    let first = Recogniser::new(&[Some((0, Fault::Failed(offhook_stage_api::FailureKind::Refused)))]);
    let second = Recogniser::new(&[]);
    let links = [first.link(), second.link()];
    let mut line = Line::new(&links);
    let keyterms = vec!["pizza".to_owned()];
    line.tell(SttCommand::Expect(Arc::new(Expectation { keyterms, ..Expectation::default() })));
    for turn in 0..12 {
        assert_eq!(line.turn(FIRST, SECOND).await.unwrap().0, BOTH, "turn {turn}");
    }
    assert_eq!(first.seen()[..3], ["run", "run", "pizza"]);
    assert_eq!(second.seen()[..3], ["run", "pizza", "turn ended"]);
    assert_eq!(links[0].health.circuit(), Circuit::Closed);
    assert!(first.seen().len() > 5, "it stays: {:?}", first.seen());
}

#[tokio::test(start_paused = true)]
async fn when_all_have_failed_the_call_is_told_once_and_they_are_tried_again() {
    let plans = [Some((0, Fault::Ended)); 6];
    let first = Recogniser::new(&plans);
    let mut line = Line::new(&[first.link()]);
    let heard = line.turn(FIRST, SECOND).await.unwrap();
    assert_eq!((heard.0.as_str(), line.failures), (BOTH, 1));
    assert_eq!(line.turn(FIRST, SECOND).await.unwrap().0, BOTH);
    assert_eq!(line.failures, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_the_end_is_answered_and_nothing_is_left() {
    let model = Recogniser::new(&[]);
    let mut line = Line::new(&[model.link(), Recogniser::new(&[]).link()]);
    line.say(FIRST, None).await;
    sleep(Duration::from_secs(1)).await;
    drop(std::mem::replace(&mut line.to, bounded(1, WhenFull::DropOldest).0));
    assert!(line.task.await.unwrap().is_ok());
    assert!(matches!(line.from.try_recv(), Ok(SttEvent::Final(_))));
    assert_eq!(Arc::strong_count(&model.seen), 1, "the run and the link are gone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_fails_every_turn_is_heard_while_one_is_well(
        plans in proptest::collection::vec(proptest::collection::vec(
            proptest::option::weighted(0.6, (0usize..300, proptest::sample::select(FAULTS.to_vec()))), 0..4), 0..3),
        well in 0usize..3,
        latency in 0u64..1_200,
    ) {
        run(async {
            let mut links: Vec<_> = plans.iter().map(|plans| Recogniser::new(plans).link()).collect();
            let latency = Duration::from_millis(latency);
            let good = Recogniser { latency, ..Recogniser::new(&[]) };
            links.insert(well.min(links.len()), good.link());
            let mut line = Line::new(&links);
            for _ in 0..4 {
                let (text, _) = line.turn(FIRST, SECOND).await.unwrap();
                assert_eq!(text, BOTH);
            }
        });
    }
}
