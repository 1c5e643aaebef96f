//! Calls out of the database for good, with a receipt.

use serde::Serialize;

use crate::database::{Database, Dialect, StoreError, Value, in_transaction};
use crate::query::stands_for;
use crate::save::{id_hash, now_ms};
use crate::seal::Keys;
use crate::time::rfc3339;

/// Whose calls are deleted; of one tenant, if it is named, else of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One call, by its id.
    Call(String, Option<String>),
    /// All calls from or to a number.
    Number(String, Option<String>),
    /// All calls that began before this, in milliseconds since 1970.
    Before(i64, Option<String>),
    /// The same, but for those of these tenants.
    BeforeBut(i64, Vec<String>),
}

impl Subject {
    /// The tenant whose calls alone are meant.
    pub(crate) fn tenant(&self) -> Option<&String> {
        match self {
            Self::Call(_, tenant) | Self::Number(_, tenant) | Self::Before(_, tenant) => tenant.as_ref(),
            Self::BeforeBut(..) => None,
        }
    }
}

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// When: RFC 3339, UTC.
    pub at: String,
    /// Calls that were deleted: SHA-256 of their ids, so that a receipt may be kept when nothing else may.
    pub calls: Vec<String>,
    /// Rows that were deleted from the database.
    pub rows: u64,
    /// Documents that waited in the spool, or that the database had refused.
    pub spooled: u64,
    /// Events that never arrived at the application, in the file of `[events]`.
    pub events: u64,
    /// Files, and objects in the bucket: sound, tapes, records.
    pub objects: u64,
    /// Their octets.
    pub object_bytes: u64,
    /// What could not be deleted, and why; empty if everything is gone.
    pub failures: Vec<String>,
    /// Ids and the names of their tapes and recordings, for whoever deletes those; not part of the receipt.
    #[serde(skip)]
    pub ids: Vec<String>,
    /// See `ids`.
    #[serde(skip)]
    pub legs: Vec<String>,
}

/// The ids of the calls that are meant.
fn meant(
    database: &mut dyn Database,
    subject: &Subject,
    keys: Option<&Keys>,
) -> Result<Vec<(Option<i64>, String)>, StoreError> {
    let but;
    let asked: Vec<(&str, Vec<Value>)> = match subject {
        Subject::Call(id, _) => vec![("id = $1", vec![id.as_str().into()])],
        Subject::Number(number, _) => stands_for(number, keys)
            .iter()
            .map(|number| {
                ("(from_number = $1 OR to_number = $2)", vec![number.as_str().into(), number.as_str().into()])
            })
            .collect(),
        Subject::Before(ms, _) => vec![("started_ms < $1", vec![(*ms).into()])],
        Subject::BeforeBut(ms, tenants) => {
            let places: Vec<String> = (0..tenants.len()).map(|index| format!("${}", index + 2)).collect();
            but = format!("started_ms < $1 AND tenant NOT IN ({})", places.join(", "));
            let mut values = vec![(*ms).into()];
            values.extend(tenants.iter().map(|tenant| Value::from(tenant.as_str())));
            match tenants.is_empty() {
                true => vec![("started_ms < $1", vec![(*ms).into()])],
                false => vec![(but.as_str(), values)],
            }
        }
    };
    let mut found = Vec::new();
    for (condition, mut values) in asked {
        let mut sql = format!("SELECT seq, id FROM calls WHERE {condition}");
        if let Some(tenant) = subject.tenant() {
            values.push(tenant.as_str().into());
            sql += &format!(" AND tenant = ${}", values.len());
        }
        let rows = database.query(&sql, &values)?;
        let id = |row: &Vec<Value>| Some((Some(row.first()?.int()?), row.get(1)?.text()?.to_owned()));
        found.extend(rows.iter().filter_map(id));
    }
    if let (Subject::Call(id, None), true) = (subject, found.is_empty()) {
        // It may be in the spool, or still be on its way. Of a tenant's calls only those are deleted that are known to be its own:
        // nobody keeps another's call from being written.
        found.push((None, id.clone()));
    }
    Ok(found)
}

/// Deletes them from the database, and remembers that they are not to come back. `also`: ids that aren't in the database.
pub(crate) fn delete(
    database: &mut dyn Database,
    subject: &Subject,
    (also, keys): (&[String], Option<&Keys>),
) -> Result<Receipt, StoreError> {
    let now = now_ms();
    let mut receipt = Receipt { at: rfc3339(now), ..Receipt::default() };
    in_transaction(database, |database| {
        let mut all = meant(database, subject, keys)?;
        for id in also {
            if !all.iter().any(|(_, known)| known == id) {
                all.push((None, id.clone()));
            }
        }
        for (seq, id) in all {
            if let Some(seq) = seq {
                let legs = database.query("SELECT name FROM legs WHERE call_seq = $1", &[seq.into()])?;
                receipt.legs.extend(legs.iter().filter_map(|row| Some(row.first()?.text()?.to_owned())));
                for table in ["legs", "turns", "tools", "providers"] {
                    let sql = format!("DELETE FROM {table} WHERE call_seq = $1");
                    receipt.rows += database.execute(&sql, &[seq.into()])?;
                }
                // In PostgreSQL they are a column of the call.
                if database.dialect() == Dialect::Sqlite {
                    receipt.rows += database.execute("DELETE FROM words WHERE rowid = $1", &[seq.into()])?;
                }
                receipt.rows += database.execute("DELETE FROM calls WHERE seq = $1", &[seq.into()])?;
            }
            let hash = id_hash(&id);
            let sql = "INSERT INTO deleted (id_hash, at_ms) VALUES ($1, $2) ON CONFLICT (id_hash) DO NOTHING";
            database.execute(sql, &[hash.as_str().into(), now.into()])?;
            receipt.calls.push(hash);
            receipt.ids.push(id);
        }
        Ok(())
    })?;
    if let Err(error) = database.wipe() {
        receipt.failures.push(error.to_string());
    }
    Ok(receipt)
}
