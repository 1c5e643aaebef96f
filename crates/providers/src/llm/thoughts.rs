//! Takes what models think aloud out of what they say: servers without a parser for it leave it between tags in the text.

/// The tags between which models think: Qwen, DeepSeek and most others; Cohere and small models' variants; Magistral; Kimi; ByteDance's Seed.
const TAGS: [(&str, &str); 7] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
];

/// Takes thoughts out of a reply's text.
#[derive(Debug, Default)]
pub(crate) struct Thoughts {
    /// The tag that ends the thought.
    inside: Option<&'static str>,
    /// The template opens the thought, so that the text begins inside of one.
    unopened: bool,
    /// The text of a thought that nobody opened: it is speech if nobody closes it either.
    doubtful: String,
    /// The beginning of what may be a tag.
    held: String,
}

/// What of a piece of text is speech.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Speech {
    pub(crate) text: String,
    /// A thought ended that had not begun: all text before was thought, and `text` is only what came after.
    pub(crate) anew: bool,
}

enum Tag {
    Opens(&'static str),
    Closes,
}

impl Thoughts {
    /// For a model that is known to begin inside of a thought.
    pub(crate) fn unopened() -> Self {
        Self { unopened: true, ..Self::default() }
    }

    /// Thoughts come apart from the text: none is in it.
    pub(crate) fn come_apart(&mut self) -> String {
        self.unopened = false;
        std::mem::take(&mut self.doubtful)
    }

    /// What of the text is speech.
    pub(crate) fn strip(&mut self, text: &str) -> Speech {
        let mut held = std::mem::take(&mut self.held);
        held.push_str(text);
        let mut rest = held.as_str();
        let mut speech = Speech::default();
        while let Some((at, length, tag)) = self.next_tag(rest) {
            let before = rest.get(..at).unwrap_or_default();
            rest = rest.get(at + length..).unwrap_or_default();
            match (self.inside.is_some(), tag) {
                (true, _) => self.inside = None,
                (false, Tag::Opens(end)) => {
                    self.say(before, &mut speech);
                    self.unopened = false;
                    speech.text.insert_str(0, &std::mem::take(&mut self.doubtful));
                    self.inside = Some(end);
                }
                (false, Tag::Closes) => {
                    // A lone end: whatever came before it was thought.
                    self.unopened = false;
                    self.doubtful.clear();
                    speech = Speech { text: String::new(), anew: true };
                }
            }
        }
        let (sure, may_be) = rest.split_at(rest.len() - self.may_be_tag(rest));
        if self.inside.is_none() {
            self.say(sure, &mut speech);
        }
        self.held = may_be.to_owned();
        speech
    }

    fn say(&mut self, text: &str, speech: &mut Speech) {
        if self.unopened { self.doubtful.push_str(text) } else { speech.text.push_str(text) }
    }

    /// What was held back at the end, and was no tag.
    pub(crate) fn rest(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let doubtful = std::mem::take(&mut self.doubtful);
        if self.inside.is_some() { String::new() } else { doubtful + &held }
    }

    /// The first tag that matters: where it begins, how long it is. Looks once at each character, whatever the text.
    fn next_tag(&self, text: &str) -> Option<(usize, usize, Tag)> {
        text.match_indices(['<', '[', '◁']).find_map(|(at, _)| {
            let here = |tag: &str| {
                text.as_bytes()
                    .get(at..at + tag.len())
                    .is_some_and(|part| part.eq_ignore_ascii_case(tag.as_bytes()))
            };
            match self.inside {
                Some(end) => here(end).then_some((at, end.len(), Tag::Closes)),
                None => TAGS.iter().find_map(|(open, close)| match (here(open), here(close)) {
                    (true, _) => Some((at, open.len(), Tag::Opens(close))),
                    (_, true) => Some((at, close.len(), Tag::Closes)),
                    _ => None,
                }),
            }
        })
    }

    /// So many octets at the end may be the beginning of a tag.
    fn may_be_tag(&self, text: &str) -> usize {
        let ends_with = |part: &str| {
            let from = text.len().checked_sub(part.len());
            from.and_then(|from| text.as_bytes().get(from..))
                .is_some_and(|end| end.eq_ignore_ascii_case(part.as_bytes()))
        };
        let longest =
            |tag: &str| (1..tag.len()).rev().find(|length| tag.get(..*length).is_some_and(ends_with));
        let all = TAGS.iter().flat_map(|(open, close)| [*open, *close]);
        match self.inside {
            Some(end) => longest(end).unwrap_or(0),
            None => all.filter_map(longest).max().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(mut thoughts: Thoughts, pieces: &[&str]) -> String {
        let mut said = String::new();
        for piece in pieces {
            let speech = thoughts.strip(piece);
            if speech.anew {
                said.clear();
            }
            said.push_str(&speech.text);
        }
        said + &thoughts.rest()
    }

    #[test]
    fn every_models_tags() {
        for (text, speech) in [
            ("<think>no</think>yes", "yes"),
            ("<THINK>no</Think>yes", "yes"),
            ("a[THINK]no[/THINK]b", "ab"),
            ("◁think▷no◁/think▷yes", "yes"),
            ("<thought>no</thought>yes", "yes"),
            ("<think>never closed", ""),
            ("1 < 2 and <b>", "1 < 2 and <b>"),
            ("The caller wants a table.</think>Of course.", "Of course."),
            ("a</think>b</think>c", "c"),
        ] {
            assert_eq!(said(Thoughts::default(), &[text]), speech, "{text}");
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert_eq!(said(Thoughts::default(), &letters), speech, "{text}, by the letter");
        }
    }

    #[test]
    fn a_model_that_begins_inside_of_a_thought() {
        assert_eq!(said(Thoughts::unopened(), &["Hm. ", "So</thi", "nk>\nYes."]), "\nYes.");
        assert_eq!(said(Thoughts::unopened(), &["<think>Hm.</think>Yes."]), "Yes.");
        assert_eq!(said(Thoughts::unopened(), &["No thought", " at all."]), "No thought at all.");
        let mut thoughts = Thoughts::unopened();
        assert_eq!(thoughts.strip("Yes"), Speech::default());
        assert_eq!(thoughts.come_apart(), "Yes");
        assert_eq!(thoughts.strip(", sir").text, ", sir");
    }

    proptest! {
        #[test]
        fn thoughts_are_never_spoken(cuts in proptest::collection::vec(0usize..60, 0..8)) {
            const TEXT: &str = "a <b> <think>secret < /think </think>c <thin d<think>x</think>";
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(TEXT.len())).collect();
            cuts.extend([0, TEXT.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|cut| &TEXT[cut[0]..cut[1]]).collect();
            prop_assert_eq!(said(Thoughts::default(), &pieces), "a <b> c <thin d");
        }
    }
}
