//! What goes out, when, and what of it was heard.
//!
//! The ledger is the truth about the agent's voice: every sample sent belongs to an utterance. What reached the ear is
//! the position of the last mark that came back plus the time since, never beyond the next mark that is still out,
//! never beyond what was sent. Marks carry a generation, so that those which a `clear` throws back don't count.

mod duck;
mod raw;
mod sent;
mod utterance;

use std::collections::VecDeque;
use std::time::Duration;

use offhook_audio::{FRAME_DURATION, SampleCount};

use crate::config::PlayoutConfig;
use crate::echo::Played;
use crate::histogram::Histogram;
use crate::wire::{MarkName, MediaWire, Outputs};

use duck::Duck;
use offhook_conversation::Output;
use offhook_conversation::line::Heard;
use offhook_stage_api::{CallTime, Generation, UtteranceId};

pub(crate) use raw::Raw;
pub use sent::PlayoutTotals;
use sent::{PendingMark, Run};
pub(crate) use utterance::Utterance;

/// What the pacer wants to do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlayoutTimes {
    /// When there is room for more sound.
    pub(crate) pace: Option<CallTime>,
    /// When all that was sent will have been played (or its mark given up).
    pub(crate) played: Option<CallTime>,
}

/// Everything said and not yet over, in order.
#[derive(Debug)]
pub(crate) struct Playout {
    config: PlayoutConfig,
    generation: Generation,
    next_mark: u32,
    queue: VecDeque<Utterance>,
    begun: VecDeque<UtteranceId>,
    runs: VecDeque<Run>,
    marks: VecDeque<PendingMark>,
    /// Samples sent in this generation.
    sent: u64,
    /// Samples known to be played in this generation, by marks.
    marked: u64,
    /// When all that was sent will have been played, by our clock.
    play_end: CallTime,
    /// Nothing may begin: the caller holds the floor. What has begun goes on.
    blocked: bool,
    /// The voice is lowered while it is unclear whether the caller interrupts.
    duck: Duck,
    /// When there was to be room for sound that waits.
    due: Option<CallTime>,
    /// How long after it sound was sent.
    pub(crate) pacing: Histogram,
    /// What the caller hears when, for telling his voice from its echo.
    pub(crate) played: Played,
    pub(crate) totals: PlayoutTotals,
}

impl Playout {
    /// `echo_guard`: somebody compares what the caller hears to what comes from there.
    pub(crate) fn new(config: PlayoutConfig, echo_guard: bool) -> Self {
        Self {
            played: if echo_guard { Played::new(config.lead) } else { Played::unused() },
            generation: Generation(0),
            next_mark: 1,
            queue: VecDeque::new(),
            begun: VecDeque::new(),
            runs: VecDeque::new(),
            marks: VecDeque::new(),
            sent: 0,
            marked: 0,
            play_end: CallTime::ZERO,
            blocked: false,
            duck: Duck::new(config.duck),
            config,
            due: None,
            pacing: Histogram::default(),
            totals: PlayoutTotals::default(),
        }
    }

    /// Queues an utterance in front of another, or behind those that are there.
    pub(crate) fn queue(&mut self, utterance: Utterance, before: Option<UtteranceId>) {
        let place = before.and_then(|id| self.queue.iter().position(|other| other.id == id));
        self.queue.insert(place.unwrap_or(self.queue.len()), utterance);
    }

    /// Gives back the room that a busier moment took.
    pub(crate) fn shrink(&mut self) {
        self.queue.shrink_to_fit();
        self.begun.shrink_to_fit();
        self.runs.shrink_to_fit();
        self.marks.shrink_to_fit();
    }

    pub(crate) fn get_mut(&mut self, id: UtteranceId) -> Option<&mut Utterance> {
        self.queue.iter_mut().find(|utterance| utterance.id == id)
    }

    pub(crate) fn get(&self, id: UtteranceId) -> Option<&Utterance> {
        self.queue.iter().find(|utterance| utterance.id == id)
    }

