//! The media stream breaks, and the call comes back over another.

use offhook_conversation::Output;
use offhook_conversation::line::LineEvent;
use offhook_stage_api::{CallTime, UtteranceId};

use super::{ECHO, MediaLine};
use crate::config::CallMode;

impl MediaLine {
    /// What was being said is cut off where time says that the caller heard it last.
    pub(super) fn on_lost(&mut self, now: CallTime) {
        if std::mem::replace(&mut self.away, true) {
            return;
        }
        let ids: Vec<UtteranceId> = self.playout.utterances().map(|said| said.id).collect();
        self.playout.clear(now, &mut self.out);
        let cut = ids.into_iter().map(|id| (id, self.remove(id, now)));
        let cut = cut.filter(|(id, _)| *id != ECHO).collect();
        self.drop_wire();
        self.events.push_back(LineEvent::Lost(cut));
        self.caller.on_lost(now, &mut self.heard);
        self.take_heard();
    }

    pub(super) fn on_back(&mut self, now: CallTime) {
        if !std::mem::replace(&mut self.away, false) {
            return;
        }
        self.caller.start_again(now);
        self.playout.start_again(now);
        self.drop_wire();
        if self.config.mode == CallMode::Echo {
            self.start_echo();
        }
        self.events.push_back(LineEvent::Back);
    }

    /// What was for a stream that is gone.
    fn drop_wire(&mut self) {
        self.out.retain(|output| !matches!(output, Output::Wire(_)));
    }
}
