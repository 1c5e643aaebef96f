//! What is said into a silence, and when.

use std::time::Duration;

use crate::call::Call;
use crate::config::{CallConfig, PatienceConfig};
use crate::io::{EndReason, UtteranceKind};
use crate::timers::Timer;
use crate::turn::Floor;
use offhook_stage_api::CallTime;

/// Without media for so long, a talkspurt that was going on has ended.
pub(crate) const STARVED: Duration = Duration::from_secs(1);

/// A turn that waited long for its end still gets so much time for its answer before a filler is said.
const SHORTLY: Duration = Duration::from_millis(200);

/// Recognisers give the words of a pause after 0.25 to 1 s.
const IN_TROUBLE: Duration = Duration::from_millis(1_100);

/// What has been tried so far.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    check_ins_said: usize,
    pub(crate) fillers_said: usize,
    /// Counts over the call, so that not every wait begins with the same filler.
    filler_turn: usize,
    /// When the latest turn was decided.
    pub(crate) decided: Option<CallTime>,
    /// No media came for [`STARVED`].
    pub(crate) starved: bool,
}

impl Patience {
    /// What to say into the caller's silence; `None` when everything was said.
    pub(crate) fn next_check_in(&mut self, config: &PatienceConfig) -> Option<String> {
        let check_in = config.check_ins.get(self.check_ins_said).cloned();
        self.check_ins_said += 1;
        check_in
    }

    /// What to bridge a wait with; not always the same.
    pub(crate) fn next_filler(&mut self, config: &PatienceConfig) -> Option<String> {
        let count = config.fillers.len().max(1);
        let filler = config.fillers.get(self.filler_turn % count).cloned()?;
        self.filler_turn += 1;
        Some(filler)
    }

    /// The caller said or keyed something.
    pub(crate) const fn heard_caller(&mut self) {
        self.check_ins_said = 0;
    }
}

impl CallConfig {
    /// Everything that may be said while the caller waits: fillers, in all languages, and those of tools.
    #[must_use]
    pub fn bridges(&self) -> Vec<String> {
        let usual = self.patience.fillers.iter();
        let tools = self.tools.values().filter_map(|manners| manners.filler.as_ref());
        let others = self.languages.values();
        let others = others.flat_map(|texts| texts.fillers.iter().flatten().chain(texts.tools.values()));
        usual.chain(tools).chain(others).cloned().collect()
    }
}

impl Call {
    /// Starts or stops the watch on the caller's silence.
    pub(crate) fn watch_silence(&mut self) {
        let waiting = self.turn.floor == Floor::Quiet
            && self.playout.is_idle()
            && self.ending.is_none()
            && self.keypad.is_empty()
            && self.echo.is_none()
            && !self.working.any()
            && self.machine.is_none()
            && self.reply.as_ref().is_none_or(|reply| reply.done && reply.committed);
        if !waiting {
            self.timers.cancel(Timer::CallerSilent);
        } else if !self.timers.is_set(Timer::CallerSilent) {
            self.timers.set(Timer::CallerSilent, self.now + self.config.patience.caller_silent);
        }
    }

    pub(crate) fn on_caller_silent(&mut self) {
        match self.patience.next_check_in(self.spoken.patience(&self.config.patience)) {
            Some(text) => {
                self.say(UtteranceKind::CheckIn, &text);
            }
            None => self.say_farewell(EndReason::CallerSilent),
        }
    }

    fn say_farewell(&mut self, why: EndReason) {
        let farewell = self.spoken.patience(&self.config.patience).farewell.clone();
        self.say(UtteranceKind::Farewell, &farewell);
        self.end_when_said(why);
    }

    /// When a filler is due for a reply to a turn that is over just now. The caller counts from the end of the speech, whatever
    /// the turn waited for.
    pub(crate) fn reply_late_at(&self) -> CallTime {
        let patience = &self.config.patience;
        if self.patience.fillers_said > 0 {
            return self.now + patience.reply_very_late;
        }
        let late = self.turn.ended + patience.reply_late;
        late.clamp(self.now + patience.reply_late.min(SHORTLY), self.now + patience.reply_late)
    }

    /// Starts or stops the watch on a recogniser that owes the words of a pause. One that was so slow with them may have missed
    /// some: that they stop short is no reason to leave the caller in silence.
    pub(crate) fn watch_words(&mut self) {
        let owed = self.turn.floor == Floor::Paused
            && self.turn.settled_at.is_none_or(|at| at.since(self.turn.ended) >= IN_TROUBLE)
            && self.turn.spoken >= self.config.turn.shortest_wordless
            && self.patience.fillers_said == 0;
        let due = self.turn.ended + self.config.patience.reply_late;
        self.timers.set_or_cancel(Timer::WordsLate, Some(due).filter(|due| owed && *due > self.now));
    }

    /// Perhaps another recogniser is at it. The turn stays open: only the caller's wait is bridged.
    pub(crate) fn on_words_late(&mut self) {
        if self.barge_in.is_some() || self.ending.is_some() || !self.playout.is_idle() {
            return;
        }
        if let Some(filler) = self.patience.next_filler(&self.config.patience) {
            self.say(UtteranceKind::Filler, &filler);
            self.patience.fillers_said += 1;
        }
    }

    pub(crate) fn on_reply_late(&mut self) {
        if self.reply.as_ref().is_none_or(|reply| reply.committed) {
            return;
        }
        if self.reply.as_ref().is_some_and(|reply| reply.after_tool) && !self.playout.is_idle() {
            // Something is being said: the wait begins behind it.
            self.timers.set(Timer::ReplyLate, self.now + self.config.patience.reply_late);
            return;
        }
        if self.patience.fillers_said == 0
            && let Some(filler) = self.patience.next_filler(self.spoken.patience(&self.config.patience))
        {
            self.say(UtteranceKind::Filler, &filler);
        } else {
            let apology = self.spoken.patience(&self.config.patience).apology.clone();
            let basis = self.reply.as_ref().map(|reply| reply.basis.clone()).unwrap_or_default();
            self.trouble("the reply takes too long; it was given up");
            self.drop_reply();
            self.say(UtteranceKind::Apology, &apology);
            let when = (self.turn.began, self.turn.ended);
            self.context.push(offhook_stage_api::Party::Caller, basis, false, when);
            self.close_turn();
            self.patience.fillers_said = 0;
            return;
        }
        self.patience.fillers_said += 1;
        self.timers.set(Timer::ReplyLate, self.now + self.config.patience.reply_very_late);
    }

    pub(crate) fn on_no_media(&mut self) {
        if self.patience.starved {
            self.trouble("no media came for too long; the call is given up");
            self.cut_everything(false);
            self.hang_up(EndReason::NoMedia);
            return;
        }
        self.patience.starved = true;
        if let Some(offhook_endpoint::SpeechEvent::Offset { at }) = self.inbound.on_starved() {
            self.on_offset(at);
        }
        let rest = self.config.patience.no_media.saturating_sub(STARVED);
        self.timers.set(Timer::NoMedia, self.now + rest);
    }

    pub(crate) fn on_too_long(&mut self) {
        self.cut_everything(true);
        let text = self.spoken.patience(&self.config.patience).too_long.clone();
        self.say(UtteranceKind::Farewell, &text);
        self.end_when_said(EndReason::TooLong);
    }
}
