//! A scene: what everybody does in a call, and how long each stage takes, as a list that a person can read.

use std::fmt;

use fastrand::Rng;
use offhook_stage_api::Interruptible;

/// A whole call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    pub setup: Setup,
    /// What happens, each so many milliseconds after what came before.
    pub steps: Vec<(u64, Step)>,
    /// What the model does with its first request, its second, …; afterwards it answers at once.
    pub model: Vec<Does>,
    /// What the voice does with each piece.
    pub voice: Vec<Take>,
    /// What the recogniser does with each thing that the caller says.
    pub ear: Vec<Ear>,
    /// What each tool does.
    pub tools: Vec<Work>,
}

/// What holds for the whole call.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// The recogniser sends partial transcripts.
    pub partials: bool,
    /// What interrupts replies.
    pub reply: Interruptible,
    /// The engine greets by itself; else the model does.
    pub greeting: Option<&'static str>,
    pub speculate: bool,
    /// To Twilio, and back, in milliseconds.
    pub there_ms: u64,
    pub back_ms: u64,
    /// Every so manieth mark gets lost; 0: none.
    pub lost_marks: usize,
    /// The voice tells when each word is spoken.
    pub word_times: bool,
    /// Twilio reports speech and what was played (ConversationRelay).
    pub reports: bool,
    /// How long Twilio's voice takes for a character (ConversationRelay).
    pub character_ms: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            partials: true,
            reply: Interruptible::Yes,
            greeting: Some("Hello there."),
            speculate: true,
            there_ms: 0,
            back_ms: 0,
            lost_marks: 0,
            word_times: true,
            reports: true,
            character_ms: 66,
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The caller says this.
    Says(&'static str),
    /// The caller's line makes noise for so long.
    Noise(u64),
    /// The caller keys this.
    Keys(&'static str),
    /// The application has something said.
    Announces(Interruptible),
    /// The application presses keys.
    Presses(&'static str),
    AppHangsUp,
    AppTransfers,
    LeavesMessage {
        beeped: bool,
    },
    /// Nothing arrives from Twilio for so long; it comes afterwards.
    StallsIn(u64),
    /// Nothing arrives at Twilio for so long.
    StallsOut(u64),
    VoiceEnds,
    ModelEnds,
    EarFails,
    /// The connection breaks, and comes back after so long, if the call still waits for it.
    LineLost(u64),
    CallerHangsUp,
}

/// How something that was begun goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Whole,
    /// It fails after so many pieces.
    Fails(usize),
    /// After so many pieces nothing comes any more.
    Stalls(usize),
}

/// What the model does with a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Does {
    pub first_ms: u64,
    pub gap_ms: u64,
    pub text: &'static str,
    /// Tools that it calls after its text, with their arguments.
    pub tools: &'static [(&'static str, &'static str)],
    pub interruptible: Option<Interruptible>,
    pub end: End,
}

impl Default for Does {
    fn default() -> Self {
        Self { first_ms: 60, gap_ms: 0, text: "Alright.", tools: &[], interruptible: None, end: End::Whole }
    }
}

/// What the voice does with a piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    pub first_ms: u64,
    /// Milliseconds of sound in 100 ms.
    pub speed: u64,
    pub end: End,
}

impl Default for Take {
    fn default() -> Self {
        Self { first_ms: 60, speed: 1_000, end: End::Whole }
    }
}

/// What the recogniser does with what the caller says.
#[derive(Clone, Debug, PartialEq)]
pub struct Ear {
    pub partial_ms: u64,
    pub final_ms: u64,
    /// Its final transcript never comes.
    pub lost: bool,
}

impl Default for Ear {
    fn default() -> Self {
        Self { partial_ms: 150, final_ms: 100, lost: false }
    }
}

/// What a tool does.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// `None`: it never returns.
    pub ms: Option<u64>,
    pub fails: bool,
}

impl Default for Work {
    fn default() -> Self {
        Self { ms: Some(100), fails: false }
    }
}

