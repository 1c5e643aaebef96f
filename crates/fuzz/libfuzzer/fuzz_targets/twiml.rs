//! TwiML that a server under test answers with.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| offhook_fuzz::twiml(data));
