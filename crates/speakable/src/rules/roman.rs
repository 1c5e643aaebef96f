//! Roman numerals: "Henry VIII", "World War II", "XXIe siècle".

use super::Context;
use crate::cursor::{Cursor, Match};
use crate::tongue::{ENGLISH, FRENCH, Form, GERMAN, SPANISH, ordinal_after};

const SIGNS: [(&str, u64); 13] = [
    ("M", 1_000),
    ("CM", 900),
    ("D", 500),
    ("CD", 400),
    ("C", 100),
    ("XC", 90),
    ("L", 50),
    ("XL", 40),
    ("X", 10),
    ("IX", 9),
    ("V", 5),
    ("IV", 4),
    ("I", 1),
];
/// Longer ones are nothing that somebody says.
const LONGEST: usize = 15;

/// Names of rulers and popes, in all languages: what follows is an ordinal.
const RULERS: [&str; 62] = [
    "Henry",
    "George",
    "Charles",
    "Edward",
    "James",
    "William",
    "Richard",
    "Elizabeth",
    "Mary",
    "Paul",
    "Pius",
    "Leo",
    "Benedict",
    "Nicholas",
    "Alexander",
    "Catherine",
    "Ramses",
    "Ramesses",
    "Louis",
    "Francis",
    "Philip",
    "Peter",
    "Frederick",
    "Napoleon",
    "Gregory",
    "Clement",
    "Innocent",
    "Felipe",
    "Juan",
    "Carlos",
    "Alfonso",
    "Isabel",
    "Fernando",
    "Enrique",
    "Luis",
    "Pablo",
    "Pío",
    "León",
    "Benedicto",
    "Pedro",
    "Napoleón",
    "Ludwig",
    "Friedrich",
    "Wilhelm",
    "Karl",
    "Heinrich",
    "Otto",
    "Elisabeth",
    "Katharina",
    "Benedikt",
    "Joseph",
    "Franz",
    "Napoléon",
    "François",
    "Henri",
    "Philippe",
    "Élisabeth",
    "Benoît",
    "Léon",
    "Jean-Paul",
    "Juan-Carlos",
    "Louis-Philippe",
];
const QUEENS: [&str; 7] = ["Elizabeth", "Mary", "Catherine", "Isabel", "Elisabeth", "Katharina", "Élisabeth"];
/// What is numbered (lower case), in all languages.
const NUMBERED: [&str; 77] = [
    "chapter",
    "part",
    "volume",
    "book",
    "act",
    "scene",
    "war",
    "phase",
    "type",
    "class",
    "level",
    "grade",
    "stage",
    "section",
    "article",
    "title",
    "schedule",
    "appendix",
    "annex",
    "bowl",
    "factor",
    "tier",
    "episode",
    "season",
    "vol",
    "mark",
    "division",
    "group",
    "exhibit",
    "form",
    "category",
    "unit",
    "kapitel",
    "kap",
    "teil",
    "band",
    "akt",
    "klasse",
    "stufe",
    "artikel",
    "typ",
    "hartz",
    "weltkrieg",
    "gruppe",
    "kategorie",
    "abschnitt",
    "anhang",
    "capítulo",
    "cap",
    "parte",
    "tomo",
    "volumen",
    "acto",
    "fase",
    "tipo",
    "título",
    "artículo",
    "siglo",
    "clase",
    "nivel",
    "anexo",
    "grupo",
    "categoría",
    "mundial",
    "chapitre",
    "chap",
    "partie",
    "tome",
    "acte",
    "titre",
    "livre",
    "classe",
    "niveau",
    "annexe",
    "groupe",
    "catégorie",
    "guerre",
];

/// The number that these letters are, if they are one as it is written.
fn value(letters: &str) -> Option<u64> {
    let (mut rest, mut sum) = (letters, 0);
    for (sign, worth) in SIGNS {
        let mut times = 0;
        while let Some(after) = rest.strip_prefix(sign) {
            times += 1;
            let most = if sign.len() == 2 || matches!(sign, "V" | "L" | "D") { 1 } else { 3 };
            if times > most {
                return None;
            }
            (rest, sum) = (after, sum + worth);
        }
    }
    (rest.is_empty() && sum > 0).then_some(sum)
}

