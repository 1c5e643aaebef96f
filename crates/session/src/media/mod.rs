//! Media Streams: how a stream's call begins and ends.

mod link;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use offhook_conversation::Input;
use offhook_media_line::{MediaLine, media_call};
use offhook_stages::CallInfo;
use offhook_twilio::stream::{Inbound, StartMessage, parse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::detached::{Admission, Admitted, Detached, Leave};
use crate::driver::{Driver, Observer, Parts, SessionLine};
use crate::guard::{START_WITHIN, StreamGuard};
use crate::report::{SessionEnd, SessionError, SessionReport};
use crate::session::{End, Session};
use crate::setup::Setup;
use crate::socket::Socket;
use crate::stages::Running;
use crate::toolbox::Toolbox;
use link::MediaLink;

/// Serves one call, from the upgraded socket to its end: [`open_call`], then [`OpenCall::serve`].
pub async fn serve_call<S, A, O, W>(socket: WebSocketStream<S>, admit: A, observe: O) -> SessionReport
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: FnOnce(&StartMessage) -> Result<Setup, String>,
    O: FnOnce(&StartMessage) -> W,
    W: Observer<MediaLine>,
{
    let admit = async |start: &StartMessage| {
        let setup = admit(start)?;
        Ok((Admitted::New(Box::new(setup), observe(start)), None))
    };
    match open_call(socket, admit).await {
        Ok(call) => match call.serve().await {
            (report, None) => report,
            (report, Some(lost)) => {
                lost.give_up(); // nobody connects it again
                report
            }
        },
        Err(report) => *report,
    }
}

/// Waits for a stream to begin, and readies what serves it. In two steps, so that what the first needs is gone when calls last.
///
/// `admit` judges the `start` message and gives what to serve the call with, and who may ask it to leave its socket; or why not.
///
/// # Errors
/// The report of a call that did not begin: the peer left, isn't Twilio, or was refused.
pub async fn open_call<S, A, W>(
    mut socket: WebSocketStream<S>,
    admit: A,
) -> Result<OpenCall<S, W>, Box<SessionReport>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: AsyncFnOnce(&StartMessage) -> Result<Admission<MediaLine, W>, String>,
    W: Observer<MediaLine>,
{
    let mut start = match tokio::time::timeout(START_WITHIN, wait_for_start(&mut socket)).await {
        Ok(Ok(Some(start))) => start,
        Ok(Ok(None)) => return Err(Box::default()),
        Ok(Err(error)) => return Err(refuse(socket, None, error).await),
        Err(_) => return Err(refuse(socket, None, SessionError::NoStart).await),
    };
    let (admitted, leave) = match admit(&start).await {
        Ok(admitted) => admitted,
        Err(why) => return Err(refuse(socket, Some(start), SessionError::Refused(why)).await),
    };
    // What they said, the admission knows; here they would only be kept as long as the call lasts.
    start.parameters = BTreeMap::new();
    let (driver, back) = match admitted {
        Admitted::Back(Detached(driver)) => (*driver, true),
        Admitted::New(setup, observer) => (begin(*setup, observer, &start), false),
    };
    let longest_gap = driver.call.line().longest_gap();
    let link = MediaLink::new(socket, start.stream_sid.clone());
    // On the heap, once: futures hold what they are given in more than one place.
    let session = Box::new(Session::new(driver, link, leave, longest_gap));
    Ok(OpenCall { session, start: Box::new(start), back })
}

/// Readies a call that begins.
fn begin<W: Observer<MediaLine>>(setup: Setup, observer: W, start: &StartMessage) -> Driver<MediaLine, W> {
    let mut config = setup.config;
    let info = CallInfo {
        call: start.call_sid.to_shared(),
        language: setup.language.as_str().into(),
        goal: setup.goal,
        parameters: setup.parameters,
        bridges: config.conversation.bridges().into(),
        facts: setup.facts,
        meter: setup.meter,
    };
    let model = setup.stages.turn.is_some();
    if config.conversation.turn.model != model {
        Arc::make_mut(&mut config).conversation_mut().turn.model = model;
    }
    // Sound for which there is a listener must not be kept from it; the rest only costs time.
    if setup.stages.listen() && !config.inbound.heard {
        Arc::make_mut(&mut config).inbound.heard = true;
    }
    // Whatever has something for the call, other than the socket, notifies the same notifier.
    let notifier = setup.control.as_ref().map(|control| Arc::clone(control.notifier())).unwrap_or_default();
    let parts = Parts {
        stages: Running::start(&setup.stages, &info, &notifier).behind(setup.interceptor),
        notifier,
        observer,
        control: setup.control,
        tools: Toolbox::new(setup.tools),
    };
    Driver::new(media_call(config), parts)
}

/// A call whose stream has begun.
pub struct OpenCall<S, W> {
    session: Box<Session<MediaLine, W, MediaLink<S>>>,
    start: Box<StartMessage>,
    /// It was on another stream before.
    back: bool,
}

impl<S, W> std::fmt::Debug for OpenCall<S, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OpenCall").field(&self.session.driver).finish()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Observer<MediaLine>> OpenCall<S, W> {
    /// Serves it to the socket's end. A call whose socket broke is given back: it may go on over another.
    pub async fn serve(self) -> (SessionReport, Option<Detached<MediaLine, W>>) {
        let Self { mut session, start, back } = self;
        session.begin(if back { Input::Line(MediaLine::back()) } else { Input::Start });
        let end = session.run().await;
        // Room for this is taken when a call ends, not as long as it lasts.
        Box::pin(finish(session, start, end)).await
    }
}

