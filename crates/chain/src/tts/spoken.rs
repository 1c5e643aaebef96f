//! Which words of a text were spoken, by how much sound there is of it.

use std::time::Duration;

use offhook_stage_api::TimedWord;

use crate::overlap::is_ideograph;

/// What a character takes to speak, until a voice has shown it: 15 characters a second.
pub(super) const PER_CHAR: Duration = Duration::from_micros(66_000);

/// Where the unspoken rest of `text` begins, in bytes: at a word. A word counts as spoken when half of it was. Words' times
/// are used as far as they go, behind them `per_char`.
pub(super) fn rest_of(text: &str, words: &[TimedWord], sound: Duration, per_char: Duration) -> usize {
    let sound_ms = u32::try_from(sound.as_millis()).unwrap_or(u32::MAX);
    let (mut at, mut known) = (0, Duration::ZERO);
    for word in words {
        // A word that isn't in the text as it was timed is no evidence.
        let Some(found) = text.get(at..).and_then(|rest| rest.find(word.word.as_str())) else { continue };
        if sound_ms < word.start_ms.midpoint(word.end_ms) {
            return at + found;
        }
        at += found + word.word.len();
        known = Duration::from_millis(word.end_ms.into());
    }
    let mut left = sound.saturating_sub(known);
    if at > 0 {
        // What closes the last known word belongs to it.
        at += text.get(at..).map_or(0, |rest| {
            rest.find(|c: char| c.is_whitespace() || c.is_alphanumeric()).unwrap_or(rest.len())
        });
    }
    while let Some((start, end)) = next_word(text, at) {
        let takes = per_char * text.get(start..end).map_or(0, |word| length_of(word) + 1);
        if left < takes / 2 {
            return start;
        }
        left = left.saturating_sub(takes);
        at = end;
    }
    text.len()
}

/// Characters of speech: a Chinese or Japanese one is a syllable.
pub(super) fn length_of(text: &str) -> u32 {
    text.chars().map(|c| if is_ideograph(c) { 3 } else { 1 }).fold(0, u32::saturating_add)
}

fn next_word(text: &str, at: usize) -> Option<(usize, usize)> {
    let mut chars = text.get(at..)?.char_indices().skip_while(|(_, c)| c.is_whitespace());
    let (start, first) = chars.next()?;
    let ends = |(_, c): &(usize, char)| c.is_whitespace() || is_ideograph(*c) || is_ideograph(first);
    let end = chars.find(ends).map_or(text.len(), |(end, _)| at + end);
    Some((at + start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(word: &str, start_ms: u32, end_ms: u32) -> TimedWord {
        TimedWord { word: word.into(), start_ms, end_ms }
    }

    #[test]
    fn by_the_words_times_and_then_by_characters() {
        let text = "Well, hello there, you.";
        let timed = [word("Well,", 0, 400), word("hello", 500, 900)];
        let rest = |ms| text.get(rest_of(text, &timed, Duration::from_millis(ms), PER_CHAR)..).unwrap();
        assert_eq!(rest(100), text);
        assert_eq!(rest(300), "hello there, you.");
        assert_eq!(rest(800), "there, you.");
        assert_eq!(rest(1_300), "you.");
        assert_eq!(rest(3_000), "");
        let text = "您好，请问";
        assert_eq!(text.get(rest_of(text, &[], Duration::from_millis(500), PER_CHAR)..).unwrap(), "，请问");
    }

    #[test]
    fn words_without_their_commas_and_strange_words() {
        let text = "Well, hello";
        let timed = [word("Well", 0, 400), word("(breath)", 400, 500)];
        assert_eq!(text.get(rest_of(text, &timed, Duration::from_millis(450), PER_CHAR)..).unwrap(), "hello");
    }

    proptest! {
        #[test]
        fn it_is_always_a_word_and_never_goes_back(
            text in "[a-zé ,.。]{0,40}", steps in proptest::collection::vec(0u64..900, 0..20),
            times in proptest::collection::vec((0usize..6, 0u32..3_000, 0u32..3_000), 0..6),
        ) {
            let words: Vec<&str> = text.split_whitespace().collect();
            let timed: Vec<_> = times.iter()
                .filter_map(|(n, a, b)| Some(word(words.get(*n)?, *a.min(b), *a.max(b)))).collect();
            let untimed = rest_of(&text, &[], Duration::ZERO, PER_CHAR);
            prop_assert_eq!(text.get(untimed..).unwrap(), text.trim_start());
            let (mut sound, mut before) = (0, 0);
            for step in steps {
                sound += step;
                let at = rest_of(&text, &timed, Duration::from_millis(sound), PER_CHAR);
                prop_assert!(text.is_char_boundary(at));
                let untimed = rest_of(&text, &[], Duration::from_millis(sound), PER_CHAR);
                prop_assert!(untimed >= before);
                before = untimed;
            }
        }
    }
}
