//! A whole telephone line on a virtual clock: the call, Twilio's playout, scripted stages, a caller of real speech.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(dead_code, reason = "nobody uses all of it")]

mod stages;
mod timeline;

use std::collections::{BTreeMap, VecDeque};

use offhook_conversation::{Control, Deadline, Input, Output};
use offhook_media_line::{CallConfig, MediaCall, MediaInput, MediaWire, media_call};
use offhook_stage_api::{CallTime, Key};
use offhook_stage_api::{
    Digits, Interruptible, LlmEvent, ReplyRequest, SttEvent, ToolResult, Transcript, TtsEvent, TurnEvent,
};

/// Stands in a reply between its text and the tool that it uses.
const TOOL: char = '\u{1}';
/// What the voice takes for a word: 250 ms.
const WORD_MS: u64 = 250;

/// Sees all that goes into the call and comes out of it.
pub trait Watch {
    /// `deadline`: the call's, before the input.
    fn input(&mut self, now: CallTime, input: &Input<MediaInput<'_>>, deadline: Option<Deadline>);
    fn output(&mut self, now: CallTime, output: &Output<MediaWire>);
}

/// The line.
pub struct Phone {
    pub watch: Option<Box<dyn Watch>>,
    call: MediaCall,
    config: CallConfig,
    now_ms: u64,
    caller: Vec<u8>,
    /// What is said where on the caller's time line, if the recogniser goes by that.
    words: Vec<(u64, u64, String)>,
    /// Frames that don't arrive, by their begin.
    lost: Vec<(u64, u64)>,
    replies: VecDeque<String>,
    transcripts: VecDeque<String>,
    later: BTreeMap<(u64, usize), Later>,
    count: usize,
    /// Twilio's buffer: octets, and marks by how many octets lie before them.
    buffer: usize,
    marks: VecDeque<(usize, String)>,
    played: usize,
    pub heard_frames: usize,
    pub timeline: String,
    pub reply_ms: u64,
    pub stt_ms: u64,
    /// What the turn model says, if there is one.
    pub turn_model: Option<f32>,
    /// The voice gives no sound for this.
    pub mute: Option<String>,
    pub tts_fail: Vec<String>,
    pub tts_hang: Vec<String>,
    pub no_auto_stt: bool,
    pub reply_delays: VecDeque<u64>,
    pub raw_replies: bool,
    pub tts_ms: u64,
    /// Every request, and when it was made.
    pub requests: Vec<(u64, ReplyRequest)>,
    /// What each reply says, until it is certain to be heard.
    answering: BTreeMap<offhook_stage_api::ReplyId, String>,
    /// The history of the latest request.
    pub asked: String,
    /// What tools return.
    pub tool_outcome: Option<Result<String, String>>,
    /// How long tools take.
    pub tool_ms: u64,
    /// The line returns what it plays: gain, and octets late.
    echo: Option<(f32, usize)>,
    /// Octets played, for the echo.
    said: Vec<u8>,
    sound: VecDeque<u8>,
}

enum Later {
    Stt(SttEvent),
    Llm(LlmEvent),
    Tts(TtsEvent),
    Key(char),
    Control(Control),
    Tool(ToolResult),
    Turn(TurnEvent),
    Mark(String),
    Stop,
}

impl Phone {
    pub fn new() -> Self {
        Self::with(CallConfig::default())
    }

    pub fn with(config: CallConfig) -> Self {
        Self {
            watch: None,
            call: media_call(config.clone()),
            config,
            now_ms: 0,
            caller: Vec::new(),
            words: Vec::new(),
            lost: Vec::new(),
            replies: VecDeque::new(),
            transcripts: VecDeque::new(),
            later: BTreeMap::new(),
            count: 0,
            buffer: 0,
            marks: VecDeque::new(),
            played: 0,
            heard_frames: 0,
            timeline: String::new(),
            reply_ms: 60,
            stt_ms: 40,
            turn_model: None,
            mute: None,
            tts_fail: Vec::new(),
            tts_hang: Vec::new(),
            no_auto_stt: false,
            reply_delays: VecDeque::new(),
            raw_replies: false,
            tts_ms: 30,
            requests: Vec::new(),
            answering: BTreeMap::new(),
            asked: String::new(),
            tool_outcome: None,
            tool_ms: 200,
            echo: None,
            said: Vec::new(),
            sound: VecDeque::new(),
        }
    }

