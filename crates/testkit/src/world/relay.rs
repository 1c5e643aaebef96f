//! ConversationRelay: Twilio speaks tokens in its own time, hears the caller by itself, and cuts the agent off.

use std::collections::VecDeque;

use offhook_conversation::{Call, ConversationConfig, Input};
use offhook_relay_line::{RelayInput, RelayLine, RelayWire, relay_call};
use offhook_stage_api::Key;

use super::play::{Later, Side, World, configure};
use super::scene::{Scene, Step};

/// From a token to its first sound.
const BEGINS_AFTER: u64 = 340_000;
/// The caller's words take so long.
const WORD_US: u64 = 280_000;
/// So much speech interrupts.
const INTERRUPTS_AFTER: u64 = 200_000;

pub enum Event {
    Arrives(RelayWire),
    /// A piece was spoken to its end, if nothing was cut off since.
    Spoken {
        piece: String,
        cuts: u32,
    },
    Sounds {
        sounds: bool,
        cuts: u32,
    },
    CallerSpeaks(bool),
    Interrupts,
    Prompt {
        text: String,
        last: bool,
    },
    Key(char),
    /// The same, as it arrives.
    In(Sent),
}

/// What Twilio sends.
pub enum Sent {
    Played(String),
    AgentSpeaking(bool),
    CallerSpeaking(bool),
    Interrupt(String),
    Prompt { text: String, last: bool },
    Key(char),
}

/// A word that Twilio speaks.
struct Word {
    from: u64,
    until: u64,
    text: String,
    piece: usize,
    interruptible: bool,
}

pub struct Relay {
    words: VecDeque<Word>,
    piece: usize,
    piece_text: String,
    voice_end: u64,
    cuts: u32,
    caller_free: u64,
    heard_sayings: usize,
}

impl Side for Relay {
    type Line = RelayLine;
    type Later = Event;
    const NAME: &'static str = "relay line";
    const ESTIMATED: bool = true;

    fn new(scene: &Scene) -> (Call<RelayLine>, Self) {
        let mut config = ConversationConfig::default();
        configure(&scene.setup, &mut config);
        let side = Self {
            words: VecDeque::new(),
            piece: 0,
            piece_text: String::new(),
            voice_end: 0,
            cuts: 0,
            caller_free: 0,
            heard_sayings: 0,
        };
        (relay_call(config), side)
    }

    fn on_wire(world: &mut World<Self>, wire: RelayWire) {
        let at = world.to_twilio.arrives(world.now);
        if let RelayWire::Press(digits) = &wire {
            world.books.pressed(digits.reveal().len());
        }
        if at == world.now { arrives(world, wire) } else { world.side_later(at, Event::Arrives(wire)) }
    }

    fn deliver(world: &mut World<Self>, what: Event) {
        let cuts = world.side.cuts;
        match what {
            Event::Arrives(wire) => arrives(world, wire),
            Event::Spoken { piece, cuts: then } if then == cuts => send(world, Sent::Played(piece)),
            Event::Sounds { sounds, cuts: then } if then == cuts => {
                // More may have come meanwhile.
                if sounds || world.side.voice_end <= world.now {
                    send(world, Sent::AgentSpeaking(sounds));
                }
            }
            Event::Spoken { .. } | Event::Sounds { .. } => {}
            Event::CallerSpeaks(speaks) => {
                if world.scene.setup.reports {
                    send(world, Sent::CallerSpeaking(speaks));
                }
            }
            Event::Interrupts => interrupt(world),
            Event::Prompt { text, last } => send(world, Sent::Prompt { text, last }),
            Event::Key(key) => {
                interrupt(world);
                send(world, Sent::Key(key));
            }
            Event::In(sent) => arrives_here(world, sent),
        }
    }

    fn cut(world: &mut World<Self>) {
        world.forget(|_, later| matches!(later, Later::Side(_)));
        let now = world.now;
        let side = &mut world.side;
        side.words.clear();
        side.piece += 1;
        side.piece_text.clear();
        side.cuts += 1;
        side.voice_end = side.voice_end.min(now);
        side.caller_free = now;
    }

    fn lost() -> RelayInput<'static> {
        RelayInput::Lost
    }

    fn back() -> RelayInput<'static> {
        RelayInput::Back
    }

    fn caller_does(world: &mut World<Self>, step: &Step) {
        let start = world.side.caller_free.max(world.now);
        match step {
            Step::Says(text) => {
                let ear = world.scene.ear.get(world.side.heard_sayings).cloned().unwrap_or_default();
                world.side.heard_sayings += 1;
                let words: Vec<&str> = text.split_whitespace().collect();
                let end = start + words.len() as u64 * WORD_US;
                speaks(world, start, end);
                let mut latest = 0;
                if world.scene.setup.partials {
                    for count in (1..words.len()).step_by(2) {
                        latest = start + count as u64 * WORD_US + ear.partial_ms * 1_000;
                        let text = words[..count].join(" ");
                        world.side_later(latest, Event::Prompt { text, last: false });
                    }
                }
                if !ear.lost {
                    let at = latest.max(end + ear.final_ms * 1_000);
                    world.side_later(at, Event::Prompt { text: (*text).to_owned(), last: true });
                }
                // The next thing that is said is another prompt.
                world.side.caller_free = latest.max(end + ear.final_ms * 1_000) + 1_000;
            }
            Step::Noise(ms) => speaks(world, start, start + ms * 1_000),
            Step::Keys(keys) => {
                for (nth, key) in (0..).zip(keys.chars()) {
                    world.side_later(world.now + nth * 200_000, Event::Key(key));
                }
            }
            _ => {}
        }
    }

    fn agent_until(&self) -> u64 {
        self.voice_end
    }
}

