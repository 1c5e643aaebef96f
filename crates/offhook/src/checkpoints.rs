//! What calls need to go on, should this process end: written while they last, taken in by the process that comes after.
//!
//! Each process has a folder of its own in `live`, and holds a lock there until it ends, however it ends. One that starts takes in the
//! folders that nobody holds: servers that share a disk leave each other's calls alone. A thread of its own writes; of a call that
//! is ahead of the disk it writes the newest alone, so that what waits is bounded by the number of calls. Nothing is flushed:
//! what is written survives the process, and the machine's own end no call survives.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded};
use offhook_store::Keys;
use rustix::fs::{FlockOperation, flock};

use crate::keeper::safe;

/// Twilio asks what is next within seconds: a call that was left longer ago has ended otherwise.
const LEFT_WITHIN: Duration = Duration::from_secs(120);
/// What is read of a file at most: a transcript's longest.
const LONGEST: u64 = 4 * 1024 * 1024;
/// So many calls are taken in at most.
const MOST: usize = 10_000;
const LOCK: &str = "lock";

/// What is to be written of each call; `None`: it is over.
type Latest = Mutex<BTreeMap<String, Option<Vec<u8>>>>;

/// Writes checkpoints of calls.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
    keys: Option<Keys>,
    latest: Arc<Latest>,
    wake: Sender<Option<Sender<()>>>,
    failures: Arc<AtomicU64>,
    /// Held for as long as the process lives.
    _lock: File,
}

impl Checkpoints {
    /// Begins a folder in `base`, and gives what processes that have ended left there. `keys`: what is written is sealed by them.
    ///
    /// # Errors
    /// If nothing can be written there.
    pub(crate) fn start(base: &Path, keys: Option<Keys>) -> anyhow::Result<(Self, Vec<Vec<u8>>)> {
        let all = base.join("live");
        let mut name = [0; 8];
        getrandom::fill(&mut name)?;
        let name: String = name.iter().map(|octet| format!("{octet:02x}")).collect();
        let folder = all.join(name);
        let make = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            let lock = private().open(folder.join(LOCK))?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            Ok::<_, io::Error>(lock)
        };
        let lock = make().with_context(|| format!("can't write in the folder {}", folder.display()))?;
        let left = take_over(&all, &folder);
        let open = |(path, bytes): (PathBuf, Vec<u8>)| {
            let opened = Keys::open(keys.as_ref(), &bytes);
            opened
                .inspect_err(|error| tracing::warn!(%error, path = %path.display(), "a call can't go on"))
                .ok()
        };
        let opened = left.into_iter().filter_map(open).collect();
        let (wake, woken) = bounded(64);
        let latest: Arc<Latest> = Arc::default();
        let failures: Arc<AtomicU64> = Arc::default();
        let shared = (folder.clone(), Arc::clone(&latest), Arc::clone(&failures));
        std::thread::Builder::new()
            .name("checkpoints".into())
            .spawn(move || run(&shared.0, &woken, &shared.1, &shared.2))?;
        Ok((Self { folder, keys, latest, wake, failures, _lock: lock }, opened))
    }

    /// Keeps what a call needs to go on.
    pub(crate) fn save(&self, call: &str, bytes: Vec<u8>) {
        let sealed = match &self.keys {
            Some(keys) => keys.seal(&bytes),
            None => Ok(bytes),
        };
        match sealed {
            Ok(sealed) => self.put(call, Some(sealed)),
            Err(error) => tracing::warn!(call, %error, "what the call needs to go on can't be encrypted"),
        }
    }

    /// The call is over: nothing goes on.
    pub(crate) fn forget(&self, call: &str) {
        self.put(call, None);
    }

    fn put(&self, call: &str, what: Option<Vec<u8>>) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).insert(safe(call), what);
        // A full queue wakes the thread as well.
        let _awake = self.wake.try_send(None);
    }

    /// What the disk did not take.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, but not for ever.
    pub(crate) fn settle(&self, within: Duration) {
        let (settled, wait) = bounded(1);
        if self.wake.send_timeout(Some(settled), within).is_ok() {
            let _settled = wait.recv_timeout(within);
        }
        // Only if no call is left in it.
        let calls = std::fs::read_dir(&self.folder).map_or(1, |entries| entries.flatten().count());
        if calls == 1 {
            let _gone = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
}

fn run(folder: &Path, woken: &Receiver<Option<Sender<()>>>, latest: &Latest, failures: &AtomicU64) {
    for settled in woken {
        let all = std::mem::take(&mut *latest.lock().unwrap_or_else(PoisonError::into_inner));
        for (call, what) in all {
            let path = folder.join(format!("{call}.json"));
            let outcome = match what {
                Some(bytes) => write(&path, &bytes),
                None => std::fs::remove_file(&path).or_else(|error| match error.kind() {
                    io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                }),
            };
            if let Err(error) = outcome {
                failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(call, %error, "what the call needs to go on after a crash could not be written");
            }
        }
        if let Some(settled) = settled {
            // Nobody may wait any more.
            let _unheard = settled.try_send(());
        }
    }
}

/// Whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("part");
    let outcome = private()
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&temporary, path));
    if outcome.is_err() {
        let _gone = std::fs::remove_file(&temporary);
    }
    outcome
}

