//! Is it the caller, or the agent's own voice coming back from the caller's line?
//!
//! What: when the detector takes something for speech while the agent speaks (or has just spoken), it is compared with what
//! was played. If it is mostly a delayed copy of that, the talkspurt is withheld, until something that isn't takes over.
//!
//! How: both sides at 2 kHz, pre-emphasised, so that peaks of the correlation are sharp; the delay by the greatest normalised
//! cross-correlation over 160 ms and delays to a second; then the share of the energy that a few delayed copies around it
//! explain (matching pursuit: Mallat & Zhang 1993). A delay that was found once is looked for first, and believed more
//! easily. Whole numbers up to the last division: the same on every machine.
//!
//! Cost: nothing while the agent is silent; about 0.2 µs a frame while it speaks; some tens of µs for a search, at an onset only.

mod signal;

use offhook_audio::{PcmFrame, SamplePos};
use offhook_endpoint::SpeechEvent;

use offhook_stage_api::CallTime;
pub(crate) use signal::Played;
use signal::{Decimator, TICKS_PER_FRAME, Tick};

/// Ticks compared: 160 ms.
const WINDOW: usize = 320;
/// The longest delay looked for: 1 s.
const MAX_LAG: usize = 2_000;
/// Around a known delay, the play of the network's jitter: 20 ms.
const PLAY: usize = 40;
/// Copies that make up an echo.
const COPIES: usize = 4;
/// Around the strongest copy the others lie: 8 ms.
const SPREAD: usize = 16;
/// Share of the energy explained above which it is an echo, with no delay known yet.
const SURE: f32 = 0.75;
/// The same at a known delay.
const LIKELY: f32 = 0.6;
/// Share below which something else has taken over.
const DOUBTFUL: f32 = 0.3;

/// Energy of a window under which it isn't judged: a hiss has next to nothing below 1 kHz.
const FAINT: i64 = WINDOW as i64 * 5;
/// Frames to wait for more than a hiss: 100 ms.
const PATIENCE: u32 = 5;

/// What the comparison gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Likeness {
    /// Ticks from playing to hearing.
    pub(crate) lag: usize,
    /// Share of the energy that delayed copies explain, 0 to 1.
    pub(crate) explained: f32,
}

/// What becomes of a speech event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It stands.
    Pass(Option<SpeechEvent>),
    /// The agent's own voice began to come back, so many milliseconds after its playing.
    Echo { delay_ms: u32 },
}

/// An onset that isn't let through.
#[derive(Clone, Copy, Debug)]
enum Withheld {
    /// Too faint to judge, for so many frames.
    Unclear { at: SamplePos, frames: u32 },
    /// It was an echo; for so many frames in a row it has been something else.
    Echo { strange: u32 },
}

/// Watches one call's line.
pub(crate) struct EchoGuard {
    enabled: bool,
    decimator: Decimator,
    /// The newest `WINDOW` ticks of the line, oldest first.
    heard: Option<Box<[i16; WINDOW]>>,
    /// The delay of this line's echo, once it was seen.
    lag: Option<usize>,
    withheld: Option<Withheld>,
    /// What to add to the caller's time line, in ticks, to be on the call's clock.
    offset: Option<Tick>,
}

impl EchoGuard {
    pub(crate) const fn new(enabled: bool) -> Self {
        Self { enabled, decimator: Decimator::new(), heard: None, lag: None, withheld: None, offset: None }
    }

