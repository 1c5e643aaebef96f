//! The files that a server was started with: when one of them changes, and then stays as it is for a moment, they are read again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::args::ServeArgs;
use super::roster::Loader;
use crate::config::{Config, FOUND};

/// So often they are looked at. What has changed must look the same twice: an editor may be in the midst of writing it.
const EVERY: Duration = Duration::from_secs(2);

/// How each file looks: when it was changed, and its length.
type Look = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

/// Watches them.
#[derive(Debug)]
pub(super) struct Watched {
    args: ServeArgs,
    read: Option<Look>,
    last: Option<Look>,
}

impl Watched {
    pub(super) fn new(args: ServeArgs) -> Self {
        Self { args, read: None, last: None }
    }

    /// Waits until they have changed. May be dropped and called again.
    pub(super) async fn changed(&mut self, loader: &Loader) {
        loop {
            // The disk may take its time: another thread waits for it.
            let (looked, wait) = tokio::sync::oneshot::channel();
            let args = self.args.clone();
            loader.run(move || {
                let _unheard = looked.send(look(&files(&args)));
            });
            if let Ok(now) = wait.await
                && self.is_new(now)
            {
                return;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn is_new(&mut self, now: Look) -> bool {
        let read = self.read.get_or_insert_with(|| now.clone());
        let is_new = now != *read && self.last.as_ref() == Some(&now);
        if is_new {
            read.clone_from(&now);
        }
        self.last = Some(now);
        is_new
    }
}

fn look(files: &[PathBuf]) -> Look {
    let of = |path: &PathBuf| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    };
    files.iter().map(|path| (path.clone(), of(path))).collect()
}

/// The configuration, the agents that it names, and the keys. Of a configuration that isn't right, itself alone.
fn files(args: &ServeArgs) -> Vec<PathBuf> {
    let mut files = vec![args.config.clone().unwrap_or_else(|| PathBuf::from(FOUND))];
    let Ok(config) = args.config() else { return files };
    files.extend(of_config(&config));
    files
}

fn of_config(config: &Config) -> Vec<PathBuf> {
    let of_routes = config.routes.iter().filter_map(|route| route.then.agent.as_ref());
    let of_tenants = config.tenants.iter().flat_map(|tenant| &tenant.agents);
    let agents =
        std::iter::once(&config.agent).chain(&config.outbound.agents).chain(of_routes).chain(of_tenants);
    let mut files: Vec<PathBuf> = agents.flat_map(|name| of_agent(Path::new(name))).collect();
    let keys = config.twilio.shared_keys.iter().filter_map(|key| key.secret_file.clone());
    files.extend(config.twilio.auth_token_file.iter().chain(&config.api.token_file).cloned().chain(keys));
    files
}

/// An agent's file, and that with its instructions. None for one that is shipped.
fn of_agent(path: &Path) -> Vec<PathBuf> {
    #[derive(Deserialize)]
    struct File {
        agent: Agent,
    }
    #[derive(Deserialize)]
    struct Agent {
        instructions_file: Option<PathBuf>,
    }
    if !path.is_file() {
        return Vec::new();
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let beside = |file: PathBuf| path.parent().unwrap_or(Path::new("")).join(file);
    let instructions = toml::from_str::<File>(&text).ok().and_then(|file| file.agent.instructions_file);
    std::iter::once(path.to_owned()).chain(instructions.map(beside)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_and_then_stays_is_read_again_once() {
        let folder = tempfile::tempdir().unwrap();
        let (agent, told) = (folder.path().join("desk.toml"), folder.path().join("desk.md"));
        std::fs::write(&agent, "[agent]\ninstructions_file = \"desk.md\"\n").unwrap();
        std::fs::write(&told, "You are kind.").unwrap();
        let config = Config { agent: agent.display().to_string(), ..Config::default() };
        let mut watched = Watched::new(ServeArgs::default());
        let mut is_new = || watched.is_new(look(&of_config(&config)));
        assert!(!is_new() && !is_new());
        std::fs::write(&told, "You are kin").unwrap();
        assert!(!is_new(), "it may be half of it");
        std::fs::write(&told, "You are kind, and brief.").unwrap();
        assert!(!is_new());
        assert!(is_new());
        assert!(!is_new());
        std::fs::remove_file(&told).unwrap();
        assert!(!is_new() && is_new() && !is_new());
    }
}
