//! The examination: Twilio's way through a call, step by step.

use hyper::Method;
use offhook_twilio::signature::{AuthToken, signed_url};
use offhook_twilio::webhook::{WebhookForm, incoming_call, join_url};
use offhook_twilio::{AccountSid, BadSid, CallSid, StreamSid};
use rustls::pki_types::CertificateDer;

use crate::afterwards;
use crate::call::Parties;
use crate::causes;
use crate::connect::Place;
use crate::dial::{self, Failed, Target, Way};
use crate::document::{self, Leads};
use crate::finding::{Check, Report};
use crate::limits::Limits;
use crate::webhook::{self, Answer, Signing};

/// What to examine, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The voice webhook.
    pub url: String,
    /// The server is on this machine, without a public address: plain http and private addresses are no findings, and a
    /// `wss` stream on such an address is reached without TLS if the webhook is.
    pub local: bool,
    /// The account's token, to sign with.
    pub token: Option<AuthToken>,
    /// Open the stream, and make the call.
    pub stream: bool,
    /// Authorities to trust besides Mozilla's.
    pub roots: Vec<CertificateDer<'static>>,
    /// How long is waited for what.
    pub limits: Limits,
}

impl Options {
    /// A full examination of a webhook.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.trim().to_owned(),
            local: false,
            token: None,
            stream: true,
            roots: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Options {
    pub(crate) fn way(&self) -> Way<'_> {
        Way { roots: &self.roots, limits: &self.limits }
    }
}

/// So many documents, one leading to the next, are read.
const MOST_DOCUMENTS: usize = 10;

/// Examines a server. `progress` is told each step before it is taken.
///
/// # Errors
/// If the machine has no randomness for the call's ids.
pub async fn examine(options: &Options, mut progress: impl FnMut(&str)) -> Result<Report, Trouble> {
    let mut report = Report { url: options.url.clone(), ..Report::default() };
    // One call from webhook to stream: servers hold the stream to the call that they were asked about.
    let ids = new_ids()?;
    progress("webhook");
    let Some(mut answer) = ask_webhook(options, &ids, &mut report).await? else { return Ok(report) };
    report.webhook_ms = u64::try_from(answer.took.as_millis()).ok();
    // Which URLs were asked, how, and what they answered: the same again is a round, another answer isn't.
    let mut been: Vec<(String, bool, Vec<u8>)> = Vec::new();
    let mut by_get = false;
    let leads = loop {
        if !webhook::judge(&answer, options.token.is_some(), &options.limits, &mut report) {
            return Ok(report);
        }
        progress("document");
        let leads = document::judge(&answer.body, &mut report);
        let Leads::On { url, get, after_a_while } = &leads else { break leads };
        // As Twilio does, with the call's own form.
        let next = if url.is_empty() { answer.url.clone() } else { join_url(&answer.url, url) };
        let this = (answer.url.clone(), by_get, answer.body.to_vec());
        let round = been.contains(&this);
        been.push(this);
        if round || been.len() > MOST_DOCUMENTS {
            let urls: Vec<&str> = been.iter().map(|(url, ..)| url.as_str()).collect();
            let round = format!("{} → {next}", urls.join(" → "));
            if *after_a_while {
                report.add(Check::Document, &causes::NO_STREAM_HERE, format!("a menu: {round}"));
            } else {
                report.add(Check::Document, &causes::REDIRECT_ROUND, round);
            }
            return Ok(report);
        }
        progress("redirect");
        by_get = *get;
        let method = if *get { Method::GET } else { Method::POST };
        let signing = options.token.as_ref().map_or(Signing::None, Signing::Token);
        let fetched = match Target::parse(&next) {
            None => Err(Failed::new(&causes::URL_INVALID, format!("<Redirect> to `{next}`"))),
            Some(_) => webhook::fetch(&next, method, &form(&ids), signing, options.way()).await,
        };
        answer = match fetched {
            Ok(answer) => answer,
            Err(failed) => {
                report.add(place(&failed), failed.cause, format!("<Redirect> to {next}: {}", failed.what));
                return Ok(report);
            }
        };
    };
    if let Some(token) = &options.token {
        progress("signature");
        let forged = Signing::As(token, "https://forged.example.com/");
        let fetched =
            webhook::fetch(&options.url, Method::POST, &form(&new_ids()?), forged, options.way()).await;
        if fetched.is_ok_and(|answer| (200..300).contains(&answer.status)) {
            report.add(
                Check::Signature,
                &causes::FORGED_ACCEPTED,
                "a request with a wrong signature was answered",
            );
        }
    }
    not_examined(options, &mut report);
    if options.stream {
        let place = Place { options, webhook: &answer.url };
        let over = form(&ids).with("CallStatus", "completed");
        let (account, call, stream) = ids;
        let parties = Parties { account, call, stream };
        let action = leads.action();
        match leads {
            Leads::Stream(stream) if !stream.url.is_empty() => {
                place.stream(parties, &stream, &mut report, &mut progress).await;
            }
            Leads::Relay(relay) if relay.url.starts_with("wss://") => {
                place.relay(&parties, &relay, &mut report, &mut progress).await;
            }
            _ => {}
        }
        if let Some(action) = action {
            progress("action");
            afterwards::ask(options, over, &answer.url, &action, &mut report).await;
        }
    }
    Ok(report)
}

