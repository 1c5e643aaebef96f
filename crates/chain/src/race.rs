//! One race of providers: who is asked for a piece of work, who is asked too when that one is slow, who takes over when it fails.
//! The same for replies and utterances; what differs is a [`Work`] and a [`RaceTask`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::StageFailure;
use offhook_stages::queue::Closed;
use offhook_stages::{CallInfo, Rx, StageError, Tx};
use tokio::time::Instant;

use crate::health::Asked;
use crate::links::Did;
use crate::providers::{Provider, Providers};
use crate::tries::Tries;
use crate::{Link, sleep_until};

/// A link that was asked for a piece of work.
#[derive(Debug)]
struct Attempt {
    link: usize,
    /// Its latest sign of life in this piece of work, or when it was asked.
    since: Instant,
    /// It has begun to answer.
    spoke: bool,
    hedge: bool,
    /// When it was asked, until it begins to answer; `None` as well if it had something else to do first.
    asked: Option<Instant>,
}

/// Where a piece of work stands: who is at it, and who was asked before.
#[derive(Debug)]
pub(crate) struct Contest {
    tries: Tries,
    /// One, two while a hedge isn't decided, none if all have failed.
    attempts: Vec<Attempt>,
    /// No link is asked any more because this one is slow: one was, none is left, or this one has answered.
    hedged: bool,
    failure: Option<StageFailure>,
}

impl Contest {
    pub(crate) fn new(links: usize) -> Self {
        Self { tries: Tries::new(links), attempts: Vec::new(), hedged: false, failure: None }
    }

    /// The links that are at it.
    pub(crate) fn links(&self) -> impl Iterator<Item = usize> {
        self.attempts.iter().map(|attempt| attempt.link)
    }

    pub(crate) fn has(&self, link: usize) -> bool {
        self.links().any(|other| other == link)
    }

    /// All links may be asked again.
    pub(crate) fn renew_all(&mut self) {
        self.tries.reset();
    }

    /// A link has done a part: for the next it has the time of a first sign of life, and all others have their tries again.
    pub(crate) fn part_done(&mut self, link: usize) {
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.link == link) {
            attempt.spoke = false;
        }
        self.tries.renew(link);
    }

    /// A link is alive, and hasn't begun to answer.
    pub(crate) fn is_alive(&mut self, link: usize) {
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.link == link) {
            attempt.since = Instant::now();
        }
    }

    /// Those who are at it wait for nothing up to now.
    pub(crate) fn begin_now(&mut self) {
        for attempt in &mut self.attempts {
            (attempt.since, attempt.spoke) = (Instant::now(), false);
            attempt.asked = None;
        }
    }
}

/// A piece of work that links are asked for, until it is complete.
pub(crate) trait Work {
    type Provider: Provider + ?Sized;
    /// What a link that is too late lacks, in messages.
    const LACKS: &'static str;
    /// Links may do one piece of work after the other: a sign of life in an earlier one counts for those behind it.
    const IN_ORDER: bool;

    fn contest(&self) -> &Contest;
    fn contest_mut(&mut self) -> &mut Contest;
    fn is_about(&self, event: &Event<Self>) -> bool;
    /// What the next link is asked.
    fn request(&self) -> Vec<Command<Self>>;
    fn cancel(&self) -> Command<Self>;

    /// Whether something of it isn't answered yet.
    fn is_pending(&self) -> bool {
        true
    }

    /// After how long the next link is asked too, if its own setting doesn't say sooner.
    fn hedge_within(&self) -> Option<Duration> {
        None
    }
}

pub(crate) type Command<W> = <<W as Work>::Provider as Provider>::Command;
pub(crate) type Event<W> = <<W as Work>::Provider as Provider>::Event;

/// One call's open pieces of work, oldest first, and the links that are at them.
pub(crate) struct Race<W: Work> {
    pub(crate) providers: Providers<W::Provider>,
    pub(crate) open: VecDeque<W>,
    /// What is yet to be sent, in order.
    pub(crate) out: VecDeque<Event<W>>,
    events: Tx<Event<W>>,
}

impl<W: Work> Race<W> {
    pub(crate) fn new(set: Arc<[Link<W::Provider>]>, call: CallInfo, events: Tx<Event<W>>) -> Self {
        Self { providers: Providers::new(set, call), open: VecDeque::new(), out: VecDeque::new(), events }
    }

