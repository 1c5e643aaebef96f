//! Where in the caller's sound there is speech: by energy alone, which is enough for clean test audio.

use std::time::Duration;

use crate::syllables::Syllables;

/// How sound comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Mulaw,
    Alaw,
    /// Signed 16 bit, little endian.
    Linear16,
}

impl Encoding {
    /// Bytes per sample.
    pub(crate) const fn width(self) -> usize {
        match self {
            Self::Mulaw | Self::Alaw => 1,
            Self::Linear16 => 2,
        }
    }

    /// Encodes samples.
    pub(crate) fn encode(self, samples: &[i16]) -> Vec<u8> {
        match self {
            Self::Mulaw => samples.iter().map(|sample| offhook_mulaw::encode(*sample)).collect(),
            Self::Alaw => samples.iter().map(|sample| offhook_mulaw::alaw::encode(*sample)).collect(),
            Self::Linear16 => samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
        }
    }
}

/// What was noticed. All times count the sound received on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noticed {
    /// Speech began.
    Started { at: Duration },
    /// It has been silent for another 10 ms after speech; `silence` since its end at `end`.
    Silent { end: Duration, silence: Duration },
    /// Speech goes on (each 10 ms).
    Speaking { since: Duration },
}

/// Sound is judged in blocks of this length.
const BLOCK: Duration = Duration::from_millis(10);
/// Root mean square above which a block is loud: about -40 dBov.
const LOUD: f64 = 330.0;
/// Loud blocks in a row that make speech.
const ONSET_BLOCKS: u32 = 3;

/// The ear of a recogniser's double.
#[derive(Clone, Debug)]
pub(crate) struct Hearing {
    encoding: Encoding,
    rate: u32,
    carry: Option<u8>,
    block: Vec<i16>,
    /// Samples in all finished blocks.
    heard: u64,
    loud: u32,
    /// Start and, once silent, end of the utterance that is open.
    open: Option<(Duration, Duration)>,
    syllables: Syllables,
}

impl Hearing {
    pub(crate) fn new(encoding: Encoding, rate: u32) -> Self {
        Self {
            encoding,
            rate: rate.max(100),
            carry: None,
            block: Vec::new(),
            heard: 0,
            loud: 0,
            open: None,
            syllables: Syllables::new(rate.max(100)),
        }
    }

    /// Sound received so far.
    pub(crate) fn position(&self) -> Duration {
        Duration::from_secs_f64((self.heard + self.block.len() as u64) as f64 / f64::from(self.rate))
    }

    /// Length of some bytes of sound.
    pub(crate) fn length(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / (self.encoding.width() as f64 * f64::from(self.rate)))
    }

    /// The open utterance: where its speech began, and where it ended last.
    pub(crate) fn open(&self) -> Option<(Duration, Duration)> {
        self.open
    }

    /// Where the syllables of the open utterance ended, as far as its sound tells.
    pub(crate) fn syllables(&self) -> &[Duration] {
        self.syllables.ends()
    }

    /// Ends the open utterance: what comes next is another.
    pub(crate) fn close(&mut self) {
        self.open = None;
        self.loud = 0;
        self.syllables = Syllables::new(self.rate);
    }

    /// Listens to sound of another kind from here on; what was heard stays.
    pub(crate) fn switch(&mut self, encoding: Encoding, rate: u32) {
        if (encoding, rate) != (self.encoding, self.rate) {
            let position = self.position();
            *self = Self { open: self.open, ..Self::new(encoding, rate) };
            self.heard = (position.as_secs_f64() * f64::from(self.rate)) as u64;
        }
    }

    /// Listens.
    pub(crate) fn push(&mut self, bytes: &[u8], noticed: &mut Vec<Noticed>) {
        match self.encoding {
            Encoding::Mulaw => {
                bytes.iter().for_each(|octet| self.sample(offhook_mulaw::decode(*octet), noticed))
            }
            Encoding::Alaw => {
                bytes.iter().for_each(|octet| self.sample(offhook_mulaw::alaw::decode(*octet), noticed));
            }
            Encoding::Linear16 => {
                for byte in bytes {
                    match self.carry.take() {
                        Some(low) => self.sample(i16::from_le_bytes([low, *byte]), noticed),
                        None => self.carry = Some(*byte),
                    }
                }
            }
        }
    }

    fn sample(&mut self, sample: i16, noticed: &mut Vec<Noticed>) {
        self.block.push(sample);
        self.syllables.sample(sample);
        if self.block.len() < (self.rate / 100) as usize {
            return;
        }
        let energy: f64 = self.block.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let loud = (energy / self.block.len() as f64).sqrt() > LOUD;
        self.heard += self.block.len() as u64;
        self.block.clear();
        let now = self.position();
        match self.open {
            Some(_) => self.syllables.end_block(now),
            None => self.syllables.skip(),
        }
        match (&mut self.open, loud) {
            (None, true) => {
                self.loud += 1;
                if self.loud >= ONSET_BLOCKS {
                    let at = now.saturating_sub(BLOCK * self.loud);
                    self.open = Some((at, now));
                    noticed.push(Noticed::Started { at });
                }
            }
            (None, false) => self.loud = 0,
            (Some((start, end)), true) => {
                *end = now;
                noticed.push(Noticed::Speaking { since: *start });
            }
            (Some((_, end)), false) => {
                self.syllables.pause(*end);
                noticed.push(Noticed::Silent { end: *end, silence: now.saturating_sub(*end) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speaker::{Hum, Speaker};

    #[test]
    fn speech_and_silence_are_told_apart() {
        for encoding in [Encoding::Mulaw, Encoding::Alaw, Encoding::Linear16] {
            let mut sound = vec![0; 4_000];
            sound.extend(Hum.speak("I'd like to move it.", 8_000).samples);
            sound.extend([0; 4_000]);
            let mut hearing = Hearing::new(encoding, 8_000);
            let mut noticed = Vec::new();
            // Odd pieces: half samples are carried over.
            for piece in encoding.encode(&sound).chunks(321) {
                hearing.push(piece, &mut noticed);
            }
            let starts: Vec<_> =
                noticed.iter().filter(|event| matches!(event, Noticed::Started { .. })).collect();
            assert_eq!(starts.len(), 1);
            let Some((start, end)) = hearing.open() else { panic!("no speech") };
            assert!((490..560).contains(&start.as_millis()), "{start:?}");
            assert!((1_700..2_050).contains(&end.as_millis()), "{end:?}");
        }
    }
}
