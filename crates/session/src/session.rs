//! The loop: one socket, from the call's beginning on it to its end.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use offhook_conversation::{Input, Transport};
use offhook_stage_api::ToolResult;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::detached::Leave;
use crate::driver::{Driver, Observer, Outgoing, SessionLine};
use crate::guard::{StreamGuard, TooMuch};
use crate::prefetch::fetch;

/// So many messages of a peer that has left are looked through for its goodbye.
const MOST_LEFT_BEHIND: u32 = 256;

/// A peer that doesn't take our messages for so long is gone.
const SLOWEST_WRITE: Duration = Duration::from_secs(5);

/// A protocol's side of a socket: messages in and out.
pub(crate) trait Link<L: Transport>: Outgoing<L::Wire> {
    /// So many messages in a row that can't be used end the session; fewer are dropped and counted.
    const MOST_BAD_IN_A_ROW: u32;

    /// The next message; `None` when the peer has closed.
    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>>;

    /// Sends what was written.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>>;

    /// What a peer of this kind may send.
    fn guard() -> StreamGuard;

    /// Reads a message, and gives its input, if it has one.
    fn read(text: &str, limits: &mut Limits, take: impl FnOnce(L::Input<'_>)) -> Read;

    /// Why the session is over when the peer closes: with a frame, or without a word.
    fn closed(frame: Option<CloseFrame>) -> End;

    /// Why the session is over when the socket breaks.
    fn broken(error: &Error) -> End {
        End::Broken(error.to_string())
    }
}

/// What a message was.
pub(crate) enum Read {
    /// Something for the call.
    Taken,
    /// Nothing for it.
    Ignored,
    /// The end of the stream.
    Stop,
    /// More than a call can have.
    TooMuch(TooMuch),
    /// One that can't be used: why, without what it has in it.
    Bad(String),
}

/// What a peer has sent, and may send.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) counts: Counts,
    pub(crate) guard: StreamGuard,
    /// Gaps up to this length are filled in.
    pub(crate) longest_gap: Duration,
    /// Since the stream's begin.
    pub(crate) elapsed: Duration,
}

/// What was counted on one socket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Messages that could not be used.
    pub(crate) bad: u32,
    /// Kinds of messages that this version doesn't know.
    pub(crate) unknown: u32,
    /// Turns of the caller, where Twilio decides when they are over.
    pub(crate) prompts: u32,
    /// Interruptions, where Twilio decides what is one.
    pub(crate) interrupts: u32,
}

/// Why a session ended.
pub(crate) enum End {
    /// Twilio said so.
    Stopped,
    /// The call hung up.
    HungUp,
    /// The application ended the stream.
    Cut,
    /// The socket broke.
    Broken(String),
    /// It was asked to.
    Left(Leave),
    /// Too many messages could not be used; why the last could not.
    TooManyBad(String),
    /// The peer sent more than a call can have.
    TooMuch(TooMuch),
}

/// A call on a socket.
pub(crate) struct Session<L: SessionLine, W, K> {
    pub(crate) driver: Driver<L, W>,
    pub(crate) link: K,
    pub(crate) limits: Limits,
    leave: Option<oneshot::Receiver<Leave>>,
    bad_in_a_row: u32,
    /// Since when the peer takes nothing.
    stuck: Option<Instant>,
}

enum Happened {
    Message(Option<Result<Message, Error>>),
    News,
    Tool(ToolResult),
    Leave(Leave),
    Deadline,
    Broken(Error),
}

impl<L: SessionLine, W: Observer<L>, K: Link<L>> Session<L, W, K> {
    pub(crate) fn new(
        driver: Driver<L, W>,
        link: K,
        leave: Option<oneshot::Receiver<Leave>>,
        longest_gap: Duration,
    ) -> Self {
        let (counts, guard) = (Counts::default(), K::guard());
        let limits = Limits { counts, guard, longest_gap, elapsed: Duration::ZERO };
        Self { driver, link, limits, leave, bad_in_a_row: 0, stuck: None }
    }

    /// Notifies the call of the socket.
    pub(crate) fn begin(&mut self, first: Input<L::Input<'_>>) {
        self.driver.feed(first, &mut self.link);
    }