/// Moves what processes that have ended left behind into this one's folder, and gives it.
fn take_over(all: &Path, own: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut left = Vec::new();
    for folder in entries(all).filter(|folder| folder != own) {
        let Ok(lock) = OpenOptions::new().write(true).open(folder.join(LOCK)) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue; // its process lives
        }
        for path in entries(&folder).filter(|path| path.extension().is_some_and(|it| it == "json")) {
            let Some(name) = path.file_name() else { continue };
            let moved = own.join(name);
            if left.len() < MOST
                && is_fresh(&path)
                && std::fs::rename(&path, &moved).is_ok()
                && let Ok(bytes) = std::fs::read(&moved)
            {
                left.push((moved, bytes));
            }
        }
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            tracing::warn!(%error, folder = %folder.display(), "calls that are over can't be removed");
        }
    }
    left
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn is_fresh(path: &Path) -> bool {
    let Ok(about) = std::fs::symlink_metadata(path) else { return false };
    // A clock that was set back makes what is there newer than now.
    let age = about.modified().map(|at| at.elapsed().unwrap_or_default());
    about.is_file() && about.len() < LONGEST && age.is_ok_and(|age| age < LEFT_WITHIN)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_dead_process_left_is_taken_in_and_a_living_ones_is_not() {
        let base = tempfile::tempdir().unwrap();
        let start = || Checkpoints::start(base.path(), None).unwrap();
        let (first, left) = start();
        assert!(left.is_empty());
        for text in ["one", "two", "three"] {
            first.save("CA1", text.into());
        }
        first.save("CA2", b"over".to_vec());
        first.forget("CA2");
        first.settle(LONG);
        let (second, left) = start();
        assert!(left.is_empty(), "its process lives");
        second.settle(LONG);
        assert!(!second.folder.exists(), "nothing is left of who had no calls");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&first.folder), mode(&first.folder.join("CA1.json"))), (0o700, 0o600));
        let folder = first.folder.clone();
        drop(first);
        let (third, left) = start();
        assert_eq!(left, [b"three".to_vec()]);
        assert!(!folder.exists() && third.folder.join("CA1.json").exists(), "it is this process's now");
        // What is old is over.
        let file = File::options().write(true).open(third.folder.join("CA1.json")).unwrap();
        file.set_modified(SystemTime::now() - 2 * LEFT_WITHIN).unwrap();
        drop(third);
        assert!(start().1.is_empty());
    }

    #[test]
    fn with_keys_nothing_can_be_read() {
        let base = tempfile::tempdir().unwrap();
        let keys = || Keys::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let (first, _) = Checkpoints::start(base.path(), Some(keys())).unwrap();
        first.save("CA1", b"my name is Ann".to_vec());
        first.settle(LONG);
        let written = std::fs::read(first.folder.join("CA1.json")).unwrap();
        assert!(!written.windows(3).any(|part| part == b"Ann"));
        drop(first);
        let (_second, left) = Checkpoints::start(base.path(), Some(keys())).unwrap();
        assert_eq!(left, [b"my name is Ann".to_vec()]);
    }

    #[test]
    fn a_folder_that_can_not_be_written_to_is_told_at_the_start() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Checkpoints::start(file.path(), None).is_err());
    }
}
