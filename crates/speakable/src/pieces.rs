//! Cuts what is too long for a voice.

/// A voice gets so many characters at once: some 30 s of speech. Native voices take memory and stack by the text's length.
pub const LONGEST_PIECE: usize = 400;

/// Cuts a text into pieces of at most `most` characters: after a sentence if it can be, else at a blank, else anywhere. What is
/// left out between them are blanks.
pub fn pieces(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let most = most.max(1);
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at_checked(end(rest, most)).unwrap_or((rest, ""));
        rest = after.trim_start();
        Some(piece.trim_end())
    })
}

/// Where the first piece ends.
fn end(text: &str, most: usize) -> usize {
    let (mut sentence, mut blank, mut last) = (None, None, '\0');
    for (count, (at, c)) in text.char_indices().enumerate() {
        if c.is_whitespace() {
            blank = Some(at);
            if matches!(last, '.' | '!' | '?' | '…') {
                sentence = Some(at);
            }
        }
        if count == most {
            return sentence.or(blank).unwrap_or(at);
        }
        last = c;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sentences_come_before_blanks() {
        let cut: Vec<&str> = pieces("One two. Three four five.", 12).collect();
        assert_eq!(cut, ["One two.", "Three four", "five."]);
        assert_eq!(pieces("  ", 5).count(), 0);
        assert_eq!(pieces("abcdefgh", 3).collect::<Vec<_>>(), ["abc", "def", "gh"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "[a-c .é]{0,80}", most in 1_usize..20) {
            let kept = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert!(pieces(&text, most).all(|piece| piece.chars().count() <= most && !piece.is_empty()));
            prop_assert_eq!(kept(&pieces(&text, most).collect::<String>()), kept(&text));
        }
    }
}
