//! Documents in, calls out; and nothing lost or doubled, wherever a crash comes.

mod server;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use crate::database::{Database, Location, Value};
use crate::spool::Spool;
use crate::writer::{Connect, Counters, Writer};
use crate::*;

const LONG: Duration = Duration::from_secs(60);

fn turn(who: Speaker, at_ms: u64, text: &str) -> Turn {
    let answer = (who == Speaker::Agent).then(|| Answer { first_frame_ms: 700 + at_ms, ..Answer::default() });
    Turn { who, at_ms, until_ms: at_ms + 900, text: text.into(), answer, ..Turn::default() }
}

/// A call like others.
pub(crate) fn call(number: u64) -> Document {
    let turns = vec![
        turn(Speaker::Agent, 100, "Hello, Mario's pizza, what can I get you?"),
        turn(Speaker::Caller, 2_000, &format!("A large margherita, order number {number}, please")),
        turn(Speaker::Agent, 3_000, "Anything else?"),
    ];
    let started_at_ms = 1_796_000_000_000 + i64::try_from(number).unwrap() * 1_000;
    Document {
        version: VERSION,
        id: format!("CA{number:032}"),
        rev: 1,
        state: State::Over,
        agent: if number.is_multiple_of(2) { "pizza" } else { "booking" }.into(),
        from: format!("+1415555{number:04}"),
        to: "+14155550100".into(),
        started_at: rfc3339(started_at_ms),
        started_at_ms,
        duration_ms: Some(4_000),
        status: "completed".into(),
        outcome: number
            .is_multiple_of(3)
            .then(|| Outcome { verdict: "achieved".into(), ..Outcome::default() }),
        latency: Latency::of(&turns),
        turns,
        tools: vec![ToolUse {
            name: "menu".into(),
            at_ms: 2_500,
            took_ms: Some(40),
            result: "returned".into(),
        }],
        usage: [("voice".to_owned(), Usage { characters: 40, ..Usage::default() })].into(),
        events: vec![Event { at_ms: 1, event: "speech_started".into(), ..Event::default() }],
        ..Document::default()
    }
}

/// A store's place: SQLite, or a database of a running PostgreSQL.
struct Place {
    folder: tempfile::TempDir,
    location: Location,
}

impl Place {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("calls.db"));
        Self { folder, location }
    }

    fn postgres(server: &server::Server, name: &str) -> Self {
        let location = Location::Postgres(server.database(name));
        Self { folder: tempfile::tempdir().unwrap(), location }
    }
}

fn settings(place: &Place) -> Settings {
    let folder = place.folder.path();
    Settings {
        location: place.location.clone(),
        spool: folder.join("spool"),
        spool_bytes: 1 << 24,
        server: "test".into(),
        redaction: Redaction::default(),
        keys: None,
    }
}

fn filled(place: &Place, count: u64) -> Store {
    let store = Store::start(settings(place)).unwrap();
    for number in 0..count {
        store.put(move || Some(call(number)));
    }
    assert!(store.settle(LONG));
    store
}

fn ids(page: &Page) -> Vec<u64> {
    page.calls.iter().map(|call| call.id[2..].parse().unwrap()).collect()
}

#[test]
fn a_call_comes_out_as_it_went_in() {
    check_a_call_comes_out_as_it_went_in(&Place::sqlite());
}

fn check_a_call_comes_out_as_it_went_in(place: &Place) {
    let store = filled(place, 3);
    let mut expected = call(1);
    expected.server = "test".into();
    assert_eq!(store.show(&expected.id).wait().unwrap(), Some(expected.clone()));
    assert_eq!(store.show("CA").wait().unwrap(), None);
    let page = store.list(Filter::default()).wait().unwrap();
    assert_eq!(ids(&page), [2, 1, 0]);
    insta::assert_json_snapshot!("listed", page.calls[1]);
}

#[test]
fn calls_are_found() {
    check_calls_are_found(&Place::sqlite());
}

