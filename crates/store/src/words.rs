//! Words of texts, as they are searched for.

/// Longest word that is indexed, in characters.
const LONGEST: usize = 64;
/// Different words of a call at most.
const MOST: usize = 20_000;

/// The words of a text: runs of letters and digits, in lower case.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().flat_map(char::to_lowercase).take(LONGEST).collect())
}

/// Every different word of these texts once, in order, with a space between them.
pub(crate) fn index<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let all: std::collections::BTreeSet<String> = texts.flat_map(words).take(MOST).collect();
    all.into_iter().collect::<Vec<_>>().join(" ")
}

/// A word that is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) word: String,
    /// Words that begin so.
    pub(crate) begins: bool,
}

/// The words of a query; `pizz*` is every word that begins so.
pub(crate) fn wanted(query: &str) -> Vec<Wanted> {
    let mut all = Vec::new();
    for part in query.split_whitespace() {
        let mut of_part: Vec<Wanted> = words(part).map(|word| Wanted { word, begins: false }).collect();
        if let (true, Some(last)) = (part.ends_with('*'), of_part.last_mut()) {
            last.begins = true;
        }
        all.extend(of_part);
    }
    all.truncate(32);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_words() {
        assert_eq!(index(["Two Pizzas, please!", "two"].into_iter()), "pizzas please two");
        let found = wanted("Pizz* it's");
        assert_eq!(found.iter().map(|w| w.word.as_str()).collect::<Vec<_>>(), ["pizz", "it", "s"]);
        assert!(found[0].begins && !found[1].begins);
        assert!(wanted("* \" ' NEAR(").iter().all(|wanted| wanted.word == "near"));
    }
}
