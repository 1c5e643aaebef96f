//! Writes tapes and records, on a thread of its own: a slow disk holds no call up.
//!
//! Records are few and small, and all of them are written. Tapes are bounded: what the disk is behind with waits in the call that
//! it is of, up to a limit, and only then does a tape end. Files are for their owner alone; a record is there whole or not at all.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender};
use offhook_recording::{Form, Recording, Seal};
use offhook_store::{Keys, Receipt, Redaction, Sealer};
use offhook_tape::Packer;
use rustix::fs::{FlockOperation, flock};

/// Octets of tapes that may wait for the disk, of all calls together.
const WAITING: usize = 64 * 1024 * 1024;

/// A call's id comes from outside: only letters and digits of it go into a file's name, and `_` before a later stream's number.
pub(crate) fn safe(call: &str) -> String {
    call.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}

/// What the writer has counted.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Octets of tapes.
    pub(crate) tape_octets: AtomicU64,
    /// Files, or parts of one, that the disk did not take.
    pub(crate) failures: AtomicU64,
    /// Tapes that ended before their calls.
    pub(crate) tapes_cut: AtomicU64,
}

/// The thread that writes.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    how: How,
    jobs: Sender<Job>,
    waiting: Arc<AtomicUsize>,
    written: Arc<Written>,
}

/// How files are written; all of it is done in the writer's thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    /// Tapes are packed.
    pub(crate) packs: bool,
    /// All files are encrypted by these.
    pub(crate) keys: Option<Keys>,
    /// What is taken out of records.
    pub(crate) redaction: Redaction,
}

#[derive(Debug)]
enum Job {
    Append {
        tape: Arc<Tape>,
        bytes: Vec<u8>,
    },
    Save {
        path: PathBuf,
        bytes: Vec<u8>,
    },
    /// What a call's worker noted of its sound.
    Record {
        sound: Arc<Sound>,
        notes: Vec<u8>,
    },
    /// Tells when everything before it is written.
    Settle(Sender<()>),
}

/// A call's tape; its file is made with the first chunk.
#[derive(Debug)]
pub(crate) struct Tape {
    path: PathBuf,
    file: OnceLock<File>,
    broken: AtomicBool,
    how: How,
    /// Only the writer's thread takes it.
    form: Mutex<TapeForm>,
}

/// What comes between a tape's lines and its file.
#[derive(Debug, Default)]
struct TapeForm {
    packer: Packer,
    sealer: Option<Sealer>,
}

impl Tape {
    /// Whether the disk refused a part of it: there is no use in more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if self.is_broken() {
            return Ok(());
        }
        let outcome = self.formed(bytes).and_then(|bytes| self.open()?.write_all(&bytes));
        self.broken.fetch_or(outcome.is_err(), Ordering::Relaxed);
        outcome
    }

    /// Packed and encrypted, as it is asked for.
    fn formed(&self, notes: &[u8]) -> io::Result<Vec<u8>> {
        let mut form = self.form.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = offhook_tape::text(notes);
        if self.how.packs {
            bytes = form.packer.pack(&bytes);
        }
        if let Some(keys) = &self.how.keys {
            let sealer = match &mut form.sealer {
                Some(sealer) => sealer,
                none => none.insert(keys.sealer().map_err(io::Error::other)?),
            };
            bytes = sealer.part(&bytes).map_err(io::Error::other)?;
        }
        Ok(bytes)
    }

    fn open(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = private().create(true).truncate(true).open(&self.path)?;
        lock(&file);
        Ok(self.file.get_or_init(|| file))
    }
}

/// A call's recording; its file is made with the first notes.
#[derive(Debug)]
pub(crate) struct Sound {
    path: PathBuf,
    form: Form,
    keys: Option<Keys>,
    /// Only the writer's thread takes it.
    file: Mutex<Option<Recording>>,
    broken: AtomicBool,
}

