//! What a rhythm of bursts means: the cadences of ITU-T E.180/Q.35 and of its Supplement 2.

use offhook_audio::{SampleCount, SamplePos};

use super::burst::{Burst, Chord};
use super::progress::ToneKind;

const fn ms(ms: u64) -> SampleCount {
    SampleCount::from_millis(ms)
}

/// Bursts further apart than E.180's longest ringing pause (5 s, and a second more) don't belong together.
const APART: SampleCount = ms(6_000);

/// The newest bursts of one chord.
#[derive(Clone, Debug, Default)]
pub(super) struct Cadence {
    /// Those that have ended, newest first.
    past: [Option<Burst>; 2],
    /// What was told of this chord, and of the fast ones the cycle.
    told: Option<ToneKind>,
    cycle: SampleCount,
}

impl Cadence {
    /// A burst sounds, and has until now.
    pub(super) fn sounds(&mut self, burst: &Burst) -> Option<(ToneKind, SamplePos)> {
        self.keep_only_its_like(burst);
        let kind = match burst.chord {
            Chord::Dial => {
                (begins_in_silence(burst) && burst.length() >= ms(600)).then_some(ToneKind::Dial)?
            }
            Chord::Ring => {
                (begins_in_silence(burst) && burst.length() >= ms(800)).then_some(ToneKind::Ringback)?
            }
            Chord::Low => return None,
            Chord::Lone if burst.length() >= ms(2_800) => ToneKind::Dial,
            // A lone tone of a second may be anything, a beep too: ringback is told when it comes again.
            Chord::Lone => {
                let last = self.past[0]?;
                let pause = burst.from.since(last.until);
                let ringing = alike(&last, burst)
                    && ((ms(600)..=ms(2_200)).contains(&last.length()) || self.rang_twice(&last))
                    && (ms(1_800)..=APART).contains(&pause)
                    && burst.length() >= ms(300);
                ringing.then_some(ToneKind::Ringback)?
            }
        };
        self.tell(kind, burst)
    }

    /// A burst has ended.
    pub(super) fn ended(&mut self, burst: &Burst) -> Option<(ToneKind, SamplePos)> {
        self.keep_only_its_like(burst);
        let kind = self.rhythm(burst);
        let told = kind.and_then(|kind| self.tell(kind, burst));
        self.past = [Some(*burst), self.past[0]];
        told
    }

    /// The newest two bursts were a double ring: 0.4 s, 0.2 s of silence, 0.4 s.
    fn rang_twice(&self, last: &Burst) -> bool {
        self.past[1].is_some_and(|first| alike(&first, last) && double(&first, last))
    }

    /// By the last two bursts and the pause between them.
    fn rhythm(&mut self, burst: &Burst) -> Option<ToneKind> {
        let last = self.past[0].filter(|last| alike(last, burst))?;
        let (on, off, on_again) = (last.length(), burst.from.since(last.until), burst.length());
        if matches!(burst.chord, Chord::Ring | Chord::Dial) {
            // The double ring of the United Kingdom and others.
            let ringing = burst.chord == Chord::Ring && double(&last, burst);
            return ringing.then_some(ToneKind::Ringback);
        }
        // Of one tone it is told when it comes again: twice alone it may be a melody.
        if burst.chord == Chord::Lone && double(&last, burst) {
            return None;
        }
        // The United Kingdom's congestion tone: 0.4 s, 0.35 s of silence, 0.225 s, 0.525 s of silence.
        let british = |a, b, c| near(on, a) && near(off, b) && near(on_again, c);
        if british(400, 350, 225) || british(225, 525, 400) {
            return Some(ToneKind::Congestion);
        }
        // E.180: a cycle of 300 to 1 100 ms, and between on and off a ratio of 0.67 to 1.5; 20 ms and more for our own error.
        // Supplement 2 lists busy tones of 0.75 s, so up to 1 500 ms.
        let even = on.0.abs_diff(on_again.0) <= ms(60).0;
        let like = off.0 * 10 <= on.0 * 16 + ms(300).0 && on.0 * 10 <= off.0 * 16 + ms(300).0;
        let cycle = on + off;
        if !even || !like || !(ms(280)..=ms(1_600)).contains(&cycle) {
            return None;
        }
        // A melody may repeat a note; that it does so evenly twice is rarer.
        if burst.chord == Chord::Lone && cycle < ms(600) {
            let first = self.past[1].filter(|first| alike(first, &last))?;
            let off_before = last.from.since(first.until);
            if first.length().0.abs_diff(on.0) > ms(60).0 || off_before.0.abs_diff(off.0) > ms(60).0 {
                return None;
            }
        }
        // A rhythm that goes on is what it was told as, though its cycle is measured a little longer or shorter.
        let fast = |kind: &ToneKind| matches!(kind, ToneKind::Busy | ToneKind::Congestion);
        if let Some(told) = self.told.filter(fast)
            && cycle.0.abs_diff(self.cycle.0) * 5 <= self.cycle.0
        {
            return Some(told);
        }
        self.cycle = cycle;
        // Of the two, congestion is the faster. Busy begins at 0.3 s, congestion ends at 0.3 s.
        Some(if cycle >= ms(600) { ToneKind::Busy } else { ToneKind::Congestion })
    }

    /// Another chord, or a long silence, begins anew.
    fn keep_only_its_like(&mut self, burst: &Burst) {
        let like = self.past[0]
            .is_none_or(|last| last.chord == burst.chord && burst.from.since(last.until) <= APART);
        if !like {
            *self = Self::default();
        }
    }

    /// Each kind once.
    fn tell(&mut self, kind: ToneKind, burst: &Burst) -> Option<(ToneKind, SamplePos)> {
        let known = self.told.replace(kind) == Some(kind);
        // The first burst that counts: fast lone tones need three, and so do double rings.
        let fast = burst.chord == Chord::Lone && kind == ToneKind::Congestion;
        let twice = kind == ToneKind::Ringback && self.past[0].is_some_and(|last| self.rang_twice(&last));
        let first = if fast || twice { self.past[1].or(self.past[0]) } else { self.past[0] };
        (!known).then(|| (kind, first.map_or(burst.from, |first| first.from)))
    }
}

/// The network is silent before a tone: 5 dB under it for 100 ms. Music seldom is.
fn begins_in_silence(burst: &Burst) -> bool {
    burst.lead_power <= 0.32 * burst.power
}

/// Two bursts of the same tone: within 1.2 % of frequency and 3 dB of level, with something like silence between them, 5 dB less.
fn alike(last: &Burst, now: &Burst) -> bool {
    let like = |a: f32, b: f32, share: f32| (a - b).abs() <= share * a.max(b);
    like(last.hz.0, now.hz.0, 0.012)
        && like(last.power, now.power, 0.5)
        && now.pause_power <= 0.32 * now.power
}

/// A double ring: 0.4 s, 0.2 s of silence, 0.4 s.
fn double(first: &Burst, second: &Burst) -> bool {
    near(first.length(), 400) && near(second.from.since(first.until), 200) && near(second.length(), 400)
}

/// Within 20 ms and a twentieth.
fn near(length: SampleCount, wanted_ms: u64) -> bool {
    length.0.abs_diff(ms(wanted_ms).0) <= ms(20 + wanted_ms / 20).0
}