    /// The agent's next reply: a text, which may be empty, and a tool with its arguments, e.g. `look_up {"x":1}`.
    pub fn agent_uses(mut self, text: &str, tool: &str) -> Self {
        self.replies.push_back(format!("{text}{TOOL}{tool}"));
        self
    }

    /// The agent's next reply.
    pub fn agent_says(mut self, text: &str) -> Self {
        self.replies.push_back(text.to_owned());
        self
    }

    /// The caller says a line of the fixtures at this time; the recogniser will hear this text.
    pub fn caller_says(mut self, at_ms: usize, fixture: &str, text: &str) -> Self {
        let path = format!("{}/../../fixtures/callers/{fixture}.wav", env!("CARGO_MANIFEST_DIR"));
        let wav = std::fs::read(path).unwrap();
        let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
        let at = at_ms * 8;
        let length = u32::from_le_bytes(wav[data - 4..data].try_into().unwrap()) as usize;
        let octets = &wav[data..data + length];
        if self.caller.len() < at + octets.len() {
            self.caller.resize(at + octets.len(), 0xFF);
        }
        self.caller[at..at + octets.len()].copy_from_slice(octets);
        if !text.is_empty() {
            self.transcripts.push_back(text.to_owned());
        }
        self
    }

    /// This sound comes from the caller, added to what is there; the recogniser knows its words by their place.
    pub fn sounds(mut self, at_ms: usize, octets: &[u8], text: &str) -> Self {
        let at = at_ms * 8;
        if self.caller.len() < at + octets.len() {
            self.caller.resize(at + octets.len(), 0xFF);
        }
        for (to, octet) in self.caller[at..].iter_mut().zip(octets) {
            let sum = offhook_mulaw::decode(*to).saturating_add(offhook_mulaw::decode(*octet));
            *to = offhook_mulaw::encode(sum);
        }
        self.words.push((at as u64, (at + octets.len()) as u64, text.to_owned()));
        self
    }

    /// No frame arrives from here on, for so long.
    pub fn loses(mut self, at_ms: u64, length_ms: u64) -> Self {
        self.lost.push((at_ms, at_ms + length_ms));
        self
    }

    /// A burst of noise, as of a cough.
    pub fn cough(mut self, at_ms: usize, length_ms: usize) -> Self {
        let (at, end) = (at_ms * 8, (at_ms + length_ms) * 8);
        if self.caller.len() < end {
            self.caller.resize(end, 0xFF);
        }
        let clip = Self::new().caller_says(0, "pizza-1", "").caller;
        self.caller[at..end].copy_from_slice(&clip[1_600..1_600 + end - at]);
        self
    }

    /// The line returns the agent's voice, so much weaker and later.
    pub fn echo(mut self, db: f32, late_ms: usize) -> Self {
        self.echo = Some((10f32.powf(db / 20.0), late_ms * 8));
        self
    }

    pub fn key(mut self, at_ms: u64, key: char) -> Self {
        self.schedule(at_ms, Later::Key(key));
        self
    }

    /// The application presses keys.
    pub fn press(mut self, at_ms: u64, keys: &str) -> Self {
        self.schedule(at_ms, Later::Control(Control::Press { digits: Digits::new(keys) }));
        self
    }

