//! What holds whatever comes, in whatever order.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use offhook_conversation::{CallEvent, Control, Input, Output};
use offhook_endpoint::DetectorKind;
use offhook_media_line::{CallConfig, MarkName, MediaCall, MediaInput, MediaWire, media_call};
use offhook_stage_api::Interruptible;
use offhook_stage_api::id::{ReplyId, SegmentId, UtteranceId};
use offhook_stage_api::{
    AudioChunk, Digits, FailureKind, LlmCommand, LlmEvent, StageFailure, SttCommand, SttEvent, ToolCall,
    ToolResult, Transcript, TtsCommand, TtsEvent, TurnEvent,
};
use offhook_stage_api::{CallTime, Key};
use proptest::prelude::*;

/// Something that may happen.
#[derive(Clone, Debug)]
enum Step {
    Speech(u8),
    Silence(u8),
    Jump(u16),
    Wait(u16),
    Partial(String),
    Final(String),
    EndOfTurn,
    Eager,
    Resumed,
    Turn(u32, f32),
    Text(String),
    Done,
    LlmFails,
    EndCall,
    Audio(u16),
    Spoken,
    TtsFails,
    Marks,
    StrangeMark(String),
    Key(char),
    Say(String),
    Press(String),
    Tool,
    ToolResult,
    HangUp,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let words = "[a-z]{1,6}( [a-z]{1,6}){0,4}[.?,]?";
    proptest::collection::vec(
        prop_oneof![
            4 => (1u8..30).prop_map(Step::Speech),
            4 => (1u8..45).prop_map(Step::Silence),
            1 => (0u16..7_000).prop_map(Step::Jump),
            2 => (0u16..9_000).prop_map(Step::Wait),
            2 => words.prop_map(Step::Partial),
            3 => words.prop_map(Step::Final),
            1 => Just(Step::EndOfTurn),
            1 => Just(Step::Eager),
            1 => Just(Step::Resumed),
            1 => (0u32..6, -0.5f32..1.5).prop_map(|(question, p)| Step::Turn(question, p)),
            4 => "[A-Z][a-z]{1,6}( [a-z]{1,6}){0,8}[.?!] ?".prop_map(Step::Text),
            3 => Just(Step::Done),
            1 => Just(Step::LlmFails),
            1 => Just(Step::EndCall),
            5 => (1u16..20_000).prop_map(Step::Audio),
            4 => Just(Step::Spoken),
            1 => Just(Step::TtsFails),
            4 => Just(Step::Marks),
            1 => ".{0,8}".prop_map(Step::StrangeMark),
            1 => "[0-9#*]".prop_map(|key| Step::Key(key.chars().next().unwrap())),
            1 => words.prop_map(Step::Say),
            1 => "[0-9#*x]{0,4}".prop_map(Step::Press),
            1 => Just(Step::Tool),
            1 => Just(Step::ToolResult),
            1 => Just(Step::HangUp),
        ],
        1..50,
    )
}

/// Twenty milliseconds that the detector takes for a voice.
fn voice() -> [u8; 160] {
    let mut frame = [0; 160];
    for (n, octet) in frame.iter_mut().enumerate() {
        let t = n as f64 / 8_000.0;
        let harmonics = (1..14)
            .map(|k| (std::f64::consts::TAU * 150.0 * f64::from(k) * t).sin() / (1.0 + f64::from(k) / 4.0));
        *octet = offhook_mulaw::encode((harmonics.sum::<f64>() * 2_500.0) as i16);
    }
    frame
}

/// The detector that takes least time: what it hears is not the question here.
fn config() -> CallConfig {
    let mut config = CallConfig::default();
    config.inbound.speech.detector = DetectorKind::Energy;
    config.conversation_mut().turn.model = true;
    config
}

