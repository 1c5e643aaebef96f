//! What comes over the socket: nothing may make the parser panic, and sound must fit where it goes.
#![no_main]
use libfuzzer_sys::fuzz_target;
use offhook_twilio::stream::{Inbound, parse};

fuzz_target!(|text: &str| {
    if let Ok(Inbound::Media(media)) = parse(text) {
        let mut buffer = [0; 16_000];
        let _octets = media.decode(&mut buffer);
    }
});