    /// Asks the next link.
    ///
    /// # Errors
    /// If none is left: why the last one failed.
    pub(crate) fn ask_next(&mut self, work: &mut W, mut why: Asked) -> Result<(), StageFailure> {
        work.contest_mut().attempts.clear();
        work.contest_mut().hedged = false;
        while let Some(link) = work.contest_mut().tries.choose(&self.providers.set) {
            if self.ask(work, link, why) {
                return Ok(());
            }
            why = Asked::TakesOver;
        }
        Err(work.contest_mut().failure.take().unwrap_or_else(|| {
            let (stage, what) = (W::Provider::KIND.to_owned(), "its chain has no link left".to_owned());
            StageError::Broken { stage, what }.to_failure()
        }))
    }

    /// Whether the link took all of the request.
    fn ask(&mut self, work: &mut W, link: usize, why: Asked) -> bool {
        self.providers.count(link, why);
        for command in work.request() {
            if let Err(error) = self.providers.links.ask(link, command) {
                let failure = error.to_failure();
                self.providers.count_failure(link, &failure);
                let again = self.may_try_again(work, link, &failure);
                let contest = work.contest_mut();
                contest.tries.failed(link, again);
                contest.failure = Some(failure);
                return false;
            }
        }
        let (hedge, now) = (why == Asked::Hedge, Instant::now());
        let is_busy = self.open.iter().any(|other| other.is_pending() && other.contest().has(link));
        let asked = (!is_busy).then_some(now);
        work.contest_mut().attempts.push(Attempt { link, since: now, spoke: false, hedge, asked });
        true
    }

    /// Whether a link that failed may have a second attempt.
    pub(crate) fn may_try_again(&self, work: &W, link: usize, failure: &StageFailure) -> bool {
        self.providers.set.get(link).is_some_and(|link| work.contest().tries.in_time(link, failure))
    }

    /// The first who answers is taken; the other is cancelled.
    pub(crate) fn win(&self, work: &mut W, link: usize) {
        for loser in work.contest().links().filter(|other| *other != link) {
            self.providers.links.notify(loser, work.cancel());
        }
        let contest = work.contest_mut();
        contest.attempts.retain(|attempt| attempt.link == link);
        contest.hedged = true;
        let Some(attempt) = contest.attempts.first_mut() else { return };
        (attempt.since, attempt.spoke) = (Instant::now(), true);
        if let Some(asked) = attempt.asked.take() {
            self.providers.count_begun(link, asked.elapsed());
        }
        if std::mem::take(&mut attempt.hedge) {
            self.providers.count_won_hedge(link);
        }
    }

    /// A link won't do this work. `again`: it may be asked once more. Whether another is still at it.
    pub(crate) fn drop_attempt(&self, work: &mut W, link: usize, failure: StageFailure, again: bool) -> bool {
        let contest = work.contest_mut();
        contest.attempts.retain(|attempt| attempt.link != link);
        contest.tries.failed(link, again);
        contest.failure = Some(failure);
        !contest.attempts.is_empty()
    }

    /// Cancels a piece of work with all who are at it.
    pub(crate) fn cancel(&self, work: &W) {
        for link in work.contest().links() {
            self.providers.links.notify(link, work.cancel());
        }
    }

    /// Links that were busy with a piece of work that was cancelled come to the next only now.
    pub(crate) fn restart_clocks(&mut self, cancelled: &Contest) {
        let waiting = self.open.iter_mut().flat_map(|open| &mut open.contest_mut().attempts);
        for attempt in waiting.filter(|attempt| cancelled.has(attempt.link)) {
            attempt.since = Instant::now();
        }
    }

    /// When a link is too late, or another is asked too.
    fn due(&self) -> Option<Instant> {
        let pending = self.open.iter().enumerate().filter(|(_, open)| open.is_pending());
        let dues = pending.flat_map(|(at, open)| {
            let attempts = open.contest().attempts.iter();
            attempts.map(move |attempt| self.ends(at, attempt)).chain(self.hedge_due(at))
        });
        dues.min()
    }

    /// The limit that a link has passed in some piece of work.
    fn passed_limit(&self, link: usize, now: Instant) -> Option<Duration> {
        let pending = self.open.iter().enumerate().filter(|(_, open)| open.is_pending());
        let mut attempts =
            pending.flat_map(|(at, open)| open.contest().attempts.iter().map(move |attempt| (at, attempt)));
        let late = attempts.find(|(at, attempt)| attempt.link == link && now >= self.ends(*at, attempt));
        late.map(|(_, attempt)| self.limit(attempt))
    }

