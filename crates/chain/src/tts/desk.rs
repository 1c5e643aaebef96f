//! One call's utterances, and the links that speak them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::id::UtteranceId;
use offhook_stage_api::{SpeakRequest, StageFailure, TtsCommand, TtsEvent};
use tokio::time::Instant;

use super::open::{Open, Racer};
use super::spoken::PER_CHAR;
use crate::health::{Asked, Circuit};
use crate::links::{Did, Links, QUEUE, Start};
use crate::tries::Tries;
use crate::{Link, sleep_until};
use offhook_stages::queue::Closed;
use offhook_stages::{CallInfo, Rx, StageError, Tts, Tx, WhenFull};

/// When the next voice is asked, too, for what bridges a wait: the caller has waited 1.5 s by then, and 2 s are too long.
const BRIDGE_WITHIN: Duration = Duration::from_millis(350);

/// Utterances kept in mind: of those that owe nothing, only which voice they have.
const MOST_OPEN: usize = 32;

pub(super) struct Desk {
    set: Arc<[Link<dyn Tts>]>,
    links: Links<TtsCommand, TtsEvent>,
    open: VecDeque<Open>,
    /// What each link took for how many characters, so far.
    pace: Vec<(Duration, u32)>,
    events: Tx<TtsEvent>,
    /// What is yet to be sent, in order.
    out: VecDeque<TtsEvent>,
    call: Arc<str>,
    bridges: Arc<[String]>,
}

impl Desk {
    pub(super) fn new(set: Arc<[Link<dyn Tts>]>, call: CallInfo, events: Tx<TtsEvent>) -> Self {
        let (id, bridges) = (Arc::clone(&call.call), Arc::clone(&call.bridges));
        let starts = set.iter().map(|link| {
            let stage = Arc::clone(&link.stage);
            let start: Start<TtsCommand, TtsEvent> =
                Box::new(move |call, commands, events| stage.run(call, commands, events));
            (link.stage.name().to_owned(), start)
        });
        let links = Links::new(call, starts);
        let pace = vec![(Duration::ZERO, 0); set.len()];
        let (open, out) = (VecDeque::new(), VecDeque::new());
        Self { set, links, open, pace, events, out, call: id, bridges }
    }

    /// Serves until the commands end and what was asked for is spoken.
    pub(super) async fn serve(mut self, commands: Rx<TtsCommand>) -> Result<(), Closed> {
        if let Some(first) = self.set.iter().position(|link| link.health.circuit() != Circuit::Open) {
            self.links.start(first, QUEUE, WhenFull::PushBack);
        }
        let mut wanted = true;
        while wanted || self.open.iter().any(|open| !open.segments.is_empty()) {
            let due = self.due();
            tokio::select! {
                biased;
                command = commands.recv(), if wanted => match command {
                    Some(TtsCommand::Speak(request)) => self.speak(&request),
                    Some(TtsCommand::Cancel { utterance }) => self.cancel(utterance),
                    None => wanted = false,
                },
                (link, did) = self.links.next() => match did {
                    Did::Said(event) => self.on_event(link, event),
                    Did::Ended(error) => self.on_ended(link, &error.to_failure()),
                },
                () = sleep_until(due) => self.on_due(),
            }
            while let Some(event) = self.out.pop_front() {
                self.events.send(event).await?;
            }
        }
        Ok(())
    }

    fn speak(&mut self, request: &SpeakRequest) {
        let id = request.utterance;
        let known = self.open.iter().position(|open| open.id == id);
        let at = known.unwrap_or_else(|| self.make_room());
        let mut open =
            known.and_then(|at| self.open.remove(at)).unwrap_or_else(|| Open::new(id, self.set.len()));
        open.push(request.clone());
        if open.racers.is_empty() {
            // A new one; or all have failed it, and may be tried again for what comes now.
            open.tries = Tries::new(self.set.len());
            self.ask_next(&mut open, Asked::First);
            return self.open.insert(at, open);
        }
        let racers: Vec<usize> = open.racers.iter().map(|racer| racer.link).collect();
        self.open.insert(at, open);
        for link in racers {
            if let Err(error) = self.links.ask(link, TtsCommand::Speak(request.clone())) {
                self.on_ended(link, &error.to_failure());
            }
        }
    }

    /// Where the next utterance stands. The oldest that owes nothing is forgotten for it, or the oldest fails.
    fn make_room(&mut self) -> usize {
        if self.open.len() >= MOST_OPEN {
            let idle = self.open.iter().position(|open| open.segments.is_empty());
            if let Some(mut open) = self.open.remove(idle.unwrap_or(0)) {
                let what = "more utterances are wanted at once than one call can have".to_owned();
                let error = StageError::Busy { stage: "tts".to_owned(), what, retry_after: None };
                self.cancel_racers(&open);
                open.fail(&error.to_failure(), &mut self.out);
            }
        }
        self.open.len()
    }

