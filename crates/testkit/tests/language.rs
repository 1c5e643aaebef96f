//! A call that goes on in another language.

use std::time::Duration;

use offhook_conversation::LanguagePhrases;
use offhook_media_line::CallConfig;
use offhook_testkit::Phone;

fn config() -> CallConfig {
    let spanish = LanguagePhrases {
        fillers: Some(vec!["Un momento, por favor.".into()]),
        check_ins: Some(vec!["¿Sigue ahí?".into()]),
        farewell: Some("No le oigo. Adiós.".into()),
        ..LanguagePhrases::default()
    };
    let languages = [("en-US".to_owned(), LanguagePhrases::default()), ("es-ES".to_owned(), spanish)];
    let mut config = CallConfig::default();
    config.conversation_mut().timeouts.caller_silent = Duration::from_secs(3);
    config.conversation_mut().languages = languages.into();
    config
}

#[test]
fn the_next_reply_and_the_engines_own_sentences_are_in_the_new_language() {
    let line = Phone::with(config())
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "can we speak spanish")
        .agent_uses("", r#"switch_language {"language":"es"}"#)
        .agent_says("Claro, dígame.");
    insta::assert_snapshot!(line.run(20_000).timeline);
}

#[test]
fn a_reply_that_speaks_before_it_switches_ends_in_its_own_voice() {
    let line = Phone::with(config())
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "can we speak spanish")
        .agent_uses("Of course, one moment.", r#"switch_language {"language":"es-ES"}"#)
        .agent_says("Ya está.");
    insta::assert_snapshot!(line.run(10_000).timeline);
}

#[test]
fn a_language_that_the_agent_has_not_is_refused() {
    let line = Phone::with(config())
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "can we speak french")
        .agent_uses("One moment.", r#"switch_language {"language":"fr-FR"}"#)
        .agent_says("I am sorry, I speak English and Spanish.");
    insta::assert_snapshot!(line.run(9_000).timeline);
}