    pub(crate) fn utterances(&self) -> impl Iterator<Item = &Utterance> {
        self.queue.iter()
    }

    /// Sound is reaching the caller's ear.
    pub(crate) fn is_audible(&self, now: CallTime) -> bool {
        now < self.play_end
    }

    /// When all that was sent will have been played.
    pub(crate) const fn play_end(&self) -> CallTime {
        self.play_end
    }

    /// May this be sent, as far as holding and blocking go?
    fn may_go(&self, utterance: &Utterance) -> bool {
        !utterance.held && (utterance.begun || !self.blocked)
    }

    /// The utterance that is being sent, or will be next.
    pub(crate) fn next_to_send(&mut self) -> Option<&mut Utterance> {
        self.queue.iter_mut().find(|utterance| !utterance.all_sent()).filter(|utterance| !utterance.held)
    }

    /// The utterance that the caller hears now.
    pub(crate) fn current(&self, now: CallTime) -> Option<&Utterance> {
        let heard = self.heard_position(now);
        let run = self.runs.iter().find(|run| heard < run.at + run.length).or_else(|| self.runs.back())?;
        self.get(run.utterance)
    }

    /// How much sound lies ahead of its playing.
    pub(crate) fn lead(&self, now: CallTime) -> Duration {
        self.play_end.since(now)
    }

    /// Nothing may begin from now on, or it may again.
    pub(crate) fn block(&mut self, blocked: bool) {
        self.blocked = blocked;
    }

    /// Lowers the voice at once, or raises it again.
    pub(crate) fn duck(&mut self, lower: bool, now: CallTime, out: &mut Outputs) {
        if lower && self.is_audible(now) {
            // What Twilio holds is sent once more, softer.
            self.clear(now, out);
        }
        self.duck.set(lower);
    }

    /// There is room for a batch of frames.
    pub(crate) fn has_room(&self, now: CallTime) -> bool {
        let lead = self.config.lead.max(FRAME_DURATION * 2);
        self.lead(now) <= lead.saturating_sub(self.config.batch.max(FRAME_DURATION))
    }

    /// Sends what is converted, as far as the lead has room. [`Playout::pop_begun`] gives the utterances whose first frame is
    /// among it. False if there was nothing to send.
    pub(crate) fn send(&mut self, now: CallTime, out: &mut Outputs) -> bool {
        let before = self.totals.frames;
        let lead = self.config.lead.max(FRAME_DURATION * 2);
        while let Some(index) = self.queue.iter().position(|utterance| !utterance.all_sent()) {
            if self.lead(now) + FRAME_DURATION > lead {
                break;
            }
            let dry = self.lead(now).is_zero();
            if !self.queue.get(index).is_some_and(|utterance| self.may_go(utterance)) {
                break;
            }
            let Some(utterance) = self.queue.get_mut(index) else { break };
            let (complete, hidden) = (utterance.complete(), utterance.hidden);
            let before = utterance.sent;
            let was_begun = utterance.begun;
            let Some(mut frame) = utterance.take_frame(complete) else { break };
            utterance.dry_reported = false;
            if !was_begun {
                self.begun.push_back(utterance.id);
            }
            if dry && was_begun && before > 0 {
                self.totals.underruns += 1;
            }
            let run = Run {
                utterance: utterance.id,
                at: self.sent,
                offset: before,
                length: utterance.sent - before,
            };
            let mark_due = utterance.mark_due();
            let ends = utterance.all_sent().then_some(utterance.id);
            if let Some(due) = self.due.take() {
                self.pacing.add(now.since(due));
            }
            self.duck.apply(&mut frame);
            let play_at = self.play_end.max(now);
            self.played.push(play_at, &frame);
            self.play_end = play_at + FRAME_DURATION;
            self.sent += frame.0.len() as u64;
            self.totals.frames += 1;
            self.totals.samples += run.length;
            self.note_run(run);
            out.push_back(Output::Wire(MediaWire::sound(frame, hidden)));
            if mark_due || ends.is_some() {
                self.send_mark(ends, out);
            }
        }
        self.totals.frames > before
    }

