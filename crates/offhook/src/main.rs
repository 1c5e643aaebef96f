//! The voice engine that answers the phone: command line.
#![forbid(unsafe_code)]

mod agents;
mod api;
mod call;
mod canvas;
mod config;
mod console;
mod demo;
mod dial;
mod doctor;
mod doubles;
mod explain;
mod load;
mod prices;
mod record;
mod rehearsal;
mod replay;
mod rest;
mod serve;
mod switchboard;
mod timeline;
mod vad;
mod wav;
mod what_if;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Answers the phone with an AI agent, and tests phone agents without a phone.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer calls
    Serve(serve::ServeArgs),
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
    /// Show where there is speech in a recording
    Vad(vad::VadArgs),
    /// Play speech and language providers: try agents without keys, and what goes wrong
    Doubles(doubles::DoublesArgs),
    /// Place a call, and follow it to its verdict
    Dial(dial::DialArgs),
    /// Start a server and have a recorded caller call it
    Demo(demo::DemoArgs),
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("OFFHOOK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,offhook=info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
    // At this level the WebSocket's library logs what goes over the wire: keys in handshakes, and the digits that callers key.
    log::set_max_level(log::max_level().min(log::LevelFilter::Debug));
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(args).map(|()| ExitCode::SUCCESS),
        Command::Call(args) => call::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::WhatIf(args) => what_if::run(&args),
        Command::Vad(args) => Ok(vad::run(&args)),
        Command::Doubles(args) => doubles::run(&args),
        Command::Dial(args) => dial::run(args),
        Command::Demo(args) => demo::run(args),
    };
    outcome.unwrap_or_else(|error| {
        console::complain(&error);
        ExitCode::FAILURE
    })
}
