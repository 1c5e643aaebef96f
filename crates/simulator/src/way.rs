//! The way from one document to the next, as Twilio goes it: what a call is connected to, and what comes when that is over.

use std::collections::VecDeque;

use offhook_twilio::twiml::{Ending, Finding, RelayFound, Step, StreamFound, check};
use offhook_twilio::webhook::{WebhookForm, join_url};
use tokio::time::Instant;

use crate::http::fetch;
use crate::place::{CallPlan, Progress, call_form, millis};
use crate::report::CallReport;

/// So many documents, one leading to the next, are read.
const MOST_DOCUMENTS: usize = 10;

/// What a document connects to.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Stream(StreamFound),
    Relay(RelayFound),
}

/// Where a call is.
#[derive(Debug)]
pub(crate) struct Way {
    /// What it is connected to.
    pub(crate) found: Found,
    /// What its document holds behind that.
    then: VecDeque<Step>,
    /// That document's address.
    document: String,
}

/// A document that is asked for.
struct Asked {
    url: String,
    get: bool,
    form: WebhookForm,
    /// What came before it; nothing before the first.
    after: Option<&'static str>,
}

impl Way {
    /// Asks the webhook.
    ///
    /// # Errors
    /// With what Twilio would end the call.
    pub(crate) async fn begin(
        plan: &CallPlan,
        report: &mut CallReport,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Self, Finding> {
        let form = call_form(plan, "ringing");
        follow(Asked { url: plan.url.clone(), get: false, form, after: None }, plan, report, progress).await
    }

    /// What was connected is over: asks the action with this form, or goes on behind it. Gives what the call goes on with, if
    /// it does; it doesn't when the caller is gone.
    pub(crate) async fn go_on(
        mut self,
        plan: &CallPlan,
        form: WebhookForm,
        live: bool,
        report: &mut CallReport,
        progress: &mut impl FnMut(Progress),
    ) -> Option<Self> {
        let (action, get, after) = match &self.found {
            Found::Stream(stream) => (stream.action.clone(), stream.action_get, "the stream"),
            Found::Relay(relay) => (relay.action.clone(), relay.action_get, "the session"),
        };
        let asked = match action {
            Some(url) => Asked { url, get, form, after: Some(after) },
            None if !live => return None,
            None => match self.then.pop_front()? {
                Step::Stream(stream) => {
                    self.found = Found::Stream(whole_stream(stream, &self.document));
                    return Some(self);
                }
                Step::Relay(relay) => {
                    self.found = Found::Relay(whole_relay(relay, &self.document));
                    return Some(self);
                }
                Step::End(Ending::Over(_)) => return None,
                Step::End(Ending::Redirect { url, get }) => {
                    let form = call_form(plan, "in-progress");
                    Asked { url: join_url(&self.document, &url), get, form, after: Some(after) }
                }
            },
        };
        let before = report.findings.len();
        match follow(asked, plan, report, progress).await {
            Ok(next) => live.then_some(next),
            // What the document itself says wrong stands there already, and one that connects to nothing ends the call as it should.
            Err(failed) if failed.code == 12200 || failed.code == 0 || report.findings.len() > before => None,
            Err(failed) => {
                report.findings.push(format!("after {after}: {failed}"));
                None
            }
        }
    }
}

async fn follow(
    asked: Asked,
    plan: &CallPlan,
    report: &mut CallReport,
    progress: &mut impl FnMut(Progress),
) -> Result<Way, Finding> {
    let Asked { mut url, get: mut by_get, form, after } = asked;
    for nth in 0..MOST_DOCUMENTS {
        let asked = Instant::now();
        let answer = fetch(&url, by_get, &form, plan.auth_token.as_ref())
            .await
            .map_err(|failed| Finding::new(failed.code, failed.what))?;
        if nth == 0 && after.is_none() {
            report.webhook_ms = millis(asked.elapsed());
            progress(Progress::Webhook { status: answer.status });
        }
        let document = check(answer.status, answer.content_type.as_deref(), &answer.body);
        for finding in &document.findings {
            progress(Progress::Found(finding.clone()));
            report.findings.push(match after {
                Some(after) => format!("after {after}: {finding}"),
                None => finding.to_string(),
            });
        }
        if after.is_some() {
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
        let found = match (document.relay, document.stream.filter(|stream| !stream.url.is_empty())) {
            (Some(relay), _) => Found::Relay(whole_relay(relay, &answer.url)),
            (None, Some(stream)) => Found::Stream(whole_stream(stream, &answer.url)),
            (None, None) => {
                let only = document.verbs.join(", ");
                let what =
                    format!("the document connects to no <Stream> or <ConversationRelay>, only: {only}");
                return Err(Finding::new(12200, what));
            }
        };
        let has_action = match &found {
            Found::Stream(stream) => stream.action.is_some(),
            Found::Relay(relay) => relay.action.is_some(),
        };
        if !has_action {
            let behind = document.verbs.iter().skip_while(|verb| *verb != "Connect").skip(1);
            report.after = behind.cloned().collect();
        }
        return Ok(Way { found, then: document.then.into(), document: answer.url });
    }
    Err(Finding::new(0, format!("{MOST_DOCUMENTS} documents redirect to each other, the last to {url}")))
}

/// URLs in a document are relative to it; a stream's query is dropped.
fn whole_stream(stream: StreamFound, document: &str) -> StreamFound {
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

fn whole_relay(relay: RelayFound, document: &str) -> RelayFound {
    RelayFound { action: relay.action.map(|action| join_url(document, &action)), ..relay }
}