    /// The next utterance that has begun to be sent.
    pub(crate) fn pop_begun(&mut self) -> Option<UtteranceId> {
        self.begun.pop_front()
    }

    fn note_run(&mut self, run: Run) {
        match self.runs.back_mut() {
            Some(last)
                if last.utterance == run.utterance
                    && last.at + last.length == run.at
                    && last.offset + last.length == run.offset =>
            {
                last.length += run.length;
            }
            _ => self.runs.push_back(run),
        }
    }

    fn send_mark(&mut self, ends: Option<UtteranceId>, out: &mut Outputs) {
        let name = MarkName { generation: self.generation, number: self.next_mark };
        self.next_mark = self.next_mark.wrapping_add(1);
        self.totals.marks += 1;
        self.marks.push_back(PendingMark { name, at: self.sent, ends });
        out.push_back(Output::Wire(MediaWire::Mark(name)));
    }

    /// A mark for an utterance whose sound had all been sent before its end was known.
    pub(crate) fn finish(&mut self, id: UtteranceId, out: &mut Outputs) {
        let marked = self.marks.iter().any(|mark| mark.ends == Some(id));
        let Some(utterance) = self.get_mut(id) else { return };
        if utterance.begun && utterance.all_sent() && !marked {
            utterance.mark_due();
            self.send_mark(Some(id), out);
        }
    }

    /// Twilio returned a mark.
    pub(crate) fn on_mark(&mut self, name: &str, now: CallTime) {
        let Some(name) = MarkName::parse(name) else {
            self.totals.strange_marks += 1;
            return;
        };
        if name.generation != self.generation {
            return; // thrown back by a `clear`: says nothing about what was heard
        }
        let Some(place) = self.marks.iter().position(|mark| mark.name == name) else {
            self.totals.strange_marks += 1;
            return;
        };
        let Some(mark) = self.marks.drain(..=place).next_back() else { return };
        self.marked = self.marked.max(mark.at);
        // The mark is better than our clock: what lies behind it starts to play now.
        let rest = SampleCount(self.sent.saturating_sub(mark.at)).duration();
        self.play_end = now + rest;
    }

    /// Samples of this generation that reached the ear.
    fn heard_position(&self, now: CallTime) -> u64 {
        let unplayed = SampleCount::from_duration(self.play_end.since(now)).0;
        let by_clock = self.sent.saturating_sub(unplayed);
        let limit = self.marks.front().map_or(self.sent, |mark| mark.at);
        // While a mark is out, what lies before it isn't wholly played; half a frame short of it at most.
        let limit = if self.marks.is_empty() { limit } else { limit.saturating_sub(1) };
        by_clock.clamp(self.marked.min(limit), limit.max(self.marked))
    }

    /// What of an utterance reached the ear, in words.
    pub(crate) fn heard(&self, id: UtteranceId, now: CallTime) -> Heard {
        self.get(id).map_or_else(Heard::default, |utterance| utterance.heard(self.heard_of(id, now)))
    }

    /// An utterance that has begun, isn't complete, and has no sound left to be sent: when its sound ends.
    pub(crate) fn dry_since(&self, id: UtteranceId) -> Option<CallTime> {
        let utterance = self.get(id)?;
        let dry = utterance.begun && !utterance.all_sent() && utterance.unsaid() < 160;
        (dry && !utterance.complete()).then_some(self.play_end)
    }

    /// The first utterance, if it has run dry and that wasn't reported.
    pub(crate) fn pop_dry(&mut self) -> Option<UtteranceId> {
        let id = self.queue.iter().find(|utterance| utterance.begun)?.id;
        self.dry_since(id)?;
        let utterance = self.get_mut(id)?;
        (!std::mem::replace(&mut utterance.dry_reported, true)).then_some(id)
    }

