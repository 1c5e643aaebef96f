//! What if: the caller of a tape calls again, and the engine decides again, by other settings or as another build.
//!
//! The caller's sound, keys and recognised words come at the times that the tape has. All that answers the engine is played again:
//! replies come in the tape's order and sound by its text, each as late after its request as it was; marks come back when
//! what lies before them would have been played. So turns may end elsewhere than on the tape, and what follows follows
//! from that. The caller can't: a caller who was interrupted on the tape speaks on here as well.

mod outcome;
mod taped;

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_conversation::{CallEvent, Input, Output};
use offhook_media_line::{CallConfig, MediaCall, MediaInput, MediaWire, media_call};
use offhook_stage_api::id::{ReplyId, SegmentId, UtteranceId};
use offhook_stage_api::{
    AudioChunk, CallTime, LlmCommand, LlmEvent, ReplyReason, SpeakRequest, SttCommand, SttEvent, ToolResult,
    Transcript, TtsCommand, TtsEvent,
};

use crate::convert::micros;
use crate::input::WireInput;
use crate::output::WireOutput;
use crate::read::{ReplayError, lines};
use crate::wire::{Header, Line, Transport};
pub use outcome::{Outcome, percentile};
use taped::{Parts, Reply, for_reply, for_segment};

/// Octets of 20 ms.
const FRAME: u64 = 160;
/// From a mark's playing to its coming back: 60 ms, for the way there and back.
const MARK_US: u64 = 60_000;
/// A voice that isn't on the tape takes so long for a word.
const WORD_OCTETS: usize = 8 * 320;

/// The events of a taped call, as the build that taped it had them.
///
/// # Errors
/// If the tape can't be read.
pub fn as_taped(tape: &str) -> Result<(Header, Outcome), ReplayError> {
    let (header, lines) = lines(tape)?;
    let events = lines.iter().filter_map(|line| match &line.output {
        Some(WireOutput::Event(event)) => Some((line.t / 1_000, event)),
        _ => None,
    });
    Ok((header, Outcome::of(events)))
}

/// Has the tape's caller call again, under this configuration.
///
/// # Errors
/// If the tape can't be read, or is of a ConversationRelay call: when its caller's turns were over was not ours to decide.
pub fn reenact(tape: &str, config: CallConfig) -> Result<Outcome, ReplayError> {
    let (header, lines) = lines(tape)?;
    if header.transport == Transport::ConversationRelay {
        return Err(ReplayError::OfText);
    }
    let mut stage = Reenactment::new(config, Parts::of(&lines));
    for line in &lines {
        stage.line(line);
    }
    let events = stage.events.iter().map(|(at, event)| (*at, event));
    Ok(Outcome::of(events))
}

enum Later {
    Llm(LlmEvent),
    Tts(TtsEvent),
    Mark(String),
    Tool(ToolResult),
}

struct Reenactment {
    call: MediaCall,
    parts: Parts,
    later: BTreeMap<(u64, u64), Later>,
    count: u64,
    /// Replies that were asked for and may yet be thrown away.
    open: BTreeMap<ReplyId, Reply>,
    /// When Twilio will have played all it has, in microseconds, and the marks that wait for it.
    played_until: u64,
    marks: VecDeque<(u64, String)>,
    /// The end of the latest turn and its words: recognised words of a tape may reach back over it.
    turn_until: u64,
    turn_text: String,
    events: Vec<(u64, CallEvent)>,
}

impl Reenactment {
    fn new(config: CallConfig, parts: Parts) -> Self {
        Self {
            call: media_call(config),
            parts,
            later: BTreeMap::new(),
            count: 0,
            open: BTreeMap::new(),
            played_until: 0,
            marks: VecDeque::new(),
            turn_until: 0,
            turn_text: String::new(),
            events: Vec::new(),
        }
    }

