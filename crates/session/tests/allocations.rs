//! The way of a frame from Twilio's message to the recogniser's queue takes nothing from the heap.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use offhook_conversation::{Input, Output};
use offhook_media_line::{CallConfig, MediaInput, media_call};
use offhook_stage_api::{CallTime, SttCommand};
use offhook_stages::{WhenFull, bounded};
use offhook_twilio::stream::{Inbound, parse};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(at, layout, size) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() -> usize {
    COUNT.with(Cell::get)
}

/// The octets of a fixture's line.
fn line(name: &str) -> Vec<u8> {
    let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let wav = std::fs::read(path).unwrap();
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    wav[data..].to_vec()
}

/// As Twilio writes it.
fn message(number: usize, octets: &[u8]) -> String {
    use base64::Engine;
    let payload = base64::engine::general_purpose::STANDARD.encode(octets);
    let at = 155 + number * 20;
    format!(
        r#"{{"event":"media","sequenceNumber":"{number}","media":{{"track":"inbound","chunk":"{number}","timestamp":"{at}","payload":"{payload}"}},"streamSid":"MZ1"}}"#
    )
}

#[test]
fn a_frame_on_its_way_in_takes_nothing_from_the_heap() {
    let mut config = CallConfig::default();
    config.conversation_mut().timeouts.caller_silent = std::time::Duration::from_secs(60);
    let mut call = media_call(config);
    let (to_stt, stt) = bounded(100, WhenFull::DropOldest);
    call.handle(Input::Start, CallTime::ZERO);
    while call.poll_output().is_some() {}
    let mut sound = vec![0xFF; 160 * 100];
    sound.extend(line("pizza-2"));
    sound.extend(vec![0xFF; 160 * 100]);
    let messages: Vec<String> =
        sound.chunks_exact(160).enumerate().map(|(number, octets)| message(number, octets)).collect();
    let (mut plain, mut told) = (0, 0);
    for (number, text) in messages.iter().enumerate() {
        let now = CallTime::from_millis(20 * (number as u64 + 1));
        let before = count();
        let Ok(Inbound::Media(media)) = parse(text) else { panic!("{text}") };
        let mut octets = [0; 321];
        let payload = media.decode(&mut octets).unwrap();
        call.handle(Input::Line(MediaInput::Media { timestamp_ms: media.timestamp_ms, payload }), now);
        let mut events = 0;
        while let Some(output) = call.poll_output() {
            match output {
                Output::Stt(command @ SttCommand::Audio { .. }) => to_stt.offer_by_policy(command).unwrap(),
                // The beginning or the end of something: rare, and may take what it needs.
                _ => events += 1,
            }
        }
        stt.try_recv().unwrap();
        if events == 0 {
            // The first frames make the room that all others use.
            assert!(number < 3 || count() == before, "frame {number}: {} allocations", count() - before);
            plain += 1;
        } else {
            told += 1;
        }
    }
    assert!(plain > 250 && (2..20).contains(&told), "{plain} {told}");
}
