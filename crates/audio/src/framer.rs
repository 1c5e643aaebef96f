//! Chunks of any length onto the 20 ms grid.
//!
//! What: Twilio promises no payload length, and synthesisers give what they like; behind the framer all is frames.
//! How: a frame being filled, and how much of it is. Nothing is lost, nothing is allocated.

use crate::{FRAME_SAMPLES, MulawFrame};

/// Cuts a stream of μ-law octets into frames.
#[derive(Clone, Debug, Default)]
pub struct Framer {
    partial: MulawFrame,
    filled: usize,
}

impl Framer {
    /// Takes octets, and hands over each frame that becomes full.
    pub fn push(&mut self, mut octets: &[u8], mut full: impl FnMut(&MulawFrame)) {
        while !octets.is_empty() {
            let Some(room) = self.partial.0.get_mut(self.filled..) else { return };
            let count = room.len().min(octets.len());
            let (now, later) = octets.split_at(count);
            for (to, from) in room.iter_mut().zip(now) {
                *to = *from;
            }
            self.filled += count;
            octets = later;
            if self.filled == FRAME_SAMPLES {
                self.filled = 0;
                full(&self.partial);
            }
        }
    }

    /// Octets waiting for their frame to become full, less than 160.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.filled
    }

    /// The frame being filled, padded with silence; `None` if nothing is pending.
    pub fn flush(&mut self) -> Option<MulawFrame> {
        let filled = std::mem::take(&mut self.filled);
        if filled == 0 {
            return None;
        }
        let mut frame = MulawFrame::SILENCE;
        for (to, from) in frame.0.iter_mut().zip(&self.partial.0).take(filled) {
            *to = *from;
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_is_cut(octets: Vec<u8>, cuts in proptest::collection::vec(1usize..700, 1..40)) {
            let mut framer = Framer::default();
            let mut out = Vec::new();
            let mut rest = octets.as_slice();
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let cut = (*cuts.next().unwrap()).min(rest.len());
                let (now, later) = rest.split_at(cut);
                framer.push(now, |frame| out.extend_from_slice(&frame.0));
                rest = later;
            }
            prop_assert_eq!(framer.pending(), octets.len() % FRAME_SAMPLES);
            if let Some(last) = framer.flush() {
                out.extend_from_slice(&last.0);
            }
            prop_assert_eq!(&out[..octets.len()], &octets[..]);
            prop_assert!(out[octets.len()..].iter().all(|&octet| octet == crate::MULAW_SILENCE));
            prop_assert_eq!(out.len(), octets.len().div_ceil(FRAME_SAMPLES) * FRAME_SAMPLES);
        }
    }
}
