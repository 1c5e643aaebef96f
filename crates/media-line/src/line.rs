//! The telephone as a line under a conversation.

mod reconnecting;
mod speaking;
mod transport;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_audio::{Dbov, SamplePos};
use offhook_conversation::line::{Heard, Line, LineCommand, LineEvent};
use offhook_conversation::{CallEvent, Deadline, Output, Why, contains_words};
use offhook_endpoint::dtmf::tones;
use offhook_stage_api::{CallTime, Digits, StageFailure, SttCommand, SttEvent, UtteranceId};

use crate::caller::{CallerOutputs, CallerSide};
use crate::config::{CallConfig, CallMode};
use crate::outbound::Outbound;
use crate::playout::{Playout, Utterance};
use crate::totals::LineTotals;
use crate::voice::Voice;
use crate::wire::Outputs;

/// The utterance of the echo mode; the conversation's count from one.
const ECHO: UtteranceId = UtteranceId(0);
/// Samples that may wait to be echoed: 5 s. Of a caller whose clock runs fast the rest is dropped.
const MOST_ECHO: u64 = 40_000;

/// The telephone, as far as it isn't I/O.
pub struct MediaLine {
    config: Arc<CallConfig>,
    caller: CallerSide,
    playout: Playout,
    outbound: Outbound,
    /// The same for a recording that is being played: its level isn't the voice's.
    recording: Option<Box<Outbound>>,
    voice: Voice,
    tts_ended: Option<StageFailure>,
    /// We hung up: nothing more goes out.
    hung_up: bool,
    /// There is no stream just now.
    away: bool,
    out: Outputs,
    events: VecDeque<LineEvent>,
    /// What the caller's side has just given.
    heard: CallerOutputs,
    next: Option<Deadline>,
}

impl std::fmt::Debug for MediaLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaLine").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl MediaLine {
    /// A line over which nothing has come yet.
    #[must_use]
    pub fn new(config: Arc<CallConfig>) -> Self {
        let language = config.conversation.language.clone();
        Self {
            caller: CallerSide::new(&config),
            playout: Playout::new(config.playout.clone(), config.guards_against_echo()),
            outbound: Outbound::new(Dbov(config.playout.level), config.playout.known_gain),
            recording: None,
            voice: Voice::new(language),
            tts_ended: None,
            hung_up: false,
            away: false,
            out: Outputs::new(),
            events: VecDeque::new(),
            heard: CallerOutputs::default(),
            next: None,
            config,
        }
    }

    /// Counts so far.
    #[must_use]
    pub fn totals(&self) -> LineTotals {
        LineTotals {
            inbound: self.caller.totals(),
            playout: self.playout.totals,
            pacing: self.playout.pacing,
            voice_gain: self.outbound.voice_gain(),
        }
    }

    /// The longest gap in the caller's sound that is filled.
    #[must_use]
    pub fn longest_gap(&self) -> Duration {
        self.config.inbound.max_gap
    }

    fn on_media(&mut self, timestamp_ms: Option<u64>, payload: &[u8], now: CallTime) {
        self.caller.on_media(timestamp_ms, payload, (now, &self.playout.played), &mut self.heard);
        self.take_heard();
    }

    fn take_heard(&mut self) {
        while let Some(command) = self.heard.stt.pop_front() {
            if self.config.mode == CallMode::Echo
                && let SttCommand::Audio { frame, .. } = &command
                && let Some(echo) = self.playout.get_mut(ECHO)
                && echo.unsaid() < MOST_ECHO
            {
                echo.push_audio(offhook_stage_api::SegmentId(0), &frame.0);
            }
            if self.config.inbound.heard || !matches!(command, SttCommand::Audio { .. }) {
                self.out.push_back(Output::Stt(command));
            }
        }
        self.events.append(&mut self.heard.events);
    }

    fn on_stt(&mut self, event: SttEvent, now: CallTime) {
        // Words of which we heard no sound, and which the agent is saying just now: the recogniser heard its echo.
        let own_voice = |text: &str| {
            self.config.inbound.echo_guard
                && self.playout.is_audible(now)
                && self.playout.current(now).is_some_and(|said| contains_words(&said.text(), text))
        };
        if let Some(event) = self.caller.on_stt(event, now, own_voice) {
            self.events.push_back(event);
        }
    }

    fn trouble(&mut self, message: String) {
        self.events.push_back(LineEvent::Notice(CallEvent::Trouble { message }));
    }

    fn start_echo(&mut self) {
        let mut utterance = Utterance::new(ECHO);
        let segment = utterance.add_segment(String::new());
        // 60 ms of silence first: what the caller's frames may come late by without a hole in the echo.
        utterance.push_audio(segment, &[offhook_audio::MULAW_SILENCE; 3 * offhook_audio::FRAME_SAMPLES]);
        self.playout.queue(utterance, None);
    }
}