    fn hedge_all(&mut self, now: Instant) {
        for at in 0..self.open.len() {
            if self.hedge_due(at).is_some_and(|due| now >= due)
                && let Some(mut work) = self.open.remove(at)
            {
                work.contest_mut().hedged = true;
                if let Some(link) = work.contest_mut().tries.choose_hedge(&self.providers.set) {
                    self.ask(&mut work, link, Asked::Hedge);
                }
                self.open.insert(at, work);
            }
        }
    }

    fn hedge_due(&self, at: usize) -> Option<Instant> {
        let work = self.open.get(at)?;
        let contest = work.contest();
        let [attempt] = contest.attempts.as_slice() else { return None };
        if contest.hedged || !work.is_pending() || !contest.tries.may_hedge() {
            return None;
        }
        let usual = self.providers.set.get(attempt.link)?.hedge_after;
        let after = usual.into_iter().chain(work.hedge_within()).min()?;
        Some(self.waited_since(at, attempt) + after)
    }

    fn ends(&self, at: usize, attempt: &Attempt) -> Instant {
        self.waited_since(at, attempt) + self.limit(attempt)
    }

    fn limit(&self, attempt: &Attempt) -> Duration {
        self.providers.limit(attempt.link, attempt.spoke)
    }

    /// Since when a sign of life is due for the work in this place.
    fn waited_since(&self, at: usize, attempt: &Attempt) -> Instant {
        let earlier = self.open.iter().take(if W::IN_ORDER { at } else { 0 });
        let signs = earlier.flat_map(|open| &open.contest().attempts);
        let signs = signs.filter(|other| other.link == attempt.link).map(|other| other.since);
        signs.fold(attempt.since, Instant::max)
    }
}

/// What a kind of stage makes of commands, answers and failures.
pub(crate) trait RaceTask: Sized {
    type Work: Work;

    fn race(&mut self) -> &mut Race<Self::Work>;
    fn on_command(&mut self, command: Command<Self::Work>);
    /// A link that is at a piece of work answered. Whether the work stays open.
    fn on_event(&mut self, work: &mut Self::Work, link: usize, event: Event<Self::Work>) -> bool;
    /// A link that was at a piece of work has failed it. Whether the work stays open.
    fn on_lost(&mut self, work: &mut Self::Work, link: usize, failure: StageFailure) -> bool;

    /// Whether an event belongs to no piece of work: it is passed on as it is.
    fn is_unasked(_event: &Event<Self::Work>) -> bool {
        false
    }

    /// A link's run is over: it answers nothing of what it was asked.
    fn on_ended(&mut self, link: usize, failure: &StageFailure) {
        self.race().providers.count_failure(link, failure);
        for mut work in std::mem::take(&mut self.race().open) {
            if !work.contest().has(link) || self.on_lost(&mut work, link, failure.clone()) {
                self.race().open.push_back(work);
            }
        }
    }

    fn on_said(&mut self, link: usize, event: Event<Self::Work>) {
        if Self::is_unasked(&event) {
            return self.race().out.push_back(event);
        }
        self.race().providers.meet(link);
        let open = &mut self.race().open;
        // Ignores events of a link that was given up.
        let serves = |work: &Self::Work| work.is_about(&event) && work.contest().has(link);
        let Some(at) = open.iter().position(serves) else { return };
        let Some(mut work) = open.remove(at) else { return };
        if self.on_event(&mut work, link, event) {
            self.race().open.insert(at, work);
        }
    }

    fn on_due(&mut self) {
        let now = Instant::now();
        for link in 0..self.race().providers.set.len() {
            if let Some(limit) = self.race().passed_limit(link, now) {
                let failure = self.race().providers.stop_late(link, Self::Work::LACKS, limit);
                self.on_ended(link, &failure);
            }
        }
        self.race().hedge_all(now);
    }
}

/// Serves one call until the commands end and what was asked for is answered.
pub(crate) async fn serve<T: RaceTask>(mut task: T, commands: Rx<Command<T::Work>>) -> Result<(), Closed> {
    task.race().providers.start_first();
    let mut wanted = true;
    while wanted || task.race().open.iter().any(Work::is_pending) {
        let due = task.race().due();
        tokio::select! {
            biased;
            command = commands.recv(), if wanted => match command {
                Some(command) => task.on_command(command),
                None => wanted = false,
            },
            (link, did) = task.race().providers.links.next() => match did {
                Did::Said(event) => task.on_said(link, event),
                Did::Ended(error) => task.on_ended(link, &error.to_failure()),
            },
            () = sleep_until(due) => task.on_due(),
        }
        let race = task.race();
        while let Some(event) = race.out.pop_front() {
            race.events.send(event).await?;
        }
    }
    Ok(())
}
