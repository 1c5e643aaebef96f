//! One call's ear: keeps the turn's sound, uploads it at each pause, lets go of uploads that the caller has made worthless.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use offhook_audio::{MULAW_SILENCE, MulawFrame, SampleCount, SamplePos};
use offhook_stage_api::{Expectation, SttCommand, SttEvent};
use offhook_stages::{Meter, Rx, StageError, Tx};
use tokio::time::Instant;

use super::super::piece::Piece;
use super::super::turns::Turns;
use super::{Request, STAGE, Whisper};

/// Sound kept while nobody speaks, besides the pre-roll: 600 ms.
const QUIET: usize = 4_800;
/// Longest sound that is uploaded: 60 s.
const LONGEST: usize = 480_000;
/// Once a transcript covers so much, it stands, and the next begins behind it: 15 s.
const SETTLED: u64 = 120_000;
/// Silence behind the speech that goes along, if there is so much: 200 ms.
const TAIL: u64 = 1_600;

/// Servers close a connection that wasn't used for so long.
const COLD: Duration = Duration::from_secs(40);

type Outcome = Result<(String, Option<f32>), StageError>;

/// An upload under way.
struct Upload {
    id: u64,
    from: u64,
    until: u64,
    answer: Pin<Box<dyn Future<Output = Outcome> + Send>>,
}

struct Listener {
    stage: Whisper,
    language: Option<String>,
    expectation: Arc<Expectation>,
    meter: Meter,
    /// The newest sound, from `start` on.
    sound: Vec<u8>,
    start: u64,
    /// The beginning of what is to be uploaded next, while there is a turn.
    from: Option<u64>,
    /// Counts transcripts that stand.
    id: u64,
    turns: Turns,
    /// Of the present turn.
    upload: Option<Upload>,
    /// Of the turn before, if it hadn't come when the call went on without it.
    late: Option<Upload>,
    /// When the connection was last used.
    used: Instant,
}

pub(super) async fn serve(
    stage: Whisper,
    language: Option<String>,
    meter: Meter,
    commands: Rx<SttCommand>,
    events: Tx<SttEvent>,
) -> Result<(), StageError> {
    let mut warming = Some(warm(&stage));
    let mut listener = Listener {
        stage,
        language,
        expectation: Arc::default(),
        meter,
        sound: Vec::new(),
        start: 0,
        from: None,
        id: 0,
        turns: Turns::default(),
        upload: None,
        late: None,
        used: Instant::now(),
    };
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => {
                    // By the time that the caller has spoken, the connection is there again.
                    if matches!(command, SttCommand::SpeechStarted { .. }) && listener.used.elapsed() > COLD {
                        listener.used = Instant::now();
                        warming = Some(warm(&listener.stage));
                    }
                    listener.on_command(command);
                }
                None => return Ok(()),
            },
            outcome = under_way(&mut listener.upload) => listener.on_answer(false, outcome)?,
            outcome = under_way(&mut listener.late) => listener.on_answer(true, outcome)?,
            () = until_warm(&mut warming) => warming = None,
        }
        for event in listener.turns.take_events() {
            let _call_over = events.send(event).await;
        }
    }
}

async fn under_way(upload: &mut Option<Upload>) -> Outcome {
    match upload {
        Some(upload) => upload.answer.as_mut().await,
        None => std::future::pending().await,
    }
}

type Warming = Pin<Box<dyn Future<Output = ()> + Send>>;

fn warm(stage: &Whisper) -> Warming {
    let stage = stage.clone();
    Box::pin(async move { stage.connect_ahead().await })
}

async fn until_warm(warming: &mut Option<Warming>) {
    match warming {
        Some(warming) => warming.as_mut().await,
        None => std::future::pending().await,
    }
}

