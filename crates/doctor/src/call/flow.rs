//! Whether the agent's voice is whole: its pieces join, and no holes are in it.
//!
//! - What: holes are short stretches of digital silence between loud samples, in what was played. Pieces that don't join were lost,
//!   doubled, put out of order, or come of two voices at once.
//! - How: where a piece begins the wave goes on as it went: its second difference is what it is within the pieces.
//! - Quality: of 130 groups of phrases in pieces of 20 and 40 ms none has 1.5 times that; with every other piece left out, in
//!   exchanged order, or mixed with another voice 98 in 100 have 1.7 times and more.
//! - Source: measured in November 2026.

/// So many samples at each end of a piece tell how its wave goes.
const END: usize = 40;
/// So loud a wave must be, as a mean of its samples' squares.
const LOUD: f64 = 500.0 * 500.0;
/// So many joins must have been seen.
const LEAST_JOINS: u32 = 50;
/// Joins are so much rougher than what is within.
const ROUGH: f64 = 1.6;
/// Digital silence of 5 to 500 ms.
const HOLE: std::ops::RangeInclusive<usize> = 40..=4_000;
/// A sample that is loud beside a hole.
const EDGE: i16 = 500;
/// So many holes at least, and so many in a second of voice.
const LEAST_HOLES: u32 = 6;
const HOLES_A_SECOND: f64 = 2.0;

/// What was seen of the voice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    tail: Option<Tail>,
    joins: u32,
    /// Second differences at joins, and within pieces.
    at_joins: f64,
    within: f64,
    edges: Edges,
    voice_ms: u64,
}

/// How a piece ended.
#[derive(Clone, Copy, Debug)]
struct Tail {
    last: f64,
    before: f64,
    rough: f64,
}

#[derive(Clone, Debug, Default)]
struct Edges {
    /// Samples of digital silence in a row.
    silent: usize,
    /// The greatest of the last few samples before.
    before: [i16; 4],
    /// A hole has ended: whether loud samples follow is seen in so many.
    ended: usize,
    length: usize,
    holes: u32,
    samples: u64,
}

impl Flow {
    /// A piece came.
    pub(crate) fn piece(&mut self, octets: &[u8]) {
        let (Some(first), Some(last)) = (octets.get(..END), octets.len().checked_sub(END)) else {
            self.tail = None;
            return;
        };
        let first = decode(first);
        if let Some(tail) = self.tail
            && energy(&first) > LOUD
        {
            self.joins += 1;
            let [one, ..] = first.as_slice() else { return };
            self.at_joins += (one - 2.0 * tail.last + tail.before).abs();
            self.within += f64::midpoint(roughness(&first), tail.rough);
        }
        let end = decode(octets.get(last..).unwrap_or_default());
        self.tail = match end.as_slice() {
            [.., before, last] if energy(&end) > LOUD => {
                Some(Tail { last: *last, before: *before, rough: roughness(&end) })
            }
            _ => None,
        };
    }

    /// 20 ms were played.
    pub(crate) fn played(&mut self, frame: &[u8; 160], voice: bool) {
        self.voice_ms += if voice { 20 } else { 0 };
        for octet in frame {
            self.edges.sample(*octet);
        }
    }

    /// What is wrong with the joins, if anything.
    pub(super) fn rough(&self) -> Option<String> {
        let ratio = self.at_joins / self.within.max(1.0);
        (self.joins >= LEAST_JOINS && ratio >= ROUGH).then(|| {
            format!(
                "where its {} pieces meet, the wave breaks: {ratio:.1} times as rough as within them",
                self.joins
            )
        })
    }

