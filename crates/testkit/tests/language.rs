//! A call that goes on in another language.

use std::time::Duration;

use offhook_conversation::{ConversationConfig, LanguagePhrases};
use offhook_media_line::CallConfig;
use offhook_relay_line::RelayInput;
use offhook_testkit::relay_phone::Does;
use offhook_testkit::{Phone, RelayPhone};

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

// ConversationRelay.

fn of_two_languages() -> ConversationConfig {
    let spanish = LanguagePhrases {
        fillers: Some(vec!["Un momento, por favor.".into()]),
        reconnected: Some("Perdone, se cortó.".into()),
        ..LanguagePhrases::default()
    };
    let languages = [("en-US".to_owned(), LanguagePhrases::default()), ("es-ES".to_owned(), spanish)];
    let mut config = ConversationConfig { languages: languages.into(), ..ConversationConfig::default() };
    config.phrases.greeting = Some("Hello, this is the hotel.".into());
    config
}

fn switches(text: &'static str, language: &str) -> Does {
    Does::Uses(text, "switch_language", serde_json::json!({ "language": language }))
}

#[test]
fn another_language_is_told_and_spoken_from_the_next_answer_on() {
    let model = [switches("", "es"), Does::Says("Claro, dígame.", 0), Does::Sleeps];
    let mut phone = RelayPhone::new(of_two_languages(), &model);
    phone.says(3_000, "¿Habla español?");
    phone.says(7_000, "Una mesa, por favor.");
    phone.until(10_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn what_is_being_said_ends_before_the_language_changes() {
    let mut phone = RelayPhone::new(of_two_languages(), &[switches("Of course.", "es-ES")]);
    phone.says(3_000, "Spanish, please.");
    phone.until(6_000);
    let places = ["“Of", "course.” .", "language es-ES"].map(|what| phone.timeline.find(what).unwrap());
    assert!(places.is_sorted(), "{}", phone.timeline);
}

#[test]
fn the_language_is_told_again_after_a_loss_and_a_wrong_one_is_refused() {
    let mut phone = RelayPhone::new(of_two_languages(), &[switches("", "es"), Does::Says("Dígame.", 0)]);
    phone.says(3_000, "¿Español?");
    phone.until(6_000);
    phone.feed(RelayInput::Lost);
    phone.feed(RelayInput::Back);
    assert_eq!(phone.timeline.matches("language es-ES").count(), 2, "{}", phone.timeline);
    assert!(phone.timeline.contains("Perdone, se cortó."), "{}", phone.timeline);
    let mut phone = RelayPhone::new(of_two_languages(), &[switches("", "fr")]);
    phone.says(3_000, "Français?");
    phone.until(6_000);
    assert!(!phone.timeline.contains(" language "), "{}", phone.timeline);
    assert!(phone.asked.contains("must be one of these: en-US, es-ES"), "{}", phone.asked);
}
