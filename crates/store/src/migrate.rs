//! The schema, brought up to date whenever a store is opened.

use crate::database::{Database, Dialect, StoreError, Value, in_transaction};

/// One step of the schema: for both, and for each alone.
struct Migration {
    both: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// All of them, in order; a released one is never changed.
const MIGRATIONS: [Migration; 1] = [Migration {
    both: include_str!("../migrations/0001_calls.sql"),
    sqlite: include_str!("../migrations/0001_words.sqlite.sql"),
    postgres: include_str!("../migrations/0001_words.postgres.sql"),
}];

/// Runs what the database hasn't had yet, each step whole or not at all.
pub(crate) fn migrate(database: &mut dyn Database) -> Result<(), StoreError> {
    to_version(database, MIGRATIONS.len())
}

fn to_version(database: &mut dyn Database, version: usize) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    loop {
        let done = in_transaction(database, |database| {
            database.lock_schema()?;
            database.script("CREATE TABLE IF NOT EXISTS offhook_schema (version BIGINT NOT NULL)")?;
            let rows = database.query("SELECT MAX(version) FROM offhook_schema", &[])?;
            let found = rows.first().and_then(|row| row.first()).and_then(Value::int).unwrap_or(0);
            if found > known {
                return Err(StoreError::Newer { found, known });
            }
            let at = usize::try_from(found).unwrap_or(0);
            let Some(migration) = MIGRATIONS[..version].get(at) else { return Ok(true) };
            let (seq, bytes, octets, own) = match database.dialect() {
                Dialect::Sqlite => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB", "", migration.sqlite),
                Dialect::Postgres => (
                    "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                    "BYTEA",
                    "COLLATE \"C\"",
                    migration.postgres,
                ),
            };
            database.script(
                &migration.both.replace("{seq}", seq).replace("{bytes}", bytes).replace("{octets}", octets),
            )?;
            database.script(own)?;
            database.execute("INSERT INTO offhook_schema (version) VALUES ($1)", &[Value::Int(found + 1)])?;
            Ok(false)
        })?;
        if done {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Sqlite;

    #[test]
    fn every_earlier_schema_is_brought_up_to_date() {
        for version in 0..=MIGRATIONS.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("calls.db");
            let mut database = Sqlite::open(&path).unwrap();
            to_version(&mut database, version).unwrap();
            drop(database);
            let mut database = Sqlite::open(&path).unwrap();
            migrate(&mut database).unwrap();
            migrate(&mut database).unwrap();
            let rows = database.query("SELECT COUNT(*), MAX(version) FROM offhook_schema", &[]).unwrap();
            let known = i64::try_from(MIGRATIONS.len()).unwrap();
            assert_eq!(rows[0], [Value::Int(known), Value::Int(known)]);
        }
    }

    #[test]
    fn a_newer_schema_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Sqlite::open(&folder.path().join("calls.db")).unwrap();
        migrate(&mut database).unwrap();
        database.execute("INSERT INTO offhook_schema VALUES ($1)", &[Value::Int(99)]).unwrap();
        assert!(matches!(migrate(&mut database), Err(StoreError::Newer { found: 99, .. })));
    }
}
