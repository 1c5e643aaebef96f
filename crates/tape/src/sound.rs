//! Sound of a side, packed without loss.
//!
//! What does it do: packs μ-law octets or 16-bit samples, piece by piece, to a third of speech's size at 8 kHz and nearly nothing of
//! silence's. How does it work: each sample is predicted from the 16 before it; the weights follow the sign of the error (sign-sign
//! LMS); what the prediction missed, counted in steps of the coding, is written as a Golomb-Rice code whose parameter follows its
//! mean. What was learnt goes from piece to piece, so a stream is unpacked from its beginning. All of it is integers: the same bits on
//! every machine.
//! Source: Robinson, "Shorten" (1994), for the codes; Monkey's Audio for the predictor; ITU-T G.711.0 does the like for frames alone.

use offhook_mulaw::{decode, encode};

/// Samples that a prediction rests on.
const TAPS: usize = 16;
/// The weights' unit.
const UNIT: u32 = 14;
/// How far an error moves a weight.
const STEP: i32 = 8;
/// A code with so many ones is followed by the value itself.
const ESCAPE: u32 = 20;
/// Bits of such a value: 16-bit samples differ by 17 bits and a sign.
const RAW: u32 = 18;
/// The mean of what is missed is kept in so many parts, and forgets as slowly.
const MEMORY: u32 = 16;

/// How samples are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// G.711 μ-law, an octet each.
    Mulaw,
    /// 16-bit little endian, two octets each.
    Pcm,
}

impl Coding {
    /// Octets as steps: what is one apart sounds next to each other.
    fn steps(self, octets: &[u8]) -> Option<Vec<i32>> {
        match self {
            Self::Mulaw => Some(octets.iter().map(|octet| step_of(*octet)).collect()),
            Self::Pcm => {
                let (pairs, rest) = octets.as_chunks::<2>();
                rest.is_empty().then(|| pairs.iter().map(|pair| i16::from_le_bytes(*pair).into()).collect())
            }
        }
    }

    /// The step next to a linear value.
    fn nearest(self, linear: i32) -> i32 {
        match self {
            Self::Mulaw => step_of(encode(narrow(linear))),
            Self::Pcm => linear,
        }
    }

    /// A step as a linear value, and its octets; `None` if there is no such step.
    fn put(self, step: i32, octets: &mut Vec<u8>) -> Option<i32> {
        match self {
            Self::Mulaw => {
                let octet = octet_of(i8::try_from(step).ok()?);
                octets.push(octet);
                Some(decode(octet).into())
            }
            Self::Pcm => {
                octets.extend_from_slice(&i16::try_from(step).ok()?.to_le_bytes());
                Some(step)
            }
        }
    }

    fn linear(self, step: i32) -> i32 {
        match self {
            Self::Mulaw => i8::try_from(step).map_or(0, |step| decode(octet_of(step)).into()),
            Self::Pcm => step,
        }
    }
}

/// −128 is the loudest negative octet, −1 minus zero, 0 zero, 127 the loudest positive one.
fn step_of(octet: u8) -> i32 {
    let bits = !octet;
    let loud = i32::from(bits & 0x7F);
    if bits & 0x80 == 0 { loud } else { -loud - 1 }
}

const fn octet_of(step: i8) -> u8 {
    if step < 0 { !(0x80 | (-1 - step).cast_unsigned()) } else { !step.cast_unsigned() }
}

fn narrow(linear: i32) -> i16 {
    i16::try_from(linear.clamp(i16::MIN.into(), i16::MAX.into())).unwrap_or_default()
}

/// What was learnt of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    before: [i32; TAPS],
    weights: [i32; TAPS],
    /// The mean of what was missed, in 1/[`MEMORY`].
    mean: u32,
}

impl Default for Stream {
    fn default() -> Self {
        let mut weights = [0; TAPS];
        weights[0] = 1 << UNIT;
        Self { before: [0; TAPS], weights, mean: 0 }
    }
}

