//! A caller's file: what is said, when, and what the agent must have understood.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use offhook_simulator::{Line, Say, When};
use serde::Deserialize;

use super::{millis, parse_time};
use crate::wav;

/// A caller, ready to speak.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub(crate) lines: Vec<Line>,
    /// Of each line of the file: where each word ends, in milliseconds from the line's first sound.
    pub(crate) ends_ms: Vec<Vec<u64>>,
    /// What must appear in what the agent says.
    pub(crate) expect: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The agent that it is meant for.
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    expect: Vec<String>,
    #[serde(rename = "line", default)]
    lines: Vec<FileLine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLine {
    #[serde(default)]
    file: Option<PathBuf>,
    #[serde(default)]
    keys: Option<String>,
    #[serde(default)]
    text: String,
    /// Where each word of the text ends, in milliseconds from the line's first sound: for the doubles of recognisers.
    #[serde(default)]
    ends_ms: Vec<u64>,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    after_agent: Option<String>,
    #[serde(default)]
    barge_in: Option<String>,
}

impl Caller {
    /// Reads a file; sound is looked for beside it.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = crate::input::text(path).with_context(|| format!("can't read {}", path.display()))?;
        let file: File = toml::from_str(&text)
            .map_err(|error| anyhow::anyhow!(offhook_script::toml_error(&error)))
            .with_context(|| format!("{} is not a valid caller", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let lines = file.lines.iter().map(|line| line.resolve(folder)).collect::<anyhow::Result<_>>()?;
        tracing::debug!(agent = file.agent, "a caller was read");
        let ends_ms = file.lines.into_iter().map(|line| line.ends_ms).collect();
        Ok(Self { lines, ends_ms, expect: file.expect })
    }
}

impl FileLine {
    fn resolve(&self, folder: &Path) -> anyhow::Result<Line> {
        let time = |text: &String| parse_time(text).map(millis).map_err(|why| anyhow::anyhow!(why));
        let when = match (&self.at, &self.after_agent, &self.barge_in) {
            (Some(at), None, None) => When::At(time(at)?),
            (None, Some(quiet), None) => When::AfterAgent(time(quiet)?),
            (None, None, Some(after)) => When::BargeIn(time(after)?),
            (None, None, None) => When::AfterAgent(300),
            _ => bail!("the line “{}” has more than one of `at`, `after_agent` and `barge_in`", self.text),
        };
        let say = match (&self.file, &self.keys) {
            (Some(file), None) => wav::read_line(&folder.join(file))?,
            (None, Some(keys)) => Say::Keys(keys.clone()),
            (None, None) if !self.text.trim().is_empty() => Say::Words,
            _ => bail!(
                "the line “{}” needs `file`, `keys`, or just `text` for a server that takes text",
                self.text
            ),
        };
        Ok(Line { when, say, text: self.text.clone() })
    }
}
