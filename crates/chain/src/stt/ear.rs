//! One call's ear: the link that listens, and what the next must know.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::{Expectation, FailureKind, StageFailure, SttCommand, SttEvent};
use tokio::time::Instant;

use super::ring::{Ring, Turn};
use crate::health::Asked;
use crate::links::{Did, Links, QUEUE, Start};
use crate::tries::Tries;
use crate::{Link, sleep_until};
use offhook_stages::queue::Closed;
use offhook_stages::{CallInfo, Rx, StageError, Stt, Tx, WhenFull};

/// 2 s of sound, as the call's own queue: a recogniser further behind than that gets what is newest.
const ROOM: usize = 100;
/// When all have failed: the first and the longest wait until they are tried again.
const SOON: Duration = Duration::from_millis(500);
const LATEST: Duration = Duration::from_secs(4);
/// A recogniser that takes over hears what it missed at least so many times as fast as it was spoken.
const CATCH_UP: u32 = 4;

pub(super) struct Ear {
    set: Arc<[Link<dyn Stt>]>,
    links: Links<SttCommand, SttEvent>,
    /// Who listens; nobody while all have failed.
    live: Option<usize>,
    ring: Ring,
    turn: Option<Turn>,
    /// When the transcript of a pause must be there.
    owed: Option<Instant>,
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
    call: Arc<str>,
}

impl Ear {
    pub(super) fn new(set: Arc<[Link<dyn Stt>]>, call: CallInfo, events: Tx<SttEvent>) -> Self {
        let id = Arc::clone(&call.call);
        let starts = set.iter().map(|link| {
            let stage = Arc::clone(&link.stage);
            let start: Start<SttCommand, SttEvent> =
                Box::new(move |call, commands, events| stage.run(call, commands, events));
            (link.stage.name().to_owned(), start)
        });
        Self {
            links: Links::new(call, starts),
            live: None,
            ring: Ring::default(),
            turn: None,
            owed: None,
            known: 0,
            expectation: None,
            tries: Tries::new(set.len()),
            again: None,
            wait: SOON,
            events,
            out: Vec::new(),
            call: id,
            set,
        }
    }

    /// Serves until the commands end, and then until the link that listens has said the rest.
    pub(super) async fn serve(mut self, commands: Rx<SttCommand>) -> Result<(), Closed> {
        self.live = self.tries.choose(&self.set);
        if let Some(first) = self.live {
            self.links.start(first, ROOM, WhenFull::DropOldest);
        }
        loop {
            let due = self.owed.into_iter().chain(self.again).min();
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                (link, did) = self.links.next() => self.on_link(link, did),
                () = sleep_until(due) => self.on_due(),
            }
            self.send().await?;
        }
        let Some(live) = self.live else { return Ok(()) };
        self.links.close(live);
        let ends = Instant::now() + self.limit(live);
        loop {
            tokio::select! {
                biased;
                (link, did) = self.links.next() => match did {
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
                if !self.live_link().is_some_and(|link| link.stage.wants_audio()) {
                    return;
                }
            }
            SttCommand::SpeechStarted { at } => {
                if self.turn.is_none() {
                    self.go_back();
                }
                self.turn.get_or_insert(Turn { from: *at, paused: None }).paused = None;
                self.owed = None;
            }
            SttCommand::SpeechPaused { from, until } => {
                let turn = self.turn.get_or_insert(Turn { from: *from, paused: None });
                turn.paused = Some((*from, *until));
                let answered = Ring::covers(self.known, *until);
                if let Some(link) = self.live_link().filter(|_| !answered) {
                    link.health.asked(Asked::First);
                }
                if !answered {
                    self.expect_answer();
                }
            }
            SttCommand::TurnEnded { .. } => {
                self.turn = None;
                self.ring.end_turn();
                if let Some(live) = self.live {
                    self.tries.renew(live);
                }
            }
            SttCommand::Expect(expectation) => self.expectation = Some(Arc::clone(expectation)),
        }
        let ended = matches!(command, SttCommand::TurnEnded { .. });
        let Some(live) = self.live else { return };
        let taken = self.links.queue(live).is_some_and(|to| to.offer_by_policy(command).is_ok());
        if !taken {
            let what = "it has stopped taking sound and requests".to_owned();
            let error = StageError::Broken { stage: self.links.name(live), what };
            self.on_failure(live, &error.to_failure());
        }
        if ended {
            self.go_back();
        }
    }

