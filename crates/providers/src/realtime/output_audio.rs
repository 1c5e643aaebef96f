//! The model's own voice, cut at the sentences that the call asks to be spoken.
//!
//! The model speaks its reply in one piece; the call asks for it sentence by sentence. Sound is given to sentences by their
//! share of the letters: at a usual pace while the reply grows, by its true length once it is whole. No times of words are
//! told: the call's own estimate by letters is as good, and honest about being one.

use std::time::Duration;

use offhook_audio::SampleCount;
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{AudioChunk, SpeakRequest, TtsEvent};
use tokio::time::Instant;

/// Octets of sound for a letter or digit: 15 characters a second, of which every sixth is a space or a stop.
const LETTER: usize = 640;
/// Sound that may belong to a sentence not known yet is kept back while so much is ahead of its playing.
const AHEAD: Duration = Duration::from_secs(1);
/// The reply is whole, and no sentence came for so long: there will be none.
const PATIENCE: Duration = Duration::from_millis(500);

/// Letters and digits: what is left of a text however it is cut and spaced.
pub(super) fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| c.is_alphanumeric())
}

#[derive(Debug)]
struct Segment {
    id: SegmentId,
    letters: usize,
}

/// One reply's sound.
#[derive(Debug, Default)]
pub(super) struct OutputAudio {
    /// Whose segments are spoken; `None` until the call asks for the first.
    pub(super) utterance: Option<UtteranceId>,
    sound: Vec<u8>,
    given: usize,
    /// Letters of the whole reply so far.
    letters: usize,
    segments: Vec<Segment>,
    /// Segments that are done.
    done: usize,
    /// When the first sound was given.
    began: Option<Instant>,
    /// No more sound comes; since then.
    whole: Option<Instant>,
    silenced: bool,
    /// The first octets were looked at.
    judged: bool,
}

impl OutputAudio {
    pub(super) fn words(&mut self, delta: &str) {
        self.letters += letters(delta).count();
    }

    pub(super) fn sound(&mut self, octets: &[u8]) {
        self.sound.extend_from_slice(octets);
    }

    /// The sound, for a judgement before any of it is played; `None` once it was judged.
    pub(super) fn unjudged(&self) -> Option<&[u8]> {
        (!self.judged).then_some(self.sound.as_slice())
    }

    /// It is sound.
    pub(super) const fn judged(&mut self) {
        self.judged = true;
    }

    pub(super) fn speak(&mut self, request: &SpeakRequest, now: Instant) {
        self.utterance = Some(request.utterance);
        self.segments.push(Segment { id: request.segment, letters: letters(&request.text).count() });
        // Time for the next counts from here.
        self.whole = self.whole.map(|_| now);
    }

    /// No more sound comes. So little of it that it could not be judged isn't played.
    pub(super) fn finish(&mut self, now: Instant) {
        if !self.judged {
            self.sound.clear();
        }
        self.whole.get_or_insert(now);
    }

    /// What is to be spoken was asked for already; the rest is dropped. How much is left.
    pub(super) fn stop(&mut self, now: Instant) -> usize {
        let end = self.end(self.segments.len()).min(self.sound.len()).max(self.given);
        self.sound.truncate(end);
        self.letters = self.said(self.segments.len());
        self.finish(now);
        end
    }

    /// Nothing of it is wanted for now; another utterance may.
    pub(super) fn mute(&mut self) {
        self.silenced = true;
    }

    /// No more of it is wanted.
    pub(super) fn silence(&mut self) {
        self.silenced = true;
        self.sound = Vec::new();
    }

    /// Nothing of it was heard, and it is to be spoken for another utterance.
    pub(super) fn begin_again(&mut self) {
        (self.utterance, self.given, self.done, self.began) = (None, 0, 0, None);
        self.segments.clear();
        self.silenced = false;
    }

    fn said(&self, segments: usize) -> usize {
        self.segments.iter().take(segments).map(|segment| segment.letters).sum()
    }

    /// Where the sound of the first so many segments ends.
    fn end(&self, segments: usize) -> usize {
        let said = self.said(segments);
        match self.whole {
            Some(_) => (said * self.sound.len()).div_ceil(self.letters.max(said).max(1)),
            None => said * LETTER,
        }
    }

    fn hold_until(&self) -> Option<Instant> {
        let given = SampleCount(self.given as u64).duration();
        Some(self.began? + given.saturating_sub(AHEAD))
    }

