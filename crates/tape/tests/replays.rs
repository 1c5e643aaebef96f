//! A replay compares everything to the tape's last line, and a tape gives no key away.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use offhook_conversation::{CallEvent, Control, Input};
use offhook_media_line::{CallConfig, MediaInput, MediaLine};
use offhook_relay_line::{RelayInput, RelayLine};
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{AudioChunk, CallTime, Digits, Key, LlmEvent, StageFailure, ToolCall, TtsEvent};
use offhook_tape::{
    CORE, Header, ReplayError, Replayed, TapedLine, Transport, WireInput, WireLlm, WireOutput, accept, lines,
    replay, write_header, write_input, write_output,
};

/// Records a call; timeouts come when the call wants them.
struct Recorder<L: TapedLine> {
    call: offhook_conversation::Call<L>,
    tape: Vec<u8>,
    speak: Vec<offhook_stage_api::SpeakRequest>,
    over: CallTime,
}

impl<L: TapedLine> Recorder<L> {
    fn new(transport: Transport, config: &CallConfig) -> Self {
        let mut tape = Vec::new();
        write_header(&mut tape, &Header::new("CA1", "x", "0", config).over(transport));
        Self { call: L::call(config.clone()), tape, speak: Vec::new(), over: CallTime::ZERO }
    }

    fn feed(&mut self, ms: u64, input: Input<L::Input<'_>>) {
        let now = CallTime::from_millis(ms);
        while let Some(due) = self.call.deadline().filter(|due| due.at < now) {
            self.take(due.at, Input::Timeout);
        }
        self.take(now, input);
    }

    fn take(&mut self, now: CallTime, input: Input<L::Input<'_>>) {
        self.over = now;
        write_input::<L>(&mut self.tape, now, &input, self.call.deadline());
        self.call.handle(input, now);
        while let Some(output) = self.call.poll_output() {
            write_output::<L>(&mut self.tape, now, &output);
            if let offhook_conversation::Output::Tts(offhook_stage_api::TtsCommand::Speak(request)) = output {
                self.speak.push(request);
            }
        }
    }

    fn tape(self) -> String {
        String::from_utf8(self.tape).unwrap()
    }
}

fn text<I>(reply: u32, delta: &str) -> Input<I> {
    Input::Llm(LlmEvent::Text { reply: ReplyId(reply), delta: delta.into() })
}

fn done<I>(reply: u32) -> Input<I> {
    Input::Llm(LlmEvent::Done { reply: ReplyId(reply) })
}

fn ended() -> StageFailure {
    StageFailure {
        stage: "x".into(),
        message: "it ended".into(),
        kind: offhook_stage_api::FailureKind::Broken,
        retry_after_ms: None,
    }
}

/// A ConversationRelay call with keys both ways.
fn relay_tape() -> String {
    let mut call = Recorder::<RelayLine>::new(Transport::ConversationRelay, &CallConfig::default());
    let arguments = serde_json::json!({ "digits": "4711" });
    let keys = ToolCall { id: "1".into(), name: "send_dtmf".into(), arguments };
    let interrupt = RelayInput::Interrupt { heard: "Hello", after: Some(Duration::from_millis(400)) };
    let prompt = RelayInput::Prompt { text: "Two pizzas, please.", lang: Some("en-US"), last: true };
    call.feed(0, Input::Start);
    call.feed(10, text(1, "Hello there. What would you like?"));
    call.feed(11, done(1));
    call.feed(1_000, Input::Line(interrupt));
    call.feed(1_500, Input::Line(prompt));
    call.feed(1_600, text(2, "Very well."));
    call.feed(1_600, Input::Llm(LlmEvent::Tool { reply: ReplyId(2), call: keys }));
    call.feed(1_700, done(2));
    call.feed(1_900, Input::Control(Control::Press { digits: Digits::new("4711") }));
    for (place, key) in "4*711#".chars().enumerate() {
        let ms = 6_000 + 100 * place as u64;
        call.feed(ms, Input::Line(RelayInput::Dtmf(Key::new(key).unwrap())));
    }
    call.feed(8_000, Input::Line(RelayInput::Lost));
    call.feed(9_000, Input::Line(RelayInput::Back));
    call.feed(9_100, Input::LlmEnded(ended()));
    call.feed(20_000, Input::Stop);
    call.tape()
}

/// A Media Streams call whose voice ends.
fn media_tape() -> String {
    let mut call = Recorder::<MediaLine>::new(Transport::MediaStreams, &CallConfig::default());
    call.feed(0, Input::Start);
    call.feed(5, text(1, "Hello there. "));
    call.feed(6, done(1));
    let speak = call.speak.first().unwrap().clone();
    let (utterance, segment) = (speak.utterance, speak.segment);
    let chunk = AudioChunk::Mulaw(vec![0x80; 8_000].into());
    call.feed(100, Input::Line(MediaInput::Tts(TtsEvent::Audio { utterance, segment, chunk })));
    call.feed(110, Input::Line(MediaInput::Tts(TtsEvent::Done { utterance, segment })));
    for frame in 0..100_u64 {
        let payload = &[0xFF; 160];
        call.feed(
            200 + 20 * frame,
            Input::Line(MediaInput::Media { timestamp_ms: Some(20 * frame), payload }),
        );
    }
    call.feed(2_300, Input::Line(MediaInput::TtsEnded(ended())));
    call.feed(12_000, Input::Stop);
    call.tape()
}

fn of(tape: &str) -> Replayed {
    replay(tape, CallConfig::default()).unwrap()
}

fn without_line(tape: &str, number: usize) -> String {
    let lines = tape.lines().enumerate().filter(|(index, _)| *index != number);
    lines.map(|(_, line)| format!("{line}\n")).collect()
}

