//! The caller's side of the telephone: frames become speech, keys and silence; transcripts get their times.

use std::collections::VecDeque;
use std::time::Duration;

use offhook_audio::SamplePos;
use offhook_conversation::line::{LineEvent, TurnHint};
use offhook_conversation::{CallEvent, Deadline, Why};
use offhook_endpoint::SpeechEvent;
use offhook_stage_api::{CallTime, SttCommand, SttEvent, Transcript};

use crate::config::{CallConfig, CallMode};
use crate::echo::Played;
use crate::inbound::{Inbound, InboundFrame, InboundTotals};

/// Without media for so long, a talkspurt that was going on has ended.
const STARVED: Duration = Duration::from_secs(1);

/// What the caller's side gives: to the speech-to-text stage, and to the conversation.
#[derive(Debug, Default)]
pub(crate) struct CallerOutputs {
    pub(crate) stt: VecDeque<SttCommand>,
    pub(crate) events: VecDeque<LineEvent>,
}

/// How media comes in.
#[derive(Clone, Copy, Debug, Default)]
struct Feed {
    last: CallTime,
    /// None has come for [`STARVED`], and the talkspurt was ended.
    starved: bool,
    /// The call was given up.
    dead: bool,
}

/// The caller's side.
pub(crate) struct CallerSide {
    inbound: Inbound,
    feed: Feed,
    no_media: Duration,
    /// Somebody wants the sound, frame by frame.
    gives_sound: bool,
    /// Where the caller's turn began, on the caller's time line.
    turn_from: Option<SamplePos>,
    /// The caller's sound is speech just now.
    speech: bool,
}

impl std::fmt::Debug for CallerSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallerSide").field("feed", &self.feed).finish_non_exhaustive()
    }
}

impl CallerSide {
    pub(crate) fn new(config: &CallConfig) -> Self {
        let mut inbound = config.inbound.clone();
        inbound.echo_guard = config.guards_against_echo();
        Self {
            inbound: Inbound::new(inbound, config.conversation.dtmf.in_band),
            feed: Feed::default(),
            gives_sound: config.inbound.heard || config.mode == CallMode::Echo,
            no_media: config.conversation.timeouts.no_media,
            turn_from: None,
            speech: false,
        }
    }

    pub(crate) const fn totals(&self) -> InboundTotals {
        self.inbound.totals
    }

    pub(crate) fn start(&mut self, now: CallTime) {
        self.feed.last = now;
    }

    pub(crate) fn await_beep(&mut self, now: CallTime) {
        self.inbound.await_beep(now);
    }

    /// No media will come until the call is back: a talkspurt that was going on has ended.
    pub(crate) fn on_lost(&mut self, now: CallTime, out: &mut CallerOutputs) {
        if let Some(SpeechEvent::Offset { at }) = self.inbound.on_starved() {
            self.on_offset(at, now, out);
        }
    }

    /// Another stream begins.
    pub(crate) fn start_again(&mut self, now: CallTime) {
        self.inbound.start_again();
        self.feed = Feed { last: now, starved: false, dead: self.feed.dead };
    }

    pub(crate) fn turn_ended(&mut self) {
        self.turn_from = None;
    }

    /// A message's payload has come.
    pub(crate) fn on_media(
        &mut self,
        timestamp_ms: Option<u64>,
        payload: &[u8],
        line: (CallTime, &Played),
        out: &mut CallerOutputs,
    ) {
        let now = line.0;
        self.feed = Feed { last: now, starved: false, dead: self.feed.dead };
        // The inbound path is lent out for the loop, so that what it hears can change the rest.
        let mut batch: [Option<InboundFrame>; 4] = [None; 4];
        let mut more = Vec::new();
        let mut count = 0;
        self.inbound.on_media(timestamp_ms, payload, line, |frame| {
            match batch.get_mut(count) {
                Some(slot) => *slot = Some(frame),
                None => more.push(frame),
            }
            count += 1;
        });
        for frame in batch.iter().flatten().chain(&more) {
            self.on_frame(frame, now, out);
        }
    }

