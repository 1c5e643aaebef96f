//! The thread that writes: from the queue into the database, or into the spool while the database is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tokio::sync::oneshot;

use crate::database::{Database, StoreError};
use crate::delete::{Receipt, Subject, delete};
use crate::document::Document;
use crate::redact::Redaction;
use crate::row::Row;
use crate::save::save;
use crate::seal::Keys;
use crate::spool::Spool;
use crate::{migrate, query};

/// Documents in a transaction at most.
const BATCH: usize = 128;
/// The database is tried again after so long, and after twice as long each time, up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(15);
/// Calls in progress are written so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// What the writer has counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Documents written to the database.
    pub written: AtomicU64,
    /// Documents that had to wait in the spool.
    pub spooled: AtomicU64,
    /// Octets in the spool now.
    pub spool_bytes: AtomicU64,
    /// Documents that are nowhere: the queue or the spool was full, or the disk refused.
    pub lost: AtomicU64,
    /// Documents that the database refuses; they are in the spool's folder `refused`.
    pub refused: AtomicU64,
    /// Times that the database could not be used.
    pub failures: AtomicU64,
}

/// Makes a document, in the writer's thread: whoever hands it over need not.
pub(crate) type Make = Box<dyn FnOnce() -> Option<Document> + Send>;
/// Gives the calls in progress.
pub(crate) type Progress = Box<dyn FnMut() -> Vec<Document> + Send>;
/// Opens a connection.
pub(crate) type Connect = Box<dyn Fn() -> Result<Box<dyn Database>, StoreError> + Send>;

pub(crate) enum Job {
    Save(Make),
    Delete(Subject, oneshot::Sender<Result<Receipt, StoreError>>),
    Watch(Progress),
    /// Reports when everything before it is written, to the database or the spool.
    Settle(oneshot::Sender<()>),
}

pub(crate) struct Writer {
    connect: Connect,
    server: String,
    redaction: Redaction,
    keys: Option<Keys>,
    database: Option<Box<dyn Database>>,
    /// Calls of this server's earlier life have been dealt with.
    looked_back: bool,
    spool: Spool,
    counters: Arc<Counters>,
    retry_at: Option<Instant>,
    retry_after: Duration,
    /// In tests: so many steps until the process "dies".
    #[cfg(test)]
    pub(crate) dies_in: Option<u32>,
}

impl Writer {
    pub(crate) fn new(
        connect: Connect,
        (server, redaction, keys): (String, Redaction, Option<Keys>),
        spool: Spool,
        counters: Arc<Counters>,
    ) -> Self {
        counters.spool_bytes.store(spool.bytes(), Ordering::Relaxed);
        Self {
            connect,
            server,
            redaction,
            keys,
            database: None,
            looked_back: false,
            spool,
            counters,
            retry_at: None,
            retry_after: FIRST_RETRY,
            #[cfg(test)]
            dies_in: None,
        }
    }

