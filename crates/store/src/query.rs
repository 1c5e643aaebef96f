//! Calls out of the database: found, in pages, and one.

use serde::{Deserialize, Serialize};

use crate::database::{Database, Dialect, StoreError, Value};
use crate::document::Document;
use crate::seal::Keys;
use crate::{row, words};

/// Calls on a page at most.
pub(crate) const MOST: u32 = 500;
const DEFAULT: u32 = 50;

/// Which calls. What isn't set doesn't matter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Either side's number: all of it, or its beginning and a `*`.
    pub number: Option<String>,
    /// The agent's name.
    pub agent: Option<String>,
    /// Whose calls.
    pub tenant: Option<String>,
    /// `in_progress`, `over` or `lost`.
    pub state: Option<String>,
    /// Twilio's status.
    pub status: Option<String>,
    /// `achieved`, `refused`, `no_answer`, `voicemail` or `failed`.
    pub verdict: Option<String>,
    /// `inbound` or `outbound`.
    pub direction: Option<String>,
    /// Not before this: milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Before this: milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// All of these words were said; `pizz*` is any word that begins so.
    pub words: Option<String>,
    /// 95 % of the answers took at least so long, in milliseconds.
    pub slower_than_ms: Option<i64>,
    /// Something went wrong.
    pub errors: Option<bool>,
    /// Calls on a page: 1 to 500, default 50.
    pub limit: Option<u32>,
    /// The place after which the page begins: `next` of the page before.
    pub after: Option<String>,
}

/// A call in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// `in_progress`, `over` or `lost`.
    pub state: String,
    /// Whose.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    /// The agent.
    pub agent: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// The caller's number.
    pub from: String,
    /// The number that was called.
    pub to: String,
    /// Twilio's status.
    pub status: String,
    /// Why its last stream ended.
    pub ended: Option<String>,
    /// What came of its goal.
    pub verdict: Option<String>,
    /// When it began: RFC 3339, UTC.
    pub started_at: String,
    /// The same, in milliseconds since 1970.
    pub started_at_ms: i64,
    /// How long it was.
    pub duration_ms: Option<i64>,
    /// Things said.
    pub turns: i64,
    /// Times that the agent was interrupted.
    pub interruptions: i64,
    /// Things that went wrong.
    pub errors: i64,
    /// Median of the answers' times.
    pub answer_p50_ms: Option<i64>,
    /// 95th percentile.
    pub answer_p95_ms: Option<i64>,
    /// What it cost.
    pub cost: Option<f64>,
}

/// Calls, newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    /// The calls.
    pub calls: Vec<Listed>,
    /// What to send as `after` for the next page; missing on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A place in the list: behind this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    started_ms: i64,
    seq: i64,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, StoreError> {
        let (started_ms, seq) = text.split_once('.').ok_or(StoreError::Cursor)?;
        let number = |text: &str| text.parse().map_err(|_| StoreError::Cursor);
        Ok(Self { started_ms: number(started_ms)?, seq: number(seq)? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.started_ms, self.seq)
    }
}

/// A statement's conditions, with their values.
pub(crate) struct Conditions {
    all: Vec<String>,
    pub(crate) values: Vec<Value>,
}

impl Conditions {
    /// `{}` stands for the value's place.
    fn add(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.all.push(condition.replace("{}", &format!("${}", self.values.len())));
    }

    /// ` WHERE …`, or nothing.
    pub(crate) fn clause(&self) -> String {
        if self.all.is_empty() { String::new() } else { format!(" WHERE {}", self.all.join(" AND ")) }
    }
}

/// What a number or word is in the database: itself, or what each key makes of it.
pub(crate) fn stands_for(text: &str, keys: Option<&Keys>) -> Vec<String> {
    keys.map_or_else(|| vec![text.to_owned()], |keys| keys.all_hidden(text))
}

impl Conditions {
    /// One of the sides has one of these numbers.
    fn numbers(&mut self, all: &[String]) {
        let mut each = Vec::new();
        for number in all {
            self.values.push(number.as_str().into());
            let place = self.values.len();
            each.push(format!("from_number = ${place} OR to_number = ${place}"));
        }
        self.all.push(format!("({})", each.join(" OR ")));
    }
}

