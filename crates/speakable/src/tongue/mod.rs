//! What the rules need to know of a language: its words, and how its numbers are said.

mod english;
mod english_words;
mod french;
mod french_words;
mod german;
mod german_words;
mod spanish;
mod spanish_words;

pub(crate) use english::ENGLISH;
pub(crate) use french::FRENCH;
pub(crate) use german::{GERMAN, ordinal_after};
pub(crate) use spanish::SPANISH;
pub(crate) use spanish_words::PESOS;

use crate::cursor::Place;

/// What a number agrees with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing: it is counted, or a name.
    Count,
    /// A noun after it: un, ein.
    Masculine,
    /// A noun after it: una, eine, une.
    Feminine,
}

/// A day of the year.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Date {
    /// 1 to 31, if the day is named.
    pub(crate) day: u64,
    /// 0 to 11.
    pub(crate) month: usize,
    pub(crate) year: Option<u64>,
    /// The day was written before the month.
    pub(crate) day_first: bool,
}

/// A time of day, as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    /// 0 to 24.
    pub(crate) hour: u64,
    pub(crate) minute: Option<u64>,
    pub(crate) second: Option<u64>,
    /// It said a.m. (`false`) or p.m. (`true`).
    pub(crate) half: Option<bool>,
}

/// A currency.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Currency {
    /// Its signs: before or behind a number.
    pub(crate) signs: &'static [&'static str],
    pub(crate) one: &'static str,
    pub(crate) many: &'static str,
    /// A hundredth; empty if there is none.
    pub(crate) cent: &'static str,
    pub(crate) cents: &'static str,
    pub(crate) form: Form,
}

/// A unit: sign, one, many, and what its number agrees with.
pub(crate) type Unit = (&'static str, &'static str, &'static str, Form);

/// A word for thousands and more: as written, one, many, and what joins it to a noun.
pub(crate) type Scale = (&'static str, &'static str, &'static str, &'static str);

/// An abbreviation: as it is written, as it is said, and when it is one.
pub(crate) type Short = (&'static str, &'static str, When);

/// Where an abbreviation is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// A word with a capital follows.
    BeforeName,
    /// A number follows.
    BeforeNumber,
    /// No word with a capital follows.
    NotBeforeName,
    /// A number stands before.
    AfterNumber,
    /// Its sentence or bracket ends.
    AtEnd,
}

/// Words for signs.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) minus: &'static str,
    pub(crate) plus: &'static str,
    pub(crate) times: &'static str,
    pub(crate) divided: &'static str,
    pub(crate) equals: &'static str,
    pub(crate) point: &'static str,
    /// Between the ends of a range.
    pub(crate) to: &'static str,
    /// Between a price and what it is for.
    pub(crate) per: &'static str,
    /// Between the sides of what is measured: 3 x 4.
    pub(crate) by: &'static str,
    /// 4/5 that is no fraction.
    pub(crate) out_of: &'static str,
    pub(crate) and: &'static str,
    pub(crate) or: &'static str,
    pub(crate) at: &'static str,
    pub(crate) dot: &'static str,
    pub(crate) dash: &'static str,
    pub(crate) slash: &'static str,
    pub(crate) underscore: &'static str,
    pub(crate) percent: &'static str,
    pub(crate) per_mille: &'static str,
    pub(crate) degrees: &'static str,
    pub(crate) number: &'static str,
    pub(crate) about: &'static str,
    pub(crate) less: &'static str,
    pub(crate) more: &'static str,
    pub(crate) at_most: &'static str,
    pub(crate) at_least: &'static str,
    pub(crate) not_equal: &'static str,
    pub(crate) plus_minus: &'static str,
    pub(crate) section: &'static str,
    pub(crate) extension: &'static str,
    pub(crate) half: &'static str,
    pub(crate) quarter: &'static str,
    pub(crate) quarters: &'static str,
    pub(crate) squared: &'static str,
    pub(crate) cubed: &'static str,
    /// Between "five euros" and "twenty cents".
    pub(crate) money_and: &'static str,
    /// Whether the cents of "five euros twenty" are named.
    pub(crate) money_cents: bool,
}