    /// What comes from outside comes as on the tape; all else is made here.
    fn line(&mut self, line: &Line) {
        let Some(input) = &line.input else { return };
        self.until(line.t);
        let octets;
        let input = match input {
            WireInput::Start => Input::Start,
            WireInput::Media { ts, mulaw } => {
                let Ok(decoded) = STANDARD.decode(mulaw) else { return };
                octets = decoded;
                Input::Line(MediaInput::Media { timestamp_ms: *ts, payload: &octets })
            }
            WireInput::Key(key) => match key.stand_in() {
                Some(key) => Input::Line(MediaInput::Dtmf(key)),
                None => return,
            },
            WireInput::Stt(event) => match self.within_turn(event) {
                Some(event) => Input::Line(MediaInput::Stt(event)),
                None => return,
            },
            WireInput::Control(control) => Input::Control(control.clone()),
            WireInput::Stop => Input::Stop,
            WireInput::Lost => Input::Line(MediaInput::Lost),
            WireInput::Back => Input::Line(MediaInput::Back),
            // A stage that had ended on the tape answers here as well, with what it said before.
            WireInput::LlmEnded(_)
            | WireInput::TtsEnded(_)
            | WireInput::Mark(_)
            | WireInput::Turn(_)
            | WireInput::Llm(_)
            | WireInput::Tts(_)
            | WireInput::Tool(_)
            | WireInput::Relay(_)
            | WireInput::Timeout { .. } => return,
        };
        self.feed(input, line.t);
    }

    /// A transcript that begins before the end of the turn just answered has that turn's words in front.
    fn within_turn(&self, event: &SttEvent) -> Option<SttEvent> {
        let cut = |transcript: &Transcript| {
            if transcript.from >= self.turn_until || transcript.until <= self.turn_until {
                return transcript.clone();
            }
            let plain = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
            let mut known = self.turn_text.split_whitespace();
            let rest = transcript.text.split_whitespace();
            let rest: Vec<&str> =
                rest.skip_while(|word| known.next().is_some_and(|one| plain(one) == plain(word))).collect();
            Transcript { from: self.turn_until, text: rest.join(" "), ..transcript.clone() }
        };
        Some(match event {
            SttEvent::Partial(transcript) => SttEvent::Partial(cut(transcript)),
            SttEvent::Final(transcript) => SttEvent::Final(cut(transcript)),
            other => other.clone(),
        })
    }

    /// Lets all happen that is due before this time.
    fn until(&mut self, t: u64) {
        loop {
            let later = self.later.first_key_value().map(|((at, _), _)| *at);
            let mark = self.marks.front().map(|(at, _)| *at);
            let deadline = self.call.deadline().map(|deadline| micros(deadline.at));
            let Some(next) = [later, mark, deadline].into_iter().flatten().min() else { return };
            if next >= t || self.call.is_over() {
                return;
            }
            if mark == Some(next) {
                if let Some((_, name)) = self.marks.pop_front() {
                    self.later_at(next, Later::Mark(name));
                }
            } else if later == Some(next) {
                if let Some((_, what)) = self.later.pop_first() {
                    self.deliver(what, next);
                }
            } else {
                self.feed(Input::Timeout, next);
            }
        }
    }

    fn deliver(&mut self, what: Later, t: u64) {
        match what {
            Later::Llm(event) => self.feed(Input::Llm(event), t),
            Later::Tts(event) => self.feed(Input::Line(MediaInput::Tts(event)), t),
            Later::Mark(name) => self.feed(Input::Line(MediaInput::Mark(&name)), t),
            Later::Tool(result) => self.feed(Input::Tool(result), t),
        }
    }

    fn later_at(&mut self, t: u64, what: Later) {
        self.count += 1;
        self.later.insert((t, self.count), what);
    }

    fn feed(&mut self, input: Input<MediaInput<'_>>, t: u64) {
        self.call.handle(input, CallTime::after(std::time::Duration::from_micros(t)));
        while let Some(output) = self.call.poll_output() {
            self.on_output(output, t);
        }
    }

