//! ConversationRelay's messages of both sides.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| offhook_fuzz::relay(data));
