//! The telephone as a line under a conversation.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_audio::{Dbov, SamplePos};
use offhook_conversation::line::{Heard, Line, LineCommand, LineEvent, Opening, TurnHint};
use offhook_conversation::{CallEvent, Deadline, Output, Transport, Why, contains_words};
use offhook_endpoint::SpeechEvent;
use offhook_endpoint::dtmf::tones;
use offhook_stage_api::{
    CallTime, Digits, StageFailure, SttCommand, SttEvent, Transcript, TtsCommand, TtsEvent, UtteranceId,
};

use crate::config::{CallConfig, CallMode};
use crate::histogram::Histogram;
use crate::inbound::{Inbound, InboundFrame, InboundTotals};
use crate::outbound::Outbound;
use crate::playout::{Playout, PlayoutTotals, Raw, Utterance};
use crate::voice::{Piece, Voice};
use crate::wire::{MediaInput, MediaWire};

/// So many samples are converted before they can be sent: 100 ms.
const CONVERSION_LEAD: u64 = 800;
/// Without media for so long, a talkspurt that was going on has ended.
const STARVED: Duration = Duration::from_secs(1);
/// The utterance of the echo mode; the conversation's count from one.
const ECHO: UtteranceId = UtteranceId(0);

/// Counts over a whole call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineTotals {
    /// The caller's sound.
    pub inbound: InboundTotals,
    /// The agent's sound.
    pub playout: PlayoutTotals,
    /// How late sound left, one for each batch: from the moment at which the playout clock said that there is room for it (the
    /// lead has shrunk to `lead` less `batch`) to that at which the call gave it out. It is never early; to encode it and hand it
    /// to the socket comes after, some tens of microseconds.
    pub pacing: Histogram,
}

/// How media comes in.
#[derive(Clone, Copy, Debug)]
struct Feed {
    last: CallTime,
    /// None has come for [`STARVED`], and the talkspurt was ended.
    starved: bool,
    /// The call was given up.
    dead: bool,
}

/// The telephone, as far as it isn't I/O.
pub struct MediaLine {
    config: Arc<CallConfig>,
    inbound: Inbound,
    playout: Playout,
    outbound: Outbound,
    voice: Voice,
    feed: Feed,
    /// Where the caller's turn began, on the caller's time line.
    turn_from: Option<SamplePos>,
    /// The caller's sound is speech just now.
    speech: bool,
    tts_ended: Option<StageFailure>,
    /// We hung up: nothing more goes out.
    hung_up: bool,
    wire: VecDeque<MediaWire>,
    out: VecDeque<Output<MediaWire>>,
    events: VecDeque<LineEvent>,
    next: Option<Deadline>,
}

impl std::fmt::Debug for MediaLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaLine").field("feed", &self.feed).finish_non_exhaustive()
    }
}

impl MediaLine {
    /// A line over which nothing has come yet.
    #[must_use]
    pub fn new(config: Arc<CallConfig>) -> Self {
        let mut inbound = config.inbound.clone();
        // What is played is the caller's own voice.
        inbound.echo_guard &= config.mode != CallMode::Echo;
        Self {
            inbound: Inbound::new(inbound, config.conversation.dtmf.in_band),
            playout: Playout::new(config.playout.clone()),
            outbound: Outbound::new(Dbov(config.playout.level)),
            voice: Voice::default(),
            feed: Feed { last: CallTime::ZERO, starved: false, dead: false },
            turn_from: None,
            speech: false,
            tts_ended: None,
            hung_up: false,
            wire: VecDeque::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            next: None,
            config,
        }
    }

    /// Counts so far.
    #[must_use]
    pub const fn totals(&self) -> LineTotals {
        LineTotals { inbound: self.inbound.totals, playout: self.playout.totals, pacing: self.playout.pacing }
    }

    fn on_media(&mut self, timestamp_ms: Option<u64>, payload: &[u8], now: CallTime) {
        self.feed = Feed { last: now, starved: false, dead: self.feed.dead };
        // The inbound path is lent out for the loop, so that what it hears can change the line.
        let mut batch: [Option<InboundFrame>; 4] = [None; 4];
        let mut more = Vec::new();
        let mut count = 0;
        let line = (now, &self.playout.played);
        self.inbound.on_media(timestamp_ms, payload, line, |frame| {
            match batch.get_mut(count) {
                Some(slot) => *slot = Some(frame),
                None => more.push(frame),
            }
            count += 1;
        });
        for frame in batch.iter().flatten().chain(&more) {
            self.on_frame(frame, now);
        }
    }

