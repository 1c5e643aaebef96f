//! The caller's sound on its way to the model, and the words that come back for it.
//!
//! Sound is kept back until the caller speaks, and committed at each pause: every piece becomes an item of the conversation,
//! whose transcript comes by itself and in any order. The call is told the words of its whole turn.

use std::collections::VecDeque;
use std::time::Duration;

use offhook_audio::{FRAME_SAMPLES, MULAW_SILENCE, MulawFrame, SampleCount, SamplePos};
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{SttEvent, Transcript};
use serde_json::Value;
use tokio::time::Instant;

use super::wire;

/// Frames kept in silence: half a second that an onset may be dated back, and the longest pre-roll.
const KEPT: usize = 50;
/// Frames in a message: 100 ms.
const BATCH: usize = 5 * FRAME_SAMPLES;
/// Less sound than this can't be committed: 100 ms.
const LEAST: usize = 800;
/// Of a turn's sound so much is kept, in case the connection is lost: 30 s.
const LONGEST_TURN: usize = 240_000;
/// Turns whose words may still come.
const TURNS: usize = 3;

/// A piece of a turn that was committed.
#[derive(Debug)]
struct Said {
    commit: u64,
    /// The item's id, once the server has told it.
    item: Option<String>,
    text: String,
    whole: bool,
}

#[derive(Debug, Default)]
struct Turn {
    from: u64,
    until: u64,
    said: Vec<Said>,
    sound: Vec<u8>,
    ended: bool,
    /// The reply that answers it.
    answered_by: Option<ReplyId>,
    /// The final transcript that the call has.
    told: Option<String>,
}

impl Turn {
    fn text(&self) -> String {
        let texts = self.said.iter().map(|said| said.text.trim()).filter(|text| !text.is_empty());
        texts.collect::<Vec<_>>().join(" ")
    }

    fn items(&self) -> impl Iterator<Item = &str> {
        self.said.iter().filter_map(|said| said.item.as_deref())
    }
}

/// Hears.
#[derive(Debug)]
pub(super) struct InputAudio {
    pre_roll: u64,
    patience: Duration,
    kept: VecDeque<(u64, MulawFrame)>,
    listening: bool,
    /// The sound before this place went out.
    sent_until: u64,
    batch: Vec<u8>,
    uncommitted: usize,
    turns: VecDeque<Turn>,
    commits: u64,
    /// When the transcript is taken from what there is.
    due: Option<Instant>,
    /// Octets sent.
    pub(super) octets: u64,
    /// For the server.
    pub(super) say: Vec<Value>,
    /// For the call.
    pub(super) tell: Vec<SttEvent>,
}

impl InputAudio {
    pub(super) fn new(pre_roll: Duration, patience: Duration) -> Self {
        Self {
            pre_roll: SampleCount::from_duration(pre_roll.min(Duration::from_millis(500))).0,
            patience,
            kept: VecDeque::with_capacity(KEPT),
            listening: false,
            sent_until: 0,
            batch: Vec::new(),
            uncommitted: 0,
            turns: VecDeque::new(),
            commits: 0,
            due: None,
            octets: 0,
            say: Vec::new(),
            tell: Vec::new(),
        }
    }

    /// How much was committed so far: the model's answer rests on this.
    pub(super) const fn commits(&self) -> u64 {
        self.commits
    }

    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn audio(&mut self, at: SamplePos, frame: MulawFrame) {
        if self.listening {
            self.push(at.0, &frame);
            return;
        }
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((at.0, frame));
    }

    fn push(&mut self, at: u64, frame: &MulawFrame) {
        self.sent_until = at + FRAME_SAMPLES as u64;
        self.batch.extend_from_slice(&frame.0);
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        self.say.push(wire::append(&batch));
        self.uncommitted += batch.len();
        self.octets += batch.len() as u64;
        if let Some(turn) = self.turns.back_mut() {
            turn.sound.extend_from_slice(&batch);
            let over = turn.sound.len().saturating_sub(LONGEST_TURN);
            turn.sound.drain(..over);
        }
    }

    pub(super) fn speech_started(&mut self, at: SamplePos) {
        if self.turns.back().is_none_or(|turn| turn.ended) {
            if self.turns.len() >= TURNS {
                self.turns.pop_front();
            }
            self.turns.push_back(Turn { from: at.0, until: at.0, ..Turn::default() });
        }
        self.due = None;
        if std::mem::replace(&mut self.listening, true) {
            return;
        }
        let from = at.0.saturating_sub(self.pre_roll).max(self.sent_until);
        for (at, frame) in std::mem::take(&mut self.kept) {
            if at >= from {
                self.push(at, &frame);
            }
        }
    }

    pub(super) fn speech_paused(&mut self, from: SamplePos, until: SamplePos, now: Instant) {
        self.listening = false;
        let Some(turn) = self.turns.back_mut().filter(|turn| !turn.ended) else { return };
        (turn.from, turn.until) = (from.0, until.0);
        self.flush();
        self.commit();
        self.due = Some(now + self.patience);
    }

