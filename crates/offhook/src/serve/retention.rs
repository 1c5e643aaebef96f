//! Calls that are old enough, or too many for the disk, are deleted: documents, tapes, sound.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use offhook_store::{Receipt, Store, Subject};

use crate::calls::CallRegistry;
use crate::tenants::Scope;

/// Looked for so often.
const EVERY: Duration = Duration::from_secs(60);
/// A clock that steps forward by more than this makes everything old at once: for as long nothing is deleted by its age, so that it
/// can be set right.
const STEP: Duration = Duration::from_secs(3_600);

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// So long after a call began.
    pub(super) keep_for: Option<Duration>,
    /// So many octets of calls' files in the folder.
    pub(super) keep_bytes: Option<u64>,
}

/// Starts the thread; it ends with the server.
pub(super) fn start(registry: &Arc<CallRegistry>, store: &Store, limits: Limits) -> anyhow::Result<()> {
    if limits.keep_for.is_none() && limits.keep_bytes.is_none() {
        return Ok(());
    }
    let (registry, store) = (Arc::downgrade(registry), store.clone());
    let thread = std::thread::Builder::new().name("retention".into());
    thread.spawn(move || run(&registry, &store, limits)).context("the thread that deletes old calls")?;
    Ok(())
}

fn run(registry: &Weak<CallRegistry>, store: &Store, limits: Limits) {
    let (mut looked, mut waits) = ((SystemTime::now(), Instant::now()), None);
    while let Some(calls) = registry.upgrade() {
        let now = (SystemTime::now(), Instant::now());
        if stepped(looked, now) {
            tracing::error!(
                "the clock went forward by hours at once: for an hour nothing is deleted by its age"
            );
            waits = Some(now.1 + STEP);
        }
        looked = now;
        if let Some(keep_for) = limits.keep_for.filter(|_| waits.is_none_or(|until| now.1 >= until)) {
            delete(&calls, store, Subject::Before(too_old(SystemTime::now(), keep_for), None));
        }
        if let (Some(most), Some(folder)) = (limits.keep_bytes, calls.folder()) {
            let in_progress = |sid: &str| calls.call(sid).is_some_and(|live| !live.is_over());
            for sid in too_many(files(folder), most, in_progress) {
                delete(&calls, store, Subject::Call(sid, None));
            }
        }
        drop(calls);
        std::thread::sleep(EVERY);
    }
}

fn delete(calls: &CallRegistry, store: &Store, subject: Subject) {
    match store.delete(subject).wait() {
        Ok(mut receipt) if !receipt.ids.is_empty() => {
            calls.forget(&mut receipt, &Scope::Operator);
            let Receipt { ids, objects, object_bytes, failures, .. } = receipt;
            let (count, failures) = (ids.len(), failures.len());
            tracing::info!(calls = count, objects, bytes = object_bytes, failures, "old calls were deleted");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "old calls could not be deleted; it is tried again"),
    }
}

/// Whether the clock on the wall went forward much further than time did.
fn stepped(before: (SystemTime, Instant), now: (SystemTime, Instant)) -> bool {
    let passed = now.1.saturating_duration_since(before.1);
    now.0.duration_since(before.0).is_ok_and(|shown| shown > passed + STEP)
}

/// What began before this is too old, in milliseconds since 1970.
fn too_old(now: SystemTime, keep_for: Duration) -> i64 {
    let bound = now.checked_sub(keep_for).unwrap_or(UNIX_EPOCH);
    let bound = bound.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    i64::try_from(bound).unwrap_or(0)
}

/// A call's files: their octets, and when one of them was last written.
type Files = BTreeMap<String, (u64, SystemTime)>;

fn files(folder: &Path) -> Files {
    let mut all = Files::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let stem = name.to_str().and_then(|name| name.split(['.', '_']).next()).unwrap_or_default();
        let Ok(about) = entry.metadata() else { continue };
        // The database, the spool and what else is there are no calls.
        if stem.starts_with("CA") && about.is_file() {
            let (bytes, written) = all.entry(stem.to_owned()).or_insert((0, UNIX_EPOCH));
            *bytes += about.len();
            *written = about.modified().unwrap_or(UNIX_EPOCH).max(*written);
        }
    }
    all
}

/// The calls that have to go, the oldest first, so that no more than `most` octets are left. Those in progress stay.
fn too_many(files: Files, most: u64, in_progress: impl Fn(&str) -> bool) -> Vec<String> {
    let mut total: u64 = files.values().map(|(bytes, _)| bytes).sum();
    let mut by_age: Vec<_> = files.into_iter().map(|(sid, (bytes, written))| (written, bytes, sid)).collect();
    by_age.sort_unstable();
    let mut gone = Vec::new();
    for (_, bytes, sid) in by_age {
        if total <= most {
            break;
        }
        if !in_progress(&sid) {
            total -= bytes;
            gone.push(sid);
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_steps_forward_deletes_nothing_at_once() {
        let (wall, steady) = (SystemTime::now(), Instant::now());
        let later = |wall_s: u64, steady_s: u64| {
            (wall + Duration::from_secs(wall_s), steady + Duration::from_secs(steady_s))
        };
        assert!(!stepped((wall, steady), later(60, 60)));
        assert!(!stepped((wall, steady), later(60 + 3_000, 60)), "summer time and the like are no step");
        assert!(stepped((wall, steady), later(86_400, 60)));
        assert!(!stepped((wall, steady), (wall - Duration::from_secs(86_400), steady)));
    }

    #[test]
    fn the_oldest_calls_go_until_the_rest_fits() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize, age_s: u64| {
            let path = folder.path().join(name);
            std::fs::write(&path, vec![0; bytes]).unwrap();
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age_s)).unwrap();
        };
        write("CA1.json", 100, 50);
        write("CA1_2.tape.jsonl", 300, 400);
        write("CA2.wav", 400, 300);
        write("CA3.json", 500, 600);
        write("CA4.json", 10, 10);
        write("calls.db", 100_000, 1_000);
        let gone = |most, busy: &str| too_many(files(folder.path()), most, |sid| sid == busy);
        assert_eq!(gone(1_310, ""), Vec::<String>::new());
        assert_eq!(gone(1_309, ""), ["CA3"]);
        assert_eq!(gone(500, ""), ["CA3", "CA2"], "a call is as old as its newest file");
        assert_eq!(gone(1_309, "CA3"), ["CA2"], "calls in progress stay");
        assert_eq!(gone(0, "").len(), 4);
    }
}
