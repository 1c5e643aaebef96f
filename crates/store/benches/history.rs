//! 10 000 calls in SQLite and in PostgreSQL: how long list, search and show take. Fails when 95 of 100 take 50 ms or more.
//!
//! `cargo bench -p offhook-store --bench history`; `CALLS=100000` for more. PostgreSQL is left out, with a word, where it isn't installed.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench"
)]

#[path = "../src/tests/server.rs"]
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use offhook_store::{
    Answer, Archive, Document, Event, Filter, Latency, Location, Outcome, Problem, Redaction, Settings,
    Speaker, State, Store, Turn, VERSION, rfc3339,
};

const MOST: Duration = Duration::from_millis(50);
const ROUNDS: u64 = 200;
const WORDS: [&str; 24] = [
    "pizza",
    "margherita",
    "delivery",
    "address",
    "extra",
    "cheese",
    "table",
    "evening",
    "order",
    "cancel",
    "number",
    "please",
    "street",
    "half",
    "olives",
    "gluten",
    "card",
    "cash",
    "minutes",
    "voucher",
    "complaint",
    "cold",
    "driver",
    "refund",
];

/// A call of some minutes: twenty turns, sixty events.
fn call(number: u64, random: &mut fastrand::Rng) -> Document {
    let mut turns = Vec::new();
    for turn in 0..20u64 {
        let text: Vec<&str> = (0..8).map(|_| WORDS[random.usize(..WORDS.len())]).collect();
        let is_agent = turn % 2 == 0;
        turns.push(Turn {
            who: if is_agent { Speaker::Agent } else { Speaker::Caller },
            at_ms: turn * 6_000,
            until_ms: turn * 6_000 + 4_000,
            // A word of its own in each hundredth call: what is looked for is in few of them.
            text: format!("{} w{}", text.join(" "), number % 1_000),
            answer: is_agent.then(|| Answer { first_frame_ms: random.u64(300..2_000), ..Answer::default() }),
            ..Turn::default()
        });
    }
    let started_at_ms = 1_790_000_000_000 + i64::try_from(number).unwrap() * 60_000;
    Document {
        version: VERSION,
        id: format!("CA{number:032x}"),
        rev: 1,
        state: State::Over,
        agent: ["pizza", "booking", "desk"][random.usize(..3)].into(),
        tenant: ["", "blue", "red"][random.usize(..3)].into(),
        from: format!("+1415555{:04}", number % 3_000),
        to: "+14155550100".into(),
        started_at: rfc3339(started_at_ms),
        started_at_ms,
        duration_ms: Some(120_000),
        status: "completed".into(),
        outcome: random.bool().then(|| Outcome { verdict: "achieved".into(), ..Outcome::default() }),
        latency: Latency::of(&turns),
        turns,
        errors: if random.u8(..20) == 0 {
            vec![Problem { at_ms: 1, message: "a provider did not answer".into() }]
        } else {
            Vec::new()
        },
        events: (0..60)
            .map(|n| Event { at_ms: n * 2_000, event: "speech_started".into(), ..Event::default() })
            .collect(),
        ..Document::default()
    }
}

fn fill(location: &Location, folder: &Path, calls: u64) {
    let settings = Settings {
        location: location.clone(),
        spool: folder.join("spool"),
        spool_bytes: 1 << 30,
        server: "bench".into(),
        redaction: Redaction::default(),
        keys: None,
    };
    let store = Store::start(settings).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0..calls {
        let document = call(number, &mut random);
        store.put(move || Some(document));
        if number % 1_000 == 999 {
            assert!(store.settle(Duration::from_secs(600)));
        }
    }
    assert!(store.settle(Duration::from_secs(600)));
}

/// Times at the middle, at 95 % and at the end.
fn measure(what: &str, mut once: impl FnMut(u64)) -> bool {
    for round in 0..10 {
        once(round);
    }
    let mut took: Vec<Duration> = (0..ROUNDS)
        .map(|round| {
            let began = Instant::now();
            once(round);
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    let ms = |at: usize| took[at].as_secs_f64() * 1_000.0;
    let p95 = took.len() * 95 / 100;
    println!("  {what:<34} {:>8.2} {:>8.2} {:>8.2}", ms(took.len() / 2), ms(p95), ms(took.len() - 1));
    took[p95] < MOST
}

fn bench(name: &str, location: &Location, calls: u64) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    fill(location, folder.path(), calls);
    let took = began.elapsed().as_secs_f64();
    println!("{name}: {calls} calls, written in {took:.1} s; ms: median, p95, longest");
    let mut archive: Archive = offhook_store::open(location, None).unwrap();
    let mut random = fastrand::Rng::with_seed(8);
    let mut well = true;
    let at = |number: u64| 1_790_000_000_000 + i64::try_from(number).unwrap() * 60_000;
    let mut list = |what: &str, filter: &mut dyn FnMut(u64) -> Filter| {
        well &= measure(what, |round| drop(archive.list(&filter(round)).unwrap()));
    };
    list("list, newest", &mut |_| Filter::default());
    list("list, 500 of an agent", &mut |_| Filter {
        agent: Some("pizza".into()),
        limit: Some(500),
        ..Filter::default()
    });
    list("list, of a tenant, with errors", &mut |_| Filter {
        tenant: Some("blue".into()),
        errors: Some(true),
        ..Filter::default()
    });
    list("list, a span of time", &mut |_| {
        let from = random.u64(..calls);
        Filter { since_ms: Some(at(from)), until_ms: Some(at(from + 200)), ..Filter::default() }
    });
    list("list, slow answers", &mut |_| Filter { slower_than_ms: Some(1_900), ..Filter::default() });
    list("search, a number", &mut |round| Filter {
        number: Some(format!("+1415555{:04}", round * 13 % 3_000)),
        ..Filter::default()
    });
    list("search, numbers that begin so", &mut |round| Filter {
        number: Some(format!("+1415555{:02}*", round % 30)),
        ..Filter::default()
    });
    list("search, a word in few calls", &mut |round| Filter {
        words: Some(format!("w{}", round * 7 % 1_000)),
        ..Filter::default()
    });
    list("search, words in nearly all calls", &mut |_| Filter {
        words: Some("pizza cheese".into()),
        ..Filter::default()
    });
    list("search, a word's beginning", &mut |_| Filter { words: Some("marg*".into()), ..Filter::default() });
    let mut random = fastrand::Rng::with_seed(9);
    well &= measure("show", |_| {
        let id = format!("CA{:032x}", random.u64(..calls));
        assert!(archive.show(&id).unwrap().is_some());
    });
    well
}

fn main() {
    let calls = std::env::var("CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(10_000);
    let folder = tempfile::tempdir().unwrap();
    let mut well = bench("SQLite", &Location::Sqlite(folder.path().join("calls.db")), calls);
    if let Some(server) = server::Server::start() {
        let location = Location::parse(&server.database("bench")).unwrap();
        well &= bench("PostgreSQL", &location, calls);
    }
    assert!(well, "95 of 100 took more than {MOST:?}");
}
