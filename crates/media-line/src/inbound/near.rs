//! Distinguishes the caller from others in the room, by level: somebody else's words take no floor.
//!
//! A mouth at the telephone is 15 to 30 dB louder than one across the room. How loud this caller is, is learnt from what they say; a
//! talkspurt that stays far below it is ignored, and so are its words. A caller who turns away is not lost: with each talkspurt that is
//! ignored less is asked of the next.

use std::collections::VecDeque;

use offhook_audio::{Dbov, SamplePos};
use offhook_endpoint::SpeechEvent;

/// So many frames of the caller's speech are heard before it is known how loud they are: 1 s.
const LEARNT_AFTER: u32 = 50;
/// Talkspurts shorter than this say nothing about it: 200 ms.
const SHORTEST: u32 = 10;
/// What each talkspurt that was ignored takes from what is usual, in dB.
const GIVES_WAY: f32 = 2.0;
/// A talkspurt that becomes loud late begins so many samples before: 60 ms.
const BEFORE: u64 = 480;
/// So many ignored talkspurts are known by their place.
const KEPT: usize = 8;

/// A talkspurt that is going on.
#[derive(Clone, Copy, Debug)]
struct Spurt {
    from: SamplePos,
    loudest: f32,
    frames: u32,
    near: bool,
}

/// What became of a frame's event.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Near {
    pub(super) event: Option<SpeechEvent>,
    /// A talkspurt was ignored: it was so many dB below the caller's voice.
    pub(super) ignored: Option<f32>,
}

/// Lets the caller's talkspurts pass.
#[derive(Debug)]
pub(super) struct NearGate {
    /// So many dB below the caller's usual level somebody else speaks. 0: everything passes.
    margin: f32,
    /// How loud the caller is at the loudest, dBov.
    usual: Option<f32>,
    /// What it is learnt from: frames, and dB by frames.
    learnt: (u32, f32),
    /// The level of the last few frames, in power.
    power: f32,
    spurt: Option<Spurt>,
    ignored: VecDeque<(SamplePos, SamplePos)>,
}

impl NearGate {
    pub(super) const fn new(margin: f32) -> Self {
        Self { margin, usual: None, learnt: (0, 0.0), power: 0.0, spurt: None, ignored: VecDeque::new() }
    }

    /// A frame of this level that ends at `now`, and what the detector says of it.
    pub(super) fn push(&mut self, event: Option<SpeechEvent>, level: Dbov, now: SamplePos) -> Near {
        if self.margin <= 0.0 {
            return Near { event, ignored: None };
        }
        self.power = self.power.mul_add(0.5, 0.5 * 10f32.powf(level.0 / 10.0));
        if let Some(SpeechEvent::Offset { at }) = event {
            return self.end(at);
        }
        if let Some(SpeechEvent::Onset { at }) = event {
            self.spurt = Some(Spurt { from: at, loudest: f32::MIN, frames: 0, near: false });
        }
        let least = self.usual.map(|usual| usual - self.margin);
        let Some(spurt) = &mut self.spurt else { return Near { event, ignored: None } };
        spurt.frames += 1;
        spurt.loudest = spurt.loudest.max(10.0 * self.power.max(1e-12).log10());
        if spurt.near || least.is_some_and(|least| spurt.loudest < least) {
            return Near::default();
        }
        spurt.near = true;
        if event.is_none() {
            spurt.from = spurt.from.max(SamplePos(now.0.saturating_sub(BEFORE)));
        }
        Near { event: Some(SpeechEvent::Onset { at: spurt.from }), ignored: None }
    }

    /// The talkspurt is over.
    pub(super) fn end(&mut self, at: SamplePos) -> Near {
        let Some(spurt) = self.spurt.take() else {
            return Near { event: Some(SpeechEvent::Offset { at }), ignored: None };
        };
        if spurt.near {
            self.learn(&spurt);
            return Near { event: Some(SpeechEvent::Offset { at }), ignored: None };
        }
        self.ignored.push_back((spurt.from, at));
        if self.ignored.len() > KEPT {
            self.ignored.pop_front();
        }
        let below = self.usual.map(|usual| usual - spurt.loudest);
        self.usual = self.usual.map(|usual| usual - GIVES_WAY);
        Near { event: None, ignored: below }
    }

