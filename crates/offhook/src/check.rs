//! `offhook check`: is the configuration right, and are the agents? Without listening; for people and for CI.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::agents;
use crate::config::Config;
use crate::console::say;
use crate::serve::relay_options;

/// `offhook check`
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  offhook check\n  offhook check offhook.toml agents/*.toml\n\n\
                  A file with a table [agent] is an agent, any other a server's configuration; the agents that a configuration \
                  names are checked with it. Keys must be there: set the variables that the server will have. Exits with 1 if \
                  anything is wrong.")]
pub(crate) struct CheckArgs {
    /// Configurations and agents; without any, `offhook.toml` in this folder
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Checks all files, and tells everything that is wrong.
pub(crate) fn run(args: CheckArgs) -> ExitCode {
    let files = if args.files.is_empty() { vec![PathBuf::from("offhook.toml")] } else { args.files };
    let mut wrong = 0;
    for file in files {
        let faults = faults(&file);
        if faults.is_empty() {
            say(&format!("{}: right", file.display()));
        }
        for fault in &faults {
            say(&format!("{}: {fault}", file.display()));
        }
        wrong += faults.len();
    }
    if wrong == 0 {
        return ExitCode::SUCCESS;
    }
    say(&format!("{wrong} to be fixed"));
    ExitCode::FAILURE
}

fn faults(file: &Path) -> Vec<String> {
    match is_agent(file) {
        Ok(true) => agent(&file.display().to_string()).err().iter().map(in_words).collect(),
        Ok(false) => configuration(file),
        Err(error) => vec![in_words(&error)],
    }
}

/// What is wrong with the text of an agent's file, or of a configuration, but for the other files that it names.
pub(crate) fn faults_of(text: &str) -> Vec<String> {
    if is_of_agent(text) {
        return agents::parse("this file", text, None).err().iter().map(in_words).collect();
    }
    match Config::parse(text) {
        Ok(config) => config.faults(),
        Err(error) => vec![in_words(&error)],
    }
}

fn is_agent(file: &Path) -> anyhow::Result<bool> {
    let text = crate::input::text(file).context("can't be read")?;
    Ok(is_of_agent(&text))
}

/// What isn't TOML is told by whoever reads it for real.
fn is_of_agent(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with("[agent]"))
}

fn agent(name: &str) -> anyhow::Result<String> {
    agents::load(name, None).map(|agent| agent.language)
}

fn configuration(file: &Path) -> Vec<String> {
    let config = match Config::read(file) {
        Ok(config) => config,
        Err(error) => return vec![in_words(&error)],
    };
    let mut faults = config.faults();
    let secrets = [
        config.signers().err(),
        config.account().err(),
        config.api_token().err(),
        config.tenant_tokens().err(),
        config.metrics_token().err(),
    ];
    faults.extend(secrets.iter().flatten().map(in_words));
    faults.extend(config.http.tls.as_ref().and_then(|tls| tls.load().err()).iter().map(in_words));
    let of_tenants = config.tenants.iter().flat_map(|tenant| &tenant.agents);
    for name in std::iter::once(&config.agent).chain(&config.outbound.agents).chain(of_tenants) {
        let checked = agent(name).and_then(|language| relay_options(&config.conversation_relay, &language));
        faults.extend(checked.err().map(|error| format!("agent `{name}`: {}", in_words(&error))));
    }
    faults
}

/// An error with its causes, as one line.
fn in_words(error: &anyhow::Error) -> String {
    format!("{error:#}").replace("\n\nhint:", ". Hint:").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let good = file("good.toml", "agent = \"echo\"\n");
        assert_eq!(faults(&good), Vec::<String>::new());
        let text = "agent = \"nobody\"\nworkers = 0\npublic_url = \"https://a.example/voice?x=1\"\n[call.turn]\nmin_silence = \
                    \"3s\"\nmax_silence = \"1s\"\n[outbound]\nagents = [\"nobody-else\"]\n[api]\nrequests_per_second = -1.0\n";
        let found = faults(&file("bad.toml", text)).join("\n");
        for word in
            ["workers", "public_url", "max_silence", "`nobody`", "`nobody-else`", "requests_per_second"]
        {
            assert!(found.contains(word), "{word} is not in\n{found}");
        }
        assert!(faults(&file("typo.toml", "agnt = \"x\"\n"))[0].contains("did you mean `agent`?"));
        assert!(faults(&folder.path().join("missing.toml"))[0].contains("can't be read"));
        assert_eq!(faults_of("agent = \"echo\"\n"), Vec::<String>::new());
        assert!(faults_of("agnt = \"x\"\n")[0].contains("did you mean `agent`?"));
        assert!(!faults_of("[agent]\nname = \"x\"\nnonsense = 1\n").is_empty());
        assert_eq!(faults_of(offhook_script::shipped("echo").unwrap()), Vec::<String>::new());
        assert!(!faults(&file("agent.toml", "[agent]\nname = \"x\"\nnonsense = 1\n")).is_empty());
    }
}
