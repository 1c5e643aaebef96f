//! A mailbox instead of a human: wait for its beep, say the message, hang up.
//!
//! Who tells that it is one is outside (Twilio's answering-machine detection). From then on nothing that is heard is a turn:
//! the greeting is listened to for its beep ([`BeepDetector`]). Greetings without one are over when nothing is said for a while.
//! The verdict takes seconds, and the beep of a short greeting comes before it: so where a machine is to be expected, beeps are
//! listened for from the answer on.

use std::time::Duration;

use offhook_endpoint::SpeechEvent;
use offhook_endpoint::tones::BeepDetector;

use crate::call::Call;
use crate::inbound::Heard;
use crate::io::{EndReason, UtteranceKind};
use crate::timers::Timer;
use crate::turn::Floor;
use offhook_stage_api::CallTime;
use offhook_stage_api::Interruptible;

/// What becomes of a mailbox.
pub(crate) enum Machine {
    /// Its greeting is listened to.
    Greeting { beep: Box<BeepDetector>, message: String, until: CallTime },
    /// The message is being said.
    Recording,
}

/// A beep so long ago still has the mailbox recording, and little of its time is lost.
const REMEMBERED: Duration = Duration::from_secs(10);
/// The longest that a verdict takes (Twilio's `MachineDetectionTimeout` is at most 59 s); after it nobody listens.
const LISTENED: Duration = Duration::from_secs(60);

/// What is heard before anybody tells who has answered.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    beep: Box<BeepDetector>,
    /// When a beep was heard after which nobody spoke.
    beeped: Option<CallTime>,
}

impl Call {
    /// A mailbox has answered. `beeped`: its beep was heard already.
    pub(crate) fn leave_message(&mut self, message: String, mut beeped: bool) {
        if self.machine.is_some() {
            return self.trouble("a message is being left already; the second was passed over");
        }
        let speaking = self.turn.floor == Floor::Speaking;
        self.cut_everything(true);
        self.stop_listening();
        let until = self.now + self.config.machine.beep_within;
        let ahead = self.ahead.take().unwrap_or_default();
        beeped |= ahead.beeped.is_some_and(|at| self.now.since(at) <= REMEMBERED);
        self.machine = Some(Machine::Greeting { beep: ahead.beep, message, until });
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
        self.keypad.clear();
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

    /// Listens for a beep that comes before anybody tells of a machine.
    fn listen_ahead(&mut self, heard: &Heard) {
        let Some(ahead) = &mut self.ahead else { return };
        if ahead.beep.push(&heard.wire.decode()).is_some() {
            ahead.beeped = Some(self.now);
        } else if matches!(heard.event, Some(SpeechEvent::Onset { .. })) {
            // Who speaks after it is no mailbox that records.
            ahead.beeped = None;
        }
        if self.now.since_start() > LISTENED {
            self.ahead = None;
        }
    }

    /// Listens for the beep. True if the frame is a mailbox's: nobody's turn.
    pub(crate) fn on_machine_frame(&mut self, heard: &Heard) -> bool {
        let Some(machine) = &mut self.machine else {
            self.listen_ahead(heard);
            return false;
        };
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