fn check_calls_are_found(place: &Place) {
    let store = filled(place, 30);
    let found = |filter: Filter| ids(&store.list(filter).wait().unwrap());
    let base = Filter::default;
    assert_eq!(found(Filter { number: Some("+14155550007".into()), ..base() }), [7]);
    assert_eq!(found(Filter { number: Some("+1415555002*".into()), ..base() }).len(), 10);
    assert_eq!(found(Filter { agent: Some("booking".into()), ..base() }).len(), 15);
    assert_eq!(found(Filter { verdict: Some("achieved".into()), ..base() }).len(), 10);
    assert_eq!(found(Filter { words: Some("MARGHERITA 17".into()), ..base() }), [17]);
    assert_eq!(found(Filter { words: Some("margh* 2*".into()), ..base() }).len(), 11);
    assert_eq!(found(Filter { words: Some("\" OR ) funghi".into()), ..base() }), [0; 0]);
    assert_eq!(found(Filter { errors: Some(true), ..base() }), [0; 0]);
    assert_eq!(found(Filter { slower_than_ms: Some(3_700), limit: Some(500), ..base() }).len(), 30);
    assert_eq!(found(Filter { slower_than_ms: Some(3_701), ..base() }), [0; 0]);
    let (since_ms, until_ms) = (Some(call(5).started_at_ms), Some(call(8).started_at_ms));
    assert_eq!(found(Filter { since_ms, until_ms, ..base() }), [7, 6, 5]);
}

#[test]
fn pages_have_each_call_once_while_new_ones_come() {
    check_pages_have_each_call_once_while_new_ones_come(&Place::sqlite());
}

fn check_pages_have_each_call_once_while_new_ones_come(place: &Place) {
    let store = filled(place, 25);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(Filter { limit: Some(4), after, ..Filter::default() }).wait().unwrap();
        seen.extend(ids(&page));
        let new = 100 + seen.len() as u64;
        store.put(move || Some(call(new)));
        assert!(store.settle(LONG));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25).rev().collect::<Vec<_>>());
    let bad = Filter { after: Some("x".into()), ..Filter::default() };
    assert!(matches!(store.list(bad).wait(), Err(StoreError::Cursor)));
}

#[test]
fn a_newer_revision_takes_an_older_ones_place_and_not_the_other_way() {
    check_a_newer_revision_takes_an_older_ones_place_and_not_the_other_way(&Place::sqlite());
}

fn check_a_newer_revision_takes_an_older_ones_place_and_not_the_other_way(place: &Place) {
    let store = filled(place, 1);
    for (rev, status) in [(3, "three"), (2, "two")] {
        store.put(move || Some(Document { rev, status: status.into(), ..call(0) }));
    }
    assert!(store.settle(LONG));
    assert_eq!(store.show(&call(0).id).wait().unwrap().unwrap().status, "three");
    assert_eq!(store.list(Filter::default()).wait().unwrap().calls.len(), 1);
}

#[test]
fn calls_that_a_crash_cut_off_are_marked_as_lost() {
    check_calls_that_a_crash_cut_off_are_marked_as_lost(&Place::sqlite());
}

fn check_calls_that_a_crash_cut_off_are_marked_as_lost(place: &Place) {
    let running = Document { state: State::InProgress, ..call(0) };
    let id = running.id.clone();
    {
        let store = Store::start(settings(place)).unwrap();
        store.put(move || Some(running));
        assert!(store.settle(LONG));
    }
    let store = filled(place, 0);
    store.put(|| Some(call(1)));
    assert!(store.settle(LONG));
    assert_eq!(store.show(&id).wait().unwrap().unwrap().state, State::Lost);
}

#[test]
fn a_report_sums_calls_up() {
    check_a_report_sums_calls_up(&Place::sqlite());
}

fn check_a_report_sums_calls_up(place: &Place) {
    let store = filled(place, 20);
    store.put(|| {
        let mut bad = call(20);
        bad.errors = vec![Problem { at_ms: 1, message: "the voice stalled".into() }; 3];
        bad.cost = Some(Cost { total: 0.25, ..Cost::default() });
        Some(bad)
    });
    assert!(store.settle(LONG));
    let report = store.report(Filter::default()).wait().unwrap();
    assert_eq!((report.calls, report.errors, report.duration_ms), (21, 3, 84_000));
    assert_eq!(report.agents, [("booking".to_owned(), 10), ("pizza".to_owned(), 11)].into());
    assert_eq!(report.verdicts["achieved"], 7);
    let last = report.stages.last().unwrap();
    // Each call has an answer after 800 ms and one after 3700 ms.
    assert_eq!((last.name.as_str(), last.count, last.p50_ms, last.p95_ms), ("first_frame", 42, 800, 3_700));
    assert_eq!(report.answer_times.iter().map(|(_, count)| count).sum::<u64>(), 42);
    assert_eq!(report.worst[0].id, call(20).id);
    assert!((report.cost - 0.25).abs() < 1e-9 && report.providers.contains_key("voice"));
    let pizza = store.report(Filter { agent: Some("pizza".into()), ..Filter::default() }).wait().unwrap();
    assert_eq!(pizza.calls, 11);
}

