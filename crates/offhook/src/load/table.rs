//! A load as a table.

use offhook_simulator::load::LoadReport;

use crate::console::paint;

const COLUMNS: usize = 9;

/// The table's first line.
pub(super) fn heading(echo: bool) -> String {
    let way = if echo { ["there and back p50", "p99", "p99.9"] } else { ["answer p50", "p95", "p99"] };
    let names: [&str; COLUMNS] =
        ["calls", "failed", "gaps", way[0], way[1], way[2], "cores", "per call", "memory per call"];
    paint(&line(&names.map(str::to_owned)), "1")
}

/// A step's line.
pub(super) fn row(report: &LoadReport, idle: Option<u64>) -> String {
    let ms = |value: f64| format!("{value:.1} ms");
    let way = if report.round_trip_ms.count > 0 {
        let spread = report.round_trip_ms;
        [spread.p50, spread.p99, spread.p999]
    } else {
        let spread = report.response_ms;
        [spread.p50, spread.p95, spread.p99]
    };
    let server = report.server;
    line(&[
        report.calls.to_string(),
        report.failed.to_string(),
        report.gaps.to_string(),
        ms(way[0]),
        ms(way[1]),
        ms(way[2]),
        server.map_or("-".to_owned(), |cost| format!("{:.3}", cost.cores)),
        cpu_per_call(report).map_or("-".to_owned(), |share| format!("{share:.3} %")),
        memory_per_call(report, idle).map_or("-".to_owned(), |kib| format!("{kib:.1} KiB")),
    ])
}

/// Share of a core that a call costs, in percent.
pub(super) fn cpu_per_call(report: &LoadReport) -> Option<f64> {
    report.server.map(|cost| cost.cores * 100.0 / report.calls.max(1) as f64)
}

/// Resident memory beyond the idle server, a call.
pub(super) fn memory_per_call(report: &LoadReport, idle: Option<u64>) -> Option<f64> {
    let (cost, idle) = (report.server?, idle?);
    Some(cost.resident.saturating_sub(idle) as f64 / 1_024.0 / report.calls.max(1) as f64)
}

fn line(cells: &[String; COLUMNS]) -> String {
    const WIDTHS: [usize; COLUMNS] = [6, 8, 6, 20, 11, 11, 8, 11, 17];
    cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:>width$}")).collect()
}

/// What else is to be said of a step.
pub(super) fn remarks(report: &LoadReport, broken: Option<&str>) -> Vec<String> {
    let mut lines: Vec<String> = report.failures.iter().map(|why| format!("       failed: {why}")).collect();
    if report.own_lateness_ms.p99 > 5.0 {
        lines.push(format!(
            "       this load generator was late itself: {:.1} ms (p99); a part of what it measures is its own",
            report.own_lateness_ms.p99
        ));
    }
    lines.extend(broken.map(|why| paint(&format!("       objective broken: {why}"), "31")));
    lines
}