    /// The recogniser hears this, whoever spoke, from `at_ms` on for so long.
    pub fn recogniser_hears(mut self, at_ms: u64, length_ms: u64, text: &str) -> Self {
        let (from, until) = (at_ms * 8, (at_ms + length_ms) * 8);
        let transcript = Transcript { from, until, text: text.to_owned(), ..Transcript::default() };
        self.schedule(at_ms + length_ms + 100, Later::Stt(SttEvent::Final(transcript)));
        self
    }

    /// The application has something said.
    pub fn announce(mut self, at_ms: u64, text: &str, interruptible: Interruptible) -> Self {
        let text = text.to_owned();
        self.schedule(at_ms, Later::Control(Control::Say { text, interruptible }));
        self
    }

    pub fn stt_event(mut self, at_ms: u64, event: SttEvent) -> Self {
        self.schedule(at_ms, Later::Stt(event));
        self
    }

    pub fn llm_event(mut self, at_ms: u64, event: LlmEvent) -> Self {
        self.schedule(at_ms, Later::Llm(event));
        self
    }

    pub fn tool_result(mut self, at_ms: u64, id: &str, name: &str, outcome: &str) -> Self {
        let result = ToolResult { id: id.into(), name: name.to_owned(), outcome: Ok(outcome.to_owned()) };
        self.schedule(at_ms, Later::Tool(result));
        self
    }

    /// The application wants something.
    pub fn control(mut self, at_ms: u64, control: Control) -> Self {
        self.schedule(at_ms, Later::Control(control));
        self
    }

    pub fn hang_up(mut self, at_ms: u64) -> Self {
        self.schedule(at_ms, Later::Stop);
        self
    }

    fn schedule(&mut self, at_ms: u64, what: Later) {
        self.count += 1;
        self.later.insert((at_ms, self.count), what);
    }

    /// Runs to this time.
    pub fn run(mut self, until_ms: u64) -> Self {
        self.feed(Input::Start, 0);
        while self.now_ms < until_ms && !self.call.is_over() {
            // Half-way through a frame come stage events, at its end the frame itself.
            let frame_at = self.now_ms + 20;
            while let Some((&(at, _), _)) = self.later.first_key_value()
                && at < frame_at
            {
                let ((at, _), what) = self.later.pop_first().unwrap();
                self.deliver(at.max(self.now_ms), what);
            }
            while let Some(deadline) = self.call.deadline().map(|due| due.at.since_start().as_micros() as u64)
                && deadline < frame_at * 1_000
            {
                self.feed_us(Input::Timeout, deadline.max(self.now_ms * 1_000));
            }
            self.play(frame_at);
            let from = (self.now_ms * 8) as usize;
            let mut frame = [0xFF; 160];
            for (to, octet) in frame.iter_mut().zip(self.caller.get(from..).unwrap_or(&[])) {
                *to = *octet;
            }
            self.add_echo(&mut frame);
            let timestamp_ms = Some(155 + self.now_ms);
            self.now_ms = frame_at;
            let began = frame_at - 20;
            if self.lost.iter().any(|(from, until)| (*from..*until).contains(&began)) {
                continue;
            }
            self.feed(Input::Line(MediaInput::Media { timestamp_ms, payload: &frame }), frame_at);
        }
        self
    }

    fn play(&mut self, at_ms: u64) {
        if self.buffer > 0 {
            self.heard_frames += 1;
        }
        let count = self.buffer.min(160);
        self.said.extend(self.sound.drain(..count).chain(std::iter::repeat_n(0xFF, 160 - count)));
        self.buffer -= count;
        self.played += count;
        while self.marks.front().is_some_and(|(at, _)| *at <= self.played) {
            let (_, name) = self.marks.pop_front().unwrap();
            self.feed(Input::Line(MediaInput::Mark(&name)), at_ms);
        }
    }

