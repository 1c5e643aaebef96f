//! The stream's own callbacks (`statusCallback` of `<Stream>`): when it starts, stops or fails. They don't hold the call up.

use std::time::{Duration, SystemTime};

use offhook_twilio::StreamSid;
use offhook_twilio::twiml::{Finding, StreamFound};
use offhook_twilio::webhook::WebhookForm;
use tokio::task::JoinHandle;

use crate::http::fetch;
use crate::place::CallPlan;

/// Answers are waited for so long after the call.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells of a stream.
#[derive(Debug)]
pub(crate) struct Notifier<'a> {
    plan: &'a CallPlan,
    stream: StreamSid,
    found: &'a StreamFound,
    /// One task: requests keep their order.
    last: Option<JoinHandle<Vec<String>>>,
}

impl<'a> Notifier<'a> {
    pub(crate) fn new(plan: &'a CallPlan, stream: &StreamSid, found: &'a StreamFound) -> Self {
        Self { plan, stream: stream.clone(), found, last: None }
    }

    /// Tells of an event, after those before it.
    pub(crate) fn tell(&mut self, event: &'static str, error: Option<&Finding>) {
        let Some(url) = self.found.status_callback.clone() else { return };
        let stream = self.stream.as_str();
        let mut form = WebhookForm::default()
            .with("AccountSid", self.plan.account_sid.as_str())
            .with("CallSid", self.plan.call_sid.as_str())
            .with("StreamSid", stream)
            .with("StreamName", self.found.name.as_deref().unwrap_or(stream))
            .with("StreamEvent", event)
            .with("Timestamp", &timestamp(SystemTime::now()));
        if let Some(error) = error {
            form = form.with("StreamError", &error.detail);
        }
        let (token, get) = (self.plan.auth_token.clone(), self.found.status_callback_get);
        let before = self.last.take();
        self.last = Some(tokio::spawn(async move {
            let mut findings = match before {
                Some(before) => before.await.unwrap_or_default(),
                None => Vec::new(),
            };
            let wrong = match fetch(&url, get, &form, token.as_ref()).await {
                Ok(answer) if (200..300).contains(&answer.status) => None,
                Ok(answer) => {
                    Some(Finding::new(11200, format!("{url} answered with status {}", answer.status)))
                }
                Err(failed) => Some(Finding::new(failed.code, failed.what)),
            };
            findings.extend(wrong.map(|finding| format!("status callback {event}: {finding}")));
            findings
        }));
    }

    /// What Twilio would say of the answers.
    pub(crate) async fn finish(self) -> Vec<String> {
        let Some(last) = self.last else { return Vec::new() };
        match tokio::time::timeout(PATIENCE, last).await {
            Ok(findings) => findings.unwrap_or_default(),
            Err(_) => vec![format!("status callback: no answer within {PATIENCE:?}")],
        }
    }
}

/// ISO 8601 in UTC, to the microsecond.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_micros()
    )
}

/// A day since 1970 as year, month and day (H. Hinnant, "chrono-compatible low-level date algorithms").
const fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let carry = if month <= 2 { 1 } else { 0 };
    (year + era * 400 + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_twilio_writes_them() {
        let at = |ms| timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
        assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(1_732_838_979_602), "2024-11-29T00:09:39.602000Z");
        assert_eq!(at(1_709_164_800_000), "2024-02-29T00:00:00.000000Z");
    }
}