impl Filter {
    pub(crate) fn conditions(&self, dialect: Dialect, keys: Option<&Keys>) -> Result<Conditions, StoreError> {
        let mut conditions = Conditions { all: Vec::new(), values: Vec::new() };
        for (column, wanted) in [
            ("agent", &self.agent),
            ("tenant", &self.tenant),
            ("state", &self.state),
            ("status", &self.status),
            ("verdict", &self.verdict),
            ("direction", &self.direction),
        ] {
            if let Some(wanted) = wanted {
                conditions.add(&format!("{column} = {{}}"), wanted.as_str());
            }
        }
        if let Some(number) = &self.number {
            match number.strip_suffix('*') {
                Some(_) if keys.is_some() => return Err(StoreError::Hidden),
                None if keys.is_some() => conditions.numbers(&stands_for(number, keys)),
                Some(begin) => {
                    // Every text that begins so lies between it and it with the last of characters behind.
                    let end = format!("{begin}\u{10FFFF}");
                    conditions.values.push(begin.into());
                    conditions.values.push(end.as_str().into());
                    let (first, last) = (conditions.values.len() - 1, conditions.values.len());
                    let within = |column: &str| format!("({column} >= ${first} AND {column} < ${last})");
                    conditions.all.push(format!("({} OR {})", within("from_number"), within("to_number")));
                }
                None => conditions.add("(from_number = {} OR to_number = {})", number.as_str()),
            }
        }
        if let Some(since) = self.since_ms {
            conditions.add("started_ms >= {}", since);
        }
        if let Some(until) = self.until_ms {
            conditions.add("started_ms < {}", until);
        }
        if let Some(slow) = self.slower_than_ms {
            conditions.add("answer_p95_ms >= {}", slow);
        }
        match self.errors {
            Some(true) => conditions.all.push("errors > 0".to_owned()),
            Some(false) => conditions.all.push("errors = 0".to_owned()),
            None => {}
        }
        let wanted = self.words.as_deref().map(words::wanted).unwrap_or_default();
        if keys.is_some() && wanted.iter().any(|wanted| wanted.begins) {
            return Err(StoreError::Hidden);
        }
        if !wanted.is_empty() {
            // Words are letters and digits alone: nothing in them means anything to either.
            let each = |quote: char, begins: &str, and: &str, or: &str| {
                let one = |wanted: &words::Wanted| {
                    let begins = if wanted.begins { begins } else { "" };
                    // Each key wrote another word for it.
                    let all = stands_for(&wanted.word, keys).into_iter();
                    let all: Vec<String> = all.map(|word| format!("{quote}{word}{quote}{begins}")).collect();
                    format!("({})", all.join(or))
                };
                wanted.iter().map(one).collect::<Vec<_>>().join(and)
            };
            match dialect {
                Dialect::Sqlite => conditions.add(
                    "seq IN (SELECT rowid FROM words WHERE words MATCH {})",
                    each('"', "*", " AND ", " OR ").as_str(),
                ),
                Dialect::Postgres => {
                    conditions.add(
                        "words @@ CAST(CAST({} AS TEXT) AS tsquery)",
                        each('\'', ":*", " & ", " | ").as_str(),
                    );
                }
            }
        }
        Ok(conditions)
    }
}

const LISTED: &str = "seq, id, state, tenant, agent, direction, from_number, to_number, status, ended, verdict, started_ms, \
                      duration_ms, turns, interruptions, errors, answer_p50_ms, answer_p95_ms, cost, numbers";

/// A page of calls, newest first.
pub(crate) fn list(
    database: &mut dyn Database,
    filter: &Filter,
    keys: Option<&Keys>,
) -> Result<Page, StoreError> {
    let limit = filter.limit.unwrap_or(DEFAULT).clamp(1, MOST);
    let mut conditions = filter.conditions(database.dialect(), keys)?;
    if let Some(after) = &filter.after {
        let cursor = Cursor::parse(after)?;
        conditions.values.push(cursor.started_ms.into());
        conditions.values.push(cursor.seq.into());
        let count = conditions.values.len();
        conditions.all.push(format!("(started_ms, seq) < (${}, ${count})", count - 1));
    }
    conditions.values.push(i64::from(limit + 1).into());
    let sql = format!(
        "SELECT {LISTED} FROM calls{} ORDER BY started_ms DESC, seq DESC LIMIT ${}",
        conditions.clause(),
        conditions.values.len()
    );
    let mut rows = database.query(&sql, &conditions.values)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).and_then(|row| {
        Some(Cursor { started_ms: row.get(11)?.int()?, seq: row.first()?.int()? }.to_string())
    });
    Ok(Page { calls: rows.iter().map(|row| listed(row, keys)).collect(), next })
}