impl Sound {
    fn take(&self, notes: &[u8]) -> io::Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut take = || {
            let recording = match &mut *file {
                Some(recording) => recording,
                empty => {
                    let recording = Recording::sealed(&self.path, self.form, self.seal()?)?;
                    lock(recording.file());
                    empty.insert(recording)
                }
            };
            recording.take(notes).map(drop)
        };
        let outcome = take();
        self.broken.fetch_or(outcome.is_err(), Ordering::Relaxed);
        outcome
    }

    fn seal(&self) -> io::Result<Option<Seal>> {
        let Some(keys) = &self.keys else { return Ok(None) };
        let mut sealer = keys.sealer().map_err(io::Error::other)?;
        Ok(Some(Seal::new(move |part| sealer.part(part).map_err(io::Error::other))))
    }
}

/// Until it is closed: what uploads files leaves it alone, in other processes too, and after a crash nobody holds it.
fn lock(file: &File) {
    // On a disk that knows no locks it goes without.
    let _unlocked = flock(file, FlockOperation::NonBlockingLockExclusive).is_err();
}

/// For its owner alone: tapes are what callers said.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// Writes a file whole or not at all.
fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".part");
    let outcome = private()
        .create(true)
        .truncate(true)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if outcome.is_err() {
        // Nothing is left of what could not be written.
        let _gone = std::fs::remove_file(&temporary);
    }
    outcome
}

/// What the files of deleted calls are named by: the calls' ids, and the names of their streams.
pub(crate) fn names(receipt: &Receipt) -> BTreeSet<String> {
    receipt.ids.iter().chain(&receipt.legs).map(|name| safe(name)).collect()
}

/// Deletes the files of deleted calls: records, tapes, sound.
pub(crate) fn delete(folder: &Path, receipt: &mut Receipt) {
    let names = names(receipt);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return receipt.failures.push(format!("{}: {error}", folder.display())),
    };
    for entry in entries.flatten() {
        let file = entry.file_name();
        let name = file.to_str().and_then(|file| file.split('.').next()).unwrap_or_default();
        // A call's later streams are `CA…_2` and so on.
        let call = name.split('_').next().unwrap_or_default();
        if !(names.contains(name) || names.contains(call)) || !entry.path().is_file() {
            continue;
        }
        let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
        match std::fs::remove_file(entry.path()) {
            Ok(()) => {
                receipt.objects += 1;
                receipt.object_bytes += bytes;
            }
            Err(error) => receipt.failures.push(format!("{}: {error}", entry.path().display())),
        }
    }
}

