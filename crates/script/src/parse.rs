//! What the caller's words fill in.

use super::schema::{Item, Script, Slot, SlotKind};
use super::words::{day, number, spell, time, tokens};

/// A slot's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// As it is said.
    Text(String),
    /// What was ordered.
    Items(Vec<Ordered>),
}

/// One thing ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ordered {
    pub(super) count: u32,
    /// Index in the slot's items.
    pub(super) item: usize,
    pub(super) size: Option<String>,
    pub(super) extras: Vec<String>,
}

/// What one turn of the caller says about a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The slot's value.
    Set(String),
    /// More things.
    Add(Ordered),
    /// "Make it four large pizzas": in place of the last of its kind.
    Replace(Ordered),
    /// "Make it three": of the last thing.
    Count(u32),
    /// Fewer things.
    Remove(usize),
    /// Things without something, e.g. "no onions".
    Without(String),
    /// A size alone: for the thing that lacks one.
    Size(String),
    /// "Make it large": another size for the last thing that has one.
    Resize(String),
}

/// Yes or no, if the words begin with it or consist of it.
pub(super) fn yes_no(text: &str) -> Option<bool> {
    const YES: &[&str] = &[
        "yes",
        "yeah",
        "yep",
        "yup",
        "sure",
        "correct",
        "right",
        "that's right",
        "exactly",
        "okay",
        "ok",
        "perfect",
        "that is right",
        "sounds good",
    ];
    const NO: &[&str] = &[
        "no",
        "nope",
        "nah",
        "wrong",
        "that's wrong",
        "that is wrong",
        "that's not",
        "not",
        "incorrect",
        "that's all",
        "that's it",
        "nothing else",
        "that is all",
    ];
    // "Yes, but …", "right, no, wait": no plain yes.
    const DOUBT: &[&str] = &["but", "no", "not", "don't", "wait", "wrong", "except"];
    let all = tokens(text);
    let words = all.join(" ");
    let begins = |phrase: &&&str| words == **phrase || words.starts_with(&format!("{phrase} "));
    if NO.iter().any(|phrase| begins(&phrase)) {
        return Some(false);
    }
    let doubts = all.iter().any(|word| DOUBT.contains(&word.as_str()));
    (!doubts && YES.iter().any(|phrase| begins(&phrase))).then_some(true)
}

/// All that the words say about the slots. `asked` is the slot whose question is open: it also takes bare values.
pub(super) fn changes(script: &Script, text: &str, asked: Option<usize>) -> Vec<(usize, Change)> {
    let mut words = tokens(text);
    // "Eight instead of seven": what stands behind doesn't count.
    if let Some(place) = words.windows(2).position(|two| two[0] == "instead" && two[1] == "of") {
        words.truncate(place);
    }
    let mut found = Vec::new();
    for (index, slot) in script.slots.iter().enumerate() {
        let bare = asked == Some(index);
        match slot.kind {
            SlotKind::Items => {
                found.extend(items(slot, &words, bare).into_iter().map(|change| (index, change)))
            }
            SlotKind::Choice => found.extend(choice(slot, &words).map(|value| (index, Change::Set(value)))),
            SlotKind::Number => {
                found.extend(count(slot, &words, bare).map(|value| (index, Change::Set(value))))
            }
            SlotKind::Time => {
                let correction = words.first().is_some_and(|word| word == "make");
                found.extend(clock(&words, bare || correction).map(|value| (index, Change::Set(value))));
            }
            SlotKind::Day => {
                let value = (0..words.len()).find_map(|at| day(words.get(at..)?));
                found.extend(value.map(|(value, _)| (index, Change::Set(value))));
            }
        }
    }
    found
}

fn phrase_at(words: &[String], at: usize, phrase: &str) -> Option<usize> {
    let phrase = tokens(phrase);
    let same = !phrase.is_empty() && words.get(at..at + phrase.len())? == phrase;
    same.then_some(phrase.len())
}

fn choice(slot: &Slot, words: &[String]) -> Option<String> {
    slot.values.iter().find_map(|ways| {
        let said = ways.iter().any(|way| (0..words.len()).any(|at| phrase_at(words, at, way).is_some()));
        said.then(|| ways.first().cloned()).flatten()
    })
}

fn count(slot: &Slot, words: &[String], bare: bool) -> Option<String> {
    for pattern in &slot.patterns {
        let (before, after) = pattern.split_once("{n}").unwrap_or((pattern, ""));
        for at in 0..words.len() {
            let start = if before.trim().is_empty() { Some(0) } else { phrase_at(words, at, before) };
            let Some(start) = start.map(|used| at + used) else { continue };
            let Some((value, used)) = words.get(start..).and_then(number) else { continue };
            let follows = after.trim().is_empty() || phrase_at(words, start + used, after).is_some();
            if follows && value > 0 {
                return Some(spell(value));
            }
        }
    }
    let first = (0..words.len()).find_map(|at| number(words.get(at..)?))?;
    (bare && words.len() <= 3 && first.0 > 0).then(|| spell(first.0))
}

