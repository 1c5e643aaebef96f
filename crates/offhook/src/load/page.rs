//! A load as a page of HTML, with curves drawn as SVG. Needs nothing from elsewhere.

use std::fmt::Write;

use offhook_simulator::load::LoadReport;

use super::table::{cpu_per_call, memory_per_call};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;color:#22262b}\
    table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #e6e8eb}\
    svg{background:#fff;margin:1em 0}text{font:12px system-ui,sans-serif;fill:#8a9098}";

/// The page.
pub(super) fn html(url: &str, reports: &[LoadReport], idle: Option<u64>, echo: bool) -> String {
    let mut page = String::new();
    let title = escaped(url);
    let way = if echo { "there and back" } else { "answer" };
    // Writing into a string can't fail.
    let _infallible = write!(
        page,
        "<!doctype html><meta charset=\"utf-8\"><title>Load on {title}</title><style>{STYLE}</style>\
         <h1>Load on {title}</h1><table><tr><th>calls<th>failed<th>gaps<th>{way} p50<th>p95<th>p99<th>p99.9\
         <th>cores<th>CPU per call<th>memory per call<th>own lateness p99</tr>"
    );
    for report in reports {
        let spread = if echo { report.round_trip_ms } else { report.response_ms };
        let share = cpu_per_call(report).map_or("-".to_owned(), |share| format!("{share:.3} %"));
        let memory = memory_per_call(report, idle).map_or("-".to_owned(), |kib| format!("{kib:.1} KiB"));
        let cores = report.server.map_or("-".to_owned(), |cost| format!("{:.3}", cost.cores));
        let _infallible = write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{:.1} ms<td>{:.1} ms<td>{:.1} ms<td>{:.1} ms<td>{cores}<td>{share}<td>{memory}\
             <td>{:.1} ms</tr>",
            report.calls,
            report.failed,
            report.gaps,
            spread.p50,
            spread.p95,
            spread.p99,
            spread.p999,
            report.own_lateness_ms.p99
        );
    }
    page.push_str("</table>");
    let figure = |figure: &dyn Fn(&LoadReport) -> Option<f64>| -> Vec<(f64, f64)> {
        reports.iter().filter_map(|report| Some((report.calls as f64, figure(report)?))).collect()
    };
    let spread = |report: &LoadReport| if echo { report.round_trip_ms } else { report.response_ms };
    curve(&mut page, &format!("{way}, p99, in ms"), &figure(&|report| Some(spread(report).p99)));
    curve(&mut page, "share of a core per call, in percent", &figure(&cpu_per_call));
    curve(
        &mut page,
        "memory per call beyond the idle server, in KiB",
        &figure(&|report| memory_per_call(report, idle)),
    );
    page
}

/// A curve over the number of calls, if there are points enough.
fn curve(page: &mut String, title: &str, points: &[(f64, f64)]) {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 220.0;
    const LEFT: f64 = 60.0;
    const BOTTOM: f64 = 190.0;
    if points.len() < 2 {
        return;
    }
    let most = |part: fn(&(f64, f64)) -> f64| points.iter().map(part).fold(1e-9, f64::max);
    let (most_x, most_y) = (most(|point| point.0), most(|point| point.1));
    let place = |(x, y): &(f64, f64)| {
        (LEFT + x / most_x * (WIDTH - LEFT - 20.0), BOTTOM - y / most_y * (BOTTOM - 30.0))
    };
    let line: String = points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
    let _infallible = write!(
        page,
        "<h2>{title}</h2><svg width=\"{WIDTH}\" height=\"{HEIGHT}\"><path d=\"M{LEFT} 20V{BOTTOM}H{WIDTH}\" fill=\"none\" \
         stroke=\"#c8ccd0\"/><polyline points=\"{line}\" fill=\"none\" stroke=\"#0072b2\" stroke-width=\"2\"/>\
         <text x=\"4\" y=\"34\">{most_y:.3}</text><text x=\"4\" y=\"{BOTTOM}\">0</text>"
    );
    for point in points {
        let (x, y) = place(point);
        let _infallible = write!(
            page,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#0072b2\"/><text x=\"{x:.1}\" y=\"206\" \
             text-anchor=\"middle\">{}</text>",
            point.0
        );
    }
    page.push_str("</svg>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_text_and_curves_need_two_steps() {
        let report = |calls| {
            let mut report = LoadReport::default();
            report.calls = calls;
            report
        };
        let one = html("http://a/?x=<b>&\"", &[report(1)], None, false);
        assert!(one.contains("http://a/?x=&lt;b&gt;&amp;&quot;") && !one.contains("<svg"));
        assert!(html("u", &[report(1), report(2)], None, true).contains("<svg"));
    }
}
