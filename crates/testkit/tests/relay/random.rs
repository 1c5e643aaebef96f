//! Calls of text in which anything happens in any order.

use offhook_conversation::{Control, Input};
use offhook_relay_line::RelayInput;
use offhook_stage_api::Key;
use offhook_testkit::RelayPhone;
use offhook_testkit::relay_phone::Does;
use proptest::prelude::*;

use super::greeting;

#[derive(Clone, Debug)]
enum Step {
    Prompt(String, bool),
    Interrupt(String),
    Agent(bool),
    Caller(bool),
    Played(String),
    Key(usize),
    Lost,
    Setup,
    HangUp,
}

fn step() -> impl Strategy<Value = Step> {
    let words = || {
        prop::sample::select(vec!["", "yes", "mm-hm", "two pizzas", "Hello, this is", "Yes", "the hotel."])
            .prop_map(str::to_owned)
    };
    prop_oneof![
        4 => (words(), any::<bool>()).prop_map(|(text, last)| Step::Prompt(text, last)),
        3 => words().prop_map(Step::Interrupt),
        2 => any::<bool>().prop_map(Step::Agent),
        2 => any::<bool>().prop_map(Step::Caller),
        2 => words().prop_map(Step::Played),
        1 => (0..11usize).prop_map(Step::Key),
        1 => Just(Step::Lost),
        2 => Just(Step::Setup),
        1 => Just(Step::HangUp),
    ]
}

proptest! {
    /// Whatever happens in whatever order: the call is never silent after a turn, and always comes to an end.
    #[test]
    fn every_turn_is_met_within_two_seconds_and_every_call_ends(steps in prop::collection::vec((0u64..4_000, step(), 0..5usize), 0..25)) {
        let does = [Does::Says("Yes, of course.", 30), Does::Sleeps, Does::Fails, Does::Stalls("Well, "), Does::Uses("", "look", serde_json::json!({}))];
        let model: Vec<Does> = steps.iter().map(|(_, _, nth)| does[*nth].clone()).collect();
        let mut phone = RelayPhone::new(greeting(), &model);
        phone.tools_fail_after = Some(20_000);
        for (wait, step, _) in &steps {
            phone.until(phone.now + wait);
            let input = match step {
                Step::Prompt(text, last) => RelayInput::Prompt { text, lang: None, last: *last },
                Step::Interrupt(heard) => RelayInput::Interrupt { heard, after: None },
                Step::Agent(on) => RelayInput::AgentSpeaking(*on),
                Step::Caller(on) => RelayInput::CallerSpeaking(*on),
                Step::Played(text) => RelayInput::Played(text),
                Step::Key(nth) => RelayInput::Dtmf(Key::new("0123456789#".chars().nth(*nth).unwrap()).unwrap()),
                Step::Lost => RelayInput::Lost,
                Step::Setup => RelayInput::Back,
                Step::HangUp => {
                    phone.input(Input::Control(Control::HangUp));
                    continue;
                }
            };
            phone.feed(input);
        }
        let before = phone.timeline.len();
        // A last turn, and nobody disturbs: keys are gathered, voices are still.
        phone.until(phone.now + 1_600);
        phone.feed(RelayInput::CallerSpeaking(false));
        phone.feed(RelayInput::AgentSpeaking(false));
        phone.feed(RelayInput::Interrupt { heard: "", after: None });
        let begin = phone.timeline.len();
        phone.says(phone.now + 100, "What time is it now?");
        let asked = phone.timeline[begin..].contains("ask ");
        let from = phone.now;
        phone.until(from + 2_000);
        // A filler that began before is a sound as well.
        let sounds = |line: &str| {
            line.contains("text “") || line.contains("ended ") || (line.contains("heard “") && !line.contains("heard “”"))
        };
        let said = phone.timeline[before..].lines().any(sounds);
        prop_assert!(!asked || said, "{}", phone.timeline);
        phone.until(from + 400_000);
        prop_assert!(phone.timeline.contains("ended "), "{}", phone.timeline);
    }
}
