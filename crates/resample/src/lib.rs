//! Streaming sample rate conversion between 8 kHz and 16, 22.05, 24, 44.1 and 48 kHz, and from any other rate of 4 to 192 kHz,
//! with small known delay.
//!
//! What: 16-bit mono, chunks of any length in, the same samples out however the stream is cut. After `n` samples in all,
//! exactly ⌈n · to / from⌉ have come out, so a 20 ms frame in is 20 ms out (at 22.05 and 44.1 kHz too: 441 and 882).
//!
//! How: a polyphase FIR filter. Every output sample is a dot product of the newest 5 to 6 ms of input with one of the phases of
//! a low-pass; `design.rs` tells which. Coefficients and sums are whole numbers, so the result is the same to the bit on
//! every machine. One table per pair of rates is shared by all calls; a call keeps 160 samples and the filter's length.
//!
//! Time: the filter's delay stays in the stream. The first output is due at the first input and the sound follows
//! [`Resampler::delay`] later; [`Resampler::flush`] appends what is still inside, so that whoever wants two streams
//! aligned drops that much from the start and has lost nothing.
//!
//! Quality (held by the tests): 300–3 400 Hz within 0.1 dB; images of that band on the way up, and what would fall into it
//! on the way down, at least 90 dB under; 2.5 to 3 ms of delay. Between 3 400 and 4 600 Hz the filter slopes: what is there is
//! mirrored into the band's edge on the other side, where a telephone has nothing.
//!
//! ```
//! use offhook_audio::SampleRate;
//! use offhook_resample::Resampler;
//!
//! let mut narrow = Resampler::new(SampleRate::HZ_24000, SampleRate::HZ_8000)?;
//! let mut out = Vec::with_capacity(narrow.max_output_len(480) + narrow.max_flush_len());
//! narrow.process(&[0; 480], &mut out);
//! assert_eq!(out.len(), 160);
//! narrow.flush(&mut out);
//! assert_eq!(out.len(), 160 + 22);
//! # Ok::<(), offhook_resample::UnsupportedRate>(())
//! ```
#![deny(unsafe_code)]

mod any;
mod design;
mod dot;
mod filter;

use std::time::Duration;

use offhook_audio::SampleRate;

use any::AnyRate;
use filter::Filter;

/// A rate that can't be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedRate {
    /// From this rate
    pub from: SampleRate,
    /// to this one.
    pub to: SampleRate,
}

impl std::fmt::Display for UnsupportedRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "can't convert {} to {}: from 4000 to 192000 Hz to 8000 Hz, or from 8000 to 16000, 22050, 24000, 44100 or 48000 Hz",
            self.from, self.to
        )
    }
}

impl std::error::Error for UnsupportedRate {}

/// The slice for the output is too short. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputTooShort {
    /// How many samples it must hold; [`Resampler::max_output_len`] is always enough.
    pub needed: usize,
    /// How many it holds.
    pub found: usize,
}

impl std::fmt::Display for OutputTooShort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} samples come out, the buffer holds {}: make it as long as `max_output_len` says",
            self.needed, self.found
        )
    }
}

impl std::error::Error for OutputTooShort {}

/// How a stream is converted.
#[derive(Clone, Debug)]
enum Kind {
    /// By the table of a usual rate.
    Usual(Filter),
    /// From any other.
    Any(AnyRate),
}

macro_rules! each {
    ($kind:expr, $filter:ident => $what:expr) => {
        match $kind {
            Kind::Usual($filter) => $what,
            Kind::Any($filter) => $what,
        }
    };
}

/// Converts one stream.
#[derive(Clone, Debug)]
pub struct Resampler {
    from: SampleRate,
    /// `None` for equal rates.
    filter: Option<Kind>,
    /// Whether there is something to flush.
    begun: bool,
}

impl Resampler {
    /// A converter between two rates, one of which is 8 kHz. Equal rates pass through. The first of its kind in a process
    /// designs the filter, which takes a few hundred microseconds.
    ///
    /// # Errors
    /// For a pair of rates that it doesn't know.
    pub fn new(from: SampleRate, to: SampleRate) -> Result<Self, UnsupportedRate> {
        let filter = if from == to {
            None
        } else {
            let usual = design::table(from, to).map(|table| Kind::Usual(Filter::new(table)));
            let any = || AnyRate::new(from.hz()).filter(|_| to == SampleRate::HZ_8000).map(Kind::Any);
            Some(usual.or_else(any).ok_or(UnsupportedRate { from, to })?)
        };
        Ok(Self { from, filter, begun: false })
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        if let Some(filter) = &mut self.filter {
            each!(filter, filter => filter.reset());
        }
        self.begun = false;
    }

    /// How much later a sound comes out than it went in: 3 ms on the way up, 2.5 to 2.7 ms on the way down.
    #[must_use]
    pub fn delay(&self) -> Duration {
        let samples = self.filter.as_ref().map_or(0, |filter| each!(filter, filter => filter.delay())) as u64;
        self.from.duration_of(offhook_audio::SampleCount(samples))
    }

    /// An upper bound on how many samples come out for so many that go in.
    #[must_use]
    pub fn max_output_len(&self, input_len: usize) -> usize {
        self.filter
            .as_ref()
            .map_or(input_len, |filter| each!(filter, filter => filter.max_output_len(input_len)))
    }

    /// An upper bound on how many samples [`flush`](Self::flush) appends.
    #[must_use]
    pub fn max_flush_len(&self) -> usize {
        self.filter
            .as_ref()
            .map_or(0, |filter| each!(filter, filter => filter.max_output_len(filter.delay())))
    }

    /// How many samples come out if so many go in now.
    #[must_use]
    pub fn output_len(&self, input_len: usize) -> usize {
        self.filter.as_ref().map_or(input_len, |filter| each!(filter, filter => filter.output_len(input_len)))
    }

    /// Takes samples, and appends what comes out. Allocates only if `output` lacks the capacity.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        self.begun |= !input.is_empty();
        let Some(filter) = &mut self.filter else { return output.extend_from_slice(input) };
        each!(filter, filter => filter.process(input, append(output, filter.output_len(input.len()))));
    }

    /// Takes samples, puts what comes out at the start of `output`, and tells how many that are.
    ///
    /// # Errors
    /// If `output` is too short; then nothing was taken.
    pub fn process_slice(&mut self, input: &[i16], output: &mut [i16]) -> Result<usize, OutputTooShort> {
        let (needed, found) = (self.output_len(input.len()), output.len());
        let output = output.get_mut(..needed).ok_or(OutputTooShort { needed, found })?;
        self.begun |= !input.is_empty();
        match &mut self.filter {
            Some(filter) => each!(filter, filter => filter.process(input, output)),
            None => output.copy_from_slice(input),
        }
        Ok(needed)
    }

    /// Ends the stream: appends the sound that is still inside the filter, as if [`delay`](Self::delay) of silence came in,
    /// then forgets it. Appends nothing if nothing came in.
    pub fn flush(&mut self, output: &mut Vec<i16>) {
        if let Some(filter) = &mut self.filter
            && self.begun
        {
            each!(filter, filter => filter.flush(append(output, filter.output_len(filter.delay()))));
        }
        self.reset();
    }
}

/// Makes room for more samples at the end, and gives it.
fn append(output: &mut Vec<i16>, count: usize) -> &mut [i16] {
    let before = output.len();
    output.resize(before + count, 0);
    output.split_at_mut(before).1
}

#[cfg(test)]
mod tests;
