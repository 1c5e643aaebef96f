//! An utterance that links are at.

use std::collections::VecDeque;
use std::time::Duration;

use offhook_speakable::is_speakable;
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{AudioChunk, SpeakRequest, StageFailure, TimedWord, TtsCommand, TtsEvent};

use super::spoken::{length_of, rest_of};
use crate::race::{Contest, Work};
use offhook_stages::{Tts, stops_short};

/// When the next voice is asked, too, for what bridges a wait: the caller has waited 1.5 s by then, and 2 s are too long.
const BRIDGE_WITHIN: Duration = Duration::from_millis(350);

/// A segment that isn't spoken to its end.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) request: SpeakRequest,
    /// It bridges a wait, or begins to.
    bridges: bool,
    /// What links before this one have spoken of the text, in bytes, and how long that sounds.
    from: usize,
    base: Duration,
    /// Of the link that is at it: its sound, and its words' times from its own beginning.
    pub(super) sound: Duration,
    words: Vec<TimedWord>,
}

impl Segment {
    fn new(request: SpeakRequest, bridges: &[String]) -> Self {
        let text = request.text.trim();
        let bridges = !text.is_empty() && bridges.iter().any(|bridge| bridge.trim().starts_with(text));
        let (base, sound, words) = (Duration::ZERO, Duration::ZERO, Vec::new());
        Self { request, bridges, from: 0, base, sound, words }
    }

    fn remainder(&self) -> &str {
        self.request.text.get(self.from..).unwrap_or("")
    }

    pub(super) fn rest_is_speakable(&self) -> bool {
        is_speakable(self.remainder(), self.request.language.as_deref().unwrap_or_default())
    }

    /// Whether it can't be all, although the link says so: providers end broken answers in good order, too.
    pub(super) fn stops_short(&self) -> bool {
        stops_short(self.remainder(), self.request.language.as_deref().unwrap_or_default(), self.sound)
    }

    /// With the pause that closes it.
    pub(super) fn rest_length(&self) -> u32 {
        length_of(self.remainder()).saturating_add(1)
    }

    /// What the next link is asked.
    fn ask(&self) -> SpeakRequest {
        SpeakRequest { text: self.remainder().to_owned(), ..self.request.clone() }
    }

    pub(super) fn take_audio(&mut self, chunk: &AudioChunk) {
        self.sound += chunk.duration();
    }

    /// The words' times from the segment's beginning.
    pub(super) fn take_words(&mut self, words: Vec<TimedWord>) -> Vec<TimedWord> {
        let base = u32::try_from(self.base.as_millis()).unwrap_or(u32::MAX);
        let shifted = words.iter().map(|word| TimedWord {
            word: word.word.clone(),
            start_ms: word.start_ms.saturating_add(base),
            end_ms: word.end_ms.saturating_add(base),
        });
        let shifted = shifted.collect();
        self.words.extend(words);
        shifted
    }

    /// The link that was at it failed: what it spoke is spoken.
    fn cut(&mut self, per_char: Duration) {
        if !self.sound.is_zero() {
            self.from += rest_of(self.remainder(), &self.words, self.sound, per_char);
        }
        self.base += std::mem::take(&mut self.sound);
        self.words.clear();
    }
}

/// An utterance, as long as more segments of it may come.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: UtteranceId,
    pub(super) contest: Contest,
    pub(super) segments: VecDeque<Segment>,
}

impl Open {
    pub(super) fn new(id: UtteranceId, links: usize) -> Self {
        Self { id, contest: Contest::new(links), segments: VecDeque::new() }
    }

    pub(super) fn push(&mut self, request: SpeakRequest, bridges: &[String]) {
        if self.segments.is_empty() {
            self.contest.begin_now();
        }
        self.segments.push_back(Segment::new(request, bridges));
    }

    pub(super) fn segment(&mut self, id: SegmentId) -> Option<&mut Segment> {
        self.segments.iter_mut().find(|segment| segment.request.segment == id)
    }

    pub(super) fn remove(&mut self, id: SegmentId) -> Option<Segment> {
        let at = self.segments.iter().position(|segment| segment.request.segment == id)?;
        self.segments.remove(at)
    }

    /// What was spoken stays spoken; segments of which no word is left are done.
    pub(super) fn cut(&mut self, per_char: Duration, out: &mut VecDeque<TtsEvent>) {
        let utterance = self.id;
        for segment in &mut self.segments {
            segment.cut(per_char);
        }
        self.segments.retain(|segment| {
            let left = segment.base.is_zero() || segment.rest_is_speakable();
            if !left {
                out.push_back(TtsEvent::Done { utterance, segment: segment.request.segment });
            }
            left
        });
    }

    /// No link can speak it: what is pending of it has failed.
    pub(super) fn fail(&mut self, failure: &StageFailure, out: &mut VecDeque<TtsEvent>) {
        for pending in self.segments.drain(..) {
            let (utterance, segment) = (self.id, pending.request.segment);
            out.push_back(TtsEvent::Failed { utterance, segment, failure: failure.clone() });
        }
    }
}

impl Work for Open {
    type Provider = dyn Tts;
    const LACKS: &'static str = "sound";
    const IN_ORDER: bool = true;

    fn contest(&self) -> &Contest {
        &self.contest
    }

    fn contest_mut(&mut self) -> &mut Contest {
        &mut self.contest
    }

    fn is_about(&self, event: &TtsEvent) -> bool {
        event.of().0 == self.id
    }

    fn request(&self) -> Vec<TtsCommand> {
        self.segments.iter().map(|segment| TtsCommand::Speak(segment.ask())).collect()
    }

    fn cancel(&self) -> TtsCommand {
        TtsCommand::Cancel { utterance: self.id }
    }

    fn is_pending(&self) -> bool {
        !self.segments.is_empty()
    }

    fn hedge_within(&self) -> Option<Duration> {
        self.segments.front().filter(|segment| segment.bridges).map(|_| BRIDGE_WITHIN)
    }
}
