//! Never silent: whatever goes wrong with one provider, at whatever moment, the caller soon hears something, the call goes on
//! or ends in order, and nothing is left behind. Calls over sockets against doubles, on virtual time (see [`time`]); `make
//! faults` rehearses the same in real time.

mod case;
mod left_behind;
mod line;
mod time;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use case::{Case, SUBJECTS, When};
use line::{Mood, Said, Wait, call};
use offhook_doubles::{Fault, Stage};
use offhook_session::SessionEnd;
use time::Pace;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the caller may have to wait for a sound.
const PROMISE: Duration = Duration::from_secs(2);
/// Over the loopback, on a machine with nothing else to do. In real time thrice the caller's own lateness is added to it: from
/// the end of speech to the first sound, each of recogniser, model and voice waits for the busy machine.
const SLACK: Duration = Duration::from_millis(150);
/// Calls begin one after the other: else all callers would fall silent in the same moment.
const APART: Duration = Duration::from_millis(250);

const WHENS: [When; 3] = [When::Before, When::During, When::Between];

/// One test after the other: they count what the whole process has.
static ALONE: Mutex<()> = Mutex::new(());

/// What came of a case.
struct Row {
    case: Case,
    waits: Vec<Wait>,
    end: SessionEnd,
    events: Vec<String>,
}

impl Row {
    fn title(&self) -> String {
        let fault = self.case.fault.as_ref().map_or_else(|| "none".to_owned(), case::name);
        let slow = if self.case.slow_model { ", slow model" } else { "" };
        format!("{:<19}  {fault:<18}  {:?}{slow}", self.case.subject.name, self.case.when)
    }

    fn worst(&self) -> Option<Duration> {
        self.waits.iter().map(|wait| wait.sound).max_by_key(|sound| sound.unwrap_or(Duration::MAX))?
    }

    fn broken(&self) -> bool {
        let late = |wait: &Wait| wait.sound.is_none_or(|sound| sound > PROMISE + SLACK + 3 * wait.lateness);
        self.waits.iter().any(late) || matches!(self.end, SessionEnd::Failed(_))
    }

    fn line(&self) -> String {
        let waits: Vec<String> = self
            .waits
            .iter()
            .map(|wait| {
                let sound = wait.sound.map_or("never".to_owned(), |sound| sound.as_millis().to_string());
                format!("{sound}(+{})", wait.lateness.as_millis())
            })
            .collect();
        let mark = if self.broken() { "BROKEN" } else { "" };
        format!("{:<62} {:<40} {:?} {mark}", self.title(), waits.join(" "), self.end)
    }
}

/// Panics anywhere in this process, in a provider's task as well.
fn count_panics() -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        counted.fetch_add(1, Ordering::Relaxed);
        usual(info);
    }));
    count
}

/// Serves the cases, so many at a time, on a thread of its own as a server's worker does.
fn serve(cases: Vec<Case>, at_once: usize, ears: bool, pace: Pace) -> Vec<Row> {
    time::run(pace, async move {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let lines = Arc::new([Said::fixture("pizza-1"), Said::fixture("booking-3")]);
        let room = Arc::new(Semaphore::new(at_once));
        let mut calls = JoinSet::new();
        let began = Instant::now();
        for (at, case) in (0..).zip(cases) {
            let (folder, lines, room) = (Arc::clone(&folder), Arc::clone(&lines), Arc::clone(&room));
            calls.spawn_local(async move {
                let _room = room.acquire_owned().await.unwrap();
                tokio::time::sleep_until(began + APART * at).await;
                let (doubles, agent) = case.make(folder.path(), ears).await;
                let later = case.rules().1;
                let between = || later.into_iter().for_each(|rule| doubles.add_fault(rule));
                let went = call(&agent, lines.as_slice(), Mood::default(), between).await;
                Row { case, waits: went.waits, end: went.report.end, events: went.events }
            });
        }
        calls.join_all().await
    })
}

fn judge(rows: &mut [Row]) {
    rows.sort_by_key(|row| (row.title(), row.worst()));
    let table = rows.iter().map(Row::line).collect::<Vec<_>>().join("\n");
    if let Some(file) = std::env::var_os("OFFHOOK_FAULTS_TABLE") {
        std::fs::write(file, &table).unwrap();
    }
    let broken: Vec<&Row> = rows.iter().filter(|row| row.broken()).collect();
    let details = |row: &&Row| format!("{}\n    {}\n", row.line(), row.events.join("\n    "));
    assert!(
        broken.is_empty(),
        "{table}\n\n{} of {} broken:\n{}",
        broken.len(),
        rows.len(),
        broken.iter().map(details).collect::<String>()
    );
}

/// All of it, in this time.
fn matrix(pace: Pace) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let panics = count_panics();
    let mut cases: Vec<Case> = SUBJECTS.map(|subject| Case::new(subject, None, When::Before)).to_vec();
    for (at, subject) in SUBJECTS.into_iter().enumerate() {
        for (turn, fault) in case::faults().into_iter().enumerate() {
            let whens = if at < case::THOROUGH { &WHENS[..] } else { &WHENS[(at + turn) % 3..][..1] };
            cases.extend(whens.iter().map(|when| Case::new(subject, Some(fault.clone()), *when)));
        }
    }
    // A voice that hangs is needed for the filler, too.
    for subject in SUBJECTS.into_iter().filter(|subject| subject.stage == Stage::Tts) {
        for fault in [Fault::Hang, Fault::Stall] {
            let case = |when| Case { slow_model: true, ..Case::new(subject, Some(fault.clone()), when) };
            cases.extend(WHENS.map(case));
        }
    }
    if let Ok(only) = std::env::var("OFFHOOK_FAULTS_ONLY") {
        cases.retain(|case| {
            let fault = case.fault.as_ref().map_or_else(|| "none".to_owned(), case::name);
            format!("{} {fault} {:?} {}", case.subject.name, case.when, case.slow_model).contains(&only)
        });
    }
    // Worker by worker: one beside the other, so that each has some of everything.
    let half = cases.iter().skip(1).step_by(2).cloned().collect();
    let other = cases.into_iter().step_by(2).collect();
    let worker = std::thread::spawn(move || serve(half, 36, false, pace));
    let mut rows = serve(other, 36, false, pace);
    rows.extend(worker.join().unwrap());
    judge(&mut rows);
    assert_eq!(panics.load(Ordering::Relaxed), 0, "something panicked");
}

/// The chains as they are by default: PocketSphinx behind the recogniser. Few at once, for it needs a good part of a core.
fn embedded(pace: Pace) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let strike = |subject: usize, fault| Case::new(SUBJECTS[subject], Some(fault), When::Before);
    let cases = vec![
        strike(0, Fault::Hang),
        strike(0, Fault::Refuse),
        strike(2, Fault::Hang),
        strike(3, Fault::Hang),
    ];
    judge(&mut serve(cases, 2, true, pace));
}

#[test]
fn one_fault_of_one_provider_silences_no_call() {
    matrix(Pace::Virtual);
}

#[test]
fn the_embedded_stages_take_over_in_time() {
    embedded(Pace::Virtual);
}

#[test]
#[ignore = "measures real time, on a machine with nothing else to do: make faults"]
fn rehearsal_in_real_time() {
    matrix(Pace::Real);
    embedded(Pace::Real);
}
