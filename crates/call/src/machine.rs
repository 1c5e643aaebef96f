//! A mailbox instead of a human: wait for its beep, say the message, hang up.
//!
//! Who tells that it is one is outside (Twilio's answering-machine detection). From then on nothing that is heard is a turn:
//! the greeting is listened to for its beep ([`BeepDetector`]). Greetings without one are over when nothing is said for a while.

use offhook_endpoint::SpeechEvent;
use offhook_endpoint::tones::BeepDetector;

use crate::CallTime;
use crate::call::Call;
use crate::config::Interruptible;
use crate::inbound::Heard;
use crate::io::{EndReason, UtteranceKind};
use crate::timers::Timer;
use crate::turn::Floor;

/// What becomes of a mailbox.
pub(crate) enum Machine {
    /// Its greeting is listened to.
    Greeting { beep: Box<BeepDetector>, message: String, until: CallTime },
    /// The message is being said.
    Recording,
}

impl Call {
    /// A mailbox has answered. `beeped`: its beep was heard already.
    pub(crate) fn leave_message(&mut self, message: String, beeped: bool) {
        if self.machine.is_some() {
            return self.trouble("a message is being left already; the second was passed over");
        }
        let speaking = self.turn.floor == Floor::Speaking;
        self.cut_everything(true);
        self.stop_listening();
        let until = self.now + self.config.machine.beep_within;
        self.machine = Some(Machine::Greeting { beep: Box::default(), message, until });
        self.ending = None;
        self.transfer = None;
        if beeped {
            self.say_message();
        } else {
            let silent = self.now + self.config.machine.silence;
            self.timers.set(Timer::Machine, if speaking { until } else { silent.min(until) });
        }
    }

    /// Whatever was taken for a turn was the mailbox's voice.
    fn stop_listening(&mut self) {
        self.barge_in = None;
        self.digits.clear();
        self.close_turn();
        for timer in [
            Timer::CallerSilent,
            Timer::ReplyLate,
            Timer::ConfirmBargeIn,
            Timer::ResolveBargeIn,
            Timer::DigitGap,
            Timer::Eager,
            Timer::EndOfTurn,
        ] {
            self.timers.cancel(timer);
        }
    }

    /// Listens for the beep. True if the frame is a mailbox's: nobody's turn.
    pub(crate) fn on_machine_frame(&mut self, heard: &Heard) -> bool {
        let Some(machine) = &mut self.machine else { return false };
        let Machine::Greeting { beep, until, .. } = machine else { return true };
        if beep.push(&heard.wire.decode()).is_some() {
            self.say_message();
        } else if let Some(event) = heard.event {
            let wait = match event {
                SpeechEvent::Onset { .. } => *until,
                SpeechEvent::Offset { .. } => (self.now + self.config.machine.silence).min(*until),
            };
            self.timers.set(Timer::Machine, wait);
        }
        true
    }

    /// The beep, or the end of all waiting for it.
    pub(crate) fn say_message(&mut self) {
        let Some(Machine::Greeting { message, .. }) = self.machine.replace(Machine::Recording) else {
            return;
        };
        self.timers.cancel(Timer::Machine);
        let said = self.say(UtteranceKind::Announcement, &message);
        if let Some(utterance) = said.and_then(|id| self.playout.get_mut(id)) {
            utterance.interruptible = Interruptible::No;
        }
        self.end_when_said(EndReason::MessageLeft);
    }
}
