//! WebSocket frames (RFC 6455) as a client writes and a server answers them, with as little work as there can be.

use std::ops::Range;

/// Appends a text frame. Its mask is zero: a client must mask, which protects proxies from browsers' scripts; a mask of
/// zero is valid and costs nothing.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    push(out, 0x1, text);
}

/// Appends a frame of this opcode.
pub(crate) fn push(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => out.push(0x80 | length as u8),
        Ok(length) => {
            out.push(0x80 | 126);
            out.extend(length.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
}

/// A frame from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    /// Where its payload lies.
    pub(crate) payload: Range<usize>,
    /// Where the next frame begins.
    pub(crate) end: usize,
}

/// Longer ones are nothing that a voice server sends.
const LONGEST: usize = 1024 * 1024;

/// The frame that begins at `from`; `None` until it is there as a whole.
///
/// # Errors
/// If it is no frame that a server may send.
pub(crate) fn frame(bytes: &[u8], from: usize) -> Result<Option<Frame>, &'static str> {
    let rest = bytes.get(from..).unwrap_or(&[]);
    let [first, second, rest @ ..] = rest else { return Ok(None) };
    if first & 0xF0 != 0x80 {
        return Err("a fragmented or compressed frame");
    }
    if second & 0x80 != 0 {
        return Err("a masked frame; servers don't mask");
    }
    let (length, header) = match (second & 0x7F, rest) {
        (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            (usize::try_from(length).unwrap_or(usize::MAX), 10)
        }
        (126 | 127, _) => return Ok(None),
        (length, _) => (usize::from(length), 2),
    };
    if length > LONGEST {
        return Err("a frame of over 1 MiB");
    }
    let start = from + header;
    let end = start + length;
    if bytes.len() < end {
        return Ok(None);
    }
    Ok(Some(Frame { opcode: first & 0x0F, payload: start..end, end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_written_as_rfc_6455_has_them() {
        for length in [0, 1, 125, 126, 400, 65_535, 65_536] {
            let mut out = Vec::new();
            push_text(&mut out, &vec![b'x'; length]);
            assert_eq!(out[0], 0x81);
            // Unmasked it is what a server would send.
            let header = out.len() - length - 4;
            out.drain(header..header + 4);
            out[1] &= 0x7F;
            let frame = frame(&out, 0).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.payload.len(), frame.end), (1, length, out.len()));
        }
    }

    #[test]
    fn a_part_of_a_frame_is_none_yet() {
        let whole = [0x81, 0x03, b'a', b'b', b'c'];
        for length in 0..whole.len() {
            assert_eq!(frame(&whole[..length], 0), Ok(None));
        }
        assert!(frame(&whole, 0).unwrap().is_some());
        assert!(frame(&[0x01, 0x00], 0).is_err());
        assert!(frame(&[0x81, 0x80, 0, 0, 0, 0], 0).is_err());
        assert!(frame(&[0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], 0).is_err());
    }
}
