//! SQLite: one file, write-ahead log, nothing to install.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};

use super::{Database, Dialect, Rows, StoreError, Value};

/// Another process's transaction is waited for so long.
const BUSY: Duration = Duration::from_secs(5);

pub(crate) struct Sqlite(Connection);

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let lasting = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch
                    | ErrorCode::TooBig
                    | ErrorCode::ApiMisuse
                    | ErrorCode::Unknown
            )
        );
        if lasting { Self::Refused(error.to_string()) } else { Self::Away(error.to_string()) }
    }
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        // For its owner alone, and the files that SQLite makes beside it too: they get this one's mode.
        let made = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        made.map_err(|error| StoreError::Disk { what: format!("can't open {}", path.display()), error })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        // NORMAL with a write-ahead log survives this process's end; FULL a power cut too, and a batch costs one sync.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; \
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA journal_size_limit = 16777216;",
        )?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self(connection))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

/// SQLite takes `$1` for a name, and counts names in the order in which they stand.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

impl Database for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.0.execute_batch(sql)?)
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let mut statement = self.0.prepare_cached(&numbered(sql))?;
        let count = statement.execute(params_from_iter(values))?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Rows, StoreError> {
        let mut statement = self.0.prepare_cached(&numbered(sql))?;
        let columns = statement.column_count();
        let rows = statement.query_map(params_from_iter(values), |row| {
            (0..columns)
                .map(|column| {
                    Ok(match row.get_ref(column)? {
                        ValueRef::Null => Value::Null,
                        ValueRef::Integer(value) => Value::Int(value),
                        ValueRef::Real(value) => Value::Real(value),
                        ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
                        ValueRef::Blob(value) => Value::Bytes(value.to_vec()),
                    })
                })
                .collect()
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn lock_schema(&mut self) -> Result<(), StoreError> {
        // `BEGIN IMMEDIATE` has it already.
        Ok(())
    }

    fn wipe(&mut self) -> Result<(), StoreError> {
        // Freed pages are zeros already; the log still has them as they were.
        let rows = self.query("PRAGMA wal_checkpoint(TRUNCATE)", &[])?;
        let busy = rows.first().and_then(|row| row.first()).and_then(Value::int) != Some(0);
        if busy {
            return Err(StoreError::Away(
                "somebody reads, so the write-ahead log could not be emptied yet".into(),
            ));
        }
        Ok(())
    }
}