/// Every file below a folder.
fn files(folder: &Path, all: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, all) } else { all.push(std::fs::read(path).unwrap()) }
    }
}

fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let mut all = Vec::new();
    files(folder, &mut all);
    all.iter().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

#[test]
fn a_deletion_leaves_no_byte_and_nothing_comes_back() {
    check_a_deletion_leaves_no_byte_and_nothing_comes_back(&Place::sqlite());
}

fn check_a_deletion_leaves_no_byte_and_nothing_comes_back(place: &Place) {
    let store = filled(place, 40);
    let number = "+14155550007";
    let rare = |store: &Store| {
        store.put(|| {
            let mut document = call(7);
            document.rev = 2;
            document.turns.push(turn(Speaker::Caller, 5_000, "xylophone quagmire"));
            Some(document)
        });
        assert!(store.settle(LONG));
    };
    rare(&store);
    let folder = &place.folder;
    let is_file = matches!(place.location, Location::Sqlite(_));
    assert!(!is_file || holds(folder.path(), number.as_bytes()) && holds(folder.path(), b"xylophone"));
    let receipt = store.delete(Subject::Number(number.into(), None)).wait().unwrap();
    assert_eq!((receipt.calls.len(), receipt.failures.len()), (1, 0));
    assert!(receipt.rows > 3);
    for gone in [number.as_bytes(), b"xylophone", b"quagmire", call(7).id.as_bytes()] {
        assert!(!holds(folder.path(), gone), "{}", String::from_utf8_lossy(gone));
    }
    // What comes late of it, such as a status callback, is not kept.
    rare(&store);
    assert_eq!(store.show(&call(7).id).wait().unwrap(), None);
    assert!(!holds(folder.path(), b"xylophone"));
    assert_eq!(store.list(Filter { limit: Some(100), ..Filter::default() }).wait().unwrap().calls.len(), 39);
    let receipt = store.delete(Subject::Before(call(10).started_at_ms, None)).wait().unwrap();
    assert_eq!(receipt.calls.len(), 9);
}

#[test]
fn a_tenant_deletes_its_own_calls_alone() {
    check_a_tenant_deletes_its_own_calls_alone(&Place::sqlite());
}

fn check_a_tenant_deletes_its_own_calls_alone(place: &Place) {
    let store = Store::start(settings(place)).unwrap();
    let put = |number: u64, tenant: &'static str| {
        store.put(move || {
            Some(Document { tenant: tenant.into(), from: "+14155550199".into(), ..call(number) })
        });
    };
    (0..6).for_each(|number| put(number, if number % 2 == 0 { "blue" } else { "red" }));
    assert!(store.settle(LONG));
    let delete = |subject: Subject| store.delete(subject).wait().unwrap().ids.len();
    let red = || Some("red".to_owned());
    assert_eq!(delete(Subject::Call(call(0).id, red())), 0);
    assert_eq!(delete(Subject::Call(call(1).id, red())), 1);
    // What isn't there yet is not kept out either.
    assert_eq!(delete(Subject::Call(call(6).id, red())), 0);
    put(6, "blue");
    assert!(store.settle(LONG));
    assert_eq!(delete(Subject::Number("+14155550199".into(), red())), 2);
    // Nor does anybody write over another's.
    store.put(|| Some(Document { tenant: "red".into(), rev: 9, ..call(2) }));
    assert!(store.settle(LONG));
    let left = store.list(Filter::default()).wait().unwrap();
    assert_eq!(ids(&left), [6, 4, 2, 0]);
    assert!(left.calls.iter().all(|call| call.tenant == "blue"));
}

#[test]
fn an_encrypted_store_is_searched_and_tells_no_thief_anything() {
    check_an_encrypted_store(&Place::sqlite());
}

