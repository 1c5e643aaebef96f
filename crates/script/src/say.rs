//! How values are put into sentences.

use super::parse::Ordered;
use super::schema::Item;
use super::words::spell;

/// What was ordered, as it is said: "two large pepperoni pizzas", "one pizza with olives".
pub(super) fn name(ordered: &Ordered, item: &Item) -> String {
    let mut words = vec![spell(ordered.count)];
    words.extend(ordered.size.clone());
    let noun = if ordered.count == 1 { &item.name } else { &item.plural };
    match ordered.extras.as_slice() {
        // One extra stands before the name: "a mushroom pizza", but "a pizza with olives", "with extra cheese".
        [one] if !one.starts_with("extra ") && !one.ends_with('s') => {
            words.extend([one.clone(), noun.clone()])
        }
        [] => words.push(noun.clone()),
        extras => words.extend([noun.clone(), format!("with {}", all_of(extras))]),
    }
    words.join(" ")
}

/// "a, b and c"
pub(super) fn all_of(parts: &[String]) -> String {
    listed(parts, "and")
}

/// "a, b or c"
pub(super) fn either(parts: &[String]) -> String {
    listed(parts, "or")
}

fn listed(parts: &[String], word: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} {word} {last}", all.join(", ")),
    }
}

/// One text after the other.
pub(super) fn join(a: &str, b: &str) -> String {
    match (a.trim(), b.trim()) {
        ("", b) => b.to_owned(),
        (a, "") => a.to_owned(),
        (a, b) => format!("{a} {b}"),
    }
}

/// The texts one after the other, the last one again and again.
pub(super) fn pick(texts: &[String], index: usize) -> String {
    texts.get(index.min(texts.len().saturating_sub(1))).cloned().unwrap_or_default()
}

/// The texts one after the other, then from the first again.
pub(super) fn pick_round(texts: &[String], index: usize) -> String {
    texts.get(index % texts.len().max(1)).cloned().unwrap_or_default()
}
