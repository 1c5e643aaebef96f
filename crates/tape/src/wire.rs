//! The lines of a tape. Their own structs, so that a tape outlives changes of the state machine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_conversation::{Deadline, Input, Output};
use offhook_media_line::CallConfig;
use offhook_stage_api::CallTime;
use serde::{Deserialize, Serialize};

use crate::convert::micros;
use crate::input::WireInput;
use crate::line::{SoundOut, TapedLine};
use crate::output::WireOutput;

/// The format's version; a reader refuses others.
pub const VERSION: u32 = 2;

/// The build of the state machine that this crate replays tapes with.
pub const CORE: &str = env!("CARGO_PKG_VERSION");

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub tape: u32,
    /// Twilio's `CallSid`.
    pub call: String,
    /// The agent that answered.
    pub agent: String,
    /// The program that wrote it.
    pub build: String,
    /// The build of the state machine whose outputs the tape has: [`CORE`] of the program that wrote or accepted it.
    pub core: String,
    /// What carried the call. Tapes of sound don't say.
    #[serde(default, skip_serializing_if = "Transport::is_usual")]
    pub transport: Transport,
    /// The call's configuration, so that a replay needs nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
}

impl Header {
    /// A header for a call that begins.
    #[must_use]
    pub fn new(call: &str, agent: &str, build: &str, config: &CallConfig) -> Self {
        Self {
            tape: VERSION,
            call: call.to_owned(),
            agent: agent.to_owned(),
            build: build.to_owned(),
            core: CORE.to_owned(),
            transport: Transport::MediaStreams,
            // Plain data; without it the tape would still be one.
            config: serde_json::to_value(config).ok(),
        }
    }

    /// The same for a call that is carried otherwise.
    #[must_use]
    pub const fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// The call's configuration, if the tape has one that this build understands.
    #[must_use]
    pub fn call_config(&self) -> Option<CallConfig> {
        serde_json::from_value(self.config.clone()?).ok()
    }
}

/// What carries a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Sound, both ways.
    #[default]
    MediaStreams,
    /// Text, both ways.
    ConversationRelay,
}

impl Transport {
    const fn is_usual(&self) -> bool {
        matches!(self, Self::MediaStreams)
    }
}

/// Any other line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds since the stream's start.
    pub t: u64,
    /// What went in.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub input: Option<WireInput>,
    /// What came out.
    #[serde(rename = "out", default, skip_serializing_if = "Option::is_none")]
    pub output: Option<WireOutput>,
}

/// Appends the header line.
pub fn write_header(tape: &mut Vec<u8>, header: &Header) {
    push(tape, header);
}

/// Appends an input. `deadline`: the call's, before it gets the input; it goes on tape with a
/// [`Timeout`](offhook_conversation::Input::Timeout).
pub fn write_input<L: TapedLine>(
    tape: &mut Vec<u8>,
    now: CallTime,
    input: &Input<L::Input<'_>>,
    deadline: Option<Deadline>,
) {
    if let Input::Line(line) = input
        && let Some((ts, octets)) = L::sound_in(line)
    {
        return push_media(tape, micros(now), ts, octets);
    }
    let input = WireInput::of::<L>(input, deadline);
    push(tape, &Line { t: micros(now), input: Some(input), output: None });
}

/// Appends an output, unless it is one that tapes leave out. Outputs stand behind their input, with its time.
pub fn write_output<L: TapedLine>(tape: &mut Vec<u8>, now: CallTime, output: &Output<L::Wire>) {
    if let Output::Wire(wire) = output
        && let Some(SoundOut::Frame(octets)) = L::sound_out(wire)
    {
        return push_sent(tape, micros(now), octets);
    }
    if let Some(output) = WireOutput::of::<L>(output) {
        push(tape, &Line { t: micros(now), input: None, output: Some(output) });
    }
}

/// What a noted frame of the caller's begins with, and one that was sent. Lines begin with `{`.
const CALLER: u8 = 1;
const AGENT: u8 = 2;
/// Kind, microseconds, Twilio's timestamp, length.
const NOTE: usize = 1 + 8 + 8 + 2;

/// Appends an input, as [`write_input`] does, but frames as the octets that they are: a call's worker has no time for more.
/// [`text`] makes lines of it.
pub fn note_input<L: TapedLine>(
    notes: &mut Vec<u8>,
    now: CallTime,
    input: &Input<L::Input<'_>>,
    deadline: Option<Deadline>,
) {
    if let Input::Line(line) = input
        && let Some((ts, octets)) = L::sound_in(line)
        && let Ok(length) = u16::try_from(octets.len())
    {
        return note(notes, (CALLER, micros(now), ts), (octets, length));
    }
    write_input::<L>(notes, now, input, deadline);
}

/// Appends an output, as [`write_output`] does, but frames as the octets that they are.
pub fn note_output<L: TapedLine>(notes: &mut Vec<u8>, now: CallTime, output: &Output<L::Wire>) {
    if let Output::Wire(wire) = output
        && let Some(SoundOut::Frame(octets)) = L::sound_out(wire)
        && let Ok(length) = u16::try_from(octets.len())
    {
        return note(notes, (AGENT, micros(now), None), (octets, length));
    }
    write_output::<L>(notes, now, output);
}

fn note(notes: &mut Vec<u8>, (kind, t, ts): (u8, u64, Option<u64>), (octets, length): (&[u8], u16)) {
    let mut head = [kind; NOTE];
    head[1..9].copy_from_slice(&t.to_le_bytes());
    head[9..17].copy_from_slice(&ts.unwrap_or(u64::MAX).to_le_bytes());
    head[17..].copy_from_slice(&length.to_le_bytes());
    notes.extend_from_slice(&head);
    notes.extend_from_slice(octets);
}