impl Words {
    /// Between the parts of a version: "point" in English, where the decimals' word elsewhere is a comma.
    pub(crate) fn point_of_version(&self) -> &'static str {
        if self.point == "point" { self.point } else { self.dot }
    }
}

/// A language.
pub(crate) struct Tongue {
    pub(crate) words: Words,
    pub(crate) cardinal: fn(u64, Form) -> String,
    pub(crate) ordinal: fn(u64, Form) -> String,
    /// A year, or another number of four figures that is said as one.
    pub(crate) year: fn(u64) -> String,
    pub(crate) date: fn(&Date, &Place<'_>) -> String,
    pub(crate) time: fn(&Time, &Place<'_>) -> String,
    /// "three quarters".
    pub(crate) fraction: fn(u64, u64) -> Option<String>,
    /// How the digits of one group of a telephone number are said.
    pub(crate) phone_group: fn(&str) -> String,
    pub(crate) months: [&'static str; 12],
    pub(crate) months_short: [&'static [&'static str]; 12],
    pub(crate) days: [&'static str; 7],
    pub(crate) days_short: [&'static [&'static str]; 7],
    /// Endings of ordinals behind figures, longest first, and what they agree with.
    pub(crate) ordinal_endings: &'static [(&'static str, Form)],
    /// Words between day, month and year.
    pub(crate) of: &'static [&'static str],
    pub(crate) currencies: &'static [Currency],
    pub(crate) units: &'static [Unit],
    pub(crate) scales: &'static [Scale],
    pub(crate) shorts: &'static [Short],
    /// Abbreviations that end no sentence (lower case, without their stop).
    pub(crate) no_stop: &'static [&'static str],
    /// Words after which a number is said digit by digit.
    pub(crate) codes: &'static [&'static str],
    /// Words that make 3/4 a day.
    pub(crate) date_words: &'static [&'static str],
    /// What a noun after a number wants of it.
    pub(crate) form_before: fn(&str) -> Form,
    /// Bare numbers of four figures are said as years, or in hundreds.
    pub(crate) year_like: fn(u64) -> bool,
    /// Words of the clock behind a time.
    pub(crate) clock: &'static [&'static str],
    /// Digit names.
    pub(crate) digits: [&'static str; 10],
    /// Groups of three may be parted by blanks.
    pub(crate) blank_groups: bool,
}

impl std::fmt::Debug for Tongue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.months.first().copied().unwrap_or_default())
    }
}

impl Tongue {
    /// Digit by digit. What is no digit is left out.
    pub(crate) fn spell_digits(&self, text: &str) -> String {
        let names = text.chars().filter_map(|c| c.to_digit(10));
        let names = names.filter_map(|digit| self.digits.get(digit as usize).copied());
        names.collect::<Vec<_>>().join(" ")
    }

    /// Long numbers are said in groups of three, the last of up to four.
    pub(crate) fn grouped_digits(&self, bare: &str) -> String {
        let mut groups = Vec::new();
        let mut rest = bare;
        while rest.len() > 4 {
            let (group, after) = rest.split_at_checked(3).unwrap_or((rest, ""));
            groups.push(self.spell_digits(group));
            rest = after;
        }
        groups.push(self.spell_digits(rest));
        groups.join(", ")
    }

    pub(crate) fn count(&self, n: u64) -> String {
        (self.cardinal)(n, Form::Count)
    }
}

/// A number below 10^18 as its groups of three figures: the highest first, with its power of a thousand.
pub(crate) fn thousands(n: u64) -> Vec<(u32, u64)> {
    let power = |p: u32| n / 1_000_u64.pow(p) % 1_000;
    (0..=5).rev().map(|p| (p, power(p))).filter(|(_, group)| *group > 0).collect()
}

/// The entry of a table, or nothing.
pub(crate) fn entry(table: &[&'static str], at: u64) -> &'static str {
    usize::try_from(at).ok().and_then(|at| table.get(at)).copied().unwrap_or_default()
}
