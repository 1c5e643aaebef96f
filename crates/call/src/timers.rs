//! All timers of a call: an enum and one array of deadlines.

use offhook_stage_api::CallTime;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Room in the playout lead: more sound may be sent.
    Pace,
    /// Sound that was sent has been played.
    Played,
    /// The caller has paused long enough for a reply to be begun.
    Eager,
    /// The caller has paused long enough for the turn to be over.
    EndOfTurn,
    /// Speech over the agent has lasted long enough to be meant.
    ConfirmBargeIn,
    /// It should be clear by now what the speech over the agent was.
    ResolveBargeIn,
    /// The caller has been silent for too long.
    CallerSilent,
    /// The agent's reply is late.
    ReplyLate,
    /// The recogniser owes the words of a pause.
    WordsLate,
    /// No further key was pressed.
    DigitGap,
    /// No media came for too long.
    NoMedia,
    /// The call has reached its greatest length.
    TooLong,
    /// The mailbox's beep was waited for long enough.
    Machine,
    /// A tool takes long.
    ToolLate,
}

const COUNT: usize = 14;
const ALL: [Timer; COUNT] = [
    Timer::Pace,
    Timer::Played,
    Timer::Eager,
    Timer::EndOfTurn,
    Timer::ConfirmBargeIn,
    Timer::ResolveBargeIn,
    Timer::CallerSilent,
    Timer::ReplyLate,
    Timer::WordsLate,
    Timer::DigitGap,
    Timer::NoMedia,
    Timer::TooLong,
    Timer::Machine,
    Timer::ToolLate,
];

/// The deadlines. Setting one replaces it. They are whole microseconds, as tapes are: a deadline within a microsecond would
/// never have come for a clock that counts these.
#[derive(Debug, Default)]
pub(crate) struct Timers([Option<CallTime>; COUNT]);

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: CallTime) {
        self.0[timer as usize] = Some(at.up_to_whole_micros());
    }

    pub(crate) fn set_or_cancel(&mut self, timer: Timer, at: Option<CallTime>) {
        self.0[timer as usize] = at.map(CallTime::up_to_whole_micros);
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(crate) fn cancel_all(&mut self) {
        self.0 = [None; COUNT];
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<CallTime> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes the earliest timer that is due at `now`; of equals, the one first in [`ALL`].
    pub(crate) fn pop_due(&mut self, now: CallTime) -> Option<Timer> {
        let timer = ALL
            .into_iter()
            .filter_map(|timer| self.0[timer as usize].map(|at| (at, timer)))
            .filter(|(at, _)| *at <= now)
            .min_by_key(|(at, _)| *at)?
            .1;
        self.cancel(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn due_timers_come_in_order_and_once() {
        let mut timers = Timers::default();
        timers.set(Timer::TooLong, CallTime::from_millis(30));
        timers.set(Timer::Eager, CallTime::from_millis(20));
        timers.set(Timer::Pace, CallTime::from_millis(40));
        timers.set(Timer::Pace, CallTime::from_millis(10));
        assert_eq!(timers.next(), Some(CallTime::from_millis(10)));
        let mut popped = Vec::new();
        while let Some(timer) = timers.pop_due(CallTime::from_millis(30)) {
            popped.push(timer);
        }
        assert_eq!(popped, [Timer::Pace, Timer::Eager, Timer::TooLong]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn deadlines_are_whole_microseconds() {
        let mut timers = Timers::default();
        timers.set(Timer::Eager, CallTime::after(Duration::from_secs(2).mul_f32(0.3)));
        assert_eq!(timers.next().unwrap().since_start().subsec_nanos() % 1_000, 0);
        timers.set(Timer::Eager, CallTime::after(Duration::new(1, 1)));
        assert_eq!(timers.next(), Some(CallTime::after(Duration::new(1, 1_000))));
    }
}
