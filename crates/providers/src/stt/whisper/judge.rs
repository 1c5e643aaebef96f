//! What of an answer was said. Models of this kind make up words where there are none: for noise and silence they write what
//! their training had there, credits of subtitles and thanks for watching.

use std::time::Duration;

use serde::Deserialize;

/// A server's answer; of its many editions only `text` is common.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    text: String,
    segments: Vec<Segment>,
}

impl Answer {
    /// An answer that is nothing but text.
    pub(super) fn plain(text: String) -> Self {
        Self { text, segments: Vec::new() }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Segment {
    text: String,
    avg_logprob: Option<f32>,
    compression_ratio: Option<f32>,
    no_speech_prob: Option<f32>,
}

/// Segments beyond these are made up: the limits that the models' authors use themselves.
const LEAST_LOGPROB: f32 = -1.0;
const MOST_COMPRESSION: f32 = 2.4;
const MOST_NO_SPEECH: f32 = 0.8;

/// Nobody speaks more words in a second; some more may lie in the margins.
const MOST_WORDS_PER_SECOND: f32 = 8.0;
const MARGIN: f32 = 0.5;

/// What callers don't say, and what these models often write for noise.
const CREDITS: &[&str] = &[
    "thanks for watching",
    "thank you for watching",
    "thank you so much for watching",
    "please subscribe",
    "like and subscribe",
    "subscribe to my channel",
    "subtitles by",
    "amara org",
    "transcription by",
    "untertitel",
    "sous titres réalisés",
    "subtítulos realizados",
    "ご視聴ありがとうございました",
];

/// What is made up of a click or a breath; of longer sounds it may well have been said.
const SHORT: &[&str] = &["you", "thank you", "thanks", "bye", "bye bye", "okay", "so", "oh"];
const CLICK: Duration = Duration::from_millis(200);

/// The words of an answer to so much speech, and how sure they are. Empty, if they are made up.
pub(super) fn judge(answer: &Answer, spoken: Duration, prompt: &str) -> (String, Option<f32>) {
    let mut text = answer.text.clone();
    let mut confidence = None;
    if !answer.segments.is_empty() {
        let kept: Vec<&Segment> = answer.segments.iter().filter(|segment| is_likely(segment)).collect();
        // Segments that only mark times have no text of their own.
        if answer.segments.iter().any(|segment| !segment.text.is_empty()) {
            text = kept.iter().map(|segment| segment.text.trim()).collect::<Vec<_>>().join(" ");
        }
        confidence =
            kept.iter().filter_map(|segment| segment.avg_logprob).min_by(f32::total_cmp).map(f32::exp);
    }
    let text = without_remarks(&text);
    if is_made_up(&text, spoken, prompt) { (String::new(), None) } else { (text, confidence) }
}

fn is_likely(segment: &Segment) -> bool {
    segment.avg_logprob.is_none_or(|logprob| logprob >= LEAST_LOGPROB)
        && segment.compression_ratio.is_none_or(|ratio| ratio <= MOST_COMPRESSION)
        && segment.no_speech_prob.is_none_or(|silence| silence <= MOST_NO_SPEECH)
}

/// Takes out what is said about the sound, not in it: `[BLANK_AUDIO]`, `(music)`, notes.
fn without_remarks(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut depth = 0_u32;
    for char in text.chars() {
        match char {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            '♪' | '*' => {}
            _ if depth == 0 => kept.push(char),
            _ => {}
        }
    }
    let kept = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    if kept.chars().any(char::is_alphanumeric) { kept } else { String::new() }
}

fn is_made_up(text: &str, spoken: Duration, prompt: &str) -> bool {
    let words = plain(text);
    let joined = words.join(" ");
    let most = (spoken.as_secs_f32() + MARGIN) * MOST_WORDS_PER_SECOND;
    if words.len() > 2 && words.len() as f32 > most {
        return true;
    }
    if CREDITS.iter().any(|credit| joined.contains(credit)) {
        return true;
    }
    if spoken < CLICK && SHORT.contains(&joined.as_str()) {
        return true;
    }
    // A number may well have five sevens; "no, no, no" is said too.
    let repeated = words.len() >= 5 && words.windows(2).all(|pair| pair.first() == pair.last());
    if repeated
        && !words.iter().any(|word| word.chars().all(|c| c.is_ascii_digit()))
        && !is_number_word(&words)
    {
        return true;
    }
    // The hint comes back where there was nothing to be heard.
    words.len() >= 4 && plain(prompt).join(" ").contains(&joined)
}

fn is_number_word(words: &[String]) -> bool {
    const NUMBERS: &[&str] =
        &["zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    words.first().is_some_and(|word| NUMBERS.contains(&word.as_str()))
}

/// Words without case and punctuation.
fn plain(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str, ms: u64) -> String {
        let answer = Answer::plain(text.into());
        judge(&answer, Duration::from_millis(ms), "Names: Anna, Bert, Carla, Dora.").0
    }

    #[test]
    fn what_was_said_stays() {
        for text in
            ["I'd like to move my appointment.", "No, no, no.", "7 7 7 7 7", "seven seven seven seven seven"]
        {
            assert_eq!(heard(text, 2_500), text);
        }
        assert_eq!(heard("Thank you.", 600), "Thank you.");
        assert_eq!(heard(" Yes.\n", 300), "Yes.");
        assert_eq!(heard("Anna", 500), "Anna");
    }

    #[test]
    fn what_was_made_up_goes() {
        for (text, ms) in [
            ("Thanks for watching!", 900),
            ("Thank you.", 120),
            ("you you you you you", 3_000),
            ("[BLANK_AUDIO]", 900),
            (" (music) ♪", 900),
            ("Untertitel der Amara.org-Community", 2_000),
            ("Names: Anna, Bert, Carla, Dora.", 900),
            ("I think that we should all go home now and then see what tomorrow brings", 300),
            ("...", 500),
        ] {
            assert_eq!(heard(text, ms), "", "{text}");
        }
    }

    #[test]
    fn segments_tell_how_sure_they_are() {
        let answer: Answer = serde_json::from_str(
            r#"{"task":"transcribe","language":"english","duration":2.31,"text":"A table. Thank you.",
                "segments":[{"id":0,"start":0.0,"end":1.2,"text":" A table.","avg_logprob":-0.21,
                             "compression_ratio":1.1,"no_speech_prob":0.01},
                            {"id":1,"start":1.2,"end":2.3,"text":" Thank you.","avg_logprob":-0.4,
                             "compression_ratio":1.1,"no_speech_prob":0.93}]}"#,
        )
        .unwrap();
        let (text, confidence) = judge(&answer, Duration::from_secs(2), "");
        assert_eq!(text, "A table.");
        assert!((confidence.unwrap() - 0.81).abs() < 0.01);
    }
}
