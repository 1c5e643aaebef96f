//! What a model writes: it is cleaned in a bounded number of steps, and a stream of it as the whole.
#![no_main]
use libfuzzer_sys::fuzz_target;
use offhook_speakable::{Cleaner, LONGEST_SENTENCE, SentenceCutter, is_speakable, speakable};

fuzz_target!(|input: (u8, Vec<String>)| {
    let (language, tokens) = input;
    let languages = ["en-US", "en-GB", "de-DE", "es-MX", "fr-FR", "it"];
    let language = languages[usize::from(language) % languages.len()];
    let (mut cleaner, mut cutter) = (Cleaner::new(language), SentenceCutter::new(language));
    let (mut said, mut written) = (String::new(), String::new());
    for token in &tokens {
        let piece = cleaner.push(token);
        said.push_str(&piece.text.spoken);
        written.push_str(&piece.written);
        cutter.push(token);
        while let Some(piece) = cutter.next_piece() {
            assert!(piece.chars().count() <= LONGEST_SENTENCE);
        }
    }
    let piece = cleaner.finish();
    said.push_str(&piece.text.spoken);
    written.push_str(&piece.written);
    let whole = tokens.concat();
    assert_eq!(written, whole);
    let thought = ["</", "[/", "◁/"].iter().any(|end| whole.contains(end));
    if !thought && is_speakable(&whole, language) {
        assert_eq!(said, speakable(&whole, language));
    }
    while cutter.rest().is_some() {}
});