/// The lines of what was noted.
#[must_use]
pub fn text(mut notes: &[u8]) -> Vec<u8> {
    let mut tape = Vec::with_capacity(notes.len() * 3 / 2);
    while let Some(first) = notes.first() {
        if !matches!(*first, CALLER | AGENT) {
            let end = memchr::memchr(b'\n', notes).map_or(notes.len(), |end| end + 1);
            let (line, rest) = notes.split_at(end);
            tape.extend_from_slice(line);
            notes = rest;
            continue;
        }
        let Some((head, rest)) = notes.split_first_chunk::<NOTE>() else { break };
        let eight = |at: usize| {
            let octets = head.get(at..at + 8).and_then(|octets| octets.try_into().ok());
            octets.map_or(0, u64::from_le_bytes)
        };
        let length = usize::from(u16::from_le_bytes([head[17], head[18]]));
        let Some((octets, rest)) = rest.split_at_checked(length) else { break };
        if *first == CALLER {
            push_media(&mut tape, eight(1), Some(eight(9)).filter(|ts| *ts != u64::MAX), octets);
        } else {
            push_sent(&mut tape, eight(1), octets);
        }
        notes = rest;
    }
    tape
}

/// The line of a caller's frame, as serde would write it. Nearly all of a tape are frames: nothing is allocated, and nothing is looked
/// through for what would have to be escaped.
fn push_media(tape: &mut Vec<u8>, t: u64, ts: Option<u64>, octets: &[u8]) {
    push_time(tape, t);
    tape.extend_from_slice(br#""in":{"media":{"#);
    if let Some(ts) = ts {
        tape.extend_from_slice(br#""ts":"#);
        push_number(tape, ts);
        tape.push(b',');
    }
    tape.extend_from_slice(br#""mulaw":""#);
    push_base64(tape, octets);
    tape.extend_from_slice(b"\"}}}\n");
}

/// The same of a frame that was sent.
fn push_sent(tape: &mut Vec<u8>, t: u64, octets: &[u8]) {
    push_time(tape, t);
    tape.extend_from_slice(br#""out":{"media":""#);
    push_base64(tape, octets);
    tape.extend_from_slice(b"\"}}\n");
}

fn push_time(tape: &mut Vec<u8>, t: u64) {
    tape.extend_from_slice(br#"{"t":"#);
    push_number(tape, t);
    tape.push(b',');
}

fn push_number(tape: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        from -= 1;
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    tape.extend_from_slice(digits.get(from..).unwrap_or_default());
}

fn push_base64(tape: &mut Vec<u8>, octets: &[u8]) {
    let from = tape.len();
    tape.resize(from + room_for(octets), b'=');
    let room = tape.get_mut(from..).unwrap_or_default();
    // There is room for all of it.
    let _written = STANDARD.encode_slice(octets, room);
}

const fn room_for(octets: &[u8]) -> usize {
    octets.len().div_ceil(3) * 4
}

pub(crate) fn push(tape: &mut Vec<u8>, line: &impl Serialize) {
    // Plain data into memory can't fail; half a line would be worse than none.
    let before = tape.len();
    match serde_json::to_writer(&mut *tape, line) {
        Ok(()) => tape.push(b'\n'),
        Err(error) => {
            debug_assert!(false, "a line can't be written: {error}");
            tape.truncate(before);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use offhook_audio::MulawFrame;
    use offhook_media_line::{MediaInput, MediaLine, MediaWire};

    use super::*;

    fn frame_of(octets: &[u8]) -> MulawFrame {
        MulawFrame(std::array::from_fn(|n| octets.get(n).copied().unwrap_or(0xFF)))
    }

    #[test]
    fn frames_are_written_as_serde_would_write_them() {
        for (t, ts, length) in
            [(0, None, 0), (7, Some(0), 1), (20_311, Some(155), 160), (u64::MAX / 2, Some(u64::MAX), 161)]
        {
            let octets: Vec<u8> = (0..length).map(|n| u8::try_from(n).unwrap().wrapping_mul(7)).collect();
            let now = CallTime::after(std::time::Duration::from_micros(t));
            let input = Input::Line(MediaInput::Media { timestamp_ms: ts, payload: &octets });
            let (mut ours, mut serdes) = (Vec::new(), Vec::new());
            write_input::<MediaLine>(&mut ours, now, &input, None);
            let input = Some(WireInput::of::<MediaLine>(&input, None));
            push(&mut serdes, &Line { t: micros(now), input, output: None });
            push_sent(&mut ours, t, &octets);
            push(
                &mut serdes,
                &Line { t, input: None, output: Some(WireOutput::Media(STANDARD.encode(&octets))) },
            );
            assert_eq!(String::from_utf8(ours).unwrap(), String::from_utf8(serdes).unwrap());
            // The same by way of notes, between other lines.
            let (mut notes, mut lines) = (Vec::new(), Vec::new());
            let frame = frame_of(&octets);
            for input in [
                Input::Start,
                Input::Line(MediaInput::Media {
                    timestamp_ms: ts.filter(|ts| *ts != u64::MAX),
                    payload: &octets,
                }),
                Input::Stop,
            ] {
                note_input::<MediaLine>(&mut notes, now, &input, None);
                write_input::<MediaLine>(&mut lines, now, &input, None);
                let sent = Output::Wire(MediaWire::Media(frame));
                note_output::<MediaLine>(&mut notes, now, &sent);
                write_output::<MediaLine>(&mut lines, now, &sent);
            }
            assert_eq!(String::from_utf8(text(&notes)).unwrap(), String::from_utf8(lines).unwrap());
            notes.truncate(notes.len() - 1);
            assert!(text(&notes).ends_with(b"\n"), "half a frame is left out");
        }
    }
}
