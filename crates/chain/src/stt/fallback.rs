//! One call's speech-to-text: the link that listens, and what the next must know to take over.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::{Expectation, FailureKind, StageFailure, SttCommand, SttEvent};
use tokio::time::Instant;

use super::ring::{Ring, Turn};
use crate::health::Asked;
use crate::links::{Did, QUEUE};
use crate::providers::Providers;
use crate::tries::Tries;
use crate::{Link, sleep_until};
use offhook_stages::queue::Closed;
use offhook_stages::{CallInfo, Rx, StageError, Stt, Tx, WhenFull};

/// 2 s of sound, as the call's own queue: a link further behind than that gets what is newest.
const ROOM: usize = 100;
/// When all have failed: the first and the longest wait until they are tried again.
const SOON: Duration = Duration::from_millis(500);
const LATEST: Duration = Duration::from_secs(4);
/// A link that takes over hears what it missed at least so many times as fast as it was spoken.
const CATCH_UP: u32 = 4;

pub(super) struct SttFallback {
    providers: Providers<dyn Stt>,
    /// Who listens; `None` while all have failed.
    active: Option<usize>,
    ring: Ring,
    turn: Option<Turn>,
    /// When the transcript of a pause must be there.
    due_at: Option<Instant>,
    /// Who was asked for it, and when.
    asked_at: Option<(usize, Instant)>,
    /// Where the newest final transcript ended.
    known: u64,
    expectation: Option<Arc<Expectation>>,
    /// Of this turn.
    tries: Tries,
    /// When all have failed: when they are tried again, and the wait after that.
    again: Option<Instant>,
    wait: Duration,
    events: Tx<SttEvent>,
    /// What is yet to be sent.
    out: Vec<SttEvent>,
}

impl SttFallback {
    pub(super) fn new(set: Arc<[Link<dyn Stt>]>, call: CallInfo, events: Tx<SttEvent>) -> Self {
        Self {
            tries: Tries::new(set.len()),
            providers: Providers::new(set, call),
            active: None,
            ring: Ring::default(),
            turn: None,
            due_at: None,
            asked_at: None,
            known: 0,
            expectation: None,
            again: None,
            wait: SOON,
            events,
            out: Vec::new(),
        }
    }

