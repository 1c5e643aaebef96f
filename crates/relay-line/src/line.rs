//! ConversationRelay as a line under a conversation.

mod transport;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_conversation::line::{Heard, Line, LineCommand, LineEvent, Opening};
use offhook_conversation::{Deadline, Output, Why};
use offhook_speakable::{Cleaner, Piece};
use offhook_stage_api::{CallTime, Digits, Interruptible, UtteranceId};

use crate::caller::Caller;
use crate::hints::Hints;
use crate::ledger::{Ledger, merge};
use crate::sending::Sending;
use crate::wire::RelayWire;

/// ConversationRelay, as far as it isn't I/O.
#[derive(Debug, Default)]
pub struct RelayLine {
    /// BCP 47 tag of the language in which the call began.
    first_language: String,
    sending: VecDeque<Sending>,
    ledger: Ledger,
    /// What was heard of utterances of which more is still to come.
    parts: Vec<(UtteranceId, Heard)>,
    /// The utterance whose last token wasn't marked as its last.
    open: Option<UtteranceId>,
    blocked: bool,
    /// A change of language that Twilio doesn't know of: what is being said ends in its own voice.
    language: Option<Arc<str>>,
    /// Words to listen for, that Twilio doesn't know of: they wait until what is being said is complete, too.
    hints: Hints,
    /// We ended the session: nothing more goes out.
    hung_up: bool,
    caller: Caller,
    out: VecDeque<Output<RelayWire>>,
    events: VecDeque<LineEvent>,
}

impl RelayLine {
    /// A line whose call begins in the language of this BCP 47 tag; empty: English.
    #[must_use]
    pub fn new(language: &str) -> Self {
        Self { first_language: language.to_owned(), ..Self::default() }
    }

    /// With the message that tells Twilio of the words that are expected, if it is to be told.
    #[must_use]
    pub fn with_hints(self, message: Option<&str>) -> Self {
        Self { hints: Hints::new(message), ..self }
    }

    fn wire(&mut self, wire: RelayWire) {
        self.out.push_back(Output::Wire(wire));
    }

    fn text(&mut self, token: String, last: bool, interruptible: bool) {
        self.wire(RelayWire::Text { token, last, interruptible });
    }

    /// Takes what is held back for text that doesn't come.
    fn flush_stalled(&mut self, now: CallTime) {
        for sending in
            self.sending.iter_mut().filter(|sending| sending.held_until().is_some_and(|at| at <= now))
        {
            let more = sending.cleaner.flush();
            if sending.take(&more) {
                self.events.push_back(LineEvent::Ready(sending.id));
            }
            // What says nothing now is kept for what follows.
            sending.came = now;
        }
    }

    /// Sends what may go out, in order.
    fn pump(&mut self, now: CallTime) {
        while let Some(first) = self.sending.front_mut() {
            if first.held || (self.blocked && !first.begun) {
                return;
            }
            let (id, interruptible, closed) = (first.id, first.interruptible, first.closed);
            let (keys, recording) = (first.keys.take(), first.recording.take());
            let silent = first.text.text.spoken.is_empty() && keys.is_none() && recording.is_none();
            if silent && !closed {
                return;
            }
            if silent && !first.begun {
                self.sending.pop_front();
                self.events.push_back(LineEvent::Soundless(id));
                continue;
            }
            let text = std::mem::take(&mut first.text);
            let begins = !std::mem::replace(&mut first.begun, true);
            if closed {
                self.sending.pop_front();
            }
            if self.open.is_some_and(|open| open != id) {
                self.close_open();
            }
            if begins {
                self.events.push_back(LineEvent::Began(id));
            }
            if let Some(keys) = keys {
                self.ledger.pressed(id, keys.reveal().len(), now);
                self.wire(RelayWire::Press(keys));
                continue;
            }
            if let Some(recording) = recording {
                self.ledger.played(id, now);
                self.wire(RelayWire::PlayRecording { recording, interruptible });
                continue;
            }
            self.ledger.sent(id, &text, now);
            self.text(text.text.spoken, closed, interruptible);
            self.open = (!closed).then_some(id);
            if closed {
                self.ledger.close(id);
                self.send_settings();
            } else {
                self.events.push_back(LineEvent::Dry(id));
            }
        }
    }

    /// Something else comes between: what was sent of the open utterance is complete for Twilio.
    fn close_open(&mut self) {
        if let Some(id) = self.open.take() {
            self.text(String::new(), true, true);
            self.ledger.close(id);
            self.send_settings();
        }
    }

