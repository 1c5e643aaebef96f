//! What all streaming recognisers have in common: one WebSocket for the call, sound going out at the provider's pace, a
//! final transcript asked for at each pause, and taken from what there is when it doesn't come.

use std::sync::Arc;
use std::time::Duration;

use offhook_audio::SampleCount;
use offhook_stage_api::{SttCommand, SttEvent};
use offhook_stages::{CallInfo, Meter, Rx, StageError, Tx};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::dialect::{CallState, Dialect, Ended, Habits, Say, Then};
use super::outbox::{Next, Outbox};
use super::timeline::Timeline;
use crate::net::dial::Dial;
use crate::net::ws::{Message, Socket};

/// A provider's last words are waited for so long after the call.
const FAREWELL: Duration = Duration::from_millis(1_500);
/// Recognisers that say much say something of speech at least so often.
const CADENCE: Duration = Duration::from_secs(1);
/// Shorter sounds than 400 ms may be noise that no recogniser has words for.
const SPEECH: u64 = 3_200;

/// Serves a call.
pub(crate) async fn serve<D: Dialect>(
    dialect: D,
    dial: Dial,
    call: CallInfo,
    commands: Rx<SttCommand>,
    events: Tx<SttEvent>,
) -> Result<(), StageError> {
    let habits = dialect.habits();
    let bill = Bill { meter: call.meter, provider: dialect.stage().to_owned(), samples: 0 };
    let outbox = Outbox::new(habits.pace);
    let mut session = Session {
        dialect,
        dial,
        call: call.call,
        habits,
        state: CallState::default(),
        outbox,
        bill,
        events,
        settle_by: None,
        asked: false,
        onset: 0,
        spoken: 0,
        heard: Instant::now(),
    };
    let outcome = session.serve(&commands).await;
    if outcome.is_err() {
        session.bill.meter.add(session.dialect.stage(), |usage| usage.failures += 1);
    }
    outcome
}

/// Writes down what was used when a talkspurt is over, and in the end, however that comes.
struct Bill {
    meter: Meter,
    provider: String,
    samples: u64,
}

impl Bill {
    fn write(&mut self) {
        let length = SampleCount(std::mem::take(&mut self.samples)).duration();
        if !length.is_zero() {
            self.meter.add(&self.provider, |usage| usage.add_audio(length));
        }
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        self.write();
    }
}

/// How one connection's time came to its end.
enum End {
    CallOver,
    Reopen,
    /// We want another session, for what is expected now.
    Renew,
}

struct Session<D> {
    dialect: D,
    dial: Dial,
    call: Arc<str>,
    habits: Habits,
    state: CallState,
    outbox: Outbox,
    bill: Bill,
    events: Tx<SttEvent>,
    /// When the transcript asked for is taken from what there is.
    settle_by: Option<Instant>,
    /// The question for it has gone out.
    asked: bool,
    /// Where the talkspurt before the pause began, and how long it was, in samples.
    onset: u64,
    spoken: u64,
    /// When the provider last said something.
    heard: Instant,
}

impl<D: Dialect> Session<D> {
    async fn serve(&mut self, commands: &Rx<SttCommand>) -> Result<(), StageError> {
        let mut reopened: Option<Instant> = None;
        loop {
            let Some(mut socket) = self.connect(commands, reopened.is_some()).await? else { return Ok(()) };
            match self.converse(&mut socket, commands).await {
                Ok(End::CallOver) => {
                    socket.close().await;
                    return Ok(());
                }
                Ok(End::Renew) => {
                    // Kept sound waits meanwhile, so nothing is waited for here.
                    tokio::spawn(socket.close());
                }
                // A session that ends as soon as it is opened isn't opened for ever.
                Ok(End::Reopen) if reopened.is_none_or(|at| at.elapsed() > Duration::from_secs(60)) => {
                    reopened = Some(Instant::now());
                }
                Ok(End::Reopen) => {
                    let what = "it ends each session soon after it was opened".to_owned();
                    return Err(StageError::Broken { stage: self.dialect.stage().to_owned(), what });
                }
                Err(error) => {
                    self.give_up().await;
                    return Err(error);
                }
            }
        }
    }

