//! One call against a server, over real sockets, in real time.

use std::time::Duration;

use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::twiml::{Ending, Finding, RelayFound, StreamFound, check};
use offhook_twilio::webhook::{WebhookForm, incoming_call, join_url};
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::http::{Target, Wire, connect, fetch};
use crate::line::OnTheLine;
use crate::notify::Notifier;
use crate::relay;
use crate::report::CallReport;
use crate::script::Script;

/// A server that ends every stream and asks for the next is given up.
const MOST_STREAMS: u32 = 10;
/// What a voice server may take to answer the handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// What call to place.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// The webhook's URL.
    pub url: String,
    /// The account's token, to sign with.
    pub auth_token: Option<AuthToken>,
    /// The call's id.
    pub call_sid: CallSid,
    /// The stream's id.
    pub stream_sid: StreamSid,
    /// The account's id.
    pub account_sid: AccountSid,
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// What the caller says.
    pub script: Script,
    /// After the last line and its answer, hang up when the agent has been silent for so long.
    pub hang_up_after: Duration,
    /// The longest call.
    pub longest: Duration,
    /// The socket of a call of text breaks after so long, once.
    pub drop_after: Option<Duration>,
}

/// Why a call could not be placed. What was found out before stands in the report.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Twilio would have ended the call.
    #[error("Twilio would have ended the call: {0}")]
    Refused(Finding, Box<CallReport>),
}

/// What happens, while it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The webhook answered.
    Webhook {
        /// Its status.
        status: u16,
    },
    /// The stream began.
    Streaming {
        /// Where.
        url: String,
    },
    /// The caller begins a line.
    CallerSays {
        /// When, milliseconds of the stream.
        at_ms: u64,
        /// Its words.
        text: String,
    },
    /// The agent said something; only of calls of text its words are known.
    AgentSaid {
        /// When it was said, milliseconds of the call.
        at_ms: u64,
        /// What was heard of it.
        text: String,
        /// The caller interrupted it.
        interrupted: bool,
    },
    /// Twilio would say this.
    Found(Finding),
}

/// Places a call and stays on the line to its end.
///
/// # Errors
/// If it fails before the stream begins.
pub async fn place(plan: CallPlan, progress: impl FnMut(Progress)) -> Result<CallReport, PlaceError> {
    place_typed(plan, None, progress).await
}

/// The same; where the server wants text, the caller also says what is typed, until the sender is dropped.
///
/// # Errors
/// If it fails before the stream begins.
pub async fn place_typed(
    plan: CallPlan,
    typed: Option<mpsc::Receiver<String>>,
    mut progress: impl FnMut(Progress),
) -> Result<CallReport, PlaceError> {
    let mut report = CallReport {
        call_sid: plan.call_sid.to_string(),
        stream_sid: plan.stream_sid.to_string(),
        ..CallReport::default()
    };
    let first = Asked { url: plan.url.clone(), get: false, form: call_form(&plan, "ringing"), after: false };
    let mut found = match fetch_twiml(first, &plan, &mut report, &mut progress).await {
        Ok(found) => found,
        Err(finding) => return Err(PlaceError::Refused(finding, Box::new(report))),
    };
    let mut script = plan.script.clone();
    for nth in 0..MOST_STREAMS {
        let stream = match found {
            Found::Stream(stream) => stream,
            Found::Relay(relay) => {
                return relay::place(
                    CallPlan { script: script.remaining(), ..plan },
                    relay,
                    typed,
                    report,
                    progress,
                )
                .await;
            }
        };
        let (spoken, opening) = match script.in_sound() {
            Err(line) => (Script::default(), Err(no_words(&line.text))),
            Ok(script) => (script, open_socket(&plan, &stream.url, "Twilio.TmeWs/1.0", &mut report).await),
        };
        let sid = nth_stream(&plan.stream_sid, nth);
        let mut notifier = Notifier::new(&plan, &sid, &stream);
        let socket = match opening {
            Ok(socket) => socket,
            Err(finding) => {
                notifier.tell("stream-error", Some(&finding));
                report.findings.extend(notifier.finish().await);
                return Err(PlaceError::Refused(finding, Box::new(report)));
            }
        };
        notifier.tell("stream-started", None);
        progress(Progress::Streaming { url: stream.url.clone() });
        let line = OnTheLine::new(&plan, sid, report, &mut progress);
        (report, script) = line.talk(socket, spoken, &stream).await;
        notifier.tell("stream-stopped", None);
        let next = go_on(&plan, &stream, &mut report, &mut progress).await;
        report.findings.extend(notifier.finish().await);
        match next {
            Some(next) => found = next,
            None => break,
        }
    }
    report.conclude();
    Ok(report)
}

