//! One call's utterances, and the links that speak them.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::id::UtteranceId;
use offhook_stage_api::{SpeakRequest, StageFailure, TtsCommand, TtsEvent};

use super::open::Open;
use super::spoken::PER_CHAR;
use crate::Link;
use crate::health::Asked;
use crate::race::{Race, RaceTask, Work};
use offhook_stages::{CallInfo, StageError, Tts, Tx};

/// Utterances kept in mind: of those of which nothing is pending, only which voice they have.
const MOST_OPEN: usize = 32;

/// One call's utterances.
pub(super) struct Utterances {
    race: Race<Open>,
    /// What each link took for how many characters, so far.
    pace: Vec<(Duration, u32)>,
    bridges: Arc<[String]>,
}

impl Utterances {
    pub(super) fn new(set: Arc<[Link<dyn Tts>]>, call: CallInfo, events: Tx<TtsEvent>) -> Self {
        let bridges = Arc::clone(&call.bridges);
        let pace = vec![(Duration::ZERO, 0); set.len()];
        Self { race: Race::new(set, call, events), pace, bridges }
    }

    fn speak(&mut self, request: &SpeakRequest) {
        let (id, links) = (request.utterance, self.race.providers.set.len());
        let known = self.race.open.iter().position(|open| open.id == id);
        let at = known.unwrap_or_else(|| self.make_room());
        let known = known.and_then(|at| self.race.open.remove(at));
        let mut open = known.unwrap_or_else(|| Open::new(id, links));
        open.push(request.clone(), &self.bridges);
        let speakers: Vec<usize> = open.contest.links().collect();
        if speakers.is_empty() {
            // A new one; or all have failed it, and may be tried again for what comes now.
            open.contest.renew_all();
            self.ask_next(&mut open, Asked::First);
        }
        self.race.open.insert(at, open);
        for link in speakers {
            if let Err(error) = self.race.providers.links.ask(link, TtsCommand::Speak(request.clone())) {
                self.on_ended(link, &error.to_failure());
            }
        }
    }

    /// Where the next utterance stands. The oldest of which nothing is pending is forgotten for it, or the oldest fails.
    fn make_room(&mut self) -> usize {
        if self.race.open.len() >= MOST_OPEN {
            let idle = self.race.open.iter().position(|open| open.segments.is_empty());
            if let Some(mut open) = self.race.open.remove(idle.unwrap_or(0)) {
                let what = "more utterances are wanted at once than one call can have".to_owned();
                let error = StageError::Busy { stage: "tts".to_owned(), what, retry_after: None };
                self.race.cancel(&open);
                open.fail(&error.to_failure(), &mut self.race.out);
            }
        }
        self.race.open.len()
    }

    fn cancel(&mut self, utterance: UtteranceId) {
        if let Some(at) = self.race.open.iter().position(|open| open.id == utterance)
            && let Some(open) = self.race.open.remove(at)
        {
            self.race.cancel(&open);
            self.race.restart_clocks(&open.contest);
        }
    }

    /// Has the next link speak what is pending; if none is left, that has failed.
    fn ask_next(&mut self, open: &mut Open, why: Asked) {
        if let Err(failure) = self.race.ask_next(open, why) {
            open.fail(&failure, &mut self.race.out);
        }
    }

    fn pass_on(&mut self, open: &mut Open, link: usize, event: TtsEvent) {
        match event {
            TtsEvent::Audio { utterance, segment, chunk } => {
                if let Some(segment) = open.segment(segment) {
                    segment.take_audio(&chunk);
                }
                self.race.out.push_back(TtsEvent::Audio { utterance, segment, chunk });
            }
            TtsEvent::Words { utterance, segment, words } => {
                if let Some(words) = open.segment(segment).map(|segment| segment.take_words(words)) {
                    self.race.out.push_back(TtsEvent::Words { utterance, segment, words });
                }
            }
            TtsEvent::Done { segment, .. } => {
                open.contest.part_done(link);
                if let (Some(done), Some(pace)) = (open.remove(segment), self.pace.get_mut(link)) {
                    pace.0 += done.sound;
                    pace.1 = pace.1.saturating_add(done.rest_length());
                }
                self.race.providers.count_success(link);
                self.race.out.push_back(event);
            }
            TtsEvent::Failed { .. } => {}
        }
    }

    fn per_char(&self, link: usize) -> Duration {
        let pace = self.pace.get(link).filter(|(_, chars)| *chars >= 20);
        pace.and_then(|(sound, chars)| sound.checked_div(*chars)).unwrap_or(PER_CHAR)
    }
}

impl RaceTask for Utterances {
    type Work = Open;

    fn race(&mut self) -> &mut Race<Open> {
        &mut self.race
    }

    fn on_command(&mut self, command: TtsCommand) {
        match command {
            TtsCommand::Speak(request) => self.speak(&request),
            TtsCommand::Cancel { utterance } => self.cancel(utterance),
        }
    }

    fn on_event(&mut self, open: &mut Open, link: usize, event: TtsEvent) -> bool {
        let Some(segment) = open.segment(event.of().1) else { return true };
        let failure = match event {
            TtsEvent::Failed { failure, .. } => failure,
            TtsEvent::Done { .. } if segment.stops_short() => {
                let what = "no sound for a text, or much too little".to_owned();
                StageError::Garbage { stage: self.race.providers.links.name(link), what }.to_failure()
            }
            event => {
                self.race.win(open, link);
                self.pass_on(open, link, event);
                return true;
            }
        };
        self.race.providers.count_failure(link, &failure);
        self.on_lost(open, link, failure)
    }

    fn on_lost(&mut self, open: &mut Open, link: usize, failure: StageFailure) -> bool {
        let links = &self.race.providers.links;
        links.notify(link, open.cancel());
        // While it runs, old sound may still come: it can't be asked for the same again.
        let again = !links.is_running(link) && self.race.may_try_again(open, link, &failure);
        if !self.race.drop_attempt(open, link, failure, again) {
            open.cut(self.per_char(link), &mut self.race.out);
            if open.is_pending() {
                self.ask_next(open, Asked::TakesOver);
            }
        }
        true
    }
}