fn clock(words: &[String], bare: bool) -> Option<String> {
    for at in 0..words.len() {
        let Some((value, used)) = words.get(at..).and_then(time) else { continue };
        let before = at.checked_sub(1).and_then(|before| words.get(before)).map(String::as_str);
        let certain = used > 1 || value == "noon" || before == Some("at");
        let counted =
            matches!(words.get(at + used).map(String::as_str), Some("people" | "of" | "persons" | "guests"));
        let party = before == Some("for") && !certain;
        if (certain || bare) && !counted && !party {
            return Some(value);
        }
    }
    None
}

fn items(slot: &Slot, words: &[String], bare: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut open = Pending::default();
    let mut removing = false;
    let correcting = words.windows(2).any(|two| two[0] == "make" && matches!(two[1].as_str(), "it" | "that"));
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let after_removal =
            at > 0 && words.get(at - 1).is_some_and(|word| matches!(word.as_str(), "no" | "without"));
        if matches!(word.as_str(), "remove" | "cancel" | "drop") {
            removing = true;
            at += 1;
        } else if let Some((item, used)) = noun(slot, words, at) {
            if removing || after_removal {
                changes.push(Change::Remove(item));
            } else if correcting {
                changes.push(Change::Replace(open.take(item)));
            } else {
                changes.push(Change::Add(open.take(item)));
            }
            at += used;
        } else if let Some((extra, used)) = extra(slot, words, at) {
            match changes.last_mut() {
                _ if removing || after_removal => changes.push(Change::Without(extra)),
                // "… pizza with olives and onions" belongs to the last thing, "mushroom pizza" to the next.
                Some(Change::Add(last) | Change::Replace(last)) if open.with && open.is_bare() => {
                    last.extras.push(extra)
                }
                _ => open.extras.push(extra),
            }
            at += used;
        } else if let Some((size, used)) = size(slot, words, at) {
            open.size = Some(size);
            open.with = false;
            at += used;
        } else if let Some((count, used)) = words.get(at..).and_then(number) {
            open.count = Some(count.clamp(1, 99));
            open.with = false;
            at += used;
        } else {
            match word.as_str() {
                "a" | "an" => {
                    open.count = Some(1);
                    open.with = false;
                }
                "with" => open.with = true,
                _ => {}
            }
            at += 1;
        }
    }
    if correcting && changes.is_empty() && open.extras.is_empty() {
        changes.extend(open.count.take().map(Change::Count));
        changes.extend(open.size.take().map(Change::Resize));
    }
    // "Large" or "pepperoni" alone, when things are being asked for: the first thing is meant.
    if let (true, Some(size)) = (changes.is_empty(), open.size.clone())
        && open.extras.is_empty()
        && open.count.is_none()
    {
        changes.push(Change::Size(size));
    } else if bare && changes.is_empty() && !open.extras.is_empty() && !slot.items.is_empty() {
        changes.push(Change::Add(open.take(0)));
    }
    changes
}

#[derive(Default)]
struct Pending {
    count: Option<u32>,
    size: Option<String>,
    extras: Vec<String>,
    /// "with" was said: extras belong to what stands before.
    with: bool,
}

impl Pending {
    const fn is_bare(&self) -> bool {
        self.count.is_none() && self.size.is_none() && self.extras.is_empty()
    }

    fn take(&mut self, item: usize) -> Ordered {
        let all = std::mem::take(self);
        Ordered { count: all.count.unwrap_or(1), item, size: all.size, extras: all.extras }
    }
}

/// An item's name at this place: which, and how many words.
fn noun(slot: &Slot, words: &[String], at: usize) -> Option<(usize, usize)> {
    let names = |item: &Item| {
        [&item.name, &item.plural].into_iter().chain(&item.synonyms).cloned().collect::<Vec<_>>()
    };
    slot.items
        .iter()
        .enumerate()
        .flat_map(|(index, item)| names(item).into_iter().map(move |name| (index, name)))
        .filter_map(|(index, name)| phrase_at(words, at, &name).map(|used| (index, used)))
        .max_by_key(|(_, used)| *used)
}

fn size(slot: &Slot, words: &[String], at: usize) -> Option<(String, usize)> {
    slot.items
        .iter()
        .flat_map(|item| &item.sizes)
        .filter_map(|size| phrase_at(words, at, size).map(|used| (size.clone(), used)))
        .max_by_key(|(_, used)| *used)
}

fn extra(slot: &Slot, words: &[String], at: usize) -> Option<(String, usize)> {
    slot.items
        .iter()
        .flat_map(|item| &item.extras)
        .filter_map(|extra| phrase_at(words, at, extra).map(|used| (extra.clone(), used)))
        .max_by_key(|(_, used)| *used)
}