    fn cancel(&mut self, utterance: UtteranceId) {
        if let Some(at) = self.open.iter().position(|open| open.id == utterance)
            && let Some(open) = self.open.remove(at)
        {
            self.cancel_racers(&open);
            // A link that speaks one after the other comes to the next only now.
            let waiting = self.open.iter_mut().flat_map(|open| &mut open.racers);
            for racer in waiting.filter(|racer| open.racers.iter().any(|old| old.link == racer.link)) {
                racer.since = Instant::now();
            }
        }
    }

    fn cancel_racers(&self, open: &Open) {
        for racer in &open.racers {
            self.links.tell(racer.link, TtsCommand::Cancel { utterance: open.id });
        }
    }

    /// Has the next link speak what is owed; if none is left, that has failed.
    fn ask_next(&mut self, open: &mut Open, mut why: Asked) {
        open.racers.clear();
        open.hedged = false;
        while let Some(link) = open.tries.choose(&self.set) {
            self.count(link, why);
            why = Asked::TakesOver;
            match self.ask(open, link) {
                Ok(()) => return open.racers.push(Racer::new(link, false)),
                Err(failure) => self.note_failure(open, link, failure),
            }
        }
        let failure = open.failure.take().unwrap_or_else(|| {
            let what = "its chain has no link left".to_owned();
            StageError::Broken { stage: "tts".to_owned(), what }.to_failure()
        });
        open.fail(&failure, &mut self.out);
    }

    fn ask(&mut self, open: &Open, link: usize) -> Result<(), StageFailure> {
        for segment in &open.segments {
            let asked = self.links.ask(link, TtsCommand::Speak(segment.ask()));
            asked.map_err(|error| error.to_failure())?;
        }
        Ok(())
    }

    fn on_event(&mut self, link: usize, event: TtsEvent) {
        let (id, segment) = event.of();
        let serves = |open: &Open| open.id == id && open.racers.iter().any(|racer| racer.link == link);
        // What comes late from a link that was given up is nothing.
        let Some(at) = self.open.iter().position(serves) else { return };
        let Some(mut open) = self.open.remove(at) else { return };
        if open.segment(segment).is_none() {
            return self.open.insert(at, open);
        }
        match event {
            TtsEvent::Failed { failure, .. } => {
                self.count_failure(link, &failure);
                self.drop_racer(&mut open, link, failure);
            }
            TtsEvent::Done { .. } if open.segment(segment).is_some_and(|segment| segment.stops_short()) => {
                let what = "no sound for a text, or much too little".to_owned();
                let failure = StageError::Garbage { stage: self.links.name(link), what }.to_failure();
                self.count_failure(link, &failure);
                self.drop_racer(&mut open, link, failure);
            }
            event => {
                self.win(&mut open, link);
                self.pass_on(&mut open, link, event);
            }
        }
        self.open.insert(at, open);
    }

    fn pass_on(&mut self, open: &mut Open, link: usize, event: TtsEvent) {
        match event {
            TtsEvent::Audio { utterance, segment, chunk } => {
                if let Some(segment) = open.segment(segment) {
                    segment.take_audio(&chunk);
                }
                self.out.push_back(TtsEvent::Audio { utterance, segment, chunk });
            }
            TtsEvent::Words { utterance, segment, words } => {
                if let Some(words) = open.segment(segment).map(|segment| segment.take_words(words)) {
                    self.out.push_back(TtsEvent::Words { utterance, segment, words });
                }
            }
            TtsEvent::Done { segment, .. } => {
                if let Some(racer) = open.racer(link) {
                    racer.spoke = false; // the next segment begins
                }
                open.tries.renew(link);
                if let (Some(done), Some(pace)) = (open.remove(segment), self.pace.get_mut(link)) {
                    pace.0 += done.sound;
                    pace.1 = pace.1.saturating_add(done.rest_length());
                }
                if let Some(link) = self.set.get(link) {
                    link.health.succeeded();
                }
                self.out.push_back(event);
            }
            TtsEvent::Failed { .. } => {}
        }
    }

    /// The first who says something is taken; the other is cancelled.
    fn win(&mut self, open: &mut Open, link: usize) {
        for loser in open.racers.iter().filter(|racer| racer.link != link) {
            self.links.tell(loser.link, TtsCommand::Cancel { utterance: open.id });
        }
        open.racers.retain(|racer| racer.link == link);
        open.hedged = true;
        let Some(racer) = open.racer(link) else { return };
        (racer.since, racer.spoke) = (Instant::now(), true);
        if std::mem::take(&mut racer.hedge)
            && let Some(link) = self.set.get(link)
        {
            link.health.won_hedge();
        }
    }

    /// A link's run is over: it speaks nothing of what it owes.
    fn on_ended(&mut self, link: usize, failure: &StageFailure) {
        self.count_failure(link, failure);
        let mut all = std::mem::take(&mut self.open);
        for open in all.iter_mut().filter(|open| open.racers.iter().any(|racer| racer.link == link)) {
            self.drop_racer(open, link, failure.clone());
        }
        self.open = all;
    }

