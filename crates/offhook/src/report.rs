//! `offhook report`: what a day's calls were like, in a terminal, as JSON, or as a page.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use offhook_store::{Filter, Report, rfc3339};

use crate::history::Place;

const DAY_MS: i64 = 86_400_000;

/// `offhook report`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  offhook report --record calls\n  offhook report --since 2026-11-01 --until 2026-12-01 --agent pizza \
                        --html november.html\n\nTimes are UTC. Answer times are milliseconds from the end of the caller's speech."
)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    place: Place,
    /// Not before this; else the last 24 hours
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this; else until now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this agent
    #[arg(long)]
    agent: Option<String>,
    /// Of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// As JSON
    #[arg(long, conflicts_with = "html")]
    json: bool,
    /// As a page, in this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let mut filter = Filter { agent: args.agent.clone(), tenant: args.tenant.clone(), ..Filter::default() };
    for (name, value) in [("since", &args.since), ("until", &args.until)] {
        if let Some(value) = value {
            filter.set(name, value).map_err(anyhow::Error::msg)?;
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let until = filter.until_ms.unwrap_or_else(|| i64::try_from(now).unwrap_or(i64::MAX));
    let since = *filter.since_ms.get_or_insert(until - DAY_MS);
    let report = args.place.open()?.0.report(&filter)?;
    let title = format!("{} to {}", &rfc3339(since)[..16], &rfc3339(until)[..16]);
    let mut out = std::io::stdout().lock();
    if let Some(path) = &args.html {
        std::fs::write(path, page(&title, &report))
            .with_context(|| format!("can't write {}", path.display()))?;
        writeln!(out, "{}", path.display())?;
    } else if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        out.write_all(text(&title, &report).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The figures in rows of a name and a value.
fn figures(report: &Report) -> Vec<(&'static str, String)> {
    let list = |all: &std::collections::BTreeMap<String, u64>| {
        all.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    let mut rows = vec![
        ("calls", report.calls.to_string()),
        ("minutes", format!("{:.1}", report.duration_ms as f64 / 60_000.0)),
        ("directions", list(&report.directions)),
        ("agents", list(&report.agents)),
        ("ended by", list(&report.ends)),
        ("verdicts", list(&report.verdicts)),
        ("interruptions", format!("{}, and {} false", report.interruptions, report.false_interruptions)),
        ("fillers", report.fillers.to_string()),
        ("apologies", report.apologies.to_string()),
        ("errors", report.errors.to_string()),
        ("cost", format!("{:.4}", report.cost)),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    rows
}

fn text(title: &str, report: &Report) -> String {
    let mut text = format!("Calls from {title} (UTC)\n\n");
    // Writing to a string can't fail.
    let mut line = |what: String| text.push_str(&(what + "\n"));
    for (name, value) in figures(report) {
        line(format!("{name:<14} {value}"));
    }
    if !report.stages.is_empty() {
        line(format!("\n{:<14} {:>8} {:>8} {:>8}", "answers", "replies", "p50 ms", "p95 ms"));
        for stage in &report.stages {
            line(format!(
                "{:<14} {:>8} {:>8} {:>8}",
                stage.name.replace('_', " "),
                stage.count,
                stage.p50_ms,
                stage.p95_ms
            ));
        }
    }
    if !report.providers.is_empty() {
        line(format!("\n{:<14} {:>8} {:>8} {:>10}", "providers", "requests", "failed", "cost"));
        for (name, provider) in &report.providers {
            line(format!(
                "{name:<14} {:>8} {:>8} {:>10.4}",
                provider.requests, provider.failures, provider.cost
            ));
        }
    }
    if !report.worst.is_empty() {
        line("\nworst calls".to_owned());
        for worst in &report.worst {
            line(format!("{}  {}", worst.id, worst.why.join(", ")));
        }
    }
    text
}

/// What comes from outside is text, in a page too.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}\
th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}svg{width:100%;height:auto}\
text{font-size:11px;fill:#555}@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}text{fill:#aaa}}";

/// One page, with everything in it.
fn page(title: &str, report: &Report) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Calls, {0}</title><style>{STYLE}</style><h1>Calls</h1><p>{0} (UTC)</p><table>",
        escaped(title)
    );
    let mut add = |what: String| page.push_str(&what);
    for (name, value) in figures(report) {
        add(format!("<tr><th>{name}<td>{}", escaped(&value)));
    }
    add("</table><h2>Answer times</h2><p>From the end of the caller's speech to each step of the reply, in milliseconds.</p><table>\
         <tr><th>step<th class=n>replies<th class=n>p50<th class=n>p95"
        .to_owned());
    for stage in &report.stages {
        let name = stage.name.replace('_', " ");
        add(format!(
            "<tr><td>{name}<td class=n>{}<td class=n>{}<td class=n>{}",
            stage.count, stage.p50_ms, stage.p95_ms
        ));
    }
    add("</table>".to_owned());
    let times = report.answer_times.iter().map(|(bound, count)| {
        let label = if *bound == u64::MAX { "more".to_owned() } else { format!("≤ {bound}") };
        (label, *count as f64)
    });
    add(bars("Replies by the time to their first sound, ms", &times.collect::<Vec<_>>()));
    let hours = |value: fn(&offhook_store::Hour) -> f64| {
        report
            .hours
            .iter()
            .map(|hour| (rfc3339(hour.at_ms)[5..13].replace('T', " "), value(hour)))
            .collect::<Vec<_>>()
    };
    add(bars("Calls by hour", &hours(|hour| hour.calls as f64)));
    add(bars("95th percentile of answers by hour, ms", &hours(|hour| hour.p95_ms.unwrap_or(0) as f64)));
    if !report.providers.is_empty() {
        add("<h2>Providers</h2><table><tr><th>name<th class=n>requests<th class=n>failed<th class=n>cost"
            .to_owned());
        for (name, provider) in &report.providers {
            let (requests, failures, cost) = (provider.requests, provider.failures, provider.cost);
            add(format!(
                "<tr><td>{}<td class=n>{requests}<td class=n>{failures}<td class=n>{cost:.4}",
                escaped(name)
            ));
        }
        add("</table>".to_owned());
    }
    if !report.worst.is_empty() {
        add("<h2>Worst calls</h2><table>".to_owned());
        for worst in &report.worst {
            add(format!("<tr><td><code>{}</code><td>{}", escaped(&worst.id), escaped(&worst.why.join(", "))));
        }
        add("</table>".to_owned());
    }
    page.push_str("</html>\n");
    page
}

/// Bars with names below and values above.
fn bars(title: &str, all: &[(String, f64)]) -> String {
    if all.is_empty() {
        return String::new();
    }
    const WIDTH: f64 = 900.0;
    const HEIGHT: f64 = 140.0;
    let most = all.iter().map(|(_, value)| *value).fold(1.0, f64::max);
    let each = WIDTH / all.len() as f64;
    // With many bars not every one has room for a name.
    let every = (all.len() / 16 + 1).max(1);
    let mut svg =
        format!("<h3>{}</h3><svg viewBox=\"0 -16 {WIDTH} {}\" role=\"img\">", escaped(title), HEIGHT + 40.0);
    for (place, (name, value)) in all.iter().enumerate() {
        let (x, height) = (place as f64 * each, value / most * HEIGHT);
        let _written = write!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"#0072b2\"><title>{}: {value}</title></rect>",
            x + each * 0.1,
            HEIGHT - height,
            each * 0.8,
            escaped(name)
        );
        if place % every == 0 {
            let middle = x + each / 2.0;
            let _written = write!(
                svg,
                "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text x=\"{middle:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{value}</text>",
                HEIGHT + 14.0,
                escaped(name),
                HEIGHT - height - 3.0
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use offhook_store::{Hour, Provider, Stage, Worst};

    use super::*;

    fn report() -> Report {
        Report {
            calls: 3,
            duration_ms: 90_000,
            agents: [("pizza".to_owned(), 3)].into(),
            ends: [("stream_stopped".to_owned(), 3)].into(),
            stages: vec![Stage { name: "first_frame".into(), count: 9, p50_ms: 720, p95_ms: 1_480 }],
            answer_times: vec![(1_000, 8), (u64::MAX, 1)],
            providers: [("<b>".to_owned(), Provider { requests: 9, failures: 1, cost: 0.5 })].into(),
            hours: vec![Hour { at_ms: 1_796_043_600_000, calls: 3, p95_ms: Some(1_480) }],
            worst: vec![Worst { id: "CA1".into(), why: vec!["2 errors".into()] }],
            ..Report::default()
        }
    }

    #[test]
    fn a_report_is_read_in_a_terminal() {
        let expected = "\
Calls from 2026-11-29T14:00 to 2026-11-30T14:00 (UTC)

calls          3
minutes        1.5
agents         pizza 3
ended by       stream_stopped 3
interruptions  0, and 0 false
fillers        0
apologies      0
errors         0
cost           0.0000

answers         replies   p50 ms   p95 ms
first frame           9      720     1480

providers      requests   failed       cost
<b>                   9        1     0.5000

worst calls
CA1  2 errors
";
        assert_eq!(text("2026-11-29T14:00 to 2026-11-30T14:00", &report()), expected);
    }

    #[test]
    fn a_page_has_everything_in_it_and_nothing_from_elsewhere() {
        let page = page("today", &report());
        assert!(page.contains("<svg") && page.contains("1480") && page.contains("2 errors"));
        assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    }
}
