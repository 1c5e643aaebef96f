//! Examines servers, and tells what is found first.

use std::time::Duration;

use offhook_doctor::{Limits, Options, Report, Severity, examine};

use crate::server::Server;

/// Waits that are long enough for a server on this machine.
pub(crate) fn quick() -> Limits {
    Limits {
        greeting: Duration::from_millis(1_500),
        long_greeting: Duration::from_millis(1_500),
        answer: Duration::from_millis(2_500),
        stop_talking: Duration::from_millis(3_000),
        close: Duration::from_millis(1_500),
        rest: Duration::from_millis(1_000),
        ..Limits::default()
    }
}

pub(crate) fn options(server: &Server) -> Options {
    Options { local: true, limits: quick(), ..Options::new(&server.url()) }
}

pub(crate) async fn examined(options: Options) -> Report {
    examine(&options, |_| {}).await.unwrap()
}

/// The first finding that isn't fine, with its severity and code.
pub(crate) fn first(report: &Report) -> String {
    let bad = report.findings.iter().find(|finding| finding.severity != Severity::Fine);
    bad.map_or("none".to_owned(), |finding| {
        let code = finding.code.map_or(String::new(), |code| format!(" {code}"));
        format!("{:?} {}{code}", finding.severity, finding.cause)
    })
}

/// Examines all at once, and compares what is found first.
pub(crate) async fn expect(cases: Vec<(Server, &str)>) {
    let cases = cases.into_iter().map(|(server, expected)| (options(&server), expected)).collect();
    expect_with(cases).await;
}

/// The same with options of their own.
pub(crate) async fn expect_with(cases: Vec<(Options, &str)>) {
    let found = cases.iter().map(|(options, _)| examined(options.clone()));
    let found = futures_util::future::join_all(found).await;
    let mut wrong = String::new();
    for (report, (_, expected)) in found.iter().zip(&cases) {
        if first(report) != *expected {
            wrong.push_str(&format!("expected {expected}, found {}: {report:#?}\n", first(report)));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
