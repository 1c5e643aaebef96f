//! How long to wait at a pause, and why.
//!
//! Silence alone doesn't distinguish a pause from an end: mid-turn pauses on the telephone reach 2.5 s at the 95th percentile.
//! So the wait depends on what was said: short when the words are complete, long when they trail off.

use std::time::Duration;

use offhook_stage_api::AnswerKind;
use serde::{Deserialize, Serialize};

use super::dictation::{announces_number, count_digits, dictated, is_spelled};
use crate::config::TurnConfig;

/// What a decision about the end of a turn rests on. The strongest that applies is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The recogniser's own turn detection says that the caller is done.
    RecogniserEnd,
    /// The words answer what was asked, by the grammar.
    GrammarComplete,
    /// A yes or no was asked for, and came.
    YesNo,
    /// As many digits as a complete number has.
    DigitsComplete,
    /// The words end with `.`, `!` or `?`.
    Punctuation,
    /// Nothing about the words looks incomplete.
    Plain,
    /// The recogniser sets full stops, and set none here.
    Unpunctuated,
    /// The words are but a partial transcript so far.
    Unsettled,
    /// A number is being dictated, and has as many digits as it needs, but may have more.
    DigitsEnough,
    /// A number is being dictated and isn't complete.
    DigitsMissing,
    /// The words stop at a place where nobody stops: "and", "um", "the", a comma.
    Trailing,
    /// The words may stop where they do, but seldom: "can", "is", "to".
    Hanging,
    /// The grammar expects more words.
    GrammarIncomplete,
    /// Speech was heard, but no words of it have come.
    Wordless,
    /// The turn model's probability decided.
    TurnModel,
    /// The turn has lasted as long as a turn may.
    Longest,
}

/// What is known at a pause.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known<'a> {
    pub(crate) text: &'a str,
    /// The newest words are a final transcript.
    pub(crate) settled: bool,
    pub(crate) complete: Option<bool>,
    pub(crate) answer: AnswerKind,
    pub(crate) recogniser_end: bool,
    /// 0 to 1 that the turn is over, from a turn model.
    pub(crate) model: Option<f32>,
    /// This recogniser has been seen to leave full stops out: where it sets one, it means something.
    pub(crate) stops_count: bool,
    /// From the turn's begin to the pause.
    pub(crate) lasted: Duration,
    /// Pauses of about this length were seen within this caller's turns; zero if none were.
    pub(crate) pauses: Duration,
}

/// How long to wait at a pause, counted from the end of the speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Silence that ends the turn. Until the answer's first sound it can be reopened, and nothing is lost but a request.
    pub(crate) decide: Duration,
    /// Silence before the answer's first sound may go out: taking the floor from a caller who goes on can't be undone.
    pub(crate) answer: Duration,
    /// What it rests on.
    pub(crate) evidence: Evidence,
}

/// Most that a caller's own pauses lengthen the wait to.
const LONGEST_LEARNT: Duration = Duration::from_millis(1_500);

/// How long to wait, and why.
pub(crate) fn wait(known: Known<'_>, config: &TurnConfig) -> Wait {
    let evidence = if known.lasted >= config.longest { Evidence::Longest } else { judge(known) };
    let least = config.min_silence;
    let decide = match evidence {
        Evidence::RecogniserEnd
        | Evidence::GrammarComplete
        | Evidence::YesNo
        | Evidence::DigitsComplete
        | Evidence::Punctuation
        | Evidence::Longest => least,
        Evidence::Plain => config.plain,
        Evidence::Unsettled => config.plain.saturating_add(Duration::from_millis(200)),
        Evidence::DigitsEnough => config.dictation.mul_f32(0.6),
        // Fewer than were asked for, or as few as a group has.
        Evidence::DigitsMissing if matches!(known.answer, AnswerKind::Digits { .. }) => config.unfinished,
        Evidence::DigitsMissing => config.dictation,
        Evidence::Unpunctuated | Evidence::Hanging => config.unpunctuated,
        Evidence::GrammarIncomplete => config.max_silence.mul_f32(0.6),
        Evidence::Trailing => config.unfinished,
        // That there are no words is certain: no longer wait than words would get.
        Evidence::Wordless if known.settled => config.plain,
        Evidence::Wordless => config.max_silence,
        // Certain of the end: the least; certain of more: the most; straight between.
        Evidence::TurnModel => {
            let more = 1.0 - known.model.unwrap_or(0.5).clamp(0.0, 1.0);
            least + config.max_silence.saturating_sub(least).mul_f32(more)
        }
    };
    let most = match evidence {
        Evidence::Trailing | Evidence::DigitsMissing => config.unfinished,
        _ => config.max_silence,
    };
    let decide = decide.clamp(least, most.max(least));
    let answer = match evidence {
        Evidence::Plain
        | Evidence::Unsettled
        | Evidence::Unpunctuated
        | Evidence::Hanging
        | Evidence::Wordless => {
            let learnt = known.pauses.mul_f32(1.2).min(LONGEST_LEARNT);
            config.answer_after.max(if config.adapt { learnt } else { Duration::ZERO })
        }
        _ => Duration::ZERO,
    };
    Wait { decide, answer: answer.max(decide), evidence }
}