    /// Takes a frame and what the detector made of it; lets through what is the caller's.
    pub(crate) fn judge(
        &mut self,
        frame: &PcmFrame,
        until: SamplePos,
        now: CallTime,
        event: Option<SpeechEvent>,
        played: &Played,
    ) -> Verdict {
        if !self.enabled {
            return Verdict::Pass(event);
        }
        let end = self.tick_of(until, now);
        if !played.reaches(end.saturating_sub((MAX_LAG + WINDOW) as Tick)) {
            self.heard = None;
            return Verdict::Pass(self.pass_all(event, until));
        }
        let heard = self.heard.get_or_insert_with(|| Box::new([0; WINDOW]));
        heard.copy_within(TICKS_PER_FRAME.., 0);
        if let Some(fresh) = heard.last_chunk_mut::<TICKS_PER_FRAME>() {
            self.decimator.frame(&frame.0, fresh);
        }
        match (event, self.withheld) {
            (Some(SpeechEvent::Onset { at }), _) => self.onset(at, 0, end, played),
            (Some(SpeechEvent::Offset { .. }), Some(_)) => {
                self.withheld = None;
                Verdict::Pass(None)
            }
            (None, Some(Withheld::Unclear { at, frames })) => self.onset(at, frames + 1, end, played),
            (None, Some(Withheld::Echo { strange })) => {
                let other = !self.is_faint() && self.compare(end, played).explained < DOUBTFUL;
                // Two frames in a row: a sound of the agent's that pre-emphasis thins out is no caller.
                if !other || strange == 0 {
                    self.withheld = Some(Withheld::Echo { strange: u32::from(other) });
                    return Verdict::Pass(None);
                }
                self.withheld = None;
                Verdict::Pass(Some(SpeechEvent::Onset { at: SamplePos(until.0.saturating_sub(3 * 160)) }))
            }
            (event, None) => Verdict::Pass(event),
        }
    }

    /// What an onset is, `frames` frames after it was first seen.
    fn onset(&mut self, at: SamplePos, frames: u32, end: Tick, played: &Played) -> Verdict {
        if self.is_faint() && frames < PATIENCE {
            self.withheld = Some(Withheld::Unclear { at, frames });
            return Verdict::Pass(None);
        }
        let likeness = self.compare(end, played);
        if !self.is_echo(likeness) {
            self.withheld = None;
            return Verdict::Pass(Some(SpeechEvent::Onset { at }));
        }
        self.lag = Some(likeness.lag);
        self.withheld = Some(Withheld::Echo { strange: 0 });
        Verdict::Echo { delay_ms: likeness.lag as u32 / 2 }
    }

    fn is_faint(&self) -> bool {
        self.heard.as_ref().is_some_and(|heard| energy(heard) < FAINT)
    }

    /// Nothing was played lately: whatever is on the line is the caller's.
    fn pass_all(&mut self, event: Option<SpeechEvent>, until: SamplePos) -> Option<SpeechEvent> {
        if self.withheld.take().is_none() {
            return event;
        }
        match event {
            // The echo has ended.
            Some(SpeechEvent::Offset { .. }) => None,
            // It goes on without an echo's cause.
            None | Some(SpeechEvent::Onset { .. }) => {
                Some(SpeechEvent::Onset { at: SamplePos(until.0.saturating_sub(160)) })
            }
        }
    }

    /// Whether an onset is being withheld.
    pub(crate) const fn is_withholding(&self) -> bool {
        self.withheld.is_some()
    }

    /// The stream's time line was cut.
    pub(crate) fn reset(&mut self) {
        (self.heard, self.withheld, self.offset) = (None, None, None);
    }

    /// The caller's time line runs evenly, frames come by the network's leave: so the clock only sets the offset.
    fn tick_of(&mut self, until: SamplePos, now: CallTime) -> Tick {
        let (line, clock) = (until.0 / 4, Played::tick(now));
        let ahead = clock.saturating_sub(line);
        let offset = match self.offset {
            Some(offset) if ahead >= offset && ahead < offset + 200 => offset,
            _ => ahead,
        };
        self.offset = Some(offset);
        line + offset
    }

    fn is_echo(&self, likeness: Likeness) -> bool {
        let known = self.lag.is_some_and(|lag| lag.abs_diff(likeness.lag) <= PLAY);
        likeness.explained > if known { LIKELY } else { SURE }
    }

    /// Compares the line's newest window, which ends at `end`, with what was played; around the known delay first.
    fn compare(&self, end: Tick, played: &Played) -> Likeness {
        let Some(heard) = &self.heard else { return Likeness::default() };
        if let Some(lag) = self.lag {
            let near = likeness(heard, end, played, lag.saturating_sub(PLAY)..=lag + PLAY);
            if near.explained > LIKELY || self.withheld.is_some() {
                return near;
            }
        }
        likeness(heard, end, played, 0..=MAX_LAG)
    }
}

