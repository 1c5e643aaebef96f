//! Was the call placed? Looked up among the account's calls, after Twilio did not say.

use std::time::{Duration, SystemTime};

use hyper::Method;
use offhook_twilio::api::Wanted;
use offhook_twilio::calls::{CallPage, CallResource, CallStatus, NewCall};

use super::{Rest, RestError, read};

/// Lists lag behind: looked at after these waits.
const LOOKS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(4)];
/// Twilio's clock and ours may differ by so much.
const SKEW: Duration = Duration::from_secs(5);

impl Rest {
    /// Finds the call that was to be placed since then; says that it can't be told, if it isn't there.
    pub(super) async fn look_for(
        &self,
        call: &NewCall,
        since: SystemTime,
        is_known: &impl Fn(&str) -> bool,
        why: String,
    ) -> Result<CallResource, RestError> {
        for wait in LOOKS {
            tokio::time::sleep(wait).await;
            if let Some(ours) = self.find(call, since, is_known).await {
                tracing::warn!(call = %ours.sid, %why, "Twilio did not say so, but the call was placed");
                return Ok(ours);
            }
        }
        Err(RestError::Unclear { why })
    }

    /// The call that was to be placed since then, if the account's list has it.
    pub(crate) async fn find(
        &self,
        call: &NewCall,
        since: SystemTime,
        is_known: &impl Fn(&str) -> bool,
    ) -> Option<CallResource> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("To", call.to.as_str())
            .append_pair("From", call.from.as_str())
            .append_pair("PageSize", "20")
            .finish();
        let path = format!("/Calls.json?{query}");
        let body = self.ask(Method::GET, &path, None, Wanted::Other).await.ok()?;
        let page: CallPage = read(&body).ok()?;
        page.calls.into_iter().find(|found| is_ours(found, call, since) && !is_known(&found.sid))
    }
}

fn is_ours(found: &CallResource, call: &NewCall, since: SystemTime) -> bool {
    let created = found.date_created.as_deref().and_then(date);
    found.to == call.to.as_str()
        && found.from == call.from.as_str()
        && created.is_some_and(|created| created + SKEW >= since)
        && CallStatus::parse(&found.status).is_some()
}

/// RFC 2822 as Twilio writes it, always UTC: `Fri, 17 Jul 2026 10:00:00 +0000`.
fn date(text: &str) -> Option<SystemTime> {
    let bare = text.strip_suffix("+0000")?;
    httpdate::parse_http_date(&format!("{bare}GMT")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_twilio_writes_them() {
        let at = date("Fri, 17 Jul 2026 10:00:00 +0000").unwrap();
        assert_eq!(at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 1_784_282_400);
        assert_eq!(date("Fri, 17 Jul 2026 10:00:00 +0200"), None);
        assert_eq!(date("soon"), None);
    }
}