    /// When to look again.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.silenced || self.done >= self.segments.len() {
            return None;
        }
        match self.whole {
            Some(since) => Some(since + PATIENCE),
            None if self.given < self.sound.len() && self.judged => self.hold_until(),
            None => None,
        }
    }

    /// Gives what can be given.
    pub(super) fn advance(&mut self, now: Instant, out: &mut impl FnMut(TtsEvent)) {
        let ready = !self.silenced && (self.judged || self.whole.is_some());
        let Some(utterance) = self.utterance.filter(|_| ready) else { return };
        while let Some(segment) = self.segments.get(self.done).map(|segment| segment.id) {
            let newest = self.done + 1 == self.segments.len();
            let end = self.end(self.done + 1).min(self.sound.len());
            let last = newest
                && self.whole.is_some_and(|since| {
                    self.said(self.segments.len()) >= self.letters || now >= since + PATIENCE
                });
            let starved =
                newest && self.hold_until().is_none_or(|until| now >= until) && self.began.is_some();
            let until = if last || starved { self.sound.len() } else { end };
            if let Some(octets) = self.sound.get(self.given..until).filter(|octets| !octets.is_empty()) {
                self.began.get_or_insert(now);
                out(TtsEvent::Audio { utterance, segment, chunk: AudioChunk::Mulaw(octets.into()) });
                self.given = until;
            }
            let full = !newest && (self.given >= self.end(self.done + 1) || self.whole.is_some());
            if !last && !full {
                return;
            }
            out(TtsEvent::Done { utterance, segment });
            self.done += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn speak(output: &mut OutputAudio, segment: u32, text: &str, now: Instant) {
        let utterance = UtteranceId(1);
        output.speak(
            &SpeakRequest {
                utterance,
                segment: SegmentId(segment),
                text: text.to_owned(),
                last: false,
                language: None,
                recording: None,
            },
            now,
        );
    }

    /// Octets by segment, and which are done.
    fn given(output: &mut OutputAudio, now: Instant) -> (Vec<(u32, usize)>, Vec<u32>) {
        let (mut sound, mut done) = (Vec::new(), Vec::new());
        output.advance(now, &mut |event| match event {
            TtsEvent::Audio { segment, chunk: AudioChunk::Mulaw(octets), .. } => {
                sound.push((segment.0, octets.len()));
            }
            TtsEvent::Done { segment, .. } => done.push(segment.0),
            _ => {}
        });
        (sound, done)
    }

    #[tokio::test(start_paused = true)]
    async fn sentences_share_the_sound_by_their_letters() {
        let now = Instant::now();
        let mut output = OutputAudio { judged: true, ..OutputAudio::default() };
        output.words("Ten letter. Ten letter, and so on.");
        speak(&mut output, 0, "Ten letter.", now);
        output.sound(&[0x55; 9_000]);
        // More than its share; what is next isn't known yet, and nothing was played.
        assert_eq!(given(&mut output, now), (vec![(0, 5_760)], vec![]));
        assert!(output.due().is_some_and(|due| due <= now));
        speak(&mut output, 1, "Ten letter, and so on.", now);
        output.sound(&[0x55; 1_000]);
        output.finish(now);
        let (sound, done) = given(&mut output, now);
        assert_eq!((sound.iter().map(|(_, octets)| octets).sum::<usize>(), done), (4_240, vec![0, 1]));
        assert_eq!(output.due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn sound_is_not_kept_back_when_the_caller_would_hear_a_hole() {
        let now = Instant::now();
        let mut output = OutputAudio { judged: true, ..OutputAudio::default() };
        output.words("Yes. And more");
        speak(&mut output, 0, "Yes.", now);
        output.sound(&[0x55; 16_000]);
        assert_eq!(given(&mut output, now).0, [(0, 1_920)]);
        assert_eq!(given(&mut output, now).0, [(0, 14_080)], "240 ms are less than what must be ahead");
        output.sound(&[0x55; 8_000]);
        assert_eq!(given(&mut output, now).0, []);
        assert_eq!(given(&mut output, now + Duration::from_secs(1)).0, [(0, 8_000)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sentence_that_never_comes_is_not_waited_for() {
        let now = Instant::now();
        let mut output = OutputAudio { judged: true, ..OutputAudio::default() };
        output.words("Yes. And more");
        speak(&mut output, 0, "Yes.", now);
        output.sound(&[0x55; 8_000]);
        output.finish(now);
        assert_eq!(given(&mut output, now).1, [] as [u32; 0]);
        let (_, done) = given(&mut output, now + PATIENCE);
        assert_eq!(done, [0]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_all_comes_in_order(
            steps in proptest::collection::vec((0_usize..4_000, "[a-z]{0,12}", any::<bool>()), 1..20),
        ) {
            let mut now = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
                .block_on(async { Instant::now() });
            let mut output = OutputAudio { judged: true, ..OutputAudio::default() };
            let (mut total, mut sum, mut order, mut done) = (0, 0, Vec::new(), Vec::new());
            for (at, (octets, text, speaks)) in steps.iter().enumerate() {
                now += Duration::from_millis(70);
                output.words(text);
                output.sound(&vec![0x55; *octets]);
                total += octets;
                if *speaks {
                    speak(&mut output, at as u32, text, now);
                }
                let (sound, over) = given(&mut output, now);
                order.extend(sound.iter().map(|(segment, _)| *segment));
                sum += sound.iter().map(|(_, octets)| octets).sum::<usize>();
                done.extend(over);
            }
            output.finish(now);
            let (sound, over) = given(&mut output, now + PATIENCE);
            order.extend(sound.iter().map(|(segment, _)| *segment));
            sum += sound.iter().map(|(_, octets)| octets).sum::<usize>();
            done.extend(over);
            if output.utterance.is_some() {
                prop_assert_eq!(sum, total);
                prop_assert_eq!(done.len(), steps.iter().filter(|step| step.2).count());
            }
            prop_assert!(order.is_sorted() && done.is_sorted());
        }
    }
}
