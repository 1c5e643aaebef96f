//! Tools of the application's: what the caller hears while they work, and what their results lead to.

use offhook_conversation::config::{OnInterruption, ToolBehaviour};
use offhook_media_line::CallConfig;
use offhook_testkit::Phone;

const LOOK: &str = r#"look {"what":"table"}"#;

fn with(manners: ToolBehaviour) -> CallConfig {
    let mut config = CallConfig::default();
    config.conversation_mut().tools = [("look".to_owned(), manners)].into();
    config
}

fn caller(line: Phone) -> Phone {
    line.caller_says(2_500, "pizza-1", "is there a table")
}

fn outcome(mut line: Phone, tool_ms: u64) -> Phone {
    line.tool_outcome = Some(Ok("a table at eight".into()));
    line.tool_ms = tool_ms;
    line
}

#[test]
fn a_quick_tool_needs_no_filler() {
    let line =
        Phone::new().agent_says("Hello.").agent_uses("", LOOK).agent_says("There is a table at eight.");
    insta::assert_snapshot!(outcome(caller(line), 200).run(12_000).timeline);
}

#[test]
fn into_a_slow_tools_silence_goes_a_word() {
    let line =
        Phone::new().agent_says("Hello.").agent_uses("", LOOK).agent_says("There is a table at eight.");
    insta::assert_snapshot!(outcome(caller(line), 6_000).run(20_000).timeline);
}

#[test]
fn a_tool_may_have_a_word_of_its_own() {
    let manners =
        ToolBehaviour { filler: Some("Let me look at the book.".into()), ..ToolBehaviour::default() };
    let line =
        Phone::with(with(manners)).agent_says("Hello.").agent_uses("", LOOK).agent_says("Yes, at eight.");
    insta::assert_snapshot!(outcome(caller(line), 1_500).run(12_000).timeline);
}

#[test]
fn a_tool_announced_in_the_reply_begins_while_it_is_spoken() {
    let line = Phone::new()
        .agent_says("Hello.")
        .agent_uses("One moment, I will look at our book of tables.", LOOK)
        .agent_says("There is a table at eight.");
    insta::assert_snapshot!(outcome(caller(line), 300).run(14_000).timeline);
}

#[test]
fn a_tool_is_given_up_at_an_interruption_if_it_is_declared_so() {
    let manners = ToolBehaviour { on_interruption: OnInterruption::Cancel, ..ToolBehaviour::default() };
    let line = Phone::with(with(manners))
        .agent_says("Hello.")
        .agent_uses("One moment, I will look at our big book of all of our many tables.", LOOK)
        .caller_says(7_000, "pizza-2", "no wait forget it")
        .agent_says("Of course.");
    insta::assert_snapshot!(outcome(caller(line), 8_000).run(20_000).timeline);
}

#[test]
fn a_tool_that_survives_an_interruption_is_answered_afterwards() {
    let line = Phone::new()
        .agent_says("Hello.")
        .agent_uses("One moment, I will look at our big book of all of our many tables.", LOOK)
        .caller_says(7_000, "pizza-2", "outside if you can")
        .agent_says("Outside, certainly.")
        .agent_says("There is a table at eight.");
    insta::assert_snapshot!(outcome(caller(line), 8_000).run(20_000).timeline);
}

#[test]
fn digits_that_the_agent_collects_end_at_their_count() {
    let line = Phone::new()
        .agent_uses("Please key in your four digit number.", r#"collect_digits {"min":4,"max":4}"#)
        .agent_says("Thank you.")
        .key(3_000, '1')
        .key(3_200, '2')
        .key(3_400, '3')
        .key(3_600, '4')
        .run(7_000);
    insta::assert_snapshot!(line.timeline);
}
