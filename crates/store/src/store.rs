//! A store: handed documents by any thread, asked by any thread.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::oneshot;

use crate::database::{Database, Location, StoreError};
use crate::delete::{Receipt, Subject, delete};
use crate::document::Document;
use crate::migrate::migrate;
use crate::query::{self, Filter, Page};
use crate::redact::Redaction;
use crate::report::{Report, report};
use crate::seal::Keys;
use crate::spool::Spool;
use crate::writer::{Counters, Job, Writer};

/// Documents that may wait for the writer; it never waits for the database longer than the spool takes.
const WAITING: usize = 16_384;
/// Questions that may wait.
const QUESTIONS: usize = 256;
/// Threads that answer them.
const READERS: usize = 2;

/// Where calls are kept, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The database.
    pub location: Location,
    /// The folder of the spool.
    pub spool: PathBuf,
    /// Octets that may wait in it.
    pub spool_bytes: u64,
    /// This server's name.
    pub server: String,
    /// What is taken out of documents.
    pub redaction: Redaction,
    /// What they are encrypted by.
    pub keys: Option<Keys>,
}

type Question = Box<dyn FnOnce(&mut dyn Database) -> bool + Send>;

/// Takes documents and answers questions; clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    jobs: Sender<Job>,
    questions: Sender<Question>,
    counters: Arc<Counters>,
    redaction: Redaction,
    keys: Option<Keys>,
}

/// An answer to come: `.await` it, or wait for it where that may block.
#[derive(Debug)]
pub struct Pending<T>(oneshot::Receiver<Result<T, StoreError>>);

impl<T> Pending<T> {
    /// Waits for it, in a thread that may.
    ///
    /// # Errors
    /// As the question's.
    pub fn wait(self) -> Result<T, StoreError> {
        self.0.blocking_recv().unwrap_or(Err(StoreError::Ended))
    }

    /// Waits for it, in a task.
    ///
    /// # Errors
    /// As the question's.
    pub async fn answer(self) -> Result<T, StoreError> {
        self.0.await.unwrap_or(Err(StoreError::Ended))
    }
}

/// Opens a database for a command that ends soon: without threads, without a spool.
///
/// # Errors
/// If it can't be used, or a newer release has changed its schema.
pub fn open(location: &Location, keys: Option<Keys>) -> Result<Archive, StoreError> {
    let mut database = location.connect()?;
    migrate(&mut *database)?;
    Ok(Archive(database, keys))
}

/// A database, asked directly.
pub struct Archive(Box<dyn Database>, Option<Keys>);

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Archive")
    }
}

impl Archive {
    /// A page of calls, newest first.
    ///
    /// # Errors
    /// If the database can't be used.
    pub fn list(&mut self, filter: &Filter) -> Result<Page, StoreError> {
        query::list(&mut *self.0, filter, self.1.as_ref())
    }

    /// A call's document.
    ///
    /// # Errors
    /// If the database can't be used, or the document can't be read.
    pub fn show(&mut self, id: &str) -> Result<Option<Document>, StoreError> {
        query::show(&mut *self.0, id, self.1.as_ref())
    }

    /// What the calls were like that a filter finds.
    ///
    /// # Errors
    /// If the database can't be used.
    pub fn report(&mut self, filter: &Filter) -> Result<Report, StoreError> {
        report(&mut *self.0, filter, self.1.as_ref())
    }

    /// Deletes calls. What a running server has in its spool stays out of the database; see [`Store::delete`].
    ///
    /// # Errors
    /// If the database can't be used.
    pub fn delete(&mut self, subject: &Subject) -> Result<Receipt, StoreError> {
        delete(&mut *self.0, subject, (&[], self.1.as_ref()))
    }
}

