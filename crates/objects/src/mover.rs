//! The thread that moves what is over into the bucket, fetches, and deletes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use rustix::fs::{FlockOperation, flock};
use tokio::sync::{mpsc, oneshot};

use crate::bucket::{Bucket, BucketError, Object};
use crate::journal::{Journal, Wanted};

/// The folders are looked through so often; after a failure later and later.
const EVERY: Duration = Duration::from_secs(5);
const LATEST: Duration = Duration::from_secs(300);
/// A file that nobody has written to for so long, and that nobody holds, is whole, if its call is over.
const QUIET: Duration = Duration::from_secs(5);
/// One of a call that this process doesn't know: another's, or from before a crash.
const QUIET_UNKNOWN: Duration = Duration::from_secs(60);
/// Uploads at the same time.
const AT_ONCE: usize = 8;
/// Requests that may wait.
const WAITING: usize = 1_024;

/// What is known of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is in progress.
    InProgress,
    /// It is over.
    Over,
    /// Nothing: it is another process's, or of one before this.
    Unknown,
}

/// Asked with a call's id.
pub type Ask = Box<dyn Fn(&str) -> Known + Send>;

/// What is moved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folders that calls are written in, each with its folder in the bucket: empty, or with a slash at its end.
    pub folders: Vec<(PathBuf, String)>,
    /// Octets that may wait in the folders for the bucket; beyond, the oldest are deleted, and counted.
    pub spool_bytes: u64,
    /// The file of deletions that the bucket has yet to take.
    pub journal: PathBuf,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Files that were uploaded.
    pub uploaded: AtomicU64,
    /// Their octets.
    pub uploaded_bytes: AtomicU64,
    /// Uploads and deletions that failed and are tried again.
    pub failed: AtomicU64,
    /// Files that were deleted before they were uploaded, because too many waited.
    pub dropped: AtomicU64,
    /// Octets that wait now.
    pub waiting_bytes: AtomicU64,
    /// Objects that were deleted.
    pub deleted: AtomicU64,
}

/// What came of a deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Objects that are gone.
    pub objects: u64,
    /// Their octets.
    pub bytes: u64,
    /// What could not be deleted yet, and why; it is tried again until it is.
    pub failures: Vec<String>,
}

#[derive(Debug)]
enum Job {
    Get(String, u64, oneshot::Sender<Result<Option<Vec<u8>>, BucketError>>),
    Delete(Vec<Wanted>, oneshot::Sender<Deleted>),
    List(String, oneshot::Sender<Result<Vec<Object>, BucketError>>),
    Look(oneshot::Sender<()>),
    /// Nothing is written any more: what is there goes up now.
    Last(std::sync::mpsc::Sender<()>),
}

/// Calls' files in a bucket; clones are the same.
#[derive(Clone, Debug)]
pub struct Objects {
    jobs: mpsc::Sender<Job>,
    folders: Arc<[(PathBuf, String)]>,
    counters: Arc<Counters>,
}

impl Objects {
    /// Starts the thread; it ends when nobody has this any more.
    ///
    /// # Errors
    /// The system's, or the journal can't be read.
    pub fn start(bucket: Bucket, settings: Settings, ask: Ask) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(WAITING);
        let counters = Arc::<Counters>::default();
        let folders: Arc<[(PathBuf, String)]> = settings.folders.clone().into();
        let journal = Journal::open(settings.journal.clone())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mover = Mover {
            bucket,
            settings,
            journal,
            counters: Arc::clone(&counters),
            ask,
            quiet: QUIET,
            told: false,
        };
        std::thread::Builder::new()
            .name("objects".into())
            .spawn(move || runtime.block_on(mover.run(queue)))?;
        Ok(Self { jobs, folders, counters })
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn folder(&self, folder: &Path) -> Option<&str> {
        self.folders.iter().find(|(known, _)| known == folder).map(|(_, key)| key.as_str())
    }

    /// Fetches a file of this folder's; `None` if the bucket has none.
    ///
    /// # Errors
    /// The bucket's, or if it has more octets than `most`.
    pub async fn get(&self, folder: &Path, name: &str, most: u64) -> Result<Option<Vec<u8>>, BucketError> {
        let Some(key) = self.folder(folder) else { return Ok(None) };
        let (answer, answered) = oneshot::channel();
        let job = Job::Get(format!("{key}{name}"), most, answer);
        self.jobs.send(job).await.map_err(|_| BucketError::Ended)?;
        answered.await.map_err(|_| BucketError::Ended)?
    }

