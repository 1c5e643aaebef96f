//! Keys the caller presses, gathered to whole numbers.

use offhook_stage_api::{AnswerKind, CallTime, Digits, Key};

use crate::config::DtmfConfig;
use crate::deadline::{Deadline, Why};

/// The number that is being keyed.
#[derive(Default)]
pub(crate) struct Keypad {
    keys: String,
    /// When its first key was pressed, and its last.
    first: CallTime,
    last: CallTime,
    /// A number was just complete by its length: a terminator after it belongs to it, until this.
    swallow_until: Option<CallTime>,
}

impl Keypad {
    /// Takes a key. `answer`: what the agent has asked for. True if the number is whole.
    pub(crate) fn press(
        &mut self,
        key: Key,
        now: CallTime,
        answer: AnswerKind,
        config: &DtmfConfig,
    ) -> KeyPressed {
        let key = key.reveal();
        let is_terminator = config.terminator == Some(key);
        if self.keys.is_empty() {
            let swallowed = self.swallow_until.take().is_some_and(|until| now <= until) && is_terminator;
            if swallowed {
                return KeyPressed::Swallowed;
            }
            self.first = now;
        } else if is_terminator {
            return KeyPressed::Whole;
        }
        self.keys.push(key);
        self.last = now;
        let most = match answer {
            AnswerKind::YesNo | AnswerKind::Choice => 1,
            AnswerKind::Digits { max, .. } => usize::from(max),
            AnswerKind::Open => config.most,
        };
        if self.keys.len() >= most.max(1) {
            self.swallow_until = Some(now + config.gap);
            return KeyPressed::Whole;
        }
        KeyPressed::More
    }

    /// When the number is whole for want of further keys.
    pub(crate) fn deadline(&self, config: &DtmfConfig) -> Option<Deadline> {
        let at = (self.last + config.gap).min(self.first + config.total);
        (!self.keys.is_empty()).then(|| Deadline::new(at, Why::DigitGap))
    }

    /// The number as far as it was keyed, and when its first and last key were pressed; none if no key was.
    pub(crate) fn take(&mut self) -> Option<(Digits, (CallTime, CallTime))> {
        let digits = Digits::new(&std::mem::take(&mut self.keys));
        (!digits.reveal().is_empty()).then_some((digits, (self.first, self.last)))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Forgets what was keyed.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
    }
}

/// What a key has made of the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyPressed {
    /// More keys may come.
    More,
    /// It is whole.
    Whole,
    /// The terminator of a number that was complete by its length.
    Swallowed,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(key: char) -> Key {
        Key::new(key).unwrap()
    }

    #[test]
    fn a_number_ends_by_its_length_by_its_last_key_or_by_time() {
        let config = DtmfConfig::default();
        let start = CallTime::ZERO + Duration::from_secs(5);
        let mut keypad = Keypad::default();
        let four = AnswerKind::Digits { min: 4, max: 4 };
        for _ in 0..3 {
            assert_eq!(keypad.press(key('1'), start, four, &config), KeyPressed::More);
            assert_eq!(keypad.deadline(&config).unwrap().at, start + config.gap);
        }
        assert_eq!(keypad.press(key('#'), start, four, &config), KeyPressed::Whole);
        assert_eq!(keypad.take(), Some((Digits::new("111"), (start, start))));
        assert_eq!((keypad.take(), keypad.deadline(&config)), (None, None));

        assert_eq!(keypad.press(key('2'), start, AnswerKind::YesNo, &config), KeyPressed::Whole);
        keypad.clear();
        assert!(keypad.is_empty());

        // A number that takes too long as a whole ends, too.
        let late = (start + config.total).back(Duration::from_millis(100));
        keypad.press(key('3'), start, AnswerKind::Open, &config);
        assert_eq!(keypad.press(key('4'), late, AnswerKind::Open, &config), KeyPressed::More);
        assert_eq!(keypad.deadline(&config).unwrap().at, start + config.total);
    }

    #[test]
    fn the_terminator_of_a_number_that_is_complete_is_swallowed() {
        let config = DtmfConfig::default();
        let four = AnswerKind::Digits { min: 4, max: 4 };
        let mut keypad = Keypad::default();
        let now = CallTime::from_millis(1_000);
        for digit in ['1', '2', '3'] {
            assert_eq!(keypad.press(key(digit), now, four, &config), KeyPressed::More);
        }
        assert_eq!(keypad.press(key('4'), now, four, &config), KeyPressed::Whole);
        assert!(keypad.take().is_some());
        assert_eq!(keypad.press(key('#'), now, AnswerKind::Open, &config), KeyPressed::Swallowed);
        assert_eq!(keypad.press(key('#'), now, AnswerKind::Open, &config), KeyPressed::More);
    }
}
