//! One call against a server, over real sockets, in real time.

use std::time::Duration;

use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::twiml::Finding;
use offhook_twilio::webhook::{WebhookForm, incoming_call};
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::http::{Target, Wire, connect};
use crate::line::OnTheLine;
use crate::notify::Notifier;
use crate::relay::{self, Caller};
use crate::report::CallReport;
use crate::script::Script;
use crate::way::{Found, Way};

/// A server that ends whatever is connected and asks for the next is given up.
const MOST_CONNECTIONS: u32 = 10;
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
    let mut script = plan.script.clone();
    let mut caller = Caller::new(&plan, typed);
    let refused = |finding, report: CallReport| PlaceError::Refused(finding, Box::new(report));
    let mut way = match Way::begin(&plan, &mut report, &mut progress).await {
        Ok(way) => way,
        Err(finding) => return Err(refused(finding, report)),
    };
    for nth in 0..MOST_CONNECTIONS {
        let next = match way.found.clone() {
            Found::Stream(stream) => {
                let (spoken, opening) = match script.in_sound() {
                    Err(line) => (Script::default(), Err(no_words(&line.text))),
                    Ok(script) => {
                        (script, open_socket(&plan, &stream.url, "Twilio.TmeWs/1.0", &mut report).await)
                    }
                };
                let sid = nth_stream(&plan.stream_sid, nth);
                let mut notifier = Notifier::new(&plan, &sid, &stream);
                let socket = match opening {
                    Ok(socket) => socket,
                    Err(finding) => {
                        notifier.tell("stream-error", Some(&finding));
                        report.findings.extend(notifier.finish().await);
                        return Err(refused(finding, report));
                    }
                };
                notifier.tell("stream-started", None);
                progress(Progress::Streaming { url: stream.url.clone() });
                let line = OnTheLine::new(&plan, sid, report, &mut progress);
                (report, script) = line.talk(socket, spoken, &stream).await;
                notifier.tell("stream-stopped", None);
                let live = report.ended_by == "server";
                let form = call_form(&plan, if live { "in-progress" } else { "completed" });
                let next = way.go_on(&plan, form, live, &mut report, &mut progress).await;
                report.findings.extend(notifier.finish().await);
                next
            }
            Found::Relay(relay) => {
                caller.resume(&script, report.caller_sound.len() as u64 / 8);
                let began_ms = caller.now_ms;
                let ended = relay::session(&plan, &relay, &mut caller, &mut report, &mut progress).await;
                let ended = match ended {
                    Ok(ended) => ended,
                    Err(finding) => return Err(refused(finding, report)),
                };
                script.forward(&caller.script);
                report.length_ms = caller.now_ms;
                let form = relay::form(&plan, &ended, caller.sessions, caller.now_ms - began_ms);
                way.go_on(&plan, form, ended.live, &mut report, &mut progress).await
            }
        };
        match next {
            Some(next) => way = next,
            None => break,
        }
    }
    report.conclude();
    if caller.sessions > 0 {
        // The sound is a stand-in; how loud it is tells nothing.
        report.agent_level_dbov = None;
    }
    Ok(report)
}

/// Each stream of a call has an id of its own.
fn nth_stream(first: &StreamSid, nth: u32) -> StreamSid {
    let id = first.as_str();
    let (head, tail) = id.split_at_checked(id.len().saturating_sub(2)).unwrap_or((id, ""));
    let tail = u32::from_str_radix(tail, 16).unwrap_or(0);
    StreamSid::parse(&format!("{head}{:02x}", (tail + nth) % 256)).unwrap_or_else(|_| first.clone())
}

/// Text can't be said to a server that wants sound.
fn no_words(text: &str) -> Finding {
    let what = format!(
        "the server wants sound (<Stream>), and “{text}” is text that can't be spoken here: give a sound file, or install \
         flite (libflite1)"
    );
    Finding::new(0, what)
}

/// What every webhook of a call has.
pub(crate) fn call_form(plan: &CallPlan, status: &str) -> WebhookForm {
    let form = incoming_call(plan.call_sid.as_str(), plan.account_sid.as_str(), &plan.from, &plan.to);
    form.params().iter().fold(WebhookForm::default(), |form, (name, value)| {
        form.with(name, if name == "CallStatus" { status } else { value })
    })
}

pub(crate) async fn open_socket(
    plan: &CallPlan,
    url: &str,
    user_agent: &str,
    report: &mut CallReport,
) -> Result<WebSocketStream<Box<dyn Wire>>, Finding> {
    url.clone_into(&mut report.stream_url);
    let mut target = Target::parse(url).ok_or_else(|| Finding::new(31923, url.to_owned()))?;
    // A server under test that has no certificate may name itself as it would before Twilio, which would insist on TLS.
    let webhook = Target::parse(&plan.url).filter(|webhook| !webhook.tls);
    target.tls &= webhook.as_ref().is_none_or(|webhook| webhook.authority != target.authority);
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
        let mut wire = connect(&target).await;
        if webhook.is_some() && wire.as_ref().is_err_and(|failed| matches!(failed.code, 11206 | 11220)) {
            target.tls = false;
            wire = connect(&target).await;
        }
        let wire = wire.map_err(|failed| {
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

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
