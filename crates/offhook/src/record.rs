//! What is kept of a call, and what is shown of it while it lasts.
//!
//! Lines go to the [`Keeper`]'s thread. While the disk is behind they wait here; only when too much waits the tape is cut short
//! and says so, and the call goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offhook_conversation::{CallEvent, Deadline, Input, Output};
use offhook_media_line::CallConfig;
use offhook_recording::{Form, Piece, SILENCE, pieces};
use offhook_script::Transport;
use offhook_session::Observer;
use offhook_stage_api::CallTime;
use offhook_stages::Usage;
use offhook_tape::{Header, SoundOut, TapedLine, note_input, note_output, write_header};
use serde::{Deserialize, Serialize};

use crate::calls::outcome::Outcome;
use crate::keeper::{Keeper, Sound, Tape, safe};
use crate::prices::Cost;

/// The record of a call: what happened, for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) call: String,
    pub(crate) agent: String,
    #[serde(flatten)]
    pub(crate) summary: Summary,
    pub(crate) events: Vec<RecordedEvent>,
}

/// What a call was for, what came of it, what it used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    /// BCP 47 tag of the language that was spoken in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    /// By provider.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) usage: BTreeMap<String, Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<Cost>,
}

/// An event and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecordedEvent {
    pub(crate) t_ms: u64,
    #[serde(flatten)]
    pub(crate) event: CallEvent,
}

/// The record's file for a call.
pub(crate) fn record_path(folder: &Path, call: &str) -> PathBuf {
    folder.join(format!("{}.json", safe(call)))
}

/// The tape's file for a call.
pub(crate) fn tape_path(folder: &Path, call: &str, is_packed: bool) -> PathBuf {
    folder.join(tape_name(call, is_packed))
}

/// Its name.
pub(crate) fn tape_name(call: &str, is_packed: bool) -> String {
    let packed = if is_packed { ".zst" } else { "" };
    format!("{}.tape.jsonl{packed}", safe(call))
}

/// Octets of a tape that wait while the disk is behind; beyond, the tape ends.
const MOST_WAITING: usize = 4 * 1024 * 1024;
const CHUNK: usize = 48 * 1024;

/// Watches one call.
pub(crate) struct Recorder {
    keeper: Option<Keeper>,
    tape: Option<Arc<Tape>>,
    buffer: Vec<u8>,
    /// The buffer is handed on when it is so long.
    full: usize,
    sound: Option<Box<SoundNotes>>,
    call: Box<str>,
    agent: Box<str>,
    events: Vec<RecordedEvent>,
    /// Known when the call is over.
    summary: Option<Box<Summary>>,
    show: bool,
}

impl Recorder {
    pub(crate) fn new(
        transport: Transport,
        keeper: Option<Keeper>,
        (call, agent): (&str, &str),
        config: &CallConfig,
        show: bool,
    ) -> Self {
        let tape = keeper.as_ref().map(|keeper| keeper.tape(call));
        let mut buffer = Vec::new();
        if tape.is_some() {
            let over = match transport {
                Transport::MediaStreams => offhook_tape::Transport::MediaStreams,
                Transport::ConversationRelay => offhook_tape::Transport::ConversationRelay,
            };
            let header = Header::new(call, agent, env!("CARGO_PKG_VERSION"), config).over(over);
            write_header(&mut buffer, &header);
        }
        let (call, agent, events) = (call.into(), agent.into(), Vec::new());
        Self { keeper, tape, buffer, full: CHUNK, sound: None, call, agent, events, summary: None, show }
    }

    /// Records the call's sound too; with a notice, from when that was heard.
    pub(crate) fn with_sound(mut self, form: Option<Form>, notice: Option<String>) -> Self {
        if let (Some(keeper), Some(form)) = (&self.keeper, form) {
            let sound = keeper.sound(&self.call, form);
            let keeper = keeper.clone();
            self.sound =
                Some(Box::new(SoundNotes { keeper, sound, notes: Vec::new(), since: 0, last: 0, notice }));
        }
        self
    }

    /// What the caller is to be told before any sound is recorded.
    pub(crate) fn notice(&self) -> Option<&str> {
        self.sound.as_ref()?.notice.as_deref()
    }

    /// Takes what is to stand above the events, once the call is over.
    pub(crate) fn sum_up(&mut self, summary: Summary) {
        self.summary = Some(Box::new(summary));
    }

    fn event(&mut self, now: CallTime, event: &CallEvent) {
        if let CallEvent::Trouble { message } = event {
            tracing::warn!(call = %self.call, at = %now, "{message}");
        }
        if let (CallEvent::Said { heard, text, .. }, Some(sound)) = (event, &mut self.sound)
            && heard == text
            && sound.notice.as_ref() == Some(text)
        {
            sound.notice = None;
        }
        if self.show {
            crate::console::show_event(now, event);
        }
        if self.keeper.is_some() {
            let t_ms = u64::try_from(now.since_start().as_millis()).unwrap_or(u64::MAX);
            self.events.push(RecordedEvent { t_ms, event: event.clone() });
        }
    }

    fn spill(&mut self) {
        let (Some(keeper), Some(tape)) = (&self.keeper, &self.tape) else { return };
        if tape.is_broken() {
            self.end_tape();
            return;
        }
        match keeper.append(tape, std::mem::take(&mut self.buffer)) {
            Ok(()) => self.full = CHUNK,
            Err(waits) if waits.len() < MOST_WAITING => {
                self.full = waits.len() + CHUNK;
                self.buffer = waits;
            }
            Err(_) => {
                keeper.cut();
                tracing::warn!(call = %self.call, "the disk can't keep up: the tape ends here");
                self.end_tape();
            }
        }
    }