/// Each stream of a call has an id of its own.
fn nth_stream(first: &StreamSid, nth: u32) -> StreamSid {
    let id = first.as_str();
    let (head, tail) = id.split_at_checked(id.len().saturating_sub(2)).unwrap_or((id, ""));
    let tail = u32::from_str_radix(tail, 16).unwrap_or(0);
    StreamSid::parse(&format!("{head}{:02x}", (tail + nth) % 256)).unwrap_or_else(|_| first.clone())
}

/// What a document connects to.
enum Found {
    Stream(StreamFound),
    Relay(RelayFound),
}

/// Text can't be said to a server that wants sound.
fn no_words(text: &str) -> Finding {
    let what = format!(
        "the server wants sound (<Stream>), and “{text}” is text that can't be spoken here: give a sound file, or install \
         flite (libflite1)"
    );
    Finding::new(0, what)
}

/// So many documents, one leading to the next, are read.
const MOST_DOCUMENTS: usize = 10;

/// A document that is asked for.
struct Asked {
    url: String,
    get: bool,
    form: WebhookForm,
    /// A stream came before it.
    after: bool,
}

async fn fetch_twiml(
    asked: Asked,
    plan: &CallPlan,
    report: &mut CallReport,
    progress: &mut impl FnMut(Progress),
) -> Result<Found, Finding> {
    let Asked { mut url, get: mut by_get, form, after } = asked;
    for nth in 0..MOST_DOCUMENTS {
        let asked = Instant::now();
        let answer = fetch(&url, by_get, &form, plan.auth_token.as_ref())
            .await
            .map_err(|failed| Finding::new(failed.code, failed.what))?;
        if nth == 0 && !after {
            report.webhook_ms = millis(asked.elapsed());
            progress(Progress::Webhook { status: answer.status });
        }
        let document = check(answer.status, answer.content_type.as_deref(), &answer.body);
        for finding in &document.findings {
            progress(Progress::Found(finding.clone()));
            report.findings.push(if after {
                format!("after the stream: {finding}")
            } else {
                finding.to_string()
            });
        }
        if after {
            report.after.clone_from(&document.verbs);
        }
        // A query is dropped, and the stream opened all the same.
        let fatal = |finding: &Finding| !finding.is_warning() && finding.code != 31920;
        if let Some(error) = document.findings.iter().find(|finding| fatal(finding)) {
            return Err(error.clone());
        }
        match document.ends_before {
            Some(Ending::Over(verb)) => {
                let what = format!("`<{verb}>` comes before the stream: the call ends there");
                return Err(Finding::new(0, what));
            }
            Some(Ending::Redirect { url: to, get }) => {
                (url, by_get) = (join_url(&answer.url, &to), get);
                continue;
            }
            None => {}
        }
        if let Some(relay) = document.relay {
            return Ok(Found::Relay(resolve_relay(relay, &answer.url)));
        }
        if let Some(stream) = document.stream.filter(|stream| !stream.url.is_empty()) {
            if stream.action.is_none() {
                let next = document.verbs.iter().skip_while(|verb| *verb != "Connect").skip(1);
                report.after = next.cloned().collect();
            }
            return Ok(Found::Stream(resolve_stream(stream, &answer.url)));
        }
        let only = document.verbs.join(", ");
        let what = format!("the document connects to no <Stream> or <ConversationRelay>, only: {only}");
        return Err(Finding::new(12200, what));
    }
    Err(Finding::new(0, format!("{MOST_DOCUMENTS} documents redirect to each other, the last to {url}")))
}