    fn on_wire(&mut self, wire: &MediaWire, t: u64) {
        match wire {
            MediaWire::Media(frame) | MediaWire::HiddenMedia(frame) => {
                let octets = frame.0.len() as u64;
                self.played_until = self.played_until.max(t) + octets * 20_000 / FRAME;
            }
            MediaWire::Mark(name) => {
                self.marks.push_back((self.played_until.max(t) + MARK_US, name.to_string()));
            }
            MediaWire::Clear => {
                self.played_until = t;
                for (at, _) in &mut self.marks {
                    *at = (*at).min(t + MARK_US);
                }
            }
        }
    }

    fn on_output(&mut self, output: Output<MediaWire>, t: u64) {
        match output {
            Output::Wire(wire) => self.on_wire(&wire, t),
            Output::Llm(command) => self.on_llm(command, t),
            Output::Tts(TtsCommand::Speak(request)) => self.speak(&request, t),
            Output::Tts(TtsCommand::Cancel { utterance }) => self.later.retain(|_, what| match what {
                Later::Tts(event) => event.of().0 != utterance,
                _ => true,
            }),
            Output::Tool(call) => {
                let outcome = Err("tools are not run again".to_owned());
                let result = ToolResult { id: call.id, name: call.name, outcome };
                self.later_at(t, Later::Tool(result));
            }
            Output::Event(event) => {
                if let CallEvent::TurnEnded(turn) = &event {
                    self.turn_text.clone_from(&turn.text);
                }
                self.events.push((t / 1_000, event));
            }
            Output::Stt(command) => {
                if let SttCommand::TurnEnded { until } = command {
                    self.turn_until = until.0;
                }
            }
            Output::CancelTool { .. } | Output::Turn(_) | Output::HangUp { .. } => {}
        }
    }

    fn on_llm(&mut self, command: LlmCommand, t: u64) {
        match command {
            LlmCommand::Respond(request) => {
                let reply = request.reply;
                let events = match request.reason {
                    ReplyReason::Greeting => self.parts.greeting.clone(),
                    _ => self.parts.replies.pop_front(),
                };
                // A tape has no answer to what wasn't asked on it.
                let events = events.unwrap_or_else(|| {
                    vec![(400_000, nothing_taped(reply)), (400_000, LlmEvent::Done { reply })]
                });
                for (after, event) in &events {
                    self.later_at(t + after, Later::Llm(for_reply(event, reply)));
                }
                if !matches!(request.reason, ReplyReason::Greeting) {
                    self.open.insert(reply, events);
                }
            }
            LlmCommand::Commit { reply } => {
                self.open.remove(&reply);
            }
            LlmCommand::Cancel { reply } => {
                self.later.retain(|_, what| !matches!(what, Later::Llm(event) if event.reply() == reply));
                // It was never heard: the next request gets it.
                if let Some(events) = self.open.remove(&reply) {
                    self.parts.replies.push_front(events);
                }
            }
            LlmCommand::Interrupted { .. } | LlmCommand::ToolResult(_) | LlmCommand::News(_) => {}
        }
    }

    fn speak(&mut self, request: &SpeakRequest, t: u64) {
        let to = (request.utterance, request.segment);
        match self.parts.sound(request).cloned() {
            Some(events) => {
                for (after, event) in &events {
                    self.later_at(t + after, Later::Tts(for_segment(event, to)));
                }
            }
            None => {
                for event in hum(&request.text, to) {
                    self.later_at(t + 100_000, Later::Tts(event));
                }
            }
        }
    }
}

/// Where the tape has no reply.
fn nothing_taped(reply: ReplyId) -> LlmEvent {
    LlmEvent::Text { reply, delta: "The tape has no answer to this.".to_owned() }
}

/// Where the tape has no sound of a text: a silence as long as its words would take.
fn hum(text: &str, (utterance, segment): (UtteranceId, SegmentId)) -> [TtsEvent; 2] {
    let octets = vec![0xFF; text.split_whitespace().count().max(1) * WORD_OCTETS];
    [
        TtsEvent::Audio { utterance, segment, chunk: AudioChunk::Mulaw(octets.into()) },
        TtsEvent::Done { utterance, segment },
    ]
}
