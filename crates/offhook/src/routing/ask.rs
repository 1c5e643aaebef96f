//! An application that chooses the agent of each call: asked by a signed webhook, within a deadline.

use std::collections::BTreeMap;
use std::time::Duration;

use offhook_providers::net::identity::{context, identify};
use offhook_providers::net::{Deadlines, Http, Secret, post_json, trace};
use offhook_stages::{CallFacts, CallInfo, StageError};
use offhook_twilio::webhook::WebhookForm;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Decision, SIP_HEADER};

/// Longest answer read.
const LONGEST: usize = 64 * 1024;

/// `[routing]`: an application chooses who answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AskConfig {
    /// Where it is asked, by POST. Default: nobody is asked, `[[route]]`s decide.
    pub(crate) webhook: Option<String>,
    /// How long it may take; then `[[route]]`s decide. Default 2 s: the caller hears ringing meanwhile.
    #[serde(with = "humantime_serde")]
    pub(crate) deadline: Duration,
    /// Environment variable that holds the secret which signs the request. Default `OFFHOOK_SIGNING_SECRET`.
    pub(crate) secret_env: String,
}

impl Default for AskConfig {
    fn default() -> Self {
        let secret_env = "OFFHOOK_SIGNING_SECRET".to_owned();
        Self { webhook: None, deadline: Duration::from_secs(2), secret_env }
    }
}

/// Asks it.
#[derive(Debug)]
pub(crate) struct Asker {
    url: String,
    deadline: Duration,
    secret: Option<Secret>,
    http: Http,
}

impl Asker {
    /// `None`: nobody is to be asked.
    pub(crate) fn new(config: &AskConfig) -> Option<Self> {
        let url = config.webhook.clone()?;
        let limit = config.deadline;
        let deadlines = Deadlines { first: limit, gap: limit, ..Deadlines::default() };
        let secret = std::env::var(&config.secret_env).ok().map(|secret| Secret::new(&secret));
        let secret = secret.filter(|secret| !secret.is_empty());
        Some(Self { url, deadline: limit, secret, http: Http::new("routing", deadlines) })
    }

    /// What becomes of a call. `None` if the application doesn't say, or not in time, which is logged.
    pub(crate) async fn ask(&self, call: &str, facts: &CallFacts, form: &WebhookForm) -> Option<Decision> {
        let asked = async {
            let info = CallInfo { call: call.into(), facts: facts.clone().into(), ..CallInfo::default() };
            let headers: BTreeMap<&str, &str> = form
                .params()
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix(SIP_HEADER)?, value.as_str())))
                .collect();
            let body = json!({
                "call": call, "from": facts.from, "to": facts.to, "direction": facts.direction,
                "forwarded_from": facts.forwarded_from, "caller_name": facts.caller_name, "sip_headers": headers,
            });
            let mut request = post_json("routing", &self.url, &[], &body)?;
            trace::add(&mut request, call);
            identify(&mut request, body.to_string().as_bytes(), &context(&info, &[]), self.secret.as_ref());
            let octets = self.http.send(request).await?.bytes(LONGEST).await?;
            read(&octets)
        };
        let late = StageError::TooSlow { stage: "routing".to_owned(), what: "answer", limit: self.deadline };
        match tokio::time::timeout(self.deadline, asked).await.unwrap_or(Err(late)) {
            Ok(decision) => Some(decision),
            Err(error) => {
                tracing::warn!(call, %error, "the application did not say who answers; [[route]]s decide");
                None
            }
        }
    }
}

fn read(octets: &[u8]) -> Result<Decision, StageError> {
    let garbage = |what: String| StageError::Garbage { stage: "routing".to_owned(), what };
    let value: Value =
        serde_json::from_slice(octets).map_err(|error| garbage(format!("no JSON: {error}")))?;
    serde_json::from_value(value).map_err(|error| garbage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_an_agent_and_variables() {
        let decision = read(br#"{"agent":"sales","variables":{"name":"Ann"},"note":1}"#).unwrap();
        assert_eq!((decision.agent.as_deref(), decision.variables["name"].as_str()), (Some("sales"), "Ann"));
        assert!(read(b"<html>").is_err() && read(br#"{"agent":5}"#).is_err());
        assert_eq!(read(b"{}").unwrap(), Decision::default());
    }
}
