//! The caller's sound, and what a recogniser makes of it.

use offhook_conversation::Input;
use offhook_media_line::MediaInput;
use offhook_stage_api::{SttEvent, Transcript};

use super::state::{Event, FRAMES, MESSAGE_US, Media, Saying};
use crate::world::play::World;
use crate::world::scene::Ear;

/// The caller's words take so long.
pub(super) const WORD_US: u64 = 280_000;

pub(super) fn voice_frame() -> [u8; FRAMES * 160] {
    let mut frame = [0; FRAMES * 160];
    for (n, octet) in frame.iter_mut().enumerate() {
        let t = (n % 160) as f64 / 8_000.0;
        let harmonics = (1..14)
            .map(|k| (std::f64::consts::TAU * 150.0 * f64::from(k) * t).sin() / (1.0 + f64::from(k) / 4.0));
        *octet = offhook_mulaw::encode((harmonics.sum::<f64>() * 2_500.0) as i16);
    }
    frame
}

/// Sound of the caller's line: after what is sounding already.
pub(super) fn caller_sounds(world: &mut World<Media>, text: Option<&'static str>, ear: Ear, length_us: u64) {
    let start = world.side.caller_free.max(world.now);
    let saying = world.side.sayings.len();
    world.side.sayings.push(Saying { text, ear, from: None, next_partial: 300_000, latest: 0, length_us });
    let silence = 4 * MESSAGE_US;
    for from_us in (0..length_us + silence).step_by(MESSAGE_US as usize) {
        let speech = from_us < length_us;
        let last = from_us + MESSAGE_US == length_us;
        let sent = start + from_us + MESSAGE_US;
        world.side_later(sent, Event::Speaks { speech, saying, last });
    }
    world.side.caller_free = start + length_us + silence;
    world.caller_until = world.caller_until.max(start + length_us);
}

pub(super) fn frames(world: &mut World<Media>, payload: &[u8]) {
    world.side.fed += payload.len() as u64;
    world.feed(Input::Line(MediaInput::Media { timestamp_ms: None, payload }));
}

pub(super) fn sound(world: &mut World<Media>, speech: bool, saying: usize, last: bool) {
    let payload = if speech { world.side.voice_frame } else { [0xFF; FRAMES * 160] };
    let begin = world.side.fed;
    if speech {
        world.caller_until = world.caller_until.max(world.now);
    }
    frames(world, &payload);
    if !speech {
        return;
    }
    let (now, fed, partials) = (world.now, world.side.fed, world.scene.setup.partials);
    let said = &mut world.side.sayings[saying];
    let from = *said.from.get_or_insert(begin);
    let Some(text) = said.text else { return };
    let until_us = (fed - from) / 8 * 1_000;
    let mut events: Vec<(u64, SttEvent)> = Vec::new();
    if partials && until_us >= said.next_partial && !last {
        said.next_partial = until_us + 240_000;
        let words: Vec<&str> = text.split_whitespace().take((until_us / WORD_US) as usize).collect();
        let transcript = Transcript { from, until: fed, text: words.join(" "), ..Transcript::default() };
        let at = (now + said.ear.partial_ms * 1_000).max(said.latest);
        said.latest = at;
        events.push((at, SttEvent::Partial(transcript)));
    }
    if last && !said.ear.lost {
        let until = from + said.length_us / 1_000 * 8;
        let transcript = Transcript { from, until, text: text.to_owned(), ..Transcript::default() };
        events.push(((now + said.ear.final_ms * 1_000).max(said.latest), SttEvent::Final(transcript)));
    }
    for (at, event) in events {
        world.side_later(at, Event::Stt(event));
    }
}

/// The connection broke: of what was being said, the recogniser has heard what had arrived.
pub(super) fn hang_over(world: &mut World<Media>) {
    let (now, fed) = (world.now, world.side.fed);
    let Some(said) = world.side.sayings.last_mut() else { return };
    let (Some(from), Some(text)) = (said.from, said.text) else { return };
    let heard_us = (fed - from) / 8 * 1_000;
    if heard_us >= said.length_us || said.ear.lost {
        return;
    }
    let words: Vec<&str> = text.split_whitespace().take((heard_us / WORD_US) as usize).collect();
    if !words.is_empty() {
        let transcript = Transcript { from, until: fed, text: words.join(" "), ..Transcript::default() };
        let at = (now + said.ear.final_ms * 1_000).max(said.latest);
        world.side_later(at, Event::Stt(SttEvent::Final(transcript)));
    }
}