impl Line for MediaLine {
    fn command(&mut self, command: LineCommand, now: CallTime) {
        match command {
            LineCommand::Open(opening) => self.open(opening),
            LineCommand::Append { id, text } => self.append(id, &text),
            LineCommand::Play { id, recording } => self.play(id, recording),
            LineCommand::Close(id) => self.close(id),
            LineCommand::Release(id) => {
                if let Some(utterance) = self.playout.get_mut(id) {
                    utterance.held = false;
                }
            }
            LineCommand::Discard(id) => {
                self.remove(id, now);
            }
            LineCommand::Block(blocked) => self.playout.block(blocked),
            LineCommand::Duck(lower) => self.playout.duck(lower, now, &mut self.out),
            LineCommand::TurnEnded { until } => {
                self.caller.turn_ended();
                self.out.push_back(Output::Stt(SttCommand::TurnEnded { until: SamplePos(until) }));
            }
            LineCommand::Expect(expectation) => {
                self.out.push_back(Output::Stt(SttCommand::Expect(expectation)));
            }
            LineCommand::Ask(question) => self.out.push_back(Output::Turn(question)),
            LineCommand::AwaitBeep => self.caller.await_beep(now),
            LineCommand::HangUp { handoff } => {
                self.hung_up = true;
                self.next = None;
                self.out.push_back(Output::HangUp { handoff });
            }
            // Voices change with the utterance, music is ConversationRelay's, and the conversation knows what may interrupt.
            LineCommand::Language(_) | LineCommand::Music(_) | LineCommand::Interruptible(..) => {}
        }
    }

    fn cut(&mut self, ids: &[UtteranceId], now: CallTime) -> Vec<(UtteranceId, Heard)> {
        let begun = |id: &UtteranceId| self.playout.get(*id).is_some_and(|utterance| utterance.begun);
        if self.playout.is_audible(now) && ids.iter().any(begun) {
            self.playout.clear(now, &mut self.out);
        }
        ids.iter().map(|id| (*id, self.remove(*id, now))).collect()
    }

    fn give_up(&mut self, id: UtteranceId, now: CallTime) -> Heard {
        self.remove(id, now)
    }

    fn press(&mut self, id: UtteranceId, digits: &Digits, _now: CallTime) -> Result<(), String> {
        let sound = tones(digits.reveal());
        let mut octets = vec![0; sound.len()];
        offhook_mulaw::encode_slice(&sound, &mut octets);
        let mut utterance = Utterance::new(id);
        // The tones would give the keys away: they stay off tapes.
        utterance.hidden = true;
        utterance.grain = (octets.len() / digits.reveal().len().max(1)) as u64;
        let segment = utterance.add_segment(format!("(pressed {} keys)", digits.reveal().len()));
        utterance.push_audio(segment, &octets);
        utterance.segment_done(segment);
        utterance.closed = true;
        let held = self.playout.utterances().find(|other| other.held).map(|other| other.id);
        self.playout.queue(utterance, held);
        self.events.push_back(LineEvent::Ready(id));
        Ok(())
    }

    fn heard(&self, id: UtteranceId, now: CallTime) -> Heard {
        self.playout.heard(id, now)
    }

    fn audible(&self, now: CallTime) -> Option<UtteranceId> {
        let current = self.playout.current(now).filter(|_| self.playout.is_audible(now))?;
        Some(current.id)
    }

    fn plays_until(&self, _now: CallTime) -> CallTime {
        self.playout.play_end()
    }

    fn dry_since(&self, id: UtteranceId, _now: CallTime) -> Option<CallTime> {
        self.playout.dry_since(id)
    }

    fn unheard(&self, now: CallTime) -> Duration {
        let begun = self.playout.utterances().filter(|utterance| utterance.begun);
        let unsent = offhook_audio::SampleCount(begun.map(Utterance::unsaid).sum()).duration();
        unsent + self.playout.play_end().since(now)
    }

    fn deadline(&self) -> Option<Deadline> {
        self.next
    }

    fn poll_event(&mut self) -> Option<LineEvent> {
        self.events.pop_front()
    }

    fn tick(&mut self, now: CallTime) {
        if self.hung_up {
            return;
        }
        if self.away {
            self.next = None;
            return;
        }
        self.caller.watch(now, &mut self.heard);
        self.take_heard();
        self.pump(now);
        while let Some(utterance) = self.playout.pop_over(now) {
            let id = utterance.id;
            self.voice.forget(id);
            self.events.push_back(if utterance.produced() == 0 {
                LineEvent::Soundless(id)
            } else {
                LineEvent::Over { id, heard: utterance.heard(utterance.produced()) }
            });
        }
        self.playout.played.shrink(now);
        let times = self.playout.times(now);
        self.next = Deadline::earliest([
            times.pace.map(|at| Deadline::new(at, Why::Pace)),
            times.played.map(|at| Deadline::new(at, Why::Played)),
            self.caller.deadline(),
        ]);
    }
}
