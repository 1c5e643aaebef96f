//! The telephone: Twilio's playout and marks, a caller of sound, a recogniser and a voice.

mod caller;
mod state;
mod voice;

use std::collections::BTreeMap;

use offhook_conversation::{Call, CallEvent, Input, UtteranceKind};
use offhook_endpoint::DetectorKind;
use offhook_media_line::{CallConfig, MediaInput, MediaLine, MediaWire, media_call};
use offhook_stage_api::{Key, SttEvent, TtsCommand, TtsEvent};

use caller::{WORD_US, caller_sounds, frames, hang_over, sound, voice_frame};
use state::{Event, FRAMES, MESSAGE_US};
pub use state::{Media, Word};
use voice::speak;

use super::books::Books;
use super::play::{Later, Side, World, configure};
use super::scene::{Ear, Scene, Step};
use super::stages::failure;

/// Long after speech a frame comes each so often, which is enough for the line not to starve.
const IDLE_US: u64 = 500_000;
/// Until then sound comes as always, so that places in it follow from times as in a real call.
const LONG_AFTER_US: u64 = 3_000_000;

impl Side for Media {
    type Line = MediaLine;
    type Later = Event;
    const NAME: &'static str = "media line";
    const ESTIMATED: bool = false;

    fn new(scene: &Scene) -> (Call<MediaLine>, Self) {
        let mut config = CallConfig::default();
        config.inbound.speech.detector = DetectorKind::Energy;
        config.inbound.echo_guard = false;
        config.playout.duck = 0.0; // what is lowered is sent once more
        configure(&scene.setup, config.conversation_mut());
        let side = Self {
            voice_frame: voice_frame(),
            fed: 0,
            caller_free: 0,
            sayings: Vec::new(),
            heard_sayings: 0,
            deaf: false,
            mute: false,
            pieces: 0,
            voice_free: BTreeMap::new(),
            codes: Vec::new(),
            words: BTreeMap::new(),
            broken: Vec::new(),
            play_end: 0,
            sent_end: 0,
            on_its_way: 0,
            generation: 0,
            marks: 0,
            hidden_frames: 0,
        };
        (media_call(config), side)
    }

    fn begin(world: &mut World<Self>) {
        world.side_later(world.now + MESSAGE_US, Event::Idle);
    }

    fn on_wire(world: &mut World<Self>, wire: MediaWire) {
        match &wire {
            MediaWire::Media(frame) => {
                let start = world.side.sent_end.max(world.now);
                world.side.sent_end = start + 20_000;
                for (id, place, count) in world.side.words_in(&frame.0) {
                    let word = &mut world.side.words.get_mut(&id).unwrap()[place];
                    word.sent += count;
                    word.at_once.push((start, count));
                }
            }
            MediaWire::HiddenMedia(_) => {
                world.side.hidden_frames += 1;
                world.side.sent_end = world.side.sent_end.max(world.now) + 20_000;
            }
            MediaWire::Clear => {
                world.side.sent_end = world.side.sent_end.min(world.now);
                let now = world.now;
                for word in world.side.words.values_mut().flatten() {
                    word.at_once.retain(|(from, _)| *from < now);
                }
            }
            MediaWire::Mark(_) => {}
        }
        let at = world.to_twilio.arrives(world.now);
        if matches!(wire, MediaWire::Media(_) | MediaWire::HiddenMedia(_)) {
            world.side.on_its_way = at + 20_000;
        }
        if at == world.now { Self::arrives(world, wire) } else { world.side_later(at, Event::Arrives(wire)) }
    }

    fn on_tts(world: &mut World<Self>, command: TtsCommand) {
        match command {
            TtsCommand::Speak(request) => speak(world, &request),
            TtsCommand::Cancel { utterance } => {
                world.forget(
                    |_, later| matches!(later, Later::Side(Event::Tts(event)) if event.of().0 == utterance),
                );
            }
        }
    }