    /// Serves until the commands end, and then until the link that listens has said the rest.
    pub(super) async fn serve(mut self, commands: Rx<SttCommand>) -> Result<(), Closed> {
        self.active = self.tries.choose(&self.providers.set);
        if let Some(first) = self.active {
            self.providers.links.start(first, ROOM, WhenFull::DropOldest);
        }
        loop {
            let due = self.due_at.into_iter().chain(self.again).min();
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                (link, did) = self.providers.links.next() => self.on_link(link, did),
                () = sleep_until(due) => self.on_due(),
            }
            self.send().await?;
        }
        let Some(active) = self.active else { return Ok(()) };
        self.providers.links.close(active);
        let ends = Instant::now() + self.limit(active);
        loop {
            tokio::select! {
                biased;
                (link, did) = self.providers.links.next() => match did {
                    Did::Ended(_) => return Ok(()),
                    said @ Did::Said(SttEvent::Failed(_)) => {
                        drop(said);
                        return Ok(());
                    }
                    said @ Did::Said(_) => self.on_link(link, said),
                },
                () = tokio::time::sleep_until(ends) => return Ok(()),
            }
            self.send().await?;
        }
    }

    async fn send(&mut self) -> Result<(), Closed> {
        for event in self.out.drain(..) {
            self.events.send(event).await?;
        }
        Ok(())
    }

    fn on_command(&mut self, command: SttCommand) {
        match &command {
            SttCommand::Audio { at, frame } => {
                self.ring.push(*at, *frame, self.turn.is_some());
                if !self.active_link().is_some_and(|link| link.stage.wants_audio()) {
                    return;
                }
            }
            SttCommand::SpeechStarted { at } => {
                if self.turn.is_none() {
                    self.go_back();
                }
                self.turn.get_or_insert(Turn { from: *at, paused: None }).paused = None;
                (self.due_at, self.asked_at) = (None, None);
            }
            SttCommand::SpeechPaused { from, until } => {
                let turn = self.turn.get_or_insert(Turn { from: *from, paused: None });
                turn.paused = Some((*from, *until));
                let answered = Ring::covers(self.known, *until);
                if !answered {
                    if let Some(active) = self.active {
                        self.providers.count(active, Asked::First);
                        self.asked_at = Some((active, Instant::now()));
                    }
                    self.expect_answer();
                }
            }
            SttCommand::TurnEnded { .. } => {
                self.turn = None;
                self.ring.end_turn();
                if let Some(active) = self.active {
                    self.tries.renew(active);
                }
            }
            SttCommand::Expect(expectation) => self.expectation = Some(Arc::clone(expectation)),
        }
        let ended = matches!(command, SttCommand::TurnEnded { .. });
        let Some(active) = self.active else { return };
        let taken = self.providers.links.queue(active).is_some_and(|to| to.offer_by_policy(command).is_ok());
        if !taken {
            let what = "it has stopped taking sound and requests".to_owned();
            let error = StageError::Broken { stage: self.providers.links.name(active), what };
            self.on_failure(active, &error.to_failure());
        }
        if ended {
            self.go_back();
        }
    }

    fn on_link(&mut self, link: usize, did: Did<SttEvent>) {
        if self.active != Some(link) {
            return; // ignores events of a link that was given up
        }
        match did {
            Did::Ended(error) => self.on_failure(link, &error.to_failure()),
            Did::Said(SttEvent::Failed(failure)) => self.on_failure(link, &failure),
            Did::Said(event) => {
                self.providers.meet(link);
                if let SttEvent::Final(transcript) = &event {
                    self.known = self.known.max(transcript.until);
                    (self.due_at, self.wait) = (None, SOON);
                    self.providers.count_success(link);
                    if let Some((_, asked)) = self.asked_at.take().filter(|(of, _)| *of == link) {
                        self.providers.count_begun(link, asked.elapsed());
                    }
                }
                self.out.push(event);
            }
        }
    }

    fn on_due(&mut self) {
        let now = Instant::now();
        if let Some(active) = self.active.filter(|_| self.due_at.is_some_and(|due_at| now >= due_at)) {
            let limit = self.limit(active);
            let failure = self.providers.stop_late(active, "transcript of a pause", limit);
            return self.on_failure(active, &failure);
        }
        if self.again.is_some_and(|again| now >= again) {
            self.again = None;
            self.tries.reset();
            if !self.take_over() {
                self.try_later();
            }
        }
    }

    /// The link that listens has failed: the next takes over.
    fn on_failure(&mut self, link: usize, failure: &StageFailure) {
        self.providers.links.stop(link);
        (self.active, self.due_at) = (None, None);
        self.providers.count_failure(link, failure);
        self.tries.failed(link, failure.kind == FailureKind::Broken);
        if !self.take_over() {
            if self.wait == SOON {
                self.out.push(SttEvent::Failed(failure.clone()));
            }
            self.try_later();
        }
    }

    fn try_later(&mut self) {
        self.again = Some(Instant::now() + self.wait);
        self.wait = (self.wait * 2).min(LATEST);
    }

    /// Starts the next link and replays to it what it missed. Whether there is one.
    fn take_over(&mut self) -> bool {
        let Some(link) = self.tries.choose(&self.providers.set) else { return false };
        self.start(link, Asked::TakesOver);
        true
    }

    fn start(&mut self, link: usize, why: Asked) {
        let Some(next) = self.providers.set.get(link) else { return };
        self.providers.count(link, why);
        self.active = Some(link);
        self.out.push(SttEvent::TakenOver);
        self.providers.links.start(link, self.ring.len() + QUEUE, WhenFull::PushBack);
        if let Some(to) = self.providers.links.queue(link) {
            // There is room: the queue was made for it.
            let send = |command| {
                let _room = to.offer(command);
            };
            if let Some(expectation) = &self.expectation {
                send(SttCommand::Expect(Arc::clone(expectation)));
            }
            self.ring.replay(self.turn, next.stage.wants_audio(), send);
        }
        if self.turn.is_some_and(|turn| turn.paused.is_some()) {
            self.expect_answer();
            self.due_at = self.due_at.map(|due_at| due_at + self.ring.duration() / CATCH_UP);
        }
    }

    /// Between turns, the first link that is well takes its place again.
    fn go_back(&mut self) {
        let Some(active) = self.active.filter(|active| *active > 0 && self.due_at.is_none()) else { return };
        let better = self.providers.set.iter().take(active).position(|link| link.health.admits());
        if let Some(better) = better {
            self.providers.links.stop(active);
            self.tries.renew(better);
            self.start(better, Asked::First);
        }
    }

    fn expect_answer(&mut self) {
        let hears = self.active_link().is_some_and(|link| link.stage.wants_audio());
        self.due_at = self.active.filter(|_| hears).map(|active| Instant::now() + self.limit(active));
    }

    fn active_link(&self) -> Option<&Link<dyn Stt>> {
        self.providers.set.get(self.active?)
    }

    fn limit(&self, link: usize) -> Duration {
        self.providers.limit(link, false)
    }
}
