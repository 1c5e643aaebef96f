//! The voice engine that answers the phone: command line.
#![forbid(unsafe_code)]

mod agents;
mod api;
mod call;
mod calls;
mod canvas;
mod check;
mod checkpoints;
mod config;
mod console;
mod demo;
mod dial;
mod doctor;
mod doubles;
mod explain;
mod history;
mod input;
mod keeper;
mod load;
mod logging;
mod mcp_server;
mod metrics;
mod objects;
mod outbox;
mod prices;
mod record;
mod rehearsal;
mod replay;
mod report;
mod rest;
mod routing;
mod serve;
mod stored;
mod tenants;
mod timeline;
mod vad;
mod wav;
mod what_if;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Answers the phone with an AI agent, and tests phone agents without a phone.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Form of the log, which goes to stderr; OFFHOOK_LOG says what is in it
    #[arg(long, global = true, value_enum, default_value_t, env = "OFFHOOK_LOG_FORMAT", value_name = "FORM")]
    log_format: logging::Format,
    /// A file of certificates (PEM) that are trusted as well, for providers, buckets, proxies and servers to be called behind an authority of one's own
    #[arg(long, global = true, env = "OFFHOOK_CA", value_name = "FILE")]
    ca: Option<std::path::PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer calls
    Serve(serve::ServeArgs),
    /// Examine a configuration and its agents, without listening: for CI
    Check(check::CheckArgs),
    /// Play Twilio against any Media Streams server: call it, and measure
    Call(call::CallArgs),
    /// Examine a server as Twilio sees it: why does a call fail or stay silent?
    Doctor(doctor::DoctorArgs),
    /// Place many calls at once, and measure what their callers notice
    Load(load::LoadArgs),
    /// Play tapes back through the engine, and show the first difference
    Replay(replay::ReplayArgs),
    /// Tell why a call went as it did, turn by turn, from its tape
    Explain(explain::ExplainArgs),
    /// Have the callers of tapes call again: other settings, or another build
    WhatIf(what_if::WhatIfArgs),
    /// List, show, export and delete calls that were kept
    Calls(history::CallsArgs),
    /// Sum up what a day's calls were like: answer times, failures, cost, the worst calls
    Report(report::ReportArgs),
    /// Show where there is speech in a recording
    Vad(vad::VadArgs),
    /// Play speech and language providers: try agents without keys, and what goes wrong
    Doubles(doubles::DoublesArgs),
    /// Place a call, and follow it to its verdict
    Dial(dial::DialArgs),
    /// Serve the control API to assistants, over the Model Context Protocol
    Mcp(mcp_server::McpArgs),
    /// Start a server and have a recorded caller call it
    Demo(demo::DemoArgs),
}

/// Trusts the certificates of a file.
fn trust(file: &std::path::Path) -> anyhow::Result<()> {
    let pem = input::octets(file).with_context(|| format!("--ca {} can't be read", file.display()))?;
    let wrong = |error: String| anyhow::anyhow!("--ca {}: {error}", file.display());
    let certificates = offhook_providers::net::certificates(&pem).map_err(wrong)?;
    // Callers that `offhook call` and `offhook load` play trust them as well.
    offhook_simulator::trust(certificates.clone());
    offhook_providers::net::trust(certificates).map_err(wrong)
}

fn main() -> ExitCode {
    let Cli { command, log_format, ca } = Cli::parse();
    let _written = logging::start(log_format);
    if let Err(error) = ca.as_deref().map_or(Ok(()), trust) {
        console::complain(&error);
        return ExitCode::FAILURE;
    }
    let outcome = match command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => Ok(check::run(args)),
        Command::Call(args) => call::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::WhatIf(args) => what_if::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Calls(args) => history::run(&args),
        Command::Vad(args) => Ok(vad::run(&args)),
        Command::Doubles(args) => doubles::run(&args),
        Command::Dial(args) => dial::run(args),
        Command::Mcp(args) => mcp_server::run(&args),
        Command::Demo(args) => demo::run(args),
    };
    outcome.unwrap_or_else(|error| {
        console::complain(&error);
        ExitCode::FAILURE
    })
}