impl Store {
    /// Starts the threads. A database that can't be reached now is tried again and again; meanwhile calls go to the spool.
    ///
    /// # Errors
    /// If the spool can't be used, or the database never could be used as it is.
    pub fn start(settings: Settings) -> Result<Self, StoreError> {
        let Settings { location, spool, spool_bytes, server, redaction, keys } = settings;
        let spool = Spool::open(&spool, spool_bytes).map_err(|error| StoreError::Disk {
            what: format!("can't use the spool's folder {}", spool.display()),
            error,
        })?;
        match location.connect().and_then(|mut database| migrate(&mut *database)) {
            Ok(()) => {}
            Err(error @ StoreError::Away(_)) => {
                tracing::warn!(%error, "the store's database can't be used yet: calls are kept in the spool until then");
            }
            Err(error) => return Err(error),
        }
        let counters = Arc::<Counters>::default();
        let (jobs, queue) = bounded(WAITING);
        let writes_to = location.clone();
        let writer = Writer::new(
            Box::new(move || writes_to.connect()),
            (server, redaction.clone(), keys.clone()),
            spool,
            Arc::clone(&counters),
        );
        let (questions, asked) = bounded(QUESTIONS);
        let thread = |error| StoreError::Disk { what: "can't start a thread".to_owned(), error };
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        named("store").spawn(move || writer.run(&queue)).map_err(thread)?;
        for _ in 0..READERS {
            let (location, asked) = (location.clone(), asked.clone());
            named("store-reader").spawn(move || answer(&location, &asked)).map_err(thread)?;
        }
        Ok(Self { jobs, questions, counters, redaction, keys })
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What is taken out of documents.
    #[must_use]
    pub fn redaction(&self) -> Redaction {
        self.redaction.clone()
    }

    /// Hands a document over; never waits. `make` runs in the writer's thread.
    pub fn put(&self, make: impl FnOnce() -> Option<Document> + Send + 'static) {
        if self.jobs.try_send(Job::Save(Box::new(make))).is_err() {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks this for the calls in progress every few seconds, in the writer's thread, and writes them too.
    pub fn watch(&self, progress: impl FnMut() -> Vec<Document> + Send + 'static) {
        if self.jobs.try_send(Job::Watch(Box::new(progress))).is_err() {
            tracing::error!("calls in progress are not written: the store has ended");
        }
    }

    /// Waits until everything handed over is written, to the database or the spool, but not for ever. False if it is not.
    #[must_use]
    pub fn settle(&self, within: Duration) -> bool {
        let (reply, mut wait) = oneshot::channel();
        let until = Instant::now() + within;
        if self.jobs.send_timeout(Job::Settle(reply), within).is_err() {
            return false;
        }
        loop {
            match wait.try_recv() {
                Ok(()) => return true,
                Err(oneshot::error::TryRecvError::Closed) => return false,
                Err(oneshot::error::TryRecvError::Empty) if Instant::now() > until => return false,
                Err(oneshot::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<T> {
        let (reply, pending) = oneshot::channel();
        let question: Question = Box::new(move |database| {
            let outcome = work(database);
            let well = !matches!(outcome, Err(StoreError::Away(_)));
            let _unheard = reply.send(outcome).is_err();
            well
        });
        // A question that there is no room for is dropped, and answered with that.
        let _full = self.questions.try_send(question).is_err();
        Pending(pending)
    }

    /// A page of calls, newest first.
    #[must_use]
    pub fn list(&self, filter: Filter) -> Pending<Page> {
        let keys = self.keys.clone();
        self.ask(move |database| query::list(database, &filter, keys.as_ref()))
    }

    /// What the calls were like that a filter finds.
    #[must_use]
    pub fn report(&self, filter: Filter) -> Pending<Report> {
        let keys = self.keys.clone();
        self.ask(move |database| report(database, &filter, keys.as_ref()))
    }

    /// A call's document.
    #[must_use]
    pub fn show(&self, id: &str) -> Pending<Option<Document>> {
        let id = id.to_owned();
        let keys = self.keys.clone();
        self.ask(move |database| query::show(database, &id, keys.as_ref()))
    }

    /// Deletes calls, from the database and the spool.
    #[must_use]
    pub fn delete(&self, subject: Subject) -> Pending<Receipt> {
        let (reply, pending) = oneshot::channel();
        let _full = self.jobs.try_send(Job::Delete(subject, reply)).is_err();
        Pending(pending)
    }
}

fn answer(location: &Location, asked: &Receiver<Question>) {
    let mut database: Option<Box<dyn Database>> = None;
    for question in asked {
        if database.is_none() {
            database = location
                .connect()
                .inspect_err(|error| tracing::warn!(%error, "the store can't be read"))
                .ok();
        }
        // Without a connection the question is dropped, and whoever asked is told that the store has ended.
        if let Some(open) = &mut database
            && !question(&mut **open)
        {
            database = None;
        }
    }
}