    fn learn(&mut self, spurt: &Spurt) {
        if spurt.frames < SHORTEST {
            return;
        }
        match &mut self.usual {
            Some(usual) => *usual += (spurt.loudest - *usual) * 0.2,
            None => {
                let (frames, sum) = &mut self.learnt;
                *frames += spurt.frames;
                *sum = spurt.loudest.mul_add(spurt.frames as f32, *sum);
                if *frames >= LEARNT_AFTER {
                    self.usual = Some(*sum / *frames as f32);
                }
            }
        }
    }

    /// Whether a stretch of the caller's time line lies in what is ignored, for the most part.
    pub(super) fn ignores(&self, from: SamplePos, until: SamplePos) -> bool {
        let open = self.spurt.filter(|spurt| !spurt.near).map(|spurt| (spurt.from, until));
        let shared =
            |span: &(SamplePos, SamplePos)| until.0.min(span.1.0).saturating_sub(from.0.max(span.0.0));
        let all: u64 = self.ignored.iter().chain(&open).map(shared).sum();
        all * 10 >= until.0.saturating_sub(from.0).max(1) * 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A talkspurt of so many frames; gives whether it passed whole, or not at all.
    fn spurt(gate: &mut NearGate, at: &mut u64, frames: u64, level: f32) -> bool {
        let from = *at;
        let mut events = Vec::new();
        for nth in 0..frames {
            *at += 160;
            let event = (nth == 0).then_some(SpeechEvent::Onset { at: SamplePos(from) });
            events.extend(gate.push(event, Dbov(level), SamplePos(*at)).event);
        }
        *at += 160;
        let offset = SpeechEvent::Offset { at: SamplePos(*at - 160) };
        events.extend(gate.push(Some(offset), Dbov(-70.0), SamplePos(*at)).event);
        for _ in 0..20 {
            *at += 160;
            gate.push(None, Dbov(-70.0), SamplePos(*at));
        }
        assert!(events.is_empty() || events.len() == 2, "{events:?}");
        !events.is_empty()
    }

    #[test]
    fn somebody_across_the_room_is_ignored_once_the_caller_is_known() {
        let (mut gate, mut at) = (NearGate::new(15.0), 0);
        assert!(spurt(&mut gate, &mut at, 30, -40.0), "nobody is known yet");
        assert!(spurt(&mut gate, &mut at, 200, -20.0));
        let from = SamplePos(at);
        assert!(!spurt(&mut gate, &mut at, 80, -40.0));
        assert!(gate.ignores(from, SamplePos(from.0 + 80 * 160)));
        assert!(!gate.ignores(SamplePos(0), SamplePos(at)));
        assert!(spurt(&mut gate, &mut at, 20, -24.0));
        assert!(spurt(&mut gate, &mut at, 20, -31.0), "a softer word of the caller's");
    }

    #[test]
    fn a_caller_who_turns_away_is_heard_again() {
        let (mut gate, mut at) = (NearGate::new(15.0), 0);
        assert!(spurt(&mut gate, &mut at, 100, -20.0));
        let heard = (0..3).map(|_| spurt(&mut gate, &mut at, 50, -38.0)).collect::<Vec<_>>();
        assert_eq!(heard, [false, false, true]);
    }

    #[test]
    fn what_becomes_loud_late_begins_late() {
        let (mut gate, mut at) = (NearGate::new(15.0), 0);
        assert!(spurt(&mut gate, &mut at, 100, -20.0));
        let from = at;
        let mut onset = None;
        for nth in 0..60 {
            at += 160;
            let event = (nth == 0).then_some(SpeechEvent::Onset { at: SamplePos(from) });
            let level = if nth < 40 { -45.0 } else { -20.0 };
            onset = onset.or(gate.push(event, Dbov(level), SamplePos(at)).event);
        }
        let Some(SpeechEvent::Onset { at }) = onset else { panic!("nothing passed") };
        assert!((from + 37 * 160..from + 41 * 160).contains(&at.0), "{at:?}");
    }

    #[test]
    fn everything_passes_where_it_is_off() {
        let (mut gate, mut at) = (NearGate::new(0.0), 0);
        assert!(spurt(&mut gate, &mut at, 200, -20.0) && spurt(&mut gate, &mut at, 80, -50.0));
    }
}