/// What every webhook of a call has.
pub(crate) fn call_form(plan: &CallPlan, status: &str) -> WebhookForm {
    let form = incoming_call(plan.call_sid.as_str(), plan.account_sid.as_str(), &plan.from, &plan.to);
    form.params().iter().fold(WebhookForm::default(), |form, (name, value)| {
        form.with(name, if name == "CallStatus" { status } else { value })
    })
}

/// URLs in a document are relative to it; a stream's query is dropped.
fn resolve_stream(stream: StreamFound, document: &str) -> StreamFound {
    let join = |url: String| join_url(document, &url);
    let url = join(stream.url);
    let url = url.split('?').next().unwrap_or("").to_owned();
    StreamFound {
        url: match url.split_once("://") {
            Some(("http" | "https", rest)) => format!("wss://{rest}"),
            _ => url,
        },
        action: stream.action.map(join),
        status_callback: stream.status_callback.map(join),
        ..stream
    }
}

pub(crate) fn resolve_relay(relay: RelayFound, document: &str) -> RelayFound {
    RelayFound { action: relay.action.map(|action| join_url(document, &action)), ..relay }
}

pub(crate) async fn open_socket(
    plan: &CallPlan,
    url: &str,
    user_agent: &str,
    report: &mut CallReport,
) -> Result<WebSocketStream<Box<dyn Wire>>, Finding> {
    url.clone_into(&mut report.stream_url);
    let mut target = Target::parse(url).ok_or_else(|| Finding::new(31923, url.to_owned()))?;
    if plan.url.starts_with("http://") && target.tls {
        // A server under test without a certificate; Twilio would insist on TLS.
        target.tls = false;
    }
    let mut request = Request::builder()
        .uri(format!("ws://{}{}", target.authority, target.path))
        .header("Host", &target.authority)
        .header("User-Agent", user_agent)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key());
    if let Some(token) = &plan.auth_token {
        request = request.header("X-Twilio-Signature", sign(token, url, &[]));
    }
    let request = request.body(()).map_err(|error| Finding::new(31923, error.to_string()))?;
    let asked = Instant::now();
    let opening = async {
        let wire = connect(&target).await.map_err(|failed| {
            let code = match failed.code {
                11201 => 31901,
                11202 => 31902,
                11206 | 11220 | 11235..=11237 => 31910,
                _ => 31904,
            };
            Finding::new(code, failed.what)
        })?;
        client_async(request, wire).await.map_err(|error| match error {
            Error::Http(answer) => Finding::new(31920, format!("{url} answered with {}", answer.status())),
            other => Finding::new(31920, format!("{url}: {other}")),
        })
    };
    let (socket, _) = tokio::time::timeout(HANDSHAKE_WITHIN, opening)
        .await
        .map_err(|_| Finding::new(31901, format!("{url} did not answer within {HANDSHAKE_WITHIN:?}")))??;
    report.handshake_ms = millis(asked.elapsed());
    Ok(socket)
}

/// The stream has ended: does what the TwiML says next, as Twilio would. Gives what the call goes on with, if it does.
async fn go_on(
    plan: &CallPlan,
    found: &StreamFound,
    report: &mut CallReport,
    progress: &mut impl FnMut(Progress),
) -> Option<Found> {
    let url = found.action.clone()?;
    let live = report.ended_by == "server";
    let form = call_form(plan, if live { "in-progress" } else { "completed" });
    let asked = Asked { url, get: false, form, after: true };
    let before = report.findings.len();
    match fetch_twiml(asked, plan, report, progress).await {
        Ok(next) => live.then_some(next),
        // What the document itself says wrong stands there already, and one that connects to nothing ends the call as it should.
        Err(failed) if failed.code == 12200 || failed.code == 0 || report.findings.len() > before => None,
        Err(failed) => {
            report.findings.push(format!("after the stream: {failed}"));
            None
        }
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
