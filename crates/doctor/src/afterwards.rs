//! What Twilio asks for when the stream is over: the document of `<Connect action>`.

use hyper::Method;
use offhook_twilio::webhook::{WebhookForm, join_url};

use crate::causes;
use crate::dial::{Failed, Target};
use crate::document;
use crate::examine::{Options, place};
use crate::finding::{Finding, Report, Severity};
use crate::webhook::{self, Signing};

/// The attribute `action` of `<Connect>`, with its method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Action {
    /// As the document has it.
    pub(crate) url: String,
    /// Asked for by GET.
    pub(crate) get: bool,
}

/// Asks for it as Twilio does when a call is over, and judges the answer. An empty one ends the call, and is none of its faults.
pub(crate) async fn ask(
    options: &Options,
    form: WebhookForm,
    document_url: &str,
    action: &Action,
    report: &mut Report,
) {
    let url = join_url(document_url, &action.url);
    let method = if action.get { Method::GET } else { Method::POST };
    let signing = options.token.as_ref().map_or(Signing::None, Signing::Token);
    let fetched = match Target::parse(&url) {
        None => Err(Failed::new(&causes::URL_INVALID, format!("`{}`", action.url))),
        Some(_) => webhook::fetch(&url, method, &form, signing, options.way()).await,
    };
    let mut own = Report::default();
    match fetched {
        Err(failed) => own.add(place(&failed), failed.cause, failed.what),
        Ok(answer) if answer.body.is_empty() && (200..300).contains(&answer.status) => {}
        Ok(answer) => {
            if webhook::judge(&answer, options.token.is_some(), &options.limits, &mut own) {
                let _leads = document::judge(&answer.body, &mut own);
            }
        }
    }
    let counts =
        |finding: &Finding| finding.severity == Severity::Fails && finding.cause != causes::EMPTY_RESPONSE.id;
    report.findings.extend(
        own.findings
            .into_iter()
            .filter(counts)
            .map(|finding| Finding { what: format!("<Connect action>, {url}: {}", finding.what), ..finding }),
    );
}
