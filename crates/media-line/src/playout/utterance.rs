//! One thing that the agent says: its text, its sound, and which words lie where in the sound.

use offhook_audio::{FRAME_SAMPLES, MULAW_SILENCE, MulawFrame};

use offhook_conversation::line::Heard;
use offhook_stage_api::{AudioChunk, SegmentId, TimedWord, UtteranceId};

use super::raw::{Raw, RawSound};

const SAMPLES_PER_MS: u64 = 8;
/// Speech rate for estimates: samples per character of text, 15 characters a second.
const SAMPLES_PER_CHAR: u64 = 8_000 / 15;

/// So much that was heard is kept at most: 100 ms.
const MOST_HEARD: usize = 800;
/// Room for sound is taken in steps of this, for it is little, and doubling it would be much.
const ROOM: usize = 1_600;

/// A speakable piece of an utterance.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) text: String,
    words: Vec<TimedWord>,
    /// Where its sound begins, in samples of the utterance; known with its first sound.
    start: Option<u64>,
    /// Samples so far.
    length: u64,
    pub(crate) done: bool,
    /// The voice could not speak (the rest of) it.
    failed: bool,
    /// It is a recording, not the voice.
    recording: bool,
}

/// One thing that the agent says.
#[derive(Clone, Debug)]
pub(crate) struct Utterance {
    pub(crate) id: UtteranceId,
    /// Not to be sent until it is released: its reply is speculative.
    pub(crate) held: bool,
    segments: Vec<Segment>,
    /// Its sound stays off tapes.
    pub(crate) hidden: bool,
    /// If it is cut and goes on, it goes on at a multiple of so many samples: keys are sent whole.
    pub(crate) grain: u64,
    /// That it has run dry was reported.
    pub(crate) dry_reported: bool,
    /// No further segment comes.
    pub(crate) closed: bool,
    /// The sound from `base` on, μ-law: what was sent and may have to be sent again, and some that is about to be.
    audio: Vec<u8>,
    /// The sound behind that, as it came.
    raw: RawSound,
    /// Samples of the utterance that were dropped from the front of `audio`, because they were heard.
    base: u64,
    /// Samples sent, from the utterance's start.
    pub(crate) sent: u64,
    /// Some of it was sent.
    pub(crate) begun: bool,
    /// Place of the next mark to be sent: index into `segments`.
    marks_done: usize,
}

impl Utterance {
    pub(crate) fn new(id: UtteranceId) -> Self {
        Self {
            id,
            held: false,
            hidden: false,
            grain: 1,
            dry_reported: false,
            segments: Vec::new(),
            closed: false,
            audio: Vec::new(),
            raw: RawSound::default(),
            base: 0,
            sent: 0,
            begun: false,
            marks_done: 0,
        }
    }

    pub(crate) fn add_segment(&mut self, text: String) -> SegmentId {
        let id = SegmentId(u32::try_from(self.segments.len()).unwrap_or(u32::MAX));
        self.segments.push(Segment {
            text,
            words: Vec::new(),
            start: None,
            length: 0,
            done: false,
            failed: false,
            recording: false,
        });
        id
    }

    /// A recording, in the place of words.
    pub(crate) fn add_recording(&mut self) -> SegmentId {
        let id = self.add_segment(String::new());
        if let Some(segment) = self.segment_mut(id) {
            segment.recording = true;
        }
        id
    }

    pub(crate) fn is_recording(&self, id: SegmentId) -> bool {
        self.segments.get(id.0 as usize).is_some_and(|segment| segment.recording)
    }

    /// There is a recording in it.
    pub(crate) fn has_recording(&self) -> bool {
        self.segments.iter().any(|segment| segment.recording)
    }

    fn segment_mut(&mut self, id: SegmentId) -> Option<&mut Segment> {
        self.segments.get_mut(id.0 as usize)
    }

    pub(crate) fn on_words(&mut self, id: SegmentId, words: Vec<TimedWord>) {
        if let Some(segment) = self.segment_mut(id) {
            segment.words.extend(words);
        }
    }

    /// Adds a voice's sound to a segment, to be converted when its time comes. Sound of a segment that has ended or that is not
    /// the newest is refused.
    pub(crate) fn queue_audio(&mut self, id: SegmentId, chunk: AudioChunk) {
        if self.takes_sound(id) {
            self.raw.push(Raw::Sound { segment: id, chunk, taken: 0 });
        }
    }