    fn commit(&mut self) {
        if self.uncommitted == 0 {
            return;
        }
        if self.uncommitted < LEAST {
            self.say.push(wire::append(&vec![MULAW_SILENCE; LEAST - self.uncommitted]));
        }
        self.uncommitted = 0;
        self.commits += 1;
        self.say.push(wire::commit(self.commits));
        if let Some(turn) = self.turns.back_mut() {
            turn.said.push(Said { commit: self.commits, item: None, text: String::new(), whole: false });
        }
    }

    /// The turn is over. If no reply answers it, the model shall not remember it: it was noise, or a word in passing.
    pub(super) fn turn_ended(&mut self) {
        self.due = None;
        if let Some(turn) = self.turns.back_mut() {
            turn.ended = true;
            turn.sound = Vec::new();
        }
        self.forget_unanswered();
    }

    fn forget_unanswered(&mut self) {
        for turn in self.turns.iter_mut().filter(|turn| turn.ended && turn.answered_by.is_none()) {
            self.say.extend(turn.items().map(wire::delete));
            turn.said.retain(|said| said.item.is_none());
        }
    }

    /// This reply answers what was said last. Whether any of that is known to the model by its sound.
    pub(super) fn answered(&mut self, by: ReplyId) -> bool {
        let Some(turn) = self.turns.back_mut() else { return false };
        turn.answered_by = Some(by);
        !turn.said.is_empty()
    }

    /// The reply never happened.
    pub(super) fn not_answered(&mut self, by: ReplyId) {
        for turn in self.turns.iter_mut().filter(|turn| turn.answered_by == Some(by)) {
            turn.answered_by = None;
        }
        self.forget_unanswered();
    }

    /// What the model heard of the turn is told to it in writing instead.
    pub(super) fn forget_sound(&mut self) {
        for turn in &mut self.turns {
            self.say.extend(turn.items().map(wire::delete));
            turn.said.retain(|said| !said.whole);
            for said in &mut turn.said {
                // The words may still come.
                said.item = None;
            }
        }
    }

    pub(super) fn on_committed(&mut self, item: String) {
        let mut all = self.turns.iter_mut().flat_map(|turn| &mut turn.said);
        if let Some(said) = all.find(|said| said.item.is_none() && !said.whole) {
            said.item = Some(item);
            self.forget_unanswered();
        }
    }

    /// There was too little sound for the server.
    pub(super) fn on_commit_refused(&mut self, commit: u64) {
        self.settle(|said| said.commit == commit, |_| {});
    }

    pub(super) fn on_delta(&mut self, item: &str, delta: &str) {
        let Some(turn) = self.turns.back_mut().filter(|turn| !turn.ended && turn.told.is_none()) else {
            return;
        };
        let Some(said) = turn.said.iter_mut().find(|said| said.item.as_deref() == Some(item)) else { return };
        said.text.push_str(delta);
        let transcript =
            Transcript { from: turn.from, until: turn.until, text: turn.text(), ..Transcript::default() };
        if !transcript.text.is_empty() {
            self.tell.push(SttEvent::Partial(transcript));
        }
    }

    pub(super) fn on_transcript(&mut self, item: &str, text: Option<String>) {
        let done = |said: &mut Said| {
            if let Some(text) = text {
                said.text = text;
            }
        };
        self.settle(|said| said.item.as_deref() == Some(item), done);
    }

    fn settle(&mut self, which: impl Fn(&Said) -> bool, how: impl FnOnce(&mut Said)) {
        let newest = self.turns.len().saturating_sub(1);
        for (at, turn) in self.turns.iter_mut().enumerate() {
            let Some(said) = turn.said.iter_mut().find(|said| which(said)) else { continue };
            how(said);
            said.whole = true;
            if turn.said.iter().all(|said| said.whole) {
                if at == newest {
                    self.due = None;
                }
                tell(turn, &mut self.tell);
            }
            return;
        }
    }

    /// No transcript came in time: what there is must do.
    pub(super) fn on_time(&mut self, now: Instant) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = None;
        if let Some(turn) = self.turns.back_mut().filter(|turn| !turn.ended) {
            tell(turn, &mut self.tell);
        }
    }

    /// Another connection: what was said in the turn so far is said to it again.
    pub(super) fn reopened(&mut self, now: Instant) {
        self.say.clear();
        self.turns.retain(|turn| !turn.ended);
        (self.uncommitted, self.commits) = (0, self.commits + 1);
        let Some(turn) = self.turns.back_mut() else { return };
        turn.said.clear();
        let sound = std::mem::take(&mut turn.sound);
        if sound.is_empty() {
            return;
        }
        for batch in sound.chunks(8_000) {
            self.say.push(wire::append(batch));
        }
        (self.uncommitted, turn.sound) = (sound.len(), sound);
        if !self.listening {
            self.commit();
            self.due = Some(now + self.patience);
        }
    }
}

/// Tells the words of a turn, if the call doesn't know them.
fn tell(turn: &mut Turn, events: &mut Vec<SttEvent>) {
    let text = turn.text();
    if turn.told.as_ref() == Some(&text) && turn.ended {
        return;
    }
    turn.told = Some(text.clone());
    let transcript = Transcript { from: turn.from, until: turn.until, text, ..Transcript::default() };
    events.push(SttEvent::Final(transcript));
}
