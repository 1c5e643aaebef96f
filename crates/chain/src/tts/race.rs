//! One call's utterances, and the links that speak them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::id::UtteranceId;
use offhook_stage_api::{SpeakRequest, StageFailure, TtsCommand, TtsEvent};
use tokio::time::Instant;

use super::open::Open;
use super::spoken::PER_CHAR;
use crate::health::Asked;
use crate::links::Did;
use crate::race::{Attempt, Race};
use crate::tries::Tries;
use crate::{Link, sleep_until};
use offhook_stages::queue::Closed;
use offhook_stages::{CallInfo, Rx, StageError, Tts, Tx};

/// When the next voice is asked, too, for what bridges a wait: the caller has waited 1.5 s by then, and 2 s are too long.
const BRIDGE_WITHIN: Duration = Duration::from_millis(350);

/// Utterances kept in mind: of those that owe nothing, only which voice they have.
const MOST_OPEN: usize = 32;

pub(super) struct TtsRace {
    race: Race<dyn Tts, TtsCommand, TtsEvent>,
    open: VecDeque<Open>,
    /// What each link took for how many characters, so far.
    pace: Vec<(Duration, u32)>,
    events: Tx<TtsEvent>,
    /// What is yet to be sent, in order.
    out: VecDeque<TtsEvent>,
    bridges: Arc<[String]>,
}

impl TtsRace {
    pub(super) fn new(set: Arc<[Link<dyn Tts>]>, call: CallInfo, events: Tx<TtsEvent>) -> Self {
        let bridges = Arc::clone(&call.bridges);
        let race = Race::new("tts", set, call, |stage| {
            let stage = Arc::clone(stage);
            let name = stage.name().to_owned();
            (name, Box::new(move |call, commands, events| stage.run(call, commands, events)))
        });
        let pace = vec![(Duration::ZERO, 0); race.set.len()];
        let (open, out) = (VecDeque::new(), VecDeque::new());
        Self { race, open, pace, events, out, bridges }
    }

