//! Text that comes from outside, and may be long.

/// The beginning of a text, of so many octets at most, cut at a character.
#[must_use]
pub fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_whole_or_not_there() {
        assert_eq!(beginning("", 3), "");
        assert_eq!(beginning("äö", 4), "äö");
        assert_eq!(beginning("äö", 3), "ä");
        assert_eq!(beginning("äö", 0), "");
    }
}
