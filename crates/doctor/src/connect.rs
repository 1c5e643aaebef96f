//! From a document to a call: the stream's or session's WebSocket, and what is said over it.

use crate::call::{self, Parties};
use crate::causes;
use crate::dial::{Failed, Target, Way};
use crate::document::{Relay, Stream};
use crate::examine::{Options, judge_address};
use crate::finding::{Check, Report};
use crate::relay;
use crate::upgrade::{self, Plan, Socket};
use offhook_twilio::webhook::join_url;

/// Where a document stands, and what it connects to.
pub(crate) struct Place<'a> {
    pub(crate) options: &'a Options,
    /// The document's URL.
    pub(crate) webhook: &'a str,
}

impl Place<'_> {
    /// Opens the stream, and makes the call.
    pub(crate) async fn stream(
        &self,
        parties: Parties,
        stream: &Stream,
        report: &mut Report,
        progress: &mut impl FnMut(&str),
    ) {
        // As Twilio connects: absolute, by wss, without the query.
        let whole = join_url(self.webhook, &stream.url);
        let (path, query) =
            whole.split_once('?').map_or((whole.as_str(), None), |(path, query)| (path, Some(query)));
        let Some(plan) = self.plan(path, query, "Twilio.TmeWs/1.0", report).await else { return };
        let Some(socket) = open(&plan, report, stream_code, NO_STREAM, progress).await else { return };
        progress("call");
        let limits = &self.options.limits;
        let seen = call::talk(socket, parties, &stream.parameters, stream.one_way, *limits).await;
        forged(&plan, report).await;
        call::judge(&seen, stream, limits, report);
    }

    /// Opens the session, and makes the call.
    pub(crate) async fn relay(
        &self,
        parties: &Parties,
        session: &Relay,
        report: &mut Report,
        progress: &mut impl FnMut(&str),
    ) {
        let Some(plan) = self.plan(&session.url, None, "Jetty/11.0.24", report).await else { return };
        let Some(socket) = open(&plan, report, |_| 64102, NO_SESSION, progress).await else { return };
        progress("call");
        let limits = &self.options.limits;
        let seen = relay::talk(socket, parties, session, limits).await;
        forged(&plan, report).await;
        relay::judge(&seen, session.greeting.is_some(), limits, report);
    }

    async fn plan(
        &self,
        url: &str,
        query: Option<&str>,
        agent: &'static str,
        report: &mut Report,
    ) -> Option<Plan<'_>> {
        let (_, rest) = url.split_once("://")?;
        let url = format!("wss://{rest}");
        report.stream_url = Some(url.clone());
        let (target, home) = (Target::parse(&url)?, Target::parse(self.webhook)?);
        let options = self.options;
        if target.host != home.host {
            judge_address(&target, options.local, report).await;
        }
        let near = target.is_private() || target.authority == home.authority;
        Some(Plan {
            url,
            query: query.map(str::to_owned),
            plain: options.local && !home.tls && near,
            token: options.token.as_ref(),
            way: Way { roots: &options.roots, limits: &options.limits },
            agent,
        })
    }
}

const NO_STREAM: &str = "the stream never starts; the call goes on with the next verb, or ends in silence";
const NO_SESSION: &str =
    "the session never starts; the caller hears a busy tone, or Twilio asks the action what is next";

async fn open(
    plan: &Plan<'_>,
    report: &mut Report,
    code: impl Fn(u32) -> u32,
    effect: &'static str,
    progress: &mut impl FnMut(&str),
) -> Option<Socket> {
    progress("stream");
    let Failed { cause, what } = match upgrade::open(plan).await {
        Ok(socket) => return Some(socket),
        Err(failed) => failed,
    };
    report.add(Check::Upgrade, cause, what);
    if let Some(finding) = report.findings.last_mut() {
        finding.code = finding.code.map(code);
        finding.effect = effect;
    }
    None
}

async fn forged(plan: &Plan<'_>, report: &mut Report) {
    if plan.token.is_some() && upgrade::takes_forged(plan).await {
        let what = "a stream with a wrong signature was opened";
        report.add(Check::Upgrade, &causes::UPGRADE_FORGED_ACCEPTED, what);
    }
}

/// The stream's own code for a failure that webhooks have as well.
fn stream_code(code: u32) -> u32 {
    match code {
        11201 => 31901,
        11202 => 31902,
        11205 | 11210 => 31904,
        11206 | 11220 | 11235..=11237 => 31910,
        other => other,
    }
}