const SAYS: &[&str] = &[
    "where is the shop?",
    "I want a table for two and",
    "yes",
    "no that is wrong.",
    "my number is four two seven",
    "what do you have today",
    "two pizzas please.",
    "stop",
    "that is it.",
    "can you tell me more about the opening hours on sunday?",
];
const LISTENS: &[&str] = &["okay", "mm-hm", "I see.", "right"];
const KEYS: &[&str] = &["1", "12#", "1234#", "907", "5#", "44444444"];
const TEXTS: &[&str] = &[
    "Yes.",
    "It is in the middle of the town.",
    "We are open every day from eleven to ten at night, but not on Sundays. Is there anything else?",
    "One moment, I will look that up. It will take a while. Please stay on the line until I am back.",
    "The first rule is that you wait here until we come. The second rule is to stay calm.",
    "👍",
    "",
];
type Tools = &'static [(&'static str, &'static str)];
const TOOLS: &[Tools] = &[
    &[("look_up", r#"{"x":1}"#)],
    &[("look_up", r#"{"x":2}"#), ("look_up", r#"{"x":3}"#)],
    &[("weather", r#"{"city":"Rome"}"#), ("weather", r#"{"city":"Oslo"}"#)],
    &[("send_dtmf", r#"{"digits":"123#"}"#)],
    &[("collect_digits", r#"{"min":4,"max":4}"#)],
    &[("end_call", "{}")],
    &[("transfer_call", r#"{"to":"+15550100"}"#)],
];
const INTERRUPTIBLE: [Interruptible; 3] = [Interruptible::Yes, Interruptible::No, Interruptible::DtmfOnly];

fn of<T: Copy>(random: &mut Rng, all: &[T]) -> T {
    all[random.usize(..all.len())]
}

/// One in so many.
fn one_in(random: &mut Rng, many: usize) -> bool {
    random.usize(..many) == 0
}

/// Short ones are as frequent as long ones.
fn between(random: &mut Rng, least: u64, most: u64) -> u64 {
    let (low, high) = ((least.max(1) as f64).ln(), (most as f64).ln());
    ((low + (high - low) * random.f64()).exp() as u64).clamp(least, most)
}

impl Scene {
    /// A scene of this number.
    pub fn draw(seed: u64) -> Self {
        let random = &mut Rng::with_seed(seed);
        let calm = one_in(random, 3); // without failures of stages
        let setup = Setup {
            partials: !one_in(random, 4),
            reply: if one_in(random, 6) { of(random, &INTERRUPTIBLE) } else { Interruptible::Yes },
            greeting: random.bool().then_some("Hello there. How can I help you?"),
            speculate: !one_in(random, 4),
            there_ms: if random.bool() { 0 } else { random.u64(10..200) },
            back_ms: if random.bool() { 0 } else { random.u64(10..200) },
            lost_marks: if one_in(random, 5) { random.usize(1..4) } else { 0 },
            word_times: !one_in(random, 4),
            reports: !one_in(random, 3),
            character_ms: random.u64(50..90),
        };
        let mut scene = Self { setup, ..Self::default() };
        for _ in 0..random.usize(1..9) {
            let wait = between(random, 50, 9_000);
            let step = scene.draw_step(random, calm);
            scene.steps.push((wait, step));
        }
        scene.model = (0..10).map(|_| draw_does(random, calm)).collect();
        scene.voice = (0..24).map(|_| draw_take(random, calm)).collect();
        scene.ear = (0..8)
            .map(|_| Ear {
                partial_ms: random.u64(150..400),
                final_ms: between(random, 40, 1_500),
                lost: !calm && one_in(random, 12),
            })
            .collect();
        scene.tools = (0..6)
            .map(|_| Work {
                ms: if !calm && one_in(random, 10) { None } else { Some(between(random, 1, 20_000)) },
                fails: one_in(random, 4),
            })
            .collect();
        scene
    }

    fn draw_step(&self, random: &mut Rng, calm: bool) -> Step {
        match random.u32(..100) {
            0..45 => Step::Says(of(random, SAYS)),
            45..55 => Step::Says(of(random, LISTENS)),
            55..63 => Step::Noise(random.u64(80..1_500)),
            63..72 => Step::Keys(of(random, KEYS)),
            72..79 => Step::Announces(of(random, &INTERRUPTIBLE)),
            79..83 => Step::Presses(of(random, &["1", "4711#", "9"])),
            83..85 => Step::AppHangsUp,
            85..87 => Step::AppTransfers,
            87..89 => Step::LeavesMessage { beeped: random.bool() },
            89..92 => Step::StallsIn(random.u64(100..2_000)),
            92..95 => Step::StallsOut(random.u64(100..2_000)),
            95..96 if !calm => Step::VoiceEnds,
            96..97 if !calm => Step::ModelEnds,
            97..98 if !calm => Step::EarFails,
            98..99 => Step::CallerHangsUp,
            _ if !calm => Step::LineLost(between(random, 100, 40_000)),
            _ => Step::Says(of(random, SAYS)),
        }
    }
}

fn draw_does(random: &mut Rng, calm: bool) -> Does {
    let end = match random.u32(..12) {
        0 if !calm => End::Fails(random.usize(..10)),
        1 if !calm => End::Stalls(random.usize(..10)),
        _ => End::Whole,
    };
    let with_tools = one_in(random, 4);
    Does {
        first_ms: between(random, 50, 4_000),
        gap_ms: if one_in(random, 5) { between(random, 50, 3_000) } else { random.u64(..60) },
        text: if with_tools && random.bool() { "" } else { of(random, TEXTS) },
        tools: if with_tools { of(random, TOOLS) } else { &[] },
        interruptible: one_in(random, 6).then(|| of(random, &INTERRUPTIBLE)),
        end,
    }
}

fn draw_take(random: &mut Rng, calm: bool) -> Take {
    let end = match random.u32(..20) {
        0 if !calm => End::Fails(random.usize(..4)),
        1 if !calm => End::Stalls(random.usize(..4)),
        _ => End::Whole,
    };
    let speed = if one_in(random, 8) { random.u64(60..120) } else { random.u64(150..1_500) };
    Take { first_ms: between(random, 30, 1_200), speed, end }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.setup != Setup::default() {
            writeln!(f, "setup: {:?}", self.setup)?;
        }
        for (wait, step) in &self.steps {
            writeln!(f, "after {wait} ms: {step:?}")?;
        }
        list(f, "request", &self.model)?;
        list(f, "piece of the voice", &self.voice)?;
        list(f, "saying for the recogniser", &self.ear)?;
        list(f, "tool", &self.tools)
    }
}

fn list<T: fmt::Debug + Default + PartialEq>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    all: &[T],
) -> fmt::Result {
    for (nth, one) in all.iter().enumerate().filter(|(_, one)| **one != T::default()) {
        writeln!(f, "{what} {}: {one:?}", nth + 1)?;
    }
    Ok(())
}