struct World {
    call: MediaCall,
    now: Duration,
    reply: Option<ReplyId>,
    speak: Vec<(UtteranceId, SegmentId)>,
    marks: Vec<MarkName>,
    generation: u32,
    frames: u64,
    ended: bool,
    hung_up: bool,
    /// The caller has the floor: a turn began that is neither answered nor dropped.
    turn_open: bool,
    /// Utterances that sound went out of, and that are neither said nor cut.
    speaking: Vec<UtteranceId>,
    /// The latest time that an event told.
    latest_ms: u64,
}

impl World {
    fn feed(&mut self, input: Input<MediaInput<'_>>) -> Result<(), TestCaseError> {
        self.call.handle(input, CallTime::after(self.now));
        while let Some(output) = self.call.poll_output() {
            self.check(output)?;
        }
        if let Some(deadline) = self.call.deadline() {
            prop_assert!(deadline.at.since_start() < self.now + Duration::from_secs(3_700));
        }
        Ok(())
    }

    fn check(&mut self, output: Output<MediaWire>) -> Result<(), TestCaseError> {
        prop_assert!(!self.ended, "after the end came {output:?}");
        match output {
            Output::Wire(MediaWire::Media(_) | MediaWire::HiddenMedia(_)) => {
                prop_assert!(!self.hung_up);
                self.frames += 1;
            }
            Output::Wire(MediaWire::Mark(name)) => {
                prop_assert_eq!(
                    name.generation.0,
                    self.generation,
                    "a mark of a generation that was cleared"
                );
                self.marks.push(name);
            }
            Output::Wire(MediaWire::Clear) => {
                self.generation += 1;
                // Nothing of the cancelled generation leaves any more: its marks only come back.
                self.marks.clear();
            }
            Output::Llm(LlmCommand::Respond(request)) => self.reply = Some(request.reply),
            Output::Tts(TtsCommand::Speak(request)) => self.speak.push((request.utterance, request.segment)),
            Output::HangUp { .. } => self.hung_up = true,
            Output::Event(CallEvent::Speaking { utterance, .. }) => {
                prop_assert!(!self.speaking.contains(&utterance), "{utterance} began twice");
                self.speaking.push(utterance);
            }
            Output::Event(CallEvent::Said { utterance, heard, text, interrupted, .. }) => {
                // What failed to be spoken is left out of what was heard.
                let mut rest = text.split_whitespace();
                let within = heard.split_whitespace().all(|word| rest.any(|said| said == word));
                prop_assert!(within, "heard “{heard}” of “{text}”");
                prop_assert!(interrupted || heard.split_whitespace().eq(text.split_whitespace()));
                prop_assert!(self.speaking.contains(&utterance), "{utterance} ended, but never began");
                self.speaking.retain(|other| *other != utterance);
            }
            Output::Event(CallEvent::SpeechStarted { at_ms }) => {
                prop_assert!(at_ms <= self.now.as_millis() as u64);
                self.turn_open = true;
            }
            Output::Event(CallEvent::TurnEnded(turn)) => {
                prop_assert!(turn.began_ms <= turn.speech_end_ms && turn.speech_end_ms <= turn.decided_ms);
                prop_assert!(turn.decided_ms >= self.latest_ms, "time went back");
                self.latest_ms = turn.decided_ms;
            }
            Output::Stt(SttCommand::TurnEnded { .. }) => self.turn_open = false,
            Output::Event(CallEvent::ReplyTimed(timing)) => {
                prop_assert!(timing.decided_ms <= timing.first_frame_ms)
            }
            _ => {}
        }
        Ok(())
    }

    fn pass(&mut self, until: Duration) -> Result<(), TestCaseError> {
        let mut rounds = 0;
        while let Some(deadline) = self.call.deadline().map(|due| due.at.since_start())
            && deadline <= until
        {
            // A timer that is due again and again at the same time would never end.
            rounds += 1;
            prop_assert!(rounds < 20_000, "timers run in circles at {:?}", self.now);
            self.now = self.now.max(deadline);
            self.feed(Input::Timeout)?;
        }
        self.now = until.max(self.now);
        Ok(())
    }

