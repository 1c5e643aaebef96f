//! What SQLite and PostgreSQL have in common: statements with numbered parameters, and transactions. Everything above is written
//! once, for both.

mod postgres;
mod sqlite;
mod tls;

use std::path::PathBuf;

pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;

/// Where calls are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of SQLite's, made if it isn't there.
    Sqlite(PathBuf),
    /// A database of PostgreSQL's: its address.
    Postgres(String),
}

impl std::fmt::Debug for Location {
    /// Without the password that an address may have.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let rest = url.rsplit_once('@').map_or("…", |(_, rest)| rest);
                write!(f, "postgres://…@{}", rest.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl Location {
    /// Reads `sqlite:PATH` or `postgres://…`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Self::Sqlite(path.trim_start_matches("//").into()));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.to_owned()));
        }
        Err(StoreError::Location)
    }

    /// Opens it; its schema may be missing yet.
    pub(crate) fn connect(&self) -> Result<Box<dyn Database>, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Box::new(Sqlite::open(path)?)),
            Self::Postgres(url) => Ok(Box::new(Postgres::connect(url)?)),
        }
    }
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database can't be used now; it may be later.
    #[error("the database can't be used: {0}")]
    Away(String),
    /// The database refused this, and would do so again.
    #[error("the database refuses this: {0}")]
    Refused(String),
    /// A newer release has changed the schema.
    #[error(
        "the database has schema {found}, this release knows up to {known}: use the release that wrote it, or a newer one"
    )]
    Newer {
        /// The database's.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// What is in the database can't be read.
    #[error("the document of call {id} can't be read: {why}")]
    Damaged {
        /// The call.
        id: String,
        /// Why.
        why: String,
    },
    /// The page that was asked for.
    #[error("`after` is no place in a list: use `next` of the page before")]
    Cursor,
    /// Numbers and words are encrypted.
    #[error("the store is encrypted: whole numbers and whole words can be found, not their beginnings")]
    Hidden,
    /// The address.
    #[error("the store's `url` must be sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE")]
    Location,
    /// A folder or file.
    #[error("{what}: {error}")]
    Disk {
        /// What could not be done.
        what: String,
        /// Why.
        error: std::io::Error,
    },
    /// The store has ended.
    #[error("the store has ended")]
    Ended,
}

/// A value of a parameter or column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn real(&self) -> Option<f64> {
        match self {
            Self::Real(value) => Some(*value),
            Self::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(value) => Some(value),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    /// Without NUL, which PostgreSQL refuses.
    fn from(text: &str) -> Self {
        Self::Text(if text.contains('\0') { text.replace('\0', "") } else { text.to_owned() })
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// Which of the two it is, where their SQL differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

pub(crate) type Rows = Vec<Vec<Value>>;

/// A connection. Parameters are `$1`, `$2`, …
pub(crate) trait Database: Send {
    fn dialect(&self) -> Dialect;

    /// Runs statements without parameters.
    fn script(&mut self, sql: &str) -> Result<(), StoreError>;

    /// Runs one statement; gives the count of rows changed.
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError>;

    /// Runs one statement; gives its rows.
    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Rows, StoreError>;

    /// Takes the lock that only one may have who changes the schema, to the transaction's end.
    fn lock_schema(&mut self) -> Result<(), StoreError>;

    /// Wipes what deleted rows left behind.
    fn wipe(&mut self) -> Result<(), StoreError>;
}

/// Does all of it, or nothing.
pub(crate) fn in_transaction<T>(
    database: &mut dyn Database,
    work: impl FnOnce(&mut dyn Database) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // SQLite's writers must say so at once, or one of two that began by reading would be refused.
    database.script(match database.dialect() {
        Dialect::Sqlite => "BEGIN IMMEDIATE",
        Dialect::Postgres => "BEGIN",
    })?;
    match work(database) {
        Ok(done) => {
            database.script("COMMIT")?;
            Ok(done)
        }
        Err(error) => {
            // A connection that is gone has rolled back by itself.
            let _gone = database.script("ROLLBACK").is_err();
            Err(error)
        }
    }
}