    /// No more sound comes for the segment.
    pub(crate) fn queue_end(&mut self, id: SegmentId) {
        if self.segments.get(id.0 as usize).is_some_and(|segment| !segment.done) && !self.raw.ends(id) {
            self.raw.push(Raw::End { segment: id });
        }
    }

    /// (The rest of) the segment can't be spoken.
    pub(crate) fn fail(&mut self, id: SegmentId) {
        if let Some(segment) = self.segment_mut(id).filter(|segment| !segment.done) {
            segment.failed = true;
        }
        self.queue_end(id);
    }

    /// The segments that the voice hasn't spoken to their end.
    pub(crate) fn unspoken(&self) -> Vec<SegmentId> {
        let ids = (0..).map(SegmentId).zip(&self.segments);
        ids.filter(|(id, segment)| !segment.done && !self.raw.ends(*id)).map(|(id, _)| id).collect()
    }

    /// What is to be converted next, while less than `ahead` samples wait to be sent.
    pub(crate) fn next_raw(&mut self, ahead: u64) -> Option<Raw> {
        if self.unsent() >= ahead { None } else { self.raw.pop() }
    }

    /// A chunk of which not everything was converted yet.
    pub(crate) fn put_back(&mut self, raw: Raw) {
        self.raw.put_back(raw);
    }

    fn takes_sound(&self, id: SegmentId) -> bool {
        let Some(segment) = self.segments.get(id.0 as usize) else { return false };
        let later = self.segments.iter().skip(id.0 as usize + 1);
        !segment.done
            && !self.raw.ends(id)
            && !self.raw.has_later(id)
            && later.clone().all(|later| later.start.is_none())
    }

    /// Adds sound to a segment, as it will be sent.
    pub(crate) fn push_audio(&mut self, id: SegmentId, octets: &[u8]) {
        let produced = self.produced();
        if let Some(segment) = self.segment_mut(id) {
            segment.start.get_or_insert(produced);
            segment.length += octets.len() as u64;
            let length = self.audio.len() + octets.len();
            if length > self.audio.capacity() {
                self.audio.reserve_exact(length.next_multiple_of(ROOM) - self.audio.len());
            }
            self.audio.extend_from_slice(octets);
        }
    }

    /// All of the segment's sound is there.
    pub(crate) fn segment_done(&mut self, id: SegmentId) {
        let produced = self.produced();
        if let Some(segment) = self.segment_mut(id) {
            segment.done = true;
            segment.start.get_or_insert(produced);
        }
    }

    /// Samples of sound converted so far.
    pub(crate) fn produced(&self) -> u64 {
        self.base + self.audio.len() as u64
    }

    /// Samples that could be sent at once.
    pub(crate) fn unsent(&self) -> u64 {
        self.produced().saturating_sub(self.sent)
    }

    /// Samples that are there but were not sent.
    pub(crate) fn unsaid(&self) -> u64 {
        self.unsent() + self.raw.samples()
    }

    /// All of its sound is there, ready to be sent.
    pub(crate) fn complete(&self) -> bool {
        self.closed && self.segments.iter().all(|segment| segment.done)
    }

    /// The voice has given all of it, converted or not.
    pub(crate) fn given(&self) -> bool {
        let ended = |(id, segment): (u32, &Segment)| segment.done || self.raw.ends(SegmentId(id));
        self.closed && (0..).zip(&self.segments).all(ended)
    }

    /// All of its sound was sent.
    pub(crate) fn all_sent(&self) -> bool {
        self.complete() && self.unsent() == 0
    }

    /// Takes the next frame to send. A short one, only at the utterance's end or before a wait, is padded with silence.
    pub(crate) fn take_frame(&mut self, pad: bool) -> Option<MulawFrame> {
        let from = usize::try_from(self.sent.saturating_sub(self.base)).ok()?;
        let rest = self.audio.get(from..)?;
        let mut frame = MulawFrame([MULAW_SILENCE; FRAME_SAMPLES]);
        let count = rest.len().min(FRAME_SAMPLES);
        if count == 0 || (count < FRAME_SAMPLES && !pad) {
            return None;
        }
        let (to, from) = (frame.0.get_mut(..count)?, rest.get(..count)?);
        to.copy_from_slice(from);
        let last = count == rest.len() && self.complete();
        if last {
            crate::outbound::fade_out_mulaw(to);
        }
        self.sent += count as u64;
        self.begun = true;
        Some(frame)
    }