    fn end_tape(&mut self) {
        self.tape = None;
        self.buffer = Vec::new();
    }
}

/// What is noted of a call's sound: handed on every two seconds, so that a crash costs no more.
struct SoundNotes {
    keeper: Keeper,
    sound: Arc<Sound>,
    notes: Vec<u8>,
    /// When the first of the notes was made, and the last, in microseconds.
    since: u64,
    last: u64,
    /// What the caller has yet to hear; nothing is noted before.
    notice: Option<String>,
}

const NOTES_FOR: u64 = 2_000_000;
/// Octets of two seconds of both sides, with some to spare.
const NOTES: usize = 48 * 1024;

impl SoundNotes {
    fn note(&mut self, now: CallTime, piece: Piece<'_>) {
        if self.notice.is_some() {
            return;
        }
        let us = u64::try_from(now.since_start().as_micros()).unwrap_or(u64::MAX);
        if self.notes.is_empty() {
            self.since = us;
            self.notes.reserve(NOTES);
        }
        self.last = us;
        pieces::note(&mut self.notes, us, piece);
        if us.saturating_sub(self.since) >= NOTES_FOR || self.notes.len() > NOTES - 2_048 {
            self.keeper.record(&self.sound, std::mem::take(&mut self.notes));
        }
    }
}

impl Drop for SoundNotes {
    fn drop(&mut self) {
        if self.notice.is_some() {
            return;
        }
        pieces::note(&mut self.notes, self.last, Piece::End);
        self.keeper.record(&self.sound, std::mem::take(&mut self.notes));
    }
}

impl<L: TapedLine> Observer<L> for Recorder {
    fn input(&mut self, now: CallTime, input: &Input<L::Input<'_>>, deadline: Option<Deadline>) {
        if let (Some(sound), Input::Line(input)) = (&mut self.sound, input)
            && let Some((timestamp, octets)) = L::sound_in(input)
        {
            sound.note(now, Piece::Caller(timestamp, octets));
        }
        if self.tape.is_some() {
            // What is written ends with all outputs of an input: a tape that a crash cut off replays to its end.
            if self.buffer.len() >= self.full {
                self.spill();
            }
            if self.tape.is_some() {
                note_input::<L>(&mut self.buffer, now, input, deadline);
            }
        }
    }

    fn output(&mut self, now: CallTime, output: &Output<L::Wire>) {
        if let (Some(sound), Output::Wire(wire)) = (&mut self.sound, output) {
            match L::sound_out(wire) {
                Some(SoundOut::Frame(octets)) => sound.note(now, Piece::Agent(octets)),
                Some(SoundOut::Hidden) => sound.note(now, Piece::Agent(&[SILENCE; 160])),
                Some(SoundOut::Clear) => sound.note(now, Piece::Clear),
                None => {}
            }
        }
        if self.tape.is_some() {
            note_output::<L>(&mut self.buffer, now, output);
        }
        if let Output::Event(event) = output {
            self.event(now, event);
        }
    }

    /// Stands in the record, and on no tape: the state machine knows nothing of it.
    fn notice(&mut self, now: CallTime, event: &CallEvent) {
        self.event(now, event);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.spill();
        let Some(keeper) = &self.keeper else { return };
        let path = record_path(keeper.folder(), &self.call);
        let record = Record {
            call: std::mem::take(&mut self.call).into_string(),
            agent: std::mem::take(&mut self.agent).into_string(),
            summary: self.summary.take().map(|summary| *summary).unwrap_or_default(),
            events: std::mem::take(&mut self.events),
        };
        if let Ok(bytes) = serde_json::to_vec_pretty(&record) {
            keeper.save(path, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use offhook_conversation::UtteranceKind;
    use offhook_media_line::{MediaInput, MediaLine};

    use super::*;
    use crate::keeper::How;

    #[test]
    fn no_sound_is_recorded_before_the_notice_was_heard() {
        let base = tempfile::tempdir().unwrap();
        let keeper = Keeper::start(base.path(), How::default()).unwrap();
        let said = |heard: &str| CallEvent::Said {
            utterance: offhook_stage_api::UtteranceId(1),
            what: UtteranceKind::Announcement,
            heard: heard.to_owned(),
            text: "It is recorded.".to_owned(),
            interrupted: false,
            timed: true,
        };
        for (call, heard) in [("CA1", "It is"), ("CA2", "It is recorded.")] {
            let names = (call, "x");
            let recorder = Recorder::new(
                Transport::MediaStreams,
                Some(keeper.clone()),
                names,
                &CallConfig::default(),
                false,
            );
            let mut recorder = recorder.with_sound(Some(Form::Wav), Some("It is recorded.".to_owned()));
            for frame in 0..100u64 {
                let now = CallTime::from_millis(frame * 20);
                if frame == 50 {
                    Observer::<MediaLine>::notice(&mut recorder, now, &said(heard));
                }
                let media = MediaInput::Media { timestamp_ms: Some(frame * 20), payload: &[9; 160] };
                Observer::<MediaLine>::input(&mut recorder, now, &Input::Line(media), None);
            }
        }
        assert!(keeper.settle(std::time::Duration::from_secs(60)));
        assert!(!base.path().join("CA1.wav").exists());
        let wav = std::fs::read(base.path().join("CA2.wav")).unwrap();
        let loud = wav[58..].iter().position(|octet| *octet == 9).unwrap() / 2;
        assert!((7_500..8_200).contains(&loud), "sound from the sample {loud} on");
    }
}
