//! The tones of the telephone network on an outbound call: is it ringing, busy, out of service, or has a mailbox beeped?
//!
//! [`ProgressDetector`] knows call-progress tones by their frequencies and cadences: ITU-T E.180/Q.35 with its Supplement 2 (the
//! tones of the world's networks), and for North America the precise tone plan (ANSI T1.401; in Supplement 2 too). [`BeepDetector`]
//! finds the single beep after which a mailbox records. Both look at frames in order, hold a few hundred milliseconds of state,
//! allocate nothing, and use additions, multiplications and square roots alone, so that a call replays to the same events.

mod band;
mod beep;
mod burst;
mod cadence;
mod progress;
mod single;

pub use beep::{Beep, BeepDetector};
pub use progress::{ProgressDetector, ToneEvent, ToneKind};