    /// Deletes all files of these calls in these folders' places in the bucket, now or as soon as it can be reached. `names`: ids of
    /// calls, and names of their streams.
    pub fn delete(
        &self,
        folders: &[&Path],
        names: &BTreeSet<String>,
    ) -> impl Future<Output = Deleted> + use<> {
        let places: Vec<&str> = folders.iter().filter_map(|folder| self.folder(folder)).collect();
        let wanted: Vec<Wanted> = places
            .iter()
            .flat_map(|place| names.iter().map(|name| ((*place).to_owned(), name.clone())))
            .collect();
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.clone();
        async move {
            if wanted.is_empty() {
                return Deleted::default();
            }
            let ended = || Deleted { failures: vec![BucketError::Ended.to_string()], ..Deleted::default() };
            if jobs.send(Job::Delete(wanted, answer)).await.is_err() {
                return ended();
            }
            answered.await.unwrap_or_else(|_| ended())
        }
    }

    /// The objects of a folder's place in the bucket: their names, octets and ages. For threads that may wait.
    ///
    /// # Errors
    /// The bucket's.
    pub fn list(&self, folder: &Path) -> Result<Vec<Object>, BucketError> {
        let Some(key) = self.folder(folder) else { return Ok(Vec::new()) };
        let (answer, answered) = oneshot::channel();
        self.jobs.blocking_send(Job::List(key.to_owned(), answer)).map_err(|_| BucketError::Ended)?;
        let mut found = answered.blocking_recv().map_err(|_| BucketError::Ended)??;
        // What lies in a folder below is another's.
        found.retain_mut(|object| {
            object.key = object.key.strip_prefix(key).unwrap_or_default().to_owned();
            !object.key.is_empty() && !object.key.contains('/')
        });
        Ok(found)
    }

    /// The server ends, and its calls are over: uploads what is there, but not for ever. False if it took too long.
    pub fn settle(&self, within: Duration) -> bool {
        let (answer, answered) = std::sync::mpsc::channel();
        let sent = self.jobs.try_send(Job::Last(answer)).is_ok();
        sent && answered.recv_timeout(within).is_ok()
    }

    /// Looks through the folders now, and comes back when what is whole has been uploaded or tried.
    pub async fn look(&self) {
        let (answer, answered) = oneshot::channel();
        if self.jobs.send(Job::Look(answer)).await.is_ok() {
            let _ended = answered.await.is_err();
        }
    }
}

/// A file that can go up.
#[derive(Debug)]
struct Ready {
    path: PathBuf,
    key: String,
    bytes: u64,
    written: SystemTime,
}

struct Mover {
    bucket: Bucket,
    settings: Settings,
    journal: Journal,
    counters: Arc<Counters>,
    ask: Ask,
    quiet: Duration,
    /// The log has been told that the bucket is away.
    told: bool,
}

