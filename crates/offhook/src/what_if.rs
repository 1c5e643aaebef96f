//! `offhook what-if`: the same callers, other settings or another build.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use offhook_media_line::{CallConfig, CallMode};
use offhook_tape::{Outcome, as_taped, percentile, reenact, unpacked};

use crate::config::Config;
use crate::console::{paint, say};
use crate::replay::find;

/// `offhook what-if`
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  offhook what-if calls/\n  offhook what-if calls/ --set turn.min_silence=200ms --set turn.plain=400ms\n  \
                  offhook what-if calls/CA….tape.jsonl.zst --config other.toml --turns\n\n\
                  The callers speak as they did on tape; the engine decides anew, and replies come in their order on tape, as late\n\
                  as they did. `cut off`: the end of a turn was decided, and the caller went on within 700 ms."
)]
pub(crate) struct WhatIfArgs {
    /// Tapes, as `offhook serve --record` writes them, and folders of them
    #[arg(required = true, value_name = "TAPE")]
    tapes: Vec<PathBuf>,
    /// Another configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Another value of a setting of `[call]`, such as turn.min_silence=200ms
    #[arg(long, value_name = "SETTING=VALUE")]
    set: Vec<String>,
    /// Show each call's turns where they differ
    #[arg(long)]
    turns: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A column of the table.
struct Column {
    name: String,
    sum: Outcome,
}

/// Has the callers call again, and compares.
pub(crate) fn run(args: &WhatIfArgs) -> anyhow::Result<ExitCode> {
    let other = args.config.as_deref().map(Config::read).transpose()?;
    let tapes = find(&args.tapes)?;
    anyhow::ensure!(!tapes.is_empty(), "there is no tape (*.tape.jsonl, *.tape.jsonl.zst) in what you named");
    let changed = other.is_some() || !args.set.is_empty();
    let mut columns = vec![column("as taped"), column("this build")];
    if changed {
        columns.push(column("changed"));
    }
    let mut unreadable = 0;
    for path in &tapes {
        let read = || Ok(unpacked(crate::input::octets(path).context("can't read it")?)?);
        let outcomes = read().and_then(|tape: String| outcomes(&tape, other.as_ref(), &args.set, changed));
        match outcomes.with_context(|| format!("{}", path.display())) {
            Ok(outcomes) => {
                if args.turns {
                    tell_turns(&path.display().to_string(), &outcomes, &columns);
                }
                for (column, outcome) in columns.iter_mut().zip(outcomes) {
                    column.sum.add(outcome);
                }
            }
            Err(error) => {
                unreadable += 1;
                say(&format!("{}  {error:#}", paint("unreadable", "31")));
            }
        }
    }
    if args.json {
        let all: serde_json::Map<_, _> = columns
            .iter()
            .filter_map(|column| Some((column.name.clone(), serde_json::to_value(&column.sum).ok()?)))
            .collect();
        say(&serde_json::Value::Object(all).to_string());
    } else {
        for line in table(&columns) {
            say(&line);
        }
    }
    Ok(if unreadable > 0 { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

fn column(name: &str) -> Column {
    Column { name: name.to_owned(), sum: Outcome::default() }
}

/// The same for programs: as taped, by this build, and, if anything is set, changed.
pub(crate) fn as_json(tape: &str, set: &[String]) -> anyhow::Result<serde_json::Value> {
    let outcomes = outcomes(tape, None, set, !set.is_empty())?;
    let named = ["taped", "again", "changed"].into_iter().zip(outcomes);
    let named = named.map(|(name, outcome)| Ok((name.to_owned(), serde_json::to_value(outcome)?)));
    Ok(serde_json::Value::Object(named.collect::<anyhow::Result<_>>()?))
}

fn outcomes(
    tape: &str,
    other: Option<&Config>,
    set: &[String],
    changed: bool,
) -> anyhow::Result<Vec<Outcome>> {
    let (header, taped) = as_taped(tape)?;
    let config = header.call_config().unwrap_or_default();
    anyhow::ensure!(config.mode == CallMode::Dialog, "an echo has no turns");
    let mut outcomes = vec![taped, reenact(tape, config.clone())?];
    if changed {
        let base = other.map_or(config, |other| other.call.clone());
        outcomes.push(reenact(tape, with(base, set)?)?);
    }
    Ok(outcomes)
}

/// The configuration with these settings.
fn with(config: CallConfig, set: &[String]) -> anyhow::Result<CallConfig> {
    let mut tree = serde_json::to_value(config)?;
    for one in set {
        let (key, value) = one
            .split_once('=')
            .with_context(|| format!("`{one}` is no SETTING=VALUE, such as turn.min_silence=200ms"))?;
        let key = key.trim();
        let key = key.strip_prefix("call.").unwrap_or(key);
        let pointer = format!("/{}", key.replace('.', "/"));
        let Some(place) = tree.pointer_mut(&pointer) else {
            bail!("there is no setting `{key}` in [call]; offhook.example.toml has them all");
        };
        let value = value.trim();
        *place = match place {
            serde_json::Value::String(_) => value.into(),
            _ => serde_json::from_str(value).unwrap_or_else(|_| value.into()),
        };
    }
    serde_json::from_value(tree).context("a value of --set can't be")
}

/// A figure of an outcome, in words.
type Figure<'a> = &'a dyn Fn(&Outcome) -> String;

/// Figures, a line each, a column for each way.
fn table(columns: &[Column]) -> Vec<String> {
    let ms = |values: &[u64], percent| {
        percentile(values, percent).map_or_else(|| "-".to_owned(), |value| format!("{value} ms"))
    };
    let rows: [(&str, Figure<'_>); 9] = [
        ("turns answered", &|sum| sum.turns.len().to_string()),
        ("cut off", &|sum| sum.cut_offs.len().to_string()),
        ("end decided after, median", &|sum| ms(&sum.decided_ms, 50)),
        ("end decided after, p95", &|sum| ms(&sum.decided_ms, 95)),
        ("answered after, median", &|sum| ms(&sum.answered_ms, 50)),
        ("answered after, p95", &|sum| ms(&sum.answered_ms, 95)),
        ("interruptions", &|sum| sum.interruptions.len().to_string()),
        ("went on after a false one", &|sum| sum.resumed.len().to_string()),
        ("words heard", &|sum| {
            sum.heard.iter().map(|text| text.split_whitespace().count()).sum::<usize>().to_string()
        }),
    ];
    let mut lines = vec![row("", columns.iter().map(|column| column.name.clone()))];
    for (name, figure) in rows {
        lines.push(row(name, columns.iter().map(|column| figure(&column.sum))));
    }
    lines
}

fn row(name: &str, cells: impl Iterator<Item = String>) -> String {
    let mut line = format!("{name:<27}");
    for cell in cells {
        line.push_str(&format!("{cell:>14}"));
    }
    line
}

/// The turns of one call, way by way, where they aren't all the same.
fn tell_turns(name: &str, outcomes: &[Outcome], columns: &[Column]) {
    let texts = |outcome: &Outcome| outcome.turns.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
    if outcomes.windows(2).all(|pair| texts(&pair[0]) == texts(&pair[1])) {
        return;
    }
    say(&paint(name, "1"));
    for (outcome, column) in outcomes.iter().zip(columns) {
        for (at, text) in &outcome.turns {
            say(&format!("  {:<12}{:>9.2} s  {text}", column.name, *at as f64 / 1_000.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(name: &str, set: &[&str]) -> Vec<Outcome> {
        let path = format!("{}/../../fixtures/tapes/{name}.tape.jsonl.zst", env!("CARGO_MANIFEST_DIR"));
        let set: Vec<String> = set.iter().map(|one| (*one).to_owned()).collect();
        let tape = unpacked(std::fs::read(path).unwrap()).unwrap();
        outcomes(&tape, None, &set, !set.is_empty()).unwrap()
    }

    #[test]
    fn the_same_build_and_settings_decide_as_on_the_tape() {
        for name in ["question-and-answer", "pause-in-a-turn", "barge-in", "backchannel"] {
            let [taped, again] = compared(name, &[]).try_into().unwrap();
            assert_eq!(taped.turns, again.turns, "{name}");
            assert_eq!(taped.decided_ms, again.decided_ms, "{name}");
            assert_eq!(taped.resumed.len(), again.resumed.len(), "{name}");
        }
    }

    #[test]
    fn hasty_settings_cut_the_caller_off_and_are_told_so() {
        let hasty = ["min_silence", "plain", "dictation", "unpunctuated", "max_silence", "unfinished"]
            .map(|setting| format!("turn.{setting}=200ms"));
        let hasty: Vec<&str> = hasty.iter().map(String::as_str).collect();
        let outcomes = compared("pause-in-a-turn", &hasty);
        assert_eq!(outcomes[1].cut_offs, Vec::<u64>::new());
        assert_eq!(outcomes[2].cut_offs.len(), 1);
        // The words on both sides of the cut are there once.
        let words: Vec<&str> = outcomes[2].turns.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(words, ["a table for two and", "at eight o'clock."]);
    }

    #[test]
    fn patient_settings_answer_later() {
        let outcomes = compared("question-and-answer", &["turn.min_silence=1s", "turn.plain=1s"]);
        assert!(outcomes[2].decided_ms[0] >= 1_000 && outcomes[1].decided_ms[0] < 600, "{outcomes:?}");
    }

    #[test]
    fn settings_that_are_none_are_named() {
        let named = |one: &str| format!("{:#}", with(CallConfig::default(), &[one.to_owned()]).unwrap_err());
        assert!(named("turn.min_silense=1s").contains("no setting `turn.min_silense`"));
        assert!(named("turn.min_silence").contains("no SETTING=VALUE"));
        assert!(named("turn.min_silence=soon").contains("can't be"));
    }
}
