//! An agent's file, and what a caller may say to it.
#![no_main]
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use offhook_script::{Dialog, Script, shipped};
use offhook_stage_api::ReplyReason;

fuzz_target!(|input: (&str, Vec<String>)| {
    let (file, lines) = input;
    let script = Script::from_toml(file).ok().or_else(|| Script::from_toml(shipped("pizza")?).ok());
    let Some(script) = script else { return };
    let mut dialog = Dialog::new(Arc::new(script));
    for text in lines {
        dialog = dialog.respond(&ReplyReason::Caller { text, confidence: None }).1;
    }
});
