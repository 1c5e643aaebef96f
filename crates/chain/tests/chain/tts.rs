//! Chains of voices.

mod waiting;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use offhook_chain::{Deadlines, Link, TtsChain};
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{AudioChunk, FailureKind, SpeakRequest, TimedWord, TtsCommand, TtsEvent};
use offhook_stages::{BoxFuture, CallInfo, Distance, Rx, StageError, Tts, Tx, WhenFull, bounded};
use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use crate::faults::{FAULTS, Fault, Plan, call_info, end, failure, link, plan, run};

const TEXTS: [&str; 3] = ["Well, hello there to you.", "How are you today?", "Fine."];

/// A voice that speaks one segment after the other, a word every 100 ms as a chunk that holds the word and sounds for 66 ms a
/// character. It fails as planned, a plan a segment.
#[derive(Clone)]
struct Voice {
    plans: Arc<Mutex<VecDeque<Plan>>>,
    latency: Duration,
    timed: bool,
    /// As measured; the latency has it in it.
    distance: Distance,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Voice {
    fn new(plans: &[Plan]) -> Self {
        let plans = Arc::new(Mutex::new(plans.iter().copied().collect()));
        Self {
            plans,
            latency: Duration::from_millis(200),
            timed: true,
            distance: Distance::default(),
            seen: Arc::default(),
        }
    }

    fn link(&self) -> Link<dyn Tts> {
        link(Arc::new(self.clone()), Deadlines::TTS, None)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn sound_of(word: &str) -> AudioChunk {
        let mut octets = vec![0xFF; (word.chars().count() + 1) * 528];
        octets[..word.len()].copy_from_slice(word.as_bytes());
        AudioChunk::Mulaw(octets.into())
    }
}

struct Job {
    utterance: UtteranceId,
    segment: SegmentId,
    words: VecDeque<String>,
    given: usize,
    plan: Plan,
    sound_ms: u32,
}

impl Tts for Voice {
    fn name(&self) -> &str {
        "fake"
    }
    fn voice(&self) -> &str {
        "a"
    }
    fn distance(&self) -> Distance {
        self.distance
    }
    fn run(
        &self,
        _: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let voice = self.clone();
        Box::pin(async move {
            let mut jobs: VecDeque<Job> = VecDeque::new();
            let mut next = Instant::now();
            loop {
                tokio::select! {
                    biased;
                    command = commands.recv() => match command {
                        None => return Ok(()),
                        Some(TtsCommand::Speak(SpeakRequest { utterance, segment, text, .. })) => {
                            voice.seen.lock().unwrap().push(text.clone());
                            if jobs.is_empty() {
                                next = Instant::now() + voice.latency;
                            }
                            let plan = voice.plans.lock().unwrap().pop_front().flatten();
                            let words = text.split_whitespace().map(str::to_owned).collect();
                            jobs.push_back(Job { utterance, segment, words, given: 0, plan, sound_ms: 0 });
                        }
                        Some(TtsCommand::Cancel { utterance }) => {
                            voice.seen.lock().unwrap().push("cancel".to_owned());
                            jobs.retain(|job| job.utterance != utterance);
                        }
                    },
                    () = tokio::time::sleep_until(next), if !jobs.is_empty() => {
                        next = Instant::now() + Duration::from_millis(100);
                        let job = jobs.front_mut().unwrap();
                        let (utterance, segment) = (job.utterance, job.segment);
                        if let Some((_, fault)) = job.plan.filter(|(after, _)| *after == job.given) {
                            if let Fault::Failed(kind) = fault {
                                jobs.pop_front();
                                let failure = failure(kind);
                                events.send(TtsEvent::Failed { utterance, segment, failure }).await.unwrap();
                            } else if let Some(outcome) = end(fault) {
                                return outcome;
                            } else {
                                next += Duration::from_secs(1_000_000); // hangs, and takes commands
                            }
                            continue;
                        }
                        job.given += 1;
                        let Some(word) = job.words.pop_front() else {
                            jobs.pop_front();
                            events.send(TtsEvent::Done { utterance, segment }).await.unwrap();
                            continue;
                        };
                        let chunk = Self::sound_of(&word);
                        let start_ms = job.sound_ms;
                        job.sound_ms += chunk.duration().as_millis() as u32;
                        let words = vec![TimedWord { word, start_ms, end_ms: job.sound_ms }];
                        events.send(TtsEvent::Audio { utterance, segment, chunk }).await.unwrap();
                        if voice.timed {
                            events.send(TtsEvent::Words { utterance, segment, words }).await.unwrap();
                        }
                    }
                }
            }
        })
    }
}

/// What became of a segment.
#[derive(Clone, Debug, Default, PartialEq)]
struct Heard {
    words: Vec<String>,
    sound_ms: u32,
    end: Option<Result<(), FailureKind>>,
}

/// A call's side of a chain.
struct Line {
    to: Tx<TtsCommand>,
    from: Rx<TtsEvent>,
    task: tokio::task::JoinHandle<Result<(), StageError>>,
    heard: Vec<Heard>,
}

impl Line {
    fn new(links: &[Link<dyn Tts>]) -> Self {
        Self::with(links, call_info())
    }

    fn with(links: &[Link<dyn Tts>], info: CallInfo) -> Self {
        let chain = TtsChain::new(links.to_vec()).unwrap();
        let (to, commands) = bounded(256, WhenFull::PushBack);
        let (events, from) = bounded(256, WhenFull::PushBack);
        Self { to, from, task: tokio::spawn(chain.run(info, commands, events)), heard: vec![] }
    }

    fn speak(&self, utterance: u32, texts: &[&str]) {
        for (n, text) in texts.iter().enumerate() {
            let (utterance, segment) = (UtteranceId(utterance), SegmentId(n as u32));
            let request = SpeakRequest {
                utterance,
                segment,
                text: (*text).to_owned(),
                last: false,
                language: None,
                recording: None,
            };
            self.to.offer(TtsCommand::Speak(request)).unwrap();
        }
    }

    /// Everything until so many segments of an utterance have ended.
    async fn listen(&mut self, id: u32, count: usize) -> Vec<Heard> {
        self.heard = vec![Heard::default(); count];
        while self.heard.iter().any(|heard| heard.end.is_none()) {
            let event = timeout(Duration::from_secs(60), self.from.recv()).await.unwrap().unwrap();
            self.take(id, event);
        }
        std::mem::take(&mut self.heard)
    }

    fn take(&mut self, id: u32, event: TtsEvent) {
        let (TtsEvent::Audio { utterance, segment, .. }
        | TtsEvent::Words { utterance, segment, .. }
        | TtsEvent::Done { utterance, segment }
        | TtsEvent::Failed { utterance, segment, .. }) = &event;
        assert_eq!(utterance.0, id);
        let at = segment.0 as usize;
        let earlier_ended = self.heard[..at].iter().all(|earlier| earlier.end.is_some());
        let heard = &mut self.heard[at];
        assert!(heard.end.is_none(), "{event:?} after the end");
        match event {
            TtsEvent::Audio { chunk, .. } => {
                assert!(earlier_ended, "segments are spoken in order");
                let AudioChunk::Mulaw(octets) = &chunk else { panic!("μ-law only") };
                let word = octets.iter().take_while(|octet| **octet != 0xFF).copied().collect();
                heard.words.push(String::from_utf8(word).unwrap());
                heard.sound_ms += chunk.duration().as_millis() as u32;
            }
            TtsEvent::Words { words, .. } => {
                assert_eq!(words[0].word, *heard.words.last().unwrap());
                assert_eq!(words[0].end_ms, heard.sound_ms, "times are the whole segment's");
            }
            TtsEvent::Done { .. } => heard.end = Some(Ok(())),
            TtsEvent::Failed { failure, .. } => heard.end = Some(Err(failure.kind)),
        }
    }
}

/// Every word once, in order; of failed segments, the first words.
fn check(heard: &[Heard], texts: &[&str]) {
    for (heard, text) in heard.iter().zip(texts) {
        let words: Vec<&str> = text.split_whitespace().collect();
        if heard.end == Some(Ok(())) {
            assert_eq!(heard.words, words);
        } else {
            assert_eq!(heard.words, words[..heard.words.len()]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_at_every_moment_is_bridged_without_a_word_lost_or_doubled() {
    for fault in FAULTS {
        for after in 0..=5 {
            for at in 0..3 {
                for timed in [true, false] {
                    let mut plans = vec![None; at];
                    plans.push(Some((after, fault)));
                    let first = Voice { timed, ..Voice::new(&plans) };
                    let second = Voice { timed, ..Voice::new(&[]) };
                    let mut line = Line::new(&[first.link(), second.link()]);
                    line.speak(1, &TEXTS);
                    let heard = line.listen(1, 3).await;
                    check(&heard, &TEXTS);
                    let all = heard.iter().all(|heard| heard.end == Some(Ok(())));
                    assert!(all, "{fault:?} after {after} in {at}: {heard:?}");
                    sleep(Duration::from_secs(9)).await;
                    assert!(line.from.try_recv().is_err(), "nothing comes after the end");
                }
            }
        }
    }
}

/// A voice far away, with its connection opened for the first words: which voice is heard, and how soon.
async fn far(round_trip_ms: u64, measured: bool) -> (bool, Duration) {
    let round_trip = Duration::from_millis(round_trip_ms);
    // TCP, TLS, the upgrade; then the request itself, and the voice's own 300 ms.
    let latency = round_trip * 4 + Duration::from_millis(300);
    let distance =
        if measured { Distance { round_trip, connect: round_trip * 3 } } else { Distance::default() };
    let first = Voice { latency, distance, ..Voice::new(&[]) };
    let second = Voice::new(&[]);
    let mut line = Line::new(&[first.link(), second.link()]);
    let began = Instant::now();
    line.speak(1, &TEXTS[..1]);
    check(&line.listen(1, 1).await, &TEXTS);
    (second.seen().is_empty(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_voice_far_away_is_still_the_one_that_is_heard() {
    for round_trip in [50, 100, 200, 300, 400] {
        let (paid, took) = far(round_trip, true).await;
        assert!(paid, "{round_trip} ms: another voice was heard");
        assert!(took < Duration::from_millis(round_trip * 4 + 1_000), "{round_trip} ms: {took:?}");
    }
    assert!(!far(300, false).await.0, "nobody knows that it is far");
}

#[tokio::test(start_paused = true)]
async fn a_voice_far_away_that_is_dead_is_given_up_as_soon_once_it_was_met() {
    let distance = Distance { round_trip: Duration::from_millis(300), connect: Duration::from_millis(900) };
    let first = Voice { distance, ..Voice::new(&[None, Some((0, Fault::Hung))]) };
    let second = Voice::new(&[]);
    let mut line = Line::new(&[first.link(), second.link()]);
    line.speak(1, &TEXTS[..1]);
    line.listen(1, 1).await;
    let began = Instant::now();
    line.speak(2, &TEXTS[..1]);
    check(&line.listen(2, 1).await, &TEXTS);
    assert_eq!(second.seen().len(), 1);
    let limit = Deadlines::TTS.first + Duration::from_millis(300);
    let took = began.elapsed();
    assert!(took >= limit && took < limit + Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_voice_that_took_over_keeps_the_utterance_and_the_next_goes_to_the_first() {
    let first = Voice::new(&[Some((2, Fault::Failed(FailureKind::Busy)))]);
    let second = Voice::new(&[]);
    let mut line = Line::new(&[first.link(), second.link()]);
    line.speak(1, &TEXTS[..1]);
    check(&line.listen(1, 1).await, &TEXTS);
    assert_eq!(second.seen(), ["there to you."]);
    line.speak(1, &TEXTS[..2]);
    line.listen(1, 2).await;
    assert_eq!(second.seen().len(), 3);
    line.speak(2, &TEXTS[..1]);
    line.listen(2, 1).await;
    assert_eq!(first.seen(), [TEXTS[0], "cancel", TEXTS[0]]);
}

#[tokio::test(start_paused = true)]
async fn when_no_voice_is_left_what_is_owed_fails_and_the_next_is_tried_anew() {
    let refused = Some((0, Fault::Failed(FailureKind::Refused)));
    let first = Voice::new(&[refused, refused]);
    let second = Voice::new(&[Some((2, Fault::Hung))]);
    let mut line = Line::new(&[first.link(), second.link()]);
    line.speak(1, &TEXTS[..2]);
    let heard = line.listen(1, 2).await;
    check(&heard, &TEXTS);
    assert_eq!((heard[0].words.len(), heard[0].end), (2, Some(Err(FailureKind::TooSlow))));
    line.speak(1, &TEXTS[..1]);
    assert_eq!(line.listen(1, 1).await[0].end, Some(Ok(())));
}