    /// Sends what waits until nothing is being said: a language, words to listen for.
    fn send_settings(&mut self) {
        if self.open.is_some() {
            return;
        }
        if let Some(tag) = self.language.take() {
            self.wire(RelayWire::Language { tag: tag.to_string() });
        }
        if let Some(message) = self.hints.take() {
            self.wire(RelayWire::Hints { message });
        }
    }

    /// Takes an utterance out, as far as it isn't sent; what was sent of it is complete.
    fn forget(&mut self, id: UtteranceId) {
        self.sending.retain(|sending| sending.id != id);
        if self.open == Some(id) {
            self.close_open();
        }
    }

    fn merged(&mut self, cut: Vec<(UtteranceId, Heard)>) -> Vec<(UtteranceId, Heard)> {
        let mut all: Vec<(UtteranceId, Heard)> = Vec::new();
        for (id, heard) in std::mem::take(&mut self.parts).into_iter().chain(cut) {
            match all.iter_mut().find(|(known, _)| *known == id) {
                Some((_, known)) => *known = merge([std::mem::take(known), heard].into_iter()),
                None => all.push((id, heard)),
            }
        }
        // What was begun and isn't sent to its end is cut off as well.
        let rest = self.sending.iter().filter(|sending| sending.begun);
        for sending in rest {
            let unsent = Heard { rest: sending.unsent(), ..Heard::default() };
            match all.iter_mut().find(|(known, _)| *known == sending.id) {
                Some((_, known)) => *known = merge([std::mem::take(known), unsent].into_iter()),
                None => all.push((sending.id, unsent)),
            }
        }
        self.sending.retain(|sending| !sending.begun);
        all
    }

    fn on_interrupt(&mut self, heard: &str, now: CallTime) {
        let cut = self.ledger.cut(heard, now);
        // Twilio takes the next token for a new utterance.
        self.open = None;
        let cut = self.merged(cut);
        self.send_settings();
        self.events.push_back(LineEvent::CutOff(cut));
    }

    fn on_lost(&mut self, now: CallTime) {
        let cut = self.ledger.cut_by_time(now);
        let cut = self.merged(cut);
        self.open = None;
        self.caller.lost();
        self.blocked = false;
        self.sending.clear();
        // What was written for a connection that is gone would be said at the wrong time.
        self.out.retain(|output| !matches!(output, Output::Wire(_)));
        self.events.push_back(LineEvent::Lost(cut));
    }
}

impl Line for RelayLine {
    fn command(&mut self, command: LineCommand, now: CallTime) {
        match command {
            LineCommand::Open(Opening { id, before, held, interruptible, language, .. }) => {
                let place = before.and_then(|id| self.sending.iter().position(|other| other.id == id));
                let sending = Sending {
                    id,
                    came: now,
                    cleaner: Cleaner::new(language.as_deref().unwrap_or(&self.first_language)),
                    text: Piece::default(),
                    keys: None,
                    recording: None,
                    interruptible: interruptible == Interruptible::Yes,
                    held,
                    closed: false,
                    begun: false,
                };
                self.sending.insert(place.unwrap_or(self.sending.len()), sending);
            }
            LineCommand::Append { id, text } => {
                if let Some(sending) = self.sending.iter_mut().find(|sending| sending.id == id) {
                    sending.came = now;
                    let more = sending.cleaner.push(&text);
                    if sending.take(&more) {
                        self.events.push_back(LineEvent::Ready(id));
                    }
                }
            }
            LineCommand::Play { id, recording } => {
                if let Some(sending) = self.sending.iter_mut().find(|sending| sending.id == id) {
                    // Nothing else is said with it.
                    (sending.recording, sending.closed) = (Some(recording), true);
                    self.events.push_back(LineEvent::Ready(id));
                }
            }
            LineCommand::Close(id) => {
                if let Some(sending) = self.sending.iter_mut().find(|sending| sending.id == id) {
                    let more = sending.cleaner.finish();
                    sending.closed = true;
                    if sending.take(&more) {
                        self.events.push_back(LineEvent::Ready(id));
                    }
                }
            }
            LineCommand::Release(id) => {
                if let Some(sending) = self.sending.iter_mut().find(|sending| sending.id == id) {
                    sending.held = false;
                }
            }
            LineCommand::Interruptible(id, by) => {
                if let Some(sending) = self.sending.iter_mut().find(|sending| sending.id == id) {
                    sending.interruptible = by == Interruptible::Yes;
                }
            }
            LineCommand::Discard(id) => self.forget(id),
            LineCommand::Block(blocked) => self.blocked = blocked,
            LineCommand::Language(tag) => {
                self.language = Some(tag);
                self.send_settings();
            }
            LineCommand::Music(source) => {
                self.pump(now);
                self.wire(RelayWire::Play { source });
            }
            LineCommand::HangUp { handoff } => {
                self.hung_up = true;
                self.out.push_back(Output::HangUp { handoff });
            }
            LineCommand::Expect(expectation) => {
                self.hints.expect(&expectation.keyterms);
                self.send_settings();
            }
            // The sound, its level and the recogniser are Twilio's.
            LineCommand::Duck(_)
            | LineCommand::TurnEnded { .. }
            | LineCommand::Ask(_)
            | LineCommand::AwaitBeep => {}
        }
    }

