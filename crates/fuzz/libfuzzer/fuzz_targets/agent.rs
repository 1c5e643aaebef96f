//! Agents' files, and what a caller may say to them.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| offhook_fuzz::agent(data));