#[test]
fn calls_of_both_kinds_replay_to_the_same_outputs() {
    for tape in [relay_tape(), media_tape()] {
        let replayed = of(&tape);
        assert_eq!(replayed.divergence, None);
        assert!(replayed.outputs > 20 && !replayed.cut_short, "{tape}");
        let accepted = String::from_utf8(accept(&tape, CallConfig::default()).unwrap()).unwrap();
        assert_eq!(accepted, tape);
    }
}

#[test]
fn no_key_is_on_tape() {
    let tape = relay_tape();
    assert!(!tape.contains("4711") && !tape.contains("\"7\"") && !tape.contains("4*711"), "{tape}");
    assert!(tape.contains("1111") && tape.contains("••••"), "{tape}");
    let (_, lines) = lines(&tape).unwrap();
    let asked = lines.iter().filter_map(|line| line.output.as_ref());
    let keyed = asked.filter(|output| match output {
        WireOutput::Llm(WireLlm::Respond(request)) => format!("{request:?}").contains("Digits(•"),
        _ => false,
    });
    assert!(keyed.count() > 0, "the number was asked about: {tape}");
}

#[test]
fn a_tape_without_its_last_output_is_another() {
    for tape in [relay_tape(), media_tape()] {
        let last = tape.lines().count() - 1;
        let divergence = of(&without_line(&tape, last)).divergence.unwrap();
        assert_eq!(divergence.taped, None);
        assert!(matches!(divergence.now, Some(WireOutput::Event(CallEvent::Ended { .. }))), "{divergence:?}");
    }
}

#[test]
fn a_tape_with_an_output_too_many_is_another() {
    let tape = media_tape() + "{\"t\":12000000,\"out\":\"clear\"}\n";
    let divergence = of(&tape).divergence.unwrap();
    assert_eq!(divergence.taped, Some((Duration::from_secs(12), WireOutput::Clear)));
    assert_eq!(divergence.now, None);
}

/// Where the line is that has this.
fn place(tape: &str, what: &str) -> usize {
    tape.lines().position(|line| line.contains(what)).unwrap()
}

fn swapped(tape: &str, a: usize, b: usize) -> String {
    let mut lines: Vec<&str> = tape.lines().collect();
    lines.swap(a, b);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn an_output_that_is_later_or_earlier_than_taped_is_found() {
    let tape = media_tape();
    // On tape behind the next input: now it comes earlier. Before its own input: now it comes later.
    let out = place(&tape, "\"out\":{\"tts\":{\"speak\"");
    let next = out + tape.lines().skip(out).position(|line| line.contains("\"in\"")).unwrap();
    let own =
        tape.lines().take(out).collect::<Vec<_>>().iter().rposition(|line| line.contains("\"in\"")).unwrap();
    let earlier = of(&swapped(&tape, out, next)).divergence.unwrap();
    assert!(matches!(earlier.now, Some(WireOutput::Tts(_))), "{earlier:?}");
    assert_ne!(earlier.taped.map(|(_, output)| output), earlier.now);
    let later = of(&swapped(&tape, out, own)).divergence.unwrap();
    assert!(later.now.is_none() && later.taped.is_some(), "{later:?}");
}

#[test]
fn times_are_compared() {
    let tape = media_tape();
    let out = place(&tape, "\"out\":{\"tts\":{\"speak\"");
    let line = tape.lines().nth(out).unwrap();
    let at = line.split_once(',').unwrap().0;
    let moved = tape.replacen(line, &line.replacen(at, "{\"t\":5999", 1), 1);
    let divergence = of(&moved).divergence.unwrap();
    let (taped_at, taped) = divergence.taped.unwrap();
    assert_eq!((Some(taped), taped_at), (divergence.now, Duration::from_micros(5_999)));
}

#[test]
fn a_call_that_would_have_been_woken_at_another_time_is_found() {
    let tape = media_tape();
    let mut config = CallConfig::default();
    config.conversation_mut().timeouts.caller_silent -= Duration::from_secs(1);
    let divergence = replay(&tape, config).unwrap().divergence.unwrap();
    let Some((WireInput::Timeout { at: taped, .. }, WireInput::Timeout { at: now, .. })) =
        divergence.deadlines
    else {
        panic!("{divergence:?}")
    };
    assert!(now < taped, "{now:?} {taped:?}");
}

#[test]
fn a_changed_outcome_is_found() {
    let tape = relay_tape().replacen("Two pizzas, please.", "Three pizzas.", 1);
    let divergence = of(&tape).divergence.unwrap();
    let now = divergence.now.unwrap();
    assert!(
        matches!(&now, WireOutput::Event(CallEvent::TurnEnded(turn)) if turn.text == "Three pizzas."),
        "{now:?}"
    );
    assert!(divergence.before.iter().any(|(_, words)| words.contains("Three pizzas.")));
}

#[test]
fn a_tape_cut_off_in_a_line_is_replayed_up_to_there() {
    let tape = relay_tape();
    let replayed = of(&tape[..tape.len() - 4]);
    assert!(replayed.cut_short);
    assert_eq!(replayed.divergence, None);
}

#[test]
fn a_tape_of_another_format_says_which_release_reads_it() {
    let old = r#"{"tape":1,"call":"CA1","agent":"pizza","build":"0.1.0","config":{}}"#;
    let error = replay(old, CallConfig::default()).unwrap_err();
    assert_eq!(error, ReplayError::Version { found: 1, build: "0.1.0".into() });
    let told = error.to_string();
    assert!(told.contains("format 1") && told.contains("Offhook 0.1.0, the release that wrote it"), "{told}");
    assert_eq!(lines(&relay_tape()).unwrap().0.core, CORE);
}