    fn on_frame(&mut self, frame: &InboundFrame, now: CallTime) {
        if self.config.inbound.heard {
            self.out.push_back(Output::Stt(SttCommand::Audio { at: frame.at, frame: frame.wire }));
        }
        if self.config.mode == CallMode::Echo
            && let Some(echo) = self.playout.get_mut(ECHO)
        {
            echo.push_audio(offhook_stage_api::SegmentId(0), &frame.wire.0);
        }
        if frame.beep {
            self.events.push_back(LineEvent::Beep);
        }
        if let Some(key) = frame.key {
            self.events.push_back(LineEvent::Keyed(key));
        }
        if let Some(delay_ms) = frame.echo {
            self.events.push_back(LineEvent::Notice(CallEvent::EchoIgnored { delay_ms }));
        }
        match frame.event {
            Some(SpeechEvent::Onset { at }) => {
                self.speech = true;
                self.turn_from.get_or_insert(at);
                self.out.push_back(Output::Stt(SttCommand::SpeechStarted { at }));
                self.events.push_back(LineEvent::CallerBegan { at: self.when(at, now), position: at.0 });
            }
            Some(SpeechEvent::Offset { at }) => self.on_offset(at, now),
            None => {}
        }
    }

    fn on_offset(&mut self, at: SamplePos, now: CallTime) {
        self.speech = false;
        let from = self.turn_from.unwrap_or(at);
        self.out.push_back(Output::Stt(SttCommand::SpeechPaused { from, until: at }));
        self.events.push_back(LineEvent::CallerPaused { at: self.when(at, now), position: at.0 });
    }

    /// When a place on the caller's time line was, on the call's clock.
    fn when(&self, at: SamplePos, now: CallTime) -> CallTime {
        now.back(self.inbound.position().since(at).duration())
    }

    fn on_stt(&mut self, event: SttEvent, now: CallTime) {
        self.events.push_back(match event {
            SttEvent::Partial(transcript) => return self.on_transcript(transcript, false, now),
            SttEvent::Final(transcript) => return self.on_transcript(transcript, true, now),
            SttEvent::EagerEndOfTurn => LineEvent::Hint(TurnHint::Eager),
            SttEvent::EndOfTurn => LineEvent::Hint(TurnHint::End),
            SttEvent::TurnResumed => LineEvent::Hint(TurnHint::Resumed),
            SttEvent::Failed(failure) => LineEvent::Deaf(failure),
        });
    }

    fn on_transcript(&mut self, transcript: Transcript, is_final: bool, now: CallTime) {
        if self.turn_from.is_none() && self.is_own_voice(&transcript.text, now) {
            return;
        }
        let when = |at: u64| self.when(SamplePos(at), now);
        let span = (when(transcript.from), when(transcript.until));
        self.events.push_back(LineEvent::Heard { transcript, is_final, span });
    }

    /// Words of which we heard no sound, and which the agent is saying just now: the recogniser heard its echo.
    fn is_own_voice(&self, text: &str, now: CallTime) -> bool {
        self.config.inbound.echo_guard
            && !self.speech
            && self.playout.is_audible(now)
            && self.playout.current(now).is_some_and(|said| contains_words(&said.text(), text))
    }

    fn on_tts(&mut self, event: TtsEvent) {
        let (id, segment) = event.of();
        let Some(utterance) = self.playout.get_mut(id) else { return };
        match event {
            TtsEvent::Audio { chunk, .. } => {
                let was_dry = utterance.unsaid() < 160;
                utterance.queue_audio(segment, chunk);
                if was_dry && utterance.unsaid() > 0 {
                    self.events.push_back(LineEvent::Ready(id));
                }
            }
            TtsEvent::Words { words, .. } => utterance.on_words(segment, words),
            TtsEvent::Done { .. } => utterance.queue_end(segment),
            TtsEvent::Failed { failure, .. } => {
                utterance.fail(segment);
                self.trouble(format!("a sentence could not be spoken: {failure}"));
            }
        }
    }

    fn on_tts_ended(&mut self, failure: StageFailure) {
        self.trouble(format!("text-to-speech has ended: {failure}"));
        let ids: Vec<UtteranceId> = self.playout.utterances().map(|utterance| utterance.id).collect();
        for utterance in ids {
            let Some(said) = self.playout.get_mut(utterance) else { continue };
            for segment in said.unspoken() {
                said.fail(segment);
            }
        }
        self.tts_ended = Some(failure);
    }

    fn trouble(&mut self, message: String) {
        self.events.push_back(LineEvent::Notice(CallEvent::Trouble { message }));
    }

    fn speak(&mut self, id: UtteranceId, piece: Piece) {
        let Some(utterance) = self.playout.get_mut(id) else { return };
        let segment = utterance.add_segment(piece.text.clone());
        if self.tts_ended.is_some() {
            return utterance.fail(segment);
        }
        self.out.push_back(Output::Tts(TtsCommand::Speak(piece.request(id, segment))));
    }

    fn append(&mut self, id: UtteranceId, text: &str) {
        let mut text = text;
        while let Some(piece) = self.voice.append(id, text) {
            self.speak(id, piece);
            text = "";
        }
    }

    fn close(&mut self, id: UtteranceId) {
        if let Some(piece) = self.voice.close(id) {
            self.speak(id, piece);
        }
        if let Some(utterance) = self.playout.get_mut(id) {
            utterance.closed = true;
        }
        self.playout.finish(id, &mut self.wire);
    }

    fn open(&mut self, opening: Opening) {
        let mut utterance = Utterance::new(opening.id);
        utterance.held = opening.held;
        self.playout.queue(utterance, opening.before);
        self.voice.open(opening.id, opening.phrase, opening.language);
    }