    /// A link won't speak the rest of this utterance.
    fn drop_racer(&mut self, open: &mut Open, link: usize, failure: StageFailure) {
        self.links.tell(link, TtsCommand::Cancel { utterance: open.id });
        open.racers.retain(|racer| racer.link != link);
        // While it runs, old sound may still come: it can't be asked for the same again.
        let again = self.set.get(link).is_some_and(|link| open.tries.in_time(link, &failure));
        open.tries.failed(link, again && !self.links.is_running(link));
        open.failure = Some(failure);
        if open.racers.is_empty() {
            open.cut(self.per_char(link), &mut self.out);
            if !open.segments.is_empty() {
                self.ask_next(open, Asked::TakesOver);
            }
        }
    }

    fn on_due(&mut self) {
        let now = Instant::now();
        for link in 0..self.set.len() {
            let owing = self.open.iter().enumerate().filter(|(_, open)| !open.segments.is_empty());
            let mut racers = owing.flat_map(|(at, open)| open.racers.iter().map(move |racer| (at, racer)));
            let is_late = |at, racer: &Racer| now >= self.waited_since(at, racer) + self.limit(racer);
            let late = racers.find(|(at, racer)| racer.link == link && is_late(*at, racer));
            if let Some(limit) = late.map(|(_, racer)| self.limit(racer)) {
                // Whatever it hangs on, it hangs on no longer.
                self.links.stop(link);
                let error = StageError::TooSlow { stage: self.links.name(link), what: "sound", limit };
                self.on_ended(link, &error.to_failure());
            }
        }
        for at in 0..self.open.len() {
            if self.hedge_due(at).is_some_and(|due| now >= due)
                && let Some(mut open) = self.open.remove(at)
            {
                self.hedge(&mut open);
                self.open.insert(at, open);
            }
        }
    }

    fn hedge(&mut self, open: &mut Open) {
        open.hedged = true;
        let Some(link) = open.tries.choose_hedge(&self.set) else { return };
        self.count(link, Asked::Hedge);
        match self.ask(open, link) {
            Ok(()) => open.racers.push(Racer::new(link, true)),
            Err(failure) => self.note_failure(open, link, failure),
        }
    }

    fn due(&self) -> Option<Instant> {
        let owing = self.open.iter().enumerate().filter(|(_, open)| !open.segments.is_empty());
        let dues = owing.flat_map(|(at, open)| {
            let ends = open.racers.iter().map(move |racer| self.waited_since(at, racer) + self.limit(racer));
            ends.chain(self.hedge_due(at))
        });
        dues.min()
    }

    /// Since when a link owes a sign of life for the utterance in this place. Voices may speak one utterance after the
    /// other: a sign in an earlier one counts.
    fn waited_since(&self, at: usize, racer: &Racer) -> Instant {
        let earlier = self.open.iter().take(at).flat_map(|open| &open.racers);
        let signs = earlier.filter(|other| other.link == racer.link).map(|other| other.since);
        signs.fold(racer.since, Instant::max)
    }

    fn limit(&self, racer: &Racer) -> Duration {
        let deadlines = self.set.get(racer.link).map(|link| link.deadlines);
        deadlines.map_or(
            Duration::ZERO,
            |deadlines| {
                if racer.spoke { deadlines.gap } else { deadlines.first }
            },
        )
    }

    fn hedge_due(&self, at: usize) -> Option<Instant> {
        let open = self.open.get(at)?;
        let [racer] = open.racers.as_slice() else { return None };
        if open.hedged || open.segments.is_empty() || !open.tries.may_hedge() {
            return None;
        }
        let usual = self.set.get(racer.link)?.hedge_after;
        let after = if self.bridges_a_wait(open) {
            usual.map_or(BRIDGE_WITHIN, |usual| usual.min(BRIDGE_WITHIN))
        } else {
            usual?
        };
        Some(self.waited_since(at, racer) + after)
    }

    fn bridges_a_wait(&self, open: &Open) -> bool {
        let text = open.segments.front().map_or("", |segment| segment.request.text.trim());
        !text.is_empty() && self.bridges.iter().any(|bridge| bridge.trim().starts_with(text))
    }

    fn per_char(&self, link: usize) -> Duration {
        let pace = self.pace.get(link).filter(|(_, chars)| *chars >= 20);
        pace.and_then(|(sound, chars)| sound.checked_div(*chars)).unwrap_or(PER_CHAR)
    }

    fn note_failure(&self, open: &mut Open, link: usize, failure: StageFailure) {
        self.count_failure(link, &failure);
        let again = self.set.get(link).is_some_and(|link| open.tries.in_time(link, &failure));
        open.tries.failed(link, again);
        open.failure = Some(failure);
    }

    fn count_failure(&self, link: usize, failure: &StageFailure) {
        tracing::warn!(call = %self.call, %failure, "a link of the voice's chain failed");
        if let Some(link) = self.set.get(link) {
            link.health.failed(failure);
        }
    }

    fn count(&self, link: usize, why: Asked) {
        if let Some(link) = self.set.get(link) {
            link.health.asked(why);
        }
    }
}
