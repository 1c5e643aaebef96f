//! What a full queue drops, and what it keeps.

use std::time::Duration;

use super::*;

/// A lower-case letter is sound; an upper-case one carries meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item(char);

impl MayDrop for Item {
    fn may_drop(&self) -> bool {
        self.0.is_lowercase()
    }
}

fn read(rx: &Rx<Item>) -> String {
    std::iter::from_fn(|| rx.try_recv().ok()).map(|item| item.0).collect()
}

#[test]
fn a_full_queue_keeps_the_order_of_what_carries_meaning() {
    let (tx, rx) = bounded(4, WhenFull::DropOldest);
    for letter in "SabPcdef".chars() {
        tx.offer_by_policy(Item(letter)).unwrap();
    }
    assert_eq!(tx.dropped(), 3);
    assert_eq!(read(&rx), "SPdef");
    tx.offer_by_policy(Item('g')).unwrap();
    assert_eq!(read(&rx), "g");
}

#[test]
fn what_carries_meaning_is_kept_up_to_the_bound_and_then_refused() {
    let (tx, rx) = bounded(2, WhenFull::DropOldest);
    let taken: String =
        "ABCDEFG".chars().filter(|letter| tx.offer_by_policy(Item(*letter)).is_ok()).collect();
    assert_eq!(taken, "ABCD");
    assert_eq!(tx.dropped(), 0);
    drop(tx);
    assert_eq!(rx.recv_blocking(), Some(Item('A')));
    assert_eq!(rx.recv_timeout(Duration::ZERO), Ok(Item('B')));
    assert_eq!(read(&rx), "CD");
    assert_eq!(rx.recv_blocking(), None);
}

#[test]
fn a_reader_on_a_thread_gets_all_that_carries_meaning_in_order() {
    let (tx, rx) = bounded(3, WhenFull::DropOldest);
    let reader = std::thread::spawn(move || {
        std::iter::from_fn(|| rx.recv_blocking())
            .map(|item: Item| item.0)
            .filter(|c| c.is_uppercase())
            .collect::<String>()
    });
    let letters: Vec<char> = ('A'..='Z').cycle().take(5_200).collect();
    for letter in &letters {
        for item in [*letter, 'a', 'b', 'c'] {
            let mut offered = tx.offer_by_policy(Item(item));
            while let Err(OfferError::Full(item)) = offered {
                std::thread::yield_now();
                offered = tx.offer_by_policy(item);
            }
        }
    }
    drop(tx);
    assert_eq!(reader.join().unwrap(), letters.iter().collect::<String>());
}
