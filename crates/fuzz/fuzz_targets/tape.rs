//! A tape from elsewhere.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|tape: &str| {
    let _outcome = offhook_tape::replay(tape, offhook_media_line::CallConfig::default());
});
