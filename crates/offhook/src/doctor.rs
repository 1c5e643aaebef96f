//! `offhook doctor`: why does a call fail or stay silent? Examines a server as Twilio would, or explains what Twilio noted.

use std::process::ExitCode;

use anyhow::{Context, bail};
use offhook_doctor::notifications::{API_BASE, Credentials, Note, fetch, look};
use offhook_doctor::{Finding, Options, Report, Severity, examine};
use offhook_twilio::signature::AuthToken;
use offhook_twilio::{AccountSid, CallSid};

use crate::console::{paint, say};

/// `offhook doctor`
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  offhook doctor https://voice.example.com/voice\n  \
    offhook doctor http://127.0.0.1:5000/voice --local\n  \
    TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=… offhook doctor --call CA0123456789abcdef0123456789abcdef\n\n\
    Exit status: 0 nothing would fail (there may be risks), 2 something would fail, 1 the doctor could not work")]
pub(crate) struct DoctorArgs {
    /// The voice webhook's URL, as it stands in Twilio's console
    #[arg(required_unless_present = "call", conflicts_with = "call")]
    url: Option<String>,
    /// The server is on this machine, without a public address: plain http and private addresses are no fault
    #[arg(long)]
    local: bool,
    /// Environment variable with the account's auth token, to sign requests as Twilio does
    #[arg(long, value_name = "NAME", default_value = "TWILIO_AUTH_TOKEN")]
    token_env: String,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
    /// Don't open the stream: webhook and document only
    #[arg(long)]
    no_stream: bool,
    /// Explain what Twilio noted about this call. Needs TWILIO_ACCOUNT_SID, and TWILIO_AUTH_TOKEN or TWILIO_API_KEY with
    /// TWILIO_API_SECRET
    #[arg(long, value_name = "CA…")]
    call: Option<String>,
    /// Twilio's API
    #[arg(long, value_name = "URL", default_value = API_BASE)]
    api_base: String,
}

/// Examines, and shows what was found.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(call) = &args.call {
        return runtime.block_on(explain_call(args, call));
    }
    let Some(url) = &args.url else { bail!("name the webhook's URL, or a call with --call") };
    let options = Options {
        local: args.local,
        token: variable(&args.token_env).map(|token| AuthToken::new(&token)),
        stream: !args.no_stream,
        ..Options::new(url)
    };
    let report = runtime.block_on(examine(&options, |step| {
        if !args.json {
            say(&paint(&format!("… {step}"), "2"));
        }
    }))?;
    if args.json {
        say(&serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(if report.worst() == Severity::Fails { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

fn print(report: &Report) {
    for finding in &report.findings {
        print_finding(finding);
    }
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let (fails, risks) = (count(Severity::Fails), count(Severity::Risky));
    let mut times = Vec::new();
    times.extend(report.webhook_ms.map(|ms| format!("the webhook answered in {ms} ms")));
    times.extend(
        report
            .first_sound_ms
            .map(|ms| format!("the agent's first sound came {ms} ms after the stream began")),
    );
    times.extend(report.answer_ms.map(|ms| format!("it answered {ms} ms after the caller's words")));
    times.extend(report.stopped_ms.map(|ms| format!("it fell silent {ms} ms after it was spoken over")));
    times.extend(
        report.after_interruption_ms.map(|ms| format!("it answered the interruption {ms} ms after its end")),
    );
    if !times.is_empty() {
        say(&times.join(", "));
    }
    for what in &report.not_examined {
        say(&paint(&format!("not examined: {what}"), "2"));
    }
    match (fails, risks) {
        (0, 0) => say(&paint("fine: a call would work", "32")),
        (0, risks) => say(&paint(&format!("a call would work; risks: {risks}"), "33")),
        (fails, _) => say(&paint(&format!("a call would fail; begin with the first of {fails}"), "31")),
    }
}

fn print_finding(finding: &Finding) {
    let (word, colour) = match finding.severity {
        Severity::Fails => ("fails", "31"),
        Severity::Risky => ("risky", "33"),
        Severity::Fine => ("fine ", "32"),
    };
    let code = finding.code.map(|code| format!(" · Twilio {code}")).unwrap_or_default();
    say(&format!("{}  {}{code}", paint(word, colour), finding.cause));
    say(&format!("       seen    {}", finding.what));
    say(&format!("       effect  {}", finding.effect));
    say(&format!("       fix     {}", finding.fix));
}

async fn explain_call(args: &DoctorArgs, call: &str) -> anyhow::Result<ExitCode> {
    let call = call.trim();
    let digits = call.strip_prefix("CA").filter(|digits| digits.len() == 32);
    if !digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())) {
        bail!("`{call}` is no call's SID: those are CA and 32 hex digits; Twilio's console shows them");
    }
    let call = CallSid::parse(call)?;
    let account =
        variable("TWILIO_ACCOUNT_SID").context("set TWILIO_ACCOUNT_SID to the account's SID (AC…)")?;
    let account = AccountSid::parse(account.trim())?;
    let (user, secret) = match (variable("TWILIO_API_KEY"), variable("TWILIO_API_SECRET")) {
        (Some(key), Some(secret)) => (key, secret),
        _ => {
            let token = variable(&args.token_env).with_context(|| {
                format!("set {}, or TWILIO_API_KEY and TWILIO_API_SECRET", args.token_env)
            })?;
            (account.to_string(), token)
        }
    };
    let credentials = Credentials { account, user: user.trim().to_owned(), secret: secret.trim().to_owned() };
    let notes = fetch(&args.api_base, &credentials, &call).await?;
    // An unknown call has no notes either.
    let status = if notes.is_empty() {
        look(&args.api_base, &credentials, &call).await?.status
    } else {
        String::new()
    };
    if args.json {
        say(&serde_json::to_string(&serde_json::json!({ "call": call.as_str(), "notes": notes }))?);
    } else if notes.is_empty() {
        say(&format!(
            "Twilio noted nothing about this call (it is {status}); if it was silent, examine the server: offhook doctor URL"
        ));
    }
    if !args.json {
        notes.iter().for_each(print_note);
    }
    let failed = notes.iter().any(|note| !note.warning);
    Ok(if failed { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

fn print_note(note: &Note) {
    let (word, colour) = if note.warning { ("warning", "33") } else { ("error  ", "31") };
    say(&format!("{}  Twilio {}  {}", paint(word, colour), note.code, paint(&note.date, "2")));
    if !note.text.is_empty() {
        say(&format!("         said    {}", note.text));
    }
    if let Some(url) = &note.url {
        say(&format!("         url     {url}"));
    }
    match (note.meaning, note.fix) {
        (Some(meaning), Some(fix)) => {
            say(&format!("         means   {meaning}"));
            say(&format!("         fix     {fix}"));
        }
        _ => say(&format!("         see     https://www.twilio.com/docs/api/errors/{}", note.code)),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
