//! What isn't bare sound, told by its first bytes: containers, and answers in words.

/// The name of what these first bytes of a payload or a stream begin, if it isn't bare sound: a container ("Ogg", "FLAC",
/// "MP3", "WebM", "MP4") or an answer in words ("JSON", "HTML"). WAV, whose header tells what sound it holds, is left to who
/// reads it.
#[must_use]
pub fn container(first: &[u8]) -> Option<&'static str> {
    let text = first.trim_ascii_start();
    let inner = text.get(1..).unwrap_or_default().trim_ascii_start();
    let starts = |tag: &[u8]| text.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag));
    if first.starts_with(b"OggS") {
        Some("Ogg")
    } else if first.starts_with(b"fLaC") {
        Some("FLAC")
    } else if first.starts_with(b"ID3") || mp3(first) {
        Some("MP3")
    } else if first.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) {
        Some("WebM")
    } else if first.starts_with(b"FORM") && matches!(first.get(8..12), Some(b"AIFF" | b"AIFC")) {
        Some("AIFF")
    } else if first.starts_with(b".snd") {
        Some("AU")
    } else if first.starts_with(b"caff") {
        Some("CAF")
    } else if first.get(4..8) == Some(b"ftyp") {
        Some("MP4")
    } else if text.starts_with(b"{") && (inner.starts_with(b"\"") || inner.starts_with(b"}")) {
        Some("JSON")
    } else if starts(b"<!doctype") || starts(b"<html") || starts(b"<?xml") {
        Some("HTML")
    } else {
        None
    }
}

/// Two MPEG layer III headers (ISO 11172-3, 2.4.2.3), the second where the first says: one alone may be sound by chance.
fn mp3(bytes: &[u8]) -> bool {
    mp3_length(bytes).and_then(|length| bytes.get(length..)).and_then(mp3_length).is_some()
}

fn mp3_length(bytes: &[u8]) -> Option<usize> {
    const KBPS_1: [usize; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const KBPS_2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let [0xFF, second, third, _, ..] = *bytes else { return None };
    if second & 0xE6 != 0xE2 {
        return None;
    }
    let (kbps, per_kbps, divisor) = match second & 0x18 {
        0x18 => (KBPS_1, 144_000, 1),
        0x10 => (KBPS_2, 72_000, 2),
        0x00 => (KBPS_2, 72_000, 4),
        _ => return None,
    };
    let rate = *[44_100, 48_000, 32_000].get(usize::from(third >> 2 & 3))? / divisor;
    let kbps = *kbps.get(usize::from(third >> 4).checked_sub(1)?)?;
    Some(per_kbps * kbps / rate + usize::from(third >> 1 & 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_bare_sound_is_named() {
        let mut mp3 = vec![0_u8; 900];
        mp3[..4].copy_from_slice(&[0xFF, 0xFB, 0x90, 0]);
        assert_eq!(container(&mp3), None, "one header alone may be sound");
        mp3[417..421].copy_from_slice(&[0xFF, 0xFB, 0x90, 0]);
        let cases: [(&[u8], &str); 8] = [
            (b"OggS\0\x02", "Ogg"),
            (b"fLaC\0", "FLAC"),
            (b"ID3\x04", "MP3"),
            (&mp3, "MP3"),
            (b"\x1A\x45\xDF\xA3\x9F", "WebM"),
            (b"\0\0\0\x20ftypM4A ", "MP4"),
            (b" {\"error\":1}", "JSON"),
            (b"<!DOCTYPE html>", "HTML"),
        ];
        for (bytes, name) in cases {
            assert_eq!(container(bytes), Some(name));
        }
        for sound in [&b""[..], &[0xFF; 160], &[0; 320], b"{ud", b"\0\0\0\x20ft"] {
            assert_eq!(container(sound), None, "{sound:?}");
        }
    }
}