    fn deliver(world: &mut World<Self>, what: Event) {
        match what {
            Event::Speaks { speech, saying, last } => {
                let at = world.from_twilio.arrives(world.now);
                world.side_later(at, Event::Sound { speech, saying, last });
            }
            Event::Sound { speech, saying, last } => sound(world, speech, saying, last),
            Event::Idle => {
                let lately = world.now < world.caller_until + LONG_AFTER_US;
                if world.now >= world.side.caller_free && !world.away {
                    let at = world.from_twilio.arrives(world.now);
                    world.side_later(at, Event::Silence(if lately { FRAMES } else { 1 }));
                }
                let next = if lately { MESSAGE_US } else { IDLE_US };
                world.side_later(world.now + next, Event::Idle);
            }
            Event::Silence(count) => frames(world, &[0xFF; FRAMES * 160][..count * 160]),
            Event::Keys(key) => {
                let at = world.from_twilio.arrives(world.now);
                world.side_later(at, Event::Key(key));
            }
            Event::Key(key) => {
                world.books.on_key(key);
                world.feed(Input::Line(MediaInput::Dtmf(Key::new(key).unwrap())));
            }
            Event::Stt(_) if world.side.deaf => {}
            Event::Stt(event) => {
                world.tell(|| format!("    recogniser {event:?}"));
                world.books.on_stt_event(&event);
                world.feed(Input::Line(MediaInput::Stt(event)));
            }
            Event::Tts(_) if world.side.mute => {}
            Event::Tts(event) => {
                if !matches!(event, TtsEvent::Audio { .. } | TtsEvent::Words { .. }) {
                    world.tell(|| format!("    voice {event:?}"));
                }
                world.feed(Input::Line(MediaInput::Tts(event)));
            }
            Event::Arrives(wire) => Self::arrives(world, wire),
            Event::Played { name, generation } => {
                if generation == world.side.generation {
                    Self::send_mark(world, name);
                }
            }
            Event::Mark(name) => world.feed(Input::Line(MediaInput::Mark(&name))),
        }
    }

    fn cut(world: &mut World<Self>) {
        world.forget(|_, later| {
            let Later::Side(event) = later else { return false };
            !matches!(event, Event::Stt(_) | Event::Tts(_) | Event::Idle)
        });
        let now = world.now;
        let side = &mut world.side;
        for word in side.words.values_mut().flatten() {
            word.played.retain(|(from, _)| *from < now);
            word.at_once.retain(|(from, _)| *from < now);
        }
        side.generation += 1;
        side.on_its_way = 0;
        (side.play_end, side.sent_end) = (side.play_end.min(now), side.sent_end.min(now));
        side.caller_free = now;
        hang_over(world);
    }

