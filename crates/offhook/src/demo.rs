//! `offhook demo`: a server, and a recorded caller who calls it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use offhook_doubles::Latencies;

use crate::call::{self, CallArgs};
use crate::console::say;
use crate::rehearsal::Rehearsal;

/// `offhook demo`
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Who answers
    #[arg(long, default_value = "pizza")]
    agent: String,
    /// Who calls; without a file, somebody who orders pizza
    #[arg(long, value_name = "FILE")]
    caller: Option<PathBuf>,
    /// Folder for sound, picture, tape and record
    #[arg(long, value_name = "FOLDER", default_value = "demo-out")]
    out: PathBuf,
    /// Served by doubles of network providers that take as long as the real ones, in four calls: always their medians, and with
    /// long tails; with replies begun before the caller's turn is certain, and without
    #[arg(long)]
    providers: bool,
}

/// The caller who orders pizza: the demo needs no other file than this program.
const CALLER: &str = "pizza.toml";
const PIZZA: [(&str, &[u8]); 7] = [
    (CALLER, include_bytes!("../callers/pizza.toml")),
    ("pizza-1.wav", include_bytes!("../callers/pizza-1.wav")),
    ("pizza-2.wav", include_bytes!("../callers/pizza-2.wav")),
    ("pizza-3.wav", include_bytes!("../callers/pizza-3.wav")),
    ("pizza-4.wav", include_bytes!("../callers/pizza-4.wav")),
    ("pizza-5.wav", include_bytes!("../callers/pizza-5.wav")),
    ("pizza-6.wav", include_bytes!("../callers/pizza-6.wav")),
];

/// Writes that caller's files, and gives the one that names the others.
fn unpack(folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    for (name, octets) in PIZZA {
        std::fs::write(folder.join(name), octets)?;
    }
    Ok(folder.join(CALLER))
}

/// The server, ended with the demo.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Runs the demo: two processes, a real WebSocket between them.
pub(crate) fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("can't make the folder {}", args.out.display()))?;
    let caller = match args.caller {
        Some(caller) => caller,
        None => unpack(&args.out.join("caller")).context("the caller's files can't be written")?,
    };
    if !args.providers {
        let outcome = call_once(&["--agent", &args.agent], caller, args.out)?;
        say(
            "\ntalk     to the agent yourself: `make run`, or `offhook serve`, prints the address of its page",
        );
        return Ok(outcome);
    }
    let median = (Latencies::MEDIAN, "at published medians");
    let varied = (Latencies::PUBLISHED, "with long tails");
    let calls = [
        (median, true, "speculating"),
        (median, false, "waiting"),
        (varied, true, "speculating-tails"),
        (varied, false, "waiting-tails"),
    ];
    let ends_ms = call::Caller::read(&caller)?.ends_ms;
    let mut outcome = ExitCode::SUCCESS;
    for ((latency, pace), speculate, name) in calls {
        let begun = if speculate { "before" } else { "only when" };
        say(&format!("\n== providers' doubles {pace}, replies begun {begun} the turn is certain ==\n"));
        let rehearsal = Rehearsal::start(latency, ends_ms.clone())?;
        let folder = args.out.join(name);
        std::fs::create_dir_all(&folder)?;
        let config = rehearsal.write(&folder, speculate)?.display().to_string();
        let this = call_once(&["--config", &config], caller.clone(), folder)?;
        if this != ExitCode::SUCCESS {
            outcome = this;
        }
    }
    Ok(outcome)
}

/// One server, one call.
fn call_once(serve: &[&str], caller: PathBuf, out: PathBuf) -> anyhow::Result<ExitCode> {
    let this = std::env::current_exe().context("can't find this program")?;
    let mut child = Command::new(this)
        .args(["serve", "--listen", "127.0.0.1:0", "--show"])
        .args(serve)
        .arg("--record")
        .arg(&out)
        .env_remove("PORT")
        .stdout(Stdio::piped())
        .spawn()
        .context("the server can't be started")?;
    let output = child.stdout.take().context("the server has no output")?;
    let server = Server(child);
    let mut lines = BufReader::new(output).lines();
    let mut address = None;
    for line in lines.by_ref() {
        let line = line?;
        if let Some((_, found)) = line.split_once("listens on ") {
            address = Some(found.trim().to_owned());
        }
        say(&line);
        if line.starts_with("webhook") {
            break;
        }
    }
    let Some(address) = address else { bail!("the server ended before it listened; its message is above") };
    let shower = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            say(&line);
        }
    });
    let outcome = call::run(&CallArgs::for_demo(format!("{address}/voice"), caller, out));
    drop(server);
    if shower.join().is_err() {
        tracing::debug!("the server's output broke off");
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_needs_no_repository() {
        let folder = tempfile::tempdir().unwrap();
        let caller = call::Caller::read(&unpack(&folder.path().join("caller")).unwrap()).unwrap();
        assert_eq!(caller.lines.len(), 6);
    }
}
