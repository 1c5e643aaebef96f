//! What a thousand calls leave behind while providers fail: nothing.

use std::sync::PoisonError;
use std::time::Duration;

use offhook_doubles::{Doubles, FaultRule, Moment};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::case::{self, SUBJECTS};
use super::line::{Mood, Said, call};
use super::time::{Pace, run};
use super::{ALONE, count_panics};

const CALLS: u64 = 1_000;
const AT_ONCE: usize = 50;
/// What memory may grow by from the 300th call to the last: rings, caches and the allocator's own find their size before.
const MOST_GROWTH_KB: u64 = 24 * 1024;

/// Files that other tests of this program may have open.
const OTHERS: usize = 16;

/// Resident memory.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Open files and sockets.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Doubles of which one kind fails about every other time, in some way, at some moment.
async fn unreliable(subject: case::Subject, random: &mut fastrand::Rng) -> Doubles {
    let mut rules = Vec::new();
    for fault in case::faults() {
        let at = match random.u8(0..4) {
            0 => None,
            1 => Some(Moment::Before(random.u64(1..8))),
            2 => Some(Moment::During(random.u64(1..8))),
            _ => Some(Moment::After(random.u64(1..8))),
        };
        let always = FaultRule::always(subject.stage, fault);
        rules.push(FaultRule { at, probability: Some(0.04), ..always });
    }
    random.shuffle(&mut rules);
    Doubles::start(case::config(rules)).await.unwrap()
}

/// Waits until something has become true; callers and providers leave in their own time.
async fn soon(what: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while !what() {
        if Instant::now() > until {
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
    true
}

#[test]
fn a_thousand_calls_with_faults_leave_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let panics = count_panics();
    run(Pace::Virtual, async {
        let folder = tempfile::tempdir().unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let line = [Said::fixture("pizza-4")];
        let metrics = tokio::runtime::Handle::current().metrics();
        let files = open_files();
        let mut doubles = Vec::new();
        let mut agents = Vec::new();
        for subject in SUBJECTS {
            let its = unreliable(subject, &mut random).await;
            agents.push(case::agent(&its, subject, folder.path(), false, true));
            doubles.push(its);
        }
        let tasks = metrics.num_alive_tasks();
        let mut calls = JoinSet::new();
        let mut resident = 0;
        for number in 0..CALLS {
            if calls.len() >= AT_ONCE {
                calls.join_next().await.unwrap().unwrap();
            }
            if number == 300 {
                resident = resident_kb();
            }
            let agent = agents[usize::try_from(number).unwrap() % agents.len()].clone();
            let leaves_after = Some(Duration::from_millis(random.u64(20..3_500)));
            let line = line.clone();
            calls.spawn_local(async move { call(&agent, &line, Mood { leaves_after }, || {}).await });
        }
        calls.join_all().await;
        let grown = resident_kb().saturating_sub(resident);
        // Connections that an agent keeps for its next call are its own: they go with it.
        drop(agents);
        let open = || doubles.iter().map(Doubles::connections).sum::<usize>();
        assert!(soon(|| open() == 0).await, "{} connections to providers are left", open());
        let alive = || metrics.num_alive_tasks();
        assert!(soon(|| alive() <= tasks).await, "{} tasks are left, there were {tasks}", alive());
        drop(doubles);
        assert!(
            soon(|| open_files() <= files + OTHERS).await,
            "{} files are open, there were {files}",
            open_files()
        );
        assert!(grown < MOST_GROWTH_KB, "memory grew by {grown} kB in {} calls", CALLS - 300);
    });
    assert_eq!(panics.load(std::sync::atomic::Ordering::Relaxed), 0, "something panicked");
}
