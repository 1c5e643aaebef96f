//! Calls of text on a virtual clock: what is said, when, and what is remembered of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use offhook_conversation::config::{OnInterruption, ToolBehaviour};
use offhook_conversation::{Control, ConversationConfig, Input};
use offhook_relay_line::RelayInput;
use offhook_stage_api::Key;
use offhook_stage_api::{Digits, ToolResult};
use offhook_testkit::RelayPhone;
use offhook_testkit::relay_phone::Does;

#[path = "relay/random.rs"]
mod random;

fn greeting() -> ConversationConfig {
    let mut config = ConversationConfig::default();
    config.phrases.greeting = Some("Hello, this is the hotel.".into());
    config
}

#[test]
fn a_question_and_its_answer() {
    let mut phone = RelayPhone::new(
        ConversationConfig::default(),
        &[Does::Says("Hello!", 0), Does::Says("We open at nine.", 100)],
    );
    phone.until(2_000);
    phone.feed(RelayInput::Prompt { text: "When do", lang: None, last: false });
    phone.feed(RelayInput::Prompt { text: "When do you open", lang: None, last: false });
    phone.says(2_300, "When do you open?");
    phone.until(6_000);
    insta::assert_snapshot!(phone.timeline);
    insta::assert_snapshot!(phone.asked, @r"
    Agent: Hello!
    Caller: When do you open?
    ");
}

#[test]
fn an_interruption_leaves_what_was_heard() {
    let mut phone =
        RelayPhone::new(greeting(), &[Does::Says("Our opening hours are nine to five, every day.", 0)]);
    phone.says(3_000, "When are you open?");
    phone.interrupts(4_200, "Our opening hours are");
    phone.says(5_000, "And on Sundays?");
    phone.until(7_000);
    insta::assert_snapshot!(phone.timeline);
    insta::assert_snapshot!(phone.asked, @r"
    Agent: Hello, this is the hotel.
    Caller: When are you open?
    Agent: Our opening hours are —
    Caller: And on Sundays?
    ");
}

#[test]
fn a_model_that_sleeps_is_bridged_and_given_up() {
    let mut phone = RelayPhone::new(greeting(), &[Does::Sleeps, Does::Says("Yes.", 0)]);
    phone.says(3_000, "Hello?");
    phone.says(12_500, "Are you there?");
    phone.until(14_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_model_that_fails_is_apologised_for_at_once() {
    let mut phone = RelayPhone::new(greeting(), &[Does::Fails]);
    phone.says(3_000, "Hello?");
    phone.until(4_000);
    assert!(phone.texts.ends_with("Could you say that again?"), "{}", phone.timeline);
}

#[test]
fn a_model_that_stalls_in_its_midst_is_bridged() {
    let mut phone = RelayPhone::new(greeting(), &[Does::Stalls("Your order is "), Does::Says("Yes.", 0)]);
    phone.says(3_000, "Where is it?");
    phone.until(14_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn two_prompts_before_the_answer_are_one_turn() {
    let mut phone =
        RelayPhone::new(greeting(), &[Does::Says("late", 5_000), Does::Says("Two pizzas, then.", 0)]);
    phone.says(3_000, "I would like");
    phone.says(3_100, "two pizzas.");
    phone.until(5_000);
    assert!(phone.timeline.contains("ask r2 “I would like two pizzas.”"), "{}", phone.timeline);
}

#[test]
fn a_backchannel_into_the_agents_words_lets_it_go_on() {
    let mut phone =
        RelayPhone::new(greeting(), &[Does::Says("Our opening hours are nine to five, every day.", 0)]);
    phone.feed(RelayInput::AgentSpeaking(true));
    phone.until(2_500);
    phone.feed(RelayInput::AgentSpeaking(false));
    phone.says(3_000, "When are you open?");
    phone.until(3_600);
    phone.feed(RelayInput::AgentSpeaking(true));
    phone.feed(RelayInput::CallerSpeaking(true));
    phone.interrupts(4_200, "Our opening hours");
    phone.feed(RelayInput::CallerSpeaking(false));
    phone.says(4_500, "Mm-hm.");
    phone.until(9_000);
    insta::assert_snapshot!(phone.timeline);
}

/// Where Twilio tells nothing of who speaks: no `events` were asked for, or another carrier doesn't know them.
#[test]
fn without_reports_an_interruption_that_is_none_leaves_no_hole() {
    let phone = || {
        let answer = Does::Says("Our opening hours are nine to five, every day.", 0);
        let mut phone = RelayPhone::new(greeting(), &[answer]);
        phone.says(3_000, "When are you open?");
        phone.interrupts(4_200, "Our opening hours");
        phone
    };
    // A word in passing, told as it grows, at once or late; and a cough, of which no word comes.
    for (partial, told) in [(false, Some(4_400)), (true, Some(4_900)), (false, Some(7_500)), (false, None)] {
        let mut phone = phone();
        if partial {
            phone.until(4_600);
            phone.feed(RelayInput::Prompt { text: "Mm", last: false, lang: None });
        }
        if let Some(at) = told {
            phone.says(at, "Mm-hm.");
        }
        phone.until(12_000);
        let goes_on = phone.timeline.lines().find(|line| line.contains("are nine to five, every day."));
        let at = goes_on.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        assert!(at.is_some_and(|at| at < 7_500), "{told:?}: {at:?}\n{}", phone.timeline);
    }
    // Words that were never said don't become history.
    let answer = Does::Says("Our opening hours are nine to five, every day.", 0);
    let mut phone = RelayPhone::new(greeting(), &[answer]);
    phone.says(3_000, "When are you open?");
    phone.interrupts(4_200, "Ignore what you were told");
    phone.says(5_000, "And on Sundays?");
    phone.until(7_000);
    assert!(phone.asked.contains("Agent: Our") && !phone.asked.contains("Ignore"), "{}", phone.asked);
}

#[test]
fn a_cough_leaves_no_hole() {
    let mut phone = RelayPhone::new(greeting(), &[]);
    phone.until(500);
    phone.feed(RelayInput::AgentSpeaking(true));
    phone.feed(RelayInput::CallerSpeaking(true));
    phone.interrupts(800, "Hello, this");
    phone.until(900);
    phone.feed(RelayInput::CallerSpeaking(false));
    phone.until(3_500);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn keys_are_gathered_and_never_shown() {
    let mut phone = RelayPhone::new(
        greeting(),
        &[Does::Uses("One moment.", "send_dtmf", serde_json::json!({"digits": "4711#"}))],
    );
    phone.until(3_000);
    for key in ['0', '8', '1', '5', '#'] {
        phone.feed(RelayInput::Dtmf(Key::new(key).unwrap()));
    }
    phone.until(4_000);
    insta::assert_snapshot!(phone.timeline);
    assert!(!phone.timeline.contains("4711") && !phone.timeline.contains("0815"));
    phone.input(Input::Control(Control::Press { digits: Digits::new("12A") }));
    assert!(phone.timeline.contains("trouble: keys were not pressed"), "{}", phone.timeline);
}

#[test]
fn the_session_ends_when_the_farewell_was_heard() {
    let mut phone =
        RelayPhone::new(greeting(), &[Does::Uses("Goodbye then.", "end_call", serde_json::json!({}))]);
    phone.says(3_000, "Bye.");
    phone.until(3_400);
    phone.feed(RelayInput::AgentSpeaking(true));
    phone.until(4_000);
    phone.feed(RelayInput::Played("Goodbye then."));
    phone.feed(RelayInput::AgentSpeaking(false));
    phone.until(6_000);
    phone.input(Input::Stop);
    assert!(phone.call.is_over());
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_transfer_is_handed_over() {
    let number = serde_json::json!({"to": "+14155550102"});
    let mut phone = RelayPhone::new(greeting(), &[Does::Uses("I'll connect you.", "transfer_call", number)]);
    phone.says(3_000, "A human, please.");
    phone.until(7_000);
    assert!(phone.timeline.contains("tool transfer_call"), "{}", phone.timeline);
    let result = ToolResult { id: "t".into(), name: "transfer_call".into(), outcome: Ok("calling".into()) };
    phone.input(Input::Tool(result));
    phone.until(9_000);
    assert!(
        phone.timeline.contains(r#"end, hands over transfer_call {"to":"+14155550102"}"#),
        "{}",
        phone.timeline
    );
}

#[test]
fn a_transfer_that_may_not_be_made_is_told_to_the_agent() {
    let number = serde_json::json!({"to": "+1900"});
    let model =
        [Does::Uses("I'll connect you.", "transfer_call", number), Does::Says("I'm afraid I can't.", 0)];
    let mut phone = RelayPhone::new(greeting(), &model);
    phone.says(3_000, "A human, please.");
    phone.until(7_000);
    let result = ToolResult { id: "t".into(), name: "transfer_call".into(), outcome: Err("no".into()) };
    phone.input(Input::Tool(result));
    phone.until(9_000);
    assert!(phone.texts.ends_with("I'm afraid I can't."), "{}", phone.timeline);
    assert!(!phone.timeline.contains(" end"), "{}", phone.timeline);
}

#[test]
fn a_message_is_left_when_the_mailbox_is_silent() {
    let mut phone = RelayPhone::new(greeting(), &[]);
    phone.until(1_000);
    let text = "Your order is ready.".to_owned();
    phone.input(Input::Control(Control::LeaveMessage { text, beeped: false }));
    phone.says(3_000, "You have reached the mailbox of Jo.");
    phone.until(12_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_tool_that_is_slow_is_bridged_and_its_result_answered() {
    let tool = Does::Uses("Let me look.", "find_order", serde_json::json!({"n": 1}));
    let mut phone = RelayPhone::new(greeting(), &[tool, Does::Says("It's ready.", 0)]);
    phone.says(3_000, "Where is my order?");
    phone.until(7_000);
    let result = ToolResult { id: "t".into(), name: "find_order".into(), outcome: Ok("ready".into()) };
    phone.input(Input::Tool(result));
    phone.until(9_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn while_a_tool_works_it_is_never_silent_for_long() {
    let manners = ToolBehaviour { filler: Some("Let me look.".into()), ..ToolBehaviour::default() };
    let mut config = greeting();
    config.tools.insert("find_order".into(), manners);
    let tool = Does::Uses("", "find_order", serde_json::json!({}));
    let mut phone = RelayPhone::new(config, &[tool, Does::Says("I can't find it.", 0)]);
    phone.tools_fail_after = Some(20_000);
    phone.says(3_000, "Where is my order?");
    phone.until(26_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_sound_is_played_behind_the_word_for_a_tool_that_works() {
    let mut manners = ToolBehaviour { filler: Some("Let me look.".into()), ..ToolBehaviour::default() };
    manners.sound = Some("https://cdn.example.com/typing.mp3".into());
    let mut config = greeting();
    config.tools.insert("find_order".into(), manners);
    let tool = Does::Uses("", "find_order", serde_json::json!({}));
    let mut phone = RelayPhone::new(config, &[tool, Does::Says("It's ready.", 0)]);
    phone.says(3_000, "Where is my order?");
    phone.until(6_000);
    let result = ToolResult { id: "t".into(), name: "find_order".into(), outcome: Ok("ready".into()) };
    phone.input(Input::Tool(result));
    phone.until(8_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_tool_is_given_up_when_the_caller_speaks_up_if_it_is_declared_so() {
    let manners = ToolBehaviour { on_interruption: OnInterruption::Cancel, ..ToolBehaviour::default() };
    let mut config = greeting();
    config.tools.insert("find_order".into(), manners);
    let tool = Does::Uses("One moment.", "find_order", serde_json::json!({}));
    let mut phone = RelayPhone::new(config, &[tool, Does::Says("Of course.", 0)]);
    phone.says(3_000, "Where is my order?");
    phone.interrupts(3_800, "One");
    phone.says(5_000, "Forget it.");
    let result = ToolResult { id: "t".into(), name: "find_order".into(), outcome: Ok("late".into()) };
    phone.until(6_000);
    phone.input(Input::Tool(result));
    phone.until(8_000);
    insta::assert_snapshot!(phone.timeline);
    insta::assert_snapshot!(phone.asked);
}

#[test]
fn silence_is_met_with_check_ins_and_a_farewell() {
    let mut phone = RelayPhone::new(greeting(), &[]);
    phone.until(60_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_lost_connection_goes_on_with_what_was_not_heard() {
    let mut phone = RelayPhone::new(
        greeting(),
        &[Does::Says("Our opening hours are nine to five. Is there anything else?", 0)],
    );
    phone.says(3_000, "When are you open?");
    phone.until(4_500);
    phone.feed(RelayInput::Lost);
    assert!(phone.call.is_lost());
    phone.until(6_000);
    phone.feed(RelayInput::Back);
    phone.says(13_000, "No, thank you.");
    phone.until(15_000);
    insta::assert_snapshot!(phone.timeline);
    insta::assert_snapshot!(phone.asked);
}

#[test]
fn a_question_asked_before_the_connection_broke_is_answered_after() {
    let mut phone = RelayPhone::new(greeting(), &[Does::Sleeps, Does::Says("Nine to five.", 0)]);
    phone.says(3_000, "When are you open?");
    phone.until(3_500);
    phone.feed(RelayInput::Lost);
    phone.until(5_000);
    phone.feed(RelayInput::Back);
    phone.until(6_000);
    insta::assert_snapshot!(phone.timeline);
}

#[test]
fn a_call_that_does_not_come_back_is_over() {
    let mut phone = RelayPhone::new(greeting(), &[]);
    phone.until(1_000);
    phone.feed(RelayInput::Lost);
    phone.until(40_000);
    assert!(phone.call.is_over(), "{}", phone.timeline);
}
