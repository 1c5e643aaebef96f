//! The caller speaks while the agent does: an interruption, a backchannel, a cough, or our own echo?
//!
//! In stages. At the onset nothing more is sent; Twilio still plays what it has, so a cough leaves no hole. When the
//! speech has lasted a little, Twilio's buffer is cleared, and the unheard sound is kept. Then words or duration
//! decide: an interruption ends the utterance, and the context keeps what was heard; anything else lets it go on from
//! the very sample where it stopped.

use crate::call::Call;
use crate::config::BargeInConfig;
use crate::io::{BargeInStage, CallEvent, DropReason};
use crate::timers::Timer;
use crate::turn::Floor;
use offhook_stage_api::AnswerKind;
use offhook_stage_api::CallTime;
use offhook_stage_api::Interruptible;

/// Speech over the agent, not yet judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BargeIn {
    /// The onset, on the call's clock.
    pub(crate) onset: CallTime,
    cleared: bool,
}

/// With less than this left to be heard, an utterance is as good as over, and a "yes" over it is an answer.
const NEARLY_OVER_MS: u64 = 600;

impl Call {
    /// The caller's onset: if the agent may be interrupted, hold back what isn't sent.
    pub(crate) fn suspect_barge_in(&mut self, onset: CallTime) {
        if self.barge_in.is_some() || !self.playout.is_audible(self.now) {
            return;
        }
        if self.playout.current(self.now).is_none_or(|said| said.interruptible != Interruptible::Yes) {
            return;
        }
        self.barge_in = Some(BargeIn { onset, cleared: false });
        self.playout.hold();
        self.barge_event(BargeInStage::Suspected, onset);
        self.timers.set(Timer::ConfirmBargeIn, (onset + self.config.barge_in.confirm).max(self.now));
    }

    fn barge_event(&mut self, stage: BargeInStage, onset: CallTime) {
        let after_ms = u64::try_from(self.now.since(onset).as_millis()).unwrap_or(u64::MAX);
        self.event(CallEvent::BargeIn { stage, after_ms });
    }

    /// The speech has lasted: empty Twilio's buffer; if it goes on for long enough, it is an interruption.
    pub(crate) fn confirm_barge_in(&mut self) {
        let Some(barge_in) = &mut self.barge_in else { return };
        let onset = barge_in.onset;
        if self.turn.floor != Floor::Speaking {
            return;
        }
        if !barge_in.cleared {
            barge_in.cleared = true;
            self.playout.clear(self.now, &mut self.out);
            self.barge_event(BargeInStage::Cleared, onset);
        }
        self.timers.set(Timer::ResolveBargeIn, (onset + self.config.barge_in.certain).max(self.now));
    }

    /// The speech over the agent has paused.
    pub(crate) fn barge_in_paused(&mut self) {
        let Some(barge_in) = self.barge_in else { return };
        self.timers.cancel(Timer::ConfirmBargeIn);
        if barge_in.cleared {
            self.timers.set(Timer::ResolveBargeIn, self.now + self.config.barge_in.resolve);
            let text = self.turn.text.text();
            self.words_over_agent(&text);
        } else {
            self.resume(DropReason::Noise);
        }
    }

    /// Words (or none) have come for the speech over the agent.
    pub(crate) fn words_over_agent(&mut self, text: &str) {
        let Some(barge_in) = self.barge_in else { return };
        let settled =
            self.turn.floor == Floor::Paused && self.turn.text.is_settled() && self.turn.settled_at.is_some();
        if text.is_empty() {
            if settled && self.turn.spoken < self.config.barge_in.certain {
                self.resume(DropReason::Noise);
            }
        } else if !self.is_backchannel(text) {
            self.interrupt();
        } else if settled && barge_in.cleared {
            self.resume(DropReason::Backchannel);
        }
    }

    /// Time is up: decide by what there is.
    pub(crate) fn resolve_barge_in(&mut self) {
        if self.barge_in.is_none() {
            return;
        }
        let text = self.turn.text.text();
        let long = match self.turn.floor {
            Floor::Speaking => true,
            _ => self.turn.spoken >= self.config.barge_in.certain,
        };
        if text.is_empty() && !long {
            self.resume(DropReason::Noise);
        } else if !text.is_empty() && self.is_backchannel(&text) && self.turn.floor == Floor::Paused {
            self.resume(DropReason::Backchannel);
        } else {
            self.interrupt();
        }
    }

    /// It was an interruption: the agent stops, and remembers only what was heard.
    pub(crate) fn interrupt(&mut self) {
        let barge_in = self.barge_in.take();
        self.timers.cancel(Timer::ConfirmBargeIn);
        self.timers.cancel(Timer::ResolveBargeIn);
        self.cut_everything(true);
        self.stay_after_interruption();
        self.interrupt_tools();
        if let Some(barge_in) = barge_in {
            self.barge_event(BargeInStage::Interrupted, barge_in.onset);
        }
    }

    /// It was none: the agent goes on where it stopped.
    fn resume(&mut self, why: DropReason) {
        let Some(barge_in) = self.barge_in.take() else { return };
        self.timers.cancel(Timer::ConfirmBargeIn);
        self.timers.cancel(Timer::ResolveBargeIn);
        self.playout.unhold();
        self.barge_event(BargeInStage::Resumed, barge_in.onset);
        self.drop_turn(why);
    }

    fn is_backchannel(&self, text: &str) -> bool {
        if !self.config.barge_in.is_backchannel(text) {
            return false;
        }
        // "Yeah" to a yes-or-no question, or at the end of what is said, is an answer.
        let unheard =
            self.playout.utterances().filter(|said| said.begun).map(|said| said.unsaid()).sum::<u64>() / 8;
        !(self.answer == AnswerKind::YesNo || unheard < NEARLY_OVER_MS)
    }
}

impl BargeInConfig {
    /// Whether this is all that a listener says who doesn't ask for the floor.
    pub(crate) fn is_backchannel(&self, text: &str) -> bool {
        let plain: String = text
            .to_lowercase()
            .chars()
            .map(|c| if c.is_alphanumeric() || c == '-' { c } else { ' ' })
            .collect::<String>()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        self.backchannels.contains(&plain)
    }
}