    fn lost() -> MediaInput<'static> {
        MediaInput::Lost
    }

    fn back() -> MediaInput<'static> {
        MediaInput::Back
    }

    fn caller_does(world: &mut World<Self>, step: &Step) {
        match step {
            Step::Says(text) => {
                let ear = world.scene.ear.get(world.side.heard_sayings).cloned().unwrap_or_default();
                world.side.heard_sayings += 1;
                let length = text.split_whitespace().count() as u64 * WORD_US;
                caller_sounds(world, Some(text), ear, length.next_multiple_of(MESSAGE_US));
            }
            Step::Noise(ms) => {
                caller_sounds(world, None, Ear::default(), (ms * 1_000).next_multiple_of(MESSAGE_US));
            }
            Step::Keys(keys) => {
                for (nth, key) in (0..).zip(keys.chars()) {
                    world.side_later(world.now + nth * 200_000, Event::Keys(key));
                }
            }
            Step::VoiceEnds => {
                if !std::mem::replace(&mut world.side.mute, true) {
                    world.books.voice_trouble();
                    let side = &mut world.side;
                    let unsent = |words: &&Vec<Word>| words.iter().any(|word| word.sent + 160 < word.samples);
                    let cut = side.words.iter().filter(|(_, words)| unsent(words)).map(|(id, _)| *id);
                    side.broken.extend(cut);
                    world.feed(Input::Line(MediaInput::TtsEnded(failure("voice"))));
                }
            }
            Step::EarFails => {
                if !std::mem::replace(&mut world.side.deaf, true) {
                    let event = SttEvent::Failed(failure("recogniser"));
                    world.books.on_stt_event(&event);
                    world.feed(Input::Line(MediaInput::Stt(event)));
                }
            }
            _ => {}
        }
    }

    fn agent_until(&self) -> u64 {
        self.play_end.max(self.on_its_way)
    }

    fn check_said(&self, books: &Books, event: &CallEvent, now: u64) -> Result<(), String> {
        let CallEvent::Said { utterance, what, heard, interrupted, text, .. } = event else { return Ok(()) };
        let Some(words) = self.words.get(utterance) else { return Ok(()) };
        if *what == UtteranceKind::Keys {
            return Ok(());
        }
        let broken = self.broken.contains(utterance);
        if !interrupted && !broken {
            // It may have been cut off in its last word, of which the greater half was heard.
            let (last, words) =
                words.split_last().map_or((None, &words[..]), |(last, words)| (Some(last), words));
            let unsent = words.iter().filter(|word| word.sent + 160 < word.samples).count()
                + last.into_iter().filter(|word| word.sent * 2 + 160 < word.samples).count();
            if unsent > 0 {
                return Err(format!(
                    "heard: “{text}” counts as said, but {unsent} of its words were not sent whole"
                ));
            }
        }
        let setup = &books.setup;
        let told = heard.split_whitespace().count();
        let played = |frames: &[(u64, u64)], at: u64| -> u64 {
            frames.iter().filter(|(from, _)| *from <= at).map(|(_, samples)| *samples).sum()
        };
        // Ahead of what was played by no more than the network's delay.
        let begun = |word: &&Word| played(&word.at_once, now) + played(&word.played, now) > 0;
        let begun = words.iter().filter(begun).count();
        if told > begun && !books.stalled && !broken {
            return Err(format!("heard: “{heard}” counts as heard, but only {begun} words were begun"));
        }
        let behind = now.saturating_sub((setup.back_ms + 60) * 1_000);
        let certain = words.iter().filter(|word| played(&word.played, behind) * 2 > word.samples).count();
        let marks = setup.lost_marks == 0;
        if told + 1 < certain && marks && !books.stalled && !broken {
            return Err(format!("heard: “{heard}” counts as heard, but {certain} words were played"));
        }
        Ok(())
    }
}

impl Media {
    fn arrives(world: &mut World<Self>, wire: MediaWire) {
        let now = world.now;
        let side = &mut world.side;
        match wire {
            MediaWire::Media(frame) => {
                let start = side.play_end.max(now);
                side.play_end = start + 20_000;
                for (id, place, count) in side.words_in(&frame.0) {
                    side.words.get_mut(&id).unwrap()[place].played.push((start, count));
                }
            }
            MediaWire::HiddenMedia(_) => side.play_end = side.play_end.max(now) + 20_000,
            MediaWire::Mark(name) => {
                side.marks += 1;
                let lost = world.scene.setup.lost_marks;
                if lost == 0 || !side.marks.is_multiple_of(lost) {
                    let generation = side.generation;
                    let at = side.play_end.max(now);
                    world.side_later(at, Event::Played { name: name.to_string(), generation });
                }
            }
            MediaWire::Clear => {
                side.play_end = side.play_end.min(now);
                side.generation += 1;
                for word in side.words.values_mut().flatten() {
                    word.played.retain(|(from, _)| *from < now);
                }
            }
        }
    }

    fn send_mark(world: &mut World<Self>, name: String) {
        let at = world.from_twilio.arrives(world.now);
        world.side_later(at, Event::Mark(name));
    }
}
