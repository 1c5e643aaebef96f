//! A tape back through the state machine, as fast as it goes.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_call::relay::RelayCall;
use offhook_call::{Call, CallConfig, CallTime, Input, Key};

use crate::wire::{Header, Line, Transport, VERSION, WireInput, WireOutput, push as push_line, write_header};

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
    /// The tape ends in the midst of a line, as when the power failed. What is before it was replayed.
    pub cut_short: bool,
}

/// Where a replay first differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// When, on the call's clock.
    pub at: Duration,
    /// What the tape has there.
    pub taped: Option<WireOutput>,
    /// What came out now.
    pub now: Option<WireOutput>,
    /// The latest inputs before it but sound, in words, oldest first, each with its time.
    pub before: Vec<(Duration, String)>,
}

/// Inputs of a divergence's context.
const CONTEXT: usize = 6;

/// Why a tape can't be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A line is damaged.
    #[error("line {line} of the tape can't be read: {why}")]
    Damaged {
        /// Counted from one.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// It is of a call of text.
    #[error(
        "the tape is of a call of text: Twilio decided when its turns were over, so other settings change nothing"
    )]
    OfText,
    /// Another version.
    #[error("the tape has version {found}, this build reads version {VERSION}")]
    Version {
        /// The tape's.
        found: u32,
    },
}

/// Replays a tape and stops at the first difference. Keys are masked on tape; a `1` is pressed in a digit's place.
///
/// # Errors
/// If the tape can't be read.
pub fn replay(tape: &str, config: CallConfig) -> Result<Replayed, ReplayError> {
    let (header, lines) = open(tape)?;
    let mut call = Machine::new(header.transport, config);
    let mut replayed =
        Replayed { header, length: Duration::ZERO, outputs: 0, divergence: None, cut_short: false };
    let mut before: Vec<(Duration, String)> = Vec::new();
    for line in lines {
        let (index, line) = match line {
            Ok(line) => line,
            Err(CutShort) => {
                replayed.cut_short = true;
                break;
            }
            Err(Damaged(error)) => return Err(error),
        };
        let at = Duration::from_micros(line.t);
        replayed.length = at;
        if let Some(input) = &line.input {
            // What came of the input before may stand behind this one: a session feeds all that has arrived, then does what
            // comes of it. So outputs are compared as they come, wherever the inputs stand between them.
            if let Some(words) = in_words(input) {
                if before.len() == CONTEXT {
                    before.remove(0);
                }
                before.push((at, words));
            }
            feed(&mut call, input, CallTime::after(at)).ok_or_else(|| {
                damaged(index, "its sound is damaged, or it belongs to another kind of call".into())
            })?;
        }
        if let Some(taped) = line.output {
            let now = next_output(&mut call);
            replayed.outputs += 1;
            if now.as_ref() != Some(&taped) {
                replayed.divergence = Some(Divergence { at, taped: Some(taped), now, before });
                return Ok(replayed);
            }
        }
    }
    Ok(replayed)
}

/// A tape's header and its lines; of a tape whose last line is cut off, those before it.
///
/// # Errors
/// If the tape can't be read.
pub fn lines(tape: &str) -> Result<(Header, Vec<Line>), ReplayError> {
    let (header, lines) = open(tape)?;
    let mut all = Vec::new();
    for line in lines {
        match line {
            Ok((_, line)) => all.push(line),
            Err(CutShort) => break,
            Err(Damaged(error)) => return Err(error),
        }
    }
    Ok((header, all))
}

/// What the tape says of itself.
///
/// # Errors
/// If it is no tape, or one of another version.
pub fn header(tape: &str) -> Result<Header, ReplayError> {
    open(tape).map(|(header, _)| header)
}

/// The tape with its inputs as they are, and the outputs that this build gives for them.
///
/// # Errors
/// If the tape can't be read.
pub fn accept(tape: &str, config: CallConfig) -> Result<Vec<u8>, ReplayError> {
    let (mut header, lines) = open(tape)?;
    header.config = serde_json::to_value(&config).ok();
    let mut call = Machine::new(header.transport, config);
    let mut anew = Vec::with_capacity(tape.len());
    write_header(&mut anew, &header);
    for line in lines {
        let (index, line) = match line {
            Ok(line) => line,
            Err(CutShort) => break,
            Err(Damaged(error)) => return Err(error),
        };
        let Some(input) = line.input else { continue };
        let now = CallTime::after(Duration::from_micros(line.t));
        push_line(&mut anew, &Line { t: line.t, input: Some(input.clone()), output: None });
        feed(&mut call, &input, now).ok_or_else(|| {
            damaged(index, "its sound is damaged, or it belongs to another kind of call".into())
        })?;
        while let Some(output) = next_output(&mut call) {
            push_line(&mut anew, &Line { t: line.t, input: None, output: Some(output) });
        }
    }
    Ok(anew)
}

