//! How what the caller says changes a slot's value: an order grows, shrinks and is corrected.

use super::parse::{Change, Ordered, Value};
use super::schema::Item;

/// Takes over a change. True if the caller named something for the order, even if it was there already; other changes
/// show in the value. `declared` is what may be ordered.
pub(super) fn take_over(value: &mut Option<Value>, change: &Change, declared: &[Item]) -> bool {
    if let Change::Set(text) = change {
        *value = Some(Value::Text(text.clone()));
        return false;
    }
    let Value::Items(items) = value.get_or_insert_with(|| Value::Items(Vec::new())) else { return false };
    let named = change_order(items, change, declared);
    if items.is_empty() {
        *value = None;
    }
    named
}

fn change_order(items: &mut Vec<Ordered>, change: &Change, declared: &[Item]) -> bool {
    let has_sizes = |ordered: &Ordered| declared.get(ordered.item).is_some_and(|item| !item.sizes.is_empty());
    match change {
        Change::Set(_) => false,
        Change::Add(new) => {
            // The same thing again right away is a repetition of it, said to make it clear.
            if items.last() != Some(new) {
                items.push(new.clone());
            }
            true
        }
        Change::Replace(new) => {
            match items.iter_mut().rev().find(|old| old.item == new.item) {
                Some(old) => {
                    old.count = new.count;
                    old.size = new.size.clone().or(old.size.take());
                    if !new.extras.is_empty() {
                        old.extras.clone_from(&new.extras);
                    }
                }
                None => items.push(new.clone()),
            }
            true
        }
        Change::Count(count) => items.last_mut().map(|last| last.count = *count).is_some(),
        Change::Remove(item) => {
            items.retain(|ordered| ordered.item != *item);
            false
        }
        Change::Without(extra) => {
            for ordered in items {
                ordered.extras.retain(|known| !known.contains(extra.as_str()));
            }
            false
        }
        Change::Size(size) => {
            if let Some(lacking) =
                items.iter_mut().find(|ordered| ordered.size.is_none() && has_sizes(ordered))
            {
                lacking.size = Some(size.clone());
            }
            false
        }
        Change::Resize(size) => {
            let last = items.iter_mut().rev().find(|ordered| has_sizes(ordered));
            last.map(|ordered| ordered.size = Some(size.clone())).is_some()
        }
    }
}
