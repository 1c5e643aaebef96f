//! What is written short and said long, in the languages whose habits are known.

mod amount;
mod calendar;
mod clock;
mod code;
mod fraction;
mod half;
mod measure;
mod money;
mod number;
mod ordinal;
mod phone;
mod phrase;
mod roman;
mod short;
mod sign;
mod state;
mod web;
mod weekday;

pub(crate) use sign::keyed;

use crate::cursor::{Match, Place};
use crate::language::Language;
use crate::tongue::{ENGLISH, GERMAN, Tongue};

/// A rule's view: where it stands, and in which language.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a, 'b> {
    pub(crate) place: &'b Place<'a>,
    pub(crate) language: &'b Language,
    pub(crate) tongue: &'static Tongue,
}

impl Context<'_, '_> {
    pub(crate) fn is(&self, tongue: &'static Tongue) -> bool {
        std::ptr::eq(self.tongue, tongue)
    }
}

/// An address of the web or of mail, in a run that is too long for anything else. It is spelled as in English, but for its
/// signs, whose names are the language's.
pub(crate) fn web(place: &Place<'_>) -> Option<Match> {
    web::address(place, &ENGLISH)
}

/// What is said for the text that begins here, if it isn't said as it is written.
pub(crate) fn rule(place: &Place<'_>, language: &Language) -> Option<Match> {
    let first = place.cursor.peek()?;
    if let Some(dash) = sign::dash(place, first) {
        return Some(dash);
    }
    let Some(tongue) = language.tongue else { return address_of_unknown(place, first) };
    let context = Context { place, language, tongue };
    let previous = place.previous();
    let inside = previous.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match first {
        '0'..='9' if inside => code::within_word(context),
        '₀'..='₉' => sign::vulgar(context),
        '0'..='9' => code::hardware(context)
            .or_else(|| web::address(place, tongue))
            .or_else(|| phrase::fixed(context))
            .or_else(|| calendar::date(context))
            .or_else(|| clock::time(context))
            .or_else(|| phone::phone(context))
            .or_else(|| code::code(context))
            .or_else(|| amount::amount(context)),
        '+' | '(' => phone::phone(context).or_else(|| sign::sign(context)),
        'F' if !inside && context.is(&GERMAN) && language.decimal == '.' => money::prefixed(context)
            .or_else(|| calendar::date(context))
            .or_else(|| short::abbreviation(context)),
        'a'..='z' | 'A'..='Z' if !inside => code::hardware(context)
            .or_else(|| web::address(place, tongue))
            .or_else(|| calendar::date(context))
            .or_else(|| money::prefixed(context))
            .or_else(|| short::abbreviation(context))
            .or_else(|| code::code(context))
            .or_else(|| roman::numeral(context)),
        c if c.is_alphabetic() && !inside => calendar::date(context).or_else(|| short::abbreviation(context)),
        c if c.is_alphanumeric() => sign::vulgar(context),
        _ => {
            money::prefixed(context).or_else(|| short::abbreviation(context)).or_else(|| sign::sign(context))
        }
    }
}

/// Where a language isn't known, addresses keep their signs, and lose their scheme and what nobody can say.
fn address_of_unknown(place: &Place<'_>, first: char) -> Option<Match> {
    for (written, sign) in [("&lt;", "<"), ("&gt;", ">")] {
        let mut cursor = place.cursor;
        if first == '&' && cursor.eat(written) {
            return Some(Match::words(written.len(), sign));
        }
    }
    let begins = first.is_ascii_alphabetic() && place.previous().is_none_or(|c| !c.is_alphanumeric());
    begins.then(|| web::bare(place))?
}
