//! Bursts: from when to when one or two steady tones of the network sound.

use offhook_audio::{FRAME_SAMPLES, PcmFrame, SampleCount, SamplePos};

use super::band::{Band, LATE, Look};

/// Share of the whole sound that the tones must have: noise may be 3 dB under them.
const SHARE: f32 = 0.66;
/// From the nominal frequency: networks keep to ±0.5 % (North America) to ±1.5 % or so; 1 Hz is for our own error.
const DETUNED: f32 = 0.0155;
/// Both tones of a pair come from one clock: between their deviations 0.7 %, and 1 Hz of each for our own error.
const APART: f32 = 0.007;
/// Level of two tones against each other: 8 dB.
const TWIST: f32 = 6.3;
/// A lone tone's frequency in Hz: E.180 recommends 425; Supplement 2 lists 400 to 450, here with 2 % more on both sides.
const LONE: std::ops::Range<f32> = 391.0..460.0;
/// Frames until a burst's level is known: the window is full.
const SETTLED: usize = 4;
/// Frames remembered, to date a burst's beginning back.
const REMEMBERED: usize = 8;

/// The frequencies of a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chord {
    /// 350 and 440 Hz.
    Dial,
    /// 440 and 480, or 400 and 450 Hz.
    Ring,
    /// 480 and 620 Hz.
    Low,
    /// One tone near 425 Hz.
    Lone,
}

const PAIRS: [(Chord, f32, f32); 4] = [
    (Chord::Dial, 350.0, 440.0),
    (Chord::Ring, 440.0, 480.0),
    (Chord::Ring, 400.0, 450.0),
    (Chord::Low, 480.0, 620.0),
];

/// A burst that sounds, or has sounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Burst {
    pub(super) chord: Chord,
    /// As measured.
    pub(super) hz: (f32, Option<f32>),
    pub(super) from: SamplePos,
    pub(super) until: SamplePos,
    /// Its mean square, and that of whatever was to be heard in the pause before it.
    pub(super) power: f32,
    pub(super) pause_power: f32,
    /// The same for the last 100 ms of the pause.
    pub(super) lead_power: f32,
}

impl Burst {
    pub(super) fn length(&self) -> SampleCount {
        self.until.since(self.from)
    }
}

/// What a frame did to the burst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    /// None sounds.
    None,
    /// It sounds, for so long up to now.
    Sounds(Burst),
    /// It has ended.
    Ended(Burst),
}

#[derive(Clone, Copy, Debug)]
struct Held {
    chord: Chord,
    hz: (f32, Option<f32>),
    /// Its greatest power.
    most: f32,
    before: f32,
    frames: usize,
    from: Option<SamplePos>,
    pause_power: f32,
    lead_power: f32,
}

/// The sound between bursts: frames since the last one's end, the sum of their mean squares, and a mean of the newest.
#[derive(Clone, Copy, Debug, Default)]
struct Pause {
    frames: u32,
    sum: f32,
    recent: f32,
}

impl Pause {
    /// Looks that have some of the burst before, and of the one that comes, are left out.
    const EDGE: u32 = 4;

    fn push(&mut self, looks: &[Look; REMEMBERED]) {
        self.frames = self.frames.saturating_add(1);
        if self.frames > 2 * Self::EDGE {
            let whole = looks[Self::EDGE as usize].whole;
            self.sum += whole;
            self.recent += (whole - self.recent) * 0.25;
        }
    }

    fn mean(&self) -> f32 {
        self.sum / self.frames.saturating_sub(2 * Self::EDGE).max(1) as f32
    }
}

/// Finds bursts.
#[derive(Clone, Debug, Default)]
pub(super) struct Bursts {
    band: Band,
    /// Newest first.
    looks: [Look; REMEMBERED],
    held: Option<Held>,
    pause: Pause,
    /// The sample after the newest.
    end: SamplePos,
}