/// How much of `heard` is a copy of what was played, `lags` ticks before.
fn likeness(
    heard: &[i16; WINDOW],
    end: Tick,
    played: &Played,
    lags: std::ops::RangeInclusive<usize>,
) -> Likeness {
    let mut rest = *heard;
    let whole = energy(&rest);
    if whole < 1 {
        return Likeness::default();
    }
    let (mut lags, mut best) = (lags, None);
    for _ in 0..COPIES {
        let Some((lag, product, power)) = strongest(&rest, end, played, lags.clone()) else { break };
        if best.is_none() {
            best = Some(lag);
            lags = lag.saturating_sub(SPREAD)..=lag + SPREAD;
        }
        // Take the copy out, at the gain that leaves least: product ÷ power, in 1/4096.
        let gain = (product * 4_096 / power).clamp(-32_768, 32_767);
        let mut copy = [0i16; WINDOW];
        played.read(end.saturating_sub((lag + WINDOW) as Tick), &mut copy);
        for (rest, copy) in rest.iter_mut().zip(copy) {
            let less = i64::from(*rest) - ((gain * i64::from(copy) + 2_048) >> 12);
            *rest = less.clamp(-32_768, 32_767) as i16;
        }
    }
    let left = energy(&rest).min(whole);
    Likeness { lag: best.unwrap_or(0), explained: 1.0 - left as f32 / whole as f32 }
}

/// The delay with the greatest normalised correlation, with the product and the played sound's power.
fn strongest(
    heard: &[i16; WINDOW],
    end: Tick,
    played: &Played,
    lags: std::ops::RangeInclusive<usize>,
) -> Option<(usize, i64, i64)> {
    let mut best: Option<(usize, i64, i64)> = None;
    let (shortest, longest) = (*lags.start(), *lags.end());
    // A stretch of what was played at a time, of which each delay sees its own window.
    const STRETCH: usize = 256;
    let mut stretch = [0i16; STRETCH + WINDOW];
    let mut lag = longest;
    loop {
        let count = (lag - shortest + 1).min(STRETCH);
        let Some(part) = stretch.get_mut(..count + WINDOW - 1) else { break };
        played.read(end.saturating_sub((lag + WINDOW) as Tick), part);
        // Of each window, by what came in and what fell out.
        let mut power = 0;
        for (at, window) in part.windows(WINDOW).enumerate() {
            let Some(window) = window.first_chunk::<WINDOW>() else { continue };
            power = match at.checked_sub(1) {
                Some(before) => {
                    power - square(part.get(before).copied().unwrap_or(0)) + square(window[WINDOW - 1])
                }
                None => energy(window),
            };
            let product = product(heard, window);
            // Silence has no echo, and an echo is quieter than what it is of, by 6 dB at least.
            if power < WINDOW as i64 * 16 || product.abs() * 2 > power {
                continue;
            }
            let better = best.is_none_or(|(_, b, p)| {
                // product² ÷ power, compared without a division.
                i128::from(product).pow(2) * i128::from(p) > i128::from(b).pow(2) * i128::from(power)
            });
            if better {
                best = Some((lag - at, product, power));
            }
        }
        if lag - shortest < STRETCH {
            break;
        }
        lag -= STRETCH;
    }
    best.filter(|(_, product, _)| *product != 0)
}

/// Σ a·b. Samples are kept under 12 bits, and what is left of a side has no more energy than that side had: sixteen products fit
/// 32 bits, for which processors have an instruction.
fn product(a: &[i16; WINDOW], b: &[i16; WINDOW]) -> i64 {
    let mut product = 0;
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        let terms = a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b));
        product += i64::from(terms.sum::<i32>());
    }
    product
}

fn energy(samples: &[i16; WINDOW]) -> i64 {
    samples.iter().map(|&sample| square(sample)).sum()
}

fn square(sample: i16) -> i64 {
    i64::from(sample) * i64::from(sample)
}

#[cfg(test)]
mod tests;
