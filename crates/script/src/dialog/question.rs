//! The open question: which it is, how it is asked, and what may answer it, in words or by keys.

use offhook_stage_api::{AnswerKind, Expectation};

use super::Dialog;
use crate::parse::{Ordered, Value};
use crate::say::either;
use crate::schema::{Item, SlotKind};
use crate::words::spell;

/// The open question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    Nothing,
    Slot(usize),
    More(usize),
    /// Which size?
    Size(usize),
    Confirm,
    /// What should be changed?
    Correct,
    Over,
}

impl Dialog {
    pub(super) fn expectation(&self) -> Expectation {
        let script = &self.script;
        let answer = match self.open {
            Open::Confirm | Open::More(_) => AnswerKind::YesNo,
            Open::Size(_) => AnswerKind::Choice,
            Open::Slot(slot) if script.slots.get(slot).is_some_and(|slot| slot.kind == SlotKind::Choice) => {
                AnswerKind::Choice
            }
            _ => AnswerKind::Open,
        };
        let names = script.slots.iter().flat_map(|slot| {
            let items = slot.items.iter().flat_map(|item| std::iter::once(&item.name).chain(&item.extras));
            slot.values.iter().flatten().chain(items).cloned().collect::<Vec<_>>()
        });
        Expectation {
            grammar: Some(self.grammar.to_string()),
            pronunciations: script
                .pronunciations
                .iter()
                .map(|(word, phones)| (word.clone(), phones.clone()))
                .collect(),
            keyterms: names.collect(),
            language: Some(script.agent.language.clone()),
            answer,
        }
    }

    pub(super) fn next_open(&self) -> Open {
        for (index, slot) in self.script.slots.iter().enumerate() {
            match self.values.get(index).and_then(Option::as_ref) {
                None => return Open::Slot(index),
                Some(Value::Items(items)) => {
                    let lacks = |ordered: &Ordered| {
                        ordered.size.is_none()
                            && slot.items.get(ordered.item).is_some_and(|item| !item.sizes.is_empty())
                    };
                    if items.iter().any(lacks) {
                        return Open::Size(index);
                    }
                    if slot.more.is_some() && self.closed.get(index) == Some(&false) {
                        return Open::More(index);
                    }
                }
                Some(Value::Text(_)) => {}
            }
        }
        if self.script.slots.is_empty() { Open::Nothing } else { Open::Confirm }
    }

    /// The open question, in words.
    pub(super) fn question(&self) -> String {
        let slot = |index: usize| self.script.slots.get(index);
        match self.open {
            Open::Slot(index) => slot(index).map(|slot| slot.ask.clone()).unwrap_or_default(),
            Open::More(index) => slot(index).and_then(|slot| slot.more.clone()).unwrap_or_default(),
            Open::Size(index) => self.size_question(index),
            Open::Confirm => self.script.texts.confirm.clone(),
            Open::Correct => self.script.texts.correct.clone(),
            Open::Nothing | Open::Over => String::new(),
        }
    }

    fn size_question(&self, index: usize) -> String {
        self.unsized_item(index)
            .map(|item| format!("What size of {}: {}?", item.name, either(&item.sizes)))
            .unwrap_or_default()
    }

    /// The first thing ordered that lacks its size.
    fn unsized_item(&self, index: usize) -> Option<&Item> {
        let Some(Some(Value::Items(items))) = self.values.get(index) else { return None };
        let slot = self.script.slots.get(index)?;
        items.iter().find_map(|ordered| {
            let item = slot.items.get(ordered.item)?;
            (ordered.size.is_none() && !item.sizes.is_empty()).then_some(item)
        })
    }

    /// The answers that have a key, in the order of the keys.
    fn keys(&self) -> Vec<String> {
        let slot = |index: usize| self.script.slots.get(index);
        match self.open {
            Open::Confirm | Open::More(_) => vec!["yes".to_owned(), "no".to_owned()],
            Open::Slot(index) => slot(index)
                .into_iter()
                .flat_map(|slot| &slot.values)
                .filter_map(|ways| ways.first())
                .cloned()
                .collect(),
            Open::Size(index) => self.unsized_item(index).map(|item| item.sizes.clone()).unwrap_or_default(),
            Open::Correct | Open::Nothing | Open::Over => Vec::new(),
        }
    }

    pub(super) fn key_hint(&self) -> String {
        let keys = self.keys();
        if keys.is_empty() || keys.len() > 9 {
            return String::new();
        }
        let key = |(index, answer): (usize, &String)| {
            format!("{} for {}", spell(index as u32 + 1), answer.strip_prefix("for ").unwrap_or(answer))
        };
        let keys: Vec<String> = keys.iter().enumerate().map(key).collect();
        format!("Press {}.", either(&keys))
    }

    /// What these keys say, if the open question takes them.
    pub(super) fn keyed(&self, digits: &str) -> Option<String> {
        let value: u32 = digits.parse().ok()?;
        if let Open::Slot(index) = self.open
            && self.script.slots.get(index).is_some_and(|slot| slot.kind == SlotKind::Number)
        {
            return (1..=99).contains(&value).then(|| spell(value));
        }
        let index = usize::try_from(value).ok()?.checked_sub(1)?;
        self.keys().get(index).cloned()
    }
}
