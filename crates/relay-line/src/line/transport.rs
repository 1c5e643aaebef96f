//! What comes over the wire.

use offhook_conversation::line::LineEvent;
use offhook_conversation::{CallEvent, Output, Transport};
use offhook_stage_api::CallTime;

use super::RelayLine;
use crate::wire::{RelayInput, RelayWire};

impl Transport for RelayLine {
    type Input<'a> = RelayInput<'a>;
    type Wire = RelayWire;

    fn handle(&mut self, input: RelayInput<'_>, now: CallTime) {
        match input {
            RelayInput::Prompt { text, last, .. } => {
                let event = self.caller.on_prompt(text.trim(), last, now);
                self.events.push_back(event);
            }
            RelayInput::Dtmf(key) => self.events.push_back(LineEvent::Keyed(key)),
            RelayInput::Interrupt { heard, .. } => self.on_interrupt(heard, now),
            RelayInput::AgentSpeaking(speaking) => self.ledger.on_sounds(speaking, now),
            RelayInput::CallerSpeaking(speaking) => {
                let event = self.caller.on_speaking(speaking, now);
                self.events.push_back(event);
            }
            RelayInput::Played(text) => self.ledger.on_played(text),
            RelayInput::Refused(why) => {
                let message = format!("Twilio could not use something: {why}");
                self.events.push_back(LineEvent::Notice(CallEvent::Trouble { message }));
            }
            RelayInput::Lost => self.on_lost(now),
            RelayInput::Back => {
                self.caller.came_back(now);
                self.hints.forgotten();
                self.send_settings();
                self.events.push_back(LineEvent::Back);
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output<RelayWire>> {
        self.out.pop_front()
    }

    fn start(&mut self, _now: CallTime) {}
}