    /// What is wrong with the holes, if anything.
    pub(super) fn holes(&self) -> Option<String> {
        let holes = self.edges.holes;
        let a_second = f64::from(holes) * 1_000.0 / self.voice_ms.max(1) as f64;
        (holes >= LEAST_HOLES && a_second >= HOLES_A_SECOND).then(|| {
            let mean = self.edges.samples / 8 / u64::from(holes);
            format!(
                "{holes} holes in {:.1} s of voice, {mean} ms long on average",
                self.voice_ms as f64 / 1_000.0
            )
        })
    }
}

impl Edges {
    fn sample(&mut self, octet: u8) {
        if matches!(octet, 0xFF | 0x7F) {
            self.silent += 1;
            return;
        }
        let loud = offhook_mulaw::decode(octet).saturating_abs();
        if self.silent > 0 {
            if HOLE.contains(&self.silent) && self.before.iter().any(|before| *before >= EDGE) {
                (self.ended, self.length) = (self.before.len(), self.silent);
            }
            self.silent = 0;
        }
        if self.ended > 0 {
            self.ended -= 1;
            if loud >= EDGE {
                self.ended = 0;
                self.holes += 1;
                self.samples += self.length as u64;
            }
        }
        self.before.rotate_left(1);
        self.before[3] = loud;
    }
}

fn decode(octets: &[u8]) -> Vec<f64> {
    octets.iter().map(|octet| f64::from(offhook_mulaw::decode(*octet))).collect()
}

fn energy(samples: &[f64]) -> f64 {
    samples.iter().map(|x| x * x).sum::<f64>() / samples.len().max(1) as f64
}

/// The mean second difference.
fn roughness(samples: &[f64]) -> f64 {
    let all = samples.windows(3).map(|three| (three[0] - 2.0 * three[1] + three[2]).abs());
    all.sum::<f64>() / samples.len().saturating_sub(2).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice() -> Vec<u8> {
        let read = |name: &str| {
            let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
            std::fs::read(path).unwrap().split_off(58)
        };
        ["booking-1", "pizza-2", "booking-2", "booking-3"].map(read).concat()
    }

    fn flow(pieces: &[Vec<u8>]) -> Flow {
        let mut flow = Flow::default();
        pieces.iter().for_each(|piece| flow.piece(piece));
        for frame in pieces.concat().as_chunks::<160>().0 {
            flow.played(frame, offhook_simulator::has_voice(frame));
        }
        flow
    }

    fn pieces(length: usize) -> Vec<Vec<u8>> {
        voice().chunks_exact(length).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_whole_voice_has_no_fault() {
        for length in [160, 320, 800] {
            let flow = flow(&pieces(length));
            assert_eq!((flow.rough(), flow.holes()), (None, None), "{length}: {flow:?}");
        }
    }

    #[test]
    fn lost_exchanged_and_mixed_pieces_are_found() {
        let whole = pieces(160);
        let lost: Vec<_> = whole.iter().step_by(2).cloned().collect();
        let exchanged: Vec<_> =
            whole.chunks_exact(2).flat_map(|two| [two[1].clone(), two[0].clone()]).collect();
        let mixed: Vec<_> = whole
            .iter()
            .zip(whole.iter().skip(150))
            .flat_map(|(one, other)| [one.clone(), other.clone()])
            .collect();
        for (name, pieces) in [("lost", lost), ("exchanged", exchanged), ("mixed", mixed)] {
            assert!(flow(&pieces).rough().is_some(), "{name}");
        }
    }

    #[test]
    fn silence_between_and_within_pieces_is_found() {
        let whole = pieces(160);
        let between: Vec<_> = whole.iter().flat_map(|piece| [piece.clone(), vec![0xFF; 160]]).collect();
        let within: Vec<_> = voice().chunks(100).map(|part| [part, &[0xFF; 60]].concat()).collect();
        let late: Vec<_> = whole.chunks(10).map(|ten| [ten.concat(), vec![0xFF; 1_600]].concat()).collect();
        for (name, pieces) in [("between", between), ("within", within), ("late", late)] {
            assert!(flow(&pieces).holes().is_some(), "{name}");
        }
    }
}