impl Keeper {
    /// Starts the thread; makes the folder, for its owner alone, and makes sure that files can be written there.
    pub(crate) fn start(folder: &Path, how: How) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("can't make the folder {}", folder.display()))?;
        let probe = folder.join(format!(".offhook-{}", std::process::id()));
        save(&probe, b"")
            .and_then(|()| std::fs::remove_file(&probe))
            .with_context(|| format!("can't write in the folder {}", folder.display()))?;
        let (jobs, queue) = crossbeam_channel::unbounded();
        let (waiting, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(Written::default()));
        let counters = (Arc::clone(&waiting), Arc::clone(&written));
        let records = how.clone();
        std::thread::Builder::new()
            .name("keeper".into())
            .spawn(move || write(&queue, &records, &counters.0, &counters.1))?;
        Ok(Self { folder: folder.to_owned(), how, jobs, waiting, written })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What files are encrypted by, if they are.
    pub(crate) const fn keys(&self) -> Option<&Keys> {
        self.how.keys.as_ref()
    }

    pub(crate) fn written(&self) -> &Written {
        &self.written
    }

    /// A new tape.
    pub(crate) fn tape(&self, call: &str) -> Arc<Tape> {
        let path = crate::record::tape_path(&self.folder, call, self.how.packs);
        let (how, form) = (self.how.clone(), Mutex::default());
        Arc::new(Tape { path, file: OnceLock::new(), broken: AtomicBool::new(false), how, form })
    }

    /// Appends what was noted to a tape. Gives the octets back if the disk is too far behind.
    pub(crate) fn append(&self, tape: &Arc<Tape>, bytes: Vec<u8>) -> Result<(), Vec<u8>> {
        if self.waiting.load(Ordering::Relaxed) + bytes.len() > WAITING {
            return Err(bytes);
        }
        self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        self.send(Job::Append { tape: Arc::clone(tape), bytes });
        Ok(())
    }

    /// A new recording.
    pub(crate) fn sound(&self, call: &str, form: Form) -> Arc<Sound> {
        let path = self.folder.join(format!("{}.{}", safe(call), form.extension()));
        let keys = self.how.keys.clone();
        Arc::new(Sound { path, form, keys, file: Mutex::default(), broken: AtomicBool::new(false) })
    }

    /// Hands notes of a call's sound over. Drops them, and counts that, if the disk is too far behind: the recording then has a gap.
    pub(crate) fn record(&self, sound: &Arc<Sound>, notes: Vec<u8>) {
        if self.waiting.load(Ordering::Relaxed) + notes.len() > WAITING {
            self.written.failures.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.waiting.fetch_add(notes.len(), Ordering::Relaxed);
        self.send(Job::Record { sound: Arc::clone(sound), notes });
    }

    /// A tape ends before its call: the disk is behind.
    pub(crate) fn cut(&self) {
        self.written.tapes_cut.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes a record.
    pub(crate) fn save(&self, path: PathBuf, bytes: Vec<u8>) {
        self.send(Job::Save { path, bytes });
    }

    fn send(&self, job: Job) {
        // The writer lives as long as anybody who could send.
        let _gone = self.jobs.send(job).is_err();
    }

    /// Writes what is known of a call, beside its record.
    pub(crate) fn save_facts(&self, call: &str, bytes: Vec<u8>) {
        self.save(self.folder.join(format!("{}.call.json", safe(call))), bytes);
    }

    /// Waits until everything is written, but not for ever. False if it was not.
    pub(crate) fn settle(&self, within: Duration) -> bool {
        let (settled, wait) = crossbeam_channel::bounded(1);
        let until = Instant::now() + within;
        self.send(Job::Settle(settled));
        let written = wait.recv_deadline(until).is_ok();
        if !written {
            tracing::warn!("the disk can't keep up: not everything of the last calls was written down");
        }
        written
    }
}

/// A record as it is written: without what is taken out, and encrypted, as it is asked for.
fn recorded(bytes: &[u8], how: &How) -> io::Result<Vec<u8>> {
    let mut value: serde_json::Value = serde_json::from_slice(bytes)?;
    how.redaction.json(&mut value);
    let plain = serde_json::to_vec_pretty(&value)?;
    how.keys.as_ref().map_or(Ok(plain.clone()), |keys| keys.seal(&plain)).map_err(io::Error::other)
}

fn write(queue: &Receiver<Job>, how: &How, waiting: &AtomicUsize, written: &Written) {
    for job in queue {
        let outcome = match job {
            Job::Append { tape, bytes } => {
                waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                written.tape_octets.fetch_add(u64::try_from(bytes.len()).unwrap_or(0), Ordering::Relaxed);
                tape.append(&bytes).map_err(|error| (tape.path.clone(), error))
            }
            Job::Record { sound, notes } => {
                waiting.fetch_sub(notes.len(), Ordering::Relaxed);
                sound.take(&notes).map_err(|error| (sound.path.clone(), error))
            }
            Job::Save { path, bytes } => {
                recorded(&bytes, how).and_then(|bytes| save(&path, &bytes)).map_err(|error| (path, error))
            }
            Job::Settle(settled) => {
                // Nobody may wait any more.
                let _unheard = settled.try_send(());
                Ok(())
            }
        };
        if let Err((path, error)) = outcome {
            written.failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, path = %path.display(), "a tape or record could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn files_are_whole_and_for_their_owner_alone() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("calls");
        let keeper = Keeper::start(&folder, How::default()).unwrap();
        let tape = keeper.tape("CA1/../2");
        keeper.append(&tape, b"one\n".to_vec()).unwrap();
        keeper.append(&tape, b"two\n".to_vec()).unwrap();
        for _ in 0..500 {
            keeper.save_facts("CA1", b"{}".to_vec());
        }
        assert!(keeper.settle(LONG));
        assert_eq!(std::fs::read(folder.join("CA12.tape.jsonl")).unwrap(), b"one\ntwo\n");
        assert_eq!(std::fs::read(folder.join("CA1.call.json")).unwrap(), b"{}");
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(
            (mode(&folder.join("CA12.tape.jsonl")), mode(&folder.join("CA1.call.json"))),
            (0o600, 0o600)
        );
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "nothing temporary is left");
        assert_eq!(keeper.written().tape_octets.load(Ordering::Relaxed), 8);
    }

    #[test]
    fn files_are_encrypted_and_without_what_is_taken_out() {
        let base = tempfile::tempdir().unwrap();
        let keys =
            Keys::parse(&base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32])).ok();
        let how = How { packs: true, keys: keys.clone(), redaction: Redaction::default() };
        let keeper = Keeper::start(base.path(), how).unwrap();
        let tape = keeper.tape("CA1");
        keeper.append(&tape, b"{\"tape\":2,\"call\":\"CA1\"}\n".to_vec()).unwrap();
        keeper.append(&tape, b"{\"t\":1,\"out\":\"clear\"}\n".to_vec()).unwrap();
        keeper.save_facts("CA1", br#"{"said":"my card is 4111 1111 1111 1111"}"#.to_vec());
        let sound = keeper.sound("CA1", Form::Wav);
        let mut notes = Vec::new();
        for frame in 0..200u64 {
            let piece = offhook_recording::Piece::Caller(Some(frame * 20), &[9; 160]);
            offhook_recording::pieces::note(&mut notes, frame * 20_000, piece);
        }
        keeper.record(&sound, notes);
        assert!(keeper.settle(LONG));
        let read = |name: &str| {
            let sealed = std::fs::read(base.path().join(name)).unwrap();
            assert!(sealed.starts_with(b"OFK"), "{name}");
            assert!(Keys::open(None, &sealed).is_err(), "{name}");
            Keys::open(keys.as_ref(), &sealed).unwrap()
        };
        let text = offhook_tape::unpacked(read("CA1.tape.jsonl.zst")).unwrap();
        assert_eq!(text, "{\"tape\":2,\"call\":\"CA1\"}\n{\"t\":1,\"out\":\"clear\"}\n");
        let facts = String::from_utf8(read("CA1.call.json")).unwrap();
        assert!(facts.contains("my card is [redacted]"), "{facts}");
        let wav = offhook_recording::Wav::whole(read("CA1.wav"));
        assert!(wav.len() > 40_000 && wav[54..58] == u32::try_from(wav.len() - 58).unwrap().to_le_bytes());
    }

    #[test]
    fn a_deleted_calls_files_are_gone_and_no_others() {
        let base = tempfile::tempdir().unwrap();
        for name in
            ["CA1.json", "CA1.call.json", "CA1_2.tape.jsonl", "CA12.json", "calls.db", "CA1.tape.jsonl.zst"]
        {
            std::fs::write(base.path().join(name), "12345").unwrap();
        }
        let mut receipt =
            Receipt { ids: vec!["CA1".into()], legs: vec!["CA1_2".into()], ..Receipt::default() };
        delete(base.path(), &mut receipt);
        assert_eq!((receipt.objects, receipt.object_bytes, receipt.failures.len()), (4, 20, 0));
        assert!(base.path().join("CA12.json").exists() && base.path().join("calls.db").exists());
    }

    #[test]
    fn a_disk_that_refuses_is_counted_and_survived() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("calls");
        let keeper = Keeper::start(&folder, How::default()).unwrap();
        std::fs::remove_dir(&folder).unwrap();
        let tape = keeper.tape("CA1");
        keeper.append(&tape, b"lost".to_vec()).unwrap();
        keeper.save_facts("CA1", b"{}".to_vec());
        assert!(keeper.settle(LONG) && tape.is_broken());
        assert_eq!(keeper.written().failures.load(Ordering::Relaxed), 2);
        DirBuilder::new().create(&folder).unwrap();
        keeper.save_facts("CA2", b"{}".to_vec());
        assert!(keeper.settle(LONG) && folder.join("CA2.call.json").exists());
        let file = base.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Keeper::start(&file, How::default()).is_err(), "told at the start, not at the first call");
    }

    #[test]
    fn what_waits_for_the_disk_is_bounded() {
        let base = tempfile::tempdir().unwrap();
        let keeper = Keeper::start(base.path(), How::default()).unwrap();
        keeper.waiting.store(WAITING, Ordering::Relaxed);
        assert_eq!(keeper.append(&keeper.tape("CA1"), vec![1]), Err(vec![1]));
    }
}