    /// A place where a crash may come.
    #[cfg(test)]
    fn step(&mut self) {
        if let Some(left) = &mut self.dies_in {
            assert!(*left > 0, "killed");
            *left -= 1;
        }
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "tests use it")]
    const fn step(&mut self) {}

    /// Works until nobody is left who could send.
    pub(crate) fn run(mut self, queue: &Receiver<Job>) {
        let mut progress: Option<Progress> = None;
        let mut next_progress = Instant::now() + PROGRESS_EVERY;
        loop {
            let now = Instant::now();
            let until =
                [progress.is_some().then_some(next_progress), self.retry_at].into_iter().flatten().min();
            let wait = until.map_or(Duration::from_secs(3_600), |until| until.saturating_duration_since(now));
            let mut jobs = Vec::new();
            match queue.recv_timeout(wait) {
                Ok(job) => {
                    jobs.push(job);
                    jobs.extend(queue.try_iter().take(BATCH - 1));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let mut documents = Vec::new();
            for job in jobs {
                match job {
                    Job::Save(make) => documents.extend(make()),
                    Job::Watch(watch) => progress = Some(watch),
                    Job::Delete(subject, reply) => {
                        self.put(std::mem::take(&mut documents));
                        // Whoever asked may have left.
                        let _unheard = reply.send(self.delete(&subject)).is_err();
                    }
                    Job::Settle(reply) => {
                        self.put(std::mem::take(&mut documents));
                        let _unheard = reply.send(()).is_err();
                    }
                }
            }
            self.put(documents);
            if let Some(progress) = &mut progress
                && Instant::now() >= next_progress
            {
                self.put(progress());
                next_progress = Instant::now() + PROGRESS_EVERY;
            }
            if self.retry_at.is_some_and(|at| at <= Instant::now()) {
                self.replay();
            }
        }
        // The last chance before the next start.
        if !self.spool.is_empty() {
            self.replay();
        }
    }

    /// Writes documents: to the database, or else to the spool.
    pub(crate) fn put(&mut self, documents: Vec<Document>) {
        let mut rows = Vec::with_capacity(documents.len());
        for mut document in documents {
            self.redaction.apply(&mut document);
            document.server.clone_from(&self.server);
            match Row::of(document, self.keys.as_ref()) {
                Ok(row) => rows.push(row),
                Err(error) => {
                    self.counters.lost.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(%error, "a call's document could not be made");
                }
            }
        }
        if rows.is_empty() {
            return;
        }
        // What waits in the spool is older.
        if !self.spool.is_empty() && self.retry_at.is_none_or(|at| at <= Instant::now()) {
            self.replay();
        }
        if self.spool.is_empty() && self.retry_at.is_none_or(|at| at <= Instant::now()) {
            match self.write(&rows) {
                Ok(()) => return,
                Err(error) => self.away(&error),
            }
        }
        self.spool(&rows);
    }

    /// Writes rows to the database. What it refuses is set aside.
    fn write(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        self.step();
        let outcome = save(self.connected()?, rows);
        self.step();
        match outcome {
            Ok(()) => {
                self.counters.written.fetch_add(rows.len() as u64, Ordering::Relaxed);
                self.retry_after = FIRST_RETRY;
                self.retry_at = None;
                Ok(())
            }
            Err(StoreError::Refused(why)) if rows.len() == 1 => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                for row in rows {
                    match self.spool.set_aside(row) {
                        Ok(path) => tracing::error!(
                            call = row.id(), why, path = %path.display(),
                            "the database refuses a call's document; it is kept in this file"
                        ),
                        Err(error) => {
                            self.counters.lost.fetch_add(1, Ordering::Relaxed);
                            tracing::error!(call = row.id(), why, %error, "a call's document is lost");
                        }
                    }
                }
                Ok(())
            }
            // One of them: each by itself.
            Err(StoreError::Refused(_)) => {
                rows.iter().try_for_each(|row| self.write(std::slice::from_ref(row)))
            }
            Err(error) => Err(error),
        }
    }

    fn connected(&mut self) -> Result<&mut dyn Database, StoreError> {
        if self.database.is_none() {
            let mut database = (self.connect)()?;
            migrate::migrate(&mut *database)?;
            if !self.looked_back {
                let lost = query::mark_lost(&mut *database, &self.server)?;
                self.looked_back = true;
                if lost > 0 {
                    tracing::warn!(
                        calls = lost,
                        "calls were in progress when this server last ended: they are marked as lost"
                    );
                }
            }
            self.database = Some(database);
        }
        match &mut self.database {
            Some(database) => Ok(&mut **database),
            None => Err(StoreError::Ended),
        }
    }

    #[cfg(test)]
    pub(crate) fn drop_connection(&mut self) {
        self.database = None;
    }

    fn away(&mut self, error: &StoreError) {
        self.database = None;
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        if self.retry_at.is_none() {
            tracing::warn!(%error, "calls are kept in the spool until the database can be used again");
        }
        self.retry_at = Some(Instant::now() + self.retry_after);
        self.retry_after = (self.retry_after * 2).min(LONGEST_RETRY);
    }

    fn spool(&mut self, rows: &[Row]) {
        self.step();
        let count = rows.len() as u64;
        match self.spool.append(rows) {
            Ok(true) => {
                self.counters.spooled.fetch_add(count, Ordering::Relaxed);
                self.retry_at.get_or_insert_with(Instant::now);
            }
            Ok(false) => {
                self.counters.lost.fetch_add(count, Ordering::Relaxed);
                tracing::error!(
                    calls = count,
                    "the spool is full: calls are not kept. See `spool_bytes` in [store]"
                );
            }
            Err(error) => {
                self.counters.lost.fetch_add(count, Ordering::Relaxed);
                tracing::error!(calls = count, %error, "the spool can't be written: calls are not kept");
            }
        }
        self.counters.spool_bytes.store(self.spool.bytes(), Ordering::Relaxed);
        self.step();
    }

    /// Brings what waits in the spool into the database, the oldest first.
    pub(crate) fn replay(&mut self) {
        let mut replayed = 0;
        while !self.spool.is_empty() {
            let (rows, damaged) = match self.spool.oldest() {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(%error, "the spool can't be read");
                    self.away(&StoreError::Ended);
                    return;
                }
            };
            if damaged > 0 {
                tracing::warn!(
                    lines = damaged,
                    "lines of the spool can't be read; a crash may have cut one off"
                );
            }
            for batch in rows.chunks(BATCH) {
                if let Err(error) = self.write(batch) {
                    self.away(&error);
                    return;
                }
            }
            self.step();
            replayed += rows.len();
            if let Err(error) = self.spool.remove_oldest() {
                tracing::error!(%error, "a segment of the spool can't be removed");
                self.away(&StoreError::Ended);
                return;
            }
            self.step();
        }
        self.retry_at = None;
        self.counters.spool_bytes.store(self.spool.bytes(), Ordering::Relaxed);
        if replayed > 0 {
            tracing::info!(
                calls = replayed,
                "the database can be used again: what waited in the spool is in it"
            );
        }
    }

    fn delete(&mut self, subject: &Subject) -> Result<Receipt, StoreError> {
        let disk = |error| StoreError::Disk { what: "the spool".to_owned(), error };
        let keys = self.keys.clone();
        let numbers = match subject {
            Subject::Number(number, _) => query::stands_for(number, keys.as_ref()),
            _ => Vec::new(),
        };
        let own = |row: &Row| subject.tenant().is_none_or(|tenant| row.head.tenant == *tenant);
        let meant = |row: &Row| match subject {
            Subject::Call(id, _) => own(row) && row.id() == id,
            Subject::Number(..) => {
                own(row) && (numbers.contains(&row.head.from) || numbers.contains(&row.head.to))
            }
            Subject::Before(ms, _) => own(row) && row.head.started_at_ms < *ms,
            Subject::BeforeBut(ms, tenants) => {
                !tenants.contains(&row.head.tenant) && row.head.started_at_ms < *ms
            }
        };
        let waiting = self.spool.find(&meant).map_err(disk)?;
        let outcome =
            self.connected().and_then(|database| delete(database, subject, (&waiting, keys.as_ref())));
        let mut receipt = outcome.inspect_err(|error| self.away(error))?;
        receipt.spooled = self.spool.scrub(&receipt.ids).map_err(disk)?;
        Ok(receipt)
    }
}