impl Stream {
    /// Packs the next piece; `None` if it isn't whole samples.
    pub(crate) fn pack(&mut self, coding: Coding, octets: &[u8]) -> Option<Vec<u8>> {
        let steps = coding.steps(octets)?;
        let missed: Vec<(u32, u32)> = steps
            .into_iter()
            .map(|step| {
                let predicted = self.predict();
                let missed = zigzag(step - coding.nearest(predicted));
                self.learn(coding.linear(step), predicted);
                let parameter = self.parameter();
                self.follow(missed);
                (missed, parameter)
            })
            .collect();
        let mut bits = BitWriter { octets: Vec::with_capacity(octets.len()), free: 0 };
        bits.count(missed.len());
        let silent = missed.len() <= LONGEST_SILENCE && missed.iter().all(|(missed, _)| *missed == 0);
        bits.put(u32::from(silent), 1);
        for (missed, parameter) in missed.into_iter().filter(|_| !silent) {
            let ones = missed >> parameter;
            if ones < ESCAPE {
                bits.put((1 << ones) - 1, ones);
                bits.put(0, 1);
                bits.put(missed & ((1 << parameter) - 1), parameter);
            } else {
                bits.put((1 << ESCAPE) - 1, ESCAPE);
                bits.put(missed, RAW);
            }
        }
        Some(bits.octets)
    }

    /// Unpacks the next piece; `None` if it is damaged.
    pub(crate) fn unpack(&mut self, coding: Coding, packed: &[u8]) -> Option<Vec<u8>> {
        let mut bits = BitReader { octets: packed, at: 0 };
        let count = bits.count()?;
        let silent = bits.take(1)? == 1;
        // A sample that isn't silent has a bit at least: a few octets never become much sound.
        if count > if silent { LONGEST_SILENCE } else { packed.len() * 8 } {
            return None;
        }
        let mut octets = Vec::with_capacity(count * 2);
        for _ in 0..count {
            let predicted = self.predict();
            let parameter = self.parameter();
            let missed = if silent { 0 } else { bits.rice(parameter)? };
            let linear = coding.put(coding.nearest(predicted) + unzigzag(missed), &mut octets)?;
            self.learn(linear, predicted);
            self.follow(missed);
        }
        Some(octets)
    }

    fn predict(&self) -> i32 {
        let sum: i64 =
            self.before.iter().zip(&self.weights).map(|(x, weight)| i64::from(*x) * i64::from(*weight)).sum();
        narrow(i32::try_from(sum >> UNIT).unwrap_or(if sum < 0 { i32::MIN } else { i32::MAX })).into()
    }

    fn learn(&mut self, linear: i32, predicted: i32) {
        let step = STEP * (linear - predicted).signum();
        for (weight, before) in self.weights.iter_mut().zip(&self.before) {
            // Speech keeps them near the unit; what doesn't must not overflow.
            *weight = (*weight + step * before.signum()).clamp(-(1 << 24), 1 << 24);
        }
        self.before.copy_within(..TAPS - 1, 1);
        self.before[0] = linear;
    }

    fn parameter(&self) -> u32 {
        (self.mean * 7 / (8 * MEMORY)).max(1).ilog2()
    }

    fn follow(&mut self, missed: u32) {
        self.mean = self.mean - self.mean / MEMORY + missed;
    }
}

/// Samples of a piece that is told by one bit to be as predicted: a second.
const LONGEST_SILENCE: usize = 8_000;

const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)).cast_unsigned()
}

