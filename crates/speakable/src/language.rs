//! Which language, and which country's habits.

use crate::tongue::{ENGLISH, FRENCH, GERMAN, SPANISH, Tongue};

/// A language whose habits are known, or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Language {
    /// Unknown languages are cleaned, and their numbers left alone.
    pub(crate) tongue: Option<&'static Tongue>,
    /// 3/4 is the third of April.
    pub(crate) day_first: bool,
    /// The mark before decimals where a number could be read either way.
    pub(crate) decimal: char,
    /// The dollar sign means pesos.
    pub(crate) pesos: bool,
}

impl Language {
    /// From a BCP 47 tag. Without one, English is assumed.
    pub(crate) fn new(tag: &str) -> Self {
        let mut parts = tag.split(['-', '_']).map(str::to_ascii_lowercase);
        let primary = parts.next().unwrap_or_default();
        let region = parts.find(|part| part.len() == 2 || part == "419").unwrap_or_default();
        let region = region.as_str();
        let tongue = match primary.as_str() {
            "" | "en" => Some(&ENGLISH),
            "es" => Some(&SPANISH),
            "de" => Some(&GERMAN),
            "fr" => Some(&FRENCH),
            _ => None,
        };
        let english = matches!(primary.as_str(), "" | "en");
        let point = english
            || (primary == "es"
                && matches!(
                    region,
                    "mx" | "us" | "pr" | "gt" | "hn" | "ni" | "sv" | "do" | "pa" | "pe" | "419"
                ))
            || region == "ch"
            || region == "li";
        Self {
            tongue,
            day_first: !english || !matches!(region, "" | "us"),
            decimal: if point { '.' } else { ',' },
            pesos: primary == "es" && matches!(region, "mx" | "ar" | "co" | "cl" | "uy" | "do" | "cu"),
        }
    }
}
