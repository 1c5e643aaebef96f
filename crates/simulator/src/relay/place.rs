//! One session of a ConversationRelay call, and what Twilio tells the action of it.

use offhook_twilio::relay::SessionStatus;
use offhook_twilio::twiml::{Finding, RelayFound};
use offhook_twilio::webhook::WebhookForm;

use super::{Caller, Ended, session_id, talk};
use crate::place::{CallPlan, Progress, call_form, open_socket};
use crate::report::CallReport;

/// Stays on the line to the session's end.
///
/// # Errors
/// The socket can't be opened.
pub(crate) async fn session<P: FnMut(Progress)>(
    plan: &CallPlan,
    found: &RelayFound,
    caller: &mut Caller,
    report: &mut CallReport,
    progress: &mut P,
) -> Result<Ended, Finding> {
    let opened = open_socket(plan, &found.url, "Jetty/11.0.24", report).await;
    let socket = opened.map_err(|finding| Finding::new(64102, finding.detail))?;
    progress(Progress::Streaming { url: found.url.clone() });
    Ok(talk(socket, plan, found, caller, report, progress).await)
}

/// What the action is told of the `nth` session, which lasted so long.
pub(crate) fn form(plan: &CallPlan, ended: &Ended, nth: u32, lasted_ms: u64) -> WebhookForm {
    let mut form = call_form(plan, if ended.live { "in-progress" } else { "completed" })
        .with("SessionId", &session_id(nth))
        .with("SessionStatus", ended.status.as_str())
        .with("SessionDuration", &(lasted_ms / 1_000).to_string());
    if let Some(data) = &ended.handoff {
        form = form.with("HandoffData", data);
    }
    if let (SessionStatus::Failed, Some((code, message))) = (ended.status, ended.error) {
        form = form.with("ErrorCode", &code.to_string()).with("ErrorMessage", message);
    }
    form
}