    /// Takes an utterance out; its voice need not go on.
    fn remove(&mut self, id: UtteranceId, now: CallTime) -> Heard {
        self.voice.forget(id);
        let Some((utterance, heard)) = self.playout.cut(id, now) else { return Heard::default() };
        if !utterance.given() {
            self.out.push_back(Output::Tts(TtsCommand::Cancel { utterance: id }));
        }
        self.outbound.reset();
        heard
    }

    /// Converts what is about to be sent. True if there was anything.
    fn fill(&mut self) -> bool {
        let mut any = false;
        while let Some(utterance) = self.playout.next_to_send() {
            let Some(mut raw) = utterance.next_raw(CONVERSION_LEAD) else { break };
            any = true;
            let id = utterance.id;
            match &mut raw {
                Raw::Sound { segment, chunk, taken } => match self.outbound.convert(chunk, taken) {
                    Ok(octets) => {
                        utterance.push_audio(*segment, octets);
                        utterance.put_back(raw);
                    }
                    Err(error) => {
                        utterance.fail(*segment);
                        self.trouble(format!("the voice's sound can't be used: {error}"));
                    }
                },
                Raw::End { segment } => {
                    utterance.push_audio(*segment, self.outbound.finish_segment());
                    utterance.segment_done(*segment);
                    self.playout.finish(id, &mut self.wire);
                }
            }
        }
        any
    }

    /// Sends what there is room for.
    fn pump(&mut self, now: CallTime) {
        let room = self.playout.has_room(now);
        // What is sent makes room for more to be converted, perhaps of the next utterance.
        while self.fill() | (room && self.playout.send(now, &mut self.wire)) {}
        while let Some(id) = self.playout.pop_begun() {
            self.events.push_back(LineEvent::Began(id));
        }
        while let Some(wire) = self.wire.pop_front() {
            self.out.push_back(Output::Wire(wire));
        }
        if let Some(id) = self.playout.pop_dry() {
            self.events.push_back(LineEvent::Dry(id));
        }
        self.playout.forget_heard(now);
    }

    fn watch_feed(&mut self, now: CallTime) {
        if self.feed.dead {
            return;
        }
        if !self.feed.starved && now >= self.feed.last + STARVED {
            self.feed.starved = true;
            if let Some(SpeechEvent::Offset { at }) = self.inbound.on_starved() {
                self.on_offset(at, now);
            }
        }
        if now >= self.feed.last + self.config.conversation.timeouts.no_media {
            self.feed.dead = true;
            self.events.push_back(LineEvent::Dead);
        }
    }

    fn feed_deadline(&self) -> Option<Deadline> {
        let wait = if self.feed.starved { self.config.conversation.timeouts.no_media } else { STARVED };
        let wait = wait.min(self.config.conversation.timeouts.no_media);
        (!self.feed.dead).then(|| Deadline::new(self.feed.last + wait, Why::NoMedia))
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
            LineCommand::Duck(lower) => self.playout.duck(lower, now, &mut self.wire),
            LineCommand::TurnEnded { until } => {
                self.turn_from = None;
                self.out.push_back(Output::Stt(SttCommand::TurnEnded { until: SamplePos(until) }));
            }
            LineCommand::Expect(expectation) => {
                self.out.push_back(Output::Stt(SttCommand::Expect(expectation)));
            }
            LineCommand::Ask(question) => self.out.push_back(Output::Turn(question)),
            LineCommand::AwaitBeep => self.inbound.await_beep(now),
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
            self.playout.clear(now, &mut self.wire);
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
        self.watch_feed(now);
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
        let times = self.playout.times(now);
        self.next = Deadline::earliest([
            times.pace.map(|at| Deadline::new(at, Why::Pace)),
            times.played.map(|at| Deadline::new(at, Why::Played)),
            self.feed_deadline(),
        ]);
    }
}

impl Transport for MediaLine {
    type Input<'a> = MediaInput<'a>;
    type Wire = MediaWire;

    fn handle(&mut self, input: MediaInput<'_>, now: CallTime) {
        if self.hung_up {
            return;
        }
        match input {
            MediaInput::Media { timestamp_ms, payload } => self.on_media(timestamp_ms, payload, now),
            MediaInput::Mark(name) => self.playout.on_mark(name, now),
            MediaInput::Dtmf(key) => self.events.push_back(LineEvent::Keyed(key)),
            MediaInput::Stt(event) => self.on_stt(event, now),
            MediaInput::Tts(event) => self.on_tts(event),
            MediaInput::TtsEnded(failure) => self.on_tts_ended(failure),
        }
    }

    fn poll_output(&mut self) -> Option<Output<MediaWire>> {
        while let Some(wire) = self.wire.pop_front() {
            self.out.push_back(Output::Wire(wire));
        }
        self.out.pop_front()
    }

    fn start(&mut self, now: CallTime) {
        self.feed.last = now;
        if self.config.mode == CallMode::Echo {
            self.start_echo();
        }
    }

    fn rest(&mut self, now: CallTime) {
        if self.playout.utterances().next().is_none() {
            self.outbound.rest();
            self.playout.played.rest(now);
        }
    }
}