impl Mover {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut pause = EVERY;
        let mut next = tokio::time::Instant::now() + EVERY;
        loop {
            let job = tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => job,
                    None => return,
                },
                () = tokio::time::sleep_until(next) => {
                    pause = if self.look().await { EVERY } else { (pause * 2).min(LATEST) };
                    next = tokio::time::Instant::now() + pause;
                    continue;
                }
            };
            // Whoever asked may have gone.
            match job {
                Job::Get(key, most, answer) => {
                    let _gone = answer.send(self.bucket.get(&key, most).await).is_err();
                }
                Job::List(folder, answer) => {
                    let _gone = answer.send(self.bucket.list(&folder, "").await).is_err();
                }
                Job::Delete(wanted, answer) => {
                    let _gone = answer.send(self.delete(wanted).await).is_err();
                }
                Job::Look(answer) => {
                    self.look().await;
                    let _gone = answer.send(()).is_err();
                }
                Job::Last(answer) => {
                    self.quiet = Duration::ZERO;
                    self.look().await;
                    let _gone = answer.send(()).is_err();
                }
            }
        }
    }

    /// Uploads what is whole, and deletes what is still to be deleted. False if the bucket is away.
    async fn look(&mut self) -> bool {
        let open = self.journal.all();
        let mut well = open.is_empty() || self.delete(open).await.failures.is_empty();
        let ready = self.ready();
        let bucket = &self.bucket;
        let uploads = ready.iter().map(|file| async move { (file, bucket.put(&file.path, &file.key).await) });
        let mut uploads = futures_util::stream::iter(uploads).buffer_unordered(AT_ONCE);
        let mut broken = None;
        while let Some((file, outcome)) = uploads.next().await {
            match outcome {
                Ok(bytes) => {
                    self.counters.uploaded.fetch_add(1, Ordering::Relaxed);
                    self.counters.uploaded_bytes.fetch_add(bytes, Ordering::Relaxed);
                    remove(file);
                }
                Err(BucketError::File(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.counters.failed.fetch_add(1, Ordering::Relaxed);
                    broken = Some(error);
                    // The others would fail as well, and each would wait for it.
                    break;
                }
            }
        }
        drop(uploads);
        if let Some(error) = broken {
            well = false;
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!(%error, "files of calls can't be uploaded: they wait in the folder, and it is tried again");
            }
        } else if std::mem::take(&mut self.told) {
            tracing::info!("files of calls are uploaded again");
        }
        well
    }

    /// The files that are whole, the oldest first. Where too many wait, the oldest are deleted.
    fn ready(&self) -> Vec<Ready> {
        let mut ready = Vec::new();
        for (folder, place) in &self.settings.folders {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(name) =
                    name.to_str().filter(|name| name.starts_with("CA") && !name.ends_with(".part"))
                else {
                    continue;
                };
                let Ok(about) = entry.metadata() else { continue };
                let written = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                let quiet = SystemTime::now().duration_since(written).unwrap_or_default();
                let call = name.split(['.', '_']).next().unwrap_or_default();
                let whole = match (self.ask)(call) {
                    Known::InProgress => false,
                    Known::Over => quiet >= self.quiet,
                    Known::Unknown => quiet >= QUIET_UNKNOWN,
                };
                if whole && about.is_file() && !is_held(&entry.path()) {
                    let key = format!("{place}{name}");
                    ready.push(Ready { path: entry.path(), key, bytes: about.len(), written });
                }
            }
        }
        ready.sort_unstable_by_key(|file| file.written);
        let mut waiting: u64 = ready.iter().map(|file| file.bytes).sum();
        let mut dropped = 0;
        ready.retain(|file| {
            let too_many = waiting > self.settings.spool_bytes;
            if too_many && std::fs::remove_file(&file.path).is_ok() {
                waiting -= file.bytes;
                dropped += 1;
            }
            !too_many
        });
        if dropped > 0 {
            self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
            tracing::warn!(
                files = dropped,
                "too much waits for the bucket: the oldest files of calls were deleted"
            );
        }
        self.counters.waiting_bytes.store(waiting, Ordering::Relaxed);
        ready
    }

    async fn delete(&mut self, wanted: Vec<Wanted>) -> Deleted {
        let mut deleted = Deleted::default();
        if let Err(error) = self.journal.add(wanted.iter().cloned()) {
            deleted.failures.push(format!("{}: {error}", self.settings.journal.display()));
        }
        for (number, one) in wanted.iter().enumerate() {
            match self.delete_one(one).await {
                Ok((objects, bytes)) => {
                    deleted.objects += objects;
                    deleted.bytes += bytes;
                    self.counters.deleted.fetch_add(objects, Ordering::Relaxed);
                    if let Err(error) = self.journal.done(one) {
                        deleted.failures.push(format!("{}: {error}", self.settings.journal.display()));
                    }
                }
                Err(error) => {
                    self.counters.failed.fetch_add(1, Ordering::Relaxed);
                    let left = wanted.len() - number;
                    deleted.failures.push(format!(
                        "{error}; {left} deletions in the bucket are tried again until they are done"
                    ));
                    break;
                }
            }
        }
        deleted
    }

    async fn delete_one(&self, (folder, name): &Wanted) -> Result<(u64, u64), BucketError> {
        let mut found = self.bucket.list(folder, name).await?;
        // `CA1` isn't `CA12`; its later streams are `CA1_2` and so on.
        let of = |key: &str| {
            let rest = key.strip_prefix(folder.as_str())?.strip_prefix(name.as_str())?;
            Some(rest.starts_with(['.', '_']) && !rest.contains('/'))
        };
        found.retain(|object| of(&object.key) == Some(true));
        let bytes = found.iter().map(|object| object.bytes).sum();
        let keys: Vec<String> = found.into_iter().map(|object| object.key).collect();
        if !keys.is_empty() {
            self.bucket.delete(&keys).await?;
        }
        Ok((keys.len() as u64, bytes))
    }
}

/// Whether somebody writes to it: this process, or another that shares the folder, such as one that lets its last calls end.
fn is_held(path: &Path) -> bool {
    let Ok(file) = std::fs::File::open(path) else { return true };
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

/// Deletes the copy in the folder, unless it was written again meanwhile: then it goes up again.
fn remove(file: &Ready) {
    let same = std::fs::metadata(&file.path)
        .is_ok_and(|about| about.len() == file.bytes && about.modified().ok() == Some(file.written));
    if same && let Err(error) = std::fs::remove_file(&file.path) {
        tracing::warn!(%error, path = %file.path.display(), "a file that was uploaded can't be deleted here");
    }
}
