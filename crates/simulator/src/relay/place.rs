//! A ConversationRelay call from its TwiML to its end: sessions, and what Twilio asks between them.

use offhook_twilio::relay::SessionStatus;
use offhook_twilio::twiml::{Finding, RelayFound, check};
use offhook_twilio::webhook::WebhookForm;
use tokio::sync::mpsc;

use super::{Caller, Ended, talk};
use crate::http::fetch;
use crate::place::{CallPlan, PlaceError, Progress, call_form, open_socket, resolve_relay};
use crate::report::CallReport;

/// A server that loses every session is given up.
const MOST_SESSIONS: u32 = 20;

/// Stays on the line to the call's end, however often it is connected.
pub(crate) async fn place<P: FnMut(Progress)>(
    plan: CallPlan,
    mut found: RelayFound,
    typed: Option<mpsc::Receiver<String>>,
    mut report: CallReport,
    mut progress: P,
) -> Result<CallReport, PlaceError> {
    let mut caller = Caller::new(&plan, typed, report.caller_sound.len() as u64 / 8);
    for _ in 0..MOST_SESSIONS {
        let opened = open_socket(&plan, &found.url, "Jetty/11.0.24", &mut report).await;
        let socket = match opened {
            Ok(socket) => socket,
            Err(finding) => {
                let finding = Finding::new(64102, finding.detail);
                return Err(PlaceError::Refused(finding, Box::new(report)));
            }
        };
        progress(Progress::Streaming { url: found.url.clone() });
        let ended = talk(socket, &plan, &found, &mut caller, &mut report, &mut progress).await;
        match go_on(&plan, &found, &ended, &mut report, &mut progress).await {
            Some(next) => found = next,
            None => break,
        }
    }
    report.length_ms = caller.now_ms;
    report.conclude();
    // The sound is a stand-in; how loud it is tells nothing.
    report.agent_level_dbov = None;
    Ok(report)
}

/// Asks what is next, as Twilio does. Gives the session that the call goes on with, if it does.
async fn go_on<P: FnMut(Progress)>(
    plan: &CallPlan,
    found: &RelayFound,
    ended: &Ended,
    report: &mut CallReport,
    progress: &mut P,
) -> Option<RelayFound> {
    let url = found.action.as_deref()?;
    let answer = match fetch(url, false, &form(plan, ended), plan.auth_token.as_ref()).await {
        Ok(answer) => answer,
        Err(failed) => {
            let finding = Finding::new(failed.code, failed.what);
            report.findings.push(format!("after the session: {finding}"));
            return None;
        }
    };
    let next = check(answer.status, answer.content_type.as_deref(), &answer.body);
    report.findings.extend(next.findings.iter().map(|finding| format!("after the session: {finding}")));
    for finding in &next.findings {
        progress(Progress::Found(finding.clone()));
    }
    report.after.clone_from(&next.verbs);
    next.relay.filter(|_| ended.live).map(|relay| resolve_relay(relay, &answer.url))
}

fn form(plan: &CallPlan, ended: &Ended) -> WebhookForm {
    let mut form = call_form(plan, if ended.live { "in-progress" } else { "completed" });
    form = form
        .with("SessionId", "VX1")
        .with("SessionStatus", ended.status.as_str())
        .with("SessionDuration", "1");
    if let Some(data) = &ended.handoff {
        form = form.with("HandoffData", data);
    }
    if let (SessionStatus::Failed, Some((code, message))) = (ended.status, ended.error) {
        form = form.with("ErrorCode", &code.to_string()).with("ErrorMessage", message);
    }
    form
}
