//! What the caller keys, and the kind of answer that the agent expects.

use offhook_stage_api::{AnswerKind, CallTime, Digits, Key};

use super::Caller;
use crate::config::ConversationConfig;
use crate::deadline::Deadline;
use crate::event::{CallEvent, Passing};
use crate::keypad::KeyPressed;
use crate::moment::Moment;

impl Caller {
    pub(crate) fn on_key(&mut self, key: Key, at: &Moment<'_>) -> KeyPressed {
        self.keypad.press(key, at.now, self.expected, &at.config.dtmf)
    }

    /// The keys are a whole number: it is to be answered. Gives it, and when its first and last key were pressed.
    pub(crate) fn take_number(&mut self, at: &mut Moment<'_>) -> Option<(Digits, (CallTime, CallTime))> {
        let (digits, span) = self.keypad.take()?;
        let agrees = Passing(digits.reveal() == "1");
        at.event(CallEvent::Digits { count: digits.reveal().len(), agrees });
        self.stop_collecting();
        self.keyed = Some(digits.clone());
        Some((digits, span))
    }

    /// When the number that is being keyed is whole for want of further keys.
    pub(crate) fn keys_deadline(&self, config: &ConversationConfig) -> Option<Deadline> {
        self.keypad.deadline(&config.dtmf)
    }

    /// The number that was keyed is answered, or given up.
    pub(crate) fn number_answered(&mut self) {
        self.keyed = None;
    }

    /// What was keyed was not meant for us.
    pub(crate) fn forget_keys(&mut self) {
        self.keypad.clear();
        self.keyed = None;
    }

    pub(crate) const fn expected(&self) -> AnswerKind {
        self.expected
    }

    /// The agent expects this kind of answer from now on.
    pub(crate) fn expect(&mut self, answer: AnswerKind) {
        self.expected = answer;
    }

    /// The agent asks for a number in keys.
    pub(crate) fn collect(&mut self, answer: AnswerKind) {
        self.expected = answer;
        self.collecting = true;
    }

    /// The answer to a collection came, in keys or otherwise: what is expected next is anything again.
    pub(crate) fn stop_collecting(&mut self) {
        if std::mem::take(&mut self.collecting) {
            self.expected = AnswerKind::Open;
        }
    }
}