    /// Samples of the utterance that reached the ear.
    pub(crate) fn heard_of(&self, id: UtteranceId, now: CallTime) -> u64 {
        let heard = self.heard_position(now);
        self.runs
            .iter()
            .filter(|run| run.utterance == id && run.at < heard)
            .map(|run| run.offset + run.length.min(heard - run.at))
            .max()
            .unwrap_or(0)
            .max(self.base_of(id))
    }

    /// What was heard of the utterance in earlier generations.
    fn base_of(&self, id: UtteranceId) -> u64 {
        let first_run = self.runs.iter().find(|run| run.utterance == id).map(|run| run.offset);
        first_run.or_else(|| self.get(id).map(|utterance| utterance.sent)).unwrap_or(0)
    }

    /// Empties Twilio's buffer. What was sent but not heard is taken back into its utterances.
    pub(crate) fn clear(&mut self, now: CallTime, out: &mut Outputs) {
        let heard: Vec<(UtteranceId, u64)> =
            self.queue.iter().filter(|u| u.begun).map(|u| (u.id, self.heard_of(u.id, now))).collect();
        for (id, heard) in heard {
            if let Some(utterance) = self.get_mut(id) {
                utterance.rewind(heard);
            }
        }
        self.generation = self.generation.next();
        self.totals.clears += 1;
        self.runs.clear();
        self.marks.clear();
        self.sent = 0;
        self.marked = 0;
        self.play_end = now;
        self.played.clear_from(now);
        out.push_back(Output::Wire(MediaWire::Clear));
    }

    /// Another stream begins: Twilio's buffer is empty.
    pub(crate) fn start_again(&mut self, now: CallTime) {
        let mut nowhere = VecDeque::new();
        self.duck(false, now, &mut nowhere);
        self.clear(now, &mut nowhere);
        self.blocked = false;
    }

    /// Takes an utterance out; what of it was heard. Call [`Playout::clear`] first if Twilio holds some of it.
    pub(crate) fn cut(&mut self, id: UtteranceId, now: CallTime) -> Option<(Utterance, Heard)> {
        let heard = self.heard(id, now);
        let place = self.queue.iter().position(|utterance| utterance.id == id)?;
        self.runs.retain(|run| run.utterance != id || run.at + run.length > self.marked);
        self.queue.remove(place).map(|utterance| (utterance, heard))
    }

    /// Takes the first utterance if it is over: all sent, and played by mark or, failing that, long since by the clock.
    pub(crate) fn pop_over(&mut self, now: CallTime) -> Option<Utterance> {
        let first = self.queue.front()?;
        if !first.all_sent() || first.held {
            return None;
        }
        let id = first.id;
        if first.begun {
            let marked = !self.marks.iter().any(|mark| mark.ends == Some(id));
            if !marked && now < self.play_end + self.config.mark_timeout {
                return None;
            }
        }
        self.runs.retain(|run| run.utterance != id);
        self.marks.retain(|mark| mark.ends != Some(id));
        self.queue.pop_front()
    }

    /// Drops sound that was heard.
    pub(crate) fn forget_heard(&mut self, now: CallTime) {
        let Some(first) = self.queue.front() else { return };
        let heard = self.heard_of(first.id, now);
        if let Some(first) = self.queue.front_mut() {
            first.forget_heard(heard);
        }
    }

    /// When to look again.
    pub(crate) fn times(&mut self, now: CallTime) -> PlayoutTimes {
        let lead = self.config.lead.max(FRAME_DURATION * 2);
        let waiting = self.queue.iter().find(|utterance| !utterance.all_sent());
        let sendable = waiting.is_some_and(|utterance| {
            self.may_go(utterance)
                && (utterance.unsent() >= 160 || (utterance.complete() && utterance.unsent() > 0))
        });
        let batch = self.config.batch.max(FRAME_DURATION);
        let pace = sendable.then(|| self.play_end.back(lead.saturating_sub(batch)).max(now));
        let played = self
            .queue
            .front()
            .filter(|first| first.begun && first.all_sent())
            .map(|_| self.play_end + self.config.mark_timeout);
        self.due = pace;
        PlayoutTimes { pace, played }
    }
}