const fn unzigzag(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

struct BitWriter {
    octets: Vec<u8>,
    /// Bits of the last octet that are free.
    free: u32,
}

impl BitWriter {
    /// The lowest `count` bits of `value`, the highest of them first.
    fn put(&mut self, value: u32, mut count: u32) {
        while count > 0 {
            if self.free == 0 {
                self.octets.push(0);
                self.free = 8;
            }
            let now = count.min(self.free);
            count -= now;
            self.free -= now;
            let part = (value >> count) & ((1 << now) - 1);
            if let Some(last) = self.octets.last_mut() {
                *last |= u8::try_from(part << self.free).unwrap_or_default();
            }
        }
    }

    /// Seven bits an octet, the lowest first; the highest bit says that more follow (LEB128).
    fn count(&mut self, mut count: usize) {
        while count >= 0x80 {
            self.put(u32::try_from(count & 0x7F).unwrap_or_default() | 0x80, 8);
            count >>= 7;
        }
        self.put(u32::try_from(count).unwrap_or_default(), 8);
    }
}

struct BitReader<'a> {
    octets: &'a [u8],
    /// In bits.
    at: usize,
}

impl BitReader<'_> {
    fn take(&mut self, mut count: u32) -> Option<u32> {
        let mut value = 0;
        while count > 0 {
            let octet = u32::from(*self.octets.get(self.at / 8)?);
            let left = 8 - u32::try_from(self.at % 8).ok()?;
            let now = count.min(left);
            value = (value << now) | ((octet >> (left - now)) & ((1 << now) - 1));
            self.at += now as usize;
            count -= now;
        }
        Some(value)
    }

    fn rice(&mut self, parameter: u32) -> Option<u32> {
        let mut ones = 0;
        while ones < ESCAPE && self.take(1)? == 1 {
            ones += 1;
        }
        if ones == ESCAPE {
            return self.take(RAW);
        }
        Some((ones << parameter) | self.take(parameter)?)
    }

    fn count(&mut self) -> Option<usize> {
        let mut count = 0;
        for shift in (0..28).step_by(7) {
            let octet = self.take(8)?;
            count |= usize::try_from(octet & 0x7F).ok()? << shift;
            if octet & 0x80 == 0 {
                return Some(count);
            }
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_octets_have_a_step_of_their_own() {
        for octet in 0..=u8::MAX {
            assert_eq!(octet_of(i8::try_from(step_of(octet)).unwrap()), octet);
        }
        let linear: Vec<i16> = (-128..=127).map(|step| decode(octet_of(step))).collect();
        assert!(linear.is_sorted());
    }

    #[test]
    fn silence_takes_nearly_nothing() {
        let mut stream = Stream::default();
        assert_eq!(stream.pack(Coding::Mulaw, &[0xFF; 160]).unwrap().len(), 3);
        // Of a long one a bit a sample.
        let long = stream.pack(Coding::Mulaw, &[0xFF; 80_000]).unwrap();
        assert!((10_000..10_100).contains(&long.len()));
        let mut back = Stream::default();
        assert_eq!(back.unpack(Coding::Mulaw, &long).unwrap(), [0xFF; 80_000]);
    }

    #[test]
    fn half_a_sample_is_left_alone() {
        assert_eq!(Stream::default().pack(Coding::Pcm, &[1, 2, 3]), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(
            mulaw in proptest::collection::vec(any::<u8>(), 0..400),
            pcm in proptest::collection::vec(any::<i16>(), 0..400),
            size in 1usize..300,
        ) {
            let pcm: Vec<u8> = pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            for (coding, octets, size) in [(Coding::Mulaw, mulaw, size), (Coding::Pcm, pcm, size * 2)] {
                let (mut there, mut back) = (Stream::default(), Stream::default());
                for piece in octets.chunks(size) {
                    let packed = there.pack(coding, piece).unwrap();
                    prop_assert_eq!(back.unpack(coding, &packed).unwrap(), piece);
                }
            }
        }

        #[test]
        fn damage_breaks_nothing(packed in proptest::collection::vec(any::<u8>(), 0..300)) {
            for coding in [Coding::Mulaw, Coding::Pcm] {
                let _damaged = Stream::default().unpack(coding, &packed).is_none();
            }
        }
    }
}