fn listed(row: &[Value], keys: Option<&Keys>) -> Listed {
    let sealed = row.get(19).and_then(Value::bytes);
    let numbers = sealed.and_then(|sealed| Keys::open(keys, sealed).ok());
    let numbers: Option<[String; 2]> = numbers.and_then(|json| serde_json::from_slice(&json).ok());
    let text = |at: usize| row.get(at).and_then(Value::text).unwrap_or_default().to_owned();
    let maybe = |at: usize| row.get(at).and_then(Value::text).map(str::to_owned);
    let int = |at: usize| row.get(at).and_then(Value::int);
    let started_at_ms = int(11).unwrap_or(0);
    let [from, to] = numbers.unwrap_or_else(|| [text(6), text(7)]);
    Listed {
        id: text(1),
        state: text(2),
        tenant: text(3),
        agent: text(4),
        direction: text(5),
        from,
        to,
        status: text(8),
        ended: maybe(9),
        verdict: maybe(10),
        started_at: crate::time::rfc3339(started_at_ms),
        started_at_ms,
        duration_ms: int(12),
        turns: int(13).unwrap_or(0),
        interruptions: int(14).unwrap_or(0),
        errors: int(15).unwrap_or(0),
        answer_p50_ms: int(16),
        answer_p95_ms: int(17),
        cost: row.get(18).and_then(Value::real),
    }
}

/// A call's document.
pub(crate) fn show(
    database: &mut dyn Database,
    id: &str,
    keys: Option<&Keys>,
) -> Result<Option<Document>, StoreError> {
    let rows = database.query("SELECT document, state FROM calls WHERE id = $1", &[id.into()])?;
    let Some([document, state]) = rows.first().map(Vec::as_slice) else { return Ok(None) };
    let packed = document.bytes().unwrap_or_default();
    let mut document = row::read(id, packed, keys)?;
    if state.text() == Some("lost") {
        document.state = crate::document::State::Lost;
    }
    Ok(Some(document))
}

/// Calls of this server that were in progress when it last ended without a word are marked as lost. Gives how many.
pub(crate) fn mark_lost(database: &mut dyn Database, server: &str) -> Result<u64, StoreError> {
    let sql = "UPDATE calls SET state = 'lost' WHERE server = $1 AND state = 'in_progress'";
    database.execute(sql, &[server.into()])
}

impl Filter {
    /// Sets one of it by name, as queries of the API have it; times are RFC 3339 or milliseconds since 1970.
    ///
    /// # Errors
    /// In words: an unknown name, or no such value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let time = || {
            let wrong = || format!("`{name}` must be a time such as 2026-11-30T13:36:00Z, not `{value}`");
            crate::time::parse_instant(value).ok_or_else(wrong)
        };
        let text = Some(value.to_owned());
        match name {
            "number" => self.number = text,
            "agent" => self.agent = text,
            "tenant" => self.tenant = text,
            "state" => self.state = text,
            "status" => self.status = text,
            "verdict" => self.verdict = text,
            "direction" => self.direction = text,
            "words" => self.words = text,
            "after" => self.after = text,
            "since" => self.since_ms = Some(time()?),
            "until" => self.until_ms = Some(time()?),
            "slower_than_ms" => {
                let wrong = |_| "`slower_than_ms` must be a number of milliseconds".to_owned();
                self.slower_than_ms = Some(value.parse().map_err(wrong)?);
            }
            "errors" => {
                let wrong = |_| "`errors` must be true or false".to_owned();
                self.errors = Some(value.parse().map_err(wrong)?);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                self.limit = Some(limit.ok_or_else(|| format!("`limit` must be 1 to {MOST}"))?);
            }
            _ => {
                return Err(format!(
                    "`{name}` is no filter; there are number, agent, tenant, state, status, verdict, direction, words, since, \
                     until, slower_than_ms, errors, limit and after"
                ));
            }
        }
        Ok(())
    }
}
