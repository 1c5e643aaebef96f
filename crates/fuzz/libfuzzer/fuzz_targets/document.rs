//! What is kept of calls, and what is looked for among them.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| offhook_fuzz::document(data));
