//! Who holds the floor: nothing that the engine says of itself begins while the caller does, nor a filler that bridges nothing.

use offhook_conversation::{CallEvent, UtteranceKind};
use offhook_stage_api::{SttCommand, SttEvent};

#[derive(Default)]
pub(super) struct Floor {
    speaking: bool,
    onset: u64,
    /// Words have come of the present speech.
    words: bool,
    partials: bool,
    /// What Twilio has heard of the present turn.
    latest: String,
    /// The caller has said something that is neither answered nor dropped.
    open: bool,
}

impl Floor {
    pub(super) fn on_stt_command(&mut self, command: &SttCommand) {
        match command {
            SttCommand::SpeechStarted { at } => {
                self.caller_speaks(true);
                self.onset = at.0;
            }
            SttCommand::SpeechPaused { .. } => self.caller_speaks(false),
            _ => {}
        }
    }

    pub(super) fn caller_speaks(&mut self, speaks: bool) {
        (self.speaking, self.words) = (speaks, false);
        self.open |= speaks;
    }

    pub(super) fn on_stt_event(&mut self, event: &SttEvent) {
        match event {
            SttEvent::Partial(transcript) | SttEvent::Final(transcript)
                if !transcript.text.trim().is_empty() =>
            {
                self.words |= self.speaking && transcript.until > self.onset;
                self.partials |= matches!(event, SttEvent::Partial(_));
                self.open = true;
            }
            SttEvent::Failed(_) | SttEvent::TakenOver => self.partials = false,
            _ => {}
        }
    }

    pub(super) fn on_prompt(&mut self, text: &str, last: bool) {
        let any = !text.trim().is_empty();
        // The same once more says nothing of the sound since.
        let new = std::mem::replace(&mut self.latest, text.to_owned()) != text;
        self.words |= self.speaking && any && new;
        if last {
            self.latest.clear();
        }
        self.partials |= any && !last;
        self.open |= any;
    }

    pub(super) fn on_event(&mut self, event: &CallEvent) {
        if matches!(event, CallEvent::TurnEnded(_) | CallEvent::TurnDropped { .. }) {
            self.open = false;
        }
    }

    /// This begins. `waited`: the caller waits for a reply, a tool or the rest of what is being said.
    pub(super) fn check(&self, what: UtteranceKind, waited: bool) -> Result<(), String> {
        let own = matches!(what, UtteranceKind::Filler | UtteranceKind::Apology | UtteranceKind::CheckIn);
        if own && self.speaking && (self.words || !self.partials) {
            return Err(format!("floor: {what:?} begins while the caller speaks"));
        }
        if what == UtteranceKind::Filler && !waited && !self.open {
            return Err("floor: a filler begins, but nothing is waited for".to_owned());
        }
        Ok(())
    }
}
