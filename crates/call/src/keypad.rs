//! Keys the caller presses, gathered to whole numbers: the same on a line of sound and on one of text.

use crate::config::DtmfConfig;
use crate::io::Key;
use offhook_stage_api::CallTime;
use offhook_stage_api::{AnswerKind, Digits};

/// The number that is being keyed.
#[derive(Default)]
pub(crate) struct Keypad {
    keys: String,
    /// When its first key was pressed.
    since: CallTime,
}

/// What a key has made of the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyed {
    /// It is whole.
    Whole,
    /// More keys may come until then.
    Until(CallTime),
}

impl Keypad {
    /// Takes a key. `answer`: what the agent has asked for.
    pub(crate) fn press(
        &mut self,
        key: Key,
        now: CallTime,
        answer: AnswerKind,
        config: &DtmfConfig,
    ) -> Keyed {
        let key = key.reveal();
        if self.keys.is_empty() {
            self.since = now;
        } else if config.terminator == Some(key) {
            return Keyed::Whole;
        }
        self.keys.push(key);
        let most = match answer {
            AnswerKind::YesNo | AnswerKind::Choice => 1,
            AnswerKind::Digits { max, .. } => usize::from(max),
            AnswerKind::Open => config.most,
        };
        if self.keys.len() >= most.max(1) {
            return Keyed::Whole;
        }
        Keyed::Until((now + config.gap).min(self.since + config.total))
    }

    /// The number as far as it was keyed, and when its first key was pressed; none if no key was.
    pub(crate) fn take(&mut self) -> Option<(Digits, CallTime)> {
        let digits = Digits::new(&std::mem::take(&mut self.keys));
        (!digits.reveal().is_empty()).then_some((digits, self.since))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Forgets what was keyed.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
    }
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
            assert_eq!(keypad.press(key('1'), start, four, &config), Keyed::Until(start + config.gap));
        }
        assert_eq!(keypad.press(key('#'), start, four, &config), Keyed::Whole);
        assert_eq!(keypad.take(), Some((Digits::new("111"), start)));
        assert_eq!(keypad.take(), None);

        assert_eq!(keypad.press(key('2'), start, AnswerKind::YesNo, &config), Keyed::Whole);
        keypad.clear();
        assert!(keypad.is_empty());

        // Nobody keys a number for ever.
        let late = (start + config.total).back(Duration::from_millis(100));
        keypad.press(key('3'), start, AnswerKind::Open, &config);
        assert_eq!(
            keypad.press(key('4'), late, AnswerKind::Open, &config),
            Keyed::Until(start + config.total)
        );
    }
}
