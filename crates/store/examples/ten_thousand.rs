//! How long it takes to list, search and show among ten thousand calls: `cargo run -p offhook-store --example ten_thousand [URL]`.
//! Without an address it is SQLite, in a temporary folder.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::expect_used, reason = "a measurement")]

use std::time::{Duration, Instant};

use offhook_store::{
    Answer, Document, Event, Filter, Latency, Location, Redaction, Settings, Speaker, State, Store, Turn,
    VERSION, rfc3339,
};

const CALLS: u64 = 10_000;
const WORDS: [&str; 24] = [
    "pizza",
    "margherita",
    "large",
    "delivery",
    "tonight",
    "table",
    "two",
    "eight",
    "cheese",
    "extra",
    "order",
    "address",
    "street",
    "number",
    "thanks",
    "please",
    "sorry",
    "again",
    "olive",
    "basil",
    "garlic",
    "bread",
    "salad",
    "water",
];

/// A call of two minutes: sixteen things said, two hundred events.
fn call(number: u64) -> Document {
    let mut random = fastrand::Rng::with_seed(number);
    let text = |random: &mut fastrand::Rng| {
        let mut words: Vec<&str> = (0..10).map(|_| WORDS[random.usize(..WORDS.len())]).collect();
        if number.is_multiple_of(500) {
            words.push("quattro");
        }
        words.join(" ")
    };
    let turns: Vec<Turn> = (0..16)
        .map(|n| {
            let who = if n % 2 == 0 { Speaker::Agent } else { Speaker::Caller };
            let answer = (n > 0 && who == Speaker::Agent)
                .then(|| Answer { first_frame_ms: 500 + random.u64(..1_000), ..Answer::default() });
            Turn {
                who,
                at_ms: n * 7_000,
                until_ms: n * 7_000 + 4_000,
                text: text(&mut random),
                answer,
                ..Turn::default()
            }
        })
        .collect();
    let started_at_ms = 1_790_000_000_000 + i64::try_from(number).unwrap() * 60_000;
    Document {
        version: VERSION,
        id: format!("CA{number:032x}"),
        rev: 1,
        state: State::Over,
        agent: ["pizza", "booking", "desk"][random.usize(..3)].into(),
        from: format!("+1415{:07}", random.u32(..2_000)),
        to: "+14155550100".into(),
        started_at: rfc3339(started_at_ms),
        started_at_ms,
        duration_ms: Some(112_000),
        status: "completed".into(),
        latency: Latency::of(&turns),
        turns,
        events: (0..200)
            .map(|n| Event { at_ms: n * 500, event: "speech_started".into(), ..Event::default() })
            .collect(),
        ..Document::default()
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let location = std::env::args().nth(1).map_or_else(
        || Location::Sqlite(folder.path().join("calls.db")),
        |url| Location::parse(&url).expect("an address"),
    );
    let settings = Settings {
        location: location.clone(),
        spool: folder.path().join("spool"),
        spool_bytes: 1 << 30,
        server: "bench".into(),
        redaction: Redaction::default(),
        keys: None,
    };
    let store = Store::start(settings).unwrap();
    let begun = Instant::now();
    for number in 0..CALLS {
        store.put(move || Some(call(number)));
    }
    assert!(store.settle(Duration::from_secs(600)));
    println!("{location:?}");
    println!("write   {:>8.0} calls a second", CALLS as f64 / begun.elapsed().as_secs_f64());
    let base = Filter::default;
    let measure = |name: &str, ask: &dyn Fn(u64)| {
        let mut times: Vec<Duration> = (0..200u64)
            .map(|n| {
                let begun = Instant::now();
                ask(n * 37 % CALLS);
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        println!("{name:<28} p50 {:>7.2} ms   p95 {:>7.2} ms", ms(times[100]), ms(times[190]));
    };
    let list = |filter: Filter| store.list(filter).wait().unwrap();
    measure("list, newest", &|_| drop(list(base())));
    measure("list, of an agent", &|_| drop(list(Filter { agent: Some("desk".into()), ..base() })));
    measure("list, of a day", &|n| {
        let since = 1_790_000_000_000 + i64::try_from(n).unwrap() * 60_000;
        drop(list(Filter { since_ms: Some(since), until_ms: Some(since + 86_400_000), ..base() }));
    });
    measure("search, a number", &|n| {
        drop(list(Filter { number: Some(format!("+1415{:07}", n % 2_000)), ..base() }));
    });
    measure("search, a common word", &|n| {
        let word = WORDS[usize::try_from(n).unwrap() % WORDS.len()];
        drop(list(Filter { words: Some(word.into()), ..base() }));
    });
    measure("search, a rare word", &|_| {
        assert_eq!(list(Filter { words: Some("quattro".into()), ..base() }).calls.len(), 20);
    });
    measure("show", &|n| assert!(store.show(&format!("CA{n:032x}")).wait().unwrap().is_some()));
    let mut page = list(Filter { limit: Some(500), ..base() });
    let mut pages = 1;
    while let Some(after) = page.next.take() {
        page = list(Filter { limit: Some(500), after: Some(after), ..base() });
        pages += 1;
    }
    assert_eq!(pages, 20);
}
