//! Webhook forms, and the addresses that signatures are made of.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| offhook_fuzz::webhook(data));