    fn add_echo(&self, frame: &mut [u8; 160]) {
        let Some((gain, late)) = self.echo else { return };
        let Some(from) = self.said.len().checked_sub(late + 160) else { return };
        for (octet, said) in frame.iter_mut().zip(&self.said[from..]) {
            let echo = f32::from(offhook_mulaw::decode(*said)) * gain;
            *octet = offhook_mulaw::encode(offhook_mulaw::decode(*octet).saturating_add(echo as i16));
        }
    }

    fn deliver(&mut self, at_ms: u64, what: Later) {
        match what {
            Later::Stt(event) => self.feed(Input::Line(MediaInput::Stt(event)), at_ms),
            Later::Llm(event) => self.feed(Input::Llm(event), at_ms),
            Later::Tts(event) => self.feed(Input::Line(MediaInput::Tts(event)), at_ms),
            Later::Key(key) => self.feed(Input::Line(MediaInput::Dtmf(Key::new(key).unwrap())), at_ms),
            Later::Control(control) => self.feed(Input::Control(control), at_ms),
            Later::Tool(result) => self.feed(Input::Tool(result), at_ms),
            Later::Turn(event) => self.feed(Input::Turn(event), at_ms),
            Later::Mark(name) => self.feed(Input::Line(MediaInput::Mark(&name)), at_ms),
            Later::Stop => self.feed(Input::Stop, at_ms),
        }
    }

    fn feed(&mut self, input: Input<MediaInput<'_>>, at_ms: u64) {
        self.feed_us(input, at_ms * 1_000);
    }

    fn feed_us(&mut self, input: Input<MediaInput<'_>>, at_us: u64) {
        let now = CallTime::after(std::time::Duration::from_micros(at_us));
        if let Some(watch) = &mut self.watch {
            watch.input(now, &input, self.call.deadline());
        }
        self.call.handle(input, now);
        let at_ms = at_us / 1_000;
        while let Some(output) = self.call.poll_output() {
            if let Some(watch) = &mut self.watch {
                watch.output(now, &output);
            }
            self.act(output, at_ms);
        }
    }

    fn act(&mut self, output: Output<MediaWire>, at_ms: u64) {
        match output {
            Output::Wire(MediaWire::Media(frame) | MediaWire::HiddenMedia(frame)) => {
                self.buffer += frame.0.len();
                self.sound.extend(frame.0);
            }
            Output::Wire(MediaWire::Mark(name)) => {
                if self.buffer == 0 {
                    // Comes back at once, but not before what else is to be done.
                    self.schedule(at_ms, Later::Mark(name.to_string()));
                } else {
                    self.marks.push_back((self.played + self.buffer, name.to_string()));
                }
            }
            Output::Wire(MediaWire::Clear) => {
                self.tell(at_ms, "clear");
                self.played += std::mem::take(&mut self.buffer);
                self.sound.clear();
                for (_, name) in std::mem::take(&mut self.marks) {
                    self.schedule(at_ms + 30, Later::Mark(name));
                }
            }
            Output::Stt(command) => self.on_stt(&command, at_ms),
            Output::Turn(question) => {
                if let Some(probability) = self.turn_model {
                    let event = TurnEvent { question: question.question, probability };
                    self.schedule(at_ms + 60, Later::Turn(event));
                }
            }
            Output::Llm(command) => self.on_llm(command, at_ms),
            Output::Tts(command) => self.on_tts(command, at_ms),
            Output::Tool(call) => {
                self.tell(at_ms, &format!("tool {} {}", call.name, call.arguments));
                if let Some(outcome) = self.tool_outcome.clone() {
                    let result = ToolResult { id: call.id, name: call.name, outcome };
                    self.schedule(at_ms + self.tool_ms, Later::Tool(result));
                }
            }
            Output::CancelTool { id } => self.tell(at_ms, &format!("give up tool {id}")),
            Output::HangUp { .. } => self.tell(at_ms, "hang up"),
            Output::Event(event) => self.on_event(&event, at_ms),
        }
    }

    /// The configuration that it runs with.
    pub fn config(&self) -> &CallConfig {
        &self.config
    }
}