/// Whether the words end as a sentence does.
pub(crate) fn is_sentence(text: &str) -> bool {
    text.trim_end().ends_with(['.', '!', '?', '。', '？', '！'])
}

fn judge(known: Known<'_>) -> Evidence {
    let text = known.text.trim();
    if known.recogniser_end {
        return Evidence::RecogniserEnd;
    }
    if text.is_empty() {
        return if known.model.is_some() { Evidence::TurnModel } else { Evidence::Wordless };
    }
    if let AnswerKind::Digits { min, max } = known.answer {
        let digits = count_digits(text);
        if digits > 0 {
            return match digits {
                n if n >= usize::from(max) => Evidence::DigitsComplete,
                n if n >= usize::from(min) => Evidence::DigitsEnough,
                _ => Evidence::DigitsMissing,
            };
        }
    }
    if known.answer == AnswerKind::Open {
        if is_spelled(text) {
            return Evidence::DigitsMissing;
        }
        // Groups of telephone numbers have three or four digits, whole numbers seven or ten.
        match dictated(text) {
            1 | 2 if announces_number(text) => return Evidence::DigitsMissing,
            3 | 6 | 8 | 9 => return Evidence::DigitsMissing,
            4 | 5 | 7 => return Evidence::DigitsEnough,
            _ => {}
        }
    }
    if known.answer == AnswerKind::YesNo && is_yes_no(text) {
        return Evidence::YesNo;
    }
    if trails_off(text) {
        return Evidence::Trailing;
    }
    if known.complete.is_none() && hangs(text) {
        return Evidence::Hanging;
    }
    if known.complete == Some(false) {
        return Evidence::GrammarIncomplete;
    }
    if known.settled && known.complete == Some(true) {
        return Evidence::GrammarComplete;
    }
    // It heard how the words were said, which counts for more than how they are written, and needs no transcript.
    if known.model.is_some() {
        return Evidence::TurnModel;
    }
    if !known.settled {
        return Evidence::Unsettled;
    }
    if text.ends_with(['!', '?', '？', '！']) || (known.stops_count && is_sentence(text)) {
        return Evidence::Punctuation;
    }
    if is_formatted(text) && known.stops_count {
        return Evidence::Unpunctuated;
    }
    Evidence::Plain
}

/// The last word, lower case, without punctuation.
fn last_word(text: &str) -> String {
    text.split_whitespace()
        .next_back()
        .unwrap_or("")
        .trim_matches(|c: char| !c.is_alphanumeric() && c != '\'')
        .to_lowercase()
}

/// Words after which nobody stops: fillers, conjunctions, articles, possessives, contractions.
const TRAILING: &[&str] = &[
    "a", "an", "and", "because", "between", "but", "er", "erm", "every", "from", "hmm", "i", "i'd", "i'll",
    "i'm", "i've", "if", "into", "it's", "its", "my", "of", "or", "our", "plus", "than", "that's", "the",
    "their", "then", "there's", "these", "they", "they're", "uh", "uhm", "um", "until", "we'd", "we'll",
    "we're", "we've", "what's", "where's", "who's", "whose", "with", "you'd", "your",
];

/// Words after which few stop: prepositions, auxiliaries and others that may also end a sentence ("yes, I can").
const HANGING: &[&str] = &[
    "about", "also", "am", "are", "as", "at", "be", "been", "by", "can", "could", "do", "does", "for",
    "gonna", "had", "has", "have", "in", "is", "like", "maybe", "on", "should", "so", "to", "wanna", "was",
    "we", "well", "were", "when", "which", "will", "would",
];

fn trails_off(text: &str) -> bool {
    text.ends_with([',', '-', '–', '—', ':', ';', '…'])
        || text.ends_with("...")
        || (!text.ends_with(['.', '!', '?']) && TRAILING.contains(&last_word(text).as_str()))
}

fn hangs(text: &str) -> bool {
    !text.ends_with(['.', '!', '?']) && HANGING.contains(&last_word(text).as_str())
}

/// Whether the recogniser writes as people do: it begins with a capital, or sets commas and full stops.
fn is_formatted(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or("");
    let pronoun = first == "I" || first.starts_with("I'");
    (first.starts_with(char::is_uppercase) && !pronoun) || text.contains([',', '.', '!', '?'])
}