/// What no examination looks at.
fn not_examined(options: &Options, report: &mut Report) {
    if options.token.is_none() {
        report.skip("signatures: there is no auth token");
    }
    if !options.stream {
        report.skip("the stream: --no-stream");
    }
    report.skip("what status callbacks answer");
}

/// What keeps the doctor from working.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No randomness.
    #[error("this machine gives no randomness: {0}")]
    Randomness(String),
    /// An id can't be made.
    #[error(transparent)]
    Sid(#[from] BadSid),
}

type Ids = (AccountSid, CallSid, StreamSid);

fn new_ids() -> Result<Ids, Trouble> {
    let random = |prefix: &str| -> Result<String, Trouble> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|error| Trouble::Randomness(error.to_string()))?;
        Ok(bytes.iter().fold(prefix.to_owned(), |sid, byte| format!("{sid}{byte:02x}")))
    };
    Ok((
        AccountSid::parse(&random("AC")?)?,
        CallSid::parse(&random("CA")?)?,
        StreamSid::parse(&random("MZ")?)?,
    ))
}

fn form((account, call, _): &Ids) -> WebhookForm {
    incoming_call(call.as_str(), account.as_str(), "+14155550100", "+14155550101")
}

/// Address and webhook. None if there is nothing to go on with.
async fn ask_webhook(options: &Options, ids: &Ids, report: &mut Report) -> Result<Option<Answer>, Trouble> {
    let url = &options.url;
    let Some(target) = Target::parse(url).filter(|_| url.starts_with("http")) else {
        report.add(Check::Address, &causes::URL_INVALID, no_webhook(url));
        return Ok(None);
    };
    judge_address(&target, options.local, report).await;
    let signing = options.token.as_ref().map_or(Signing::None, Signing::Token);
    match webhook::fetch(url, Method::POST, &form(ids), signing, options.way()).await {
        Ok(answer) if matches!(answer.status, 401 | 403) => {
            if let Some(what) = other_url(options, &target, &answer).await? {
                report.add(Check::Signature, &causes::SIGNATURE_OTHER_URL, what);
                return Ok(None);
            }
            if let Some(what) = other_parameters(options, &answer).await? {
                report.add(Check::Signature, &causes::SIGNATURE_OTHER_PARAMS, what);
                return Ok(None);
            }
            Ok(Some(answer))
        }
        Ok(answer) => Ok(Some(answer)),
        Err(failed) => {
            report.add(place(&failed), failed.cause, failed.what);
            Ok(None)
        }
    }
}

/// What is wrong with something that is no webhook's URL.
fn no_webhook(url: &str) -> String {
    if url.starts_with("wss://") || url.starts_with("ws://") {
        return format!("`{url}` is a WebSocket's URL: name the webhook whose document leads to it");
    }
    let whole = format!("https://{url}");
    if !url.is_empty() && !url.contains("://") && Target::parse(&whole).is_some() {
        return format!("`{url}` has no scheme; is it {whole}?");
    }
    format!("`{url}` is no http or https URL")
}

