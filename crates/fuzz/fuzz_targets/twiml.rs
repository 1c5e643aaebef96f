//! What a server under test answers to its webhook.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _report = offhook_twilio::twiml::check(200, Some("text/xml"), body);
});