    /// Opens the connection, and keeps what the caller says meanwhile. `None`: the call is over.
    async fn connect(
        &mut self,
        commands: &Rx<SttCommand>,
        again: bool,
    ) -> Result<Option<Socket>, StageError> {
        // The new session's address has it all.
        self.state.say.clear();
        let place = self.dialect.open()?;
        self.state.line = Timeline::default();
        self.outbox.reopen();
        self.bill.meter.add(self.dialect.stage(), |usage| usage.requests += 1);
        let stage = self.dialect.stage().to_owned();
        let deadlines = self.habits.deadlines;
        let (dial, call) = (self.dial.clone(), Arc::clone(&self.call));
        let connecting = async {
            if again {
                dial.reconnect(&stage, &place.url, &place.headers, &deadlines, &call).await
            } else {
                dial.connect(&stage, &place.url, &place.headers, &deadlines).await
            }
        };
        let mut connecting = std::pin::pin!(connecting);
        loop {
            tokio::select! {
                socket = &mut connecting => return socket.map(Some),
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return Ok(None),
                },
            }
        }
    }

    async fn converse(&mut self, socket: &mut Socket, commands: &Rx<SttCommand>) -> Result<End, StageError> {
        let opened = Instant::now();
        let mut ready = !self.habits.greets;
        let mut spoke = opened;
        self.heard = opened;
        if let Some(text) = self.dialect.hello() {
            socket.send_text(text).await?;
        }
        loop {
            let mut wake = None;
            if ready {
                wake = self.send(socket, &mut spoke).await?;
            }
            self.tell().await;
            if self.dialect.is_outdated() && self.nobody_speaks() {
                if let Some(text) = self.dialect.goodbye() {
                    // It ends here anyway.
                    let _ends = socket.send_text(text).await;
                }
                return Ok(End::Renew);
            }
            let now = Instant::now();
            let stall = self.dialect.stalls_after().map(|limit| self.heard + limit);
            let idle = self.habits.idle.filter(|_| ready).map(|idle| spoke + idle);
            let greeting = (!ready).then_some(opened + self.habits.deadlines.connect);
            let due = [wake, self.settle_by, stall, idle, greeting].into_iter().flatten().min();
            let due = due.unwrap_or_else(|| now + Duration::from_secs(60));
            tokio::select! {
                message = socket.recv() => match message {
                    Ok(Some(Message::Text(text))) => {
                        self.heard = Instant::now();
                        match self.dialect.on_text(&text, &mut self.state)? {
                            Then::Go => {}
                            Then::Ready => ready = true,
                            Then::Done => return self.lost(socket, None),
                        }
                        if !self.state.turns.is_wanted() {
                            self.settle_by = None;
                        }
                    }
                    Ok(Some(Message::Binary(_))) => {}
                    Ok(None) => return self.lost(socket, None),
                    Err(error) => return self.lost(socket, Some(error)),
                },
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => {
                        self.part(socket).await;
                        return Ok(End::CallOver);
                    }
                },
                () = sleep_until(due) => {
                    let now = Instant::now();
                    if greeting.is_some_and(|at| at <= now) {
                        return Err(self.too_slow("greeting", self.habits.deadlines.connect));
                    }
                    if stall.is_some_and(|at| at <= now) {
                        let limit = self.dialect.stalls_after().unwrap_or_default();
                        return Err(self.too_slow("word in a turn that it holds open", limit));
                    }
                    if self.settle_by.is_some_and(|at| at <= now) {
                        self.settle(now)?;
                    }
                    if idle.is_some_and(|at| at <= now) {
                        spoke = now;
                        self.state.say.extend(self.dialect.idle());
                    }
                }
            }
        }
    }

    /// Sends what may be sent. Tells when there will be more.
    async fn send(
        &mut self,
        socket: &mut Socket,
        spoke: &mut Instant,
    ) -> Result<Option<Instant>, StageError> {
        for say in std::mem::take(&mut self.state.say) {
            match say {
                Say::Text(text) => socket.send_text(text).await?,
                Say::Silence(samples) => {
                    self.state.line.padded(samples as u64);
                    let silence = vec![offhook_audio::MULAW_SILENCE; samples];
                    socket.send_binary(self.dialect.sound(silence)).await?;
                }
            }
        }
        while self.dialect.takes_sound() {
            let now = Instant::now();
            match self.outbox.next(now, &mut self.state.line) {
                Next::Send(sound) => {
                    *spoke = now;
                    self.bill.samples += sound.len() as u64;
                    let sound = self.dialect.sound(sound);
                    // An empty message ends the stream at some providers.
                    if !sound.is_empty() {
                        socket.send_binary(sound).await?;
                    }
                }
                Next::Force => {
                    self.asked = true;
                    self.settle_by = Some(now + self.habits.patience);
                    if let Some(text) = self.dialect.force() {
                        socket.send_text(text).await?;
                    }
                }
                Next::Wait(until) => return Ok(Some(until)),
                Next::Idle => break,
            }
        }
        Ok(None)
    }

    /// Nothing of a turn is on its way to the provider or back.
    fn nobody_speaks(&self) -> bool {
        self.settle_by.is_none() && !self.state.turns.is_wanted() && !self.outbox.is_speaking()
    }

    fn on_command(&mut self, command: SttCommand) {
        match command {
            SttCommand::Audio { at, frame } => self.outbox.push(at, frame),
            SttCommand::SpeechStarted { at } => {
                self.state.turns.speech_started(at.0);
                self.outbox.speech_started();
                self.onset = at.0;
                self.settle_by = None;
            }
            SttCommand::SpeechPaused { from, until } => {
                self.state.turns.speech_paused(from.0, until.0);
                self.outbox.speech_paused();
                self.asked = false;
                self.spoken = until.0.saturating_sub(self.onset.max(from.0));
                // However long the sound takes to go out, the call isn't kept waiting for ever.
                self.settle_by = Some(Instant::now() + 2 * self.habits.patience);
                self.bill.write();
                let lost = self.outbox.take_lost();
                if lost > 0 {
                    let (stage, lost_ms) = (self.dialect.stage(), lost * 20);
                    tracing::warn!(stage, lost_ms, "the provider took the caller's sound too slowly");
                }
            }
            SttCommand::TurnEnded { until } => {
                self.state.turns.turn_ended(until.0);
                self.settle_by = None;
                self.state.say.extend(self.dialect.turn_ended().map(Say::Text));
            }
            SttCommand::Expect(expectation) => {
                self.state.say.extend(self.dialect.expect(&expectation).map(Say::Text));
            }
        }
    }

    /// No final transcript came: what there is must do. A recogniser that says much, but has not said a thing since well before
    /// the caller paused, is given up, so that the next may hear this turn: what it heard of it is a part at most.
    fn settle(&mut self, now: Instant) -> Result<(), StageError> {
        self.settle_by = None;
        let silent = now.saturating_duration_since(self.heard);
        let spoken = SampleCount(self.spoken);
        let deaf = self.asked
            && self.habits.chatty
            && spoken.0 >= SPEECH
            && silent > self.habits.patience + spoken.duration().min(CADENCE);
        if deaf {
            return Err(self.too_slow("word about what the caller said", silent));
        }
        self.state.turns.settle_unanswered();
        Ok(())
    }

    fn too_slow(&self, what: &'static str, limit: Duration) -> StageError {
        StageError::TooSlow { stage: self.dialect.stage().to_owned(), what, limit }
    }

    fn lost(&mut self, socket: &Socket, error: Option<StageError>) -> Result<End, StageError> {
        let stage = self.dialect.stage().to_owned();
        let error = error.unwrap_or_else(|| StageError::Broken {
            stage,
            what: "it closed the connection in the midst of the call".to_owned(),
        });
        match self.dialect.ended(socket.close_code(), error) {
            Ended::Reopen => Ok(End::Reopen),
            Ended::Failed(error) => Err(error),
        }
    }

    /// Passes on what was heard.
    async fn tell(&mut self) {
        for event in self.state.turns.take_events() {
            match event {
                // A partial that finds no room is soon out of date anyway.
                SttEvent::Partial(_) => {
                    let _out_of_date = self.events.offer(event);
                }
                event => {
                    let _call_over = self.events.send(event).await;
                }
            }
        }
    }

    /// The connection is lost: words that were heard are not.
    async fn give_up(&mut self) {
        // Where there are none, the next may hear some.
        if self.state.turns.has_words() {
            self.state.turns.settle_unanswered();
        }
        self.tell().await;
    }

    /// The call is over: what comes in the next moment still counts.
    async fn part(&mut self, socket: &mut Socket) {
        let Some(text) = self.dialect.goodbye() else { return };
        let deadline = Instant::now() + FAREWELL;
        let Ok(Ok(())) = timeout(FAREWELL, socket.send_text(text)).await else { return };
        while let Ok(Ok(Some(message))) = timeout_at(deadline, socket.recv()).await {
            let Message::Text(text) = message else { continue };
            if !matches!(self.dialect.on_text(&text, &mut self.state), Ok(Then::Go | Then::Ready)) {
                break;
            }
            for event in self.state.turns.take_events() {
                let _call_over = self.events.offer(event);
            }
        }
    }
}