fn damaged(line: usize, why: String) -> ReplayError {
    ReplayError::Damaged { line: line + 1, why }
}

/// Why there is no further line.
enum NoLine {
    CutShort,
    Damaged(ReplayError),
}
use NoLine::{CutShort, Damaged};

/// Lines with their places.
type Lines<'a> = Box<dyn Iterator<Item = Result<(usize, Line), NoLine>> + 'a>;

/// Reads the header, and gives the lines.
fn open(tape: &str) -> Result<(Header, Lines<'_>), ReplayError> {
    let mut lines = tape.lines().enumerate().peekable();
    let (_, first) = lines.next().ok_or_else(|| damaged(0, "it is empty".into()))?;
    let header: Header = serde_json::from_str(first).map_err(|error| damaged(0, error.to_string()))?;
    if header.tape != VERSION {
        return Err(ReplayError::Version { found: header.tape });
    }
    let whole = tape.ends_with('\n');
    let lines = std::iter::from_fn(move || {
        let (index, text) = lines.next()?;
        let last = lines.peek().is_none();
        Some(match serde_json::from_str(text) {
            Ok(line) => Ok((index, line)),
            Err(_) if last && !whole => Err(CutShort),
            Err(error) => Err(Damaged(damaged(index, error.to_string()))),
        })
    });
    Ok((header, Box::new(lines)))
}

/// An input for people; `None` for sound, of which there is too much.
fn in_words(input: &WireInput) -> Option<String> {
    let text = match input {
        WireInput::Media { .. } => return None,
        WireInput::Tts(event) => event.in_words()?,
        other => serde_json::to_string(other).ok()?,
    };
    Some(text)
}

/// The state machine that a tape is of.
enum Machine {
    Sound(Box<Call>),
    Text(Box<RelayCall>),
}

impl Machine {
    fn new(transport: Transport, config: CallConfig) -> Self {
        match transport {
            Transport::MediaStreams => Self::Sound(Box::new(Call::new(config))),
            Transport::ConversationRelay => Self::Text(Box::new(RelayCall::new(config))),
        }
    }
}

fn next_output(call: &mut Machine) -> Option<WireOutput> {
    let call = match call {
        Machine::Sound(call) => call,
        Machine::Text(call) => return call.poll_output().as_ref().map(WireOutput::of_relay),
    };
    while let Some(output) = call.poll_output() {
        if let Some(output) = WireOutput::of(&output) {
            return Some(output);
        }
    }
    None
}

fn feed(call: &mut Machine, input: &WireInput, now: CallTime) -> Option<()> {
    let call = match call {
        Machine::Sound(call) => call,
        Machine::Text(call) => return crate::relay::feed(call, input, now),
    };
    let octets;
    let input = match input {
        WireInput::Start => Input::Start,
        WireInput::Media { ts, mulaw } => {
            octets = STANDARD.decode(mulaw).ok()?;
            Input::Media { timestamp_ms: *ts, payload: &octets }
        }
        WireInput::Mark(name) => Input::Mark(name),
        WireInput::Key(key) => Input::Dtmf(key.stand_in()?),
        WireInput::Dtmf => Input::Dtmf(Key::new('1')?),
        WireInput::Stt(event) => Input::Stt(event.clone()),
        WireInput::Turn(event) => Input::Turn(*event),
        WireInput::Llm(event) => Input::Llm(event.clone()),
        WireInput::Tts(event) => Input::Tts(event.to_event()?),
        WireInput::Tool(result) => Input::Tool(result.clone()),
        WireInput::Control(control) => Input::Control(control.clone()),
        WireInput::Relay(_) => return None,
        WireInput::Stop => Input::Stop,
        WireInput::Timeout => Input::Timeout,
    };
    call.handle(input, now);
    Some(())
}
