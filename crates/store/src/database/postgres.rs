//! PostgreSQL: one database for many servers.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, Statement};

use super::tls::MakeRustls;
use super::{Database, Dialect, Rows, StoreError, Value};

/// A connection is given up after so long.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A peer that is silent for so long is gone.
const SILENT_FOR: Duration = Duration::from_secs(10);
/// Of all servers of one database only one changes the schema at a time; any number will do.
const SCHEMA_LOCK: i64 = 0x006f_6666_686f_6f6b;

pub(crate) struct Postgres {
    client: Client,
    /// Statements that were prepared, by their text: they are few.
    prepared: HashMap<String, Statement>,
}

impl From<postgres::Error> for StoreError {
    fn from(error: postgres::Error) -> Self {
        // What a server says of values and statements it will say again; all else may pass.
        let lasting = error
            .code()
            .is_some_and(|code| ["22", "23", "42", "54"].iter().any(|class| code.code().starts_with(class)));
        // The first sentence alone is "db error".
        let why = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        if lasting { Self::Refused(why) } else { Self::Away(why) }
    }
}

impl Postgres {
    pub(crate) fn connect(url: &str) -> Result<Self, StoreError> {
        let mut config: Config = url.parse().map_err(|_| StoreError::Location)?;
        config.application_name("offhook").connect_timeout(CONNECT_WITHIN).keepalives_idle(SILENT_FOR);
        config.tcp_user_timeout(SILENT_FOR);
        let tls = MakeRustls::new().map_err(|error| StoreError::Away(error.to_string()))?;
        let mut client = config.connect(tls)?;
        client.batch_execute("SET statement_timeout = '30s'; SET lock_timeout = '10s'")?;
        Ok(Self { client, prepared: HashMap::new() })
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => value.to_sql(ty, out),
            Self::Real(value) => value.to_sql(ty, out),
            Self::Text(value) => value.to_sql(ty, out),
            Self::Bytes(value) => value.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl Database for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.client.batch_execute(sql)?)
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let statement = self.prepared(sql)?;
        Ok(self.client.execute(&statement, &parameters(values))?)
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Rows, StoreError> {
        let statement = self.prepared(sql)?;
        let rows = self.client.query(&statement, &parameters(values))?;
        rows.iter()
            .map(|row| {
                let value = |(column, about): (usize, &postgres::Column)| {
                    Ok(match *about.type_() {
                        Type::INT8 => row.try_get::<_, Option<i64>>(column)?.into(),
                        Type::INT4 => row.try_get::<_, Option<i32>>(column)?.map(i64::from).into(),
                        Type::FLOAT8 => row.try_get::<_, Option<f64>>(column)?.into(),
                        Type::BYTEA => {
                            row.try_get::<_, Option<Vec<u8>>>(column)?.map_or(Value::Null, Value::Bytes)
                        }
                        _ => row.try_get::<_, Option<String>>(column)?.map_or(Value::Null, Value::Text),
                    })
                };
                row.columns().iter().enumerate().map(value).collect()
            })
            .collect()
    }

    fn lock_schema(&mut self) -> Result<(), StoreError> {
        self.execute(&format!("SELECT pg_advisory_xact_lock({SCHEMA_LOCK})"), &[]).map(drop)
    }

    fn wipe(&mut self) -> Result<(), StoreError> {
        self.script("VACUUM calls, legs, turns, tools, providers")
    }
}
