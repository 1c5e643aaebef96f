//! `[[mcp]]` of an agent's file.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use serde::Deserialize;

use super::model_name;
use super::protocol::Offered;

/// `[[mcp]]`: an MCP server whose tools the model may use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpTable {
    /// Its name; stands before the names of its tools, as `NAME__TOOL`.
    pub(crate) name: String,
    /// Where it is, for streamable HTTP.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// Or the program to start, with its arguments.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// The program's environment, besides `PATH` and `HOME`. `$NAME` in a value stands for a variable of this server's.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Headers. `$NAME` in a value stands for an environment variable: for keys.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Names of the tools that are offered; `*` stands for any characters. Required: a server may add tools at any time.
    pub(crate) allow: Vec<String>,
    /// Other names for the model, by the tools' own.
    #[serde(default)]
    pub(crate) rename: BTreeMap<String, String>,
    /// Parameters that the model can't touch, and isn't told of; `{call.from}` and the like stand for facts of the call.
    #[serde(default)]
    pub(crate) fixed: BTreeMap<String, String>,
    /// Tools for which the caller must have said yes: names with `*`. Those that the server calls destructive always are among
    /// them.
    #[serde(default)]
    pub(crate) ask_caller: Vec<String>,
    /// After this a call has failed. Default 10 s.
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    pub(crate) timeout: Duration,
    /// Requests at the same time, over all calls. Default 16.
    #[serde(default = "sixteen")]
    pub(crate) concurrency: usize,
    /// Said while a tool works.
    #[serde(default)]
    pub(crate) filler: Option<String>,
    /// Characters of a result that the model gets at most. Default 8 000.
    #[serde(default = "eight_thousand")]
    pub(crate) longest_result: usize,
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const fn sixteen() -> usize {
    16
}

const fn eight_thousand() -> usize {
    8_000
}

impl McpTable {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let named = !self.name.is_empty() && self.name.len() <= 24 && self.name.chars().all(plain);
        ensure!(
            named,
            "an [[mcp]]'s `name` must be 1 to 24 letters, digits, `_` or `-`, not `{}`",
            self.name
        );
        ensure!(
            self.url.is_some() == self.command.is_empty(),
            "the MCP server `{}` needs either a `url` or a `command`",
            self.name
        );
        ensure!(
            !self.allow.is_empty(),
            "`allow` of the MCP server `{}` is empty: name the tools that may be used",
            self.name
        );
        ensure!(
            self.timeout <= Duration::from_secs(55),
            "`timeout` of the MCP server `{}` is more than 55 s",
            self.name
        );
        Ok(())
    }

    pub(super) fn allows(&self, tool: &Offered) -> bool {
        self.allow.iter().any(|pattern| matches(pattern, &tool.name))
    }

    pub(super) fn needs_consent(&self, tool: &Offered) -> bool {
        tool.destructive || self.ask_caller.iter().any(|pattern| matches(pattern, &tool.name))
    }

    pub(super) fn known_as(&self, tool: &str) -> String {
        match self.rename.get(tool) {
            Some(name) => name.clone(),
            None => model_name(&self.name, tool),
        }
    }
}

/// Whether a name is of this pattern: `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_are_names_with_stars() {
        assert!(
            matches("find_*", "find_order")
                && matches("*", "x")
                && matches("a*c*e", "abcde")
                && matches("x", "x")
        );
        assert!(
            !matches("find_*", "delete")
                && !matches("x", "xy")
                && !matches("a*c*e", "abde")
                && !matches("ab*b", "ab")
        );
    }
}
