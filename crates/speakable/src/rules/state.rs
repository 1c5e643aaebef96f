//! States of the USA before their ZIP code: "Dallas, TX 75201" is "Dallas, Texas …".

use super::Context;
use crate::cursor::Match;

/// As the Postal Service abbreviates them (Publication 28, appendix B).
const STATES: [(&str, &str); 50] = [
    ("AL", "Alabama"),
    ("AK", "Alaska"),
    ("AZ", "Arizona"),
    ("AR", "Arkansas"),
    ("CA", "California"),
    ("CO", "Colorado"),
    ("CT", "Connecticut"),
    ("DE", "Delaware"),
    ("FL", "Florida"),
    ("GA", "Georgia"),
    ("HI", "Hawaii"),
    ("IA", "Iowa"),
    ("ID", "Idaho"),
    ("IL", "Illinois"),
    ("IN", "Indiana"),
    ("KS", "Kansas"),
    ("KY", "Kentucky"),
    ("LA", "Louisiana"),
    ("MA", "Massachusetts"),
    ("MD", "Maryland"),
    ("ME", "Maine"),
    ("MI", "Michigan"),
    ("MN", "Minnesota"),
    ("MO", "Missouri"),
    ("MS", "Mississippi"),
    ("MT", "Montana"),
    ("NC", "North Carolina"),
    ("ND", "North Dakota"),
    ("NE", "Nebraska"),
    ("NH", "New Hampshire"),
    ("NJ", "New Jersey"),
    ("NM", "New Mexico"),
    ("NV", "Nevada"),
    ("NY", "New York"),
    ("OH", "Ohio"),
    ("OK", "Oklahoma"),
    ("OR", "Oregon"),
    ("PA", "Pennsylvania"),
    ("RI", "Rhode Island"),
    ("SC", "South Carolina"),
    ("SD", "South Dakota"),
    ("TN", "Tennessee"),
    ("TX", "Texas"),
    ("UT", "Utah"),
    ("VA", "Virginia"),
    ("VT", "Vermont"),
    ("WA", "Washington"),
    ("WI", "Wisconsin"),
    ("WV", "West Virginia"),
    ("WY", "Wyoming"),
];
/// Words, too, when a text shouts: only behind a comma they are states.
const WORDS: [&str; 6] = ["HI", "IN", "ME", "OK", "OR", "ID"];

/// The state's name, where a ZIP code follows.
pub(super) fn name(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let written = cursor.letters();
    let (_, said) = STATES.into_iter().find(|(short, _)| *short == written)?;
    let before = context.place.before.trim_end();
    let comma = before.ends_with(',');
    let word = before.rsplit(char::is_whitespace).next().unwrap_or("");
    let town = word.starts_with(char::is_uppercase) && !WORDS.contains(&written);
    let length = cursor.read();
    if !(comma || town) || !cursor.space() || cursor.digits().len() != 5 {
        return None;
    }
    let plus_four = cursor.eat("-") && cursor.digits().len() == 4;
    let closes = cursor.at_sentence_end() || matches!(cursor.peek(), Some('.' | ',' | ';' | ')' | '?' | '!'));
    let ends = cursor.peek().is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '-' | '/' | '%' | '$'));
    (plus_four || ends && (comma || closes)).then(|| Match::words(length, said.to_owned()))
}
