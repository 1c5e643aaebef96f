//! Packed tapes: Zstandard (RFC 8878), by the library of its authors. Sound hardly packs, and base64 to three quarters; all else
//! packs to a tenth.

use crate::ReplayError;

/// What a Zstandard frame begins with.
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Level 3 is zstd's own default: fast, and nearly as small as it gets.
const LEVEL: i32 = 3;

/// A tape, or a piece of one, packed. Packed pieces may be put behind each other.
#[must_use]
pub fn packed(tape: &[u8]) -> Vec<u8> {
    // Memory into memory can't fail; unpacked is better than nothing, and is read as well.
    zstd::encode_all(tape, LEVEL).unwrap_or_else(|_| tape.to_vec())
}

/// A tape's text, packed or not. What a packed tape has lost at its end is missing from the text.
///
/// # Errors
/// If the text isn't UTF-8, or nothing can be unpacked.
pub fn unpacked(tape: Vec<u8>) -> Result<String, ReplayError> {
    let damaged = |why: String| ReplayError::Damaged { line: 1, why };
    let text = if tape.starts_with(&MAGIC) {
        let mut text = Vec::new();
        let read = zstd::Decoder::new(tape.as_slice())
            .and_then(|mut decoder| std::io::Read::read_to_end(&mut decoder, &mut text));
        match read {
            Err(error) if text.is_empty() => return Err(damaged(format!("it can't be unpacked: {error}"))),
            _ => text,
        }
    } else {
        tape
    };
    String::from_utf8(text).map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_behind_each_other_are_one_tape() {
        let text = "{\"tape\":1}\n".repeat(5_000);
        let (first, second) = text.as_bytes().split_at(20_001);
        let mut tape = packed(first);
        tape.extend(packed(second));
        assert!(tape.len() < text.len() / 10);
        assert_eq!(unpacked(tape.clone()).unwrap(), text);
        // Cut off: what is before the cut is there.
        tape.truncate(tape.len() - 3);
        let rest = unpacked(tape).unwrap();
        assert!(text.starts_with(&rest) && rest.len() >= 20_001);
        assert_eq!(unpacked(text.clone().into_bytes()).unwrap(), text);
        assert!(unpacked(vec![0x28, 0xB5, 0x2F, 0xFD, 0xFF]).is_err());
        assert!(unpacked(vec![0xFF, 0xFE]).is_err());
    }
}