pub(crate) async fn judge_address(target: &Target, local: bool, report: &mut Report) {
    if target.host.contains('_') {
        report.add(Check::Address, &causes::NAME_UNDERSCORE, format!("`{}` has a `_` in it", target.host));
    }
    if local {
        return;
    }
    if target.is_private() {
        let what = format!("`{}` is on this machine or network; Twilio can't reach it", target.host);
        report.add(Check::Address, &causes::ADDRESS_PRIVATE, what);
    } else if let Ok(addresses) = dial::resolve(target).await
        && let Some(first) = addresses.first().filter(|_| addresses.iter().all(|a| dial::is_private(a.ip())))
    {
        let what = format!("`{}` leads to {}, which Twilio can't reach", target.host, first.ip());
        report.add(Check::Address, &causes::ADDRESS_PRIVATE, what);
    }
}

pub(crate) fn place(failed: &Failed) -> Check {
    match failed.cause.code {
        Some(11100 | 11210) => Check::Address,
        Some(11200 | 11215) => Check::Webhook,
        Some(_) if failed.cause == &causes::BROKEN_HTTP => Check::Webhook,
        _ => Check::Connection,
    }
}

/// The server refuses the signature: which spelling of the URL would it take?
async fn other_url(options: &Options, target: &Target, refused: &Answer) -> Result<Option<String>, Trouble> {
    let Some(token) = &options.token else { return Ok(None) };
    let Target { authority, path, .. } = target;
    let bare = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
    let other = if target.tls { "http" } else { "https" };
    let own = if target.tls { "https" } else { "http" };
    let slashed = path.strip_suffix('/').map_or(format!("{path}/"), str::to_owned);
    let spellings = [
        format!("{own}://{authority}{path}"),
        format!("{other}://{authority}{path}"),
        format!("{own}://{bare}{path}"),
        format!("{other}://{bare}{path}"),
        format!("{own}://{authority}{slashed}"),
        format!("{own}://{authority}"),
        format!("{own}://localhost:{}{path}", target.port),
    ];
    let right = signed_url(&options.url);
    for spelling in spellings.iter().filter(|spelling| **spelling != right) {
        let signing = Signing::As(token, spelling);
        let fetched =
            webhook::fetch(&options.url, Method::POST, &form(&new_ids()?), signing, options.way()).await;
        if fetched.is_ok_and(|answer| (200..300).contains(&answer.status)) {
            let what = format!(
                "status {} when signed over {}, as Twilio does; accepted when signed over {spelling}",
                refused.status, right
            );
            return Ok(Some(what));
        }
    }
    Ok(None)
}

/// The server refuses the signature: over which parameters would it take one?
async fn other_parameters(options: &Options, refused: &Answer) -> Result<Option<String>, Trouble> {
    let Some(token) = &options.token else { return Ok(None) };
    let url = signed_url(&options.url);
    type Keep = fn(&(String, String)) -> bool;
    let some: [(&str, Keep); 2] = [
        ("the parameters without the blank ones", |(_, value)| !value.is_empty()),
        ("no parameter at all", |_| false),
    ];
    for (name, keep) in some {
        let form = form(&new_ids()?);
        let kept: Vec<(String, String)> = form.params().iter().filter(|param| keep(param)).cloned().collect();
        let signing = Signing::With(token, &url, &kept);
        let fetched = webhook::fetch(&options.url, Method::POST, &form, signing, options.way()).await;
        if fetched.is_ok_and(|answer| (200..300).contains(&answer.status)) {
            let what = format!(
                "status {} when signed over all parameters, as Twilio does; accepted when signed over {name}",
                refused.status
            );
            return Ok(Some(what));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::no_webhook;

    #[test]
    fn what_is_no_webhook_is_told() {
        assert!(no_webhook("voice.example.com/voice").ends_with("is it https://voice.example.com/voice?"));
        assert!(no_webhook("wss://voice.example.com/media").contains("WebSocket"));
        for other in ["", "ftp://h/x", "https://", "a b"] {
            assert!(no_webhook(other).ends_with("is no http or https URL"), "{other}");
        }
    }
}
