//! Nobody waits in silence for longer than the configuration names.

use std::time::Duration;

use offhook_conversation::config::{Timeouts, TurnConfig};
use offhook_conversation::{CallEvent, UtteranceKind};

use crate::world::scene::{Scene, Step};

/// What rounding, batches and the recogniser's judgement of noise take.
const SLACK: u64 = 500_000;
/// So much later than expected a voice counts as silent, where only Twilio knows when it is.
const ESTIMATED: u64 = 1_100;
/// The same, where Twilio doesn't report it: the longest text at the quickest voice.
const GUESSED: u64 = 3_500;
/// A character takes so long, for all that the call knows (µs).
const CHARACTER: u64 = 66_000;

pub(super) struct Silence {
    timeouts: Timeouts,
    unfinished: u64,
    network: u64,
    pending_since: Option<u64>,
    /// When the latest filler began, and the latest reply.
    filler: Option<u64>,
    reply: Option<u64>,
    keyed_until: u64,
    voice: u64,
    voice_trouble: bool,
    /// By how much the voice is quicker for each character than the call can know, where Twilio reports nothing (µs).
    quicker: u64,
    /// What that comes to since the line was last quiet, and when it was.
    ahead: u64,
    quiet_from: u64,
}

fn us(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

impl Silence {
    pub(super) fn new(scene: &Scene, estimated: bool) -> Self {
        let setup = &scene.setup;
        let stalls = scene.steps.iter().map(|(_, step)| match step {
            Step::StallsIn(ms) | Step::StallsOut(ms) => *ms,
            _ => 0,
        });
        let stalled: u64 = stalls.sum();
        // Without its mark, what was said counts as over only by the clock.
        let marks = if setup.lost_marks > 0 || stalled > 0 { 2_000 } else { 0 };
        let guess = match (estimated, setup.reports) {
            (false, _) => 0,
            (true, true) => ESTIMATED,
            (true, false) => GUESSED,
        };
        Self {
            timeouts: Timeouts::default(),
            unfinished: us(TurnConfig::default().unfinished),
            network: (setup.there_ms + setup.back_ms + stalled + marks + guess) * 1_000,
            pending_since: None,
            filler: None,
            reply: None,
            keyed_until: 0,
            voice: 340_000,
            voice_trouble: false,
            quicker: match estimated && !setup.reports {
                true => CHARACTER.saturating_sub(setup.character_ms * 1_000),
                false => 0,
            },
            ahead: 0,
            quiet_from: 0,
        }
    }

    pub(super) fn voice_takes(&mut self, us: u64) {
        self.voice = self.voice.max(us.min(5_000_000));
    }

    pub(super) fn voice_trouble(&mut self, _now: u64) {
        self.voice_trouble = true;
    }

    pub(super) fn on_key(&mut self, now: u64) {
        self.keyed_until = now;
    }

    pub(super) fn on_event(&mut self, event: &CallEvent, now: u64) {
        if matches!(event, CallEvent::Digits { .. }) {
            self.keyed_until = now; // only now it is clear that the number is whole
        }
        if let CallEvent::Said { text, .. } = event {
            self.ahead += self.quicker * text.chars().count() as u64;
        }
        if let CallEvent::Speaking { what, .. } = event {
            if self.quiet_from + SLACK < now {
                self.ahead = 0;
            }
            match what {
                UtteranceKind::Filler => self.filler = Some(now),
                UtteranceKind::Greeting | UtteranceKind::Reply => self.reply = Some(now),
                _ => {}
            }
        }
    }

    /// A reply or a tool is waited for, or no more.
    pub(super) fn pending(&mut self, now: u64, pending: bool) {
        if !pending {
            self.pending_since = None;
        } else if self.pending_since.is_none() {
            self.pending_since = Some(now);
        }
    }

    pub(super) fn check(&mut self, now: u64, quiet_from: u64, caller_until: u64) -> Result<(), String> {
        let timeouts = &self.timeouts;
        self.quiet_from = quiet_from;
        let voice = self.voice + self.network + SLACK + self.ahead.saturating_sub(GUESSED * 1_000);
        let quiet_from = quiet_from.max(self.keyed_until);
        // The turn's end may be waited for, even while the agent says something else.
        let turn_until = caller_until + self.unfinished;
        // A reply that is about to begin does not make a filler of before it unsaid.
        let replied = self.reply.filter(|at| *at < quiet_from);
        let bridged = self.filler.is_some_and(|at| replied.is_none_or(|reply| reply < at));
        let (from, limit, what) = match self.pending_since {
            Some(since) => {
                let first = if bridged { timeouts.reply_very_late } else { timeouts.reply_late };
                let turn_until = if caller_until >= since { turn_until } else { 0 };
                (quiet_from.max(since).max(turn_until), us(first) + voice, "what is waited for")
            }
            None => {
                let spoke = caller_until >= quiet_from;
                (if spoke { turn_until } else { quiet_from }, us(timeouts.caller_silent) + voice, "anything")
            }
        };
        let trouble = us(timeouts.reply_late
            + timeouts.reply_very_late
            + timeouts.caller_silent * 2
            + timeouts.voice_late * 3);
        let limit = if self.voice_trouble { limit.max(trouble + voice) } else { limit };
        let silent = now.saturating_sub(from);
        if silent > limit {
            let ms = |us: u64| us / 1_000;
            return Err(format!("silence: {} ms without {what}; the limit is {} ms", ms(silent), ms(limit)));
        }
        Ok(())
    }
}
