//! A tape told turn by turn: what was known when, what was decided, and why.

use offhook_conversation::{BargeInStage, CallEvent, ReplyTiming, TurnEnded, UtteranceKind};
use offhook_media_line::CallConfig;
use offhook_stage_api::{LlmEvent, SttEvent, Transcript};
use offhook_tape::{Line, WireInput, WireOutput, WireRelayInput};

use super::words;

/// A call as a story.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    pub(super) length_ms: u64,
    pub(super) chapters: Vec<Chapter>,
}

/// What belongs to one turn of the caller, from its begin to the begin of the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Chapter {
    pub(super) moments: Vec<Moment>,
    /// From and until of each stretch of the caller's speech.
    pub(super) speech: Vec<(u64, u64)>,
    pub(super) turn: Option<TurnEnded>,
    pub(super) reply: Option<ReplyTiming>,
    /// What the agent said: when it began, until when it was heard, the words.
    pub(super) said: Vec<Said>,
    pub(super) barge_in_ms: Option<u64>,
}

/// An utterance of the agent.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
    pub(super) heard: String,
}

/// Who did or knew something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Caller,
    Stt,
    Engine,
    Llm,
    Agent,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) at_ms: u64,
    pub(super) who: Who,
    pub(super) what: String,
}

/// Reads a story out of a tape's lines.
pub(super) fn tell(lines: &[Line], config: &CallConfig) -> Story {
    let mut teller = Teller { config, story: Story::default(), first_text: None, speaking: Vec::new() };
    teller.story.chapters.push(Chapter::default());
    for line in lines {
        let at_ms = line.t / 1_000;
        teller.story.length_ms = at_ms;
        match (&line.input, &line.output) {
            (Some(input), _) => teller.on_input(at_ms, input),
            (_, Some(output)) => teller.on_output(at_ms, output),
            _ => {}
        }
    }
    teller.story.chapters.retain(|chapter| !chapter.moments.is_empty());
    teller.story
}

struct Teller<'a> {
    config: &'a CallConfig,
    story: Story,
    /// The reply whose first words have been told of.
    first_text: Option<String>,
    /// Utterances that were begun: name and time.
    speaking: Vec<(String, u64)>,
}

