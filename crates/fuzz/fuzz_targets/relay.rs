//! ConversationRelay's messages, of both sides: nothing may make the parsers panic, and what we read as ours we write the same.
#![no_main]
use libfuzzer_sys::fuzz_target;
use offhook_twilio::relay::{parse, parse_outbound};

fuzz_target!(|text: &str| {
    let _message = parse(text);
    if let Ok(message) = parse_outbound(text) {
        assert_eq!(parse_outbound(&message.to_json()), Ok(message));
    }
});
