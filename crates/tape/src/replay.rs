//! A tape back through the state machine, as fast as it goes.

use std::collections::VecDeque;
use std::time::Duration;

use offhook_conversation::{Call, Deadline};
use offhook_media_line::{CallConfig, MediaLine};
use offhook_relay_line::RelayLine;
use offhook_stage_api::CallTime;

use crate::input::WireInput;
use crate::line::TapedLine;
use crate::output::WireOutput;
use crate::read::{Lines, NoLine, ReplayError, damaged, open};
use crate::wire::{Header, Line, Transport, push, write_header};

/// How a replay went.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// What the tape says of itself.
    pub header: Header,
    /// How long the call was.
    pub length: Duration,
    /// Outputs compared.
    pub outputs: usize,
    /// Where the outcome was another than on the tape.
    pub divergence: Option<Divergence>,
    /// The tape ends in the middle of a line, as when the power failed. What is before it was replayed.
    pub cut_short: bool,
}

/// Where a replay first differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// When, on the call's clock: the time of the input whose outputs differ.
    pub at: Duration,
    /// The output that the tape has there, and its time.
    pub taped: Option<(Duration, WireOutput)>,
    /// What came out now.
    pub now: Option<WireOutput>,
    /// The tape was woken by another deadline than this build would have been: the tape's, and this build's.
    pub deadlines: Option<(WireInput, WireInput)>,
    /// The latest inputs before it but sound, in words, oldest first, each with its time.
    pub before: Vec<(Duration, String)>,
}

/// Inputs of a divergence's context.
const CONTEXT: usize = 6;

/// A call that is fed from tape.
#[derive(Debug)]
pub struct Replayer<L: TapedLine> {
    call: Call<L>,
}

impl<L: TapedLine> Replayer<L> {
    /// A call that hasn't begun.
    #[must_use]
    pub fn new(config: CallConfig) -> Self {
        Self { call: L::call(config) }
    }

    /// Feeds an input. `None` if it belongs to another kind of call, or is damaged.
    pub fn feed(&mut self, input: &WireInput, now: CallTime) -> Option<()> {
        let call = &mut self.call;
        input.read::<L>(&mut |input| call.handle(input, now))
    }

    /// The next output that goes on tape; `None` until the next input.
    pub fn next_output(&mut self) -> Option<WireOutput> {
        while let Some(output) = self.call.poll_output() {
            if let Some(output) = WireOutput::of::<L>(&output) {
                return Some(output);
            }
        }
        None
    }

    /// When the call wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.call.deadline()
    }
}

/// Replays a tape and stops at the first difference: another output, another time, one too many or one too few. Keys are masked on
/// tape; a `1` is pressed in a digit's place.
///
/// # Errors
/// If the tape can't be read.
pub fn replay(tape: &str, config: CallConfig) -> Result<Replayed, ReplayError> {
    let (header, lines) = open(tape)?;
    match header.transport {
        Transport::MediaStreams => compare::<MediaLine>(header, lines, config),
        Transport::ConversationRelay => compare::<RelayLine>(header, lines, config),
    }
}

fn compare<L: TapedLine>(
    header: Header,
    lines: Lines<'_>,
    config: CallConfig,
) -> Result<Replayed, ReplayError> {
    let mut call = Replayer::<L>::new(config);
    let mut replayed =
        Replayed { header, length: Duration::ZERO, outputs: 0, divergence: None, cut_short: false };
    let mut context = Context::default();
    for line in lines {
        let (index, line) = match line {
            Ok(line) => line,
            Err(NoLine::CutShort) => {
                replayed.cut_short = true;
                return Ok(replayed);
            }
            Err(NoLine::Damaged(error)) => return Err(error),
        };
        let t = Duration::from_micros(line.t);
        replayed.length = t;
        if let Some(input) = &line.input {
            if let Some(now) = call.next_output() {
                replayed.divergence = Some(context.divergence(None, Some(now)));
                return Ok(replayed);
            }
            context.add(t, input);
            if let WireInput::Timeout { at: Some(_), .. } = input {
                let now = WireInput::timeout(call.deadline());
                if now != *input {
                    replayed.divergence = Some(context.of_deadline(input.clone(), now));
                    return Ok(replayed);
                }
            }
            call.feed(input, CallTime::after(t)).ok_or_else(|| damaged(index, UNUSABLE))?;
        }
        if let Some(taped) = line.output {
            let now = call.next_output();
            replayed.outputs += 1;
            if now.as_ref() != Some(&taped) || t != context.at {
                replayed.divergence = Some(context.divergence(Some((t, taped)), now));
                return Ok(replayed);
            }
        }
    }
    replayed.divergence = call.next_output().map(|now| context.divergence(None, Some(now)));
    Ok(replayed)
}

const UNUSABLE: &str = "its sound is damaged, or it belongs to another kind of call";

/// Where a replay is.
#[derive(Default)]
struct Context {
    /// The latest input's time.
    at: Duration,
    before: VecDeque<(Duration, String)>,
}

impl Context {
    fn add(&mut self, at: Duration, input: &WireInput) {
        self.at = at;
        if let Some(words) = input.in_words() {
            if self.before.len() == CONTEXT {
                self.before.pop_front();
            }
            self.before.push_back((at, words));
        }
    }

    fn divergence(&mut self, taped: Option<(Duration, WireOutput)>, now: Option<WireOutput>) -> Divergence {
        let before = std::mem::take(&mut self.before).into();
        Divergence { at: self.at, taped, now, deadlines: None, before }
    }

    fn of_deadline(&mut self, taped: WireInput, now: WireInput) -> Divergence {
        Divergence { deadlines: Some((taped, now)), ..self.divergence(None, None) }
    }
}

/// The tape with its inputs as they are, and the outputs that this build gives for them.
///
/// # Errors
/// If the tape can't be read.
pub fn accept(tape: &str, config: CallConfig) -> Result<Vec<u8>, ReplayError> {
    let (header, lines) = open(tape)?;
    match header.transport {
        Transport::MediaStreams => rewrite::<MediaLine>(header, lines, config),
        Transport::ConversationRelay => rewrite::<RelayLine>(header, lines, config),
    }
}

fn rewrite<L: TapedLine>(
    mut header: Header,
    lines: Lines<'_>,
    config: CallConfig,
) -> Result<Vec<u8>, ReplayError> {
    crate::wire::CORE.clone_into(&mut header.core);
    header.config = serde_json::to_value(&config).ok();
    let mut call = Replayer::<L>::new(config);
    let mut tape = Vec::new();
    write_header(&mut tape, &header);
    for line in lines {
        let (index, line) = match line {
            Ok(line) => line,
            Err(NoLine::CutShort) => break,
            Err(NoLine::Damaged(error)) => return Err(error),
        };
        let Some(mut input) = line.input else { continue };
        if let WireInput::Timeout { .. } = input {
            input = WireInput::timeout(call.deadline());
        }
        call.feed(&input, CallTime::after(Duration::from_micros(line.t)))
            .ok_or_else(|| damaged(index, UNUSABLE))?;
        push(&mut tape, &Line { t: line.t, input: Some(input), output: None });
        while let Some(output) = call.next_output() {
            push(&mut tape, &Line { t: line.t, input: None, output: Some(output) });
        }
    }
    Ok(tape)
}
