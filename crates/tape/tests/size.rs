//! How much room a tape takes: a simulated minute in which both sides speak.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use offhook_audio::SampleRate;
use offhook_conversation::{Control, Input, Output};
use offhook_media_line::{CallConfig, MediaInput, MediaLine, MediaWire, media_call};
use offhook_resample::Resampler;
use offhook_stage_api::{AudioChunk, CallTime, Interruptible, LlmCommand, LlmEvent, TtsCommand, TtsEvent};
use offhook_tape::{
    Header, Packer, WireInput, lines, replay, unpacked, write_header, write_input, write_output,
};

fn fixture(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path)).unwrap()
}

/// The sound of a WAV of G.711 μ-law.
fn octets(name: &str) -> Vec<u8> {
    let wav = fixture(&format!("callers/{name}.wav"));
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    wav[data..].to_vec()
}

/// A minute of a caller: of ten seconds four of speech, and six in which the agent speaks.
fn caller() -> Vec<u8> {
    let lines = ["noisy", "booking-1", "pizza-1", "loud", "noisy", "pause-800ms", "pizza-2", "quiet"];
    let mut speech = lines.iter().cycle().flat_map(|name| octets(name));
    let mut minute: Vec<u8> =
        (0..60 * 8_000u32).map(|n| if n % 80_000 < 32_000 { speech.next().unwrap() } else { 0xFF }).collect();
    // What a digital exchange calls silence is never quite silent.
    let mut noise = 1u32;
    for octet in &mut minute {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if matches!(*octet, 0xFF | 0x7F) {
            *octet =
                0x7F - u8::try_from(noise >> 30).unwrap() + u8::try_from(noise >> 29 & 1).unwrap() * 0x80;
        }
    }
    minute
}

/// What a synthesiser said in the demo's call, at 8 kHz.
fn voice() -> Vec<i16> {
    let tape = String::from_utf8(fixture("tapes/pizza.tape.jsonl")).unwrap();
    let (mut resampler, mut all) =
        (Resampler::new(SampleRate::HZ_16000, SampleRate::HZ_8000).unwrap(), Vec::new());
    for line in lines(&tape).unwrap().1 {
        if let Some(WireInput::Tts(event)) = line.input
            && let Some(TtsEvent::Audio { chunk: AudioChunk::Pcm { samples, .. }, .. }) = event.to_event()
        {
            resampler.process(&samples, &mut all);
        }
    }
    all
}

/// A call on tape, in pieces as the server writes it.
struct Line {
    call: offhook_media_line::MediaCall,
    text: Vec<u8>,
    packer: Packer,
    packed: Vec<u8>,
    whole: usize,
    buffered: u64,
    played: u64,
    marks: VecDeque<(u64, String)>,
    voice: std::iter::Cycle<std::vec::IntoIter<i16>>,
}

impl Line {
    fn take(&mut self, us: u64, input: Input<MediaInput<'_>>) {
        let now = CallTime::after(Duration::from_micros(us));
        write_input::<MediaLine>(&mut self.text, now, &input, self.call.deadline());
        self.call.handle(input, now);
        let (mut asked, mut silent) = (Vec::new(), Vec::new());
        while let Some(output) = self.call.poll_output() {
            write_output::<MediaLine>(&mut self.text, now, &output);
            match output {
                Output::Wire(MediaWire::Media(_)) => self.buffered += 160,
                Output::Wire(MediaWire::Mark(name)) => {
                    self.marks.push_back((self.played + self.buffered, name.to_string()));
                }
                Output::Tts(TtsCommand::Speak(request)) => asked.push(request),
                Output::Llm(LlmCommand::Respond(request)) => silent.push(request.reply),
                _ => {}
            }
        }
        // What is said is all the application's.
        for reply in silent {
            self.take(us, Input::Llm(LlmEvent::Silent { reply }));
            self.take(us, Input::Llm(LlmEvent::Done { reply }));
        }
        for request in asked {
            let (utterance, segment) = (request.utterance, request.segment);
            // Five seconds, in chunks of 100 ms as a network's voice gives them.
            for _ in 0..50 {
                let samples: Vec<i16> = self.voice.by_ref().take(800).collect();
                let chunk = AudioChunk::Pcm { rate: SampleRate::HZ_8000, samples: samples.into() };
                self.take(us, Input::Line(MediaInput::Tts(TtsEvent::Audio { utterance, segment, chunk })));
            }
            self.take(us, Input::Line(MediaInput::Tts(TtsEvent::Done { utterance, segment })));
        }
        if self.text.len() >= 64 * 1024 {
            self.spill();
        }
    }

    fn spill(&mut self) {
        self.whole += self.text.len();
        self.packed.extend(self.packer.pack(&std::mem::take(&mut self.text)));
    }
}

#[test]
fn a_minute_in_which_both_speak_takes_less_than_a_megabyte() {
    let config = CallConfig::default();
    let mut text = Vec::new();
    write_header(&mut text, &Header::new("CA1", "x", "0", &config));
    let mut line = Line {
        call: media_call(config.clone()),
        text,
        packer: Packer::default(),
        packed: Vec::new(),
        whole: 0,
        buffered: 0,
        played: 0,
        marks: VecDeque::new(),
        voice: voice().into_iter().cycle(),
    };
    line.take(0, Input::Start);
    let mut spoken = 0;
    for (number, frame) in (0u64..).zip(caller().chunks(160).take(3_000)) {
        let us = (number + 1) * 20_000;
        while let Some(due) = line.call.deadline().map(|due| due.at.since_start().as_micros() as u64)
            && due < us
        {
            line.take(due, Input::Timeout);
        }
        let played = line.buffered.min(160);
        line.buffered -= played;
        line.played += played;
        spoken += played;
        while line.marks.front().is_some_and(|(at, _)| *at <= line.played) {
            let (_, name) = line.marks.pop_front().unwrap();
            line.take(us, Input::Line(MediaInput::Mark(&name)));
        }
        if number % 500 == 10 {
            let text = "The whole menu, from the first page to the last.".to_owned();
            line.take(us, Input::Control(Control::Say { text, interruptible: Interruptible::No }));
        }
        let timestamp_ms = Some(155 + number * 20);
        line.take(us, Input::Line(MediaInput::Media { timestamp_ms, payload: frame }));
    }
    line.take(60_000_001, Input::Stop);
    line.spill();
    assert!(spoken >= 28 * 8_000, "the agent spoke {} s", spoken / 8_000);
    eprintln!("a minute: {} octets of text, {} packed", line.whole, line.packed.len());
    assert!(line.packed.len() <= 1_000_000, "{} octets of {}", line.packed.len(), line.whole);
    let text = unpacked(line.packed).unwrap();
    assert_eq!(text.len(), line.whole);
    assert_eq!(replay(&text, config).unwrap().divergence, None);
}
