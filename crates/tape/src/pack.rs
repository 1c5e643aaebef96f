//! Packed tapes: sound packed as sound, and all of it by Zstandard (RFC 8878), by the library of its authors.
//!
//! A packed tape is format 3: the text of format 2, except that sound stands under another name (`mulaw_packed` for `mulaw`, and so on)
//! as [`sound`](crate::sound) packs it, in base64. Unpacking gives back the text as it was, to the octet.

use std::io::Read as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use crate::ReplayError;
use crate::sound::{Coding, Stream};

/// What a Zstandard frame begins with.
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Level 3 is zstd's own default: fast, and nearly as small as it gets.
const LEVEL: i32 = 3;

/// Longest text that a packed tape becomes, in octets: nine hours of a call. What is beyond is left out.
const LONGEST: u64 = 1 << 30;

/// What the text of a tape begins with.
const PLAIN_HEAD: &[u8] = br#"{"tape":2,"#;
/// What that of a packed one begins with.
const PACKED_HEAD: &[u8] = br#"{"tape":3,"#;

/// Where sound stands in a line: what the line has behind its time, the name of the sound, the same if it is packed, and how it is coded.
type Place = (&'static [u8], &'static [u8], &'static [u8], Coding);
const PLACES: [Place; 4] = [
    (br#""in":{"media":{"#, br#""mulaw":""#, br#""mulaw_packed":""#, Coding::Mulaw),
    (br#""out":{"media"#, br#""media":""#, br#""media_packed":""#, Coding::Mulaw),
    (br#""in":{"tts":{"#, br#""mulaw":""#, br#""mulaw_packed":""#, Coding::Mulaw),
    (br#""in":{"tts":{"#, br#""samples":""#, br#""samples_packed":""#, Coding::Pcm),
];

/// Packs a tape piece by piece, each of whole lines; packed pieces are put behind each other.
#[derive(Clone, Debug, Default)]
pub struct Packer {
    streams: [Stream; PLACES.len()],
}

impl Packer {
    /// Packs the tape's next lines.
    #[must_use]
    pub fn pack(&mut self, lines: &[u8]) -> Vec<u8> {
        let text = each_line(lines, PLAIN_HEAD, PACKED_HEAD, |line, out| self.line(line, out));
        // Memory into memory can't fail; unpacked is better than nothing, and is read as well.
        zstd::encode_all(text.as_slice(), LEVEL).unwrap_or(text)
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Option<()> {
        rewrite(line, &mut self.streams, false, out)
    }
}

/// A whole tape, packed.
#[must_use]
pub fn packed(tape: &[u8]) -> Vec<u8> {
    Packer::default().pack(tape)
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
            .and_then(|decoder| std::io::Read::read_to_end(&mut decoder.take(LONGEST), &mut text));
        match read {
            Err(error) if text.is_empty() => return Err(damaged(format!("it can't be unpacked: {error}"))),
            _ => text,
        }
    } else {
        tape
    };
    let text = if text.starts_with(PACKED_HEAD) { plain(&text) } else { text };
    String::from_utf8(text).map_err(|error| damaged(error.to_string()))
}

/// Lines with their sound as it was. From the first line on that is damaged they stay packed: a reader names it.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut streams = <[Stream; PLACES.len()]>::default();
    let mut whole = true;
    each_line(text, PACKED_HEAD, PLAIN_HEAD, |line, out| {
        let (before, has) = (out.len(), whole && find(line, true).is_some());
        let outcome = whole.then(|| rewrite(line, &mut streams, true, out)).flatten();
        if has && outcome.is_none() {
            whole = false;
            out.truncate(before);
        }
        outcome
    })
}

/// Gives each line to `rewrite`, and keeps what that has no other form for; the header gets another beginning.
fn each_line(
    text: &[u8],
    from: &[u8],
    to: &[u8],
    mut rewrite: impl FnMut(&[u8], &mut Vec<u8>) -> Option<()>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        if let Some(rest) = line.strip_prefix(from) {
            out.extend_from_slice(to);
            out.extend_from_slice(rest);
        } else if rewrite(line, &mut out).is_none() {
            out.extend_from_slice(line);
        }
    }
    out
}

/// Where a line's sound is: its place, where its name begins, and where it itself begins and ends.
fn find(line: &[u8], is_packed: bool) -> Option<(usize, usize, std::ops::Range<usize>)> {
    let digits = line.strip_prefix(br#"{"t":"#)?;
    let behind = digits.iter().position(|octet| *octet == b',')?;
    let rest = digits.get(behind + 1..)?;
    PLACES.iter().enumerate().find_map(|(place, (begins, plain, packed, _))| {
        let name = if is_packed { packed } else { plain };
        // Quotes inside of strings are escaped: no text looks like a name.
        let at = rest.starts_with(begins).then(|| memmem::find(line, name)).flatten()?;
        let from = at + name.len();
        let length = line.get(from..)?.iter().position(|octet| *octet == b'"')?;
        Some((place, at, from..from + length))
    })
}

/// The line with its sound packed, or unpacked; `None` if it has none, or it can't be.
fn rewrite(
    line: &[u8],
    streams: &mut [Stream; PLACES.len()],
    is_packed: bool,
    out: &mut Vec<u8>,
) -> Option<()> {
    let (place, name, sound) = find(line, is_packed)?;
    let (_, plain, packed, coding) = PLACES.get(place)?;
    let stream = streams.get_mut(place)?;
    let text = line.get(sound.clone())?;
    let octets = STANDARD.decode(text).ok()?;
    // What doesn't come out of base64 as it went in stays as it is: so does a line that the disk cut off.
    let other = if is_packed { stream.unpack(*coding, &octets)? } else { stream.pack(*coding, &octets)? };
    let other = STANDARD.encode(other);
    out.extend_from_slice(line.get(..name)?);
    out.extend_from_slice(if is_packed { plain } else { packed });
    out.extend_from_slice(other.as_bytes());
    out.extend_from_slice(line.get(sound.end..)?);
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn pieces_behind_each_other_are_one_tape() {
        let text = "{\"tape\":1}\n".repeat(5_000);
        let (first, second) = text.as_bytes().split_at(20_009);
        let mut packer = Packer::default();
        let mut tape = packer.pack(first);
        tape.extend(packer.pack(second));
        assert!(tape.len() < text.len() / 10);
        assert_eq!(unpacked(tape.clone()).unwrap(), text);
        // Cut off: what is before the cut is there.
        tape.truncate(tape.len() - 3);
        let rest = unpacked(tape).unwrap();
        assert!(text.starts_with(&rest) && rest.len() >= 20_009);
        assert_eq!(unpacked(text.clone().into_bytes()).unwrap(), text);
        assert!(unpacked(vec![0x28, 0xB5, 0x2F, 0xFD, 0xFF]).is_err());
        assert!(unpacked(vec![0xFF, 0xFE]).is_err());
    }

    /// A tape with all that has sound, and what only looks so.
    fn tape() -> String {
        let sound = |seed: u8| {
            STANDARD.encode((0..160u8).map(|n| n.wrapping_mul(seed) % 64 + 130).collect::<Vec<_>>())
        };
        let mut tape = String::from("{\"tape\":2,\"call\":\"CA1\"}\n");
        for n in 1..30u8 {
            let (caller, agent, voice) = (sound(n), sound(n + 1), sound(n + 2));
            tape += &format!("{{\"t\":{n},\"in\":{{\"media\":{{\"ts\":5,\"mulaw\":\"{caller}\"}}}}}}\n");
            tape += &format!("{{\"t\":{n},\"out\":{{\"media\":\"{agent}\"}}}}\n");
            tape += &format!(
                "{{\"t\":{n},\"in\":{{\"tts\":{{\"utterance\":1,\"segment\":2,\"what\":{{\"mulaw\":\"{voice}\"}}}}}}}}\n"
            );
            tape += &format!(
                "{{\"t\":{n},\"in\":{{\"tts\":{{\"what\":{{\"pcm\":{{\"rate\":8000,\"samples\":\"{voice}\"}}}}}}}}}}\n"
            );
        }
        tape + "{\"t\":9,\"in\":{\"media\":{\"mulaw\":\"no base64!\"}}}\n\
                {\"t\":9,\"in\":{\"media\":{\"mulaw\":\"\"}}}\n\
                {\"t\":9,\"in\":{\"tts\":{\"what\":\"done\"}}}\n\
                {\"t\":9,\"out\":\"clear\"}\n{\"t\":10,\"in\":{\"media\":{\"mul"
    }

    #[test]
    fn a_tape_comes_back_to_the_octet() {
        let tape = tape();
        assert_eq!(unpacked(packed(tape.as_bytes())).unwrap(), tape);
        // In pieces of whole lines, too.
        let mut packer = Packer::default();
        let pieces: Vec<u8> =
            tape.split_inclusive('\n').flat_map(|line| packer.pack(line.as_bytes())).collect();
        assert_eq!(unpacked(pieces).unwrap(), tape);
    }

    #[test]
    fn damage_stays_where_it_is_seen() {
        let text = zstd::decode_all(packed(tape().as_bytes()).as_slice()).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (at, _) = text.match_indices("packed\":\"").nth(40).unwrap();
        // A count of samples that aren't there.
        let damaged = format!("{}packed\":\"////{}", &text[..at], &text[at + 13..]);
        let back = unpacked(damaged.into_bytes()).unwrap();
        let line = back.lines().position(|line| line.contains("_packed")).unwrap();
        assert_eq!(line, 41);
        assert!(tape().starts_with(
            back.lines().take(line).map(|line| format!("{line}\n")).collect::<String>().as_str()
        ));
    }
}