fn check_an_encrypted_store(place: &Place) {
    let key = |byte: char| format!("{}=", byte.to_string().repeat(43));
    let keys = |text: &str| Some(Keys::parse(text).unwrap());
    let old = key('A');
    let store = Store::start(Settings { keys: keys(&old), ..settings(place) }).unwrap();
    for number in 0..10 {
        store.put(move || Some(call(number)));
    }
    assert!(store.settle(LONG));
    drop(store);
    // A new key, and the old one behind it.
    let both = format!("{},{old}", key('B').replace('B', "E"));
    let store = Store::start(Settings { keys: keys(&both), ..settings(place) }).unwrap();
    store.put(|| Some(call(10)));
    assert!(store.settle(LONG));
    let found = |filter: Filter| store.list(filter).wait().map(|page| ids(&page));
    let words = |words: &str| Filter { words: Some(words.into()), ..Filter::default() };
    assert_eq!(found(words("Margherita 7")).unwrap(), [7]);
    assert_eq!(found(words("margherita")).unwrap().len(), 11);
    let by_number = |number: &str| Filter { number: Some(number.into()), ..Filter::default() };
    assert_eq!(found(by_number("+14155550010")).unwrap(), [10]);
    assert!(matches!(found(words("marg*")), Err(StoreError::Hidden)));
    assert!(matches!(found(by_number("+1415*")), Err(StoreError::Hidden)));
    assert_eq!(store.show(&call(3).id).wait().unwrap().unwrap().turns, call(3).turns);
    let page = store.list(Filter::default()).wait().unwrap();
    assert_eq!((page.calls[0].from.as_str(), page.calls[10].from.as_str()), ("+14155550010", "+14155550000"));
    for secret in ["margherita", "4155550003", "Mario"] {
        assert!(!holds(place.folder.path(), secret.as_bytes()), "{secret}");
    }
    assert_eq!(store.delete(Subject::Number("+14155550003".into(), None)).wait().unwrap().calls.len(), 1);
    drop(store);
    let mut thief = open(&place.location, keys(&key('I'))).unwrap();
    assert!(matches!(thief.show(&call(4).id), Err(StoreError::Damaged { .. })));
}

/// A writer that may die, and whose database may be away.
fn writer(folder: &Path, away: &Arc<AtomicBool>) -> Writer {
    let location = Location::Sqlite(folder.join("calls.db"));
    let away = Arc::clone(away);
    let connect: Connect = Box::new(move || {
        if away.load(Ordering::Relaxed) { Err(StoreError::Away("pulled".into())) } else { location.connect() }
    });
    let spool = Spool::open(&folder.join("spool"), 1 << 24).unwrap();
    Writer::new(connect, ("test".into(), Redaction::default(), None), spool, Arc::<Counters>::default())
}