    /// Serves it to the socket's end.
    pub(crate) async fn run(&mut self) -> End {
        // One timer for the whole call, moved only when the deadline moves.
        let timer = tokio::time::sleep_until(self.driver.clock);
        tokio::pin!(timer);
        while !self.driver.has_hung_up() {
            let deadline = self.driver.deadline();
            let mut woken = false;
            let happened = poll_fn(|context| {
                if std::mem::replace(&mut woken, true) {
                    // While the socket is read, which takes some microseconds.
                    fetch(&*self);
                }
                self.poll(deadline, timer.as_mut(), context)
            });
            match happened.await {
                Happened::News => {
                    self.driver.take_news(&mut self.link);
                    if self.driver.is_cut() {
                        return End::Cut;
                    }
                }
                Happened::Tool(result) => self.driver.feed(Input::Tool(result), &mut self.link),
                Happened::Deadline => self.driver.feed(Input::Timeout, &mut self.link),
                Happened::Leave(leave) => return End::Left(leave),
                Happened::Broken(error) => return self.goodbye().await.unwrap_or_else(|| K::broken(&error)),
                Happened::Message(message) => {
                    if let Some(end) = self.on_message(message) {
                        return end;
                    }
                    if self.limits.guard.rests() {
                        // Other calls of this worker have their turn.
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
        End::HungUp
    }

    /// Nothing can be written any more. A peer that has left may have said goodbye before, and that has come already: then the
    /// session ended in order.
    async fn goodbye(&mut self) -> Option<End> {
        for _ in 0..MOST_LEFT_BEHIND {
            let here = poll_fn(|context| match self.link.poll_recv(context) {
                Poll::Ready(message) => Poll::Ready(Some(message)),
                Poll::Pending => Poll::Ready(None),
            });
            match here.await? {
                None | Some(Err(_)) => return None,
                message => {
                    if let Some(end) = self.on_message(message) {
                        return Some(end);
                    }
                }
            }
        }
        None
    }

    /// What happens next. The socket is read after everything else that is there already: messages without end keep nobody waiting,
    /// not even the deadline, which a peer that only pings would else hold up.
    fn poll(
        &mut self,
        deadline: Option<Instant>,
        mut timer: Pin<&mut Sleep>,
        context: &mut Context<'_>,
    ) -> Poll<Happened> {
        // A peer that takes nothing keeps nobody waiting either: what is for it waits in the socket's buffer.
        match self.link.poll_flush(context) {
            Poll::Ready(Ok(())) => self.stuck = None,
            Poll::Ready(Err(error)) => return Poll::Ready(Happened::Broken(error)),
            Poll::Pending => {
                self.stuck.get_or_insert_with(Instant::now);
            }
        }
        if let Some(Ok(leave)) = self.leave.as_mut().map(oneshot::Receiver::try_recv) {
            self.leave = None;
            return Poll::Ready(Happened::Leave(leave));
        }
        if self.driver.notifier.was_notified() {
            return Poll::Ready(Happened::News);
        }
        if let Poll::Ready(result) = self.driver.poll_tool(context) {
            return Poll::Ready(Happened::Tool(result));
        }
        let given_up = self.stuck.map(|since| since + SLOWEST_WRITE);
        if let Some(due) = [deadline, given_up].into_iter().flatten().min() {
            if due != timer.deadline() {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(match given_up.filter(|given_up| *given_up <= due) {
                    None => Happened::Deadline,
                    Some(_) => Happened::Broken(takes_nothing()),
                });
            }
        }
        if let Poll::Ready(message) = self.link.poll_recv(context) {
            return Poll::Ready(Happened::Message(message));
        }
        // To be woken by it. Once a frame is enough: that it has come is seen above.
        if let Some(leave) = self.leave.as_mut()
            && let Poll::Ready(asked) = Pin::new(leave).poll(context)
        {
            self.leave = None;
            if let Ok(leave) = asked {
                return Poll::Ready(Happened::Leave(leave));
            }
        }
        self.driver.notifier.poll(context).map(|()| Happened::News)
    }

    /// Takes a message. Gives why the session ends, if it does.
    fn on_message(&mut self, message: Option<Result<Message, Error>>) -> Option<End> {
        self.limits.elapsed = self.driver.clock.elapsed();
        if let Some(Ok(message)) = &message
            && let Err(what) = self.limits.guard.message(message.len(), self.limits.elapsed)
        {
            return Some(End::TooMuch(what));
        }
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => return Some(K::closed(frame)),
            None => return Some(K::broken(&Error::ConnectionClosed)),
            Some(Err(error)) => return Some(K::broken(&error)),
            Some(Ok(Message::Binary(_))) => return self.bad_message("a binary frame; its messages are text"),
            Some(Ok(_)) => return None,
        };
        let (driver, link) = (&mut self.driver, &mut self.link);
        match K::read(&text, &mut self.limits, |input| driver.feed(Input::Line(input), link)) {
            Read::Taken | Read::Ignored => {
                self.bad_in_a_row = 0;
                None
            }
            Read::Stop => Some(End::Stopped),
            Read::TooMuch(what) => Some(End::TooMuch(what)),
            Read::Bad(why) => self.bad_message(&why),
        }
    }

    fn bad_message(&mut self, why: &str) -> Option<End> {
        self.limits.counts.bad += 1;
        self.bad_in_a_row += 1;
        if self.limits.counts.bad == 1 {
            self.driver.notice(format!("a message could not be used and was dropped: {why}"));
        }
        (self.bad_in_a_row >= K::MOST_BAD_IN_A_ROW).then(|| End::TooManyBad(why.to_owned()))
    }
}

fn takes_nothing() -> Error {
    Error::Io(std::io::Error::new(ErrorKind::TimedOut, "the peer takes no data"))
}