    /// Whether a segment's end was just reached, so that a mark is due. Says so once per segment.
    pub(crate) fn mark_due(&mut self) -> bool {
        let mut due = false;
        while let Some(segment) = self.segments.get(self.marks_done) {
            let Some(start) = segment.start else { break };
            if !segment.done || self.sent < start + segment.length {
                break;
            }
            due |= segment.length > 0;
            self.marks_done += 1;
        }
        due
    }

    /// Drops sound that was heard and won't be needed again.
    pub(crate) fn forget_heard(&mut self, heard: u64) {
        let until = heard.min(self.sent);
        let drop = usize::try_from(until.saturating_sub(self.base)).unwrap_or(0).min(self.audio.len());
        // Moving the rest is a copy: do it seldom.
        if drop >= MOST_HEARD || (drop > 0 && drop == self.audio.len()) {
            self.audio.drain(..drop);
            self.base += drop as u64;
        }
    }

    /// Takes back what was sent but not heard, so that it will be sent again.
    pub(crate) fn rewind(&mut self, heard: u64) {
        let heard = heard - heard % self.grain.max(1);
        self.sent = heard.clamp(self.base, self.sent);
        self.marks_done = self
            .segments
            .iter()
            .position(|segment| segment.start.is_none_or(|start| start + segment.length > self.sent))
            .unwrap_or(self.segments.len());
        // What comes next starts in the middle of a sound: fade it in.
        if let Some(start) =
            usize::try_from(self.sent - self.base).ok().and_then(|at| self.audio.get_mut(at..))
        {
            crate::outbound::fade_in_mulaw(start);
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            push_spaced(&mut text, segment.text.trim());
        }
        text
    }

    /// Whether every segment that has sound has word times from the synthesiser.
    fn is_timed(&self) -> bool {
        self.segments.iter().filter(|segment| segment.length > 0).all(|segment| !segment.words.is_empty())
    }

    /// What was heard, with `heard` samples of it played: the words whose greater half lies before.
    pub(crate) fn heard(&self, heard: u64) -> Heard {
        let (mut text, mut rest) = (String::new(), String::new());
        for (id, segment) in (0..).map(SegmentId).zip(&self.segments) {
            let all = segment.text.trim();
            let started = segment.start.filter(|start| segment.length > 0 && *start < heard);
            let Some(start) = started else {
                push_spaced(&mut rest, all);
                continue;
            };
            if segment.done && !segment.failed && heard >= start + segment.length {
                push_spaced(&mut text, all);
                continue;
            }
            let whole =
                (self.raw.ends(id) && !segment.failed).then(|| segment.length + self.raw.samples_of(id));
            let (heard_words, unheard) = segment.split(heard - start, whole);
            push_spaced(&mut text, &heard_words);
            push_spaced(&mut rest, &unheard);
        }
        let lasted = offhook_audio::SampleCount(heard.min(self.produced())).duration();
        Heard { text, rest, lasted, timed: self.is_timed() }
    }
}

impl Segment {
    /// The words heard after `within` samples, and the others. `whole`: the segment's length, where that is known before it is done.
    fn split(&self, within: u64, whole: Option<u64>) -> (String, String) {
        let (mut heard, mut count) = (String::new(), 0);
        if self.words.is_empty() {
            // An estimate: words last as long as their share of the letters.
            let letters: u64 = self.text.chars().count().max(1) as u64;
            let guess = || self.length.max(letters * SAMPLES_PER_CHAR);
            let known = self.done && !self.failed;
            let whole = whole.unwrap_or_else(|| if known { self.length } else { guess() });
            let mut before = 0u64;
            for word in self.text.split_whitespace() {
                let long = word.chars().count() as u64;
                if (before * 2 + long) * whole / (letters * 2) > within {
                    break;
                }
                push_spaced(&mut heard, word);
                before += long + 1;
                count += 1;
            }
        } else {
            for word in &self.words {
                let end = u64::from(word.end_ms.max(word.start_ms));
                if (u64::from(word.start_ms) + end) * SAMPLES_PER_MS / 2 > within {
                    break;
                }
                push_spaced(&mut heard, word.word.trim());
                count += 1;
            }
        }
        let rest = self.text.split_whitespace().skip(count).collect::<Vec<_>>().join(" ");
        (heard, rest)
    }
}

fn push_spaced(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests;