    fn on_link(&mut self, link: usize, did: Did<SttEvent>) {
        if self.live != Some(link) {
            return; // what comes late from one that was given up is nothing
        }
        match did {
            Did::Ended(error) => self.on_failure(link, &error.to_failure()),
            Did::Said(SttEvent::Failed(failure)) => self.on_failure(link, &failure),
            Did::Said(event) => {
                if let SttEvent::Final(transcript) = &event {
                    self.known = self.known.max(transcript.until);
                    (self.owed, self.wait) = (None, SOON);
                    if let Some(link) = self.live_link() {
                        link.health.succeeded();
                    }
                }
                self.out.push(event);
            }
        }
    }

    fn on_due(&mut self) {
        let now = Instant::now();
        if let Some(live) = self.live.filter(|_| self.owed.is_some_and(|owed| now >= owed)) {
            let (stage, limit) = (self.links.name(live), self.limit(live));
            let error = StageError::TooSlow { stage, what: "transcript of a pause", limit };
            return self.on_failure(live, &error.to_failure());
        }
        if self.again.is_some_and(|again| now >= again) {
            self.again = None;
            self.tries = Tries::new(self.set.len());
            if !self.hand_over() {
                self.try_later();
            }
        }
    }

    /// The link that listens has failed: the next takes over.
    fn on_failure(&mut self, link: usize, failure: &StageFailure) {
        tracing::warn!(call = %self.call, %failure, "a link of the recogniser's chain failed");
        self.links.stop(link);
        (self.live, self.owed) = (None, None);
        if let Some(link) = self.set.get(link) {
            link.health.failed(failure);
        }
        self.tries.failed(link, failure.kind == FailureKind::Broken);
        if !self.hand_over() {
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

    /// Starts the next link and tells it what it missed. Whether there is one.
    fn hand_over(&mut self) -> bool {
        let Some(link) = self.tries.choose(&self.set) else { return false };
        self.start(link, Asked::TakesOver);
        true
    }

    fn start(&mut self, link: usize, why: Asked) {
        let Some(next) = self.set.get(link) else { return };
        next.health.asked(why);
        self.live = Some(link);
        self.out.push(SttEvent::TakenOver);
        self.links.start(link, self.ring.len() + QUEUE, WhenFull::PushBack);
        if let Some(to) = self.links.queue(link) {
            // There is room: the queue was made for it.
            let tell = |command| {
                let _room = to.offer(command);
            };
            if let Some(expectation) = &self.expectation {
                tell(SttCommand::Expect(Arc::clone(expectation)));
            }
            self.ring.retell(self.turn, next.stage.wants_audio(), tell);
        }
        if self.turn.is_some_and(|turn| turn.paused.is_some()) {
            self.expect_answer();
            self.owed = self.owed.map(|owed| owed + self.ring.duration() / CATCH_UP);
        }
    }

    /// Between turns, the first link that is well takes its place again.
    fn go_back(&mut self) {
        let Some(live) = self.live.filter(|live| *live > 0 && self.owed.is_none()) else { return };
        let better = self.set.iter().take(live).position(|link| link.health.admits());
        if let Some(better) = better {
            self.links.stop(live);
            self.tries.renew(better);
            self.start(better, Asked::First);
        }
    }

    fn expect_answer(&mut self) {
        let hears = self.live_link().is_some_and(|link| link.stage.wants_audio());
        self.owed = self.live.filter(|_| hears).map(|live| Instant::now() + self.limit(live));
    }

    fn live_link(&self) -> Option<&Link<dyn Stt>> {
        self.set.get(self.live?)
    }

    fn limit(&self, link: usize) -> Duration {
        self.set.get(link).map_or(Duration::ZERO, |link| link.deadlines.first)
    }
}