impl Bursts {
    pub(super) fn push(&mut self, frame: &PcmFrame) -> Change {
        self.end += SampleCount(FRAME_SAMPLES as u64);
        let look = self.band.push(frame, self.held.is_some());
        self.looks.rotate_right(1);
        self.looks[0] = look;
        let middle = self.end.back(SampleCount(LATE));
        let heard = chord(&look);
        let Some(held) = &mut self.held else {
            self.pause.push(&self.looks);
            let (pause_power, lead_power) = (self.pause.mean(), self.pause.recent);
            self.held = heard.map(|(chord, hz)| Held {
                chord,
                hz,
                most: 0.0,
                before: 0.0,
                frames: 0,
                from: None,
                pause_power,
                lead_power,
            });
            return Change::None;
        };
        held.frames += 1;
        let power = power_of(&look, held.hz);
        held.most = held.most.max(power);
        if held.frames == 1
            && let Some((chord, hz)) = heard
        {
            // The first look was at its edge.
            (held.chord, held.hz) = (chord, hz);
        }
        // Half the amplitude, when the window's middle is at the burst's end; and no other chord has taken its place.
        let over = power < 0.25 * held.most;
        let other = heard.is_some_and(|(chord, _)| chord != held.chord);
        if held.frames == SETTLED {
            held.from = Some(began(&self.looks, held, middle));
        }
        let burst = |until: SamplePos| {
            let from = held.from?;
            let (power, pause_power, lead_power) = (held.most, held.pause_power, held.lead_power);
            Some(Burst { chord: held.chord, hz: held.hz, from, until, power, pause_power, lead_power })
        };
        let change = if over || other {
            let until = crossing(held.before, power, held.most, middle);
            burst(until).map_or(Change::None, Change::Ended)
        } else {
            burst(middle).map_or(Change::None, Change::Sounds)
        };
        held.before = power;
        if over || other {
            self.held = None;
            self.pause = Pause::default();
        }
        change
    }
}

/// The middle of the window was at half the amplitude between a frame ago and now: where, by a line between the amplitudes.
fn crossing(before: f32, now: f32, most: f32, middle: SamplePos) -> SamplePos {
    let (before, now, half) = (before.sqrt(), now.sqrt(), 0.5 * most.sqrt());
    let share = if before == now { 0.0 } else { ((half - now) / (before - now)).clamp(0.0, 1.0) };
    middle.back(SampleCount((share * FRAME_SAMPLES as f32) as u64))
}

/// Where the burst's amplitude rose over half of what it is by now.
fn began(looks: &[Look; REMEMBERED], held: &Held, middle: SamplePos) -> SamplePos {
    let mut after = power_of(&looks[0], held.hz);
    for (age, look) in looks.iter().enumerate().skip(1) {
        let power = power_of(look, held.hz);
        if power < 0.25 * held.most {
            let middle = middle.back(SampleCount(((age - 1) * FRAME_SAMPLES) as u64));
            return crossing(power, after, held.most, middle);
        }
        after = power;
    }
    middle.back(SampleCount(((REMEMBERED - 1) * FRAME_SAMPLES) as u64))
}

fn power_of(look: &Look, (low, high): (f32, Option<f32>)) -> f32 {
    look.power_at(low) + high.map_or(0.0, |high| look.power_at(high))
}

fn chord(look: &Look) -> Option<(Chord, (f32, Option<f32>))> {
    let [first, second] = look.peaks;
    let (low, high) = if first.hz < second.hz { (first, second) } else { (second, first) };
    let near = |hz: f32, nominal: f32| (hz - nominal).abs() <= nominal * DETUNED + 1.0;
    let pair = |&&(_, l, h): &&(Chord, f32, f32)| {
        let together = (low.hz / l - high.hz / h).abs() <= APART + 1.0 / l + 1.0 / h;
        near(low.hz, l) && near(high.hz, h) && together
    };
    if first.power + second.power >= SHARE * look.whole && first.power < second.power * TWIST {
        let pair = PAIRS.iter().find(pair);
        return pair.map(|(chord, ..)| (*chord, (low.hz, Some(high.hz))));
    }
    let lone =
        first.power >= SHARE * look.whole && second.power * 16.0 < first.power && LONE.contains(&first.hz);
    lone.then_some((Chord::Lone, (first.hz, None)))
}
