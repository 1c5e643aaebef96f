//! `offhook calls`: calls that were kept.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use offhook_store::{Archive, Document, Filter, Keys, Listed, Location, Page, Receipt, Speaker, Subject};

use crate::config::Config;

/// `offhook calls`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  offhook calls list --since 2026-11-30 --words \"extra cheese\"\n  \
                        offhook calls show CA0123456789abcdef0123456789abcdef\n  \
                        offhook calls export --agent pizza > calls.jsonl\n  \
                        offhook calls delete --number +14155550100\n\n\
                        Reads the store of --config (or of offhook.toml here); a server may be running meanwhile.\n\
                        Exit status: 0 done, 1 failed, 2 no such call")]
pub(crate) struct CallsArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    place: Place,
}

/// Which store.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Configuration file; `offhook.toml` in this folder is read if there is one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder that `serve --record` was given
    #[arg(long, global = true, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// The store's database itself: sqlite:FILE or postgres://…
    #[arg(long, global = true, value_name = "URL")]
    store: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Calls, newest first
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// Calls on a page
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Go on behind this place: `next` of the page before
        #[arg(long, value_name = "PLACE")]
        after: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// One call: what was said, when, and what came of it
    Show {
        /// The call's SID
        call: String,
        /// The whole document, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Whole documents, one a line, newest first
    Export {
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Delete a call, or all of a number, for good: documents, tapes and sound; prints a receipt
    Delete {
        /// The call's SID
        #[arg(required_unless_present_any = ["number", "before"], conflicts_with_all = ["number", "before"])]
        call: Option<String>,
        /// All calls from or to this number
        #[arg(long, conflicts_with = "before")]
        number: Option<String>,
        /// All calls before this time
        #[arg(long, value_name = "TIME")]
        before: Option<String>,
    },
}

#[derive(Clone, Debug, Default, clap::Args)]
struct FilterArgs {
    /// Either side's number, or its beginning and a `*`
    #[arg(long)]
    number: Option<String>,
    /// The agent's name
    #[arg(long)]
    agent: Option<String>,
    /// Whose calls
    #[arg(long)]
    tenant: Option<String>,
    /// achieved, refused, no_answer, voicemail or failed
    #[arg(long)]
    verdict: Option<String>,
    /// in_progress, over or lost
    #[arg(long)]
    state: Option<String>,
    /// Words that were said, all of them; `pizz*` is any that begins so
    #[arg(long)]
    words: Option<String>,
    /// Not before this: 2026-11-30, or 2026-11-30T13:36 (UTC)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// 95 % of the answers took at least so many milliseconds
    #[arg(long, value_name = "MS")]
    slower_than_ms: Option<i64>,
    /// Something went wrong
    #[arg(long)]
    errors: bool,
}

impl FilterArgs {
    fn filter(self) -> anyhow::Result<Filter> {
        let mut filter = Filter {
            number: self.number,
            agent: self.agent,
            tenant: self.tenant,
            verdict: self.verdict,
            state: self.state,
            words: self.words,
            slower_than_ms: self.slower_than_ms,
            errors: self.errors.then_some(true),
            ..Filter::default()
        };
        for (name, value) in [("since", self.since), ("until", self.until)] {
            if let Some(value) = value {
                filter.set(name, &value).map_err(anyhow::Error::msg)?;
            }
        }
        Ok(filter)
    }
}

pub(crate) fn run(args: &CallsArgs) -> anyhow::Result<ExitCode> {
    let (mut archive, folders) = args.place.open()?;
    let mut out = std::io::stdout().lock();
    match &args.what {
        What::List { filter, limit, after, json } => {
            let filter = Filter { limit: Some(*limit), after: after.clone(), ..filter.clone().filter()? };
            let page = archive.list(&filter)?;
            let text = if *json { serde_json::to_string_pretty(&page)? + "\n" } else { table(&page) };
            out.write_all(text.as_bytes())?;
        }
        What::Show { call, json } => {
            let Some(document) = archive.show(call)? else {
                crate::console::complain(&anyhow::anyhow!("no call {call} was kept"));
                return Ok(ExitCode::from(2));
            };
            let text = if *json { serde_json::to_string_pretty(&document)? + "\n" } else { shown(&document) };
            out.write_all(text.as_bytes())?;
        }
        What::Export { filter } => export(&mut archive, filter.clone().filter()?, &mut out)?,
        What::Delete { call, number, before } => {
            let subject = match (call, number, before) {
                (Some(call), ..) => Subject::Call(call.clone(), None),
                (None, Some(number), _) => Subject::Number(number.clone(), None),
                (None, None, before) => {
                    let time = before.as_deref().and_then(offhook_store::parse_instant);
                    Subject::Before(time.context("--before must be a time such as 2026-11-30T13:36")?, None)
                }
            };
            let mut receipt: Receipt = archive.delete(&subject)?;
            for folder in folders.iter().filter(|folder| folder.exists()) {
                crate::keeper::delete(folder, &mut receipt);
            }
            args.place.delete_elsewhere(number.as_deref(), &mut receipt)?;
            writeln!(out, "{}", serde_json::to_string_pretty(&receipt)?)?;
            if !receipt.failures.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Place {
    /// Opens it; gives the folders of tapes too.
    pub(crate) fn open(&self) -> anyhow::Result<(Archive, Vec<PathBuf>)> {
        let (location, folders, keys) = self.location()?;
        if let Location::Sqlite(path) = &location
            && !path.exists()
        {
            bail!("{} isn't there: no call was kept yet, or elsewhere", path.display());
        }
        let archive = offhook_store::open(&location, keys).context("the store of calls can't be used")?;
        Ok((archive, folders))
    }

    /// What is kept of deleted calls in the bucket, and of events that never arrived.
    fn delete_elsewhere(&self, number: Option<&str>, receipt: &mut Receipt) -> anyhow::Result<()> {
        let mut config = Config::found(self.config.as_deref())?;
        config.record = self.record.clone().or(config.record);
        crate::objects::delete_now(&config, receipt)?;
        receipt.events += crate::outbox::forget(&config.events, &receipt.ids, number)?;
        Ok(())
    }

    /// The store, and the folders of tapes.
    fn location(&self) -> anyhow::Result<(Location, Vec<PathBuf>, Option<Keys>)> {
        let config = Config::found(self.config.as_deref())?;
        let record = self.record.clone().or_else(|| config.record.clone());
        let location = match &self.store {
            Some(url) => Some(Location::parse(url)?),
            None => config.store.location(record.as_deref())?,
        };
        let location = location.context(
            "no calls are kept: the configuration has neither `record` nor `url` in [store]; --record and --store say where else",
        )?;
        let folders = crate::tenants::folders(&config, record.as_deref());
        Ok((location, folders, config.store.keys()?))
    }
}

fn export(archive: &mut Archive, mut filter: Filter, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    filter.limit = Some(500);
    loop {
        let page = archive.list(&filter)?;
        for call in &page.calls {
            // One that was deleted meanwhile is passed over.
            if let Some(document) = archive.show(&call.id)? {
                serde_json::to_writer(&mut *out, &document)?;
                out.write_all(b"\n")?;
            }
        }
        match page.next {
            Some(next) => filter.after = Some(next),
            None => return Ok(()),
        }
    }
}

/// The other side's number.
fn other(call: &Listed) -> &str {
    if call.direction == "outbound" { &call.to } else { &call.from }
}

fn seconds(ms: Option<i64>) -> String {
    ms.map_or_else(|| "–".to_owned(), |ms| format!("{}:{:02}", ms / 60_000, ms / 1_000 % 60))
}

/// A list, for people.
fn table(page: &Page) -> String {
    let mut text = format!(
        "{:<20} {:<34} {:<3} {:<16} {:<12} {:>7} {:>5} {:>8} {:>4} {}\n",
        "began (UTC)", "call", "", "number", "agent", "length", "turns", "p95 ms", "err", "outcome"
    );
    for call in &page.calls {
        let outcome = call.verdict.as_deref().or(call.ended.as_deref()).unwrap_or(&call.status);
        let outcome = if call.state == "over" { outcome } else { &call.state };
        let way = if call.direction == "outbound" { "out" } else { "in" };
        let slow = call.answer_p95_ms.map_or_else(|| "–".to_owned(), |ms| ms.to_string());
        // Writing to a string can't fail.
        let _written = writeln!(
            text,
            "{:<20} {:<34} {:<3} {:<16} {:<12} {:>7} {:>5} {:>8} {:>4} {}",
            call.started_at.get(..19).unwrap_or(&call.started_at),
            call.id,
            way,
            other(call),
            call.agent,
            seconds(call.duration_ms),
            call.turns,
            slow,
            call.errors,
            outcome
        );
    }
    if page.calls.is_empty() {
        text.push_str("no such calls\n");
    }
    if let Some(next) = &page.next {
        let _written = writeln!(text, "more: --after {next}");
    }
    clean(&text)
}

/// A call, for people.
fn shown(call: &Document) -> String {
    let mut text = String::new();
    let mut line = |what: String| {
        text.push_str(&what);
        text.push('\n');
    };
    line(format!("{}  {} → {}, agent {}", call.id, call.from, call.to, call.agent));
    line(format!(
        "began {}, {}",
        call.started_at,
        call.duration_ms.map_or_else(|| "not over".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1_000.0))
    ));
    if let Some(goal) = &call.goal {
        line(format!("goal: {goal}"));
    }
    if let Some(outcome) = &call.outcome {
        line(format!("outcome: {} ({})", outcome.verdict, outcome.evidence));
        for (name, value) in &outcome.fields {
            line(format!("  {name}: {value}"));
        }
    }
    line(format!("ended: {}", call.ended.as_deref().unwrap_or(&call.status)));
    if let (Some(p50), Some(p95)) = (call.latency.p50_ms, call.latency.p95_ms) {
        line(format!("answers: {} in {p50} ms (median), {p95} ms (95 %)", call.latency.replies));
    }
    if let Some(cost) = &call.cost {
        line(format!("cost: {}", cost.total));
    }
    line(String::new());
    for turn in &call.turns {
        let who = if turn.who == Speaker::Caller { "caller" } else { "agent " };
        let cut = if turn.interrupted { " …" } else { "" };
        let took = turn.answer.map_or_else(String::new, |answer| format!("  [{} ms]", answer.first_frame_ms));
        line(format!("{:>8.1} s  {who}  {}{cut}{took}", turn.at_ms as f64 / 1_000.0, turn.text));
    }
    for error in &call.errors {
        line(format!("{:>8.1} s  error   {}", error.at_ms as f64 / 1_000.0, error.message));
    }
    clean(&text)
}

/// What callers and providers said moves no cursor.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

#[cfg(test)]
mod tests {
    use offhook_store::{Turn, rfc3339};

    use super::*;

    #[test]
    fn calls_are_shown_to_people() {
        let turn = |who, at_ms, text: &str| Turn { who, at_ms, text: text.into(), ..Turn::default() };
        let call = Document {
            id: "CA1".into(),
            from: "+14155550100".into(),
            to: "+14155550101".into(),
            agent: "pizza".into(),
            started_at: rfc3339(1_796_045_766_123),
            duration_ms: Some(61_000),
            status: "completed".into(),
            turns: vec![
                turn(Speaker::Agent, 100, "Hello"),
                turn(Speaker::Caller, 2_000, "Two\u{1b}[2J pizzas"),
            ],
            ..Document::default()
        };
        insta::assert_snapshot!(shown(&call), @r#"
CA1  +14155550100 → +14155550101, agent pizza
began 2026-11-30T13:36:06.123Z, 61.0 s
ended: completed

     0.1 s  agent   Hello
     2.0 s  caller  Two[2J pizzas
"#);
    }
}
