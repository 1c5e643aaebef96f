//! The telephone's wire: what comes in, and what goes out.

use offhook_conversation::line::LineEvent;
use offhook_conversation::{Output, Transport};
use offhook_stage_api::CallTime;

use super::MediaLine;
use crate::config::CallMode;
use crate::wire::{MediaInput, MediaWire};

/// Outputs that one input usually has.
const USUAL_OUTPUTS: usize = 4;

impl Transport for MediaLine {
    type Input<'a> = MediaInput<'a>;
    type Wire = MediaWire;

    fn handle(&mut self, input: MediaInput<'_>, now: CallTime) {
        let of_stream = matches!(input, MediaInput::Media { .. } | MediaInput::Mark(_) | MediaInput::Dtmf(_));
        if self.hung_up || (self.away && of_stream) {
            return;
        }
        match input {
            MediaInput::Media { timestamp_ms, payload } => self.on_media(timestamp_ms, payload, now),
            MediaInput::Mark(name) => self.playout.on_mark(name, now),
            MediaInput::Dtmf(key) => self.events.push_back(LineEvent::Keyed(key)),
            MediaInput::Stt(event) => self.on_stt(event, now),
            MediaInput::Tts(event) => self.on_tts(event),
            MediaInput::TtsEnded(failure) => self.on_tts_ended(failure),
            MediaInput::Lost => self.on_lost(now),
            MediaInput::Back => self.on_back(now),
        }
    }

    fn poll_output(&mut self) -> Option<Output<MediaWire>> {
        let output = self.out.pop_front();
        if output.is_none() && self.out.capacity() > 2 * USUAL_OUTPUTS {
            self.out.shrink_to(USUAL_OUTPUTS); // an utterance's first frames come all at once
        }
        output
    }

    fn start(&mut self, now: CallTime) {
        self.caller.start(now);
        if self.config.mode == CallMode::Echo {
            self.start_echo();
        }
    }

    fn shrink(&mut self) {
        // One frame of the caller's at a time goes on to who listens, if anybody does, without new room for it.
        let a_frame = usize::from(self.config.inbound.heard);
        self.out.shrink_to(a_frame);
        self.heard.stt.shrink_to(a_frame);
        self.heard.events.shrink_to_fit();
        self.events.shrink_to_fit();
        self.playout.shrink();
        if self.playout.utterances().next().is_none() {
            self.outbound.shrink();
        }
    }
}