    fn media(&mut self, frames: u8, frame: &[u8; 160]) -> Result<(), TestCaseError> {
        for _ in 0..frames {
            self.pass(self.now + Duration::from_millis(20))?;
            self.feed(Input::Line(MediaInput::Media { timestamp_ms: None, payload: frame }))?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let failure = || StageFailure {
            stage: "x".into(),
            message: "y".into(),
            kind: FailureKind::Broken,
            retry_after_ms: None,
        };
        let reply = self.reply.unwrap_or_default();
        let heard = |text: String, now: Duration| {
            let until = now.as_millis() as u64 * 8;
            Transcript { from: until.saturating_sub(8_000), until, text, ..Transcript::default() }
        };
        match step {
            Step::Speech(frames) => self.media(frames, &voice()),
            Step::Silence(frames) => self.media(frames, &[0xFF; 160]),
            Step::Jump(ms) => self.feed(Input::Line(MediaInput::Media {
                timestamp_ms: Some(u64::from(ms)),
                payload: &[0xFF; 160],
            })),
            Step::Wait(ms) => self.pass(self.now + Duration::from_millis(ms.into())),
            Step::Partial(text) => {
                self.feed(Input::Line(MediaInput::Stt(SttEvent::Partial(heard(text, self.now)))))
            }
            Step::Final(text) => {
                self.feed(Input::Line(MediaInput::Stt(SttEvent::Final(heard(text, self.now)))))
            }
            Step::EndOfTurn => self.feed(Input::Line(MediaInput::Stt(SttEvent::EndOfTurn))),
            Step::Text(delta) => self.feed(Input::Llm(LlmEvent::Text { reply, delta })),
            Step::Done => self.feed(Input::Llm(LlmEvent::Done { reply })),
            Step::LlmFails => self.feed(Input::Llm(LlmEvent::Failed { reply, failure: failure() })),
            Step::EndCall => {
                let call = ToolCall {
                    id: String::new(),
                    name: "end_call".into(),
                    arguments: serde_json::Value::Null,
                };
                self.feed(Input::Llm(LlmEvent::Tool { reply, call }))
            }
            Step::Audio(octets) => {
                let Some(&(utterance, segment)) = self.speak.first() else { return Ok(()) };
                let chunk = AudioChunk::Mulaw(vec![0x2A; octets.into()].into());
                self.feed(Input::Line(MediaInput::Tts(TtsEvent::Audio { utterance, segment, chunk })))
            }
            Step::Spoken | Step::TtsFails if self.speak.is_empty() => Ok(()),
            Step::Spoken => {
                let (utterance, segment) = self.speak.remove(0);
                self.feed(Input::Line(MediaInput::Tts(TtsEvent::Done { utterance, segment })))
            }
            Step::TtsFails => {
                let (utterance, segment) = self.speak.remove(0);
                self.feed(Input::Line(MediaInput::Tts(TtsEvent::Failed {
                    utterance,
                    segment,
                    failure: failure(),
                })))
            }
            Step::Marks => {
                for mark in std::mem::take(&mut self.marks) {
                    self.feed(Input::Line(MediaInput::Mark(&mark.to_string())))?;
                }
                Ok(())
            }
            Step::StrangeMark(name) => self.feed(Input::Line(MediaInput::Mark(&name))),
            Step::Key(key) => self.feed(Input::Line(MediaInput::Dtmf(Key::new(key).unwrap()))),
            Step::Say(text) => {
                self.feed(Input::Control(Control::Say { text, interruptible: Interruptible::Yes }))
            }
            Step::Press(keys) => self.feed(Input::Control(Control::Press { digits: Digits::new(&keys) })),
            Step::HangUp => self.feed(Input::Control(Control::HangUp)),
            Step::Eager => self.feed(Input::Line(MediaInput::Stt(SttEvent::EagerEndOfTurn))),
            Step::Turn(question, probability) => self.feed(Input::Turn(TurnEvent { question, probability })),
            Step::Resumed => self.feed(Input::Line(MediaInput::Stt(SttEvent::TurnResumed))),
            Step::Tool => {
                let arguments = serde_json::json!({ "digits": "12", "x": 1 });
                let name = if self.frames.is_multiple_of(2) { "send_dtmf" } else { "look_up" };
                let call = ToolCall { id: "a".into(), name: name.into(), arguments };
                self.feed(Input::Llm(LlmEvent::Tool { reply, call }))
            }
            Step::ToolResult => {
                let outcome =
                    if self.frames.is_multiple_of(2) { Ok("42".to_owned()) } else { Err("no".to_owned()) };
                self.feed(Input::Tool(ToolResult { id: "a".into(), name: "look_up".into(), outcome }))
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_call_keeps_its_word(steps in steps()) {
        let mut world = World {
            call: media_call(config()),
            now: Duration::ZERO,
            reply: None,
            speak: Vec::new(),
            marks: Vec::new(),
            generation: 0,
            frames: 0,
            ended: false,
            hung_up: false,
            turn_open: false,
            speaking: Vec::new(),
            latest_ms: 0,
        };
        // Nothing may come out before `start`.
        world.call.handle(Input::Line(MediaInput::Media { timestamp_ms: None, payload: &[0; 160] }), CallTime::ZERO);
        prop_assert!(world.call.poll_output().is_none());
        world.feed(Input::Start)?;
        for step in steps {
            world.step(step)?;
        }
        prop_assert_eq!(world.call.line().totals().playout.frames, world.frames);
        prop_assert_eq!(world.call.line().totals().playout.clears, u64::from(world.generation));
        // With all spoken and all marks returned, nothing stays undone: the call comes to its end by itself.
        while !world.speak.is_empty() {
            world.step(Step::Spoken)?;
        }
        // Silence: every turn that was begun ends, and with it whatever is said into it.
        world.media(110, &[0xFF; 160])?;
        for _ in 0..60 {
            if !world.turn_open && world.speaking.is_empty() || world.hung_up {
                break;
            }
            if let Some(reply) = world.reply {
                world.feed(Input::Llm(LlmEvent::Done { reply }))?;
            }
            while !world.speak.is_empty() {
                world.step(Step::Audio(800))?;
                world.step(Step::Spoken)?;
            }
            world.media(40, &[0xFF; 160])?;
            world.step(Step::Marks)?;
        }
        prop_assert!(!world.turn_open || world.hung_up, "a turn never ended");
        world.feed(Input::Stop)?;
        prop_assert!(world.speaking.is_empty(), "never said to their end: {:?}", world.speaking);
        world.ended = true;
        prop_assert!(world.call.is_over());
        prop_assert_eq!(world.call.deadline(), None);
        for input in [Input::Start, Input::Stop, Input::Timeout, Input::Line(MediaInput::Dtmf(Key::new('1').unwrap()))] {
            world.feed(input)?;
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_same_inputs_give_the_same_outputs(steps in steps()) {
        let run = |steps: Vec<Step>| {
            let mut text = String::new();
            let mut call = media_call(CallConfig::default());
            call.handle(Input::Start, CallTime::ZERO);
            let mut ms = 0;
            for step in steps {
                if let Step::Speech(frames) | Step::Silence(frames) = step {
                    let frame = if matches!(step, Step::Speech(_)) { voice() } else { [0xFF; 160] };
                    for _ in 0..frames {
                        ms += 20;
                        call.handle(Input::Line(MediaInput::Media { timestamp_ms: None, payload: &frame }), CallTime::from_millis(ms));
                        while let Some(output) = call.poll_output() {
                            text.push_str(&format!("{output:?}\n"));
                        }
                    }
                }
            }
            text
        };
        prop_assert_eq!(run(steps.clone()), run(steps));
    }
}
