//! What a call's worker notes of its sound: octets in a row, which another thread puts together.

/// One thing that was heard or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A frame of the caller's, with the carrier's timestamp in milliseconds.
    Caller(Option<u64>, &'a [u8]),
    /// A frame that was sent to the caller.
    Agent(&'a [u8]),
    /// What was sent and not played yet was taken back.
    Clear,
    /// The stream has ended.
    End,
}

/// Kind, microseconds, timestamp, length.
const HEADER: usize = 1 + 8 + 8 + 2;

/// Notes a piece. `us`: microseconds since the stream's start.
pub fn note(log: &mut Vec<u8>, us: u64, piece: Piece<'_>) {
    let (kind, timestamp, octets): (u8, u64, &[u8]) = match piece {
        Piece::Caller(timestamp, octets) => (0, timestamp.unwrap_or(u64::MAX), octets),
        Piece::Agent(octets) => (1, 0, octets),
        Piece::Clear => (2, 0, &[]),
        Piece::End => (3, 0, &[]),
    };
    // Frames are some hundred octets; a peer's message has 64 KiB at most.
    let octets = octets.get(..usize::from(u16::MAX)).unwrap_or(octets);
    log.push(kind);
    log.extend_from_slice(&us.to_le_bytes());
    log.extend_from_slice(&timestamp.to_le_bytes());
    log.extend_from_slice(&u16::try_from(octets.len()).unwrap_or(u16::MAX).to_le_bytes());
    log.extend_from_slice(octets);
}

/// Reads what [`note`] wrote; stops at what it did not write.
pub fn read(mut log: &[u8]) -> impl Iterator<Item = (u64, Piece<'_>)> {
    std::iter::from_fn(move || {
        let (head, rest) = log.split_at_checked(HEADER)?;
        let eight = |at: usize| head.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let length = head.get(17..19)?.try_into().ok().map(u16::from_le_bytes)?;
        let (octets, rest) = rest.split_at_checked(usize::from(length))?;
        log = rest;
        let piece = match head.first()? {
            0 => Piece::Caller(eight(9).filter(|timestamp| *timestamp != u64::MAX), octets),
            1 => Piece::Agent(octets),
            2 => Piece::Clear,
            3 => Piece::End,
            _ => return None,
        };
        Some((eight(1)?, piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read() {
        let all = [
            (0, Piece::Caller(Some(20), &[1; 160])),
            (20_000, Piece::Caller(None, &[])),
            (30_000, Piece::Agent(&[2; 160])),
            (40_000, Piece::Clear),
            (50_000, Piece::End),
        ];
        let mut log = Vec::new();
        all.iter().for_each(|(us, piece)| note(&mut log, *us, *piece));
        assert_eq!(read(&log).collect::<Vec<_>>(), all);
        log.truncate(log.len() - 1);
        assert_eq!(read(&log).count(), 4);
    }
}