/// A Roman numeral, where it must be one.
pub(super) fn numeral(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let letters = cursor.take_while(|c| matches!(c, 'I' | 'V' | 'X' | 'L' | 'C' | 'D' | 'M'));
    if letters.is_empty() || letters.len() > LONGEST {
        return None;
    }
    let n = value(letters)?;
    // "Le" is no fiftieth.
    let clear = letters.chars().all(|c| matches!(c, 'I' | 'V' | 'X'));
    if context.is(&FRENCH)
        && clear
        && let Some(said) = french_ordinal(n, &mut cursor, context)
    {
        return Some(Match::words(cursor.read(), said));
    }
    cursor.at_word_end().then_some(())?;
    let tongue = context.tongue;
    let before = context.place.word_before(0);
    if RULERS.contains(&before) {
        let titled =
            ["King", "Queen", "Pope", "Emperor", "Tsar", "Prince"].contains(&context.place.word_before(1));
        let pronoun = letters == "I" && context.is(&ENGLISH) && !titled && goes_on(cursor);
        return (!pronoun).then(|| ruler(n, before, cursor, context));
    }
    if let Some(said) = before_noun(n, &mut cursor, context) {
        return Some(Match::words(cursor.read(), said));
    }
    let century = before == "s" && context.is(&SPANISH);
    let numbered = century || NUMBERED.contains(&before.to_lowercase().as_str());
    let capital = before.starts_with(char::is_uppercase);
    let sequel = capital && letters.len() >= 2 && clear && !before.contains('.');
    let fits = if letters.len() == 1 {
        clear && numbered && (capital || letters != "I")
    } else {
        numbered || sequel
    };
    // Only where it matters is what follows looked at: a stream's first word is often "I".
    let pronoun = fits && letters == "I" && context.is(&ENGLISH) && before != "War" && goes_on(cursor);
    (fits && !pronoun).then(|| Match::words(cursor.read(), tongue.count(n)))
}

/// A word without a capital follows, as it does after "I".
fn goes_on(mut cursor: Cursor<'_>) -> bool {
    cursor.space() && {
        let word = cursor.letters();
        word.starts_with(char::is_lowercase) && !["of", "and", "was", "is", "to", "in", "or"].contains(&word)
    }
}

fn ruler(n: u64, name: &str, mut cursor: Cursor<'_>, context: Context<'_, '_>) -> Match {
    let tongue = context.tongue;
    let queen = QUEENS.contains(&name);
    let form = if queen { Form::Feminine } else { Form::Count };
    let said = if context.is(&ENGLISH) {
        format!("the {}", (tongue.ordinal)(n, Form::Count))
    } else if context.is(&GERMAN) {
        // The stop makes it an ordinal; at the end of a sentence it is both.
        let mut stop = cursor;
        if stop.eat(".") && !stop.at_sentence_end() {
            cursor = stop;
        }
        format!("{} {}", if queen { "die" } else { "der" }, (tongue.ordinal)(n, Form::Count))
    } else if n == 1 || (context.is(&SPANISH) && n <= 10) {
        (tongue.ordinal)(n, if context.is(&FRENCH) && !queen { Form::Masculine } else { form })
    } else {
        tongue.count(n)
    };
    Match::words(cursor.read(), said)
}

/// "XXIe siècle", "Ier", "IIe"
fn french_ordinal(n: u64, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let mut ahead = *cursor;
    let ending = ahead.eat_one(&["ème", "ère", "er", "re", "e", "ᵉ"])?;
    ahead.at_word_end().then(|| *cursor = ahead)?;
    let form = match ending {
        "ère" | "re" => Form::Feminine,
        "er" => Form::Masculine,
        _ => Form::Count,
    };
    Some((context.tongue.ordinal)(n, form))
}

/// "II Guerra Mundial", "der II. Weltkrieg"
fn before_noun(n: u64, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    if !(context.is(&GERMAN) || context.is(&SPANISH)) {
        return None;
    }
    let mut ahead = *cursor;
    let stop = ahead.eat(".");
    ahead.space().then_some(())?;
    let after = {
        let mut word = ahead;
        word.letters()
    };
    let before = context.place.word_before(0);
    if context.is(&GERMAN) && stop {
        let nouns = ["Weltkrieg", "Weltkriegs", "Weltkrieges", "Quartal", "Etage", "Stock", "Halbjahr"];
        nouns.contains(&after).then_some(())?;
        cursor.eat(".");
        return Some(ordinal_after(n, before));
    }
    let nouns =
        ["Guerra", "República", "Edición", "edición", "Congreso", "Concilio", "aniversario", "Aniversario"];
    if context.is(&SPANISH) && !stop && n <= 10 && nouns.contains(&after) {
        return Some((context.tongue.ordinal)(n, (context.tongue.form_before)(after)));
    }
    None
}
