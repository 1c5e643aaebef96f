//! When a frame was sent, written into the frame itself: inaudible, and read by whoever gets the frame unaltered.
//!
//! μ-law has four octets within 8 of silence (0xFF, 0x7F, 0xFE, 0x7E): two bits each. The first 18 of a frame hold 36 bits
//! of microseconds, which last 19 hours, and make 24 whole characters of base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Two bits each.
const QUIET: [u8; 4] = [0xFF, 0x7F, 0xFE, 0x7E];
/// Octets of a stamp.
const OCTETS: usize = 18;
/// The same in base64.
pub(crate) const CHARACTERS: usize = 24;

/// A stamp in base64, to stand where a frame's first octets stood.
pub(crate) fn write(us: u64) -> [u8; CHARACTERS] {
    let octets: [u8; OCTETS] = std::array::from_fn(|place| QUIET[(us >> (2 * place)) as usize & 3]);
    let mut text = [b'/'; CHARACTERS];
    // 18 octets are 24 characters: there is room.
    let _written = STANDARD.encode_slice(octets, &mut text);
    text
}

/// When a frame was sent, in microseconds since the plan's [`stamps`](super::LoadPlan::stamps); `None` if it bears no stamp:
/// it was filled in, or cut anew.
#[must_use]
pub fn sent_us(frame: &[u8]) -> Option<u64> {
    let octets = frame.get(..OCTETS)?;
    octets.iter().rev().try_fold(0, |us, octet| {
        let bits = QUIET.iter().position(|quiet| quiet == octet)?;
        Some(us << 2 | bits as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written_and_is_not_heard() {
        for us in [0, 1, 0x1234_5678, (1 << 36) - 1] {
            let text = write(us);
            let mut frame = [0x20; 160];
            assert_eq!(STANDARD.decode_slice(text, &mut frame), Ok(OCTETS));
            assert_eq!(sent_us(&frame), Some(us));
            assert!(frame[..OCTETS].iter().all(|octet| offhook_mulaw::decode(*octet).unsigned_abs() <= 8));
        }
        assert_eq!(sent_us(&[0x20; 160]), None);
        assert_eq!(sent_us(&[0xFF; 3]), None);
    }
}
