//! The caller's voice: gaps filled, conditioned, judged.

mod near;

use std::time::Duration;

use offhook_audio::{FRAME_SAMPLES, Framer, HighPass, MulawFrame, PcmFrame, Plc, SampleCount, SamplePos};
use offhook_endpoint::dtmf::{DtmfDetector, Key};
use offhook_endpoint::tones::BeepDetector;
use offhook_endpoint::{SpeechEvent, Talkspurts};

use crate::config::InboundConfig;
use crate::echo::{EchoGuard, Played, Verdict};
use near::NearGate;
use offhook_stage_api::CallTime;

/// The longest that the verdict takes that a machine has answered (Twilio's `MachineDetectionTimeout` is at most 59 s), and that its
/// greeting is waited for.
const LISTENS_FOR_BEEP: Duration = Duration::from_secs(60);

/// Counts over the whole call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboundTotals {
    /// Frames received.
    pub frames: u64,
    /// Frames that were missing and were filled in.
    pub concealed: u64,
    /// Messages that came late or twice and were dropped.
    pub late: u64,
    /// Times that the time line had to be begun again.
    pub jumps: u64,
}

/// What became known with a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InboundFrame {
    /// Where the frame begins.
    pub(crate) at: SamplePos,
    /// As received, or as filled in.
    pub(crate) wire: MulawFrame,
    pub(crate) event: Option<SpeechEvent>,
    /// The agent's own voice began to come back: its delay in milliseconds.
    pub(crate) echo: Option<u32>,
    /// Somebody else's speech was ignored: so many dB below the caller's.
    pub(crate) ignored: Option<f32>,
    pub(crate) key: Option<Key>,
    /// A mailbox's beep was heard.
    pub(crate) beep: bool,
}

/// The inbound path of one call.
pub(crate) struct Inbound {
    config: InboundConfig,
    framer: Framer,
    plc: Plc,
    high_pass: HighPass,
    spurts: Talkspurts,
    echo: EchoGuard,
    near: NearGate,
    dtmf: Option<DtmfDetector>,
    /// A mailbox's beep is listened for until then.
    beep: Option<(Box<BeepDetector>, CallTime)>,
    /// Twilio's timestamp of the first sample.
    base_ms: Option<u64>,
    /// Samples taken since `base_ms`, filled ones included.
    taken: u64,
    pub(crate) totals: InboundTotals,
}

impl Inbound {
    pub(crate) fn new(config: InboundConfig, in_band_dtmf: bool) -> Self {
        let echo = EchoGuard::new(config.echo_guard);
        let spurts = Talkspurts::from_config(config.speech.clone());
        let near = NearGate::new(config.near);
        Self {
            config,
            framer: Framer::default(),
            plc: Plc::default(),
            high_pass: HighPass::default(),
            spurts,
            echo,
            near,
            dtmf: in_band_dtmf.then(DtmfDetector::default),
            beep: None,
            base_ms: None,
            taken: 0,
            totals: InboundTotals::default(),
        }
    }

    /// Listens for a mailbox's beep for a while, from now on, or for longer.
    pub(crate) fn await_beep(&mut self, now: CallTime) {
        let detector = self.beep.take().map_or_else(Box::default, |(detector, _)| detector);
        self.beep = Some((detector, now + LISTENS_FOR_BEEP));
    }

    /// Where the next frame begins.
    pub(crate) fn position(&self) -> SamplePos {
        self.spurts.position()
    }

    /// Takes a message's payload; hands over each frame that it completes, and those before it that were missing.
    pub(crate) fn on_media(
        &mut self,
        timestamp_ms: Option<u64>,
        payload: &[u8],
        (now, played): (CallTime, &Played),
        mut heard: impl FnMut(InboundFrame),
    ) {
        if let Some(timestamp) = timestamp_ms
            && !self.align(timestamp, (now, played), &mut heard)
        {
            self.totals.late += 1;
            return;
        }
        self.taken += payload.len() as u64;
        let mut framer = std::mem::take(&mut self.framer);
        framer.push(payload, |frame| {
            self.totals.frames += 1;
            let mut pcm = frame.decode();
            self.plc.good(&mut pcm);
            heard(self.judge(*frame, pcm, (now, played)));
        });
        self.framer = framer;
    }

    /// Fills the gap before `timestamp`. False if the message lies in the past.
    fn align(
        &mut self,
        timestamp: u64,
        line: (CallTime, &Played),
        heard: &mut impl FnMut(InboundFrame),
    ) -> bool {
        const TOLERANCE: u64 = 15;
        let base = *self.base_ms.get_or_insert(timestamp);
        let expected = base.saturating_add(SampleCount(self.taken).duration().as_millis() as u64);
        if timestamp.saturating_add(TOLERANCE) < expected {
            if expected - timestamp < 1_000 {
                return false;
            }
            // That far back isn't a late message but a new time line.
            self.rebase(timestamp);
            return true;
        }
        let gap = Duration::from_millis(timestamp.saturating_sub(expected));
        if gap > self.config.max_gap {
            self.rebase(timestamp);
            return true;
        }
        let missing = (gap + Duration::from_millis(10)).as_millis() as u64 / 20;
        for _ in 0..missing {
            self.totals.concealed += 1;
            let pcm = self.plc.conceal();
            heard(self.judge(pcm.encode(), pcm, line));
            self.taken += FRAME_SAMPLES as u64;
        }
        true
    }

    /// Another stream begins, whose timestamps count from its own start.
    pub(crate) fn start_again(&mut self) {
        self.base_ms = None;
        self.taken = self.framer.pending() as u64;
    }

    fn rebase(&mut self, timestamp: u64) {
        self.totals.jumps += 1;
        self.base_ms = Some(timestamp);
        self.taken = self.framer.pending() as u64;
    }

    fn judge(
        &mut self,
        wire: MulawFrame,
        mut pcm: PcmFrame,
        (now, played): (CallTime, &Played),
    ) -> InboundFrame {
        let at = self.spurts.position();
        let beep = self.beep.as_mut().is_some_and(|(detector, _)| detector.push(&pcm).is_some());
        if self.beep.as_ref().is_some_and(|(_, until)| now > *until) {
            self.beep = None;
        }
        let key = self.dtmf.as_mut().and_then(|dtmf| dtmf.push(&pcm)).map(|down| down.key);
        self.high_pass.process(&mut pcm);
        let verdict = self.spurts.push(&pcm);
        let (event, echo) = match self.echo.judge(&pcm, self.spurts.position(), now, verdict.event, played) {
            Verdict::Pass(event) => (event, None),
            Verdict::Echo { delay_ms } => (None, Some(delay_ms)),
        };
        let near = self.near.push(event, verdict.level, self.spurts.position());
        InboundFrame { at, wire, event: near.event, echo, ignored: near.ignored, key, beep }
    }

    /// No sound comes any more: a talkspurt that was going on has ended.
    pub(crate) fn on_starved(&mut self) -> Option<SpeechEvent> {
        let event = self.spurts.reset();
        let withheld = self.echo.is_withholding();
        self.echo.reset();
        match event.filter(|_| !withheld)? {
            SpeechEvent::Offset { at } => self.near.end(at).event,
            onset @ SpeechEvent::Onset { .. } => Some(onset),
        }
    }

    /// Whether a stretch of the caller's time line is somebody else's, for the most part.
    pub(crate) fn is_somebody_elses(&self, from: u64, until: u64) -> bool {
        self.near.ignores(SamplePos(from), SamplePos(until))
    }
}