/// Closes the socket, and reports how the call went.
async fn finish<S: AsyncRead + AsyncWrite + Unpin, W: Observer<MediaLine>>(
    mut session: Box<Session<MediaLine, W, MediaLink<S>>>,
    start: Box<StartMessage>,
    end: End,
) -> (SessionReport, Option<Detached<MediaLine, W>>) {
    let end = match end {
        End::HungUp | End::Cut => {
            // Closing lets Twilio go on with the TwiML after `<Connect>`, which hangs up.
            session.link.socket.close(CloseCode::Normal, "done").await;
            SessionEnd::HungUp
        }
        End::Stopped | End::Left(Leave::Over) => {
            session.link.socket.answer_close().await;
            SessionEnd::Stopped
        }
        End::Broken(why) => {
            session.link.socket.answer_close().await;
            SessionEnd::Lost(why)
        }
        End::Left(Leave::ForAnother) => {
            session.link.socket.close(CloseCode::Away, "the call goes on over another stream").await;
            SessionEnd::Replaced
        }
        End::TooMuch(what) => {
            session.link.socket.close(CloseCode::Policy, "too much at once").await;
            SessionEnd::Failed(SessionError::TooMuch(what))
        }
        End::TooManyBad(why) => {
            session.link.socket.close(CloseCode::Policy, "failed").await;
            SessionEnd::Failed(SessionError::TooManyBad(why))
        }
    };
    let goes_on = matches!(end, SessionEnd::Lost(_) | SessionEnd::Replaced) && session.driver.lose_socket();
    let driver = &mut session.driver;
    if !goes_on {
        driver.stop();
    }
    let report = SessionReport {
        start: Some(*start),
        end,
        history: driver.call.history(),
        totals: driver.call.line().totals(),
        bad_messages: session.limits.counts.bad,
        unknown_events: session.limits.counts.unknown,
        dropped_audio: driver.stages.dropped_audio(),
        refused_commands: driver.stages.refused_commands(),
    };
    if goes_on {
        return (report, Some(Detached(Box::new(session.driver))));
    }
    // What they used last is written down when they end: before the observer sums up.
    driver.stages.end().await;
    (report, None)
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>,
    start: Option<StartMessage>,
    error: SessionError,
) -> Box<SessionReport> {
    Socket::new(socket).close(CloseCode::Policy, "refused").await;
    Box::new(SessionReport { start, end: SessionEnd::Failed(error), ..SessionReport::default() })
}

/// Reads up to `start`; `None` if the peer leaves before.
async fn wait_for_start<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
) -> Result<Option<StartMessage>, SessionError> {
    let (mut guard, begun) = (StreamGuard::of_sound(), Instant::now());
    while let Some(message) = socket.next().await {
        let length = message.as_ref().map_or(0, Message::len);
        guard.message(length, begun.elapsed()).map_err(SessionError::TooMuch)?;
        if guard.rests() {
            tokio::task::yield_now().await;
        }
        let text = match message {
            Ok(Message::Text(text)) => text,
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Close(_)) => return Ok(None),
            Ok(_) => return Err(SessionError::BadStart("a binary frame; Media Streams sends text".into())),
            Err(error) => return Err(SessionError::Socket(error.to_string())),
        };
        match parse(&text) {
            Ok(Inbound::Connected { .. } | Inbound::Unknown { .. }) => {}
            Ok(Inbound::Start(start)) => return Ok(Some(*start)),
            Ok(Inbound::Stop) => return Ok(None),
            Ok(_) => return Err(SessionError::BadStart("another message; `start` must be first".into())),
            Err(error) => return Err(SessionError::BadStart(error.to_string())),
        }
    }
    Ok(None)
}