fn speaks(world: &mut World<Relay>, start: u64, end: u64) {
    world.side_later(start, Event::CallerSpeaks(true));
    if end - start > INTERRUPTS_AFTER {
        world.side_later(start + INTERRUPTS_AFTER, Event::Interrupts);
    }
    world.side_later(end, Event::CallerSpeaks(false));
    world.side.caller_free = end + 1_000;
    world.caller_until = world.caller_until.max(end);
}

fn send(world: &mut World<Relay>, sent: Sent) {
    let at = world.from_twilio.arrives(world.now);
    if at == world.now { arrives_here(world, sent) } else { world.side_later(at, Event::In(sent)) }
}

fn arrives_here(world: &mut World<Relay>, sent: Sent) {
    match &sent {
        Sent::CallerSpeaking(speaks) => world.books.caller_speaks(*speaks),
        Sent::Prompt { text, last } => world.books.on_prompt(text, *last),
        Sent::Key(key) => world.books.on_key(*key),
        Sent::Played(_) | Sent::AgentSpeaking(_) | Sent::Interrupt(_) => {}
    }
    let input = match &sent {
        Sent::Played(text) => RelayInput::Played(text),
        Sent::AgentSpeaking(speaks) => RelayInput::AgentSpeaking(*speaks),
        Sent::CallerSpeaking(speaks) => RelayInput::CallerSpeaking(*speaks),
        Sent::Interrupt(heard) => RelayInput::Interrupt { heard, after: None },
        Sent::Prompt { text, last } => RelayInput::Prompt { text, lang: None, last: *last },
        Sent::Key(key) => RelayInput::Dtmf(Key::new(*key).unwrap()),
    };
    world.tell(|| format!("    {input:?}"));
    let input = Input::Line(input);
    world.feed(input);
}

fn arrives(world: &mut World<Relay>, wire: RelayWire) {
    let (now, cuts, character) = (world.now, world.side.cuts, world.scene.setup.character_ms * 1_000);
    let reports = world.scene.setup.reports;
    let side = &mut world.side;
    match wire {
        RelayWire::Text { token, last, interruptible } => {
            let idle = side.voice_end <= now;
            let mut at = if idle { now + BEGINS_AFTER } else { side.voice_end };
            let begin = at;
            let mut pieces = Vec::new();
            for word in token.split_inclusive(' ') {
                let until = at + word.chars().count() as u64 * character;
                side.piece_text.push_str(word);
                let text = word.to_owned();
                side.words.push_back(Word { from: at, until, text, piece: side.piece, interruptible });
                at = until;
                if word.trim_end().ends_with(['.', '?', '!', ':']) {
                    pieces.push((until, std::mem::take(&mut side.piece_text)));
                    side.piece += 1;
                }
            }
            if last && !side.piece_text.trim().is_empty() {
                pieces.push((at, std::mem::take(&mut side.piece_text)));
                side.piece += 1;
            }
            if !token.is_empty() {
                side.voice_end = at;
            }
            if reports && !token.trim().is_empty() {
                if idle {
                    world.side_later(begin, Event::Sounds { sounds: true, cuts });
                }
                world.side_later(at + 50_000, Event::Sounds { sounds: false, cuts });
                for (at, piece) in pieces {
                    world.side_later(at, Event::Spoken { piece, cuts });
                }
            }
        }
        RelayWire::Press(digits) => {
            let length = digits.reveal().len() as u64 * 250_000;
            side.voice_end = side.voice_end.max(now) + length;
            let end = side.voice_end + 50_000;
            if reports {
                world.side_later(end, Event::Sounds { sounds: false, cuts });
            }
        }
        RelayWire::Play { .. }
        | RelayWire::PlayRecording { .. }
        | RelayWire::Language { .. }
        | RelayWire::Hints { .. } => {}
    }
}

/// Twilio cuts off what it is saying, if that may be interrupted, and forgets what follows.
fn interrupt(world: &mut World<Relay>) {
    let now = world.now;
    let side = &mut world.side;
    let current = side.words.iter().find(|word| word.until > now && word.from <= now);
    let Some(current) = current.filter(|word| word.interruptible) else { return };
    let piece = current.piece;
    let heard = side.words.iter().filter(|word| word.piece == piece && word.until <= now);
    let heard: String = heard.map(|word| word.text.as_str()).collect();
    side.words.clear();
    side.piece += 1;
    side.piece_text.clear();
    side.cuts += 1;
    side.voice_end = now;
    if world.scene.setup.reports {
        if !heard.trim().is_empty() {
            send(world, Sent::Played(heard.clone()));
        }
        send(world, Sent::AgentSpeaking(false));
    }
    send(world, Sent::Interrupt(heard.trim().to_owned()));
}