    /// Serves until the commands end and what was asked for is spoken.
    pub(super) async fn serve(mut self, commands: Rx<TtsCommand>) -> Result<(), Closed> {
        self.race.start_first();
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
                (link, did) = self.race.links.next() => match did {
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
            known.and_then(|at| self.open.remove(at)).unwrap_or_else(|| Open::new(id, self.race.set.len()));
        open.push(request.clone());
        if open.attempts.is_empty() {
            // A new one; or all have failed it, and may be tried again for what comes now.
            open.tries = Tries::new(self.race.set.len());
            self.ask_next(&mut open, Asked::First);
            return self.open.insert(at, open);
        }
        let attempts: Vec<usize> = open.attempts.iter().map(|attempt| attempt.link).collect();
        self.open.insert(at, open);
        for link in attempts {
            if let Err(error) = self.race.links.ask(link, TtsCommand::Speak(request.clone())) {
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
                self.cancel_attempts(&open);
                open.fail(&error.to_failure(), &mut self.out);
            }
        }
        self.open.len()
    }

    fn cancel(&mut self, utterance: UtteranceId) {
        if let Some(at) = self.open.iter().position(|open| open.id == utterance)
            && let Some(open) = self.open.remove(at)
        {
            self.cancel_attempts(&open);
            // A link that speaks one after the other comes to the next only now.
            let waiting = self.open.iter_mut().flat_map(|open| &mut open.attempts);
            for attempt in waiting.filter(|attempt| open.attempts.iter().any(|old| old.link == attempt.link))
            {
                attempt.since = Instant::now();
            }
        }
    }

    fn cancel_attempts(&self, open: &Open) {
        for attempt in &open.attempts {
            self.race.links.tell(attempt.link, TtsCommand::Cancel { utterance: open.id });
        }
    }

    /// Has the next link speak what is owed; if none is left, that has failed.
    fn ask_next(&mut self, open: &mut Open, mut why: Asked) {
        open.attempts.clear();
        open.hedged = false;
        while let Some(link) = open.tries.choose(&self.race.set) {
            self.race.count(link, why);
            why = Asked::TakesOver;
            match self.ask(open, link) {
                Ok(()) => return open.attempts.push(Attempt::new(link, false)),
                Err(failure) => {
                    self.race.note_failure(link, &mut open.tries, &failure);
                    open.failure = Some(failure);
                }
            }
        }
        let failure = open.failure.take().unwrap_or_else(|| self.race.no_link_left());
        open.fail(&failure, &mut self.out);
    }

    fn ask(&mut self, open: &Open, link: usize) -> Result<(), StageFailure> {
        for segment in &open.segments {
            let asked = self.race.links.ask(link, TtsCommand::Speak(segment.ask()));
            asked.map_err(|error| error.to_failure())?;
        }
        Ok(())
    }

    fn on_event(&mut self, link: usize, event: TtsEvent) {
        let (id, segment) = event.of();
        let serves = |open: &Open| open.id == id && open.attempts.iter().any(|attempt| attempt.link == link);
        // What comes late from a link that was given up is nothing.
        let Some(at) = self.open.iter().position(serves) else { return };
        let Some(mut open) = self.open.remove(at) else { return };
        if open.segment(segment).is_none() {
            return self.open.insert(at, open);
        }
        match event {
            TtsEvent::Failed { failure, .. } => {
                self.race.count_failure(link, &failure);
                self.drop_attempt(&mut open, link, failure);
            }
            TtsEvent::Done { .. } if open.segment(segment).is_some_and(|segment| segment.stops_short()) => {
                let what = "no sound for a text, or much too little".to_owned();
                let failure = StageError::Garbage { stage: self.race.links.name(link), what }.to_failure();
                self.race.count_failure(link, &failure);
                self.drop_attempt(&mut open, link, failure);
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
                if let Some(attempt) = open.attempt(link) {
                    attempt.spoke = false; // the next segment begins
                }
                open.tries.renew(link);
                if let (Some(done), Some(pace)) = (open.remove(segment), self.pace.get_mut(link)) {
                    pace.0 += done.sound;
                    pace.1 = pace.1.saturating_add(done.rest_length());
                }
                self.race.count_success(link);
                self.out.push_back(event);
            }
            TtsEvent::Failed { .. } => {}
        }
    }

    /// The first who says something is taken; the other is cancelled.
    fn win(&mut self, open: &mut Open, link: usize) {
        for loser in open.attempts.iter().filter(|attempt| attempt.link != link) {
            self.race.links.tell(loser.link, TtsCommand::Cancel { utterance: open.id });
        }
        open.attempts.retain(|attempt| attempt.link == link);
        open.hedged = true;
        let Some(attempt) = open.attempt(link) else { return };
        (attempt.since, attempt.spoke) = (Instant::now(), true);
        if std::mem::take(&mut attempt.hedge) {
            self.race.count_won_hedge(link);
        }
    }

    /// A link's run is over: it speaks nothing of what it owes.
    fn on_ended(&mut self, link: usize, failure: &StageFailure) {
        self.race.count_failure(link, failure);
        let mut all = std::mem::take(&mut self.open);
        for open in all.iter_mut().filter(|open| open.attempts.iter().any(|attempt| attempt.link == link)) {
            self.drop_attempt(open, link, failure.clone());
        }
        self.open = all;
    }

    /// A link won't speak the rest of this utterance.
    fn drop_attempt(&mut self, open: &mut Open, link: usize, failure: StageFailure) {
        self.race.links.tell(link, TtsCommand::Cancel { utterance: open.id });
        open.attempts.retain(|attempt| attempt.link != link);
        // While it runs, old sound may still come: it can't be asked for the same again.
        let again = self.race.may_try_again(link, &open.tries, &failure);
        open.tries.failed(link, again && !self.race.links.is_running(link));
        open.failure = Some(failure);
        if open.attempts.is_empty() {
            open.cut(self.per_char(link), &mut self.out);
            if !open.segments.is_empty() {
                self.ask_next(open, Asked::TakesOver);
            }
        }
    }

    fn on_due(&mut self) {
        let now = Instant::now();
        for link in 0..self.race.set.len() {
            let owing = self.open.iter().enumerate().filter(|(_, open)| !open.segments.is_empty());
            let mut attempts =
                owing.flat_map(|(at, open)| open.attempts.iter().map(move |attempt| (at, attempt)));
            let is_late =
                |at, attempt: &Attempt| now >= self.waited_since(at, attempt) + self.race.limit(attempt);
            let late = attempts.find(|(at, attempt)| attempt.link == link && is_late(*at, attempt));
            if let Some(limit) = late.map(|(_, attempt)| self.race.limit(attempt)) {
                let error = self.race.stop_late(link, "sound", limit);
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
        let Some(link) = open.tries.choose_hedge(&self.race.set) else { return };
        self.race.count(link, Asked::Hedge);
        match self.ask(open, link) {
            Ok(()) => open.attempts.push(Attempt::new(link, true)),
            Err(failure) => {
                self.race.note_failure(link, &mut open.tries, &failure);
                open.failure = Some(failure);
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let owing = self.open.iter().enumerate().filter(|(_, open)| !open.segments.is_empty());
        let dues = owing.flat_map(|(at, open)| {
            let ends = open
                .attempts
                .iter()
                .map(move |attempt| self.waited_since(at, attempt) + self.race.limit(attempt));
            ends.chain(self.hedge_due(at))
        });
        dues.min()
    }

    /// Since when a link owes a sign of life for the utterance in this place. Voices may speak one utterance after the
    /// other: a sign in an earlier one counts.
    fn waited_since(&self, at: usize, attempt: &Attempt) -> Instant {
        let earlier = self.open.iter().take(at).flat_map(|open| &open.attempts);
        let signs = earlier.filter(|other| other.link == attempt.link).map(|other| other.since);
        signs.fold(attempt.since, Instant::max)
    }

    fn hedge_due(&self, at: usize) -> Option<Instant> {
        let open = self.open.get(at)?;
        let [attempt] = open.attempts.as_slice() else { return None };
        if open.hedged || open.segments.is_empty() || !open.tries.may_hedge() {
            return None;
        }
        let usual = self.race.set.get(attempt.link)?.hedge_after;
        let after = if self.bridges_a_wait(open) {
            usual.map_or(BRIDGE_WITHIN, |usual| usual.min(BRIDGE_WITHIN))
        } else {
            usual?
        };
        Some(self.waited_since(at, attempt) + after)
    }

    fn bridges_a_wait(&self, open: &Open) -> bool {
        let text = open.segments.front().map_or("", |segment| segment.request.text.trim());
        !text.is_empty() && self.bridges.iter().any(|bridge| bridge.trim().starts_with(text))
    }

    fn per_char(&self, link: usize) -> Duration {
        let pace = self.pace.get(link).filter(|(_, chars)| *chars >= 20);
        pace.and_then(|(sound, chars)| sound.checked_div(*chars)).unwrap_or(PER_CHAR)
    }
}