/// What happens to a writer.
#[derive(Clone, Debug)]
enum Act {
    /// These calls are over, in one batch.
    Put(Vec<u64>),
    /// The database goes away, or comes back.
    Away(bool),
    /// The process dies after so many steps.
    Die(u32),
    /// The database is tried again.
    Retry,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => proptest::collection::vec(0u64..12, 1..5).prop_map(Act::Put),
        1 => any::<bool>().prop_map(Act::Away),
        2 => (0u32..9).prop_map(Act::Die),
        1 => Just(Act::Retry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Wherever a crash comes between two steps of the writer and the spool: what was acknowledged is there once, in its newest
    /// revision, and nothing is there twice.
    #[test]
    fn nothing_is_lost_or_doubled(acts in proptest::collection::vec(act(), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let away = Arc::new(AtomicBool::new(false));
        let mut writing = writer(folder.path(), &away);
        let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
        let mut rev = 0;
        for act in acts {
            match act {
                Act::Away(is_away) => {
                    away.store(is_away, Ordering::Relaxed);
                    writing.drop_connection();
                }
                Act::Die(steps) => writing.dies_in = Some(steps),
                Act::Retry => {
                    if catch_unwind(AssertUnwindSafe(|| writing.replay())).is_err() {
                        writing = writer(folder.path(), &away);
                    }
                }
                Act::Put(numbers) => {
                    rev += 1;
                    let documents = numbers.iter().map(|number| Document { rev, ..call(*number) }).collect();
                    match catch_unwind(AssertUnwindSafe(|| writing.put(documents))) {
                        Ok(()) => acknowledged.extend(numbers.iter().map(|number| (*number, rev))),
                        Err(_) => writing = writer(folder.path(), &away),
                    }
                }
            }
        }
        drop(writing);
        away.store(false, Ordering::Relaxed);
        let mut last = writer(folder.path(), &away);
        last.replay();
        last.put(vec![call(99)]);
        let mut archive = open(&Location::Sqlite(folder.path().join("calls.db")), None).unwrap();
        for (number, rev) in acknowledged {
            let document = archive.show(&call(number).id).unwrap();
            prop_assert!(document.is_some_and(|document| document.rev >= rev), "call {number} in revision {rev}");
        }
        let mut database = Location::Sqlite(folder.path().join("calls.db")).connect().unwrap();
        for (sql, each) in [
            ("SELECT COUNT(*) FROM turns", 3),
            ("SELECT COUNT(*) FROM tools", 1),
            ("SELECT COUNT(*) FROM words", 1),
        ] {
            let count = |database: &mut dyn Database, sql: &str| match database.query(sql, &[]).unwrap()[0][0] {
                Value::Int(count) => count,
                _ => unreachable!(),
            };
            let calls = count(&mut *database, "SELECT COUNT(*) FROM calls");
            prop_assert_eq!(count(&mut *database, sql), calls * each, "{}", sql);
        }
    }
}

#[test]
fn a_full_spool_is_counted_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let away = Arc::new(AtomicBool::new(true));
    let counters = Arc::<Counters>::default();
    let location = Location::Sqlite(folder.path().join("calls.db"));
    let is_away = Arc::clone(&away);
    let connect: Connect = Box::new(move || {
        if is_away.load(Ordering::Relaxed) {
            Err(StoreError::Away("pulled".into()))
        } else {
            location.connect()
        }
    });
    let spool = Spool::open(&folder.path().join("spool"), 6_000).unwrap();
    let mut writer =
        Writer::new(connect, ("test".into(), Redaction::default(), None), spool, Arc::clone(&counters));
    for number in 0..20 {
        writer.put(vec![call(number)]);
    }
    let (spooled, lost) = (counters.spooled.load(Ordering::Relaxed), counters.lost.load(Ordering::Relaxed));
    assert!(spooled > 0 && lost > 0 && spooled + lost == 20, "{spooled} {lost}");
    away.store(false, Ordering::Relaxed);
    writer.replay();
    assert_eq!(counters.written.load(Ordering::Relaxed), spooled);
    assert_eq!(counters.spool_bytes.load(Ordering::Relaxed), 0);
}

/// The same in PostgreSQL, and a server that is killed in between.
#[test]
fn postgresql_keeps_calls_the_same_way() {
    let Some(mut server) = server::Server::start() else { return };
    check_a_call_comes_out_as_it_went_in(&Place::postgres(&server, "t0"));
    check_calls_are_found(&Place::postgres(&server, "t1"));
    check_pages_have_each_call_once_while_new_ones_come(&Place::postgres(&server, "t2"));
    check_a_newer_revision_takes_an_older_ones_place_and_not_the_other_way(&Place::postgres(&server, "t3"));
    check_calls_that_a_crash_cut_off_are_marked_as_lost(&Place::postgres(&server, "t4"));
    check_a_deletion_leaves_no_byte_and_nothing_comes_back(&Place::postgres(&server, "t5"));
    check_a_tenant_deletes_its_own_calls_alone(&Place::postgres(&server, "tenants"));
    check_a_report_sums_calls_up(&Place::postgres(&server, "report"));
    check_an_encrypted_store(&Place::postgres(&server, "sealed"));
    let place = Place::postgres(&server, "killed");
    let store = Store::start(settings(&place)).unwrap();
    for number in 0..300 {
        if number == 100 {
            server.kill();
        }
        if number == 200 {
            server.run();
        }
        store.put(move || Some(call(number)));
        std::thread::sleep(Duration::from_millis(2));
    }
    for _ in 0..600 {
        if store.counters().spool_bytes.load(Ordering::Relaxed) == 0 && store.settle(LONG) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(store.counters().spooled.load(Ordering::Relaxed) > 0, "the kill came too late to show anything");
    assert_eq!(store.counters().lost.load(Ordering::Relaxed), 0);
    let mut archive = open(&place.location, None).unwrap();
    let page = archive.list(&Filter { limit: Some(500), ..Filter::default() }).unwrap();
    assert_eq!(ids(&page), (0..300).rev().collect::<Vec<_>>());
}
