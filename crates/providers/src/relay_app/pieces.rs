//! Pieces of speech: what ConversationRelay reports as played, one by one, and quotes when the caller interrupts.
//!
//! Recorded sessions show where Twilio cuts: behind `.`, `!`, `?`, `:` and `;` (the space belongs to the next piece), and behind
//! a comma (the space belongs to the piece before it).

use std::time::Duration;

/// A comma ends a piece of at least so many characters.
const SHORTEST_CLAUSE: usize = 8;

/// The pieces of a text, in order; together they are the text.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let before_space = characters.peek().is_some_and(|(_, next)| next.is_whitespace());
        let end = match c {
            '.' | '!' | '?' | ':' | ';' | '…' if before_space => at + c.len_utf8(),
            ',' if before_space && at - start >= SHORTEST_CLAUSE => {
                let space = characters.next().map_or(0, |(_, space)| space.len_utf8());
                at + 1 + space
            }
            _ => continue,
        };
        pieces.extend(text.get(start..end));
        start = end;
    }
    pieces.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    pieces
}

/// How long the last of the pieces was heard, where all of them took `lasted`: by their lengths, for that is how speech goes.
pub(super) fn length_of_last(pieces: &[&str], lasted: Duration) -> Duration {
    let characters = |piece: &&str| piece.chars().count();
    let all: usize = pieces.iter().map(characters).sum();
    let last = pieces.last().map_or(0, characters);
    if all == 0 {
        return Duration::ZERO;
    }
    // Counts of characters are far below what a float holds exactly.
    #[allow(clippy::cast_precision_loss, reason = "a share of some hundred characters")]
    lasted.mul_f64(last as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_where_twilio_cuts_it() {
        let text = "I heard: I am the caller, and I keep talking over the line. Stop. Stop";
        let expected =
            ["I heard:", " I am the caller, ", "and I keep talking over the line.", " Stop.", " Stop"];
        assert_eq!(pieces(text), expected);
        assert_eq!(pieces("3.5 at 10:30"), ["3.5 at 10:30"]);
        assert!(pieces("").is_empty());
    }

    #[test]
    fn the_last_piece_has_its_share_of_the_time() {
        let heard = pieces("Sentence 1 of twelve. Sentence 2 of");
        let length = length_of_last(&heard, Duration::from_millis(3_500));
        assert_eq!(length, Duration::from_millis(1_400));
        assert_eq!(length_of_last(&[], Duration::from_secs(1)), Duration::ZERO);
    }
}