impl Listener {
    fn on_command(&mut self, command: SttCommand) {
        match command {
            SttCommand::Audio { at, frame } => self.on_audio(at, &frame),
            SttCommand::SpeechStarted { at } => {
                // What is under way lacks what the caller says now.
                self.upload = None;
                self.from.get_or_insert(at.0.saturating_sub(self.pre_roll()));
                self.turns.speech_started(at.0);
            }
            SttCommand::SpeechPaused { from, until } => self.on_pause(from.0, until.0),
            SttCommand::TurnEnded { until } => {
                self.late = self.upload.take().or(self.late.take());
                self.from = None;
                self.id += 1;
                self.turns.turn_ended(until.0);
                self.forget(until.0);
            }
            SttCommand::Expect(expectation) => self.expectation = expectation,
        }
    }

    fn pre_roll(&self) -> u64 {
        SampleCount::from_millis(u64::from(self.stage.config.pre_roll_ms.clamp(300, 2_000))).0
    }

    fn on_audio(&mut self, at: SamplePos, frame: &MulawFrame) {
        let end = self.start + self.sound.len() as u64;
        match at.0.checked_sub(end) {
            // Some was dropped on the way, but not so much that there would be nothing but silence.
            Some(gap @ 1..=8_000) if !self.sound.is_empty() => {
                let filled = self.sound.len() + usize::try_from(gap).unwrap_or(0);
                self.sound.resize(filled, MULAW_SILENCE);
            }
            Some(0) => {}
            _ => {
                self.sound.clear();
                self.start = at.0;
            }
        }
        self.sound.extend_from_slice(&frame.0);
        let quiet = QUIET + usize::try_from(self.pre_roll()).unwrap_or(0);
        let most = if self.from.is_some() { LONGEST } else { quiet };
        // In larger steps, since what stays must be moved.
        if self.sound.len() > most + 8_000 {
            self.forget(self.start + (self.sound.len() - most) as u64);
        }
    }

    fn forget(&mut self, before: u64) {
        let count = usize::try_from(before.saturating_sub(self.start)).unwrap_or(0).min(self.sound.len());
        self.sound.drain(..count);
        self.start += count as u64;
        if self.from.is_none() && self.sound.capacity() > 8 * QUIET {
            self.sound.shrink_to(4 * QUIET);
        }
    }

    fn on_pause(&mut self, from: u64, until: u64) {
        self.turns.speech_paused(from, until);
        let first = self.from.unwrap_or_else(|| from.saturating_sub(self.pre_roll())).max(self.start);
        let place =
            |at: u64| usize::try_from(at.saturating_sub(self.start)).unwrap_or(0).min(self.sound.len());
        let mut sound = self.sound.get(place(first)..place(until + TAIL)).unwrap_or(&[]).to_vec();
        let speech_from = from.max(first);
        let spoken = SampleCount(until.saturating_sub(speech_from)).duration();
        let least = SampleCount::from_millis(u64::from(self.stage.config.least_ms.min(10_000))).0;
        let least = usize::try_from(least).unwrap_or(0);
        if sound.len() < least {
            sound.resize(least, MULAW_SILENCE);
        }
        let length = SampleCount(sound.len() as u64).duration();
        self.meter.add(STAGE, |usage| {
            usage.requests += 1;
            usage.add_audio(length);
        });
        let (stage, language) = (self.stage.clone(), self.language.clone());
        let expectation = Arc::clone(&self.expectation);
        let request = Request { sound, spoken, language, expectation };
        let answer = Box::pin(async move { stage.transcribe(request).await });
        self.upload = Some(Upload { id: self.id, from: speech_from, until, answer });
    }

    fn on_answer(&mut self, late: bool, outcome: Outcome) -> Result<(), StageError> {
        self.used = Instant::now();
        let upload = if late { self.late.take() } else { self.upload.take() };
        let Some(Upload { id, from, until, .. }) = upload else { return Ok(()) };
        let (text, confidence) =
            outcome.inspect_err(|_| self.meter.add(STAGE, |usage| usage.failures += 1))?;
        let piece = Piece { id, from, until, covers: until, text, words: Vec::new(), confidence };
        self.turns.settled(piece, true);
        if !late && until.saturating_sub(from) > SETTLED {
            self.id += 1;
            self.from = Some(until);
        }
        Ok(())
    }
}