    fn on_frame(&mut self, frame: &InboundFrame, now: CallTime, out: &mut CallerOutputs) {
        if self.gives_sound {
            out.stt.push_back(SttCommand::Audio { at: frame.at, frame: frame.wire });
        }
        if frame.beep {
            out.events.push_back(LineEvent::Beep);
        }
        if let Some(key) = frame.key {
            out.events.push_back(LineEvent::Keyed(key));
        }
        if let Some(delay_ms) = frame.echo {
            out.events.push_back(LineEvent::Notice(CallEvent::EchoIgnored { delay_ms }));
        }
        if let Some(below) = frame.ignored {
            let below_db = below.round() as u32;
            out.events.push_back(LineEvent::Notice(CallEvent::SomebodyElseIgnored { below_db }));
        }
        match frame.event {
            Some(SpeechEvent::Onset { at }) => {
                self.speech = true;
                self.turn_from.get_or_insert(at);
                out.stt.push_back(SttCommand::SpeechStarted { at });
                out.events.push_back(LineEvent::CallerBegan { at: self.when(at, now), position: at.0 });
            }
            Some(SpeechEvent::Offset { at }) => self.on_offset(at, now, out),
            None => {}
        }
    }

    fn on_offset(&mut self, at: SamplePos, now: CallTime, out: &mut CallerOutputs) {
        self.speech = false;
        let from = self.turn_from.unwrap_or(at);
        out.stt.push_back(SttCommand::SpeechPaused { from, until: at });
        out.events.push_back(LineEvent::CallerPaused { at: self.when(at, now), position: at.0 });
    }

    /// When a place on the caller's time line was, on the call's clock.
    fn when(&self, at: SamplePos, now: CallTime) -> CallTime {
        now.back(self.inbound.position().since(at).duration())
    }

    /// What the speech-to-text stage says; `None` if it is the agent's own voice that it heard.
    pub(crate) fn on_stt(
        &self,
        event: SttEvent,
        now: CallTime,
        own_voice: impl Fn(&str) -> bool,
    ) -> Option<LineEvent> {
        let (transcript, is_final): (Transcript, bool) = match event {
            SttEvent::Partial(transcript) => (transcript, false),
            SttEvent::Final(transcript) => (transcript, true),
            SttEvent::EagerEndOfTurn => return Some(LineEvent::Hint(TurnHint::Eager)),
            SttEvent::EndOfTurn => return Some(LineEvent::Hint(TurnHint::End)),
            SttEvent::TurnResumed => return Some(LineEvent::Hint(TurnHint::Resumed)),
            SttEvent::TakenOver => return Some(LineEvent::OtherRecogniser),
            SttEvent::Failed(failure) => return Some(LineEvent::Deaf(failure)),
        };
        if self.inbound.is_somebody_elses(transcript.from, transcript.until) {
            return None;
        }
        if self.turn_from.is_none() && !self.speech && own_voice(&transcript.text) {
            return None;
        }
        let span = (self.when(SamplePos(transcript.from), now), self.when(SamplePos(transcript.until), now));
        Some(LineEvent::Heard { transcript, is_final, span })
    }

    /// Time has passed: media may have stopped.
    pub(crate) fn watch(&mut self, now: CallTime, out: &mut CallerOutputs) {
        if self.feed.dead {
            return;
        }
        if !self.feed.starved && now >= self.feed.last + STARVED {
            self.feed.starved = true;
            if let Some(SpeechEvent::Offset { at }) = self.inbound.on_starved() {
                self.on_offset(at, now, out);
            }
        }
        if now >= self.feed.last + self.no_media {
            self.feed.dead = true;
            out.events.push_back(LineEvent::Dead);
        }
    }

    /// When media has been away for too long.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        let wait = if self.feed.starved { self.no_media } else { STARVED.min(self.no_media) };
        (!self.feed.dead).then(|| Deadline::new(self.feed.last + wait, Why::NoMedia))
    }
}
