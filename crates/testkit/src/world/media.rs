//! The telephone: Twilio's playout and marks, a caller of sound, a recogniser and a voice.

use std::collections::BTreeMap;

use offhook_conversation::{Call, CallEvent, Input, UtteranceKind};
use offhook_endpoint::DetectorKind;
use offhook_media_line::{CallConfig, MediaInput, MediaLine, MediaWire, media_call};
use offhook_stage_api::{
    AudioChunk, Key, SpeakRequest, SttEvent, TimedWord, Transcript, TtsCommand, TtsEvent, UtteranceId,
};

use super::scene::{Ear, End, Scene, Step};
use super::stages::failure;
use super::{Books, Later, Side, World, configure};

/// Sound comes in messages of so many frames.
const FRAMES: usize = 3;
const MESSAGE_US: u64 = FRAMES as u64 * 20_000;
/// Long after speech a frame comes each so often, which is enough for the line not to starve.
const IDLE_US: u64 = 500_000;
/// Until then sound comes as always, so that places in it are told from times as in a real call.
const LONG_AFTER_US: u64 = 3_000_000;
/// The caller's words take so long.
const WORD_US: u64 = 280_000;
/// The agent's voice takes so many samples for a character.
const CHARACTER: u64 = 500;

pub enum Event {
    /// The caller makes this sound: what of what is said, and whether it is the last of it.
    Speaks {
        speech: bool,
        saying: usize,
        last: bool,
    },
    /// It arrives.
    Sound {
        speech: bool,
        saying: usize,
        last: bool,
    },
    Idle,
    /// The caller presses a key.
    Keys(char),
    /// So many frames without speech.
    Silence(usize),
    Key(char),
    Stt(SttEvent),
    Tts(TtsEvent),
    Arrives(MediaWire),
    /// All before the mark was played, if nothing was cleared since.
    Played {
        name: String,
        generation: u32,
    },
    Mark(String),
}

/// What the caller says.
struct Saying {
    text: Option<&'static str>,
    ear: Ear,
    /// Where its sound began on the caller's time line.
    from: Option<u64>,
    next_partial: u64,
    latest: u64,
    length_us: u64,
}

/// A word of the agent's voice.
#[derive(Clone, Debug)]
pub struct Word {
    pub samples: u64,
    pub sent: u64,
    /// As it would be played if nothing was ever late: from when (µs), and samples.
    pub at_once: Vec<(u64, u64)>,
    /// Played or to be played: from when (µs), and samples.
    pub played: Vec<(u64, u64)>,
}

/// The telephone's side.
pub struct Media {
    voice_frame: [u8; FRAMES * 160],
    /// Samples of the caller's sound that have arrived.
    fed: u64,
    caller_free: u64,
    sayings: Vec<Saying>,
    heard_sayings: usize,
    deaf: bool,
    mute: bool,
    pieces: usize,
    /// When the voice is free for more of an utterance; `u64::MAX`: never.
    voice_free: BTreeMap<UtteranceId, u64>,
    /// Which word a value of a sample stands for.
    codes: Vec<(UtteranceId, usize)>,
    pub words: BTreeMap<UtteranceId, Vec<Word>>,
    /// Utterances of which a piece was not spoken whole.
    pub broken: Vec<UtteranceId>,
    play_end: u64,
    /// When all that was sent would have been played, if nothing was ever late.
    sent_end: u64,
    /// When the latest sound that was sent is at Twilio, and has begun to be played.
    on_its_way: u64,
    generation: u32,
    marks: usize,
    pub hidden_frames: usize,
}

/// So many values of samples tell words apart: all but those of silence.
const CODES: usize = 252;

fn octet_of(code: usize) -> u8 {
    let value = code % CODES + 1;
    (if value < 127 { value } else { value + 1 }) as u8
}

fn voice_frame() -> [u8; FRAMES * 160] {
    let mut frame = [0; FRAMES * 160];
    for (n, octet) in frame.iter_mut().enumerate() {
        let t = (n % 160) as f64 / 8_000.0;
        let harmonics = (1..14)
            .map(|k| (std::f64::consts::TAU * 150.0 * f64::from(k) * t).sin() / (1.0 + f64::from(k) / 4.0));
        *octet = offhook_mulaw::encode((harmonics.sum::<f64>() * 2_500.0) as i16);
    }
    frame
}

impl Side for Media {
    type Line = MediaLine;
    type Later = Event;
    const NAME: &'static str = "media line";
    const ESTIMATED: bool = false;