    /// What was sent can't be taken back: Twilio alone cuts it off. What wasn't is forgotten.
    fn cut(&mut self, ids: &[UtteranceId], now: CallTime) -> Vec<(UtteranceId, Heard)> {
        let mut cut = Vec::new();
        for id in ids {
            let parts = self.parts.iter().filter(|(part, _)| part == id).map(|(_, heard)| heard.clone());
            let mut heard = merge(parts.chain([self.ledger.heard(*id, now)]));
            if self.ledger.has(*id) {
                // It is spoken to the end of what was sent.
                let rest = std::mem::take(&mut heard.rest);
                heard = merge([heard, Heard { text: rest, ..Heard::default() }].into_iter());
            }
            let unsent = self.sending.iter().find(|sending| sending.id == *id);
            if let Some(unsent) = unsent {
                heard.rest = unsent.unsent();
            }
            self.forget(*id);
            self.parts.retain(|(part, _)| part != id);
            cut.push((*id, heard));
        }
        cut
    }

    fn give_up(&mut self, id: UtteranceId, now: CallTime) -> Heard {
        let cut = self.cut(&[id], now);
        cut.into_iter().next().map(|(_, heard)| heard).unwrap_or_default()
    }

    fn press(&mut self, id: UtteranceId, digits: &Digits, now: CallTime) -> Result<(), String> {
        let keys = digits.reveal();
        if keys.is_empty() || keys.chars().any(|key| key.is_ascii_alphabetic()) {
            return Err("`digits` must hold keys that this line can press: 0 to 9, *, #".to_owned());
        }
        let sending = Sending {
            id,
            came: now,
            cleaner: Cleaner::new(""),
            text: Piece::default(),
            keys: Some(digits.clone()),
            recording: None,
            interruptible: false,
            held: false,
            closed: true,
            begun: false,
        };
        let held = self.sending.iter().position(|other| other.held);
        self.sending.insert(held.unwrap_or(self.sending.len()), sending);
        self.events.push_back(LineEvent::Ready(id));
        Ok(())
    }

    fn heard(&self, id: UtteranceId, now: CallTime) -> Heard {
        let parts = self.parts.iter().filter(|(part, _)| *part == id).map(|(_, heard)| heard.clone());
        merge(parts.chain([self.ledger.heard(id, now)]))
    }

    fn audible(&self, now: CallTime) -> Option<UtteranceId> {
        self.ledger.current(now)
    }

    fn plays_until(&self, _now: CallTime) -> CallTime {
        self.ledger.voice_until()
    }

    fn dry_since(&self, id: UtteranceId, _now: CallTime) -> Option<CallTime> {
        let sending = self.sending.iter().find(|sending| sending.id == id)?;
        let dry = sending.begun && !sending.closed && sending.text.text.spoken.is_empty();
        dry.then(|| self.ledger.voice_until())
    }

    fn unheard(&self, now: CallTime) -> Duration {
        self.ledger.voice_until().since(now)
    }

    fn decides_turns(&self) -> bool {
        true
    }

    fn deadline(&self) -> Option<Deadline> {
        let held = self.sending.iter().filter_map(Sending::held_until).min();
        Deadline::earliest([
            held.map(|at| Deadline::new(at, Why::Pace)),
            self.ledger.deadline().map(|at| Deadline::new(at, Why::Played)),
        ])
    }

    fn poll_event(&mut self) -> Option<LineEvent> {
        self.events.pop_front()
    }

    fn tick(&mut self, now: CallTime) {
        if self.hung_up {
            return;
        }
        self.flush_stalled(now);
        self.pump(now);
        while let Some((id, heard)) = self.ledger.pop_over(now) {
            self.parts.push((id, heard));
            let more = self.ledger.has(id) || self.sending.iter().any(|sending| sending.id == id);
            if !more {
                let parts = self.parts.extract_if(.., |(part, _)| *part == id).map(|(_, heard)| heard);
                let heard = merge(parts);
                self.events.push_back(LineEvent::Over { id, heard });
            }
        }
    }
}