impl Teller<'_> {
    fn chapter(&mut self) -> &mut Chapter {
        if self.story.chapters.is_empty() {
            self.story.chapters.push(Chapter::default());
        }
        let last = self.story.chapters.len() - 1;
        &mut self.story.chapters[last]
    }

    fn add(&mut self, at_ms: u64, who: Who, what: impl Into<String>) {
        self.chapter().moments.push(Moment { at_ms, who, what: what.into() });
    }

    fn on_input(&mut self, at_ms: u64, input: &WireInput) {
        match input {
            WireInput::Stt(event) => self.on_stt(at_ms, event),
            WireInput::Turn(event) => {
                let percent = event.probability * 100.0;
                self.add(at_ms, Who::Engine, format!("the turn model is {percent:.0} % sure of the end"));
            }
            WireInput::Llm(event) => self.on_llm(at_ms, event),
            WireInput::Tts(event) => {
                if let Some(failure) = event.failure() {
                    self.add(at_ms, Who::Agent, format!("has no voice: {failure}"));
                }
            }
            WireInput::Tool(result) => {
                let outcome = match &result.outcome {
                    Ok(text) => format!("gave “{text}”"),
                    Err(error) => format!("failed: {error}"),
                };
                self.add(at_ms, Who::Engine, format!("the tool {} {outcome}", result.name));
            }
            WireInput::LlmEnded(failure) => self.add(at_ms, Who::Llm, format!("has ended: {failure}")),
            WireInput::TtsEnded(failure) => {
                self.add(at_ms, Who::Agent, format!("has no voice any more: {failure}"))
            }
            WireInput::Key(_) => self.add(at_ms, Who::Caller, "presses a key"),
            WireInput::Lost => self.add(at_ms, Who::Engine, "has lost the connection"),
            WireInput::Back => self.add(at_ms, Who::Engine, "is connected again"),
            WireInput::Stop => self.add(at_ms, Who::Caller, "is gone: the stream ended"),
            WireInput::Relay(relay) => self.on_relay(at_ms, relay),
            WireInput::Start
            | WireInput::Media { .. }
            | WireInput::Mark(_)
            | WireInput::Control(_)
            | WireInput::Timeout { .. } => {}
        }
    }

    fn on_relay(&mut self, at_ms: u64, input: &WireRelayInput) {
        let (who, what) = match input {
            WireRelayInput::Prompt { last: true, .. } => (Who::Caller, "is done, says Twilio".to_owned()),
            WireRelayInput::Interrupt { heard, .. } => {
                (Who::Caller, format!("interrupts; heard until then, says Twilio: “{heard}”"))
            }
            WireRelayInput::Refused(why) => (Who::Engine, format!("is told by Twilio: {why}")),
            WireRelayInput::Lost => (Who::Engine, "has lost the connection".to_owned()),
            WireRelayInput::Back => (Who::Engine, "is connected again".to_owned()),
            WireRelayInput::Prompt { .. }
            | WireRelayInput::AgentSpeaking(_)
            | WireRelayInput::CallerSpeaking(_)
            | WireRelayInput::Played(_) => return,
        };
        self.add(at_ms, who, what);
    }

    fn on_stt(&mut self, at_ms: u64, event: &SttEvent) {
        let transcript = |kind: &str, transcript: &Transcript| {
            let complete = match transcript.complete {
                Some(true) => ", a whole answer by the grammar",
                Some(false) => ", not yet an answer by the grammar",
                None => "",
            };
            let sure = transcript.confidence.map(|sure| format!(", {:.0} % sure", sure * 100.0));
            let sure = sure.unwrap_or_default();
            if transcript.text.trim().is_empty() {
                format!("{kind}: no words")
            } else {
                format!("{kind}: “{}”{complete}{sure}", transcript.text.trim())
            }
        };
        let what = match event {
            SttEvent::Partial(words) => transcript("so far", words),
            SttEvent::Final(words) => transcript("final", words),
            SttEvent::EagerEndOfTurn => "thinks that the caller may be done".to_owned(),
            SttEvent::EndOfTurn => "says that the caller is done".to_owned(),
            SttEvent::TurnResumed => "takes it back: the caller goes on".to_owned(),
            SttEvent::TakenOver => "is another one from now on".to_owned(),
            SttEvent::Failed(failure) => format!("is lost: {failure}"),
        };
        self.add(at_ms, Who::Stt, what);
    }

    fn on_llm(&mut self, at_ms: u64, event: &LlmEvent) {
        match event {
            LlmEvent::Text { reply, delta } => {
                let name = reply.to_string();
                if self.first_text.as_ref() != Some(&name) {
                    self.add(at_ms, Who::Llm, format!("first words of {name}: “{}”", delta.trim()));
                    self.first_text = Some(name);
                }
            }
            LlmEvent::Tool { reply, call } => {
                self.add(at_ms, Who::Llm, format!("{reply} wants the tool {}", call.name));
            }
            LlmEvent::Failed { reply, failure } => {
                self.add(at_ms, Who::Llm, format!("{reply} can't be had: {failure}"));
            }
            LlmEvent::Expect { expectation, .. } => {
                self.add(at_ms, Who::Llm, format!("expects {}", words::expected(&expectation.answer)));
            }
            LlmEvent::Interruptible { reply, by } => {
                self.add(
                    at_ms,
                    Who::Llm,
                    format!("{reply} may be interrupted: {}", words::interruptible(*by)),
                );
            }
            LlmEvent::Initiative { preempt: false } => {
                self.add(at_ms, Who::Llm, "has something to say unasked".to_owned());
            }
            LlmEvent::Initiative { preempt: true } => {
                self.add(
                    at_ms,
                    Who::Llm,
                    "puts something else in the place of what is being said".to_owned(),
                );
            }
            LlmEvent::Play { reply, recording } => {
                let what =
                    format!("{reply} is the recording {}, {} times", recording.source, recording.times);
                self.add(at_ms, Who::Llm, what);
            }
            LlmEvent::Silent { reply } => {
                self.add(at_ms, Who::Llm, format!("{reply} has no words"));
            }
            LlmEvent::Language { .. } | LlmEvent::Done { .. } => {}
        }
    }

    fn on_output(&mut self, at_ms: u64, output: &WireOutput) {
        match output {
            WireOutput::Event(event) => self.on_event(at_ms, event),
            WireOutput::Tool(call) => self.add(at_ms, Who::Engine, format!("runs the tool {}", call.name)),
            WireOutput::CancelTool(_) => {}
            WireOutput::Clear => self.add(at_ms, Who::Engine, "tells Twilio to forget what it hasn't played"),
            WireOutput::HangUp { .. } => self.add(at_ms, Who::Engine, "hangs up"),
            WireOutput::Media(_)
            | WireOutput::Hidden
            | WireOutput::Mark(_)
            | WireOutput::Stt(_)
            | WireOutput::Turn(_)
            | WireOutput::Llm(_)
            | WireOutput::Tts(_)
            | WireOutput::Relay(_) => {}
        }
    }

    fn on_event(&mut self, at_ms: u64, event: &CallEvent) {
        match event {
            CallEvent::SpeechStarted { at_ms: onset } => {
                if self.chapter().turn.is_some() || self.chapter().speech.is_empty() {
                    self.story.chapters.push(Chapter::default());
                }
                self.chapter().speech.push((*onset, *onset));
                self.add(at_ms, Who::Caller, format!("speaks, since {}", words::seconds(*onset)));
            }
            CallEvent::SpeechPaused { at_ms: end } => {
                if let Some(last) = self.chapter().speech.last_mut() {
                    last.1 = (*end).max(last.0);
                }
                self.add(at_ms, Who::Caller, format!("is silent, since {}", words::seconds(*end)));
            }
            CallEvent::Waiting { evidence, until_ms } => {
                let why = words::evidence(*evidence);
                self.add(at_ms, Who::Engine, format!("waits until {}: {why}", words::seconds(*until_ms)));
            }
            CallEvent::TurnEnded(turn) => {
                let waited = turn.decided_ms.saturating_sub(turn.speech_end_ms);
                let why = words::evidence(turn.evidence);
                self.add(at_ms, Who::Engine, format!("takes the turn for over after {waited} ms: {why}"));
                self.chapter().turn = Some(turn.clone());
            }
            CallEvent::TurnReopened => {
                // The speech that reopened it had begun a chapter of its own.
                if self.story.chapters.len() > 1 && self.chapter().turn.is_some() {
                    self.chapter().turn = None;
                }
                self.add(
                    at_ms,
                    Who::Engine,
                    "was wrong: the caller goes on, nothing of the answer was heard",
                );
            }
            CallEvent::TurnDropped { text, why } => {
                let why = words::dropped(*why, text);
                self.add(at_ms, Who::Engine, format!("gives no answer: {why}"));
            }
            CallEvent::Speculated { reply } => {
                self.add(at_ms, Who::Engine, format!("asks for {reply}, in case the turn is over"));
            }
            CallEvent::SpeculationDropped { reply } => {
                self.add(at_ms, Who::Engine, format!("throws {reply} away, unheard"));
            }
            CallEvent::ReplyTimed(timing) => {
                self.add(at_ms, Who::Engine, words::timing(timing));
                self.chapter().reply = Some(*timing);
            }
            CallEvent::Speaking { utterance, what, text } => {
                self.speaking.push((utterance.to_string(), at_ms));
                self.add(at_ms, Who::Agent, format!("{}: “{text}”", words::begins(*what)));
            }
            CallEvent::Said { utterance, what, heard, text, interrupted, timed } => {
                let name = utterance.to_string();
                let begun = self.speaking.iter().position(|(same, _)| *same == name);
                let from_ms = begun.map_or(at_ms, |place| self.speaking.swap_remove(place).1);
                let words = words::said(heard, text, *interrupted, *timed);
                if *what != UtteranceKind::Echo {
                    self.add(at_ms, Who::Agent, words);
                }
                self.chapter().said.push(Said { from_ms, until_ms: at_ms, heard: heard.clone() });
            }
            CallEvent::BargeIn { stage, after_ms } => {
                self.add(
                    at_ms,
                    Who::Engine,
                    words::barge_in(*stage, *after_ms, &self.config.conversation.barge_in),
                );
                if *stage == BargeInStage::Interrupted {
                    self.chapter().barge_in_ms = Some(at_ms.saturating_sub(*after_ms));
                }
            }
            CallEvent::EchoIgnored { delay_ms } => {
                let what = format!("takes this for the agent's own voice, {delay_ms} ms late: no turn");
                self.add(at_ms, Who::Engine, what);
            }
            CallEvent::SomebodyElseIgnored { below_db } => {
                let what =
                    format!("takes this for somebody else, {below_db} dB below the caller's voice: no turn");
                self.add(at_ms, Who::Engine, what);
            }
            CallEvent::Digits { count, .. } => {
                self.add(at_ms, Who::Caller, format!("has keyed {count} digits: a whole number"));
            }
            CallEvent::Tool { name, stage, after_ms } => {
                if let Some(what) = words::tool(name, *stage, *after_ms) {
                    self.add(at_ms, Who::Engine, what);
                }
            }
            CallEvent::Language { language } => {
                self.add(at_ms, Who::Engine, format!("goes on in {language}: voice and recogniser change"));
            }
            CallEvent::Dropped { what, why, .. } => {
                self.add(
                    at_ms,
                    Who::Engine,
                    format!("drops {}: {}", words::kind(*what), words::drop_cause(*why)),
                );
            }
            CallEvent::Deadline { why } => self.add(at_ms, Who::Engine, words::deadline(*why)),
            CallEvent::Trouble { message } => self.add(at_ms, Who::Engine, format!("in trouble: {message}")),
            CallEvent::Ended { why } => self.add(at_ms, Who::Engine, words::ended(*why)),
            CallEvent::Hearing { .. } => {}
        }
    }
}