    fn new(scene: &Scene) -> (Call<MediaLine>, Self) {
        let mut config = CallConfig::default();
        config.inbound.speech.detector = DetectorKind::Energy;
        config.inbound.echo_guard = false;
        config.playout.duck = 0.0; // samples keep the values that tell words apart
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
                if world.now >= world.side.caller_free {
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
    fn words_in(&self, frame: &[u8]) -> Vec<(UtteranceId, usize, u64)> {
        let mut all: Vec<(UtteranceId, usize, u64)> = Vec::new();
        // The frame's ends may be faded.
        for octet in frame[40..120].iter().step_by(8) {
            let Some(&(id, place)) = self.code_of(*octet) else { continue };
            match all.iter_mut().find(|(known, at, _)| *known == id && *at == place) {
                Some((_, _, count)) => *count += 16,
                None => all.push((id, place, 16)),
            }
        }
        all
    }

    fn code_of(&self, octet: u8) -> Option<&(UtteranceId, usize)> {
        let value = match usize::from(octet) {
            0 | 127 | 255 => return None,
            octet @ 1..127 => octet - 1,
            octet => octet - 2,
        };
        let newest = self.codes.len().checked_sub(1)?;
        self.codes.get(newest.checked_sub((newest + CODES - value) % CODES)?)
    }

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

/// Sound of the caller's line: after what is sounding already.
fn caller_sounds(world: &mut World<Media>, text: Option<&'static str>, ear: Ear, length_us: u64) {
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

fn frames(world: &mut World<Media>, payload: &[u8]) {
    world.side.fed += payload.len() as u64;
    world.feed(Input::Line(MediaInput::Media { timestamp_ms: None, payload }));
}

fn sound(world: &mut World<Media>, speech: bool, saying: usize, last: bool) {
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

/// The voice speaks a piece, after what it speaks of the utterance already.
fn speak(world: &mut World<Media>, request: &SpeakRequest) {
    let nth = world.side.pieces;
    world.side.pieces += 1;
    let take = world.scene.voice.get(nth).cloned().unwrap_or_default();
    let (utterance, segment) = (request.utterance, request.segment);
    let free = world.side.voice_free.get(&utterance).copied().unwrap_or(0);
    let known = world.side.words.entry(utterance).or_default().len();
    let mut octets = Vec::new();
    let mut timed = Vec::new();
    let words: Vec<&str> = request.text.split_whitespace().collect();
    for (place, word) in words.iter().enumerate() {
        let space = u64::from(place + 1 < words.len());
        let samples = (word.chars().count() as u64 + space) * CHARACTER;
        let start_ms = (octets.len() / 8) as u32;
        octets.resize(octets.len() + samples as usize, octet_of(world.side.codes.len()));
        world.side.codes.push((utterance, known + place));
        timed.push(TimedWord { word: (*word).to_owned(), start_ms, end_ms: (octets.len() / 8) as u32 });
        let word = Word { samples, sent: 0, at_once: Vec::new(), played: Vec::new() };
        world.side.words.get_mut(&utterance).unwrap().push(word);
    }
    let chunks: Vec<Vec<u8>> = octets.chunks(2_000).map(<[u8]>::to_vec).collect();
    let begin = free.max(world.now).saturating_add(take.first_ms * 1_000);
    let mut at = begin;
    let mut events = Vec::new();
    if world.scene.setup.word_times {
        events.push((at, TtsEvent::Words { utterance, segment, words: timed }));
    }
    let count = match take.end {
        End::Whole => usize::MAX,
        End::Fails(after) | End::Stalls(after) => after,
    };
    for chunk in chunks.iter().take(count) {
        let audio = TtsEvent::Audio { utterance, segment, chunk: AudioChunk::Mulaw(chunk.clone().into()) };
        events.push((at, audio));
        at = at.saturating_add(chunk.len() as u64 * 125 * 100 / take.speed);
    }
    let end = match take.end {
        End::Whole => Some(TtsEvent::Done { utterance, segment }),
        End::Fails(_) => {
            let failure = failure("voice");
            Some(TtsEvent::Failed { utterance, segment, failure })
        }
        End::Stalls(_) => None,
    };
    if take.end != End::Whole || take.speed < 150 || world.side.mute {
        world.books.voice_trouble();
    }
    if take.end != End::Whole || world.side.mute || free == u64::MAX {
        world.side.broken.push(utterance);
    }
    world.books.voice_takes(begin.saturating_sub(world.now));
    world.side.voice_free.insert(utterance, if end.is_none() { u64::MAX } else { at });
    events.extend(end.map(|event| (at, event)));
    if free != u64::MAX {
        for (at, event) in events {
            world.side_later(at, Event::Tts(event));
        }
    }
}