fn is_yes_no(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "yes", "yeah", "yep", "yup", "no", "nope", "nah", "sure", "correct", "right", "okay", "ok", "exactly",
    ];
    text.split_whitespace()
        .next()
        .map(|word| word.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase())
        .is_some_and(|word| WORDS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str, answer: AnswerKind) -> Evidence {
        judge(Known { text, settled: true, answer, stops_count: true, ..Known::default() })
    }

    #[test]
    fn words_show_whether_more_is_to_come() {
        let open = AnswerKind::Open;
        assert_eq!(judged("I would like two pizzas.", open), Evidence::Punctuation);
        assert_eq!(judged("i would like two pizzas", open), Evidence::Plain);
        assert_eq!(judged("i would like two pizzas and", open), Evidence::Trailing);
        assert_eq!(judged("i would like um", open), Evidence::Trailing);
        assert_eq!(judged("I'd like a pizza,", open), Evidence::Trailing);
        assert_eq!(judged("", open), Evidence::Wordless);
        assert_eq!(judged("yes please", AnswerKind::YesNo), Evidence::YesNo);
        assert_eq!(judged("yes i can", open), Evidence::Hanging);
        assert_eq!(judged("Yes, I can.", open), Evidence::Punctuation);
        // A recogniser that writes full stops says something by leaving one out.
        assert_eq!(judged("Well, two pizzas", open), Evidence::Unpunctuated);
        assert_eq!(judged("Two pizzas", open), Evidence::Unpunctuated);
        assert_eq!(judged("I want two pizzas", open), Evidence::Plain);
    }

    #[test]
    fn a_full_stop_that_always_comes_is_no_evidence() {
        let text = "I need a taxi.";
        let known = Known { text, settled: true, ..Known::default() };
        assert_eq!(judge(known), Evidence::Plain);
        assert_eq!(judge(Known { stops_count: true, ..known }), Evidence::Punctuation);
        assert_eq!(judge(Known { text: "Do you have a table?", ..known }), Evidence::Punctuation);
    }

    #[test]
    fn a_dictated_number_is_waited_for() {
        let phone = AnswerKind::Digits { min: 7, max: 10 };
        assert_eq!(judged("five five five", phone), Evidence::DigitsMissing);
        let open = AnswerKind::Open;
        assert_eq!(judged("my number is five five five", open), Evidence::DigitsMissing);
        assert_eq!(judged("My number is 555, 0123.", open), Evidence::DigitsEnough);
        assert_eq!(judged("it's 415 555 26 71", open), Evidence::Plain);
        assert_eq!(judged("at 7.", open), Evidence::Punctuation);
        assert_eq!(judged("my number is five", open), Evidence::DigitsMissing);
        assert_eq!(judged("the zip code is nine four", open), Evidence::DigitsMissing);
        assert_eq!(judged("555 0123", phone), Evidence::DigitsEnough);
        assert_eq!(judged("four one five five five five two six seven one", phone), Evidence::DigitsComplete);
    }

    #[test]
    fn a_name_that_is_spelled_is_waited_for() {
        let open = AnswerKind::Open;
        for text in ["S. M. I", "s m i t", "Sierra Mike", "four one", "alpha"] {
            assert_eq!(judged(text, open), Evidence::DigitsMissing, "{text}");
        }
        for text in ["I do", "a table", "mike", "I see"] {
            assert_ne!(judged(text, open), Evidence::DigitsMissing, "{text}");
        }
    }

    #[test]
    fn waits_stay_between_least_and_most() {
        let config = TurnConfig { plain: Duration::from_secs(9), ..TurnConfig::default() };
        let known = Known { text: "hello there", settled: true, ..Known::default() };
        assert_eq!(wait(known, &config).decide, config.max_silence);
        let sure = Known { model: Some(1.0), ..known };
        assert_eq!(wait(sure, &config).decide, config.min_silence);
    }

    #[test]
    fn a_turn_without_end_ends_at_its_next_pause() {
        let config = TurnConfig::default();
        let known = Known { text: "and then, um", settled: true, ..Known::default() };
        assert_eq!(wait(known, &config).decide, config.unfinished);
        let ended = wait(Known { lasted: config.longest, ..known }, &config);
        assert_eq!(
            (ended.decide, ended.answer, ended.evidence),
            (config.min_silence, config.min_silence, Evidence::Longest)
        );
    }

    #[test]
    fn speech_that_has_no_words_for_certain_is_answered_as_soon_as_words_would_be() {
        let config = TurnConfig::default();
        let unknown = wait(Known::default(), &config);
        assert_eq!((unknown.decide, unknown.answer), (config.max_silence, config.max_silence));
        let certain = wait(Known { settled: true, ..Known::default() }, &config);
        assert_eq!((certain.decide, certain.answer), (config.plain, config.answer_after));
    }

    #[test]
    fn a_caller_who_pauses_is_waited_for_longer_before_the_answer() {
        let config = TurnConfig::default();
        let known = Known { text: "i need a taxi", settled: true, ..Known::default() };
        assert_eq!(wait(known, &config).answer, config.answer_after);
        let slow = Known { pauses: Duration::from_secs(1), ..known };
        assert!(wait(slow, &config).answer.abs_diff(Duration::from_millis(1_200)) < Duration::from_micros(1));
        assert_eq!(wait(slow, &config).decide, config.plain);
        let complete = Known { text: "can you?", ..slow };
        assert_eq!(wait(complete, &config).answer, config.min_silence);
    }
}
