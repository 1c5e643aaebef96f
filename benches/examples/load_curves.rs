//! Draws what `benches/load.sh` measured over the number of calls: `load_curves RUNS.tsv FOLDER`.
//!
//! `RUNS.tsv` has a line for each server: echo or answer, its name, what it does, and the file with its steps as `offhook load` prints
//! them.

use std::path::Path;

use offhook_benches::diagram::{Curve, Diagram, Fault, Point, SeriesLabelPosition, draw};

/// A step: calls, the 99th percentile in ms, share of a core a call in percent, memory a call in KiB.
struct Step {
    calls: f64,
    p99: f64,
    share: f64,
    memory: f64,
}

struct Run {
    echo: bool,
    name: String,
    steps: Vec<Step>,
}

/// A step's line; `None` for a heading or a remark.
fn step(line: &str, echo: bool) -> Option<Step> {
    let cells: Vec<&str> = line.split_whitespace().collect();
    // Three numbers, three times with their units, cores, then share and memory with theirs.
    let number = |at: usize| cells.get(at)?.parse().ok();
    (cells.len() == 14).then_some(())?;
    Some(Step {
        calls: number(0)?,
        p99: number(if echo { 5 } else { 7 })?,
        share: number(10)?,
        memory: number(12)?,
    })
}

fn read(runs: &Path) -> Result<Vec<Run>, Fault> {
    let mut all = Vec::new();
    for line in std::fs::read_to_string(runs)?.lines() {
        let [kind, name, does, file] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("not a run: {line}").into());
        };
        let echo = kind == "echo";
        let steps = std::fs::read_to_string(file)?.lines().filter_map(|line| step(line, echo)).collect();
        all.push(Run { echo, name: format!("{name}, {does}"), steps });
    }
    Ok(all)
}

fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let (Some(runs), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: load_curves RUNS.tsv FOLDER".into());
    };
    let folder = Path::new(&folder);
    // One step makes no curve.
    let runs: Vec<Run> = read(Path::new(&runs))?.into_iter().filter(|run| run.steps.len() > 1).collect();
    let most = |of: fn(&Step) -> f64| runs.iter().flat_map(|run| &run.steps).map(of).fold(1.0, f64::max);
    let calls = ("calls", 0.0..most(|step| step.calls));
    // What lies above the diagram is left to the tables.
    let curves = |of: fn(&Step) -> f64, most: f64, wanted: fn(&Run) -> bool| -> Vec<Curve<'_>> {
        let points =
            |run: &Run| -> Vec<Point> { run.steps.iter().map(|step| (step.calls, of(step))).collect() };
        let fits = |run: &&Run| wanted(run) && run.steps.iter().any(|step| of(step) < most);
        runs.iter().filter(fits).map(|run| Curve(&run.name, points(run))).collect()
    };
    let diagram =
        |title, unit, most: f64, names| Diagram { title, x: calls.clone(), y: (unit, 0.0..most), names };
    let upper_right = SeriesLabelPosition::UpperRight;
    draw(
        &folder.join("load-processor.svg"),
        &diagram("A call's share of a core", "percent", 1.0, upper_right.clone()),
        &curves(|step| step.share, 1.0, |_| true),
    )?;
    draw(
        &folder.join("load-memory.svg"),
        &diagram("Memory of a call", "KiB", 250.0, upper_right),
        &curves(|step| step.memory, 250.0, |_| true),
    )?;
    draw(
        &folder.join("load-echo.svg"),
        &diagram(
            "An echo's way there and back, 99th percentile",
            "ms",
            60.0,
            SeriesLabelPosition::Coordinate(70, 10),
        ),
        &curves(|step| step.p99, 60.0, |run| run.echo),
    )
}
