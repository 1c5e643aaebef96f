//! What is written with figures and said as nobody would guess.

use super::Context;
use crate::cursor::Match;
use crate::tongue::{ENGLISH, FRENCH, Tongue};

const PHRASES: [(&Tongue, &str, &str); 24] = [
    (&FRENCH, "24h/24", "vingt-quatre heures sur vingt-quatre"),
    (&FRENCH, "24 h/24", "vingt-quatre heures sur vingt-quatre"),
    (&FRENCH, "24h sur 24", "vingt-quatre heures sur vingt-quatre"),
    (&FRENCH, "7j/7", "sept jours sur sept"),
    (&FRENCH, "7 j/7", "sept jours sur sept"),
    (&FRENCH, "7/7", "sept sur sept"),
    (&FRENCH, "24/24", "vingt-quatre sur vingt-quatre"),
    (&ENGLISH, "401(k)", "four oh one k"),
    (&ENGLISH, "401k", "four oh one k"),
    (&ENGLISH, "403(b)", "four oh three b"),
    (&ENGLISH, "4K", "four K"),
    (&ENGLISH, "8K", "eight K"),
    (&ENGLISH, "5K run", "five K run"),
    (&ENGLISH, "5k run", "five K run"),
    (&ENGLISH, "5K race", "five K race"),
    (&ENGLISH, "5k race", "five K race"),
    (&ENGLISH, "10K run", "ten K run"),
    (&ENGLISH, "10k run", "ten K run"),
    (&ENGLISH, "10K race", "ten K race"),
    (&ENGLISH, "10k race", "ten K race"),
    (&ENGLISH, "24/7/365", "twenty-four seven, three hundred sixty-five"),
    (&ENGLISH, "1099 form", "ten ninety-nine form"),
    (&ENGLISH, "7-Eleven", "seven eleven"),
    (&ENGLISH, "50-50", "fifty fifty"),
];

/// A phrase that is always said so.
pub(super) fn fixed(context: Context<'_, '_>) -> Option<Match> {
    PHRASES.iter().find_map(|(tongue, written, said)| {
        let mut cursor = context.place.cursor;
        let whole = context.is(tongue) && cursor.eat(written) && cursor.at_word_end();
        whole.then(|| Match::words(written.len(), *said))
    })
}
